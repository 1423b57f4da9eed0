"""All registrations in one picture: images, differences, deformation, change of volume, measurements."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from TissueElasticRegistrationLib.core.data.images import ImagePair
from TissueElasticRegistrationLib.core.preparation.preprocessing import is_ct
from TissueElasticRegistrationLib.core.reporting.report_pictures import grid_line_spacing_mm
from training.drawing.panels import (
    DIFFERENCE_COLORS,
    DIFFERENCE_RANGE,
    EXACT_COLORS,
    VOLUME_COLORS,
    PlaneView,
    draw_difference,
    draw_grid,
    draw_image,
    draw_orientation,
    draw_volume_change,
    volume_norm,
    volume_saturation,
)
from training.drawing.planes import shown_plane
from training.drawing.small_png import save_small_png

from .charts import (
    BEFORE_COLOR,
    NAME_START,
    RUN_COLORS,
    draw_measure,
    draw_tissue_names,
    measured,
    tissue_names,
)
from .runs import ESTIMATE, TABLE, UNIFORM, Run, Runs
from .summary import weight_text

# All lengths in pixels of the finished picture.
WIDTH, DPI = 1600, 100
LEFT, RIGHT, TOP, BOTTOM = 34, 12, 10, 10
GAP, GROUP_GAP = 6, 30
HEADING, TITLES, SECTION_GAP, SCALES = 40, 30, 22, 62
COLUMNS, COLUMNS_BEFORE = 6, 3
MAX_DETAIL = 60  # letters on the right of a heading
TALLEST = 1.2  # of a panel's width
TALLEST_CHART_ROW = 120
TITLES_OF_COLUMNS = ("Fixed", "Moving", "|Difference|", "|Difference|", "Deformation", "Volume change")
TITLES_OF_RUNS = {UNIFORM: "Uniform", TABLE: "Tissue table", ESTIMATE: "Auto-estimate"}
LARGE, NORMAL, SMALL = 14.5, 13.0, 11.0  # points


def save_overview(pair: ImagePair, runs: Runs, path: Path) -> None:
    """Write the picture as PNG."""
    canvas = FigureCanvasAgg(overview(pair, runs))
    canvas.draw()
    picture = np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])
    save_small_png(picture, path, EXACT_COLORS)


def overview(pair: ImagePair, runs: Runs) -> Figure:
    """The picture as a figure of ``WIDTH`` pixels."""
    view = PlaneView.of(pair, shown_plane(pair))
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "axes.linewidth": 0.8}):
        page = _Page(view, len(runs))
        _draw_page(page, pair, runs)
    return page.figure


class _Page:
    """Where everything goes: columns of equal width, one row of panels for each registration."""

    def __init__(self, view: PlaneView, run_count: int) -> None:
        self.view = view
        free = WIDTH - LEFT - RIGHT - GROUP_GAP - (COLUMNS - 2) * GAP
        self.panel_width = free // COLUMNS
        rows, columns = view.fixed.shape
        self.panel_height = round(min(rows / columns, TALLEST) * self.panel_width)
        self.first_top = TOP + HEADING + TITLES
        self.bottom = self.top(run_count - 1) + self.panel_height
        self.height = self.bottom + SCALES + BOTTOM
        self.figure = Figure(figsize=(WIDTH / DPI, self.height / DPI), dpi=DPI, facecolor="white")
        self._renderer = FigureCanvasAgg(self.figure).get_renderer()

    def top(self, row: int) -> int:
        """The upper edge of the panels in a row."""
        return self.first_top + row * (self.panel_height + SECTION_GAP + HEADING)

    def left(self, column: int) -> int:
        """The left edge of a column."""
        group_gaps = (GROUP_GAP - GAP) * (column >= COLUMNS_BEFORE)
        return LEFT + column * (self.panel_width + GAP) + group_gaps

    def right(self, column: int) -> int:
        """The right edge of a column."""
        return self.left(column) + self.panel_width

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes of this size, in pixels from the top left corner."""
        return self.figure.add_axes(
            (left / WIDTH, 1 - (top + height) / self.height, width / WIDTH, height / self.height)
        )

    def panel(self, column: int, row: int) -> Axes:
        """Axes without ticks for one picture, in pixels of the plane."""
        axes = self.axes(self.left(column), self.top(row), self.panel_width, self.panel_height)
        rows, columns = self.view.fixed.shape
        axes.set(
            xlim=(-0.5, columns - 0.5),
            ylim=(rows - 0.5, -0.5),
            xticks=[],
            yticks=[],
            aspect="equal",
            autoscale_on=False,
        )
        axes.spines[:].set_color("#b0b0b0")
        return axes

    def text(self, x: float, y: float, text: str, **style) -> None:
        """Text at a place in pixels from the top left corner."""
        self.figure.text(x / WIDTH, 1 - y / self.height, text, **style)

    def text_width(self, text: str, size: float) -> float:
        """How many pixels wide a text would be."""
        return self._renderer.get_text_width_height_descent(text, FontProperties(size=size), ismath=False)[0]

    def heading(self, first: int, last: int, top: int, text: str, detail: str, color: str) -> None:
        """A title over the columns ``first`` to ``last`` with a line below it."""
        base = top + HEADING - 12
        self.text(self.left(first), base - 5, text, fontsize=LARGE, fontweight="bold", color=color, va="baseline")
        self.text(self.right(last), base - 5, detail, fontsize=SMALL, color=color, va="baseline", ha="right")
        ends = [self.left(first) / WIDTH, self.right(last) / WIDTH]
        self.figure.add_artist(Line2D(ends, [1 - base / self.height] * 2, color=color, linewidth=1.8))


def _draw_page(page: _Page, pair: ImagePair, runs: Runs) -> None:
    view = page.view
    page.heading(0, 2, TOP, "Before", _shortened(f"{pair.moving.name} to {pair.fixed.name}"), "#404040")
    for column, title in enumerate(TITLES_OF_COLUMNS):
        page.text(
            page.left(column) + page.panel_width / 2,
            page.first_top - 8,
            title,
            fontsize=NORMAL,
            ha="center",
            va="baseline",
        )
    before = [page.panel(column, 0) for column in range(COLUMNS_BEFORE)]
    draw_image(before[0], view)
    draw_orientation(before[0], view, SMALL)
    draw_image(before[1], view, moving=True)
    draw_difference(before[2], view)
    page.text(
        LEFT / 2 - 2,
        page.first_top + page.panel_height / 2,
        view.plane.name.capitalize(),
        fontsize=NORMAL,
        rotation=90,
        ha="center",
        va="center",
    )
    saturation = volume_saturation([view], [run.result for run in runs])
    for row, run in enumerate(runs):
        top = TOP if row == 0 else page.top(row) - HEADING
        page.heading(3, 5, top, TITLES_OF_RUNS[run.name], _table_text(runs, run), RUN_COLORS[run.name])
        panels = [page.panel(column, row) for column in range(COLUMNS_BEFORE, COLUMNS)]
        draw_difference(panels[0], view, run.result)
        draw_grid(panels[1], view, run.result)
        draw_volume_change(panels[2], view, run.result, saturation)
    _draw_scales(page, pair, saturation)
    _draw_measurements(page, runs)


def _table_text(runs: Runs, run: Run) -> str:
    """Names and weights (λ, μ) of the tissues, softest first."""
    if run.name == UNIFORM:
        return "every tissue 1, air too"
    number = runs.index(run)
    weights: dict[str, list[str]] = {}
    for row in sorted((rows[number] for rows in runs.tissues()), key=lambda row: row.parameters.stiffness):
        weights.setdefault(weight_text(row.parameters), []).append(row.tissue.name)
    return _shortened("   ".join(f"{', '.join(names)} {weight}" for weight, names in weights.items()))


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_DETAIL else f"{text[: MAX_DETAIL - 1]}…"


def _draw_scales(page: _Page, pair: ImagePair, saturation: float) -> None:
    view = page.view
    low, high = view.windows[0]
    factor, unit = (high - low, "HU") if is_ct(pair.fixed) else (100.0, "% of window")
    difference = ScalarMappable(Normalize(0, DIFFERENCE_RANGE * factor), DIFFERENCE_COLORS)
    _draw_scale(page, 3, difference, None, None, f"{unit} (gray: outside)")
    volume = ScalarMappable(volume_norm(saturation), VOLUME_COLORS)
    ends = volume.norm.vmax
    _draw_scale(
        page,
        5,
        volume,
        [-ends, 0, ends],
        [f"{1 / saturation:.2g}", "1", f"{saturation:g}"],
        "compression        expansion",
    )
    page.text(
        page.left(4) + page.panel_width / 2,
        page.bottom + 21,
        f"grid of {grid_line_spacing_mm(view.plane):g} mm and\ntissues of the fixed image",
        fontsize=SMALL,
        ha="center",
        va="top",
        linespacing=1.3,
    )


def _draw_scale(
    page: _Page, column: int, colors: ScalarMappable, ticks: list[float] | None, labels: list[str] | None, caption: str
) -> None:
    axes = page.axes(page.left(column) + 14, page.bottom + 10, page.panel_width - 28, 12)
    bar = page.figure.colorbar(colors, cax=axes, orientation="horizontal")
    if ticks is not None:
        bar.set_ticks(ticks, labels=labels)
    bar.ax.tick_params(labelsize=SMALL, length=3, pad=2)
    page.text(
        page.left(column) + page.panel_width / 2,
        page.bottom + SCALES - 2,
        caption,
        fontsize=SMALL,
        ha="center",
        va="baseline",
    )


def _draw_measurements(page: _Page, runs: Runs) -> None:
    """Charts in the free space below the images before the registration."""
    left, right = page.left(0), page.right(COLUMNS_BEFORE - 1)
    page.heading(0, COLUMNS_BEFORE - 1, page.top(1) - HEADING, "Measured", "", "#404040")
    top = page.top(1) + TITLES
    bottom = min(page.bottom, top + TALLEST_CHART_ROW * len(runs.tissues()))
    names_width = NAME_START + max(page.text_width(name, NORMAL) for name in tissue_names(runs)) + 16
    draw_tissue_names(page.axes(left, top, names_width, bottom - top), names_width, runs, page.view.colors, NORMAL)
    measures = measured(runs)
    width = (right - left - names_width) / len(measures)
    for number, measure in enumerate(measures):
        start = left + names_width + number * width
        draw_measure(page.axes(start, top, width - 12, bottom - top), measure, runs, SMALL)
        page.text(start, top - 8, measure.title, fontsize=NORMAL, va="baseline")
    if runs[0].result.landmark_errors is not None:
        page.text(left, page.bottom + 24, _landmark_text(runs), fontsize=NORMAL, va="center")
    handles = [
        Patch(color=color, label=label)
        for color, label in (
            (BEFORE_COLOR, "before"),
            *((RUN_COLORS[run.name], TITLES_OF_RUNS[run.name].lower()) for run in runs),
        )
    ]
    page.figure.legend(
        handles=handles,
        loc="lower left",
        ncols=len(handles),
        frameon=False,
        fontsize=NORMAL,
        borderpad=0,
        borderaxespad=0,
        handlelength=1.0,
        columnspacing=1.6,
        bbox_to_anchor=(left / WIDTH, BOTTOM / page.height),
    )


def _landmark_text(runs: Runs) -> str:
    before = runs[0].result.landmark_errors
    after = ", ".join(f"{run.result.landmark_errors.after_mean:.2f} {run.name}" for run in runs)
    return f"Landmark error in mm (n = {before.n}): {before.before_mean:.2f} before, {after}"
