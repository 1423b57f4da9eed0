"""What a registration has measured, as a table of the panel: one row for each tissue, then the whole image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import qt
import slicer

from ...core.data import glossary
from ...core.data.glossary import Quantity
from ...core.data.result import RegistrationResult, TissueResult
from ...core.estimation.criteria.criterion import depends_on
from ...core.reporting.verdict import Finding, tissue_findings, verdict
from ..widgets import table_widgets as tables
from ..widgets.labels import breakable
from ..widgets.table_widgets import NOT_KNOWN, Cell, Column

COLUMNS = (
    Column("Tissue", "Segment of the fixed volume"),
    Column(
        "Remarks",
        "Problems indicated by the measurements (an empty cell does not rule out problems), and tissues excluded from "
        "the estimate",
    ),
    Column(glossary.DICE.heading, glossary.DICE.before_after),
    Column(glossary.HD95.heading, glossary.HD95.before_after),
    Column(glossary.FOLDING.heading, glossary.FOLDING.described),
    Column(glossary.STRAIN.heading, glossary.STRAIN.described),
)
REMARKS = 1  # column
WHOLE_IMAGE = "Whole image"
LANDMARKS = "Landmarks"
LANDMARKS_TEXT = "{mean} mm (n = {count})"
LANDMARKS_MEANING = glossary.LANDMARK_ERROR.before_after + " (mean). The largest is {largest} mm."
HELD_OUT_LANDMARKS = "Held-out landmarks"
HELD_OUT_LANDMARKS_MEANING = "Only the landmarks excluded from the estimate: independent evidence. {rest}"
NOT_MEASURED_MEANING = "Not measured"
LEVELS = {"problem": "Problem", "caution": "Check"}
TOPICS = {"Folding": "folding", "Overlap": "overlap"}
HELD_OUT = "held out"
HELD_OUT_MEANING = "This tissue was excluded from the estimate, so its measurements are independent evidence."


class QualityTable:
    """Fills a QTableWidget, which is read-only from then on, and a label with what else there is to say."""

    def __init__(self, table: qt.QTableWidget, notes: qt.QLabel | None = None) -> None:
        self._table = table
        self._notes = notes
        tables.prepare(table, COLUMNS)
        if notes is not None:
            notes.setTextFormat(qt.Qt.PlainText)
            notes.setWordWrap(True)
        self.clear()

    def show(
        self, result: RegistrationResult, found: Sequence[Finding] = (), account: Mapping[str, Any] | None = None
    ) -> None:
        """Show a result. ``found``: what `core.reporting.verdict.findings` says about it, for the notes.

        account: of the estimate that has chosen its parameters (`core.reporting.estimate_summary`), None if none has.
        """
        held_out = {} if account is None else account["held_out"]
        kept = held_out.get("tissues", ())
        self._fill(
            [*(_tissue_cells(row, row.tissue.id in kept) for row in result.tissues), *_image_cells(result, account)]
        )
        self._note(_notes_text(result, found))

    def clear(self) -> None:
        self._fill([])
        self._note("")

    def copy(self) -> None:
        """Put the table and the notes on the clipboard, for a spreadsheet."""
        slicer.app.clipboard().setText(self.text())

    def text(self) -> str:
        """The table with tabs between its columns, the notes below."""
        rows = [[column.title for column in COLUMNS]]
        for row in range(self._table.rowCount):
            items = [self._table.item(row, column) for column in range(len(COLUMNS))]
            rows.append(["" if item is None else item.text() for item in items])
        lines = ["\t".join(row).rstrip("\t") for row in rows]
        if self._notes is not None and self._noted:
            lines += ["", self._noted]
        return "\n".join(lines) + "\n"

    def _note(self, text: str) -> None:
        self._noted = text  # what is copied
        if self._notes is not None:
            self._notes.setText(breakable(text))

    def _fill(self, rows: list[list[Cell]]) -> None:
        table = self._table
        table.setRowCount(0)
        table.setRowCount(len(rows))
        short = [cells for cells in rows if len(cells) < len(COLUMNS)]
        for row, cells in enumerate(rows[: len(rows) - len(short)]):
            self._write(row, cells)
        table.setColumnHidden(REMARKS, not any(cells[REMARKS].text for cells in rows if cells not in short))
        tables.fit_columns(table)  # the rows that follow span several columns and shall not widen one of them
        for row, cells in enumerate(short, start=len(rows) - len(short)):
            self._write(row, cells)
            table.setSpan(row, len(cells) - 1, 1, len(COLUMNS) - len(cells) + 1)
        table.resizeRowsToContents()
        tables.fit_height(table)

    def _write(self, row: int, cells: list[Cell]) -> None:
        for column, cell in enumerate(cells):
            item = qt.QTableWidgetItem(cell.text)
            item.setToolTip(cell.tool_tip)
            self._table.setItem(row, column, item)


def _tissue_cells(row: TissueResult, held_out: bool) -> list[Cell]:
    return [
        Cell(row.tissue.name, row.tissue.name),
        _remarks(tissue_findings(row), held_out),
        _change(row.dice_before, row.dice_after, glossary.DICE),
        _change(row.hd95_mm_before, row.hd95_mm_after, glossary.HD95),
        _number(row.negative_jacobian_percent, glossary.FOLDING),
        _number(row.strain_rms, glossary.STRAIN),
    ]


def _image_cells(result: RegistrationResult, account: Mapping[str, Any] | None) -> list[list[Cell]]:
    similarity, folding = glossary.SIMILARITY, _number(result.negative_jacobian_percent, glossary.FOLDING)
    rows = [
        [Cell(WHOLE_IMAGE), Cell(""), Cell(""), Cell(""), folding, Cell("")],
        [
            Cell(similarity.heading, similarity.before_after),
            _change(result.similarity_before, result.similarity_after, similarity, similarity.before_after),
        ],
    ]
    if result.landmark_errors is not None:
        rows.append(_landmark_cells(LANDMARKS, LANDMARKS_MEANING, asdict(result.landmark_errors)))
    if account is not None and depends_on(account["objective"], "landmarks") and account["held_out"]["tre_mm"]:
        meaning = HELD_OUT_LANDMARKS_MEANING.format(rest=LANDMARKS_MEANING)
        rows.append(_landmark_cells(HELD_OUT_LANDMARKS, meaning, account["held_out"]["tre_mm"]))
    return rows


def _landmark_cells(name: str, meaning: str, errors: Mapping[str, float]) -> list[Cell]:
    mean = _change(errors["before_mean"], errors["after_mean"], glossary.LANDMARK_ERROR).text
    meaning = meaning.format(largest=_change(errors["before_max"], errors["after_max"], glossary.LANDMARK_ERROR).text)
    return [Cell(name, meaning), Cell(LANDMARKS_TEXT.format(mean=mean, count=errors["n"]), meaning)]


def _remarks(found: list[Finding], held_out: bool) -> Cell:
    words = [f"{LEVELS[finding.level]}: {TOPICS[finding.topic]}" for finding in found]
    sentences = [finding.sentence for finding in found]
    if held_out:
        words.append(HELD_OUT)
        sentences.append(HELD_OUT_MEANING)
    return Cell(", ".join(words), "\n".join(sentences))


def _number(value: float, quantity: Quantity) -> Cell:
    return Cell(format(value, quantity.layout)) if math.isfinite(value) else Cell(NOT_KNOWN, NOT_MEASURED_MEANING)


def _change(before: float, after: float, quantity: Quantity, tool_tip: str = "") -> Cell:
    if not (math.isfinite(before) or math.isfinite(after)):
        return Cell(NOT_KNOWN, NOT_MEASURED_MEANING)
    return Cell(f"{_number(before, quantity).text} → {_number(after, quantity).text}", tool_tip)


def _notes_text(result: RegistrationResult, found: Sequence[Finding]) -> str:
    """The verdict and what it is about, or only the warnings of a result that nobody has judged."""
    if not found:
        return "\n".join(result.warnings)
    return "\n".join([verdict(list(found)), *(f.sentence for f in found if f.level in ("problem", "caution"))])
