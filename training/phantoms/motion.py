"""The true displacement of one subject: solve the elastic problem, then scale it to a realistic, fold-free motion."""

from __future__ import annotations

import numpy as np

from .finite_elements import centers_from_nodes, nodes_from_elements, solve_elasticity
from .imaging import cell_determinants
from .loads import draw_load
from .subject import AIR, BodyFrame, Canvas

MOTION_RANGE_MM = (12.0, 34.0)  # 99th percentile of the displacement in the body
MIN_DETERMINANT = 0.1
MAX_DRAWS = 12


def simulate_motion(
    load: str,
    labels: np.ndarray,
    lam_kpa: np.ndarray,
    mu_kpa: np.ndarray,
    canvas: Canvas,
    frame: BodyFrame,
    generator: np.random.Generator,
) -> np.ndarray:
    """The true displacement of one subject.

    The elastic problem is linear, so the solution is scaled: to a random 99th percentile within MOTION_RANGE_MM, and
    less where a cell would be squeezed below MIN_DETERMINANT. A load whose motion would get too small is redrawn.

    Args:
        load: One of ``LOADS``.
        labels: (A, B[, C]).
        lam_kpa: λ, (A, B[, C]).
        mu_kpa: μ, (A, B[, C]).
        canvas: Their grid.
        frame: Of the subject.
        generator: Draws what is random.

    Returns:
        Displacement in mm at the voxel centers, (D, A, B[, C]), body frame: fixed x corresponds to moving x + d(x).

    Raises:
        RuntimeError: No load that was drawn gives a large enough motion without folds.
    """
    held = _held_nodes(canvas)
    for _ in range(MAX_DRAWS):
        drawn = draw_load(load, labels, canvas, frame, generator)
        forces, springs = (
            nodes_from_elements(density, canvas.dimension, canvas.spacing_mm)
            for density in (drawn.forces, drawn.springs)
        )
        nodal = solve_elasticity(lam_kpa, mu_kpa, canvas.spacing_mm, forces, held, springs)
        displacement_mm = np.moveaxis(centers_from_nodes(nodal, canvas.dimension), -1, 0)
        displacement_mm *= generator.uniform(*MOTION_RANGE_MM) / motion_size_mm(displacement_mm, labels)
        displacement_mm = _without_folds(displacement_mm, canvas.spacing_mm)
        if motion_size_mm(displacement_mm, labels) >= MOTION_RANGE_MM[0]:
            return displacement_mm
    raise RuntimeError(f"No fold-free motion of at least {MOTION_RANGE_MM[0]} mm in {MAX_DRAWS} loads.")


def motion_size_mm(displacement_mm: np.ndarray, labels: np.ndarray) -> float:
    """99th percentile of the length of a displacement within the body.

    Args:
        displacement_mm: (D, ...).
        labels: (...).
    """
    return float(np.percentile(np.linalg.norm(displacement_mm, axis=0)[labels != AIR], 99))


def _held_nodes(canvas: Canvas) -> np.ndarray:
    """Nothing moves at the faces of the field of view, except the lower one: there the body leaves it, free to move."""
    held = np.ones(tuple(n + 1 for n in canvas.shape), bool)
    held[(slice(1, None), *[slice(1, -1)] * (canvas.dimension - 1))] = False
    return held


def _without_folds(displacement_mm: np.ndarray, spacing_mm: float) -> np.ndarray:
    """Scale down in steps of 10 % until every cell keeps a share of at least MIN_DETERMINANT of its size."""
    while cell_determinants(displacement_mm / spacing_mm).min() < MIN_DETERMINANT:
        displacement_mm = 0.9 * displacement_mm
    return displacement_mm
