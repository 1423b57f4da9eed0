"""The module `qt` of Slicer, made from PySide6."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType

from . import attributes, overrides, signals
from .qt_binding import QtCore, QtGui, QtUiTools, QtWidgets, application
from .qt_versions import QT6_ONLY_GLOBALS
from .signals import slot_errors

__all__ = ["install", "slot_errors"]

BINDINGS = (QtCore, QtGui, QtWidgets, QtUiTools)
# What PySide6 has and PythonQt has not, or not with that meaning.
NOT_IN_PYTHONQT = {"ClassInfo", "Property", "QEnum", "QFlag", "SIGNAL", "SLOT", "Signal", "SignalInstance", "Slot"}
FIRST_RESULT_ONLY = {
    QtWidgets.QFileDialog: ("getOpenFileName", "getOpenFileNames", "getSaveFileName"),
    QtWidgets.QInputDialog: ("getDouble", "getInt", "getItem", "getMultiLineText", "getText"),
}


def install() -> ModuleType:
    """Put the module `qt` into sys.modules, make the application, and change how Qt objects are seen from outside.

    From then on classes that would crash Slicer cannot be defined, see `overrides`. A second call returns the same
    module.
    """
    installed = sys.modules.get("qt")
    if installed is not None and getattr(installed, "is_stand_in_", False):
        return installed
    application()
    signals.collect_uncaught_exceptions()
    qt = ModuleType("qt")
    qt.is_stand_in_ = True
    for name, value in _names_of_pyside().items():
        setattr(qt, name, value)
        if isinstance(value, type) and issubclass(value, QtCore.QObject):
            value.__setattr__ = attributes.set_attribute
    QtCore.QObject.__getattribute__ = attributes.get_attribute
    QtCore.QObject.__bool__ = attributes.is_alive
    overrides.refuse()
    _adapt_static_functions()
    _adapt_ui_loader(qt)
    sys.modules["qt"] = qt
    return qt


def _names_of_pyside() -> dict[str, object]:
    """dir() and not vars(): PySide6 makes its classes when they are asked for."""
    names: dict[str, object] = {}
    for binding in BINDINGS:
        hidden = NOT_IN_PYTHONQT | QT6_ONLY_GLOBALS
        public = (name for name in dir(binding) if not name.startswith("_") and name not in hidden)
        names.update((name, getattr(binding, name)) for name in public if name not in names)
    return names


def _adapt_ui_loader(qt: ModuleType) -> None:
    from .ui_loader import UiLoader

    qt.QUiLoader = UiLoader


def _adapt_static_functions() -> None:
    for kind, names in FIRST_RESULT_ONLY.items():
        for name in names:
            setattr(kind, name, staticmethod(_first_result(getattr(kind, name))))
    single_shot = QtCore.QTimer.singleShot
    QtCore.QTimer.singleShot = staticmethod(
        lambda milliseconds, receiver: single_shot(milliseconds, signals.guarded(receiver))
    )


def _first_result(function: Callable) -> Callable:
    """PySide6 returns (value, filter or ok), PythonQt the value."""

    def call(*arguments, **keywords):
        result = function(*arguments, **keywords)
        return result[0] if isinstance(result, tuple) else result

    return call
