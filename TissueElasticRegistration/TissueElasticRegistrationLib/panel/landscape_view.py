"""Pictures of how the score of an estimate depends on λ and μ, one for each tissue, side by side as far as they fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import qt
from slicer.i18n import tr as _

from ..core.reporting.pictures import png
from .labels import ElidedLabel
from .number_texts import weight_text

CHOSEN = _("Best so far for {name}: λ = {lam}, μ = {mu} (relative weights, no unit).")
FLAT = _("flat: not determined")
FLAT_MEANING = _("More than half of the values that were tried are as good as the best one: the images say little "
                 "about the elasticity of {name}.")


class ShownLandscape(NamedTuple):
    """What is shown of one tissue. ``picture_rgb``: (rows, columns, 3) uint8; λ and μ: the best point so far."""

    tissue_id: str
    name: str
    picture_rgb: np.ndarray
    lam: float
    mu: float
    is_flat: bool


class LandscapeView:
    """Shows landscapes in ``container`` (an empty widget), in as many columns as its width allows."""

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

    def show(self, landscapes: Sequence[ShownLandscape]) -> None:
        """Show these, in this order; may be called for every partial result of an estimate."""
        if [landscape.tissue_id for landscape in landscapes] != list(self._cells):
            self.clear()
            self._cells = {landscape.tissue_id: _Cell(landscape.tissue_id, self._body) for landscape in landscapes}
        for landscape in landscapes:
            self._cells[landscape.tissue_id].show(landscape)
        self._arrange()

    def clear(self) -> None:
        for cell in self._cells.values():
            self._grid.removeWidget(cell.widget)
            cell.widget.hide()
            cell.widget.deleteLater()
        self._cells, self._columns = {}, 0

    def _arrange(self) -> None:
        if not self._cells:
            return
        wanted = max(cell.width for cell in self._cells.values()) + self._grid.horizontalSpacing()
        columns = max(1, (self._body.width + self._grid.horizontalSpacing()) // wanted)
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
    """Name, picture, and the best point of one tissue."""

    def __init__(self, tissue_id: str, parent: qt.QWidget) -> None:
        self.widget = qt.QWidget(parent)
        self.width = 0
        self._name = ElidedLabel(self.widget)
        self._picture = qt.QLabel(self.widget)
        self._chosen = qt.QLabel(self.widget)
        self._flat = qt.QLabel(self.widget)
        layout = qt.QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        for kind, label in (("Name", self._name), ("Picture", self._picture), ("Chosen", self._chosen),
                            ("Flat", self._flat)):
            label.setObjectName(f"landscape{kind}_{tissue_id}")
            layout.addWidget(label)
        layout.addStretch(1)

    def show(self, landscape: ShownLandscape) -> None:
        pixmap = qt.QPixmap()
        pixmap.loadFromData(png(landscape.picture_rgb))
        self.width = pixmap.width()
        self._picture.setPixmap(pixmap)
        self._name.setMaximumWidth(self.width)
        self._name.show_text(landscape.name)
        self._name.toolTip = landscape.name
        lam, mu = weight_text(landscape.lam), weight_text(landscape.mu)
        self._chosen.setText(f"<small>λ {lam} · μ {mu}</small>")
        self._picture.toolTip = self._chosen.toolTip = CHOSEN.format(name=landscape.name, lam=lam, mu=mu)
        self._flat.setText(f"<small>{FLAT}</small>")
        self._flat.toolTip = FLAT_MEANING.format(name=landscape.name)
        self._flat.setVisible(landscape.is_flat)
