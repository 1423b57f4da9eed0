"""Stand-ins for the CTK widgets a panel uses: buttons, group boxes, combo boxes, text."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType

from .collapsible import Contents
from .ctk_values import ctkDoubleRangeSlider, ctkDoubleSlider, ctkDoubleSpinBox, ctkRangeWidget, ctkSliderWidget
from .fields import field
from .qt_binding import QtCore, QtGui, QtWidgets
from .stand_ins import classes, stand_in

__all__ = [
    "ctkDoubleRangeSlider",
    "ctkDoubleSlider",
    "ctkDoubleSpinBox",
    "ctkRangeWidget",
    "ctkSliderWidget",
    "install",
]

Qt = QtCore.Qt
HEADER_HEIGHT = 26  # pixels
LEAST_HEADER_WIDTH = 100


def install() -> ModuleType:
    """Put the module `ctk` with all stand-ins for CTK into sys.modules."""
    ctk = ModuleType("ctk")
    for name, kind in classes.items():
        if name.startswith("ctk"):
            setattr(ctk, name, kind)
    sys.modules["ctk"] = ctk
    return ctk


def _text_and_parent(arguments: tuple) -> tuple[str, QtWidgets.QWidget | None]:
    """Arguments of constructors such as (text, parent) and (parent)."""
    text = next((argument for argument in arguments if isinstance(argument, str)), "")
    parent = next((argument for argument in arguments if isinstance(argument, QtWidgets.QWidget)), None)
    return text, parent


@stand_in()
class ctkCollapsibleButton(QtWidgets.QAbstractButton):  # noqa: N801
    """A header with the text, and the contents below it; a click on the header shows or hides the contents."""

    contentsCollapsed = QtCore.Signal(bool)

    def __init__(self, *arguments) -> None:
        text, parent = _text_and_parent(arguments)
        super().__init__(parent)
        self._collapsed = False
        self._contents = Contents(self)
        self.setText(text)
        self.setCheckable(True)
        self.setChecked(True)
        self.setContentsMargins(0, HEADER_HEIGHT, 0, 0)
        self.setSizePolicy(QtWidgets.QSizePolicy.Minimum, QtWidgets.QSizePolicy.Preferred)
        self.toggled.connect(lambda checked: self._collapse(not checked))

    def _collapse(self, collapsed: bool) -> None:
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        self.setMaximumHeight(self.sizeHint().height() if collapsed else 16777215)
        self._contents.set_visible(not collapsed)
        self.updateGeometry()
        self.contentsCollapsed.emit(collapsed)

    def _set_collapsed(self, collapsed: bool) -> None:
        if self.isCheckable():
            self.setChecked(not collapsed)
        else:
            self._collapse(collapsed)

    collapsed = QtCore.Property(bool, lambda self: self._collapsed, _set_collapsed)
    collapsedHeight = field(int, 14)
    flat = field(bool, False)
    contentsFrameShape = field(int, int(QtWidgets.QFrame.StyledPanel))
    contentsFrameShadow = field(int, int(QtWidgets.QFrame.Raised))
    contentsLineWidth = field(int, 1)
    contentsMidLineWidth = field(int, 0)
    buttonTextAlignment = field(int, int(Qt.AlignLeft | Qt.AlignVCenter))
    indicatorAlignment = field(int, int(Qt.AlignLeft | Qt.AlignVCenter))

    def hitButton(self, position: QtCore.QPoint) -> bool:
        return position.y() < HEADER_HEIGHT

    def childEvent(self, event: QtCore.QChildEvent) -> None:
        if event.polished():
            self._contents.adopt(event.child())
        super().childEvent(event)

    def showEvent(self, event: QtGui.QShowEvent) -> None:
        self._contents.apply()
        super().showEvent(event)

    def sizeHint(self) -> QtCore.QSize:
        return self._hint(QtWidgets.QLayout.totalSizeHint).expandedTo(self._header(self.collapsedHeight))

    def minimumSizeHint(self) -> QtCore.QSize:
        return self._hint(QtWidgets.QLayout.totalMinimumSize)

    def _hint(self, of_layout: Callable[[QtWidgets.QLayout], QtCore.QSize]) -> QtCore.QSize:
        """What the layout says; closed, a strip of ``collapsedHeight`` stays below the header, as in CTK."""
        if self._collapsed or self.layout() is None:
            return self._header(self.collapsedHeight if self._collapsed else 0)
        return of_layout(self.layout()).expandedTo(self._header(0))

    def _header(self, below: int) -> QtCore.QSize:
        return QtCore.QSize(LEAST_HEADER_WIDTH, HEADER_HEIGHT + below)

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        header = QtWidgets.QStyleOptionButton()
        header.initFrom(self)
        header.rect = QtCore.QRect(0, 0, self.width(), HEADER_HEIGHT)
        self.style().drawControl(QtWidgets.QStyle.CE_PushButton, header, painter, self)
        arrow = QtWidgets.QStyleOption()
        arrow.initFrom(self)
        arrow.rect = QtCore.QRect(8, 6, 14, 14)
        style = QtWidgets.QStyle
        element = style.PE_IndicatorArrowRight if self._collapsed else style.PE_IndicatorArrowDown
        self.style().drawPrimitive(element, arrow, painter, self)
        painter.drawText(
            QtCore.QRect(28, 0, self.width() - 30, HEADER_HEIGHT), Qt.AlignVCenter | Qt.AlignLeft, self.text()
        )
        if not self._collapsed:
            painter.setPen(self.palette().color(QtGui.QPalette.Mid))
            painter.drawRect(0, HEADER_HEIGHT - 1, self.width() - 1, self.height() - HEADER_HEIGHT)


@stand_in()
class ctkCollapsibleGroupBox(QtWidgets.QGroupBox):  # noqa: N801
    """A group box whose check box shows and hides the contents."""

    def __init__(self, *arguments) -> None:
        title, parent = _text_and_parent(arguments)
        super().__init__(title, parent)
        self._contents = Contents(self)
        self.setCheckable(True)
        self.toggled.connect(self._contents.set_visible)

    def childEvent(self, event: QtCore.QChildEvent) -> None:
        if event.polished():
            self._contents.adopt(event.child())
        super().childEvent(event)

    def showEvent(self, event: QtGui.QShowEvent) -> None:
        self._contents.apply()
        super().showEvent(event)

    collapsed = QtCore.Property(bool, lambda self: not self.isChecked(), lambda self, value: self.setChecked(not value))
    collapsedHeight = field(int, 14)


@stand_in()
class ctkPushButton(QtWidgets.QPushButton):  # noqa: N801
    def __init__(self, *arguments) -> None:
        super().__init__(*_text_and_parent(arguments))

    buttonTextAlignment = field(int, int(Qt.AlignHCenter | Qt.AlignVCenter))
    iconAlignment = field(int, int(Qt.AlignLeft | Qt.AlignVCenter))
    elideMode = field(int, int(Qt.ElideNone))


@stand_in()
class ctkCheckablePushButton(ctkPushButton):  # noqa: N801
    """A push button with a check box in it, reduced to the properties."""

    checkBoxToggled = QtCore.Signal(bool)
    checkStateChanged = QtCore.Signal(int)

    def _check(self, state: int) -> None:
        if state != self._state:
            self._state = state
            self.checkStateChanged.emit(state)
            self.checkBoxToggled.emit(bool(state))

    _state = 0
    checkState = QtCore.Property(int, lambda self: self._state, _check)
    indicatorAlignment = field(int, int(Qt.AlignLeft | Qt.AlignVCenter))
    checkBoxControlsButton = field(bool, True)
    checkBoxControlsButtonToggleState = field(bool, True)
    checkBoxUserCheckable = field(bool, True)


@stand_in()
class ctkMenuButton(QtWidgets.QPushButton):  # noqa: N801
    def __init__(self, *arguments) -> None:
        super().__init__(*_text_and_parent(arguments))


@stand_in()
class ctkColorPickerButton(QtWidgets.QPushButton):  # noqa: N801
    """A button with a color. The dialog does not open."""

    colorChanged = QtCore.Signal(QtGui.QColor)
    colorNameChanged = QtCore.Signal(str)

    def __init__(self, *arguments) -> None:
        super().__init__(*_text_and_parent(arguments))
        self._color = QtGui.QColor(Qt.black)

    def setColor(self, color: QtGui.QColor) -> None:
        if color != self._color:
            self._color = QtGui.QColor(color)
            self.colorChanged.emit(self._color)

    color = QtCore.Property(QtGui.QColor, lambda self: self._color, setColor)
    colorName = field(str, "")
    displayColorName = field(bool, True)
    dialogOptions = field(int, 0)


@stand_in()
class ctkCheckBox(QtWidgets.QCheckBox):  # noqa: N801
    indicatorIcon = field(QtGui.QIcon, QtGui.QIcon())
    indicatorIconSize = field(QtCore.QSize, QtCore.QSize(0, 0))


@stand_in()
class ctkComboBox(QtWidgets.QComboBox):  # noqa: N801
    """A combo box that shows a text when nothing is chosen."""

    defaultText = QtCore.Property(str, QtWidgets.QComboBox.placeholderText, QtWidgets.QComboBox.setPlaceholderText)
    defaultIcon = field(QtGui.QIcon, QtGui.QIcon())
    forceDefault = field(bool, False)
    elideMode = field(int, int(Qt.ElideNone))
    scrollWheelEffect = field(int, 1)

    def setCurrentUserDataAsString(self, text: str) -> None:
        index = next((i for i in range(self.count()) if str(self.itemData(i)) == text), -1)
        self.setCurrentIndex(index)

    def _user_data(self) -> str:
        data = self.currentData()
        return "" if data is None else str(data)

    currentUserDataAsString = QtCore.Property(str, _user_data, setCurrentUserDataAsString)


@stand_in()
class ctkPathLineEdit(QtWidgets.QWidget):  # noqa: N801
    """A line for a path, without the history and without the file dialog."""

    validInputChanged = QtCore.Signal(bool)
    currentPathChanged = QtCore.Signal(str)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._line = QtWidgets.QLineEdit()
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._line)
        self._line.textChanged.connect(self.currentPathChanged.emit)

    def setCurrentPath(self, path: str) -> None:
        self._line.setText(path)

    def addCurrentPathToHistory(self) -> None:
        pass

    currentPath = QtCore.Property(str, lambda self: self._line.text(), setCurrentPath)
    label = field(str, "")
    filters = field(int, 0)
    options = field(int, 0)
    settingKey = field(str, "")
    showBrowseButton = field(bool, True)
    showHistoryButton = field(bool, True)
    sizeAdjustPolicy = field(int, 0)
    minimumContentsLength = field(int, 0)
    nameFilters = field("QStringList", [])


@stand_in()
class ctkDirectoryButton(QtWidgets.QWidget):  # noqa: N801
    """A button with a folder. The dialog does not open."""

    directoryChanged = QtCore.Signal(str)
    directorySelected = QtCore.Signal(str)

    def _set_directory(self, path: str) -> None:
        if path != self._directory:
            self._directory = path
            self.directoryChanged.emit(path)

    _directory = ""
    directory = QtCore.Property(str, lambda self: self._directory, _set_directory)
    caption = field(str, "")
    text = field(str, "")
    icon = field(QtGui.QIcon, QtGui.QIcon())
    acceptMode = field(int, 0)
    elideMode = field(int, int(Qt.ElideNone))
    options = field(int, 0)


@stand_in()
class ctkMessageBox(QtWidgets.QMessageBox):  # noqa: N801
    dontShowAgain = field(bool, False)
    dontShowAgainSettingsKey = field(str, "")
    dontShowAgainVisible = field(bool, False)

    def setDontShowAgain(self, value: bool) -> None:
        self.dontShowAgain = value


@stand_in()
class ctkFittedTextBrowser(QtWidgets.QTextBrowser):  # noqa: N801
    """A text browser with a collapsible text, which is kept and not shown."""

    disableMouseScroll = field(bool, True)
    collapsed = field(bool, True)
    showDetailsText = field(str, "Show details...")
    hideDetailsText = field(str, "Hide details.")
    _collapsible_text = ""

    def setCollapsibleText(self, text: str) -> None:
        self._collapsible_text = text

    def collapsibleText(self) -> str:
        return self._collapsible_text
