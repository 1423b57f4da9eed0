"""Figure 2 of the paper: λ against μ for each tissue, one dot for each subject; and how stiff the tissues are."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, NullFormatter, StrMethodFormatter
from matplotlib.transforms import ScaledTranslation

from .batch_table import BatchTable, Dot
from .pages import shortened
from .stiffness_dots import draw_stiffness

# One for each table; told apart by most color-blind people.
COLORS = ("#1f5fa8", "#d55e00", "#009e73", "#a0438c", "#7a6a00", "#303030")
MARKERS = ("o", "s", "^", "D", "v", "P")
PANEL_INCHES, MAX_IN_ROW = 2.45, 4
LEFT, RIGHT, TOP, BOTTOM, GAP, ROW_GAP = 0.75, 0.15, 0.4, 0.63, 0.22, 0.5  # inches
STIFFNESS_INCHES, STIFFNESS_GAP = 2.6, 0.85
LINE_INCHES, LETTER_INCHES, KEY_INCHES, LEGEND_FROM_EDGE = 0.19, 0.07, 0.55, 0.09  # of the legend
MAX_DOT, MIN_DOT, MAX_GROUP, MAX_CROWD = 5.5, 2.2, 20.0, 36.0  # points
DPI = 130
MIN_FOR_SPREAD = 5
MAX_NAME = 24  # letters
LOG_TICKS, LINEAR_TICKS = (0.1, 1, 10, 100), (0, 0.25, 0.5, 0.75, 1)
EDGE, EDGE_OF_TABLE = 0.04, 0.035  # of an axis: free of dots at its ends
DOT_EDGE, DISTANCE = 0.9, 1.6  # points: width of a dot's edge, and how much further apart those that coincide are
POINTS_PER_INCH = 72


def tissue_figure(tables: Sequence[BatchTable]) -> Figure:
    """λ against μ of all tissues that have been estimated, the tables in different colors.

    Dots that coincide lie side by side around their place, so that each is seen. Hollow ones are estimates that the
    images hardly decide; medians and quartiles at the axes are those of the others. Below, if a table has it, the
    shear modulus ratio.

    Args:
        tables: The tables to draw.

    Raises:
        ValueError: The tables have different scales.
    """
    if len({table.scale.name for table in tables}) > 1:
        raise ValueError("λ and μ of these tables are on different scales: draw one figure for each scale.")
    tissues = list(dict.fromkeys(dot.tissue for table in tables for dot in table.dots))
    columns = min(len(tissues), MAX_IN_ROW)
    rows = -(-len(tissues) // columns)
    has_stiffness = any(table.stiffness for table in tables)
    width = LEFT + columns * PANEL_INCHES + (columns - 1) * GAP + RIGHT
    handles = _legend_handles(tables)
    widest_inches = KEY_INCHES + LETTER_INCHES * max(len(handle.get_label()) for handle in handles)
    legend_columns = max(int(width / widest_inches), 1)
    legend_inches = -(-len(handles) // legend_columns) * LINE_INCHES
    below = BOTTOM + legend_inches + (STIFFNESS_INCHES + STIFFNESS_GAP if has_stiffness else 0)
    height = TOP + rows * PANEL_INCHES + (rows - 1) * ROW_GAP + below
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    size = _dot_size(tables, tissues)
    for number, tissue in enumerate(tissues):
        row, column = divmod(number, columns)
        left, top = LEFT + column * (PANEL_INCHES + GAP), TOP + row * (PANEL_INCHES + ROW_GAP)
        axes = figure.add_axes(
            (left / width, 1 - (top + PANEL_INCHES) / height, PANEL_INCHES / width, PANEL_INCHES / height), label=tissue
        )
        _draw_tissue(axes, tissue, tables, size)
        _name_axes(axes, column == 0, number + columns >= len(tissues))
    if has_stiffness:
        axes = figure.add_axes(
            (
                LEFT / width,
                (BOTTOM + legend_inches) / height,
                (width - LEFT - RIGHT) / width,
                STIFFNESS_INCHES / height,
            ),
            label="stiffness",
        )
        draw_stiffness(axes, tables, COLORS, MARKERS)
    figure.legend(
        handles=handles,
        loc="lower center",
        ncols=min(legend_columns, len(handles)),
        frameon=False,
        fontsize=8.5,
        borderpad=0,
        borderaxespad=0,
        columnspacing=1.6,
        handletextpad=0.6,
        bbox_to_anchor=(0.5, LEGEND_FROM_EDGE / height),
    )
    return figure


def _draw_tissue(axes: Axes, tissue: str, tables: Sequence[BatchTable], size: float) -> None:
    scale = tables[0].scale
    is_log = scale.name == "log"
    _set_scale(axes, is_log, scale.lowest, scale.highest, EDGE + len(tables) * EDGE_OF_TABLE)
    axes.set_title(shortened(tissue, MAX_NAME), fontsize=11)
    groups = _coincident(tables, tissue)
    for group in groups:
        places = _places(len(group))
        distance = min(size + DISTANCE, MAX_CROWD / _across(places))  # of a crowd, not every dot can be seen
        beside = places * distance / POINTS_PER_INCH
        for (number, dot), (across, up) in zip(group, beside, strict=True):
            color = COLORS[number % len(COLORS)]
            axes.scatter(
                dot.lam,
                dot.mu,
                size**2,
                marker=MARKERS[number % len(MARKERS)],
                edgecolors=color,
                facecolors="white" if dot.flat else color,
                linewidths=DOT_EDGE,
                label=dot.subject,
                zorder=3,
                transform=axes.transData + ScaledTranslation(across, up, axes.figure.dpi_scale_trans),
            )
    for number, table in enumerate(tables):
        decided = [dot for dot in table.dots if dot.tissue == tissue and not dot.flat]
        _draw_spread(axes, decided, EDGE_OF_TABLE * (number + 0.8), COLORS[number % len(COLORS)], is_log)
    dots = [dot for group in groups for _, dot in group]
    flat = sum(dot.flat for dot in dots)
    axes.text(
        0.98,
        0.975,
        f"n = {len(dots)}" + (f", {flat} undecided" if flat else ""),
        transform=axes.transAxes,
        fontsize=8,
        ha="right",
        va="top",
        color="#505050",
        path_effects=[withStroke(linewidth=2.5, foreground="white")],
    )


def _coincident(tables: Sequence[BatchTable], tissue: str) -> list[list[tuple[int, Dot]]]:
    """Numbers of tables and dots of one tissue, those of the same place together, the decided ones first."""
    groups: dict[tuple[str, str], list[tuple[int, Dot]]] = defaultdict(list)
    for number, table in enumerate(tables):
        for dot in table.dots:
            if dot.tissue == tissue:
                groups[f"{dot.lam:.4g}", f"{dot.mu:.4g}"].append((number, dot))
    return [sorted(group, key=lambda entry: entry[1].flat) for group in groups.values()]


def _dot_size(tables: Sequence[BatchTable], tissues: Sequence[str]) -> float:
    """Diameter in points: smaller where many coincide."""
    largest = max(len(group) for tissue in tissues for group in _coincident(tables, tissue))
    return float(np.clip(MAX_GROUP / _across(_places(largest)), MIN_DOT, MAX_DOT))


def _across(places: np.ndarray) -> float:
    """Diameter of a group, in those of a dot."""
    return 1 + 2 * float(np.hypot(*places.T).max())


def _places(count: int) -> np.ndarray:
    """(count, 2) in diameters: six-sided rings around the first place, their middle at 0."""
    places = [np.zeros(2)]
    corners = np.stack([np.cos(np.pi / 3 * np.arange(7)), np.sin(np.pi / 3 * np.arange(7))], 1)
    for ring in itertools.count(1):
        if len(places) >= count:
            break
        places += [
            ring * (corners[side] + (corners[side + 1] - corners[side]) * step / ring)
            for side in range(6)
            for step in range(ring)
        ]
    return np.array(places[:count]) - np.mean(places[:count], axis=0)


def _draw_spread(axes: Axes, dots: list[Dot], edge: float, color: str, is_log: bool) -> None:
    """Along both axes, where no dot is: a line from quartile to quartile, and the median."""
    if len(dots) < MIN_FOR_SPREAD:
        return
    values = np.array([(dot.lam, dot.mu) for dot in dots])
    quartiles = np.percentile(np.log(values) if is_log else values, (25, 50, 75), axis=0)
    for axis, (low, middle, high) in enumerate((np.exp(quartiles) if is_log else quartiles).T):
        transform = axes.get_yaxis_transform() if axis else axes.get_xaxis_transform()
        for along, label, style in (
            ((low, high), "quartiles", {"linewidth": 2.6, "solid_capstyle": "butt"}),
            (
                (middle,),
                "median",
                {
                    "marker": "D",
                    "markersize": 5,
                    "linestyle": "none",
                    "markeredgecolor": "white",
                    "markeredgewidth": 0.7,
                },
            ),
        ):
            place = [edge] * len(along)
            axes.plot(
                *((place, along) if axis else (along, place)),
                transform=transform,
                color=color,
                zorder=4,
                label=label,
                **style,
            )


def _set_scale(axes: Axes, is_log: bool, lowest: float, highest: float, free: float) -> None:
    """The whole range of the sliders, so that figures can be compared, and ``free`` space at its ends."""
    if is_log:
        reach = (highest / lowest) ** free
        limits = (lowest / reach, highest * reach)
        axes.set(xscale="log", yscale="log")
    else:
        reach = (highest - lowest) * free
        limits = (lowest - reach, highest + reach)
    axes.set(xlim=limits, ylim=limits)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(FixedLocator(LOG_TICKS if is_log else LINEAR_TICKS))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.tick_params(labelsize=8)
    axes.set_aspect("equal")
    axes.grid(color="#e4e4e4", linewidth=0.7)
    axes.set_axisbelow(True)


def _name_axes(axes: Axes, is_first: bool, is_last: bool) -> None:
    if is_last:
        axes.set_xlabel("λ", fontsize=11)
    if is_first:
        axes.set_ylabel("μ", fontsize=11, rotation=0, labelpad=10)
    axes.tick_params(labelbottom=is_last, labelleft=is_first)


def _legend_handles(tables: Sequence[BatchTable]) -> list[Line2D]:
    names = ["one subject"]
    if len(tables) > 1:
        names = [f"{shortened(table.name, MAX_NAME)} ({len(table.subjects)})" for table in tables]
    handles = [
        Line2D(
            [],
            [],
            color=COLORS[number % len(COLORS)],
            marker=MARKERS[number % len(MARKERS)],
            markersize=5.5,
            linestyle="none",
            label=name,
        )
        for number, name in enumerate(names)
    ]
    if any(dot.flat for table in tables for dot in table.dots):
        handles.append(
            Line2D(
                [],
                [],
                color="#505050",
                marker="o",
                linestyle="none",
                markersize=5.5,
                label="undecided",
                markerfacecolor="none",
            )
        )
    handles.append(
        Line2D(
            [],
            [],
            color="#505050",
            marker="D",
            markersize=5,
            linewidth=2.6,
            markeredgecolor="white",
            label="median, quartiles (filled dots)",
        )
    )
    return handles
