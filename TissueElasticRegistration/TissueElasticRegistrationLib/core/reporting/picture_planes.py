"""Where a report picture lies in space: a grid of square pixels through the fixed image, seen the radiological way."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from ..data.geometry import Geometry
from ..data.images import Segmentation
from ..data.tissues import BACKGROUND

MAX_SIDE_PIXELS = 400
# Viewer's right and down in RAS: patient right is on the viewer's left, anterior or superior on top.
_LEFT, _POSTERIOR, _INFERIOR = (-1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, -1.0)
VIEWS = {"axial": (_LEFT, _POSTERIOR), "coronal": (_LEFT, _INFERIOR), "sagittal": (_POSTERIOR, _INFERIOR)}
EDGES = {_LEFT: ("R", "L"), _POSTERIOR: ("A", "P"), _INFERIOR: ("S", "I")}


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane through the fixed image with square pixels.

    Attributes:
        name: "axial", "coronal" or "sagittal".
        geometry: (1, rows, columns), pixel (0, 0) top left, i to the viewer's right, j down.
        edges: What lies at the left, right, top and bottom edge of the picture: R, L, A, P, S or I.
    """

    name: str
    geometry: Geometry
    edges: tuple[str, str, str, str]

    @property
    def pixel_mm(self) -> float:
        """Side of a pixel in mm."""
        return float(self.geometry.spacing_ijk_mm[0])

    def pixels(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """Points in space on the plane, projected along its normal.

        Args:
            points_ras_mm: (..., 3) in RAS mm.

        Returns:
            (..., 2) column and row in pixels.
        """
        return self.geometry.points_ijk(points_ras_mm)[..., :2]


def picture_planes(segmentation: Segmentation) -> list[Plane]:
    """Axial, coronal and sagittal planes through the middle of the labels, along the closest axes of their grid.

    The middle is the median of the labeled voxels, so every plane shows some of them.

    Args:
        segmentation: Of the fixed image, with at least one labeled voxel.

    Returns:
        Three planes; one for a single slice.
    """
    geometry = segmentation.geometry
    labeled = segmentation.labels_kji != BACKGROUND
    middle_ijk = [_median_index(labeled, axis) for axis in (2, 1, 0)]
    axis_for = _closest_axes(geometry)
    planes = []
    for name, directions in VIEWS.items():
        axes = [axis_for[int(np.argmax(np.abs(direction)))] for direction in directions]
        if all(geometry.shape_kji[2 - axis] > 1 for axis in axes):
            planes.append(_plane(name, directions, axes, geometry, middle_ijk))
    return planes


def _median_index(mask_kji: np.ndarray, axis: int) -> int:
    """Index along an axis with half of the mask's voxels on either side; there is at least one voxel at it."""
    counts = np.count_nonzero(mask_kji, axis=tuple(other for other in range(3) if other != axis))
    cumulative = np.cumsum(counts)
    return int(np.searchsorted(cumulative, cumulative[-1] / 2))


def _closest_axes(geometry: Geometry) -> dict[int, int]:
    """World axis (0 R, 1 A, 2 S) -> the voxel axis (0 i, 1 j, 2 k) that runs along it most closely, each used once."""
    along = np.abs(geometry.ijk_to_ras[:3, :3] / geometry.spacing_ijk_mm)
    best = max(permutations(range(3)), key=lambda axes: sum(along[world, axis] for world, axis in enumerate(axes)))
    return dict(enumerate(best))


def _plane(name: str, directions, axes: list[int], geometry: Geometry, middle_ijk: list[int]) -> Plane:
    """The plane spanned by two voxel axes, through the middle along the third: columns run right, rows down."""
    size = np.array(geometry.shape_kji[::-1])
    vectors = [geometry.ijk_to_ras[:3, axis] for axis in axes]
    signs = [
        1.0 if vector @ np.array(direction) > 0 else -1.0 for vector, direction in zip(vectors, directions, strict=True)
    ]
    extent_mm = geometry.spacing_ijk_mm[axes] * size[axes]
    pixel_mm = extent_mm.max() / MAX_SIDE_PIXELS
    columns, rows = (max(int(round(length)), 1) for length in extent_mm / pixel_mm)
    matrix = np.eye(4)
    for column, (vector, sign) in enumerate(zip(vectors, signs, strict=True)):
        matrix[:3, column] = sign * vector / np.linalg.norm(vector) * pixel_mm
    normal = ({0, 1, 2} - set(axes)).pop()
    matrix[:3, 2] = geometry.ijk_to_ras[:3, normal]
    center_ijk = (size - 1) / 2
    center_ijk[normal] = middle_ijk[normal]
    center = np.array([(columns - 1) / 2, (rows - 1) / 2, 0])
    matrix[:3, 3] = geometry.points_ras_mm(center_ijk) - matrix[:3, :3] @ center
    edges = (*EDGES[directions[0]], *EDGES[directions[1]])
    return Plane(name, Geometry((1, rows, columns), matrix), edges)
