"""Errors of landmarks where the deformation is defined, and what a set of landmarks looks like that is none."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from ..data.geometry import Geometry, flip_ras_lps
from ..data.images import ImagePair, Landmarks
from ..data.result import LandmarkErrors
from .metrics import map_points_ras_mm, target_registration_errors

FEWEST_FOR_A_HINT = 3
# A reading fits clearly better if corresponding points are much closer, or if only with it the registration helps.
MUCH_SMALLER, HELPS, HELPS_NOT = 0.25, 0.5, 0.8
NAMES_LISTED = 5
AS_INDICES = "as voxel indices i, j, k instead of mm"


def landmark_errors(
    landmarks: Landmarks | None,
    displacement_ras_mm: np.ndarray,
    geometry: Geometry,
    names: Collection[str] | None = None,
) -> LandmarkErrors | None:
    """Errors of the landmarks that lie where the displacement is defined.

    Args:
        landmarks: Of the pair, if it has any.
        displacement_ras_mm: (K, J, I, 3) in RAS mm on ``geometry``, fixed to moving.
        geometry: The grid of the displacement.
        names: Which landmarks; None: all.

    Returns:
        None if there are no such landmarks.
    """
    if landmarks is None:
        return None
    chosen = is_inside(landmarks.fixed_ras_mm, geometry)
    if names is not None:
        chosen &= np.array([name in names for name in landmarks.all_names])
    if not chosen.any():
        return None
    fixed, moving = landmarks.fixed_ras_mm[chosen], landmarks.moving_ras_mm[chosen]
    return target_registration_errors(fixed, moving, map_points_ras_mm(fixed, displacement_ras_mm, geometry))


def is_inside(points_ras_mm: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Which points lie on a grid, to the edges of its outermost voxels.

    Args:
        points_ras_mm: (N, 3) in RAS mm.
        geometry: The grid.

    Returns:
        (N,) bool.

    Example:
        >>> is_inside(np.array([[0.0, 0, 0], [0, 0, 3.6]]), Geometry((4, 5, 6), np.eye(4))).tolist()
        [True, False]
    """
    points_ijk = geometry.points_ijk(points_ras_mm)
    return np.all((points_ijk >= -0.5) & (points_ijk <= np.array(geometry.shape_kji[::-1]) - 0.5), axis=1)


def landmark_warnings(pair: ImagePair, displacement_ras_mm: np.ndarray, geometry: Geometry) -> tuple[str, ...]:
    """What is wrong with the landmarks, as far as the deformation shows it, one sentence each.

    Args:
        pair: The images with their landmarks.
        displacement_ras_mm: (K, J, I, 3) in RAS mm on ``geometry``, fixed to moving.
        geometry: The grid of the displacement.
    """
    if pair.landmarks is None:
        return ()
    found = []
    outside = ~is_inside(pair.landmarks.fixed_ras_mm, geometry)
    if outside.any():
        names = [name for name, is_out in zip(pair.landmarks.all_names, outside, strict=True) if is_out]
        more = f" and {len(names) - NAMES_LISTED} more" if len(names) > NAMES_LISTED else ""
        found.append(
            f"{len(names)} of {len(outside)} landmarks {'lies' if len(names) == 1 else 'lie'} outside of the fixed "
            "image, where the deformation is not defined; the landmark error does not contain "
            f"{'it' if len(names) == 1 else 'them'}: {', '.join(names[:NAMES_LISTED])}{more}."
        )
    return (*found, *_better_reading(pair, displacement_ras_mm, geometry))


def _better_reading(pair: ImagePair, displacement_ras_mm: np.ndarray, geometry: Geometry) -> Iterator[str]:
    """At most one sentence: how else the same numbers would have to be read to fit clearly better."""

    def errors(fixed: np.ndarray, moving: np.ndarray) -> LandmarkErrors:
        return target_registration_errors(fixed, moving, map_points_ras_mm(fixed, displacement_ras_mm, geometry))

    fixed, moving = pair.landmarks.fixed_ras_mm, pair.landmarks.moving_ras_mm
    if len(fixed) < FEWEST_FOR_A_HINT:
        return
    now = errors(fixed, moving)
    if min(now.before_mean, now.after_mean) == 0:
        return
    flipped_fixed, flipped_moving = flip_ras_lps(fixed), flip_ras_lps(moving)  # in the numbers of a file: LPS
    indices = pair.fixed.geometry.points_ras_mm(flipped_fixed), pair.moving.geometry.points_ras_mm(flipped_moving)
    readings = {
        "with the signs of x and y changed (RAS or LPS)": (flipped_fixed, flipped_moving),
        "with the signs of x and y of the fixed points changed (RAS or LPS)": (flipped_fixed, moving),
        "with the signs of x and y of the moving points changed (RAS or LPS)": (fixed, flipped_moving),
        "with fixed and moving points exchanged": (moving, fixed),
        AS_INDICES: indices,
    }
    clear = {}
    for reading, points in readings.items():
        then = errors(*points)
        is_closer = max(then.before_mean / now.before_mean, then.after_mean / now.after_mean) < MUCH_SMALLER
        if (is_closer and reading != AS_INDICES) or (_remaining(then) < HELPS and _remaining(now) > HELPS_NOT):
            clear[reading] = then
    if clear:
        reading = min(clear, key=lambda one: _remaining(clear[one]))
        yield (
            f"The landmarks would fit better {reading}: {clear[reading].after_mean:.1f} mm instead of "
            f"{now.after_mean:.1f} mm after the registration."
        )


def _remaining(errors: LandmarkErrors) -> float:
    """The part of the error that the registration leaves."""
    return errors.after_mean / errors.before_mean if errors.before_mean > 0 else 1.0
