"""A rigid alignment of segments that both images have: the closest points of their surfaces, from several starts."""

from __future__ import annotations

from itertools import product

import numpy as np
import SimpleITK as sitk

from ..data.geometry import flip_ras_lps
from ..data.images import ImagePair, Segmentation

MAX_VOXELS = 1_000_000  # of a label map that is looked at
POINTS = 3000  # of all segments together
FEWEST_POINTS = 10  # of a segment
KEPT = 0.8  # of the pairs of points: the others have no partner where a segment is cut off
ITERATIONS, FINAL_ITERATIONS = 8, 60


def segment_alignment(pair: ImagePair) -> sitk.AffineTransform:
    """The rigid map that brings the surfaces of corresponding segments together, in whatever position they lie.

    Args:
        pair: The images with both segmentations (see `pair_tissues` for which segments correspond).

    Returns:
        From fixed LPS mm to moving LPS mm.

    Raises:
        ValueError: There is no segmentation of the moving image, or no segment is in both.
    """
    if pair.moving_segmentation is None:
        raise ValueError("An initial alignment by segments needs a segmentation of the moving image.")
    fixed = _surfaces(pair.fixed_segmentation)
    moving = _surfaces(pair.matched_moving_segmentation)
    common = sorted(fixed.keys() & moving.keys())
    if not common:
        raise ValueError(
            f"'{pair.moving_segmentation.name}' and '{pair.fixed_segmentation.name}' have no segment in common to be "
            "aligned by."
        )
    count = max(FEWEST_POINTS, POINTS // len(common))
    clouds = [(_thinned(fixed[label], count), _thinned(moving[label], count)) for label in common]
    ends = [_closest_points(clouds, start, ITERATIONS) for start in _starts(clouds)]
    turn, shift = _closest_points(clouds, min(ends, key=lambda end: _distance(clouds, end)), FINAL_ITERATIONS)
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(turn.ravel().tolist())
    transform.SetTranslation(shift.tolist())
    return transform


Rigid = tuple[np.ndarray, np.ndarray]  # x -> turn @ x + shift, LPS mm
Clouds = list[tuple[np.ndarray, np.ndarray]]  # by segment: points (N, 3) of the fixed, (M, 3) of the moving one, LPS mm


def _starts(clouds: Clouds) -> list[Rigid]:
    """The centers of the segments fitted to each other, and the moving scan turned by quarters and halves."""
    fixed, moving = (np.array([cloud[which].mean(0) for cloud in clouds]) for which in (0, 1))
    starts = [_fit(fixed, moving)]
    for axis, quarters in product(range(3), range(4)):
        euler = sitk.Euler3DTransform()
        euler.SetRotation(*(quarters * np.pi / 2 * np.eye(3)[axis]).tolist())
        turn = np.reshape(euler.GetMatrix(), (3, 3))
        starts.append((turn, moving.mean(0) - turn @ fixed.mean(0)))
    return starts


def _closest_points(clouds: Clouds, start: Rigid, iterations: int) -> Rigid:
    rigid = start
    for _ in range(iterations):
        rigid = _fit(*_pairs(clouds, rigid)[:2])
    return rigid


def _distance(clouds: Clouds, rigid: Rigid) -> float:
    return float(_pairs(clouds, rigid)[2].mean())


def _pairs(clouds: Clouds, rigid: Rigid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of the fixed segments, the closest ones of the moving segments and their squared distances; both ways."""
    turn, shift = rigid
    fixed_points, moving_points = [], []
    for fixed, moving in clouds:
        mapped = fixed @ turn.T + shift
        squares = (mapped**2).sum(1)[:, None] + (moving**2).sum(1) - 2 * mapped @ moving.T
        fixed_points += [fixed, fixed[squares.argmin(0)]]
        moving_points += [moving[squares.argmin(1)], moving]
    fixed, moving = np.concatenate(fixed_points), np.concatenate(moving_points)
    squares = np.sum((fixed @ turn.T + shift - moving) ** 2, 1)
    kept = squares <= np.quantile(squares, KEPT)
    return fixed[kept], moving[kept], squares[kept]


def _fit(fixed: np.ndarray, moving: np.ndarray) -> Rigid:
    """The rigid map of points (N, 3) to their partners with the least sum of squares."""
    fixed_middle, moving_middle = fixed.mean(0), moving.mean(0)
    left, _, right = np.linalg.svd((moving - moving_middle).T @ (fixed - fixed_middle))
    turn = left @ np.diag([1, 1, np.sign(np.linalg.det(left @ right))]) @ right
    return turn, moving_middle - turn @ fixed_middle


def _surfaces(segmentation: Segmentation) -> dict[int, np.ndarray]:
    """By label: (N, 3) LPS mm, voxels with a neighbor of another label; where the image ends there is no surface."""
    geometry = segmentation.geometry
    size_mm = (np.prod(geometry.spacing_kji_mm * geometry.shape_kji) / MAX_VOXELS) ** (1 / 3)
    steps = np.maximum(1, np.round(size_mm / geometry.spacing_kji_mm)).astype(int)
    labels = segmentation.labels_kji[tuple(slice(None, None, step) for step in steps)]
    at_surface = np.zeros(labels.shape, bool)
    for axis in range(3):
        ahead, surface = np.moveaxis(labels, axis, 0), np.moveaxis(at_surface, axis, 0)
        differs = ahead[1:] != ahead[:-1]
        surface[1:] |= differs
        surface[:-1] |= differs
    indices_kji = np.argwhere(at_surface & (labels != 0))
    of_label = labels[tuple(indices_kji.T)]
    points_lps_mm = flip_ras_lps(geometry.points_ras_mm((indices_kji * steps)[:, ::-1]))
    found = {int(label): points_lps_mm[of_label == label] for label in np.unique(of_label)}
    return {label: points for label, points in found.items() if len(points) >= FEWEST_POINTS}


def _thinned(points: np.ndarray, count: int) -> np.ndarray:
    """About ``count`` of the points, spread evenly over their order."""
    return points[np.linspace(0, len(points) - 1, min(count, len(points))).astype(int)]
