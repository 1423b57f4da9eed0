"""Which plane the picture shows, cut to the segmented part of the body."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.data.images import ImagePair, Segmentation
from TissueElasticRegistrationLib.core.data.tissues import BACKGROUND
from TissueElasticRegistrationLib.core.reporting.picture_planes import Plane, picture_planes

MAX_SIDE_PIXELS = 480
MARGIN = 0.05  # of the longest side of what is segmented
MIN_MARGIN_MM = 12.0
ACROSS = {"coronal": 1, "axial": 2, "sagittal": 0}  # the axis in RAS across each; the first choice first


def shown_plane(pair: ImagePair, view: str | None = None, position_mm: float | None = None) -> Plane:
    """The plane that the pictures show, cut to the segmented part of the body.

    Args:
        pair: The images.
        view: "axial", "coronal" or "sagittal"; None for coronal, else axial, else sagittal: the first that is at least
            half as large as the largest.
        position_mm: Place of its middle along the axis across it: S of an axial, A of a coronal, R of a sagittal plane,
            in RAS mm; None: the middle of what is segmented.

    Raises:
        ValueError: The images have no such plane, or nothing is segmented in it.
    """
    box_ras_mm = _segmented_box(pair.fixed_segmentation)
    by_name = {plane.name: plane for plane in picture_planes(pair.fixed_segmentation)}
    cut = {name: _cut(by_name[name], box_ras_mm) for name in ACROSS if name in by_name}
    if view is None:
        largest_mm2 = max(_area_mm2(plane) for plane in cut.values())
        view = next(name for name, plane in cut.items() if _area_mm2(plane) >= largest_mm2 / 2)
    if view not in cut:
        raise ValueError(f"There is no {view} plane: the images are single slices of another orientation.")
    return cut[view] if position_mm is None else _moved(cut[view], position_mm, box_ras_mm)


def _moved(plane: Plane, position_mm: float, box_ras_mm: np.ndarray) -> Plane:
    axis = ACROSS[plane.name]
    matrix = plane.geometry.ijk_to_ras.copy()
    normal = np.cross(matrix[:3, 0], matrix[:3, 1])
    normal /= np.linalg.norm(normal)
    rows, columns = plane.geometry.shape_kji[1:]
    middle = plane.geometry.points_ras_mm([(columns - 1) / 2, (rows - 1) / 2, 0.0])
    matrix[:3, 3] += normal * (position_mm - middle[axis]) / normal[axis]
    across = (box_ras_mm - matrix[:3, 3]) @ normal
    if across.min() > 0 or across.max() < 0:
        raise ValueError(f"Nothing is segmented in the {plane.name} plane at {position_mm:g} mm.")
    return replace(plane, geometry=Geometry(plane.geometry.shape_kji, matrix))


def _segmented_box(segmentation: Segmentation) -> np.ndarray:
    """(8, 3) corners in RAS mm of the box around all labels, along the grid's axes, margin included."""
    geometry = segmentation.geometry
    present = np.argwhere(segmentation.labels_kji != BACKGROUND)[:, ::-1]
    lowest, highest = present.min(0) - 0.5, present.max(0) + 0.5
    longest_mm = float(((highest - lowest) * geometry.spacing_ijk_mm).max())
    margin = max(MARGIN * longest_mm, MIN_MARGIN_MM) / geometry.spacing_ijk_mm
    last = np.array(geometry.shape_kji[::-1]) - 0.5
    edges = np.stack([np.maximum(lowest - margin, -0.5), np.minimum(highest + margin, last)])
    corners = np.array([[edges[side, axis] for axis, side in enumerate(sides)] for sides in np.ndindex(2, 2, 2)])
    return geometry.points_ras_mm(corners)


def _cut(plane: Plane, box_ras_mm: np.ndarray) -> Plane:
    """The part of ``plane`` inside the box, in finer pixels."""
    corners = plane.pixels(box_ras_mm)
    start, size = corners.min(0), np.ptp(corners, axis=0)
    zoom = MAX_SIDE_PIXELS / size.max()
    columns, rows = np.maximum(np.rint(size * zoom), 1).astype(int)
    matrix = plane.geometry.ijk_to_ras.copy()
    matrix[:3, :2] /= zoom
    first = start + 0.5 / zoom  # pixel centers lie half a pixel inside
    matrix[:3, 3] = plane.geometry.points_ras_mm([*first, 0.0])
    return replace(plane, geometry=Geometry((1, rows, columns), matrix))


def _area_mm2(plane: Plane) -> float:
    rows, columns = plane.geometry.shape_kji[1:]
    return rows * columns * plane.pixel_mm**2
