"""Labels: texts that may be longer than there is room for, and the tooltips of the controls they belong to."""

from __future__ import annotations

import re
from collections.abc import Iterable

import qt

BREAK = "\u200b"  # zero-width space
LONG_WORD = re.compile(r"\S{25,}")
PARTS = re.compile(r"[^/\\_.-]*[/\\_.-]|[^/\\_.-]+")


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
    label.setText(breakable(text))
    label.setVisible(bool(text))


def share_tool_tips(labels: Iterable[qt.QLabel]) -> None:
    """Give every label the tooltip of the control it belongs to (its buddy), so that each text is written once."""
    for label in labels:
        if label.buddy() is not None:
            label.toolTip = label.buddy().toolTip


def breakable(text: str) -> str:
    """The same to the eye, but words too long for a narrow panel, such as paths, go on in the next line."""
    return LONG_WORD.sub(_with_breaks, text.replace(BREAK, ""))


def _with_breaks(word: re.Match) -> str:
    """After what separates the parts of a path or a name, and anywhere in a part that is too long itself."""
    parts = PARTS.findall(word.group())
    return BREAK.join(BREAK.join(part) if LONG_WORD.match(part) else part for part in parts)
