"""Pictures of how the score of an estimate depends on λ and μ, one for each tissue, side by side as far as they fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import qt

from ...core.reporting.landscape_picture import landscape_picture
from ...core.reporting.pictures import png
from ..widgets.labels import ElidedLabel
from ..widgets.number_texts import weight_text

if TYPE_CHECKING:
    from ...core.estimation.estimate_result import Estimate, TissueEstimate

# Two pictures fit into a panel 320 pixels wide at the usual font size.
SIDE_IN_LINES = 8
CHOSEN = (
    "Chosen for {name}: λ = {lam}, μ = {mu} (relative weights, no unit); score {score:.3f}, "
    "previously {start_score:.3f}."
)
AXES = "λ increases to the right, μ upward. Brighter is better; the ring marks the chosen values."
FLAT = "flat: not determined"
FLAT_MEANING = (
    "More than half of the tested values are as good as the best one (hatched), so the images hardly "
    "determine λ and μ of {name}."
)


class LandscapeView:
    """Shows the landscapes of an estimate in ``container`` (an empty widget), in as many columns as its width allows.

    Tissues that were not estimated are left out; nothing is shown of an estimate without landscape.
    """

    def __init__(self, container: qt.QWidget) -> None:
        layout = container.layout()
        if layout is None:
            layout = qt.QVBoxLayout(container)
            layout.setContentsMargins(0, 0, 0, 0)
        self._body = _Body(container, self._arrange)
        self._grid = qt.QGridLayout(self._body)
        self._grid.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._body)
        self._cells: dict[str, _Cell] = {}
        self._columns = 0
        self._undrawn: dict[str, tuple[Estimate, int]] = {}
        # A picture takes some milliseconds: one at a time, so that many tissues do not stop the event loop.
        self._timer = qt.QTimer(self._body)  # and never after the widgets are gone
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._draw_next)

    def show(self, estimate: Estimate) -> None:
        """Show this estimate, soon; it may be a partial one that is followed by others."""
        if estimate.landscape is None:
            self.clear()
            return
        estimated = {row.tissue.id: number for number, row in enumerate(estimate.per_tissue) if row.is_estimated}
        if list(estimated) != list(self._cells):
            self.clear()
            side = SIDE_IN_LINES * self._body.fontMetrics().height()
            self._cells = {tissue_id: _Cell(tissue_id, side, self._body) for tissue_id in estimated}
            self._arrange()
        self._undrawn = {tissue_id: (estimate, number) for tissue_id, number in estimated.items()}
        self._timer.start()

    def clear(self) -> None:
        self._timer.stop()
        self._undrawn = {}
        for cell in self._cells.values():
            self._grid.removeWidget(cell.widget)
            cell.widget.hide()
            cell.widget.deleteLater()
        self._cells, self._columns = {}, 0

    def _draw_next(self) -> None:
        if not self._undrawn:
            self._timer.stop()
            return
        # The one that has waited longest comes first, also when the next estimate arrives before all are drawn.
        tissue_id = min(self._undrawn, key=lambda tissue_id: self._cells[tissue_id].drawn)
        self._cells[tissue_id].draw(*self._undrawn.pop(tissue_id))

    def _arrange(self) -> None:
        if not self._cells:
            return
        space = self._grid.horizontalSpacing()
        wanted = max(cell.side for cell in self._cells.values()) + space
        columns = max(1, (self._body.width + space) // wanted)
        if columns == self._columns:
            return
        for column in range(self._columns + 1):
            self._grid.setColumnStretch(column, 0)
        for number, cell in enumerate(self._cells.values()):
            self._grid.addWidget(cell.widget, number // columns, number % columns, qt.Qt.AlignTop)
        self._grid.setColumnStretch(columns, 1)  # what is left over lies on the right
        self._columns = columns


class _Body(qt.QWidget):
    """Tells when its width changes."""

    def __init__(self, parent: qt.QWidget, on_resize: Callable[[], None]) -> None:
        qt.QWidget.__init__(self, parent)
        self.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Preferred)  # columns must not keep a panel wide
        self._on_resize = on_resize

    def resizeEvent(self, event: qt.QResizeEvent) -> None:
        self._on_resize()


class _Cell:
    """Name, picture and best point of one tissue. ``side`` in pixels; ``drawn``: how often it was."""

    def __init__(self, tissue_id: str, side: int, parent: qt.QWidget) -> None:
        self.side = side
        self.drawn = 0
        self.widget = qt.QWidget(parent)
        self._name = ElidedLabel(self.widget)
        self._picture = qt.QLabel(self.widget)
        self._chosen = qt.QLabel(self.widget)
        self._flat = qt.QLabel(self.widget)
        self._flat.setVisible(False)
        layout = qt.QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        for kind, label in (
            ("Name", self._name),
            ("Picture", self._picture),
            ("Chosen", self._chosen),
            ("Flat", self._flat),
        ):
            label.setObjectName(f"landscape{kind}_{tissue_id}")
            layout.addWidget(label)

    def draw(self, estimate: Estimate, number: int) -> None:
        """The tissue with this number in an estimate."""
        self.drawn += 1
        row = estimate.per_tissue[number]
        hatched = estimate.landscape.near_best(number) if row.insensitive else None
        pixmap = qt.QPixmap()
        pixmap.loadFromData(png(landscape_picture(estimate.landscape.scores[number], row.point, hatched, self.side)))
        self._picture.setPixmap(pixmap)
        self._describe(row, len(estimate.landscape.lam) > 1)

    def _describe(self, row: TissueEstimate, has_lambda: bool) -> None:
        name, lam, mu = row.tissue.name, weight_text(row.lame.lam), weight_text(row.lame.mu)
        self._name.show_text(name)
        self._name.toolTip = name
        weights = f"→ λ {lam} · ↑ μ {mu}" if has_lambda else f"↑ μ {mu}"  # the arrows name the axes
        self._chosen.setText(f"<small>{weights}</small>")
        self._chosen.toolTip = CHOSEN.format(name=name, lam=lam, mu=mu, score=row.score, start_score=row.start_score)
        self._picture.toolTip = f"{self._chosen.toolTip}\n{AXES}"
        self._flat.setText(f"<small>{FLAT}</small>")
        self._flat.toolTip = FLAT_MEANING.format(name=name)
        self._flat.setVisible(row.insensitive)
