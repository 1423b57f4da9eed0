"""How stiff each tissue of each subject is, compared with another tissue of the same subject."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from .batch_table import BatchTable, Stiffness
from .pages import shortened

SHARE = 0.86  # of the width of a tissue
LETTERS_PER_INCH, LETTERS_OF_COUNT = 10, 20
THICKEST_LINE, LINE_SHARE = 0.8, 0.35  # points; of the distance of subjects
MAX_DOT, MIN_DOT, DOT_EDGE, POINTS_PER_INCH = 3.7, 1.5, 0.9, 72
LOWEST, HIGHEST = 0.02, 50.0  # what is drawn at most; intervals go on beyond


def draw_stiffness(axes: Axes, tables: Sequence[BatchTable], colors: Sequence[str], markers: Sequence[str]) -> None:
    """Tissues side by side, in each the subjects from soft to stiff, table by table.

    Lines are intervals, those without an upper end have an arrow. The line across each tissue is the median of what the
    deformation tells, and below it stands for how many it does; values that it does not tell are hollow.

    Args:
        axes: Where to draw.
        tables: The tables to draw.
        colors: Of the tables.
        markers: Of the tables.
    """
    told = {
        number: [row for row in table.stiffness if not row.is_reference]
        for number, table in enumerate(tables)
        if table.stiffness
    }
    tissues = list(dict.fromkeys(row.tissue for rows in told.values() for row in rows))
    every = [row for rows in told.values() for row in rows]
    low, high = _limits(every)
    axes.set(yscale="log", ylim=(low, high), xlim=(-0.5, len(tissues) - 0.5))
    axes.axhline(1, color="#909090", linewidth=0.9, zorder=1)
    for place, tissue in enumerate(tissues):
        for column, (number, rows) in enumerate(told.items()):
            own = sorted(
                (row for row in rows if row.tissue == tissue and np.isfinite(row.value)),
                key=lambda row: (row.value, row.subject),
            )
            start = place - SHARE / 2 + column * SHARE / len(told)
            _draw_group(
                axes, own, start, SHARE / len(told), high, colors[number % len(colors)], markers[number % len(markers)]
            )
        if place:
            axes.axvline(place - 0.5, color="#e4e4e4", linewidth=0.8)
    letters = max(int(LETTERS_PER_INCH * axes.get_window_extent().width / axes.figure.dpi / len(tissues)), 3)
    counts = [
        (sum(row.supported for row in every if row.tissue == tissue), sum(row.tissue == tissue for row in every))
        for tissue in tissues
    ]
    told_for = "known for " if letters > LETTERS_OF_COUNT else ""
    names = [
        f"{shortened(tissue, letters)}\n{told_for}{known} of {asked}"
        for tissue, (known, asked) in zip(tissues, counts, strict=True)
    ]
    axes.set_xticks(range(len(tissues)), names, fontsize=9.5)
    axes.tick_params(axis="x", length=0)
    axes.tick_params(axis="y", labelsize=8)
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel(f"stiffness relative\nto {_reference(tables)}", fontsize=9.5)
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.7)
    axes.set_axisbelow(True)


def _draw_group(
    axes: Axes, rows: list[Stiffness], start: float, width: float, top: float, color: str, marker: str
) -> None:
    if not rows:
        return
    places = start + (np.arange(len(rows)) + 0.5) * width / len(rows)
    shown = axes.get_window_extent().width / np.ptp(axes.get_xlim()) * width  # pixels
    distance = shown / axes.figure.dpi * POINTS_PER_INCH / len(rows)
    for place, row in zip(places, rows, strict=True):
        is_open = row.high > top
        axes.plot(
            [place, place],
            [max(row.low, 1e-6), min(row.high, top)],
            color=color,
            linewidth=min(THICKEST_LINE, LINE_SHARE * distance),
            alpha=0.9 if row.supported else 0.45,
            label="interval",
            zorder=2,
        )
        if is_open:
            axes.plot(
                place,
                top,
                marker=(3, 0, 0),
                markersize=4,
                color=color,
                clip_on=False,
                linestyle="none",
                alpha=0.9 if row.supported else 0.45,
                label="no end",
                zorder=2,
            )
    size = float(np.clip(distance, MIN_DOT, MAX_DOT))
    axes.scatter(
        places,
        [row.value for row in rows],
        size**2,
        marker=marker,
        edgecolors=color,
        linewidths=DOT_EDGE,
        facecolors=[color if row.supported else "white" for row in rows],
        zorder=3,
        label="stiffness",
    )
    supported = [row.value for row in rows if row.supported]
    if supported:
        middle = float(np.exp(np.median(np.log(supported))))
        axes.plot([start, start + width], [middle, middle], color=color, linewidth=1.6, zorder=4, label="median")


def _limits(rows: list[Stiffness]) -> tuple[float, float]:
    """Room for all values, and for the intervals as far as they are reasonable."""
    values = [1.0, *(row.value for row in rows if np.isfinite(row.value))]
    ends = [end for row in rows for end in (row.low, row.high) if LOWEST < end < HIGHEST]
    return min(values + ends) / 1.3, max(values + ends) * 1.3


def _reference(tables: Sequence[BatchTable]) -> str:
    names = {row.tissue for table in tables for row in table.stiffness if row.is_reference}
    return names.pop() if len(names) == 1 else "the reference tissue"
