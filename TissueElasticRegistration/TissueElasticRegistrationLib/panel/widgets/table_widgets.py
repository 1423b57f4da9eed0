"""What the tables of the panel share: read-only, meanings in the heading, as high as their rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import qt

MAX_ROWS = 14  # that are shown without scrolling
MAX_NAME = 0.4  # of the section
NOT_KNOWN = "–"


class Column(NamedTuple):
    title: str
    meaning: str


class Cell(NamedTuple):
    text: str
    tool_tip: str = ""


def prepare(table: qt.QTableWidget, columns: Sequence[Column]) -> None:
    """Headings with tool tips; nothing can be typed, and one line for each row."""
    table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
    table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
    table.verticalHeader().setVisible(False)
    table.setWordWrap(False)  # a name that is too long ends in dots and is whole in the tool tip
    table.setColumnCount(len(columns))
    table.setHorizontalHeaderLabels([column.title for column in columns])
    for number, column in enumerate(columns):
        table.horizontalHeaderItem(number).setToolTip(column.meaning)


def fit_columns(table: qt.QTableWidget) -> None:
    """As wide as what is in them, but long names in the first one leave room for the others."""
    table.resizeColumnsToContents()
    section = table.parentWidget() or table  # has its width already when the table is still hidden
    table.setColumnWidth(0, min(table.columnWidth(0), int(MAX_NAME * section.width)))


def fit_height(table: qt.QTableWidget, scrolls_across: bool = True) -> None:
    """All rows, if they are not too many: scrolling within the panel, which is scrolled itself, is tedious.

    scrolls_across: whether room is left for a bar to scroll to the columns on the right.
    """
    rows = sum(table.rowHeight(row) for row in range(min(table.rowCount, MAX_ROWS)))
    around = table.horizontalHeader().sizeHint.height() + 2 * table.frameWidth
    bar = table.horizontalScrollBar().sizeHint.height() if scrolls_across else 0
    table.setHorizontalScrollBarPolicy(qt.Qt.ScrollBarAsNeeded if scrolls_across else qt.Qt.ScrollBarAlwaysOff)
    table.setFixedHeight(rows + around + bar)
