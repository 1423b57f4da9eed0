"""The command ``models``: which networks there are, each one verified."""

from __future__ import annotations

import os
from pathlib import Path

from ..core.models.model_card import ModelCard
from ..core.models.model_pack import list_packs
from .terminal import one_line

HEADINGS = ("name", "version", "images", "conditioning", "regularizer", "scale", "tissues")


def models_text(folder: str | Path | None = None) -> str:
    """A table of the model packs there are, then why others cannot be used.

    Args:
        folder: Where the packs are; None: those that come with the module.

    Raises:
        ValueError: A folder was named and does not exist.
    """
    if folder is not None and not os.path.isdir(folder):
        raise ValueError(f"--folder {folder}: folder not found.")
    entries = list_packs(folder)
    rows = [HEADINGS, *(_row(entry.card) for entry in entries if entry.card is not None)]
    if not entries:
        return "No models found; 'direct' (no network) is always available."
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(
        [*(lines if len(rows) > 1 else []), *(one_line(entry.problem) for entry in entries if entry.problem)]
    )


def _row(card: ModelCard) -> tuple[str, ...]:
    tissues = ", ".join(card.tissues) or ("any" if card.network.conditioning == "map" else "one for all")
    cells = (
        card.name,
        card.version,
        f"{card.dimension}D",
        card.network.conditioning,
        card.regularizer,
        card.scale,
        tissues,
    )
    return tuple(map(one_line, cells))
