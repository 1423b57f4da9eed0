"""PySide6, imported the one way the host needs it. Every module of the host takes Qt from here."""

from __future__ import annotations

import os
import sys

INT_ENUMS = 0x03  # all enumerations are integers, as in PythonQt; PySide6 reads it when it is imported first

if "PySide6" in sys.modules and getattr(sys, "pyside6_option_python_enum", None) != INT_ENUMS:
    raise ImportError("PySide6 was imported before host.qt_binding; its enumerations are not integers")
sys.pyside6_option_python_enum = INT_ENUMS
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import shiboken6  # noqa: E402
from PySide6 import QtCore, QtGui, QtTest, QtUiTools, QtWidgets  # noqa: E402

__all__ = ["QtCore", "QtGui", "QtTest", "QtUiTools", "QtWidgets", "application", "shiboken6"]


def application() -> QtWidgets.QApplication:
    """The one application object of the process, made when it is asked for first."""
    return QtWidgets.QApplication.instance() or QtWidgets.QApplication(["Slicer", "-style", "Fusion"])
