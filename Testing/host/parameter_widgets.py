"""Which widget may show which type of parameter, as Slicer's parameter node wrapper decides it.

The class of the widget has to be exactly one of those named here; a class derived from it is refused, as in Slicer.
"""

from __future__ import annotations

import enum
import logging
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass

import slicer

from . import signals
from .parameter_validators import Choice, Decimals, Maximum, Minimum, SingleStep, WithinRange

INTEGER_WIDGETS = {"QSlider", "QSpinBox"}
NUMBER_WIDGETS = {"QDoubleSpinBox", "ctkSliderWidget", "qMRMLSliderWidget", "ctkDoubleSpinBox", "ctkDoubleSlider"}
NEEDS_RANGE = {"QSlider", "ctkSliderWidget", "qMRMLSliderWidget"}
TEXT_SIGNALS = {"QLineEdit": "textChanged(QString)", "QLabel": None}
INT_LIMITS = (-(2**31), 2**31 - 1)
FLOAT_LIMITS = (float("-inf"), float("inf"))


@dataclass
class Binding:
    """A widget and how to read and write the value it shows. signal: emitted when the user changes it."""

    widget: object
    signal: str | None
    read: Callable[[], object]
    write: Callable[[object], None]
    callback: Callable[[], None] | None = None

    def connect(self, callback: Callable[[], None]) -> None:
        self.callback = callback
        if self.signal:
            signals.connect(self.widget, self.signal, callback)

    def disconnect(self) -> None:
        if self.signal:
            signals.disconnect(self.widget, self.signal, self.callback)


def bind(widget, annotation) -> Binding:
    """The binding of a widget to a parameter of that type. Raises RuntimeError if they do not fit."""
    kind, *details = typing.get_args(typing.Annotated[annotation, None])
    name = type(widget).__name__
    if kind is bool and name in ("QCheckBox", "ctkCheckBox"):
        return _property_binding(widget, "checked", "stateChanged(int)")
    if kind is bool and name in ("QPushButton", "ctkCheckablePushButton"):
        if not widget.property("checkable"):
            logging.warning("A button that is bound to a parameter is made checkable.")
            widget.setProperty("checkable", True)
        return _property_binding(widget, "checked", "toggled(bool)")
    if kind is int and name in INTEGER_WIDGETS:
        _limit(widget, details, INT_LIMITS)
        return _property_binding(widget, "value", "valueChanged(int)")
    if kind in (int, float) and name in NUMBER_WIDGETS:
        if kind is int:
            details = [Decimals(0), *details]
        _limit(widget, details, FLOAT_LIMITS)
        return _property_binding(widget, "value", "valueChanged(double)", kind)
    if kind in (int, float, str, bool) and name in ("QComboBox", "ctkComboBox"):
        choice = _detail(details, Choice)
        if choice is None:
            raise RuntimeError("A parameter that is bound to a combo box needs a Choice.")
        return _choice_binding(widget, [(str(value), value) for value in choice.choices])
    if isinstance(kind, type) and issubclass(kind, enum.Enum) and name in ("QComboBox", "ctkComboBox"):
        label = getattr(kind, "label", lambda member: member.name)
        return _choice_binding(widget, [(label(member), member) for member in kind])
    if kind is str and name in TEXT_SIGNALS:
        return _text_binding(widget, TEXT_SIGNALS[name])
    if name == "qMRMLNodeComboBox" and _node_classes(kind):
        widget.setProperty("nodeTypes", [node_class().GetClassName() for node_class in _node_classes(kind)])
        signal = "currentNodeChanged(vtkMRMLNode*)"
        return Binding(widget, signal, widget.currentNode, widget.setCurrentNode)
    raise RuntimeError(f"A parameter of type {annotation} cannot be bound to a {name}.")


def _detail(details: list, kind: type):
    return next((detail for detail in details if isinstance(detail, kind)), None)


def _property_binding(widget, name: str, signal: str, kind: type = lambda value: value) -> Binding:
    return Binding(widget, signal, lambda: kind(widget.property(name)), lambda value: widget.setProperty(name, value))


def _text_binding(widget, signal: str | None) -> Binding:
    def write(text: str) -> None:
        if text != widget.property("text"):  # otherwise the cursor would jump to the end while the user types
            widget.setProperty("text", text)

    return Binding(widget, signal, lambda: widget.property("text"), write)


def _choice_binding(widget, choices: list[tuple[str, object]]) -> Binding:
    values = [value for _, value in choices]

    def write(value) -> None:
        widget.setProperty("currentIndex", values.index(value))

    widget.clear()
    widget.addItems([text for text, _ in choices])
    return Binding(widget, "currentIndexChanged(int)", lambda: values[widget.property("currentIndex")], write)


def _limit(widget, details: list, widest: tuple) -> None:
    """Decimals, step and range of a number widget from the annotations of the parameter."""
    for kind, name in ((Decimals, "decimals"), (SingleStep, "singleStep")):
        if (detail := _detail(details, kind)) is not None and widget.metaObject().indexOfProperty(name) >= 0:
            widget.setProperty(name, detail.value)
    both = _detail(details, WithinRange)
    minimum, maximum = both or _detail(details, Minimum), both or _detail(details, Maximum)
    if (minimum is None or maximum is None) and type(widget).__name__ in NEEDS_RANGE:
        raise RuntimeError(f"A number that is bound to a {type(widget).__name__} needs a range.")
    widget.setProperty("minimum", minimum.minimum if minimum else widest[0])
    widget.setProperty("maximum", maximum.maximum if maximum else widest[1])


def _node_classes(kind) -> list[type]:
    """The node classes of ``A``, ``A | None`` or ``A | B | None``; empty if there is anything else in it."""
    members = typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)
    members = [typing.get_args(typing.Annotated[member, None])[0] for member in members]
    classes = [member for member in members if member is not types.NoneType]
    nodes = [member for member in classes if isinstance(member, type) and issubclass(member, slicer.vtkMRMLNode)]
    return nodes if nodes == classes else []
