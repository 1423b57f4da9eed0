"""Stand-ins for the CTK widgets that hold numbers: sliders, spin boxes, ranges."""

from __future__ import annotations

import sys

from .fields import field
from .qt_binding import QtCore, QtWidgets
from .stand_ins import stand_in

Qt = QtCore.Qt
MAX_POSITION = 2**31 - 1  # of the integer slider behind a slider for real numbers


class _Range:
    """A real number within a range that is always valid, shared by the widgets below."""

    def __init__(self) -> None:
        self.minimum, self.maximum, self.value = 0.0, 99.99, 0.0

    def clamped(self, value: float) -> float:
        return min(max(float(value), self.minimum), self.maximum)


@stand_in()
class ctkSliderWidget(QtWidgets.QWidget):  # noqa: N801
    """Slider and spin box for one number.

    As in CTK the value is not rounded to `decimals`; the handle moves by whole single steps away from the value; a
    single step wider than the range is refused; and setting `decimals` emits valueChanged. With tracking off, dragging
    emits valueIsChanging and keeps `value` until the handle is released.
    """

    valueChanged = QtCore.Signal(float)
    valueIsChanging = QtCore.Signal(float)
    decimalsChanged = QtCore.Signal(int)

    NoSynchronize, SynchronizeWidth, SynchronizeDecimals = 0, 1, 2

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._range = _Range()
        self._shown = 0.0  # what slider and spin box show; differs from value while dragging without tracking
        self._offset = 0.0  # of the shown value from the nearest multiple of the single step, in steps
        self._tracking = True
        self._single_step, self._page_step = 1.0, 10.0
        self._updating = False
        self._slider = QtWidgets.QSlider(Qt.Horizontal)
        self._slider.setObjectName("Slider")
        self._spin_box = QtWidgets.QDoubleSpinBox()
        self._spin_box.setObjectName("SpinBox")
        self._spin_box.setRange(self._range.minimum, self._range.maximum)
        self._spin_box.setKeyboardTracking(False)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider, 1)
        layout.addWidget(self._spin_box)
        self.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Fixed)
        self._slider.valueChanged.connect(self._on_slider)
        self._slider.sliderReleased.connect(self._on_released)
        self._spin_box.valueChanged.connect(self._on_spin_box)
        self._show(self._range.value)

    def setValue(self, value: float) -> None:
        value = self._range.clamped(value)
        changed = value != self._range.value
        self._range.value = value
        self._show(value)
        if changed:
            self._emit_value()

    def reset(self) -> None:
        self.setValue(0.0)

    def setDecimals(self, decimals: int) -> None:
        self._updating = True
        self._spin_box.setDecimals(decimals)
        self._updating = False
        self._show(self._shown)
        self._emit_value()
        self.decimalsChanged.emit(decimals)

    def setSpinBoxVisible(self, visible: bool) -> None:
        self._spin_box.setVisible(visible)

    def _emit_value(self) -> None:
        if not self._tracking:
            self.valueIsChanging.emit(self._range.value)
        self.valueChanged.emit(self._range.value)

    def _show(self, value: float) -> None:
        self._shown = value
        self._offset = value / self._single_step - self._position(value)
        self._updating = True
        self._spin_box.setValue(value)
        self._slider.setRange(self._position(self._range.minimum), self._position(self._range.maximum))
        self._slider.setPageStep(max(1, self._position(self._page_step)))
        self._slider.setValue(self._position(value))
        self._updating = False

    def _position(self, value: float) -> int:
        return round(min(max(value / self._single_step, -MAX_POSITION), MAX_POSITION))

    def _on_slider(self, position: int) -> None:
        if not self._updating:
            self._change((position + self._offset) * self._single_step)

    def _on_spin_box(self, value: float) -> None:
        if not self._updating:
            self._change(value)

    def _change(self, value: float) -> None:
        """By the user; while the handle is held and tracking is off, the value itself waits for the release."""
        value = self._range.clamped(value)
        if self._tracking or not self._slider.isSliderDown():
            self.setValue(value)
        elif value != self._shown:
            self._show(value)
            self.valueIsChanging.emit(value)

    def _on_released(self) -> None:
        if not self._tracking and self._shown != self._range.value:
            self._range.value = self._shown
            self.valueChanged.emit(self._shown)

    def _set_range(self, minimum: float, maximum: float) -> None:
        self._range.minimum, self._range.maximum = minimum, maximum
        self._updating = True
        self._spin_box.setRange(minimum, maximum)
        self._updating = False
        self.setValue(self._range.value)

    def _set_single_step(self, step: float) -> None:
        extent = self._range.maximum - self._range.minimum
        if extent == 0.0 or sys.float_info.epsilon <= step <= extent:
            self._single_step = step
            self._spin_box.setSingleStep(step)
            self._show(self._shown)

    def _set_page_step(self, step: float) -> None:
        self._page_step = step
        self._show(self._shown)

    def _set_tracking(self, tracking: bool) -> None:
        self._tracking = tracking

    value = QtCore.Property(float, lambda self: self._range.value, setValue)
    minimum = QtCore.Property(
        float, lambda self: self._range.minimum, lambda self, v: self._set_range(v, max(v, self._range.maximum))
    )
    maximum = QtCore.Property(
        float, lambda self: self._range.maximum, lambda self, v: self._set_range(min(v, self._range.minimum), v)
    )
    singleStep = QtCore.Property(float, lambda self: self._single_step, _set_single_step)
    pageStep = QtCore.Property(float, lambda self: self._page_step, _set_page_step)
    tracking = QtCore.Property(bool, lambda self: self._tracking, _set_tracking)
    decimals = QtCore.Property(int, lambda self: self._spin_box.decimals(), setDecimals)
    prefix = QtCore.Property(str, lambda self: self._spin_box.prefix(), lambda self, v: self._spin_box.setPrefix(v))
    suffix = QtCore.Property(str, lambda self: self._spin_box.suffix(), lambda self, v: self._spin_box.setSuffix(v))
    spinBoxVisible = QtCore.Property(bool, lambda self: self._spin_box.isVisibleTo(self), setSpinBoxVisible)
    invertedAppearance = QtCore.Property(
        bool, lambda self: self._slider.invertedAppearance(), lambda self, v: self._slider.setInvertedAppearance(v)
    )
    invertedControls = QtCore.Property(
        bool, lambda self: self._slider.invertedControls(), lambda self, v: self._slider.setInvertedControls(v)
    )
    tickInterval = field(float, 0.0)
    tickPosition = field(int, 0)
    synchronizeSiblings = field(int, SynchronizeWidth)
    spinBoxAlignment = field(int, int(Qt.AlignLeft))
    popupSlider = field(bool, False)


@stand_in(_text_changed="valueChanged(QString)")
class ctkDoubleSpinBox(QtWidgets.QWidget):  # noqa: N801
    """A spin box. The options for decimals are kept and have no effect."""

    valueChanged = QtCore.Signal(float)
    _text_changed = QtCore.Signal(str)
    editingFinished = QtCore.Signal()
    decimalsChanged = QtCore.Signal(int)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._box = QtWidgets.QDoubleSpinBox()
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        self._box.valueChanged.connect(self.valueChanged.emit)
        self._box.textChanged.connect(self._text_changed.emit)
        self._box.editingFinished.connect(self.editingFinished.emit)

    def setValue(self, value: float) -> None:
        self._box.setValue(value)

    def setDecimals(self, decimals: int) -> None:
        self._box.setDecimals(decimals)
        self.decimalsChanged.emit(decimals)

    value = QtCore.Property(float, lambda self: self._box.value(), setValue)
    decimals = QtCore.Property(int, lambda self: self._box.decimals(), setDecimals)
    minimum = QtCore.Property(float, lambda self: self._box.minimum(), lambda self, v: self._box.setMinimum(v))
    maximum = QtCore.Property(float, lambda self: self._box.maximum(), lambda self, v: self._box.setMaximum(v))
    singleStep = QtCore.Property(float, lambda self: self._box.singleStep(), lambda self, v: self._box.setSingleStep(v))
    prefix = QtCore.Property(str, lambda self: self._box.prefix(), lambda self, v: self._box.setPrefix(v))
    suffix = QtCore.Property(str, lambda self: self._box.suffix(), lambda self, v: self._box.setSuffix(v))
    readOnly = QtCore.Property(bool, lambda self: self._box.isReadOnly(), lambda self, v: self._box.setReadOnly(v))
    decimalsOption = field(int, 0)


@stand_in()
class ctkDoubleSlider(QtWidgets.QWidget):  # noqa: N801
    """The number only; nothing is drawn and nothing can be dragged."""

    valueChanged = QtCore.Signal(float)
    rangeChanged = QtCore.Signal(float, float)

    def __init__(self, *arguments) -> None:
        super().__init__(next((a for a in arguments if isinstance(a, QtWidgets.QWidget)), None))
        self._range = _Range()

    def setValue(self, value: float) -> None:
        value = self._range.clamped(value)
        if value != self._range.value:
            self._range.value = value
            self.valueChanged.emit(value)

    def _set_range(self, minimum: float, maximum: float) -> None:
        self._range.minimum, self._range.maximum = minimum, maximum
        self.rangeChanged.emit(minimum, maximum)
        self.setValue(self._range.value)

    value = QtCore.Property(float, lambda self: self._range.value, setValue)
    minimum = QtCore.Property(
        float, lambda self: self._range.minimum, lambda self, v: self._set_range(v, max(v, self._range.maximum))
    )
    maximum = QtCore.Property(
        float, lambda self: self._range.maximum, lambda self, v: self._set_range(min(v, self._range.minimum), v)
    )
    singleStep = field(float, 1.0)
    pageStep = field(float, 10.0)
    tracking = field(bool, True)
    orientation = field(int, int(Qt.Horizontal))


class _TwoValues(QtWidgets.QWidget):
    """Two numbers within a range, the lower one never above the upper one; nothing is drawn."""

    minimumValueChanged = QtCore.Signal(float)
    maximumValueChanged = QtCore.Signal(float)
    valuesChanged = QtCore.Signal(float, float)
    rangeChanged = QtCore.Signal(float, float)

    def __init__(self, *arguments) -> None:
        super().__init__(next((a for a in arguments if isinstance(a, QtWidgets.QWidget)), None))
        self._limits, self._values = (0.0, 99.0), (0.0, 99.0)

    def setRange(self, minimum: float, maximum: float) -> None:
        self._limits = (float(minimum), float(max(minimum, maximum)))
        self.rangeChanged.emit(*self._limits)
        self.setValues(*self._values)

    def setValues(self, lower: float, upper: float) -> None:
        before = self._values
        self._values = tuple(min(max(float(v), self._limits[0]), self._limits[1]) for v in sorted((lower, upper)))
        if self._values[0] != before[0]:
            self.minimumValueChanged.emit(self._values[0])
        if self._values[1] != before[1]:
            self.maximumValueChanged.emit(self._values[1])
        if self._values != before:
            self.valuesChanged.emit(*self._values)

    def setMinimumValue(self, value: float) -> None:
        self.setValues(value, max(value, self._values[1]))

    def setMaximumValue(self, value: float) -> None:
        self.setValues(min(value, self._values[0]), value)

    minimumValue = QtCore.Property(float, lambda self: self._values[0], setMinimumValue)
    maximumValue = QtCore.Property(float, lambda self: self._values[1], setMaximumValue)
    minimum = QtCore.Property(
        float, lambda self: self._limits[0], lambda self, v: self.setRange(v, max(v, self._limits[1]))
    )
    maximum = QtCore.Property(
        float, lambda self: self._limits[1], lambda self, v: self.setRange(min(v, self._limits[0]), v)
    )
    singleStep = field(float, 1.0)
    tracking = field(bool, True)
    symmetricMoves = field(bool, False)


@stand_in()
class ctkDoubleRangeSlider(_TwoValues):  # noqa: N801
    orientation = field(int, int(Qt.Horizontal))


@stand_in()
class ctkRangeWidget(_TwoValues):  # noqa: N801
    decimals = field(int, 2)
    prefix = field(str, "")
    suffix = field(str, "")
