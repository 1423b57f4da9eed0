"""A line that shows a weight and in which one can be typed."""

from __future__ import annotations

from collections.abc import Callable

import qt

from ..widgets.number_texts import MAX_WEIGHT, typed_number, weight_text

LETTERS_OF_SIZE_HINT = 17  # Qt's size hint of a line edit is room for so many letters x, and its frame
CURSOR_WIDTH = 2  # pixels


class WeightField:
    """A line edit, in ``edit``, that shows a weight rounded and tells ``on_typed`` another one that is typed.

    The arrow keys move ``slider``, which belongs to the same weight. Not a spin box that writes its own text: Slicer up
    to 5.11 crashes when a Python class overrides a method that returns a value to Qt.
    """

    def __init__(self, slider: qt.QSlider, on_typed: Callable[[float], None], parent: qt.QWidget) -> None:
        self.edit = qt.QLineEdit(parent)
        self.edit.setAlignment(qt.Qt.AlignRight)
        self._slider = slider
        self._on_typed = on_typed
        self._weight = 0.0
        self.fit()
        self.edit.connect("editingFinished()", self._take)
        for key, direction in ((qt.Qt.Key_Up, 1), (qt.Qt.Key_Down, -1)):
            shortcut = qt.QShortcut(qt.QKeySequence(key), self.edit)
            shortcut.setContext(qt.Qt.WidgetShortcut)
            shortcut.connect("activated()", lambda direction=direction: self._step(direction))

    def show(self, weight: float) -> None:
        """Write a weight, unless it is there already: what is being typed then stays."""
        if weight != self._weight:
            self._weight = weight
            self._write()

    def fit(self) -> None:
        """Follow the font. The width is a fixed one, so that no number lays out the panel anew."""
        hint, metrics = self.edit.sizeHint, self.edit.fontMetrics()  # in this order: the hint settles the font
        frame = hint.width() - LETTERS_OF_SIZE_HINT * metrics.horizontalAdvance("x")
        self.edit.setFixedWidth(frame + metrics.horizontalAdvance(MAX_WEIGHT) + CURSOR_WIDTH)

    def _write(self) -> None:
        text = weight_text(self._weight)
        if self.edit.text != text:
            self.edit.setText(text)

    def _take(self) -> None:
        """What was typed, if it is a number and not the one that was shown: the weight behind that is more exact."""
        typed = typed_number(self.edit.text)
        self._write()
        if typed is not None and typed != typed_number(weight_text(self._weight)):
            self._on_typed(typed)
        if self.edit.hasFocus():
            self.edit.selectAll()

    def _step(self, direction: int) -> None:
        """As the arrow keys of the slider do, which starts from what has been typed."""
        self._take()
        self._slider.setValue(self._slider.value + direction * self._slider.singleStep)
