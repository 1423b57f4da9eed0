"""Model packs: a folder with ``card.json`` (what the model is) and ``weights.pt`` (its weights, nothing else).

Nothing of a pack is executed: the card is plain JSON, the network is rebuilt from it, and the weights are read as
tensors only, from bytes whose SHA-256 is the card's. A pack that does not fit in any respect is refused.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from .model_card import (
    CARD,
    WEIGHTS,
    ModelCard,
    PackEntry,
    card_content,
    installed_pack,
    pack_entries,
    read_bytes,
    read_card,
)
from .network import RegistrationNetwork

MAX_WEIGHTS_BYTES = 200_000_000


@dataclass(frozen=True, eq=False)
class ModelPack:
    """A verified model.

    Attributes:
        card: What it is.
        network: Its weights; never changed.
    """

    card: ModelCard
    network: RegistrationNetwork


def load_pack(folder: str | Path) -> ModelPack:
    """The model of one folder.

    Args:
        folder: Of the pack.

    Raises:
        ValueError: With one sentence if anything about it is wrong.
    """
    folder = Path(folder)
    card = read_card(folder)
    data = read_bytes(folder / WEIGHTS, MAX_WEIGHTS_BYTES)
    if hashlib.sha256(data).hexdigest() != card.sha256:
        raise ValueError(f"Model pack '{folder.name}': {WEIGHTS} does not match its card (SHA-256).")
    with torch.device("meta"):  # no memory, no random numbers: every weight comes from the file
        network = RegistrationNetwork(card.network)
    network.load_state_dict(_weights(folder, data, network), assign=True)
    return ModelPack(card, network.eval().requires_grad_(False))


def save_pack(folder: str | Path, network: RegistrationNetwork, card: ModelCard) -> ModelCard:
    """Write a model and its card; equal weights give equal bytes.

    Args:
        folder: Of the pack, made if needed.
        network: Whose weights are written.
        card: Of the model.

    Returns:
        The card with the SHA-256 of the weights.

    Raises:
        ValueError: If the network is not the card's or holds NaN or infinity.
    """
    if network.config != card.network:
        raise ValueError(f"The network does not match the card of '{card.name}'.")
    weights = {name: weight.detach().cpu().contiguous().clone() for name, weight in network.state_dict().items()}
    if not all(bool(weight.isfinite().all()) for weight in weights.values()):
        raise ValueError(f"The weights of '{card.name}' contain values that are not finite numbers.")
    stream = io.BytesIO()
    torch.save(weights, stream)
    card = replace(card, sha256=hashlib.sha256(stream.getvalue()).hexdigest())
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).write_bytes(stream.getvalue())
    (folder / CARD).write_text(json.dumps(card_content(card), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return card


def list_packs(folder: str | Path | None = None) -> list[PackEntry]:
    """All packs below a folder (None: those of the module), by name, each one verified."""
    return pack_entries(folder, lambda place: load_pack(place).card)


def find_pack(name: str, folder: str | Path | None = None) -> ModelPack:
    """The model of the pack with this name.

    Args:
        name: Of the pack.
        folder: Where packs lie; None for those of the module.

    Raises:
        ValueError: Listing those there are, if there is none, and like `load_pack`.
    """
    return load_pack(installed_pack(name, folder))


def _weights(folder: Path, data: bytes, network: RegistrationNetwork) -> dict[str, torch.Tensor]:
    """The verified bytes as tensors, exactly those the network needs."""
    try:
        weights = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a file that is none of weights makes torch say
        raise ValueError(f"Model pack '{folder.name}': {WEIGHTS} does not contain network weights.") from error
    wanted = network.state_dict()
    if (
        not isinstance(weights, dict)
        or set(weights) != set(wanted)
        or not all(_is_weight(weights[name], wanted[name]) for name in wanted)
    ):
        raise ValueError(f"Model pack '{folder.name}': the weights do not match the network described in the card.")
    return weights


def _is_weight(value: object, wanted: torch.Tensor) -> bool:
    return (
        isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and value.dtype == wanted.dtype
        and value.shape == wanted.shape
        and bool(value.isfinite().all())
    )
