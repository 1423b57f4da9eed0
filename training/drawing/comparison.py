"""Figure 3 of the paper: one pair, and a row of pictures for each way to register it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from TissueElasticRegistrationLib.core.data.images import ImagePair
from TissueElasticRegistrationLib.core.data.result import TissueResult
from TissueElasticRegistrationLib.core.data.tissues import BACKGROUND_ID, UNSEGMENTED_ID
from TissueElasticRegistrationLib.core.preparation.preprocessing import is_ct
from TissueElasticRegistrationLib.core.reporting.picture_planes import Plane
from TissueElasticRegistrationLib.core.reporting.pictures import TISSUE_COLORS
from TissueElasticRegistrationLib.core.reporting.report_pictures import grid_line_spacing_mm

from .compared import Compared
from .pages import shortened
from .panels import (
    DIFFERENCE_COLORS,
    DIFFERENCE_RANGE,
    EXACT_COLORS,
    FOLDED_COLORS,
    VOLUME_COLORS,
    PlaneView,
    draw_difference,
    draw_grid,
    draw_image,
    draw_orientation,
    draw_overlap,
    draw_volume_change,
    draw_warped,
    volume_norm,
    volume_saturation,
)

# Whose shades a small file keeps: a tissue may be seen in a legend only.
EXACT = (*EXACT_COLORS, FOLDED_COLORS, ListedColormap(np.array(TISSUE_COLORS) / 255))
# All lengths in pixels of a PNG.
WIDTH, DPI = 1240, 100
LEFT, RIGHT, TOP, GAP, ROW_GAP = 30, 8, 54, 5, 48
TITLES = ("Moving, fixed", "Warped", "Deformation", "Jacobian determinant", "Difference", "Outlines")
TALLEST = 1.3  # of a panel's width
BAR_HEIGHT, BELOW = 10, 66
LARGE, NORMAL, SMALL = 13.0, 10.5, 9.5  # points
MAX_TISSUES = 6  # are named below a row
MAX_TITLE, MAX_LINE, MAX_NAME = 50, 140, 20  # letters


def comparison_figure(pair: ImagePair, plane: Plane, rows: Sequence[Compared], title: str) -> Figure:
    """The images in the first column, what became of them in the others: a row of panels for each registration.

    All pictures show one plane with square pixels, whatever the voxels. Below each row stand Dice, standard deviation
    of the Jacobian determinant, folding and, if there are landmarks, their error, and the parameters.

    Args:
        pair: The images.
        plane: The plane.
        rows: One for each registration.
        title: Above all.
    """
    view = PlaneView.of(pair, plane)
    count = max(len(rows), 2)  # the first column needs two
    panel_width = (WIDTH - LEFT - RIGHT - (len(TITLES) - 1) * GAP) / len(TITLES)
    height_of_plane, width_of_plane = view.fixed.shape
    panel_height = min(height_of_plane / width_of_plane, TALLEST) * panel_width
    height = TOP + count * (panel_height + ROW_GAP) + BELOW
    figure = Figure(figsize=(WIDTH / DPI, height / DPI), dpi=DPI, facecolor="white")

    def panel(row: int, column: int, name: str) -> Axes:
        left, top = LEFT + column * (panel_width + GAP), TOP + row * (panel_height + ROW_GAP)
        axes = figure.add_axes(
            (left / WIDTH, 1 - (top + panel_height) / height, panel_width / WIDTH, panel_height / height), label=name
        )
        axes.set(
            xlim=(-0.5, width_of_plane - 0.5),
            ylim=(height_of_plane - 0.5, -0.5),
            xticks=[],
            yticks=[],
            aspect="equal",
            autoscale_on=False,
        )
        axes.spines[:].set_color("#b0b0b0")
        if row == 0:
            axes.set_title(TITLES[column], fontsize=LARGE)
        return axes

    _draw_before([panel(row, 0, name) for row, name in enumerate(("moving", "fixed", "before")[:count])], view)
    saturation = volume_saturation([view], [row.result for row in rows])
    draw: tuple[Callable[[Axes, Compared], None], ...] = (
        lambda axes, row: draw_warped(axes, view, row.result),
        lambda axes, row: draw_grid(axes, view, row.result),
        lambda axes, row: draw_volume_change(axes, view, row.result, saturation),
        lambda axes, row: draw_difference(axes, view, row.result),
        lambda axes, row: draw_overlap(axes, view, row.result),
    )
    for number, row in enumerate(rows):
        for column, drawn in enumerate(draw, start=1):
            drawn(panel(number, column, f"{row.name}: {TITLES[column]}"), row)
        bottom = TOP + (number + 1) * panel_height + number * ROW_GAP
        figure.text(
            (LEFT + panel_width + GAP) / WIDTH,
            1 - (bottom + 6) / height,
            f"{row_text(row, pair)}\n{parameter_text(row)}",
            fontsize=SMALL,
            va="top",
            linespacing=1.4,
        )
        figure.text(
            12 / WIDTH,
            1 - (bottom - panel_height / 2) / height,
            row.name,
            fontsize=LARGE,
            fontweight="bold",
            rotation=90,
            ha="center",
            va="center",
        )
    figure.text(LEFT / WIDTH, 1 - 6 / height, shortened(title, MAX_TITLE), fontsize=NORMAL, va="top")
    figure.text(
        (LEFT + 2 * (panel_width + GAP)) / WIDTH, 1 - 6 / height, before_text(rows[0]), fontsize=SMALL, va="top"
    )
    _draw_scales(
        figure, pair, view, rows, saturation, lambda column: LEFT + column * (panel_width + GAP), panel_width, height
    )
    return figure


def row_text(row: Compared, pair: ImagePair) -> str:
    """Mean Dice, standard deviation of the Jacobian determinant, folding, landmark error, Dice by tissue.

    Args:
        row: The registration.
        pair: The images.
    """
    errors = row.result.landmark_errors
    dice, by_tissue = _dice_texts(row, lambda tissue: tissue.dice_after)
    return _spaced(
        dice,
        f"std J {row.jacobian_deviation(pair.fixed_segmentation):.3f}",
        f"folding {row.result.negative_jacobian_percent:.2f} %",
        "" if errors is None else f"landmark error {errors.after_mean:.2f} mm",
        by_tissue,
    )


def before_text(row: Compared) -> str:
    """The same before the registration, where there is something to tell."""
    errors = row.result.landmark_errors
    dice, by_tissue = _dice_texts(row, lambda tissue: tissue.dice_before)
    text = _spaced(dice, "" if errors is None else f"landmark error {errors.before_mean:.2f} mm", by_tissue)
    return f"Before: {text}" if text else ""


def parameter_text(row: Compared) -> str:
    """λ and μ of the tissues, and where they come from."""
    weights = {_short_name(tissue): _weights(row, tissue) for tissue in _named(row)}
    if row.is_global or len(set(weights.values())) == 1:
        shown = f"({next(iter(weights.values()))}) everywhere"
    else:
        shown = _listed([f"{name} ({weight})" for name, weight in weights.items()], ", ")
    return shortened(f"{'λ, ' if row.has_lambda else ''}μ {row.origin}: {shown}", MAX_LINE)


def _weights(row: Compared, tissue: TissueResult) -> str:
    lam = f"{tissue.parameters.lam:.3g}, " if row.has_lambda else ""
    return f"{lam}{tissue.parameters.mu:.3g}"


def _dice_texts(row: Compared, dice: Callable[[TissueResult], float]) -> tuple[str, str]:
    """The mean, and every tissue; empty if nothing was measured."""
    values = [(_short_name(tissue), dice(tissue)) for tissue in _named(row) if np.isfinite(dice(tissue))]
    if not values:
        return "", ""
    mean = np.mean([value for _, value in values])
    return f"Dice {mean:.3f}", _listed([f"{name} {value:.3f}" for name, value in values], ", ")


def _spaced(*parts: str) -> str:
    return shortened("    ".join(part for part in parts if part), MAX_LINE)


def _short_name(tissue: TissueResult) -> str:
    return shortened(tissue.tissue.name, MAX_NAME)


def _named(row: Compared) -> list[TissueResult]:
    """Tissues that have a segment."""
    return [tissue for tissue in row.result.tissues if tissue.tissue.id not in (BACKGROUND_ID, UNSEGMENTED_ID)]


def _listed(texts: Sequence[str], between: str) -> str:
    more = len(texts) - MAX_TISSUES
    return between.join([*texts[:MAX_TISSUES], *([f"{more} more"] if more > 0 else [])])


def _draw_before(panels: Sequence[Axes], view: PlaneView) -> None:
    draw_image(panels[0], view, moving=True, outlines=False)
    draw_image(panels[1], view, outlines=False)
    draw_orientation(panels[0], view, SMALL)
    if len(panels) > 2:
        draw_difference(panels[2], view)
        panels[2].set_xlabel("difference before", fontsize=SMALL, labelpad=4)
    panels[0].set_xlabel("moving", fontsize=SMALL, labelpad=4)
    panels[1].set_xlabel("fixed", fontsize=SMALL, labelpad=4)


def _draw_scales(
    figure: Figure,
    pair: ImagePair,
    view: PlaneView,
    rows: Sequence[Compared],
    saturation: float,
    left: Callable[[int], float],
    panel_width: float,
    height: float,
) -> None:
    """Below the columns: what their colors mean."""
    low, high = view.windows[0]
    factor, unit = (high - low, "HU") if is_ct(pair.fixed) else (100.0, "% of window")
    volume = ScalarMappable(volume_norm(saturation), VOLUME_COLORS)
    ends = volume.norm.vmax
    difference = ScalarMappable(Normalize(0, DIFFERENCE_RANGE * factor), DIFFERENCE_COLORS)
    for column, colors, ticks, labels, caption in (
        (3, volume, [-ends, 0, ends], [f"{1 / saturation:.2g}", "1", f"{saturation:g}"], "shrinks        grows"),
        (4, difference, None, None, f"|fixed − warped|, {unit}"),
    ):
        axes = figure.add_axes(
            (
                (left(column) + 14) / WIDTH,
                (BELOW - BAR_HEIGHT - 4) / height,
                (panel_width - 28) / WIDTH,
                BAR_HEIGHT / height,
            ),
            label=f"scale {column}",
        )
        bar = figure.colorbar(colors, cax=axes, orientation="horizontal")
        if ticks is not None:
            bar.set_ticks(ticks, labels=labels)
        axes.tick_params(labelsize=SMALL, length=3, pad=2)
        axes.set_xlabel(caption, fontsize=SMALL, labelpad=2)
    middle = [(left(column) + panel_width / 2) / WIDTH for column in range(len(TITLES))]
    figure.text(
        middle[2],
        (BELOW - 4) / height,
        f"grid of {grid_line_spacing_mm(view.plane):g} mm and tissues of\nthe fixed image, deformed",
        fontsize=SMALL,
        ha="center",
        va="top",
        linespacing=1.3,
    )
    has_labels = rows[0].result.warped_segmentation is not None
    figure.text(
        middle[5],
        (BELOW - 4) / height,
        "color: warped, white: fixed" if has_labels else "tissues of the fixed image\non the warped one",
        fontsize=SMALL,
        ha="center",
        va="top",
    )
    names = {tissue.tissue.label: _short_name(tissue) for tissue in _named(rows[0])}
    handles = [
        Line2D([], [], color=color, label=names[label], linewidth=2)
        for label, color in view.colors.items()
        if label in names
    ]
    if any(row.result.negative_jacobian_percent > 0 for row in rows):
        handles.append(Patch(color=FOLDED_COLORS(0), label="folded"))
    figure.legend(
        handles=handles[: 2 * MAX_TISSUES],
        loc="upper left",
        ncols=min(len(handles), MAX_TISSUES),
        frameon=False,
        fontsize=SMALL,
        borderpad=0,
        borderaxespad=0,
        handlelength=1.2,
        columnspacing=1.4,
        bbox_to_anchor=(left(0) / WIDTH, (BELOW - 4) / height),
    )
