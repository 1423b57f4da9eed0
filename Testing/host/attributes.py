"""Attribute access on Qt objects by PythonQt's rules, for all code but the host's own, which sees plain PySide6.

Reading finds, in this order: what a Python subclass defines, Qt properties (their values), methods and signals, dynamic
properties, children by object name. Writing finds Qt properties and dynamic properties; new attributes can be made on
instances of Python subclasses only. Stand-ins show the names of their allow-list besides those of their Qt base class.
"""

from __future__ import annotations

import operator
import sys
import threading
from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple

from . import signals
from .qt_binding import QtCore, QtWidgets, shiboken6
from .qt_versions import qt6_only
from .signals import plain_get

INSIDE = ("host", "PySide6", "Shiboken", "shiboken6", "shibokensupport")  # packages that see plain PySide6
HIDDEN_PROPERTIES = {(QtCore.QTimer, "singleShot")}  # a static slot of the same name hides the property

_metaObject, _property, _setProperty = QtCore.QObject.metaObject, QtCore.QObject.property, QtCore.QObject.setProperty


class PropertyFacts(NamedTuple):
    type_name: str
    writable: bool
    is_enum: bool


_property_facts: dict[tuple[type, str, str], PropertyFacts | None] = {}


def get_attribute(self: QtCore.QObject, name: str) -> Any:
    """QObject.__getattribute__"""
    if _is_dunder(name) or _called_from_inside():
        return plain_get(self, name)
    kind = type(self)
    if _in_python_subclass(kind, name) or _in_instance(self, name):
        return _outside_view(self, name, plain_get(self, name))
    _require_usable(self, name)
    extra = EXTRA_METHODS.get(name)
    if extra is not None:
        return lambda *arguments: extra(self, *arguments)
    if _is_visible(kind, name):
        if _readable_property(self, name):
            value = _property(self, _qt_name(name))
            return int(value.value) if isinstance(value, Enum) else value
        if hasattr(kind, name):
            return _outside_view(self, name, plain_get(self, name))
    if name.encode() in _dynamic_properties(self):
        return _property(self, name)
    for child in QtCore.QObject.children(self):
        if QtCore.QObject.objectName(child) == name:
            return child
    raise AttributeError(f"{kind.__name__} has no attribute named '{name}'")


def set_attribute(self: QtCore.QObject, name: str, value: Any) -> None:
    """QObject.__setattr__"""
    if _is_dunder(name) or _called_from_inside():
        _plain_set(self, name, value)
        return
    kind = type(self)
    if _in_python_subclass(kind, name):
        _plain_set(self, name, value)
        return
    _require_usable(self, name)
    visible = _is_visible(kind, name)
    facts = _facts(self, name) if visible else None
    if facts is not None:
        _write_property(self, name, facts, value)
    elif visible and hasattr(kind, name):
        raise AttributeError(f"Slot or signal '{name}' can not be overwritten on {kind.__name__} object")
    elif name.encode() in _dynamic_properties(self):
        _setProperty(self, name, value)
    elif _is_python_subclass(kind):
        _plain_set(self, name, value)
    else:
        raise AttributeError(
            f"'{name}' does not exist on {kind.__name__} and creating new attributes on C++ objects is not allowed"
        )


def is_alive(self: QtCore.QObject) -> bool:
    """QObject.__bool__: False once the C++ object is gone."""
    return shiboken6.isValid(self)


def is_inside(module_name: str) -> bool:
    """Whether code of that module sees plain PySide6."""
    return module_name.partition(".")[0] in INSIDE


def _called_from_inside() -> bool:
    try:
        return is_inside(sys._getframe(2).f_globals.get("__name__", ""))
    except ValueError:  # no Python caller: the interpreter is shutting down
        return True


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _qt_name(name: str) -> str:
    return "objectName" if name == "name" else name


def _is_python_subclass(kind: type) -> bool:
    """Whether outside code made the class, which is then Python and not C++ for PythonQt too."""
    return not is_inside(kind.__module__)


def _in_python_subclass(kind: type, name: str) -> bool:
    return any(name in vars(c) for c in kind.__mro__ if c is not object and _is_python_subclass(c))


def _in_instance(self: QtCore.QObject, name: str) -> bool:
    return _is_python_subclass(type(self)) and name in plain_get(self, "__dict__")


def _is_visible(kind: type, name: str) -> bool:
    if name in qt6_only(kind):
        return False
    facts = getattr(kind, "stand_in_facts", None)
    return name in facts.visible_names if facts else not name.startswith("_")


def _require_usable(self: QtCore.QObject, name: str) -> None:
    """PythonQt knows destroyed objects; widgets used outside the main thread it lets pass, to crash now and then."""
    if not shiboken6.isValid(self):
        raise ValueError(f"'{name}' of a destroyed {type(self).__name__} object")
    if isinstance(self, QtWidgets.QWidget) and threading.current_thread() is not threading.main_thread():
        raise RuntimeError(f"'{name}' of a {type(self).__name__} object is used outside the main thread")


def _outside_view(self: QtCore.QObject, name: str, value: Any) -> Any:
    return signals.signal_named(self, name) if isinstance(value, QtCore.SignalInstance) else value


def _dynamic_properties(self: QtCore.QObject) -> list[bytes]:
    return [bytes(name) for name in QtCore.QObject.dynamicPropertyNames(self)]


def _facts(self: QtCore.QObject, name: str) -> PropertyFacts | None:
    meta = _metaObject(self)
    key = (type(self), meta.className(), name)
    if key not in _property_facts:
        index = meta.indexOfProperty(_qt_name(name))
        found = meta.property(index) if index >= 0 else None
        _property_facts[key] = found and PropertyFacts(
            found.typeName(), found.isWritable(), found.isEnumType() or found.isFlagType()
        )
    return _property_facts[key]


def _readable_property(self: QtCore.QObject, name: str) -> bool:
    hidden = any(name == hidden and isinstance(self, kind) for kind, hidden in HIDDEN_PROPERTIES)
    return not hidden and _facts(self, name) is not None


def _write_property(self: QtCore.QObject, name: str, facts: PropertyFacts, value: Any) -> None:
    if not _readable_property(self, name):
        raise AttributeError(f"Slot '{name}' can not be overwritten on {type(self).__name__} object")
    if not facts.writable:
        raise AttributeError(f"Property '{name}' of {type(self).__name__} object is not writable")
    try:
        converted = CONVERSIONS.get(facts.type_name, _unchanged)(value) if not facts.is_enum else _enum_value(value)
        accepted = _setProperty(self, _qt_name(name), converted)
    except (TypeError, ValueError, OverflowError):
        accepted = False
    if not accepted:
        raise AttributeError(
            f"Property '{name}' of type '{facts.type_name}' does not accept an object of type "
            f"{type(value).__name__} ({value!r})"
        )


def _plain_set(self: QtCore.QObject, name: str, value: Any) -> None:
    """object.__setattr__, which cannot be called for PySide6 classes once their own __setattr__ is replaced."""
    for kind in type(self).__mro__:
        descriptor = vars(kind).get(name)
        if isinstance(descriptor, QtCore.Property):
            descriptor.fset(self, value)
            return
        if hasattr(type(descriptor), "__set__"):
            descriptor.__set__(self, value)
            return
    plain_get(self, "__dict__")[name] = value


def _unchanged(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _integer(value: Any) -> int:
    return int(value) if isinstance(value, float) else operator.index(value)


def _real(value: Any) -> float:
    if isinstance(value, (str, bytes)):
        raise TypeError
    return float(value)


def _strings(value: Any) -> list[str]:
    """PythonQt turns the string "abc" into ["a", "b", "c"], which nobody wants: refused here."""
    if isinstance(value, (str, bytes)):
        raise TypeError
    return [str(item) for item in value]


def _enum_value(value: Any) -> int | str:
    return value if isinstance(value, str) else _integer(getattr(value, "value", value))


CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "bool": lambda value: bool(_integer(value)),
    "int": _integer,
    "uint": _integer,
    "double": _real,
    "float": _real,
    "QString": str,
    "QStringList": _strings,
}


def _connect(self: QtCore.QObject, *arguments) -> bool:
    """`sender.connect('signal()', ...)`, and the older `anything.connect(sender, 'signal()', ...)`."""
    if len(arguments) >= 3 and isinstance(arguments[0], QtCore.QObject):
        return signals.connect(*arguments)
    return signals.connect(self, *arguments)


def _disconnect(self: QtCore.QObject, *arguments) -> bool:
    if len(arguments) >= 2 and isinstance(arguments[0], QtCore.QObject):
        return signals.disconnect(*arguments)
    return signals.disconnect(self, *arguments)


def _children_of_type(self: QtCore.QObject, kind: type | str, name: str | None) -> list[QtCore.QObject]:
    found = QtCore.QObject.findChildren(self, QtCore.QObject if isinstance(kind, str) else kind)
    if isinstance(kind, str):
        found = [child for child in found if QtCore.QObject.inherits(child, kind)]
    return [child for child in found if name is None or QtCore.QObject.objectName(child) == name]


def _find_children(self: QtCore.QObject, kind: type | str, name: str | None = None) -> list[QtCore.QObject]:
    return _children_of_type(self, kind, name)


def _find_child(self: QtCore.QObject, kind: type | str, name: str | None = None) -> QtCore.QObject | None:
    return next(iter(_children_of_type(self, kind, name)), None)


# Methods every QObject has in PythonQt with a meaning of their own.
EXTRA_METHODS: dict[str, Callable] = {
    "className": lambda self: type(self).__name__,
    "connect": _connect,
    "delete": lambda self: shiboken6.delete(self),
    "disconnect": _disconnect,
    "findChild": _find_child,
    "findChildren": _find_children,
}
