"""A folder of training pairs made once and read often. It lies outside of the repository."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .pair import TrainingPair

INTENSITY_STEPS = 65535  # images are stored as 16-bit numbers


class CaseFolder:
    """Numbered pairs that are written when first asked for and read afterwards.

    Several processes may fill the folder at once.

    Args:
        folder: Where the files are.
        make: Makes the pair of a number. It must always return the same one: then training does not depend on what the
            folder already held.
        keep: How many pairs stay in memory.
    """

    def __init__(self, folder: str | Path, make: Callable[[int], TrainingPair], keep: int = 4096) -> None:
        self._folder = Path(folder)
        self._make = make
        self._keep = keep
        self._read: dict[int, TrainingPair] = {}

    def __getitem__(self, number: int) -> TrainingPair:
        if number not in self._read:
            path = self.path(number)
            if not path.exists():
                self._write(path, self._make(number))
            if len(self._read) >= self._keep:
                self._read.pop(next(iter(self._read)))
            self._read[number] = read_pair(path)
        return self._read[number]

    def path(self, number: int) -> Path:
        """The file of a number."""
        return self._folder / f"{number:06d}.npz"

    def fill(self, numbers: range) -> None:
        """Write every missing pair of ``numbers``."""
        for number in numbers:
            path = self.path(number)
            if not path.exists():
                self._write(path, self._make(number))

    def _write(self, path: Path, pair: TrainingPair) -> None:
        """Under another name first, so that no other process ever reads half a file."""
        self._folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}.part")
        with unfinished.open("wb") as file:
            np.savez(file, **_arrays(pair))
        unfinished.replace(path)


def read_pair(path: Path) -> TrainingPair:
    """The pair in one file."""
    with np.load(path) as stored:
        images = {name: stored[name].astype(np.float32) / INTENSITY_STEPS for name in ("fixed", "moving")}
        optional = {name: stored[name] for name in ("moving_labels", "displacement", "valid") if name in stored}
        if "displacement" in optional:
            optional["displacement"] = optional["displacement"].astype(np.float32)
        return TrainingPair(
            **images,
            fixed_labels=stored["fixed_labels"],
            spacing_mm=tuple(stored["spacing_mm"].tolist()),
            **{"moving_labels": None, **optional},
        )


def _arrays(pair: TrainingPair) -> dict[str, np.ndarray]:
    arrays = {
        "spacing_mm": np.array(pair.spacing_mm),
        "fixed_labels": pair.fixed_labels.astype(np.uint8),
        "fixed": np.rint(pair.fixed * INTENSITY_STEPS).astype(np.uint16),
        "moving": np.rint(pair.moving * INTENSITY_STEPS).astype(np.uint16),
    }
    if pair.moving_labels is not None:
        arrays["moving_labels"] = pair.moving_labels.astype(np.uint8)
    if pair.displacement is not None:
        arrays["displacement"] = pair.displacement.astype(np.float16)
    if pair.valid is not None:
        arrays["valid"] = pair.valid.astype(bool)
    return arrays
