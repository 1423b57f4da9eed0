"""Which parts of a window Qt lays out anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .qt_binding import QtCore, QtWidgets


@contextmanager
def layout_requests(widget: QtWidgets.QWidget) -> Iterator[list[str]]:
    """A list that is complete in the end: names of what is laid out meanwhile of ``widget`` and what is in it."""
    QtWidgets.QApplication.processEvents()
    watch = _Watch(widget)
    QtWidgets.QApplication.instance().installEventFilter(watch)
    try:
        yield watch.names
        QtWidgets.QApplication.processEvents()
    finally:
        QtWidgets.QApplication.instance().removeEventFilter(watch)


class _Watch(QtCore.QObject):
    def __init__(self, widget: QtWidgets.QWidget) -> None:
        super().__init__()
        self.names: list[str] = []
        self._widget = widget

    def eventFilter(self, receiver: QtCore.QObject, event: QtCore.QEvent) -> bool:
        asked = event.type() == QtCore.QEvent.LayoutRequest and isinstance(receiver, QtWidgets.QWidget)
        if asked and (receiver is self._widget or self._widget.isAncestorOf(receiver)):
            self.names.append(receiver.objectName() or type(receiver).__name__)
        return False
