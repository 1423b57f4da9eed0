"""Classes that override a method of Qt that returns a value crash the real Slicer, so they cannot be defined here."""

from __future__ import annotations

import inspect
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .attributes import is_inside
from .qt_binding import QtCore

from shibokensupport.signature import get_signature  # isort: skip  # part of PySide6, which has to be imported first

# Base class of all classes of Qt, also of those that are no QObject.
_EVERY_QT_CLASS = QtCore.QObject.__mro__[-2]

_REFUSAL = (
    "class {kind} overrides {qt_kind}.{name}, which returns a value to Qt. PythonQt of Slicer 5.10 and 5.11 can write "
    "what such a method returns into memory of another type, and then crashes: Slicer/Slicer#9127, "
    "commontk/PythonQt#68. Only events that return nothing may be overridden."
)


def refuse() -> None:
    """From now on, defining such a class outside of the host and of installed packages raises TypeError.

    Refused is every name of a method of a Qt base class that returns a value, in the class itself or in a mixin.
    PySide6 does not tell which of the methods are virtual; hiding one of the others is no good idea either.
    """
    _EVERY_QT_CLASS.__init_subclass__ = classmethod(_check)


def _check(kind: type, **keywords: Any) -> None:
    """__init_subclass__ of all classes of Qt, which Python calls when a class has been made."""
    super(_EVERY_QT_CLASS, kind).__init_subclass__(**keywords)
    if is_inside(kind.__module__) or _is_installed(kind.__module__):
        return
    for name, qt_kind in _overridden(kind):
        if _returns_value(getattr(qt_kind, name)):
            raise TypeError(_REFUSAL.format(kind=kind.__qualname__, qt_kind=qt_kind.__name__, name=name))


def _is_installed(module_name: str) -> bool:
    """Whether the module belongs to an installed package: matplotlib, for one, has a window for Qt."""
    file = getattr(sys.modules.get(module_name), "__file__", None)
    return file is not None and Path(file).is_relative_to(sysconfig.get_path("purelib"))


def _overridden(kind: type) -> Iterator[tuple[str, type]]:
    """Names that classes from outside define, and the classes of Qt that come after them and have them too."""
    outside: set[str] = set()
    for base in _lineage(kind):
        if not is_inside(base.__module__):
            outside |= {name for name in vars(base) if not name.startswith("__")}
        elif issubclass(base, _EVERY_QT_CLASS):
            yield from ((name, base) for name in sorted(outside & vars(base).keys()))


def _lineage(kind: type) -> list[type]:
    """All base classes, and those that a stand-in has in C++."""
    facts = getattr(kind, "stand_in_facts", None)
    return [*kind.__mro__, *(facts.qt_base.__mro__ if facts else ())]


def _returns_value(method: Any) -> bool:
    signatures = get_signature(method) if inspect.isroutine(method) else None
    every = signatures if isinstance(signatures, list) else [signatures]
    return any(signature is not None and signature.return_annotation is not None for signature in every)
