"""The card of a model pack (``card.json``): what a model is, read and checked without torch.

A pack is a folder with its card and ``weights.pt``, see `model_pack`. It is named by the name of a folder among those
of the module, or by the path of any folder.
"""

from __future__ import annotations

import dataclasses
import json
import math
import typing
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..data.images import CT_WINDOW_HU
from ..physics.parameter_scale import SCALES, ParameterScale
from ..physics.regularizers import REGULARIZERS
from .network_config import NetworkConfig

SCHEMA = 2
SCHEMA_1_NAMES = {"regulariser": "regularizer", "licence": "license"}  # what schema 1 called differently
CARD, WEIGHTS = "card.json", "weights.pt"
# What entries of another form than expected lead to.
WRONG_FORM = (TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
MODELS_FOLDER = Path(__file__).resolve().parents[3] / "Resources" / "Models"
MAX_CARD_BYTES = 1_000_000
DIRECT = "direct"  # in the place of a model: the direct solver, without any

# Which way the array axes of the images run: "SPL" (k to superior, j to posterior, i to left) for volumes,
# "radiological" for slices (as pictures are looked at), "any" if the network was trained with every orientation.
Orientation = Literal["SPL", "radiological", "any"]


@dataclass(frozen=True)
class ModelCard:
    """What a model is, was trained for, and does.

    Attributes:
        name: Of the model.
        version: Of the model.
        network: Its architecture.
        regularizer: Key in `REGULARIZERS`: that of the objective it was trained with.
        scale: Name of the `ParameterScale`.
        spacing_mm: Smallest and largest voxel trained on.
        orientation: Which way the array axes of its images run.
        training: Data and how they were used, honestly.
        license: Of the weights.
        tissues: For a hypernetwork with a vector per tissue, the tissue of each place, the rest of the body first;
            empty: any tissues.
        rest: Names of further tissues that count as the first one.
        intensity_window_hu: What became 0 and 1 in CTs.
        metrics: Measured values by name.
        software: Versions it was trained with, by name.
        sha256: Of the weights, by `save_pack`.

    Raises:
        ValueError: For contents that do not fit each other.
    """

    name: str
    version: str
    network: NetworkConfig
    regularizer: str
    scale: str
    spacing_mm: tuple[float, float]
    orientation: Orientation
    training: str
    license: str
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
            raise ValueError(f"The model '{self.name}' accepts any tissues, but its card lists specific ones.")

    @property
    def dimension(self) -> int:
        """2 or 3."""
        return self.network.dimension

    @property
    def has_lambda(self) -> bool:
        """Whether λ means anything to the model: the diffusion regularizer has one weight per tissue, kept as μ."""
        return REGULARIZERS[self.regularizer].has_lambda

    @property
    def parameter_scale(self) -> ParameterScale:
        """What slider positions mean to the model."""
        return SCALES[self.scale]

    def _check_words(self) -> None:
        if not self.name or set(self.name) & set("/\\:") or not self.version:
            raise ValueError("A model card must contain a version, and a name without / and \\.")
        for what, value, known in (
            ("regularizer", self.regularizer, tuple(REGULARIZERS)),
            ("scale", self.scale, tuple(SCALES)),
            ("orientation", self.orientation, typing.get_args(Orientation)),
        ):
            if value not in known:
                raise ValueError(f"The {what} '{value}' of the model '{self.name}' is not supported.")
        if self.orientation == {2: "SPL", 3: "radiological"}[self.dimension]:
            raise ValueError(
                f"The orientation '{self.orientation}' of the model '{self.name}' is not valid in "
                f"{self.dimension} dimensions."
            )
        if not 0 < self.spacing_mm[0] <= self.spacing_mm[1]:
            raise ValueError(f"The voxel sizes {self.spacing_mm} of the model '{self.name}' are not a valid range.")
        if not all(math.isfinite(value) for value in self.metrics.values()):
            raise ValueError(f"The metrics of the model '{self.name}' must be finite numbers.")
        if tuple(self.intensity_window_hu) != CT_WINDOW_HU:
            raise ValueError(f"The model '{self.name}' expects CT intensities that are not supported.")

    def _check_vector(self) -> None:
        """One number per tissue and weight: elastic has two weights (λ, μ), diffusion one."""
        weights = 2 if self.has_lambda else 1
        wanted = weights * max(1, len(self.tissues))
        if self.network.parameters != wanted or len(set(map(str.casefold, self.tissues))) != len(self.tissues):
            raise ValueError(
                f"The model '{self.name}' has {self.network.parameters} parameters, but its tissues require {wanted}."
            )


@dataclass(frozen=True)
class PackEntry:
    """One folder of packs.

    Attributes:
        folder: Of the pack.
        card: None if the pack cannot be used.
        problem: Why not, in one sentence.
    """

    folder: Path
    card: ModelCard | None
    problem: str = ""


def pack_folders(folder: str | Path | None = None) -> list[Path]:
    """The packs below a folder, by name.

    Args:
        folder: None for the models of the module.
    """
    return sorted(place.parent for place in Path(folder or MODELS_FOLDER).glob(f"*/{CARD}"))


def list_cards(folder: str | Path | None = None) -> list[PackEntry]:
    """The cards of all packs below ``folder``, by name; the weights are not looked at."""
    return pack_entries(folder, read_card)


def pack_entries(folder: str | Path | None, read: Callable[[Path], ModelCard]) -> list[PackEntry]:
    """One entry for each pack below a folder, by name.

    Args:
        folder: As in `pack_folders`.
        read: Gives the card of a pack's folder or raises ValueError.
    """
    entries = []
    for place in pack_folders(folder):
        try:
            entries.append(PackEntry(place, read(place)))
        except ValueError as error:
            entries.append(PackEntry(place, None, str(error)))
    return entries


def installed_pack(name: str, folder: str | Path | None = None) -> Path:
    """The folder of a pack.

    Args:
        name: Of the pack.
        folder: Where packs lie, as in `pack_folders`.

    Raises:
        ValueError: Listing those there are, if there is none of this name.
    """
    places = {place.name: place for place in pack_folders(folder)}
    if name not in places:
        there_are = f"installed models are {', '.join(places)}." if places else "no models are installed."
        raise ValueError(f"Model '{name}' not found; {there_are}")
    return places[name]


def pack_folder(model: str) -> Path:
    """Where a model lies.

    Args:
        model: A text with / or \\ is the path of its folder, any other the name of an installed pack.

    Raises:
        ValueError: Like `installed_pack`.
    """
    return Path(model) if is_path(model) else installed_pack(model)


def pack_state(model: str) -> tuple | None:
    """Changes when the files of a model do; None for the direct solver and where there is none. Reads nothing."""
    if model == DIRECT:
        return None
    try:
        folder = pack_folder(model)
        files = [(folder / name).stat() for name in (CARD, WEIGHTS)]
    except (ValueError, OSError):
        return None
    return folder, tuple((file.st_mtime_ns, file.st_size) for file in files)


def is_path(model: str) -> bool:
    """Whether this names a model by its folder."""
    return bool(set(model) & set("/\\"))


def read_card(folder: str | Path) -> ModelCard:
    """The card of one folder; the weights are not looked at.

    Args:
        folder: Of the pack.

    Raises:
        ValueError: With one sentence for any fault.
    """
    folder = Path(folder)
    data = read_bytes(folder / CARD, MAX_CARD_BYTES)
    try:
        content = _current(json.loads(data.decode("utf-8")))
        card = _card(content)
    except (UnicodeDecodeError, json.JSONDecodeError, *WRONG_FORM) as error:
        raise ValueError(f"Model pack '{folder.name}': {CARD} is not a valid model card.") from error
    except ValueError as error:
        raise ValueError(f"Model pack '{folder.name}': {error}") from error
    if json.loads(json.dumps(card_content(card))) != content:
        raise ValueError(f"Model pack '{folder.name}': entries of {CARD} contradict each other or are not supported.")
    return card


def card_content(card: ModelCard) -> dict[str, Any]:
    """The card as it is written: its fields, and for readers what follows from them."""
    scale = card.parameter_scale
    return {
        "schema": SCHEMA,
        **asdict(card),
        "scale": {"name": scale.name, "lowest": scale.lowest, "highest": scale.highest},
        "dimension": card.dimension,
        "conditioning": card.network.conditioning,
        "padding_multiple": card.network.multiple,
    }


def read_bytes(path: Path, largest: int) -> bytes:
    """The content of a file of a pack.

    Args:
        path: Of the file.
        largest: Most bytes it may have.

    Raises:
        ValueError: If it is missing, no file (but a device, say) or too large to be one.
    """
    pack = f"Model pack '{path.parent.name}'"
    try:
        if not path.is_file():  # what a pipe or a device holds may never end
            raise FileNotFoundError(path)
        if path.stat().st_size > largest:
            raise ValueError(f"{pack}: {path.name} is too large.")
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{pack}: {path.name} is missing or cannot be read.") from error


def _current(content: dict[str, Any]) -> dict[str, Any]:
    """The JSON object in today's schema. Raises KeyError or AttributeError if it is none of a card."""
    if content["schema"] != 1:
        return content
    return {SCHEMA_1_NAMES.get(name, name): value for name, value in content.items()} | {"schema": SCHEMA}


def _card(content: dict[str, Any]) -> ModelCard:
    """From the JSON object. Raises ValueError, TypeError or KeyError if it is none of a card."""
    if content["schema"] != SCHEMA:
        raise ValueError(f"Format version {content['schema']} is not supported; supported versions are 1 and {SCHEMA}.")
    values = {entry.name: content[entry.name] for entry in dataclasses.fields(ModelCard)}
    _check_types(values)
    values["scale"] = values["scale"]["name"]
    values["network"] = NetworkConfig(**values["network"])
    for name in ("tissues", "rest", "spacing_mm", "intensity_window_hu"):
        values[name] = tuple(values[name])
    return ModelCard(**values)


def _check_types(values: dict[str, Any]) -> None:
    """Raise TypeError for an entry of another kind than a card has."""
    texts = [
        values[name]
        for name in (
            "name",
            "version",
            "regularizer",
            "orientation",
            "training",
            "license",
            "sha256",
            "tissues",
            "rest",
            "software",
        )
    ]
    numbers = [values[name] for name in ("spacing_mm", "intensity_window_hu", "metrics")]
    network = {name: value for name, value in values["network"].items() if name not in ("conditioning", "map_layer")}
    for kind, groups in ((str, texts), ((int, float), numbers), (int, network.values())):
        for group in groups:
            members = group.values() if isinstance(group, dict) else group if isinstance(group, list) else [group]
            if not all(isinstance(member, kind) for member in members):
                raise TypeError("an entry of the card has the wrong type")
