"""Small icons drawn with the text color of the palette, so that they are seen on light and on dark panels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import qt

CANVAS = 64  # icons are drawn large and scaled down by Qt
STROKE = 6.0
FAINT = 0.55  # opacity of a switch that is off


@dataclass(frozen=True)
class Look:
    """What is the same in all rows: icons by name (link and lock look different when checked), their side in pixels,
    and the color they are drawn with.
    """

    icons: dict[str, qt.QIcon]
    side: int
    color: qt.QColor

    def swatch(self, color_rgb: tuple[float, float, float]) -> qt.QPixmap:
        """A square in a tissue's color (0 to 1) with an edge that keeps it visible on any panel."""
        side = 3 * self.side // 4
        pixmap = qt.QPixmap(side, side)
        red, green, blue = (round(255 * min(max(part, 0.0), 1.0)) for part in color_rgb)
        pixmap.fill(qt.QColor(red, green, blue))
        edge = qt.QColor(self.color)
        edge.setAlphaF(FAINT)
        painter = qt.QPainter(pixmap)
        try:
            painter.setPen(edge)
            painter.drawRect(0, 0, side - 1, side - 1)
        finally:
            painter.end()
        return pixmap


def look_of(widget: qt.QWidget) -> Look:
    """The look that fits the palette and the font of ``widget``."""
    palette = widget.palette  # must outlive the color that is taken from it
    color = qt.QColor(palette.color(qt.QPalette.ButtonText))
    icons = {
        "preset": _icon(_preset, color),
        "link": _switch(_link_open, _link_closed, color),
        "lock": _switch(_lock_open, _lock_closed, color),
        "reset": _icon(_reset, color),
    }
    return Look(icons, widget.fontMetrics().height(), color)


def _icon(draw: Callable[[qt.QPainter], None], color: qt.QColor) -> qt.QIcon:
    return qt.QIcon(_drawn(draw, color))


def _switch(off: Callable[[qt.QPainter], None], on: Callable[[qt.QPainter], None], color: qt.QColor) -> qt.QIcon:
    icon = qt.QIcon(_drawn(off, color, FAINT))
    icon.addPixmap(_drawn(on, color), qt.QIcon.Normal, qt.QIcon.On)
    return icon


def _drawn(draw: Callable[[qt.QPainter], None], color: qt.QColor, opacity: float = 1.0) -> qt.QPixmap:
    pixmap = qt.QPixmap(CANVAS, CANVAS)
    pixmap.fill(qt.QColor(0, 0, 0, 0))
    ink = qt.QColor(color)
    ink.setAlphaF(opacity)
    pen = qt.QPen(ink)
    pen.setWidthF(STROKE)
    pen.setCapStyle(qt.Qt.RoundCap)
    pen.setJoinStyle(qt.Qt.RoundJoin)
    painter = qt.QPainter(pixmap)
    try:
        painter.setRenderHint(qt.QPainter.Antialiasing, True)
        painter.setPen(pen)
        draw(painter)
    finally:
        painter.end()  # a painter that is still active when the pixmap goes takes the application with it
    return pixmap


def _preset(painter: qt.QPainter) -> None:
    """A short list and an arrow down."""
    path = qt.QPainterPath()
    for height, right in ((14, 54), (30, 54), (46, 28)):
        path.moveTo(10, height)
        path.lineTo(right, height)
    path.moveTo(39, 44)
    path.lineTo(47, 53)
    path.lineTo(55, 44)
    painter.drawPath(path)


def _link_closed(painter: qt.QPainter) -> None:
    _link(painter, 0)


def _link_open(painter: qt.QPainter) -> None:
    _link(painter, 4)


def _link(painter: qt.QPainter, gap: int) -> None:
    """Two halves of a chain, one above the other, joined by a bar when there is no gap."""
    path = qt.QPainterPath()
    path.moveTo(18, 25 - gap)
    path.arcTo(18, 5 - gap / 2, 28, 26, 180, -180)
    path.lineTo(46, 25 - gap)
    path.moveTo(18, 39 + gap)
    path.arcTo(18, 33 + gap / 2, 28, 26, 180, 180)
    path.lineTo(46, 39 + gap)
    if not gap:
        path.moveTo(32, 22)
        path.lineTo(32, 42)
    painter.drawPath(path)


def _lock_closed(painter: qt.QPainter) -> None:
    path = qt.QPainterPath()
    path.moveTo(20, 30)
    path.lineTo(20, 22)
    path.arcTo(20, 8, 24, 26, 180, -180)
    path.lineTo(44, 30)
    painter.drawPath(path)
    _lock_body(painter, filled=True)


def _lock_open(painter: qt.QPainter) -> None:
    path = qt.QPainterPath()
    path.moveTo(20, 30)
    path.lineTo(20, 18)
    path.arcTo(20, 5, 24, 26, 180, -160)
    painter.drawPath(path)
    _lock_body(painter, filled=False)


def _lock_body(painter: qt.QPainter, filled: bool) -> None:
    path = qt.QPainterPath()
    path.addRoundedRect(13, 31, 38, 26, 5, 5)
    if filled:
        painter.fillPath(path, qt.QBrush(painter.pen().color()))
    painter.drawPath(path)


def _reset(painter: qt.QPainter) -> None:
    """An arrow that turns back."""
    path = qt.QPainterPath()
    path.arcMoveTo(12, 12, 42, 42, 150)
    path.arcTo(12, 12, 42, 42, 150, -300)
    path.moveTo(10, 8)
    path.lineTo(13, 24)
    path.lineTo(29, 20)
    painter.drawPath(path)
