"""The measurements of all registrations side by side, one row for each tissue."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from TissueElasticRegistrationLib.core.data.result import TissueResult

from .runs import ESTIMATE, TABLE, UNIFORM, Runs

BEFORE_COLOR = "#8a8a8a"
RUN_COLORS = {UNIFORM: "#b0487a", TABLE: "#0b6b6b", ESTIMATE: "#c26a00"}
THICKEST_BAR, BARS_SHARE = 0.24, 0.8  # of the height of a row
MAX_NAME = 18
SWATCH_WIDTH, NAME_START = 17, 26  # pixels


class Measure(NamedTuple):
    """A quantity of every tissue; ``before`` is None where there is none before the registration."""

    title: str
    after: Callable[[TissueResult], float]
    before: Callable[[TissueResult], float] | None
    digits: int


MEASURES = (
    Measure("Dice", lambda row: row.dice_after, lambda row: row.dice_before, 2),
    # Not HD95: it is a multiple of the voxel size wherever surfaces agree within a voxel or two.
    Measure(
        "Surface dist., mm", lambda row: row.surface_distance_mm_after, lambda row: row.surface_distance_mm_before, 1
    ),
    Measure("Strain, %", lambda row: 100 * row.strain_rms, None, 1),
)


def measured(runs: Runs) -> list[Measure]:
    """Those of the measures that have a value for some tissue."""
    return [m for m in MEASURES if any(np.isfinite(m.after(row)) for rows in runs.tissues() for row in rows)]


def draw_measure(axes: Axes, measure: Measure, runs: Runs, size: float) -> None:
    """Bars from top to bottom: before, then each registration; the value at the end of each."""
    rows = runs.tissues()
    largest = 0.0
    for place, results in enumerate(rows):
        bars = [(measure.after(row), RUN_COLORS[run.name]) for run, row in zip(runs, results, strict=True)]
        if measure.before is not None:
            bars.insert(0, (measure.before(results[0]), BEFORE_COLOR))
        height = min(THICKEST_BAR, BARS_SHARE / len(bars))
        bars = [(value, color) for value, color in bars if np.isfinite(value)]
        if not bars:
            axes.text(0, place, "  not measured", va="center", fontsize=size, color="#a0a0a0")
        for number, (value, color) in enumerate(bars):
            level = place + (number - (len(bars) - 1) / 2) * height
            axes.barh(level, value, 0.82 * height, color=color)
            axes.text(value, level, f" {value:.{measure.digits}f}", va="center", ha="left", fontsize=size, color=color)
            largest = max(largest, value)
    axes.set_xlim(0, 1.3 * largest if largest > 0 else 1)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set_color("#606060")


def tissue_names(runs: Runs) -> list[str]:
    """The rows' names, very long ones cut."""
    names = [rows[0].tissue.name for rows in runs.tissues()]
    return [name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1]}…" for name in names]


def draw_tissue_names(axes: Axes, width: float, runs: Runs, colors: dict[int, tuple[float, ...]], size: float) -> None:
    """The rows' names, each with the color of the tissue's outline; ``width`` of the axes in pixels."""
    rows = runs.tissues()
    axes.set_xlim(0, width)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.axis("off")
    for place, (results, name) in enumerate(zip(rows, tissue_names(runs), strict=True)):
        color = colors.get(results[0].tissue.label)
        if color is not None:
            axes.add_patch(
                Rectangle((0, place - 0.16), SWATCH_WIDTH, 0.32, facecolor=color, edgecolor="#404040", linewidth=0.6)
            )
        axes.text(NAME_START, place, name, va="center", fontsize=size)
