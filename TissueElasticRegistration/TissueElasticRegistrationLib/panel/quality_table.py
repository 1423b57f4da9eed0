"""What a registration has measured, as a table of the panel: one row for each tissue, then the whole image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import qt
import slicer
from slicer.i18n import tr as _

from ..core.reporting.verdict import Finding, tissue_findings, verdict
from ..core.result import RegistrationResult, TissueResult

COLUMNS = (
    (_("Tissue"), _("Segment of the fixed image")),
    (_("Remarks"), _("Faults that the measurements show; none found is no proof that there are none")),
    (_("Dice"), _("Overlap with the moving segmentation, before → after; 1 is complete, no unit")),
    (_("HD95 mm"), _("95th percentile of the surface distances in mm, before → after")),
    (_("Folding %"), _("Share of the voxels at which the deformation folds, in percent")),
    (_("Strain"), _("Root mean square of the strain tensor's norm, no unit")),
)
REMARKS = 1  # column
MOST_ROWS = 14  # that are shown without scrolling
WHOLE_IMAGE = _("Whole image")
SIMILARITY = _("Similarity")
SIMILARITY_MEANING = _("Squared local correlation of the images, before → after; 1 is the most, no unit. "
                       "A high value alone does not show that tissue is matched correctly.")
LANDMARKS = _("Landmarks")
LANDMARKS_TEXT = _("{mean} mm (n = {count})")
LANDMARKS_MEANING = _("Mean distance of corresponding landmarks in mm, before → after; the largest is {largest} mm.")
NOT_MEASURED = "–"
NOT_MEASURED_MEANING = _("Not measured")
LEVELS = {"problem": _("Problem"), "caution": _("Look at")}
TOPICS = {"Folding": _("folding"), "Overlap": _("overlap")}


class _Cell(NamedTuple):
    text: str
    tool_tip: str = ""


class QualityTable:
    """Fills a QTableWidget, which is read-only from then on, and a label with what else there is to say."""

    def __init__(self, table: qt.QTableWidget, notes: qt.QLabel | None = None) -> None:
        self._table = table
        self._notes = notes
        table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        table.verticalHeader().setVisible(False)
        table.setColumnCount(len(COLUMNS))
        table.setHorizontalHeaderLabels([name for name, _meaning in COLUMNS])
        for column, (_name, meaning) in enumerate(COLUMNS):
            table.horizontalHeaderItem(column).setToolTip(meaning)
        if notes is not None:
            notes.setTextFormat(qt.Qt.PlainText)
            notes.setWordWrap(True)
        self.clear()

    def show(self, result: RegistrationResult, found: Sequence[Finding] = ()) -> None:
        """Show a result. ``found``: what core/reporting/verdict.findings says about it, for the notes."""
        self._fill([*(_tissue_cells(row) for row in result.tissues), *_image_cells(result)])
        if self._notes is not None:
            self._notes.setText(_notes_text(result, found))

    def clear(self) -> None:
        self._fill([])
        if self._notes is not None:
            self._notes.setText("")

    def copy(self) -> None:
        """Put the table and the notes on the clipboard, for a spreadsheet."""
        slicer.app.clipboard().setText(self.text())

    def text(self) -> str:
        """The table with tabs between its columns, the notes below."""
        rows = [[name for name, _meaning in COLUMNS]]
        for row in range(self._table.rowCount):
            items = [self._table.item(row, column) for column in range(len(COLUMNS))]
            rows.append(["" if item is None else item.text() for item in items])
        lines = ["\t".join(row).rstrip("\t") for row in rows]
        if self._notes is not None and self._notes.text:
            lines += ["", self._notes.text]
        return "\n".join(lines) + "\n"

    def _fill(self, rows: list[list[_Cell]]) -> None:
        table = self._table
        table.setRowCount(0)
        table.setRowCount(len(rows))
        short = [cells for cells in rows if len(cells) < len(COLUMNS)]
        for row, cells in enumerate(rows[: len(rows) - len(short)]):
            self._write(row, cells)
        table.resizeColumnsToContents()  # the rows that follow span several columns and shall not widen one of them
        for row, cells in enumerate(short, start=len(rows) - len(short)):
            self._write(row, cells)
            table.setSpan(row, len(cells) - 1, 1, len(COLUMNS) - len(cells) + 1)
        table.resizeRowsToContents()
        table.setColumnHidden(REMARKS, not any(cells[REMARKS].text for cells in rows if cells not in short))
        self._fit_height()

    def _fit_height(self) -> None:
        """All rows, if they are not too many: scrolling within the panel, which is scrolled itself, is tedious."""
        table = self._table
        rows = sum(table.rowHeight(row) for row in range(min(table.rowCount, MOST_ROWS)))
        around = table.horizontalHeader().sizeHint.height() + table.horizontalScrollBar().sizeHint.height()
        table.setFixedHeight(rows + around + 2 * table.frameWidth)

    def _write(self, row: int, cells: list[_Cell]) -> None:
        for column, cell in enumerate(cells):
            item = qt.QTableWidgetItem(cell.text)
            item.setToolTip(cell.tool_tip)
            self._table.setItem(row, column, item)


def _tissue_cells(row: TissueResult) -> list[_Cell]:
    return [
        _Cell(row.tissue.name, row.tissue.name),
        _remarks(tissue_findings(row)),
        _change(row.dice_before, row.dice_after, ".3f"),
        _change(row.hd95_mm_before, row.hd95_mm_after, ".2f"),
        _number(row.negative_jacobian_percent, ".2g"),
        _number(row.strain_rms, ".3f"),
    ]


def _image_cells(result: RegistrationResult) -> list[list[_Cell]]:
    rows = [
        [_Cell(WHOLE_IMAGE), _Cell(""), _Cell(""), _Cell(""), _number(result.negative_jacobian_percent, ".2g"),
         _Cell("")],
        [_Cell(SIMILARITY, SIMILARITY_MEANING),
         _change(result.similarity_before, result.similarity_after, ".3f", SIMILARITY_MEANING)],
    ]
    errors = result.landmark_errors
    if errors is not None:
        mean = _change(errors.before_mean, errors.after_mean, ".2f").text
        largest = _change(errors.before_max, errors.after_max, ".2f").text
        meaning = LANDMARKS_MEANING.format(largest=largest)
        rows.append([_Cell(LANDMARKS, meaning), _Cell(LANDMARKS_TEXT.format(mean=mean, count=errors.n), meaning)])
    return rows


def _remarks(found: list[Finding]) -> _Cell:
    words = ", ".join(f"{LEVELS[finding.level]}: {TOPICS[finding.topic]}" for finding in found)
    return _Cell(words, "\n".join(finding.sentence for finding in found))


def _number(value: float, layout: str) -> _Cell:
    return _Cell(format(value, layout)) if math.isfinite(value) else _Cell(NOT_MEASURED, NOT_MEASURED_MEANING)


def _change(before: float, after: float, layout: str, tool_tip: str = "") -> _Cell:
    if not (math.isfinite(before) or math.isfinite(after)):
        return _Cell(NOT_MEASURED, NOT_MEASURED_MEANING)
    return _Cell(f"{_number(before, layout).text} → {_number(after, layout).text}", tool_tip)


def _notes_text(result: RegistrationResult, found: Sequence[Finding]) -> str:
    """The verdict and what it is about, or only the warnings of a result that nobody has judged."""
    if not found:
        return "\n".join(result.warnings)
    return "\n".join([verdict(list(found)), *(f.sentence for f in found if f.level in ("problem", "caution"))])
