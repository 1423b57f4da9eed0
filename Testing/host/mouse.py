"""The user's hands: clicking, dragging, choosing, typing."""

from __future__ import annotations

from collections.abc import Callable

from .qt_binding import QtCore, QtTest, QtWidgets

LEFT = QtCore.Qt.LeftButton
HEADER_Y = 10  # pixels: within the header of a collapsible section


def click(widget: QtWidgets.QWidget) -> None:
    """Press and release the left button: on the header of a collapsible section, in the middle of anything else.

    Raises ValueError if a user could not do it.
    """
    _require_usable(widget)
    is_section = isinstance(widget, QtWidgets.QGroupBox) or type(widget).__name__ == "ctkCollapsibleButton"
    position = QtCore.QPoint(HEADER_Y, HEADER_Y) if is_section else widget.rect().center()
    if isinstance(widget, QtWidgets.QCheckBox):
        position.setX(HEADER_Y)  # the text may be shorter than the widget
    QtTest.QTest.mouseClick(widget, LEFT, QtCore.Qt.NoModifier, position)


def drag(
    widget: QtWidgets.QWidget, fraction: float, moves: int = 10, between: Callable[[], object] | None = None
) -> None:
    """Drag the handle of a slider, or of the slider within a widget, to a fraction (0 to 1) of its way.

    between() is called after each of the `moves`; by default waiting events are processed.
    """
    slider = widget if isinstance(widget, QtWidgets.QSlider) else widget.findChild(QtWidgets.QSlider)
    start = hold(slider)
    for move in range(1, moves + 1):
        move_to(slider, start + (fraction - start) * move / moves)
        (between or QtWidgets.QApplication.processEvents)()
    let_go(slider, fraction)


def hold(slider: QtWidgets.QSlider) -> float:
    """Press the left button on the handle of a slider, for `move_to` and `let_go`; the fraction at which it is."""
    _require_usable(slider)
    handle = _handle(slider)
    QtTest.QTest.mousePress(slider, LEFT, QtCore.Qt.NoModifier, handle.center())
    return (handle.center().x() - handle.width() / 2) / (slider.rect().width() - handle.width())


def move_to(slider: QtWidgets.QSlider, fraction: float) -> None:
    """Move the mouse with the handle to a fraction (0 to 1) of the slider's way."""
    QtTest.QTest.mouseMove(slider, _place(slider, fraction))


def let_go(slider: QtWidgets.QSlider, fraction: float) -> None:
    QtTest.QTest.mouseRelease(slider, LEFT, QtCore.Qt.NoModifier, _place(slider, fraction))


def choose(widget: QtWidgets.QWidget, text: str) -> None:
    """Open the list of a combo box, or of the one within a widget, and click on the entry with that text.

    Raises ValueError if there is no such entry or it cannot be clicked.
    """
    box = widget if isinstance(widget, QtWidgets.QComboBox) else widget.findChild(QtWidgets.QComboBox)
    _require_usable(box)
    row = box.findText(text)
    if row < 0:
        entries = [box.itemText(index) for index in range(box.count())]
        raise ValueError(f"there is no entry '{text}' in {entries}")
    _open_list(box)
    view, index = box.view(), box.model().index(row, box.modelColumn())
    view.scrollTo(index)
    view.setCurrentIndex(index)
    QtTest.QTest.mouseClick(view.viewport(), LEFT, QtCore.Qt.NoModifier, view.visualRect(index).center())
    box.hidePopup()


def tick(table: QtWidgets.QTableWidget, row: int, column: int = 0) -> None:
    """Click on the box of a cell that can be ticked. Raises ValueError if a user could not do it."""
    _require_usable(table)
    index = table.model().index(row, column)
    if not index.flags() & QtCore.Qt.ItemIsUserCheckable:
        raise ValueError(f"the cell in row {row} and column {column} cannot be ticked")
    table.scrollTo(index)
    place = table.visualRect(index)
    style, margin = table.style(), 1 + table.style().pixelMetric(QtWidgets.QStyle.PM_FocusFrameHMargin)
    x = place.left() + margin + style.pixelMetric(QtWidgets.QStyle.PM_IndicatorWidth) // 2
    QtTest.QTest.mouseClick(table.viewport(), LEFT, QtCore.Qt.NoModifier, QtCore.QPoint(x, place.center().y()))


def type_value(widget: QtWidgets.QWidget, text: str) -> None:
    """Type into a spin box or line edit, or the one within a widget, instead of what is there, and press Return."""
    line = widget if isinstance(widget, QtWidgets.QLineEdit) else widget.findChild(QtWidgets.QLineEdit)
    _require_usable(line)
    line.selectAll()
    QtTest.QTest.keyClicks(line, text)
    QtTest.QTest.keyClick(line, QtCore.Qt.Key_Return)


def _open_list(box: QtWidgets.QComboBox) -> None:
    """For one double click interval Qt would take a release of the button for the end of the opening click."""
    interval_ms = QtWidgets.QApplication.doubleClickInterval()
    QtWidgets.QApplication.setDoubleClickInterval(0)
    box.showPopup()
    QtWidgets.QApplication.setDoubleClickInterval(interval_ms)
    QtTest.QTest.qWait(1)


def _place(slider: QtWidgets.QSlider, fraction: float) -> QtCore.QPoint:
    """Where the middle of the handle is at a fraction of the way."""
    handle = _handle(slider)
    x = round(fraction * (slider.rect().width() - handle.width()) + handle.width() / 2)
    return QtCore.QPoint(x, handle.center().y())


def _handle(slider: QtWidgets.QSlider) -> QtCore.QRect:
    option = QtWidgets.QStyleOptionSlider()
    slider.initStyleOption(option)
    style = QtWidgets.QStyle
    return slider.style().subControlRect(style.CC_Slider, option, style.SC_SliderHandle, slider)


def _require_usable(widget: QtWidgets.QWidget | None) -> None:
    if widget is None:
        raise ValueError("there is no widget to use")
    if not widget.isVisible() or not widget.isEnabled():
        state = "disabled" if widget.isVisible() else "hidden"
        raise ValueError(f"{type(widget).__name__} '{widget.objectName()}' is {state}")
