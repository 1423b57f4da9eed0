"""The single pictures: gray values with outlines, differences, the deformed grid, the change of volume."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import contourpy
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.patheffects import withStroke

from TissueElasticRegistrationLib.core.data.images import ImagePair, Segmentation
from TissueElasticRegistrationLib.core.data.result import RegistrationResult
from TissueElasticRegistrationLib.core.preparation.body import outside_body
from TissueElasticRegistrationLib.core.preparation.preprocessing import intensity_windows, is_ct
from TissueElasticRegistrationLib.core.reporting.picture_planes import Plane
from TissueElasticRegistrationLib.core.reporting.pictures import FOLDED
from TissueElasticRegistrationLib.core.reporting.report_pictures import (
    colors_by_label,
    grid_line_spacing_mm,
    grid_lines,
    mapped_pixels,
    on_plane,
)

# Few enough shades for a small file, too many to be seen as steps in a picture; odd where the middle has a meaning.
GRAY_COLORS, DIFFERENCE_COLORS = colormaps["gray"].resampled(96), colormaps["magma"].resampled(64)
VOLUME_COLORS = colormaps["RdBu_r"].resampled(41)
FOLDED_COLORS = ListedColormap([tuple(channel / 255 for channel in FOLDED)])
EXACT_COLORS = (GRAY_COLORS, DIFFERENCE_COLORS, VOLUME_COLORS)  # whose shades a small file keeps
ON_VALUES = {"interpolation": "bilinear", "interpolation_stage": "data"}
DIFFERENCE_RANGE = 0.3  # of the gray-value window
VOLUME_RANGES = (1.25, 1.5, 2.0, 3.0)  # colors saturate at the change of volume by this factor
SATURATED_PERCENT = 1.0
OUTSIDE = "#8c8c8c"
ROUND_LENGTHS_MM = (5, 10, 20, 50, 100)
SCALE_BAR_SHARE = 0.3
SMOOTHING_VOXELS = 1.5
FILL_OPACITY = 0.25
WHOLLY = 0.999


@dataclass(frozen=True, eq=False)
class PlaneView:
    """Everything about one plane that does not depend on a registration.

    Attributes:
        plane: The plane.
        fixed: (rows, columns) fixed image.
        moving: (rows, columns) moving image before registration.
        moving_valid: (rows, columns) bool, where the moving image has values.
        in_body: (rows, columns) bool, where the fixed image shows the body.
        windows: Gray-value windows of fixed and moving image.
        outlines: Label -> outlines of the fixed image's tissue.
        colors: Label -> color, 0 to 1.
    """

    plane: Plane
    fixed: np.ndarray
    moving: np.ndarray
    moving_valid: np.ndarray
    in_body: np.ndarray
    windows: tuple[tuple[float, float], tuple[float, float]]
    outlines: dict[int, list[np.ndarray]]  # by label: closed curves (N, 2: column, row)
    colors: dict[int, tuple[float, ...]]

    @classmethod
    def of(cls, pair: ImagePair, plane: Plane) -> PlaneView:
        """Sample both images and trace the tissues of the fixed one.

        Args:
            pair: The images.
            plane: The plane.
        """
        fixed, moving, segmentation = pair.fixed, pair.moving, pair.fixed_segmentation
        body = ~outside_body(fixed.array_kji, fixed.geometry, is_ct(fixed))
        covered = np.ones(moving.geometry.shape_kji, np.float32)
        colors = {label: tuple(channel / 255 for channel in rgb) for label, rgb in colors_by_label(pair).items()}
        return cls(
            plane,
            _float_on_plane(fixed.array_kji, fixed.geometry, plane),
            _float_on_plane(moving.array_kji, moving.geometry, plane),
            on_plane(covered, moving.geometry, plane, outside=0.0) > WHOLLY,
            _float_on_plane(body.astype(np.float32), fixed.geometry, plane) > 0.5,
            intensity_windows(fixed, moving),
            _outlines(segmentation, colors, plane),
            colors,
        )


def draw_image(axes: Axes, view: PlaneView, moving: bool = False, outlines: bool = True) -> None:
    """Gray values, with the outlines of the fixed image's tissues if wanted.

    Args:
        axes: Where to draw.
        view: The plane.
        moving: The moving image instead of the fixed one.
        outlines: Whether they are wanted.
    """
    low, high = view.windows[moving]
    axes.imshow(view.moving if moving else view.fixed, cmap=GRAY_COLORS, vmin=low, vmax=high, **ON_VALUES)
    if outlines:
        _draw_outlines(axes, view.outlines, view.colors)


def draw_warped(axes: Axes, view: PlaneView, result: RegistrationResult) -> None:
    """Gray values of the moving image after the registration.

    Args:
        axes: Where to draw.
        view: The plane.
        result: The registration.
    """
    low, high = view.windows[1]
    values = _float_on_plane(result.warped.array_kji, result.warped.geometry, view.plane)
    axes.imshow(values, cmap=GRAY_COLORS, vmin=low, vmax=high, **ON_VALUES)


def draw_difference(axes: Axes, view: PlaneView, result: RegistrationResult | None = None) -> None:
    """|moving - fixed| in the gray-value window.

    Args:
        axes: Where to draw.
        view: The plane.
        result: After this registration; None: before.
    """
    values, valid = view.moving, view.moving_valid
    if result is not None:
        values = _float_on_plane(result.warped.array_kji, result.warped.geometry, view.plane)
        # Not nearest: next to a voxel without a value, interpolation has mixed in what stands for "none".
        valid = _float_on_plane(result.valid_kji.astype(np.float32), result.warped.geometry, view.plane) > WHOLLY
    shades = [
        np.clip((array - low) / (high - low), 0, 1)
        for array, (low, high) in zip((view.fixed, values), view.windows, strict=True)
    ]
    axes.set_facecolor(OUTSIDE)
    difference = np.ma.masked_array(np.abs(shades[1] - shades[0]), ~valid)
    axes.imshow(difference, cmap=DIFFERENCE_COLORS, vmin=0, vmax=DIFFERENCE_RANGE, **ON_VALUES)


def draw_grid(axes: Axes, view: PlaneView, result: RegistrationResult) -> None:
    """Tissues and straight lines of the fixed image, where the deformation puts them.

    Args:
        axes: Where to draw.
        view: The plane.
        result: The registration.
    """
    axes.set_facecolor("white")
    for label, curves in view.outlines.items():
        moved = mapped_pixels(curves, result, view.plane)
        color = view.colors[label]
        axes.add_patch(PathPatch(_joined(moved), facecolor=(*color, FILL_OPACITY), edgecolor=color, linewidth=1.1))
    for line in mapped_pixels(grid_lines(view.plane, grid_line_spacing_mm(view.plane)), result, view.plane):
        axes.plot(*line.T, color="#303030", linewidth=0.7)


def draw_volume_change(axes: Axes, view: PlaneView, result: RegistrationResult, saturation: float) -> None:
    """Jacobian determinant inside the body: blue below 1, red above, logarithmic; magenta where the deformation folds.

    Args:
        axes: Where to draw.
        view: The plane.
        result: The registration.
        saturation: Determinant at which the red saturates; its inverse that of the blue.
    """
    axes.set_facecolor("white")
    axes.imshow(_volume_logarithm(view, result), cmap=VOLUME_COLORS, norm=volume_norm(saturation), **ON_VALUES)
    folded = on_plane(result.jacobian_kji, result.geometry, view.plane, nearest=True, outside=1.0) <= 0
    if np.any(folded & view.in_body):
        axes.imshow(
            np.ma.masked_array(np.ones(folded.shape), ~(folded & view.in_body)),
            cmap=FOLDED_COLORS,
            interpolation="nearest",
        )
    _draw_outlines(axes, view.outlines, "#505050", 0.6)


def draw_overlap(axes: Axes, view: PlaneView, result: RegistrationResult) -> None:
    """The fixed image with the tissues of the warped segmentation in color over those of its own in white.

    Without a moving segmentation: the warped image with the fixed tissues.

    Args:
        axes: Where to draw.
        view: The plane.
        result: The registration.
    """
    warped = result.warped_segmentation
    shown = (
        view.fixed
        if warped is not None
        else _float_on_plane(result.warped.array_kji, result.warped.geometry, view.plane)
    )
    low, high = view.windows[warped is None]
    axes.imshow(shown, cmap=GRAY_COLORS, vmin=low, vmax=high, **ON_VALUES)
    if warped is None:
        _draw_outlines(axes, view.outlines, view.colors)
        return
    _draw_outlines(axes, view.outlines, "white", 1.6)
    _draw_outlines(axes, _outlines(warped, view.colors, view.plane), view.colors)


def volume_norm(saturation: float) -> Normalize:
    """Colors of the natural logarithm of the determinant: 1 in the middle."""
    return Normalize(-np.log(saturation), np.log(saturation))


def volume_saturation(views: Collection[PlaneView], results: Collection[RegistrationResult]) -> float:
    """The first of ``VOLUME_RANGES`` that all but a few pixels stay within.

    Args:
        views: The planes.
        results: The registrations.
    """
    logarithms = [_volume_logarithm(view, result).compressed() for view in views for result in results]
    high = np.exp(np.percentile(np.abs(np.concatenate(logarithms)), 100 - SATURATED_PERCENT))
    return next((saturation for saturation in VOLUME_RANGES if saturation >= high), VOLUME_RANGES[-1])


def _volume_logarithm(view: PlaneView, result: RegistrationResult) -> np.ma.MaskedArray:
    determinant = on_plane(result.jacobian_kji, result.geometry, view.plane, outside=1.0)
    return np.ma.masked_array(np.log(np.maximum(determinant, 1e-3)), ~view.in_body)


def draw_orientation(axes: Axes, view: PlaneView, size: float) -> None:
    """What lies at the left, right, top and bottom edge, and a bar of known length.

    Args:
        axes: Where to draw.
        view: The plane.
        size: Of the letters.
    """
    rows, columns = view.fixed.shape
    stroke = [withStroke(linewidth=2, foreground="black")]
    places = (
        (0.02, 0.5, "left", "center"),
        (0.98, 0.5, "right", "center"),
        (0.5, 0.985, "center", "top"),
        (0.5, 0.015, "center", "bottom"),
    )
    for letter, (x, y, across, down) in zip(view.plane.edges, places, strict=True):
        axes.text(
            x,
            y,
            letter,
            transform=axes.transAxes,
            ha=across,
            va=down,
            color="white",
            fontsize=size,
            path_effects=stroke,
        )
    wanted_mm = SCALE_BAR_SHARE * columns * view.plane.pixel_mm
    length_mm = max([mm for mm in ROUND_LENGTHS_MM if mm <= wanted_mm], default=ROUND_LENGTHS_MM[0])
    end, level = 0.96 * columns, rows - 0.04 * columns
    start = end - length_mm / view.plane.pixel_mm
    axes.plot([start, end], [level, level], color="white", linewidth=2, solid_capstyle="butt", path_effects=stroke)
    axes.text(
        (start + end) / 2,
        level - 0.015 * columns,
        f"{length_mm} mm",
        color="white",
        fontsize=size,
        ha="center",
        va="bottom",
        path_effects=stroke,
    )


def _float_on_plane(array_kji: np.ndarray, geometry, plane: Plane) -> np.ndarray:
    return on_plane(array_kji.astype(np.float32, copy=False), geometry, plane)


def _outlines(segmentation: Segmentation, labels: Iterable[int], plane: Plane) -> dict[int, list[np.ndarray]]:
    """Closed curves by label. The largest first: where two tissues touch, the outline of the smaller one is seen."""
    masks = {label: (segmentation.labels_kji == label).astype(np.float32) for label in labels}
    smoothing = SMOOTHING_VOXELS * np.median(segmentation.geometry.spacing_ijk_mm) / plane.pixel_mm
    return {
        label: [
            _smooth(curve, smoothing) for curve in _outline(_float_on_plane(masks[label], segmentation.geometry, plane))
        ]
        for label in sorted(masks, key=lambda label: -np.count_nonzero(masks[label]))
    }


def _outline(share: np.ndarray) -> list[np.ndarray]:
    """Closed curves (N, 2: column, row) around where ``share`` is more than a half."""
    framed = np.pad(share, 1)  # so that curves close at the edge of the picture
    lines = contourpy.contour_generator(z=framed).lines(0.5)
    return [line - 1 for line in lines]


def _smooth(curve: np.ndarray, width: float) -> np.ndarray:
    """A closed curve without the steps of its voxels: moving average over about ``width`` points."""
    reach = min(int(width / 2), (len(curve) - 1) // 4)
    if reach < 1:
        return curve
    around = np.pad(curve[:-1], ((reach, reach), (0, 0)), mode="wrap")
    kernel = np.full(2 * reach + 1, 1 / (2 * reach + 1))
    smooth = np.stack([np.convolve(column, kernel, "valid") for column in around.T], 1)
    return np.vstack([smooth, smooth[:1]])


def _draw_outlines(
    axes: Axes, outlines: dict[int, list[np.ndarray]], color: str | dict[int, tuple[float, ...]], linewidth: float = 1.1
) -> None:
    """In one color or, by label, in several."""
    for label, curves in outlines.items():
        for curve in curves:
            axes.plot(*curve.T, color=color if isinstance(color, str) else color[label], linewidth=linewidth)


def _joined(curves: list[np.ndarray]) -> Path:
    """One path of several closed curves: what one of them encloses inside of another one stays empty."""
    if not curves:
        return Path(np.zeros((0, 2)))
    return Path.make_compound_path(*(Path(curve, closed=True) for curve in curves))
