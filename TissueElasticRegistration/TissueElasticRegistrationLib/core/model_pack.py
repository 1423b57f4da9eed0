"""Model packs: a folder with ``card.json`` (what the model is) and ``weights.pt`` (its weights, nothing else).

Nothing of a pack is executed: the card is plain JSON, the network is rebuilt from it, and the weights are read as
tensors only, from bytes whose SHA-256 is the card's. A pack that does not fit in any respect is refused.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import math
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch

from .network import NetworkConfig, RegistrationNetwork
from .objective import Regulariser
from .parameter_scale import SCALES, ParameterScale
from .preprocessing import CT_WINDOW_HU

SCHEMA = 1
CARD, WEIGHTS = "card.json", "weights.pt"
MODELS_FOLDER = Path(__file__).resolve().parents[2] / "Resources" / "Models"
LARGEST_WEIGHTS_BYTES = 200_000_000
LARGEST_CARD_BYTES = 1_000_000

# Which way the array axes of the images run: "SPL" (k to superior, j to posterior, i to left) for volumes,
# "radiological" for slices (as pictures are looked at), "any" if the network was trained with every orientation.
Orientation = Literal["SPL", "radiological", "any"]


@dataclass(frozen=True)
class ModelCard:
    """What a model is, was trained for, and does. Raises ValueError for contents that do not fit each other.

    tissues: for a hypernetwork with a vector per tissue, the tissue of each place, the rest of the body first; empty:
    any tissues. rest: names of further tissues that count as the first one. scale: name of the `ParameterScale`.
    spacing_mm: smallest and largest voxel trained on. intensity_window_hu: what became 0 and 1 in CTs. training: data
    and how they were used, honestly. metrics: measured values by name. sha256: of the weights, by `save_pack`.
    """

    name: str
    version: str
    network: NetworkConfig
    regulariser: Regulariser
    scale: str
    spacing_mm: tuple[float, float]
    orientation: Orientation
    training: str
    licence: str
    tissues: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()
    intensity_window_hu: tuple[float, float] = CT_WINDOW_HU
    metrics: Mapping[str, float] = field(default_factory=dict)
    software: Mapping[str, str] = field(default_factory=dict)
    sha256: str = ""

    def __post_init__(self) -> None:
        self._check_words()
        if self.network.conditioning == "hyper":
            self._check_vector()
        elif self.tissues:
            raise ValueError(f"The model '{self.name}' takes any tissues, but its card lists some.")

    @property
    def dimension(self) -> int:
        return self.network.dimension

    @property
    def parameter_scale(self) -> ParameterScale:
        return SCALES[self.scale]

    def _check_words(self) -> None:
        if not self.name or set(self.name) & set("/\\:") or not self.version:
            raise ValueError("A model needs a version and a name without / and \\.")
        for what, value, known in (("regulariser", self.regulariser, typing.get_args(Regulariser)),
                                   ("scale", self.scale, tuple(SCALES)),
                                   ("orientation", self.orientation, typing.get_args(Orientation))):
            if value not in known:
                raise ValueError(f"The {what} '{value}' of the model '{self.name}' is not known here.")
        if self.orientation == {2: "SPL", 3: "radiological"}[self.dimension]:
            raise ValueError(f"The orientation '{self.orientation}' does not fit {self.dimension} dimensions.")
        if not 0 < self.spacing_mm[0] <= self.spacing_mm[1]:
            raise ValueError(f"The spacings {self.spacing_mm} of the model '{self.name}' are no range.")
        if not all(math.isfinite(value) for value in self.metrics.values()):
            raise ValueError(f"The metrics of the model '{self.name}' must be finite numbers.")
        if tuple(self.intensity_window_hu) != CT_WINDOW_HU:
            raise ValueError(f"The model '{self.name}' expects other CT intensities than are prepared here.")

    def _check_vector(self) -> None:
        """One number per tissue and weight: elastic has two weights (λ, μ), diffusion one."""
        weights = 2 if self.regulariser == "elastic" else 1
        wanted = weights * max(1, len(self.tissues))
        if self.network.parameters != wanted or len(set(map(str.casefold, self.tissues))) != len(self.tissues):
            raise ValueError(f"The model '{self.name}' has {self.network.parameters} parameters, its tissues need "
                             f"{wanted}.")


@dataclass(frozen=True, eq=False)
class ModelPack:
    """A verified model; its network is never changed."""

    card: ModelCard
    network: RegistrationNetwork


@dataclass(frozen=True)
class PackEntry:
    """One folder of packs: either its card, or in one sentence why it cannot be used."""

    folder: Path
    card: ModelCard | None
    problem: str = ""


def load_pack(folder: str | Path) -> ModelPack:
    """The model of one folder. Raises ValueError with one sentence if anything about it is wrong."""
    folder = Path(folder)
    card = _read_card(folder)
    data = _bytes(folder / WEIGHTS, LARGEST_WEIGHTS_BYTES)
    if hashlib.sha256(data).hexdigest() != card.sha256:
        raise ValueError(f"Model pack '{folder.name}': {WEIGHTS} is not the file its card was written for (SHA-256).")
    with torch.device("meta"):  # no memory, no random numbers: every weight comes from the file
        network = RegistrationNetwork(card.network)
    network.load_state_dict(_weights(folder, data, network), assign=True)
    return ModelPack(card, network.eval().requires_grad_(False))


def save_pack(folder: str | Path, network: RegistrationNetwork, card: ModelCard) -> ModelCard:
    """Write a model and its card into ``folder`` (made if needed); returns the card with the weights' SHA-256.

    Equal weights give equal bytes. Raises ValueError if the network is not the card's or holds NaN or infinity.
    """
    if network.config != card.network:
        raise ValueError(f"The network to save is not the one that the card of '{card.name}' describes.")
    weights = {name: weight.detach().cpu().contiguous().clone() for name, weight in network.state_dict().items()}
    if not all(bool(weight.isfinite().all()) for weight in weights.values()):
        raise ValueError(f"The weights of '{card.name}' contain values that are not finite numbers.")
    stream = io.BytesIO()
    torch.save(weights, stream)
    card = replace(card, sha256=hashlib.sha256(stream.getvalue()).hexdigest())
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).write_bytes(stream.getvalue())
    (folder / CARD).write_text(json.dumps(_content(card), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return card


def list_packs(folder: str | Path = MODELS_FOLDER) -> list[PackEntry]:
    """All packs below ``folder``, by name, each one verified; an empty list if there is no such folder."""
    entries = []
    for place in sorted(Path(folder).glob(f"*/{CARD}")):
        try:
            entries.append(PackEntry(place.parent, load_pack(place.parent).card))
        except ValueError as error:
            entries.append(PackEntry(place.parent, None, str(error)))
    return entries


def find_pack(name: str, folder: str | Path = MODELS_FOLDER) -> ModelPack:
    """The pack with this name. Raises ValueError, listing those there are, if there is none, and like `load_pack`."""
    if (Path(folder) / name / CARD).is_file() and Path(name).name == name:
        return load_pack(Path(folder) / name)
    known = sorted(place.parent.name for place in Path(folder).glob(f"*/{CARD}"))
    raise ValueError(f"There is no model '{name}'; " + (f"there are {', '.join(known)}." if known else "none is here."))


def _content(card: ModelCard) -> dict[str, Any]:
    """The card as it is written: its fields, and for readers what follows from them."""
    scale = card.parameter_scale
    return {"schema": SCHEMA, **asdict(card), "scale": {"name": scale.name, "lowest": scale.lowest,
                                                        "highest": scale.highest},
            "dimension": card.dimension, "conditioning": card.network.conditioning,
            "padding_multiple": card.network.multiple}


def _read_card(folder: Path) -> ModelCard:
    data = _bytes(folder / CARD, LARGEST_CARD_BYTES)
    try:
        content = json.loads(data.decode("utf-8"))
        card = _card(content)
    except (UnicodeDecodeError, json.JSONDecodeError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"Model pack '{folder.name}': {CARD} is not the card of a model.") from error
    except ValueError as error:
        raise ValueError(f"Model pack '{folder.name}': {error}") from error
    if json.loads(json.dumps(_content(card))) != content:
        raise ValueError(f"Model pack '{folder.name}': entries of {CARD} contradict each other or are not known here.")
    return card


def _card(content: dict[str, Any]) -> ModelCard:
    """From the JSON object. Raises ValueError, TypeError or KeyError if it is none of a card."""
    if content["schema"] != SCHEMA:
        raise ValueError(f"The format has version {content['schema']}, only {SCHEMA} can be read.")
    values = {entry.name: content[entry.name] for entry in dataclasses.fields(ModelCard)}
    _check_types(values)
    values["scale"] = values["scale"]["name"]
    values["network"] = NetworkConfig(**values["network"])
    for name in ("tissues", "rest", "spacing_mm", "intensity_window_hu"):
        values[name] = tuple(values[name])
    return ModelCard(**values)


def _check_types(values: dict[str, Any]) -> None:
    """Raise TypeError for an entry of another kind than a card has."""
    texts = [values[name] for name in ("name", "version", "regulariser", "orientation", "training", "licence", "sha256",
                                       "tissues", "rest", "software")]
    numbers = [values[name] for name in ("spacing_mm", "intensity_window_hu", "metrics")]
    network = {name: value for name, value in values["network"].items() if name not in ("conditioning", "map_layer")}
    for kind, groups in ((str, texts), ((int, float), numbers), (int, network.values())):
        for group in groups:
            members = group.values() if isinstance(group, dict) else group if isinstance(group, list) else [group]
            if not all(isinstance(member, kind) for member in members):
                raise TypeError("an entry of the card is of the wrong kind")


def _bytes(path: Path, largest: int) -> bytes:
    pack = f"Model pack '{path.parent.name}'"
    try:
        if path.stat().st_size > largest:
            raise ValueError(f"{pack}: {path.name} is too large to be one.")
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{pack}: {path.name} is missing or cannot be read.") from error


def _weights(folder: Path, data: bytes, network: RegistrationNetwork) -> dict[str, torch.Tensor]:
    """The verified bytes as tensors, exactly those the network needs."""
    try:
        weights = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a file that is none of weights makes torch say
        raise ValueError(f"Model pack '{folder.name}': {WEIGHTS} holds something else than weights.") from error
    wanted = network.state_dict()
    if not isinstance(weights, dict) or set(weights) != set(wanted) or not all(
            _is_weight(weights[name], wanted[name]) for name in wanted):
        raise ValueError(f"Model pack '{folder.name}': the weights do not fit the network of the card.")
    return weights


def _is_weight(value: object, wanted: torch.Tensor) -> bool:
    return (isinstance(value, torch.Tensor) and value.layout == torch.strided and value.dtype == wanted.dtype
            and value.shape == wanted.shape and bool(value.isfinite().all()))
