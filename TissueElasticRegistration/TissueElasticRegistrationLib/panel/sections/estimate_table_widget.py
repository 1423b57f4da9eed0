"""The table of an estimate in the panel: which tissues it may look at, what it has found, and what of it is used."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

import qt

from ...core.data import glossary
from ...core.data.tissues import BACKGROUND_ID, UNSEGMENTED_ID
from ..widgets import table_widgets as tables
from ..widgets.icons import look_of
from ..widgets.number_texts import stiffness_text, weight_text
from ..widgets.table_widgets import NOT_KNOWN, Cell, Column

if TYPE_CHECKING:
    from ...core.stiffness.shear_modulus_ratio import ShearModulusRatios, TissueModulusRatio
    from ...scene.write.estimate_rows import EstimateRow
    from ...scene.write.tissue_nodes import SegmentInfo

COLUMNS = (
    Column(
        "Tissue",
        "Checked: the tissue is used for the estimate. Clear the check box to exclude it and use it as an "
        "independent check.",
    ),
    *(Column(weight.heading, weight.meaning) for weight in (glossary.LAMBDA, glossary.MU, glossary.POISSON_RATIO)),
    Column("Shear\nmodulus\nratio", glossary.SHEAR_MODULUS_RATIO.meaning),
    Column(glossary.CONFIDENCE.heading, glossary.CONFIDENCE.meaning + " (flat)"),
    Column("", "Revert this tissue to its previous λ and μ, or use the estimated values again"),
)
TISSUE, LAMBDA, MU, POISSON, STIFFNESS, CONFIDENCE, TAKE = range(len(COLUMNS))
TO_USE = "Used for the estimate"  # title of the only column before there is an estimate
USED = "{name} is used for the estimate. Clear the check box to exclude it and use it as an independent check."
HELD_OUT = "{name} is excluded from the estimate; its fit afterwards is independent evidence."
KEEPS = "λ and μ of {name} were not changed by the estimate."
SEARCHED = "{name}: score {score:.3f}, previously {before:.3f}."
REFERENCE = "1 (reference)"
REFERENCE_MEANING = "{name} is the reference for the other tissues."
STIFFNESS_MEANING = "{name} is {ratio} times as stiff as {reference}; 95 % interval {low} to {high}."
FLAT = "flat"
FLAT_MEANING = "λ and μ of {name} have little effect on the fit, so their values mean little."
CONFIDENCE_MEANING = "{percent} % of the tested values fit {name} clearly worse than these."
UNDO, TAKE_TEXT = "Revert", "Use"
UNDO_MEANING = "Revert λ and μ of {name} to their values before the estimate."
TAKE_MEANING = "Use the estimated λ and μ of {name}."


class EstimateTable:
    """Fills ``table``. ``held_out`` is called with the id of a tissue and whether it is kept out of the estimate,
    ``taken`` with whether its values shall be used.
    """

    def __init__(
        self, table: qt.QTableWidget, held_out: Callable[[str, bool], None], taken: Callable[[str, bool], None]
    ) -> None:
        self._table = table
        self._on_held_out, self._on_taken = held_out, taken
        self._tissues: tuple[SegmentInfo, ...] = ()
        self._cells: dict[tuple[int, int], Cell] = {}
        self._buttons: dict[str, qt.QToolButton] = {}
        tables.prepare(table, COLUMNS)
        table.setSelectionMode(qt.QAbstractItemView.NoSelection)
        table.connect("itemChanged(QTableWidgetItem*)", self._on_item_changed)
        self.clear()

    def set_tissues(self, tissues: Sequence[SegmentInfo]) -> bool:
        """Rows for these tissues, without an estimate, if they are others than before; whether they are.

        The background has no row.
        """
        tissues = tuple(tissue for tissue in tissues if tissue.id != BACKGROUND_ID)
        if tissues == self._tissues:
            return False
        self._tissues = tissues
        self.clear()
        return True

    def clear(self) -> None:
        """Only the tissues, nothing found."""
        table = self._table
        blocked = table.blockSignals(True)
        table.setRowCount(0)
        table.setRowCount(len(self._tissues))
        self._cells, self._buttons = {}, {}
        look = look_of(table)
        for row, tissue in enumerate(self._tissues):
            item = qt.QTableWidgetItem(tissue.name)
            item.setIcon(qt.QIcon(look.swatch(tissue.color_rgb)))
            item.setFlags(qt.Qt.ItemIsEnabled)
            if tissue.id != UNSEGMENTED_ID:
                item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsUserCheckable)
                item.setCheckState(qt.Qt.Checked)
            table.setItem(row, TISSUE, item)
            table.setRowHidden(row, tissue.id == UNSEGMENTED_ID)
        table.blockSignals(blocked)
        self._show_columns([TISSUE])

    def show_switches(self, held_out: Collection[str], taken: Collection[str]) -> None:
        """Which tissues are kept out, and whose values are those of the estimate."""
        blocked = self._table.blockSignals(True)
        for row, tissue in enumerate(self._tissues):
            out, item = tissue.id in held_out, self._table.item(row, TISSUE)
            if tissue.id != UNSEGMENTED_ID:
                state = qt.Qt.Unchecked if out else qt.Qt.Checked
                if item.checkState() != state:
                    item.setCheckState(state)
                item.setToolTip((HELD_OUT if out else USED).format(name=tissue.name))
            button = self._buttons.get(tissue.id)
            if button is not None:
                is_taken = tissue.id in taken
                button.text = UNDO if is_taken else TAKE_TEXT
                button.toolTip = (UNDO_MEANING if is_taken else TAKE_MEANING).format(name=tissue.name)
        self._table.blockSignals(blocked)

    def show(self, found: Sequence[EstimateRow], has_lambda: bool, changed: Collection[str] = ()) -> None:
        """An estimate, also a partial one. changed: ids of the tissues whose values can be put back one by one."""
        by_id = {row.tissue.id: row for row in found}
        before = dict(self._cells)
        for number, tissue in enumerate(self._tissues):
            row = by_id.get(tissue.id)
            if row is not None:
                self._table.setRowHidden(number, False)
                for column, cell in _cells(row, has_lambda).items():
                    self._write(number, column, cell)
                if tissue.id in changed and tissue.id not in self._buttons:
                    self._add_button(number, tissue.id)
        shown = {TISSUE, LAMBDA, MU, POISSON} if has_lambda else {TISSUE, MU}
        if any(row.is_estimated and (row.insensitive or row.confidence == row.confidence) for row in found):
            shown.add(CONFIDENCE)
        if self._buttons:
            shown.add(TAKE)
        self._refit(before, shown | ({STIFFNESS} & {*self._shown}))

    def show_ratios(self, ratios: ShearModulusRatios) -> None:
        """Shear modulus ratios, beside an estimate or alone."""
        by_id = {row.tissue.id: row for row in ratios.per_tissue}
        before = dict(self._cells)
        for number, tissue in enumerate(self._tissues):
            row = by_id.get(tissue.id)
            if row is not None:
                self._table.setRowHidden(number, False)
                self._write(number, STIFFNESS, _ratio_cell(row, ratios))
        self._refit(before, {*self._shown, STIFFNESS})

    def _refit(self, before: dict[tuple[int, int], Cell], shown: set[int]) -> None:
        """Show these columns, unless nothing is different from ``before``."""
        if self._cells != before or sorted(shown) != self._shown:
            self._show_columns(sorted(shown))

    def _write(self, row: int, column: int, cell: Cell) -> None:
        if self._cells.get((row, column)) == cell:
            return
        self._cells[row, column] = cell
        item = qt.QTableWidgetItem(cell.text)
        item.setFlags(qt.Qt.ItemIsEnabled)
        item.setToolTip(cell.tool_tip)
        item.setTextAlignment(qt.Qt.AlignCenter)
        self._table.setItem(row, column, item)

    def _add_button(self, row: int, tissue_id: str) -> None:
        button = qt.QToolButton(self._table)
        button.setObjectName(f"estimateTake_{tissue_id}")
        button.setAutoRaise(True)
        button.text = UNDO
        button.connect("clicked()", lambda: self._on_taken(tissue_id, button.text == TAKE_TEXT))
        self._buttons[tissue_id] = button
        self._table.setCellWidget(row, TAKE, button)

    def _show_columns(self, shown: list[int]) -> None:
        self._shown = shown
        table = self._table
        for column in range(len(COLUMNS)):
            table.setColumnHidden(column, column not in shown)
        alone = shown == [TISSUE]
        table.horizontalHeaderItem(TISSUE).setText(TO_USE if alone else COLUMNS[TISSUE].title)
        tables.fit_columns(table)
        self._make_rows_equal()
        table.horizontalHeader().setStretchLastSection(alone)
        tables.fit_height(table, scrolls_across=not alone)

    def _make_rows_equal(self) -> None:
        """As high as the highest one: only some have a button."""
        table = self._table
        table.resizeRowsToContents()
        shown = [row for row in range(table.rowCount) if not table.isRowHidden(row)]
        highest = max([table.rowHeight(row) for row in shown], default=0)
        for row in shown:
            table.setRowHeight(row, highest)

    def _on_item_changed(self, item: qt.QTableWidgetItem) -> None:
        if item.column() == TISSUE:
            self._on_held_out(self._tissues[item.row()].id, item.checkState() != qt.Qt.Checked)


def _cells(row: EstimateRow, has_lambda: bool) -> dict[int, Cell]:
    """The cells of one tissue by column."""
    name = row.tissue.name
    if not row.is_estimated:
        nothing = Cell(NOT_KNOWN, (HELD_OUT if row.held_out else KEEPS).format(name=name))
        return dict.fromkeys((LAMBDA, MU, POISSON, CONFIDENCE), nothing)
    tip = SEARCHED.format(name=name, score=row.score, before=row.start_score)
    weights = {
        LAMBDA: weight_text(row.lame.lam),
        MU: weight_text(row.lame.mu),
        POISSON: f"{row.lame.poisson_ratio:{glossary.POISSON_RATIO.layout}}",
    }
    cells = {column: Cell(text if has_lambda or column == MU else NOT_KNOWN, tip) for column, text in weights.items()}
    return cells | {CONFIDENCE: _confidence(row)}


def _ratio_cell(row: TissueModulusRatio, ratios: ShearModulusRatios) -> Cell:
    name, reference = row.tissue.name, ratios.reference
    if row.tissue == reference:
        return Cell(REFERENCE, REFERENCE_MEANING.format(name=name))
    if not row.supported:
        return Cell(NOT_KNOWN, row.reason)
    ratio, low, high = (stiffness_text(value) for value in (row.mu, row.low, row.high))
    meaning = STIFFNESS_MEANING.format(name=name, ratio=ratio, reference=reference.name, low=low, high=high)
    return Cell(f"{ratio} ({low}–{high})", meaning)


def _confidence(row: EstimateRow) -> Cell:
    if row.insensitive:
        return Cell(FLAT, FLAT_MEANING.format(name=row.tissue.name))
    if math.isnan(row.confidence):
        return Cell(NOT_KNOWN)
    percent = round(100 * row.confidence)
    return Cell(f"{percent} %", CONFIDENCE_MEANING.format(percent=percent, name=row.tissue.name))
