"""From a displacement to pictures: its determinants, its inverse, the warped anatomy, and noise like a scanner's.

Displacements here have the component axis first, (D, A, B[, C]), are in voxels of their own grid, and lead from the
fixed to the moving image: fixed point x corresponds to moving point x + displacement(x).
"""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy.ndimage import map_coordinates

from .subject import Canvas, block_mean, label_fractions, smooth_noise

WINDOW_HU = (-980.0, 700.0)
INVERSE_TOLERANCE_VOXELS = 0.005
INVERSE_ITERATIONS = 80
MAX_STEP_VOXELS = 2.0
BIAS_WIDTH_MM = 80.0
BIAS_SHARE = 0.03


def cell_determinants(displacement: np.ndarray) -> np.ndarray:
    """Determinants of x -> x + displacement(x) at the corners of all cells between voxel centers.

    There the one-sided differences are the exact derivatives of the linear interpolation of the displacement.

    Args:
        displacement: (D, A, B[, C]) in voxels.

    Returns:
        (2^D, A-1, B-1[, C-1]).
    """
    dimension = len(displacement)
    corners = product((0, 1), repeat=dimension)
    return np.stack(
        [_determinant([_edge(displacement, axis, corner) for axis in range(dimension)]) for corner in corners]
    )


def _edge(displacement: np.ndarray, axis: int, corner: tuple[int, ...]) -> np.ndarray:
    """Change of x + displacement(x) along ``axis``, on the edge of every cell that contains that corner."""
    ends = []
    for end in (0, 1):
        places = corner[:axis] + (end,) + corner[axis + 1 :]
        window = tuple(slice(place, n - 1 + place) for place, n in zip(places, displacement.shape[1:], strict=True))
        ends.append(displacement[(slice(None), *window)])
    edge = ends[1] - ends[0]
    edge[axis] += 1
    return edge


def _determinant(columns: list[np.ndarray]) -> np.ndarray:
    if len(columns) == 2:
        return columns[0][0] * columns[1][1] - columns[0][1] * columns[1][0]
    return np.einsum("a...,a...->...", columns[0], np.cross(columns[1], columns[2], axis=0))


def invert_displacement(displacement: np.ndarray, factor: int = 1) -> np.ndarray:
    """The inverse v with v(y) = -displacement(y + v(y)): moving point y corresponds to fixed point y + v(y).

    Found by Newton's method. Outside its grid the displacement is continued as a constant.

    Args:
        displacement: (D, A, B[, C]) in voxels.
        factor: The result lies on a grid so many times finer, of the same extent.

    Returns:
        (D, factor A, factor B[, factor C]) in voxels of the coarse grid.

    Raises:
        RuntimeError: There is no inverse.
    """
    dimension, fine_shape = len(displacement), tuple(n * factor for n in displacement.shape[1:])
    moving = np.stack(np.meshgrid(*[(np.arange(n) + 0.5) / factor - 0.5 for n in fine_shape], indexing="ij"))
    moving = moving.reshape(dimension, -1)
    fixed = moving.copy()
    if factor > 1:
        fixed += _sample(invert_displacement(displacement), moving)
    slopes = np.stack([np.stack(np.gradient(component)) for component in displacement])
    wrong = np.arange(moving.shape[1])
    for iteration in range(INVERSE_ITERATIONS):
        error = fixed[:, wrong] + _sample(displacement, fixed[:, wrong]) - moving[:, wrong]
        too_far = np.abs(error).max(axis=0) > INVERSE_TOLERANCE_VOXELS
        wrong, error = wrong[too_far], error[:, too_far]
        if not wrong.size:
            return (fixed - moving).reshape((dimension, *fine_shape))
        jacobian = np.stack([_sample(row, fixed[:, wrong]) for row in slopes]) + np.eye(dimension)[..., None]
        step = np.linalg.solve(np.moveaxis(jacobian, -1, 0), error.T[..., None])[..., 0].T
        caution = 1.0 if iteration < INVERSE_ITERATIONS // 4 else 0.4
        fixed[:, wrong] -= caution * np.clip(step, -MAX_STEP_VOXELS, MAX_STEP_VOXELS)
    raise RuntimeError(f"The displacement has no inverse at {wrong.size} points.")


def _sample(components: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Every component (D, A, B[, C]) at points (D, N) in voxels, linearly interpolated, constant outside: (D, N)."""
    return np.stack([map_coordinates(component, points, order=1, mode="nearest") for component in components])


def warp_anatomy(
    labels: np.ndarray, intensity_hu: np.ndarray, displacement: np.ndarray, factor: int
) -> tuple[np.ndarray, np.ndarray]:
    """Labels and clean intensities of the moving image.

    Args:
        labels: The fixed anatomy on a ``factor`` times finer grid, which may go on below the field of view.
        intensity_hu: Its intensities, on the same grid.
        displacement: (D, A, B[, C]) in voxels.
        factor: How much finer.

    Returns:
        Labels and intensities on the grid of the displacement.

    Raises:
        RuntimeError: The displacement has no inverse.
    """
    inverse = invert_displacement(displacement, factor)
    places = np.stack(np.meshgrid(*[np.arange(n) for n in inverse.shape[1:]], indexing="ij")) + factor * inverse
    warped_hu = map_coordinates(intensity_hu, places, order=1, mode="nearest")
    warped_labels = map_coordinates(labels, places, order=0, mode="nearest")
    return majority(warped_labels, factor), block_mean(warped_hu, factor)


def majority(labels: np.ndarray, factor: int) -> np.ndarray:
    """The most frequent label in blocks of cells.

    Args:
        labels: On the fine grid.
        factor: Cells of a block along every axis.

    Returns:
        uint8.
    """
    return label_fractions(labels, factor).argmax(axis=0).astype(np.uint8)


def scan(clean_hu: np.ndarray, canvas: Canvas, generator: np.random.Generator) -> np.ndarray:
    """Add what a scanner adds: a smooth 3 % bias, white noise of 8-25 HU, an offset up to 10 HU; clip to the window.

    Args:
        clean_hu: Intensities.
        canvas: Their grid.
        generator: Draws the noise.
    """
    bias = smooth_noise(generator, canvas, BIAS_WIDTH_MM)
    noise = generator.normal(0, generator.uniform(8, 25), clean_hu.shape)
    noisy = clean_hu * (1 + BIAS_SHARE * bias / np.abs(bias).max()) + noise + generator.uniform(-10, 10)
    return np.clip(noisy, *WINDOW_HU).astype(np.float32)
