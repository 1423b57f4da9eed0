"""Pieces of HTML that the sections of the report are put together from. Texts are escaped here, cells are not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from .pictures import data_uri

NOT_MEASURED = '<span class="none">not measured</span>'
NOTHING_TO_TELL = '<span class="none">–</span>'

# What a column is called, and what it means.
Columns = Sequence[tuple[str, str]]


def section(heading: str, content: str) -> str:
    """A section of the page.

    Args:
        heading: Text.
        content: HTML.
    """
    return f"<section>\n<h2>{escape(heading)}</h2>\n{content}\n</section>"


def table(columns: Columns, rows: Iterable[tuple[str, Sequence[str]]]) -> str:
    """A table with a heading for each column, whose meaning is shown on pointing at it.

    Args:
        columns: Name and meaning of each.
        rows: HTML of the first cell, and HTML of the others.
    """
    head = "".join(f'<th scope="col" title="{escape(meaning)}">{escape(name)}</th>' for name, meaning in columns)
    body = "\n".join(
        f'<tr><th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
        for first, cells in rows
    )
    return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'


def what_columns_mean(columns: Columns, remark: str = "") -> str:
    """The meanings of all columns but the first, folded up.

    For paper and for screens on which nothing can be pointed at.

    Args:
        columns: Name and meaning of each.
        remark: Text below them.
    """
    notes = "".join(f"<dt>{escape(name)}</dt><dd>{escape(meaning)}</dd>" for name, meaning in columns[1:])
    last = f"<p>{escape(remark)}</p>" if remark else ""
    return f"<details><summary>What the columns mean</summary><dl>{notes}</dl>{last}</details>"


def tissue_name(name: str, color: tuple[int, int, int] | None) -> str:
    """The name of a tissue behind a swatch of its color.

    Args:
        name: Text.
        color: RGB from 0 to 255; None for a tissue without a color.
    """
    swatch = f'<i style="background: rgb{color}"></i>' if color else "<i></i>"
    return swatch + escape(name)


def number(value: float, layout: str, unknown: str = NOT_MEASURED) -> str:
    """A number as text.

    Args:
        value: The number.
        layout: How it is written, such as ".3g".
        unknown: What stands for a value that is not finite.
    """
    return format(value, layout) if math.isfinite(value) else unknown


def change(before: float, after: float, layout: str, unknown: str = NOT_MEASURED) -> str:
    """A number before and after as text.

    Args:
        before: The number before.
        after: The number after.
        layout: How both are written, such as ".3g".
        unknown: What stands for a value that is not finite, and for both of them.
    """
    if not (math.isfinite(before) or math.isfinite(after)):
        return unknown
    return f"{number(before, layout, unknown)} → {number(after, layout, unknown)}"


def figure(rgb: np.ndarray, caption: str, of: str) -> str:
    """A picture with its caption.

    Args:
        rgb: (rows, columns, 3) uint8.
        caption: HTML below the picture.
        of: What it shows, for those who cannot see it.
    """
    rows, columns, _ = rgb.shape
    return (
        f'<figure><img src="{data_uri(rgb)}" width="{columns}" height="{rows}" alt="{escape(of)}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )
