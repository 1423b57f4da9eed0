"""How well a registration did: overlap and surface distance per label, landmark errors, percentages."""

from __future__ import annotations

import numpy as np

from ..data.geometry import Geometry
from ..data.result import LandmarkErrors
from .surface_distance import nearest_surface_mm, surface

HAUSDORFF_PERCENTILE = 95


def dice(labels_a_kji: np.ndarray, labels_b_kji: np.ndarray, label: int) -> float:
    """Overlap 2 |A ∩ B| / (|A| + |B|) of one label in two arrays of one grid.

    Args:
        labels_a_kji: (K, J, I) integers.
        labels_b_kji: (K, J, I) integers.
        label: Which label.

    Returns:
        0 to 1; NaN if the label is absent in either.

    Example:
        >>> float(dice(np.array([[[1, 1, 0]]]), np.array([[[0, 1, 1]]]), 1))
        0.5
    """
    in_a, in_b = labels_a_kji == label, labels_b_kji == label
    size_a, size_b = np.count_nonzero(in_a), np.count_nonzero(in_b)
    if size_a == 0 or size_b == 0:
        return float("nan")
    return 2 * np.count_nonzero(in_a & in_b) / (size_a + size_b)


def surface_distances(
    labels_a_kji: np.ndarray,
    labels_b_kji: np.ndarray,
    label: int,
    geometry: Geometry,
    within_kji: np.ndarray | None = None,
) -> tuple[float, float]:
    """95 % Hausdorff distance and mean surface distance of one label, the same in both directions.

    For every surface voxel of A the distance to the nearest surface voxel of B, and the other way round; the results
    are the 95th percentile (linear interpolation) and the mean of *all* these distances together. A surface voxel has a
    face neighbor inside the grid that is not part of the label: where the field of view cuts a structure there is no
    surface. Distances are those of voxel centers, so nothing finer than a voxel is resolved. A single slice is measured
    in its plane.

    Args:
        labels_a_kji: (K, J, I) integers.
        labels_b_kji: (K, J, I) integers on the same grid.
        label: Which label.
        geometry: The grid of both.
        within_kji: (K, J, I) bool, from which surface voxels distances count, such as those in a common field of view;
            None: all.

    Returns:
        Both in mm; NaN if the label has no surface in one of the two.
    """
    box = _joint_box(labels_a_kji == label, labels_b_kji == label)
    if box is None:
        return float("nan"), float("nan")
    surface_a, surface_b = surface(labels_a_kji[box] == label), surface(labels_b_kji[box] == label)
    if not (surface_a.any() and surface_b.any()):
        return float("nan"), float("nan")
    counted = np.ones(surface_a.shape, bool) if within_kji is None else within_kji[box]
    spacing_kji_mm = geometry.spacing_kji_mm
    distances_mm = np.concatenate(
        [
            nearest_surface_mm(surface_a & counted, surface_b, spacing_kji_mm),
            nearest_surface_mm(surface_b & counted, surface_a, spacing_kji_mm),
        ]
    )
    if distances_mm.size == 0:
        return float("nan"), float("nan")
    return float(np.percentile(distances_mm, HAUSDORFF_PERCENTILE)), float(distances_mm.mean())


def target_registration_errors(
    fixed_ras_mm: np.ndarray, moving_ras_mm: np.ndarray, mapped_ras_mm: np.ndarray
) -> LandmarkErrors:
    """Distances of corresponding points without and with a registration.

    Args:
        fixed_ras_mm: (N, 3) points of the fixed image.
        moving_ras_mm: (N, 3) the same points in the moving image.
        mapped_ras_mm: (N, 3) where the registration says the fixed points lie in the
            moving image (`map_points_ras_mm`).

    Returns:
        Errors in mm: fixed to moving (before) and mapped fixed to moving (after).
    """
    before_mm = np.linalg.norm(np.asarray(fixed_ras_mm) - moving_ras_mm, axis=1)
    after_mm = np.linalg.norm(np.asarray(mapped_ras_mm) - moving_ras_mm, axis=1)
    return LandmarkErrors(
        before_mean=float(before_mm.mean()),
        after_mean=float(after_mm.mean()),
        before_max=float(before_mm.max()),
        after_max=float(after_mm.max()),
        n=len(before_mm),
    )


def map_points_ras_mm(points_ras_mm: np.ndarray, displacement_ras_mm: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Points of the fixed image where a displacement puts them, x + d(x), in the moving one.

    Trilinear interpolation; beyond the outermost voxel centers the border displacement continues, as Slicer does it.

    Args:
        points_ras_mm: (N, 3) in RAS mm.
        displacement_ras_mm: (K, J, I, 3) in RAS mm on ``geometry``, fixed to moving.
        geometry: The grid of the displacement.

    Returns:
        (N, 3) in RAS mm.
    """
    points = np.asarray(points_ras_mm, np.float64)
    highest = np.array(geometry.shape_kji) - 1
    position_kji = np.clip(geometry.points_ijk(points)[:, ::-1], 0, highest)
    lower = np.minimum(position_kji.astype(int), np.maximum(highest - 1, 0))
    fraction = position_kji - lower
    displacement = np.zeros_like(points)
    for corner in np.ndindex(2, 2, 2):
        k, j, i = np.minimum(lower + corner, highest).T
        weight = np.prod(np.where(corner, fraction, 1 - fraction), axis=1)
        displacement += weight[:, None] * displacement_ras_mm[k, j, i]
    return points + displacement


def percent(mask_kji: np.ndarray, region_kji: np.ndarray | None = None) -> float:
    """Percentage of the voxels of a region that are in a mask; NaN of an empty region.

    Args:
        mask_kji: bool.
        region_kji: bool of the same shape; None: all voxels.
    """
    inside = mask_kji if region_kji is None else mask_kji[region_kji]
    return 100.0 * np.count_nonzero(inside) / inside.size if inside.size else float("nan")


def _joint_box(in_a: np.ndarray, in_b: np.ndarray) -> tuple[slice, ...] | None:
    """The smallest box around both masks with a margin of one voxel, within the array; None if one mask is empty."""
    if not (in_a.any() and in_b.any()):
        return None
    either = in_a | in_b
    box = []
    for axis in range(either.ndim):
        others = tuple(other for other in range(either.ndim) if other != axis)
        used = np.flatnonzero(either.any(axis=others))
        box.append(slice(max(int(used[0]) - 1, 0), int(used[-1]) + 2))
    return tuple(box)


def jacobian_determinant_kji(displacement_grid: np.ndarray) -> np.ndarray:
    """det(I + ∂u/∂x) of a displacement: the numpy counterpart of `deformation.jacobian_determinant`.

    Central differences, one-sided at the border.

    Args:
        displacement_grid: (3, K, J, I) in voxels, channels k, j, i; at least two voxels along every axis.

    Returns:
        (K, J, I) float32, no unit.

    Raises:
        ValueError: An axis has a single voxel (numpy's own).
    """
    gradient = np.stack([np.stack(np.gradient(component), -1) for component in displacement_grid], -2)
    return np.linalg.det(gradient + np.eye(3, dtype=gradient.dtype)).astype(np.float32)
