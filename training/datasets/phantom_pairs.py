"""Phantom subjects as training pairs: many seeds, every kind of load."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from TissueElasticRegistrationLib.core.preparation.preprocessing import CT_WINDOW_HU, normalized
from training.phantoms import LOADS, PhantomCase, make_case

from .case_files import CaseFolder
from .pair import TrainingPair

# Numbers from here on are never trained on: validation, and after it the figures that are published.
FIRST_VALIDATION = 900_000
FIRST_TEST = 950_000
REPLACEMENTS = 10_000_000


def phantom_folder(cache: str | Path, dimension: int, spacing_mm: float) -> CaseFolder:
    """The cached phantoms of one dimension and voxel size.

    Args:
        cache: Folder for data that is made once.
        dimension: 2 or 3.
        spacing_mm: Voxel size.
    """
    return CaseFolder(
        Path(cache).expanduser() / f"phantoms-{dimension}d-{spacing_mm:g}mm",
        lambda number: phantom_pair(dimension, number, spacing_mm),
    )


def phantom_pair(dimension: int, number: int, spacing_mm: float) -> TrainingPair:
    """A subject as a training pair.

    Args:
        dimension: 2 or 3.
        number: Of the subject.
        spacing_mm: Voxel size.
    """
    return as_training_pair(phantom_case(dimension, number, spacing_mm))


def phantom_case(dimension: int, number: int, spacing_mm: float | None = None) -> PhantomCase:
    """A subject; the loads take turns. One whose motion cannot be inverted (1 of 600) is replaced.

    Args:
        dimension: 2 or 3.
        number: Of the subject.
        spacing_mm: Voxel size; None: see `make_case`.
    """
    load = load_of(number)
    try:
        return make_case(dimension, number, load=load, spacing_mm=spacing_mm)
    except RuntimeError:
        return make_case(dimension, number + REPLACEMENTS, load=load, spacing_mm=spacing_mm)


def load_of(number: int) -> str:
    """What moves subject ``number``."""
    return list(LOADS)[number % len(LOADS)]


def as_training_pair(case: PhantomCase) -> TrainingPair:
    """What the registrar makes of such a pair, without the margins it may add."""
    single = case.fixed.array_kji.shape[0] == 1
    grid = case.fixed.geometry
    displacement = grid.displacement_grid(case.displacement_ras_mm)
    arrays = {
        "fixed": normalized(case.fixed.array_kji, CT_WINDOW_HU),
        "moving": normalized(case.moving.array_kji, CT_WINDOW_HU),
        "fixed_labels": case.fixed_segmentation.labels_kji.astype(np.uint8),
        "moving_labels": case.moving_segmentation.labels_kji.astype(np.uint8),
        "valid": case.valid,
    }
    if single:
        arrays = {name: array[0] for name, array in arrays.items()}
        displacement = displacement[1:, 0]
    return TrainingPair(
        **arrays,
        displacement=displacement.astype(np.float32),
        spacing_mm=tuple(grid.spacing_kji_mm[1 if single else 0 :].tolist()),
    )


def fill_in_background(cache: str | Path, dimension: int, spacing_mm: float, count: int) -> subprocess.Popen:
    """Make phantoms in another process of lowest priority; training goes on meanwhile.

    Args:
        cache: Folder for data that is made once.
        dimension: 2 or 3.
        spacing_mm: Voxel size.
        count: The first so many.

    Returns:
        The process.
    """
    command = [
        sys.executable,
        "-m",
        "training.datasets.phantom_pairs",
        str(cache),
        str(dimension),
        str(spacing_mm),
        str(count),
    ]
    # The other process shall find what this one has found, however it was told.
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))})


if __name__ == "__main__":
    if hasattr(os, "nice"):
        os.nice(19)
    folder, dimension, spacing, count = sys.argv[1:]
    phantom_folder(folder, int(dimension), float(spacing)).fill(range(int(count)))
