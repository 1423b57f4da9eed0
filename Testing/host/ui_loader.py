"""Loads .ui files with the stand-ins in place of the widgets of CTK and Slicer."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import NamedTuple

from . import signals, stand_ins
from .qt_binding import QtCore, QtUiTools, QtWidgets


class UiConnection(NamedTuple):
    sender: str
    signal: str
    receiver: str
    slot: str


class UiLoader(QtUiTools.QUiLoader):
    """Raises RuntimeError for what Slicer would pass over or complain about in its log only.

    That is: a custom widget there is no stand-in for, or a connection that names something that does not exist.
    """

    def createWidget(
        self, class_name: str, parent: QtWidgets.QWidget | None = None, name: str = ""
    ) -> QtWidgets.QWidget:
        kind = stand_ins.classes.get(class_name)
        if kind is None:
            return super().createWidget(class_name, parent, name)
        widget = kind(parent)
        widget.setObjectName(name)
        return widget

    def load(self, source: QtCore.QIODevice | str | Path, parent: QtWidgets.QWidget | None = None) -> QtWidgets.QWidget:
        """The widget of a .ui file, given as an open device or a path.

        Connections are made here and not by Qt: Python classes have no signals with the C++ names of MRML classes.
        """
        content = bytes(source.readAll()) if isinstance(source, QtCore.QIODevice) else Path(source).read_bytes()
        document = ElementTree.fromstring(content)
        _check_custom_widgets(document)
        connections = _take_connections(document)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(document))
        buffer.open(QtCore.QIODevice.ReadOnly)
        widget = super().load(buffer, parent)
        for connection in connections:
            _connect(widget, connection)
        return widget


def _check_custom_widgets(document: ElementTree.Element) -> None:
    for declaration in document.iter("customwidget"):
        class_name = declaration.findtext("class")
        kind = stand_ins.classes.get(class_name)
        if kind is None:
            raise RuntimeError(f".ui file: there is no stand-in for {class_name}")
        extends = declaration.findtext("extends")
        if extends not in [base.__name__ for base in kind.__mro__]:
            raise RuntimeError(f".ui file: {class_name} does not extend {extends}")


def _take_connections(document: ElementTree.Element) -> list[UiConnection]:
    found = []
    for group in document.findall("connections"):
        for item in group.findall("connection"):
            found.append(UiConnection(*(item.findtext(field) for field in UiConnection._fields)))
        document.remove(group)
    return found


def _connect(root: QtWidgets.QWidget, connection: UiConnection) -> None:
    sender, receiver = _object_named(root, connection.sender), _object_named(root, connection.receiver)
    try:
        signals.connect(sender, connection.signal, receiver, connection.slot)
    except ValueError as error:
        raise RuntimeError(f".ui file: {error}") from None


def _object_named(root: QtWidgets.QWidget, name: str) -> QtCore.QObject:
    found = root if root.objectName() == name else root.findChild(QtCore.QObject, name)
    if found is None:
        raise RuntimeError(f".ui file: a connection names {name}, which does not exist")
    return found
