"""Signals, slots and properties of Qt's own classes.

Read once, at import: PySide6 declares the meta object of a class deleted when certain objects of the class go.
"""

from __future__ import annotations

from typing import NamedTuple

from .qt_binding import QtCore, QtGui, QtWidgets


class Members(NamedTuple):
    """With the inherited ones, base classes first; signals and slots by signature."""

    signals: tuple[str, ...]
    slots: tuple[str, ...]
    properties: frozenset[str]


def members_of(meta: QtCore.QMetaObject) -> Members:
    methods = [meta.method(index) for index in range(meta.methodCount())]

    def signatures(kind: QtCore.QMetaMethod.MethodType) -> tuple[str, ...]:
        return tuple(bytes(method.methodSignature()).decode() for method in methods if method.methodType() == kind)

    properties = frozenset(meta.property(index).name() for index in range(meta.propertyCount()))
    return Members(signatures(QtCore.QMetaMethod.Signal), signatures(QtCore.QMetaMethod.Slot), properties)


def _qobject_classes() -> set[type]:
    every = (getattr(module, name) for module in (QtCore, QtGui, QtWidgets) for name in dir(module))
    return {value for value in every if isinstance(value, type) and issubclass(value, QtCore.QObject)}


QT_MEMBERS = {kind: members_of(kind.staticMetaObject) for kind in _qobject_classes()}
