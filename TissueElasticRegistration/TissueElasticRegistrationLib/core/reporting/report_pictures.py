"""The pictures of a report: for each plane the images before and after, their differences, the deformation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ..data.geometry import Geometry
from ..data.images import ImagePair
from ..data.itk_bridge import resample_array
from ..data.result import RegistrationResult
from ..data.tissues import BACKGROUND
from ..evaluation.metrics import map_points_ras_mm
from ..preparation.preprocessing import intensity_windows
from . import pictures
from .picture_planes import Plane, picture_planes

GRID_LINES = 24
ROUND_LENGTHS_MM = (1, 2, 5, 10, 20, 50)


@dataclass(frozen=True, eq=False)
class Picture:
    """An RGB array with what it shows.

    Attributes:
        caption: What it shows.
        rgb: (rows, columns, 3) uint8.
    """

    caption: str
    rgb: np.ndarray


def colors_by_label(pair: ImagePair) -> dict[int, tuple[int, int, int]]:
    """Color of every tissue of the fixed segmentation except the background."""
    labels = [tissue.label for tissue in pair.fixed_segmentation.tissues if tissue.label != BACKGROUND]
    return {label: pictures.tissue_color(number) for number, label in enumerate(labels)}


def report_pictures(pair: ImagePair, result: RegistrationResult) -> list[tuple[Plane, list[Picture]]]:
    """Seven pictures for each plane, always in the same order. Outlines are those of the fixed image's tissues.

    Args:
        pair: The images that were registered.
        result: The result of the registration.

    Returns:
        The planes (see `picture_planes`), each with its pictures.
    """
    windows = intensity_windows(pair.fixed, pair.moving)
    return [(plane, _of_plane(pair, result, plane, windows)) for plane in picture_planes(pair.fixed_segmentation)]


def _of_plane(pair: ImagePair, result: RegistrationResult, plane: Plane, windows) -> list[Picture]:
    fixed_window, moving_window = windows
    fixed = on_plane(pair.fixed.array_kji, pair.fixed.geometry, plane)
    moving = on_plane(pair.moving.array_kji, pair.moving.geometry, plane)
    warped = on_plane(result.warped.array_kji, result.warped.geometry, plane)
    labels = on_plane(pair.fixed_segmentation.labels_kji, pair.fixed_segmentation.geometry, plane, nearest=True)
    moving_valid = on_plane(np.ones(pair.moving.geometry.shape_kji, np.uint8), pair.moving.geometry, plane) > 0
    warped_valid = on_plane(result.valid_kji.astype(np.uint8), result.warped.geometry, plane, nearest=True) > 0
    determinant = on_plane(result.jacobian_kji, result.geometry, plane, nearest=True, outside=1.0)
    colors = colors_by_label(pair)

    def with_outlines(values: np.ndarray, window: tuple[float, float]) -> np.ndarray:
        return pictures.outlined(pictures.gray(values, window), labels, colors)

    def difference_to(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
        reference = pictures.windowed(fixed, fixed_window)
        return pictures.difference(reference, pictures.windowed(values, moving_window), valid)

    spacing_mm = grid_line_spacing_mm(plane)
    grid = pictures.with_curves(pictures.gray(fixed, fixed_window) // 2, _curves(result, plane, spacing_mm))
    faint = dict.fromkeys(colors, pictures.NOTHING)
    return [
        Picture("Fixed image", with_outlines(fixed, fixed_window)),
        Picture("Moving image before", with_outlines(moving, moving_window)),
        Picture("Moving image after", with_outlines(warped, moving_window)),
        Picture("Difference before", difference_to(moving, moving_valid)),
        Picture("Difference after", difference_to(warped, warped_valid)),
        Picture(f"Deformation of a {spacing_mm:g} mm grid", grid),
        Picture("Volume change", pictures.outlined(pictures.jacobian(determinant), labels, faint)),
    ]


def on_plane(
    values_kji: np.ndarray, geometry: Geometry, plane: Plane, nearest: bool = False, outside: float | None = None
) -> np.ndarray:
    """A volume on a plane.

    Args:
        values_kji: (K, J, I).
        geometry: Where the voxels lie.
        plane: The plane.
        nearest: Nearest neighbor instead of linear interpolation.
        outside: What lies outside of the volume; None: its lowest value.

    Returns:
        (rows, columns) in the type of the values.
    """
    default = float(values_kji.min()) if outside is None else outside
    identity = sitk.Transform(3, sitk.sitkIdentity)
    return resample_array(values_kji, geometry, identity, plane.geometry, default, nearest)[0]


def grid_line_spacing_mm(plane: Plane) -> float:
    """A round distance that gives about ``GRID_LINES`` lines along the longer side."""
    unit_mm = plane.geometry.patient_mm
    wanted = plane.pixel_mm * max(plane.geometry.shape_kji) / GRID_LINES / unit_mm
    return unit_mm * min(ROUND_LENGTHS_MM, key=lambda length: abs(np.log(length / wanted)))


def _rigid_part_ras(result: RegistrationResult) -> np.ndarray:
    """4x4 rotation and translation, fixed RAS to moving RAS mm, closest to the whole mapping (least squares)."""
    points = result.geometry.voxel_centers_ras_mm()[:, ::4, ::4]
    mapped = points + result.displacement_ras_mm[:, ::4, ::4]
    points, mapped = points.reshape(-1, 3), mapped.reshape(-1, 3)
    center, mapped_center = points.mean(0), mapped.mean(0)
    left, _, right = np.linalg.svd((mapped - mapped_center).T @ (points - center))
    handedness = np.diag([1.0, 1.0, np.linalg.det(left @ right)])
    matrix = np.eye(4)
    matrix[:3, :3] = left @ handedness @ right
    matrix[:3, 3] = mapped_center - matrix[:3, :3] @ center
    return matrix


def _curves(result: RegistrationResult, plane: Plane, spacing_mm: float) -> list[np.ndarray]:
    """Evenly spaced straight lines of the fixed image, where the deformation puts their points."""
    return mapped_pixels(grid_lines(plane, spacing_mm), result, plane)


def grid_lines(plane: Plane, spacing_mm: float) -> list[np.ndarray]:
    """Horizontal and vertical lines across a plane.

    Args:
        plane: The plane.
        spacing_mm: Distance of the lines.

    Returns:
        For each line its points (N, 2: column, row), half a pixel apart.
    """
    rows, columns = plane.geometry.shape_kji[1:]
    step = spacing_mm / plane.pixel_mm
    along_row, along_column = np.arange(0, columns, 0.5), np.arange(0, rows, 0.5)
    lines = [np.stack([along_row, np.full_like(along_row, row)], 1) for row in np.arange(step / 2, rows, step)]
    lines += [
        np.stack([np.full_like(along_column, column), along_column], 1) for column in np.arange(step / 2, columns, step)
    ]
    return lines


def mapped_pixels(curves: list[np.ndarray], result: RegistrationResult, plane: Plane) -> list[np.ndarray]:
    """Points of a plane through the fixed image, where the deformation puts them, projected on it.

    If the images were aligned first, the rigid motion that fits best is taken out, so that the deformation is seen.

    Args:
        curves: Each (N, 2: column, row).
        result: The registration that moves them.
        plane: The plane.

    Returns:
        The curves, each (N, 2: column, row).
    """
    undo = np.linalg.inv(np.eye(4) if result.initial == "none" else _rigid_part_ras(result))
    mapped_curves = []
    for curve in curves:
        points = plane.geometry.points_ras_mm(np.pad(curve, ((0, 0), (0, 1))))
        mapped = map_points_ras_mm(points, result.displacement_ras_mm, result.geometry)
        mapped_curves.append(plane.pixels(mapped @ undo[:3, :3].T + undo[:3, 3]))
    return mapped_curves
