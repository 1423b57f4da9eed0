"""All tissues of the panel, one row each; with many of them a line to filter by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import qt

from ...core.physics.parameter_scale import LogScale, ParameterScale, SliderPositions
from ...core.physics.tissue_presets import PRESETS, soft_stiffness
from ..pace import TELL_EVERY_S, Pace
from ..widgets.icons import look_of
from ..widgets.number_texts import weight_text
from .tissue_row import RowCallbacks, TissueRow

if TYPE_CHECKING:
    from ...scene.write.tissue_nodes import SegmentInfo

FILTER_FROM_ROWS = 9


class _Body(qt.QWidget):
    """The widget that holds the rows, and notices when the application changes between light and dark or its font."""

    def __init__(self, parent: qt.QWidget) -> None:
        qt.QWidget.__init__(self, parent)
        self.on_look_change = None

    def changeEvent(self, event: qt.QEvent) -> None:
        qt.QWidget.changeEvent(self, event)
        if event.type() in (qt.QEvent.PaletteChange, qt.QEvent.FontChange) and self.on_look_change is not None:
            self.on_look_change()


class TissueRows:
    """Rows in ``container`` (an empty widget). They show what `show` says and tell ``callbacks`` what the user does.

    Nothing is kept here: the values belong to the caller, and `show` may be called at any time.
    """

    def __init__(self, container: qt.QWidget, scale: ParameterScale, callbacks: RowCallbacks) -> None:
        self._scale = scale
        self._has_lambda = True
        self._callbacks = callbacks
        self._row_callbacks = replace(callbacks, changed=self._on_changed, dragged=self._on_dragged)
        self._pace = Pace(TELL_EVERY_S)
        self._rows: dict[str, TissueRow] = {}
        self._soft_stiffness = 0.0
        self._container = container
        self._layout = container.layout()
        if self._layout is None:
            self._layout = qt.QVBoxLayout(container)
            self._layout.setContentsMargins(0, 0, 0, 0)
        self._filter = self._make_filter()
        self._layout.addWidget(self._filter)
        self._body: _Body | None = None
        self._preset_menu = qt.QMenu(self._container)
        self._preset_menu.setObjectName("presetMenu")
        self._fill_preset_menu()
        self._preset_row: TissueRow | None = None
        self._to_choose: list[str] = []

    @property
    def ids(self) -> list[str]:
        """Of the tissues, in the order of the rows."""
        return list(self._rows)

    def set_tissues(self, tissues: Sequence[SegmentInfo]) -> None:
        """Show these tissues in this order. Rows are made anew only when the list of ids is another one."""
        if [tissue.id for tissue in tissues] != self.ids:
            self._rebuild(tissues)
        for tissue in tissues:
            self._rows[tissue.id].update(tissue)
        self._apply_filter()
        self._show_stiffness()

    def set_scale(self, scale: ParameterScale, has_lambda: bool = True) -> None:
        """Show weights of another scale from now on, and whether λ acts at all; `show` has to follow."""
        if (scale, has_lambda) == (self._scale, self._has_lambda):
            return
        self._scale, self._has_lambda = scale, has_lambda
        self._fill_preset_menu()
        self._rebuild([row.tissue for row in self._rows.values()])
        self._apply_filter()

    def show(
        self, positions: Mapping[str, SliderPositions], linked: Collection[str] = (), locked: Collection[str] = ()
    ) -> None:
        """Write λ and μ (by tissue id) and the switches, without calling back. Other ids are ignored."""
        for tissue_id, row in self._rows.items():
            row.show(positions.get(tissue_id, row.positions), tissue_id in linked, tissue_id in locked)
        self._show_stiffness()

    def choose_presets(self, tissue_ids: Sequence[str]) -> None:
        """Offer the presets of these tissues, one after the other, until the user closes the menu."""
        self._filter.clear()
        self._to_choose = list(tissue_ids)
        self._choose_next()

    # --- rows -------------------------------------------------------------------------------------------------------

    def _rebuild(self, tissues: Sequence[SegmentInfo]) -> None:
        self._remove_body()
        body = _Body(self._container)
        layout = qt.QVBoxLayout(body)
        layout.setContentsMargins(0, 0, 0, 0)
        look = look_of(body)
        layout.setSpacing(look.side // 2)
        self._rows = {}
        for tissue in tissues:
            row = TissueRow(tissue, self._scale, look, self._row_callbacks, self._choose_preset, body, self._has_lambda)
            self._rows[tissue.id] = row
            layout.addWidget(row.widget)
        body.on_look_change = self._on_look_change
        self._body = body
        self._layout.addWidget(body)
        many = len(self._rows) >= FILTER_FROM_ROWS
        self._filter.setVisible(many)
        if not many:
            self._filter.clear()

    def _remove_body(self) -> None:
        if self._body is not None:
            self._body.on_look_change = None
            self._body.hide()
            self._layout.removeWidget(self._body)
            self._body.deleteLater()
        self._body, self._preset_row, self._to_choose = None, None, []

    def _on_changed(self, tissue_id: str, positions: SliderPositions) -> None:
        self._show_stiffness(only=tissue_id)
        self._callbacks.changed(tissue_id, positions)

    def _on_dragged(self, tissue_id: str, positions: SliderPositions) -> None:
        """Many times a second: what the weights mean is told now and then, and at the end."""
        if self._pace.is_due():
            self._show_stiffness(only=tissue_id)
        self._callbacks.dragged(tissue_id, positions)

    def _show_stiffness(self, only: str | None = None) -> None:
        """In every row, or in one if it is not the one that all are compared with."""
        soft = soft_stiffness([(row.tissue.name, row.acting) for row in self._rows.values()], self._scale)
        if only is not None and soft == self._soft_stiffness:
            self._rows[only].show_stiffness(soft)
        else:
            for row in self._rows.values():
                row.show_stiffness(soft)
        self._soft_stiffness = soft

    def _on_look_change(self) -> None:
        look = look_of(self._body)
        for row in self._rows.values():
            row.set_look(look)

    # --- filter and presets -----------------------------------------------------------------------------------------

    def _make_filter(self) -> qt.QLineEdit:
        edit = qt.QLineEdit(self._container)
        edit.setObjectName("tissueFilter")
        edit.placeholderText = "Filter tissues by name"
        edit.toolTip = "Show only tissues whose name contains this text."
        edit.clearButtonEnabled = True
        edit.setVisible(False)
        edit.connect("textChanged(QString)", self._on_filter)
        return edit

    def _on_filter(self, _text: str) -> None:
        self._apply_filter()

    def _apply_filter(self) -> None:
        wanted = self._filter.text.strip().casefold()
        for row in self._rows.values():
            row.widget.setVisible(wanted in row.tissue.name.casefold())

    def _fill_preset_menu(self, title: str = "") -> None:
        self._preset_menu.clear()
        if title:
            self._preset_menu.addAction(title.replace("&", "&&")).setEnabled(False)
        for preset in filter(lambda preset: preset.is_offered, PRESETS):
            position = LogScale().slider(preset.weight)
            action = self._preset_menu.addAction(f"{preset.label}\t{weight_text(self._scale.weight(position))}")
            action.connect("triggered(bool)", lambda checked, position=position: self._on_preset(position))

    def _choose_preset(self, row: TissueRow) -> None:
        self._to_choose = []
        self._fill_preset_menu()
        self._open_preset_menu(row)

    def _choose_next(self) -> None:
        """The menu bears the name of the tissue: it may have to lie over the row."""
        if self._to_choose:
            row = self._rows[self._to_choose.pop(0)]
            self._scroll_to(row.widget)
            self._fill_preset_menu(row.tissue.name)
            self._open_preset_menu(row)

    def _open_preset_menu(self, row: TissueRow) -> None:
        self._preset_row = row
        self._preset_menu.popup(row.preset.mapToGlobal(qt.QPoint(0, row.preset.height)))

    def _scroll_to(self, widget: qt.QWidget) -> None:
        """In the panel's scroll area, if it is in one."""
        area = widget.parent()
        while area is not None and not isinstance(area, qt.QScrollArea):
            area = area.parent()
        if area is not None:
            area.ensureWidgetVisible(widget)

    def _on_preset(self, position: float) -> None:
        if self._preset_row is not None:
            self._callbacks.changed(self._preset_row.tissue.id, SliderPositions(position, position))
            qt.QTimer.singleShot(0, self._choose_next)  # not before the menu has closed
