"""A label for texts that may be longer than there is room for."""

from __future__ import annotations

import qt


class ElidedLabel(qt.QLabel):
    """Shows as much of its text as there is room for."""

    def __init__(self, parent: qt.QWidget | None = None) -> None:
        qt.QLabel.__init__(self, parent)
        self.setTextFormat(qt.Qt.PlainText)
        self.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Preferred)
        self._whole = ""

    def show_text(self, text: str) -> None:
        self._whole = text
        self._fit()

    def resizeEvent(self, event: qt.QResizeEvent) -> None:
        self._fit()

    def _fit(self) -> None:
        self.setText(self.fontMetrics().elidedText(self._whole, qt.Qt.ElideRight, self.width))


def show_text(label: qt.QLabel, text: str) -> None:
    """Text of a label that takes no room when it has nothing to say."""
    label.setText(text)
    label.setVisible(bool(text))
