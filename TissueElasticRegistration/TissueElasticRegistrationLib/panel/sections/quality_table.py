"""What a registration has measured, as a table of the panel: one row for each tissue, then the whole image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ...core.data.result import RegistrationResult, TissueResult
from ...core.reporting.verdict import Finding, tissue_findings, verdict
from ..widgets import table_widgets as tables
from ..widgets.labels import breakable
from ..widgets.table_widgets import NOT_KNOWN, Cell, Column

COLUMNS = (
    Column(_("Tissue"), _("Segment of the fixed image")),
    Column(
        _("Remarks"),
        _(
            "Faults that the measurements show, none found is no proof that there are none; and which "
            "tissues the estimate did not use"
        ),
    ),
    Column(_("Dice"), _("Overlap with the moving segmentation, before → after; 1 is complete, no unit")),
    Column(_("HD95 mm"), _("95th percentile of the surface distances in mm, before → after")),
    Column(_("Folding %"), _("Share of the voxels at which the deformation folds, in percent")),
    Column(_("Strain"), _("Root mean square of the strain tensor's norm, no unit")),
)
REMARKS = 1  # column
WHOLE_IMAGE = _("Whole image")
SIMILARITY = _("Similarity")
SIMILARITY_MEANING = _(
    "Squared local correlation of the images, before → after; 1 is the most, no unit. "
    "A high value alone does not show that tissue is matched correctly."
)
LANDMARKS = _("Landmarks")
LANDMARKS_TEXT = _("{mean} mm (n = {count})")
LANDMARKS_MEANING = _("Mean distance of corresponding landmarks in mm, before → after; the largest is {largest} mm.")
KEPT_LANDMARKS = _("Kept landmarks")
KEPT_LANDMARKS_MEANING = _("Only the landmarks that the estimate has not looked at: independent evidence. {rest}")
NOT_MEASURED_MEANING = _("Not measured")
LEVELS = {"problem": _("Problem"), "caution": _("Look at")}
TOPICS = {"Folding": _("folding"), "Overlap": _("overlap")}
HELD_OUT = _("kept to check")
HELD_OUT_MEANING = _("The estimate has not looked at this tissue: how well it fits is independent evidence.")


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
        _change(row.dice_before, row.dice_after, ".3f"),
        _change(row.hd95_mm_before, row.hd95_mm_after, ".2f"),
        _number(row.negative_jacobian_percent, ".2g"),
        _number(row.strain_rms, ".3f"),
    ]


def _image_cells(result: RegistrationResult, account: Mapping[str, Any] | None) -> list[list[Cell]]:
    rows = [
        [Cell(WHOLE_IMAGE), Cell(""), Cell(""), Cell(""), _number(result.negative_jacobian_percent, ".2g"), Cell("")],
        [
            Cell(SIMILARITY, SIMILARITY_MEANING),
            _change(result.similarity_before, result.similarity_after, ".3f", SIMILARITY_MEANING),
        ],
    ]
    if result.landmark_errors is not None:
        rows.append(_landmark_cells(LANDMARKS, LANDMARKS_MEANING, asdict(result.landmark_errors)))
    if account is not None and account["objective"] == "landmarks" and account["held_out"]["tre_mm"]:
        meaning = KEPT_LANDMARKS_MEANING.format(rest=LANDMARKS_MEANING)
        rows.append(_landmark_cells(KEPT_LANDMARKS, meaning, account["held_out"]["tre_mm"]))
    return rows


def _landmark_cells(name: str, meaning: str, errors: Mapping[str, float]) -> list[Cell]:
    mean = _change(errors["before_mean"], errors["after_mean"], ".2f").text
    meaning = meaning.format(largest=_change(errors["before_max"], errors["after_max"], ".2f").text)
    return [Cell(name, meaning), Cell(LANDMARKS_TEXT.format(mean=mean, count=errors["n"]), meaning)]


def _remarks(found: list[Finding], held_out: bool) -> Cell:
    words = [f"{LEVELS[finding.level]}: {TOPICS[finding.topic]}" for finding in found]
    sentences = [finding.sentence for finding in found]
    if held_out:
        words.append(HELD_OUT)
        sentences.append(HELD_OUT_MEANING)
    return Cell(", ".join(words), "\n".join(sentences))


def _number(value: float, layout: str) -> Cell:
    return Cell(format(value, layout)) if math.isfinite(value) else Cell(NOT_KNOWN, NOT_MEASURED_MEANING)


def _change(before: float, after: float, layout: str, tool_tip: str = "") -> Cell:
    if not (math.isfinite(before) or math.isfinite(after)):
        return Cell(NOT_KNOWN, NOT_MEASURED_MEANING)
    return Cell(f"{_number(before, layout).text} → {_number(after, layout).text}", tool_tip)


def _notes_text(result: RegistrationResult, found: Sequence[Finding]) -> str:
    """The verdict and what it is about, or only the warnings of a result that nobody has judged."""
    if not found:
        return "\n".join(result.warnings)
    return "\n".join([verdict(list(found)), *(f.sentence for f in found if f.level in ("problem", "caution"))])
