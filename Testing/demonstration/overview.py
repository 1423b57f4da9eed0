"""Both registrations in one picture: images, differences, deformation, change of volume, measurements."""

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

from TissueElasticRegistrationLib.core.images import ImagePair
from TissueElasticRegistrationLib.core.preprocessing import is_ct
from TissueElasticRegistrationLib.core.reporting.report_pictures import grid_line_spacing_mm
from TissueElasticRegistrationLib.core.result import RegistrationResult

from .charts import (
    BEFORE_COLOR,
    NAME_START,
    TISSUE_COLOR,
    UNIFORM_COLOR,
    draw_measure,
    draw_tissue_names,
    measured,
    tissue_names,
)
from .panels import (
    DIFFERENCE_COLORS,
    DIFFERENCE_RANGE,
    GRAY_COLORS,
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
from .planes import shown_planes
from .runs import Runs
from .small_png import save_small_png
from .summary import shown_tissues, weight_text

# All lengths in pixels of the finished picture.
WIDTH, DPI = 1600, 100
LEFT, RIGHT, TOP, BOTTOM = 34, 12, 10, 10
GAP, GROUP_GAP = 6, 30
HEADING, TITLES, SECTION_GAP, SCALES = 40, 30, 22, 62
COLUMNS, COLUMNS_BEFORE = 6, 3
LONGEST_DETAIL = 60  # letters on the right of a heading
TALLEST = 1.2  # of a panel's width
TALLEST_CHART_ROW = 110
LARGE, NORMAL, SMALL = 14.5, 13.0, 11.0  # points


def save_overview(pair: ImagePair, runs: Runs, path: Path) -> None:
    """Write the picture as PNG."""
    canvas = FigureCanvasAgg(overview(pair, runs))
    canvas.draw()
    picture = np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])
    save_small_png(picture, (GRAY_COLORS, DIFFERENCE_COLORS, VOLUME_COLORS), path)


def overview(pair: ImagePair, runs: Runs) -> Figure:
    """The picture as a figure of ``WIDTH`` pixels."""
    views = [PlaneView.of(pair, plane) for plane in shown_planes(pair)]
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "axes.linewidth": 0.8}):
        page = _Page([view.fixed.shape for view in views])
        _draw_page(page, pair, runs, views)
    return page.figure


class _Page:
    """Where everything goes: columns of equal width, one block of rows for each registration."""

    def __init__(self, shapes: list[tuple[int, int]]) -> None:
        free = WIDTH - LEFT - RIGHT - GROUP_GAP - (COLUMNS - 2) * GAP
        self.panel_width = free // COLUMNS
        self.row_heights = [round(min(rows / columns, TALLEST) * self.panel_width) for rows, columns in shapes]
        block = sum(self.row_heights) + (len(shapes) - 1) * GAP
        self.first_top = TOP + HEADING + TITLES
        self.second_top = self.first_top + block + SECTION_GAP + HEADING
        self.bottom = self.second_top + block
        self.height = self.bottom + SCALES + BOTTOM
        self.figure = Figure(figsize=(WIDTH / DPI, self.height / DPI), dpi=DPI, facecolor="white")
        self._renderer = FigureCanvasAgg(self.figure).get_renderer()

    def left(self, column: int) -> int:
        """The left edge of a column."""
        group_gaps = (GROUP_GAP - GAP) * (column >= COLUMNS_BEFORE)
        return LEFT + column * (self.panel_width + GAP) + group_gaps

    def right(self, column: int) -> int:
        """The right edge of a column."""
        return self.left(column) + self.panel_width

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes of this size, in pixels from the top left corner."""
        return self.figure.add_axes((left / WIDTH, 1 - (top + height) / self.height, width / WIDTH,
                                     height / self.height))

    def panel(self, column: int, block_top: int, row: int, view: PlaneView) -> Axes:
        """Axes without ticks for one picture of ``view``, in pixels of its plane."""
        top = block_top + sum(self.row_heights[:row]) + row * GAP
        axes = self.axes(self.left(column), top, self.panel_width, self.row_heights[row])
        rows, columns = view.fixed.shape
        axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5), xticks=[], yticks=[], aspect="equal",
                 autoscale_on=False)
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


def _draw_page(page: _Page, pair: ImagePair, runs: Runs, views: list[PlaneView]) -> None:
    page.heading(0, 2, TOP, "Before", _shortened(f"{pair.moving.name} to {pair.fixed.name}"), "#404040")
    page.heading(3, 5, TOP, "Tissue table", _table_text(runs), TISSUE_COLOR)
    page.heading(3, 5, page.second_top - HEADING, "Uniform table", "every tissue 1, air too", UNIFORM_COLOR)
    titles = ("Fixed", "Moving", "|Difference|", "|Difference|", "Deformation", "Volume change")
    for column, title in enumerate(titles):
        page.text(page.left(column) + page.panel_width / 2, page.first_top - 8, title, fontsize=NORMAL, ha="center",
                  va="baseline")
    saturation = volume_saturation(views, [run.result for run in runs])
    for row, view in enumerate(views):
        before = [page.panel(column, page.first_top, row, view) for column in range(COLUMNS_BEFORE)]
        draw_image(before[0], view)
        draw_orientation(before[0], view, SMALL)
        draw_image(before[1], view, moving=True)
        draw_difference(before[2], view)
        for top, one in ((page.first_top, runs.tissue), (page.second_top, runs.uniform)):
            _draw_after(page, top, row, view, one.result, saturation)
        middle = page.first_top + sum(page.row_heights[:row]) + row * GAP + page.row_heights[row] / 2
        page.text(LEFT / 2 - 2, middle, view.plane.name.capitalize(), fontsize=NORMAL, rotation=90, ha="center",
                  va="center")
    _draw_scales(page, pair, views[0], saturation)
    _draw_measurements(page, runs, views[0])


def _draw_after(page: _Page, top: int, row: int, view: PlaneView, result: RegistrationResult,
                saturation: float) -> None:
    panels = [page.panel(column, top, row, view) for column in range(COLUMNS_BEFORE, COLUMNS)]
    draw_difference(panels[0], view, result)
    draw_grid(panels[1], view, result)
    draw_volume_change(panels[2], view, result, saturation)


def _table_text(runs: Runs) -> str:
    """Names and weights of the tissues, softest first."""
    weights: dict[str, list[str]] = {}
    for tissue, _ in sorted(shown_tissues(runs), key=lambda rows: rows[0].parameters.mu):
        weights.setdefault(weight_text(tissue.parameters), []).append(tissue.tissue.name)
    text = "   ".join(f"{', '.join(names)} {weight}" for weight, names in weights.items())
    return _shortened(text)


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_DETAIL else f"{text[:LONGEST_DETAIL - 1]}…"


def _draw_scales(page: _Page, pair: ImagePair, view: PlaneView, saturation: float) -> None:
    low, high = view.windows[0]
    factor, unit = (high - low, "HU") if is_ct(pair.fixed) else (100.0, "% of window")
    difference = ScalarMappable(Normalize(0, DIFFERENCE_RANGE * factor), DIFFERENCE_COLORS)
    _draw_scale(page, 3, difference, None, None, f"{unit} (gray: outside)")
    volume = ScalarMappable(volume_norm(saturation), VOLUME_COLORS)
    ends = volume.norm.vmax
    _draw_scale(page, 5, volume, [-ends, 0, ends], [f"{1 / saturation:.2g}", "1", f"{saturation:g}"],
                "compression        expansion")
    page.text(page.left(4) + page.panel_width / 2, page.bottom + 21,
              f"grid of {grid_line_spacing_mm(view.plane):g} mm and\ntissues of the fixed image", fontsize=SMALL,
              ha="center", va="top", linespacing=1.3)


def _draw_scale(page: _Page, column: int, colors: ScalarMappable, ticks: list[float] | None,
                labels: list[str] | None, caption: str) -> None:
    axes = page.axes(page.left(column) + 14, page.bottom + 10, page.panel_width - 28, 12)
    bar = page.figure.colorbar(colors, cax=axes, orientation="horizontal")
    if ticks is not None:
        bar.set_ticks(ticks, labels=labels)
    bar.ax.tick_params(labelsize=SMALL, length=3, pad=2)
    page.text(page.left(column) + page.panel_width / 2, page.bottom + SCALES - 2, caption, fontsize=SMALL, ha="center",
              va="baseline")


def _draw_measurements(page: _Page, runs: Runs, view: PlaneView) -> None:
    """Charts in the free space below the images before the registration."""
    left, right = page.left(0), page.right(COLUMNS_BEFORE - 1)
    page.heading(0, COLUMNS_BEFORE - 1, page.second_top - HEADING, "Measured", "", "#404040")
    top = page.second_top + TITLES
    bottom = min(page.bottom, top + TALLEST_CHART_ROW * len(shown_tissues(runs)))
    names_width = NAME_START + max(page.text_width(name, NORMAL) for name in tissue_names(runs)) + 16
    draw_tissue_names(page.axes(left, top, names_width, bottom - top), names_width, runs, view.colors, NORMAL)
    measures = measured(runs)
    width = (right - left - names_width) / len(measures)
    for number, measure in enumerate(measures):
        start = left + names_width + number * width
        draw_measure(page.axes(start, top, width - 12, bottom - top), measure, runs, SMALL)
        page.text(start, top - 8, measure.title, fontsize=NORMAL, va="baseline")
    errors, other = runs.tissue.result.landmark_errors, runs.uniform.result.landmark_errors
    if errors is not None:
        text = (f"Landmark error (n = {errors.n}): {errors.before_mean:.2f} mm before, "
                f"{other.after_mean:.2f} mm uniform, {errors.after_mean:.2f} mm tissue table")
        page.text(left, page.bottom + 24, text, fontsize=NORMAL, va="center")
    handles = [Patch(color=color, label=label) for color, label in
               ((BEFORE_COLOR, "before"), (UNIFORM_COLOR, "uniform table"), (TISSUE_COLOR, "tissue table"))]
    page.figure.legend(handles=handles, loc="lower left", ncols=3, frameon=False, fontsize=NORMAL, borderpad=0,
                       borderaxespad=0, handlelength=1.0, columnspacing=1.6,
                       bbox_to_anchor=(left / WIDTH, BOTTOM / page.height))
