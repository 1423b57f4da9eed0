"""Pairs of images of one's own: a table ``pairs.csv`` names their files.

Columns ``fixed``, ``moving``, ``segmentation`` (tissues of the fixed image: label map or .seg.nrrd) and ``split``
("train" or "validation"); paths start at the folder of the table.
"""

from __future__ import annotations

import csv
from pathlib import Path

from .pair import TrainingPair
from .prepared import prepared_pairs
from .sources import MAX_TISSUES

TABLE = "pairs.csv"
COLUMNS = ("fixed", "moving", "segmentation", "split")
SPLITS = ("train", "validation")


def own_pairs(folder: str | Path, split: str, dimension: int, finest_mm: float | None = None) -> list[TrainingPair]:
    """The pairs of one split; in 2D all their slices.

    Args:
        folder: Where ``pairs.csv`` is.
        split: "train" or "validation".
        dimension: 2 or 3.
        finest_mm: Voxels are not made smaller than this.

    Raises:
        ValueError: Naming the table or the file: something is missing or cannot be used for training.
    """
    table = Path(folder).expanduser() / TABLE
    rows = [row for row in _rows(table) if row["split"] == split]
    if not rows:
        raise ValueError(f"{table} names no pairs for {split}.")
    pairs = []
    for row in rows:
        files = [table.parent / row[name] for name in ("fixed", "moving", "segmentation")]
        found = prepared_pairs(*files, dimension, finest_mm)
        highest = max((int(pair.fixed_labels.max()) for pair in found), default=0)
        if highest >= MAX_TISSUES:
            raise ValueError(
                f"{files[2]}: labels up to {MAX_TISSUES - 1}, the rest of the body included, can be "
                f"learnt from, not {highest}. Merge some tissues."
            )
        pairs += found
    return pairs


def _rows(table: Path) -> list[dict[str, str]]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            rows = list(reader)
    except OSError as error:
        raise ValueError(f"{table}: there is no such table of pairs.") from error
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise ValueError(f"{table} has no column {missing[0]}; it needs {', '.join(COLUMNS)}.")
    unknown = sorted({str(row["split"]) for row in rows} - set(SPLITS))
    if unknown:
        raise ValueError(f"{table}: a split is train or validation, not '{unknown[0]}'.")
    return rows
