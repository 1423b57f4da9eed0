"""What Qt and VTK say on the terminal besides the demonstration: they miss a display, and warn of trifles."""

from __future__ import annotations

import sys

import vtk
from host.qt_binding import QtCore

EXPECTED = "This plugin does not support"


def keep_terminal_calm() -> None:
    """Errors still appear, and what Qt says about anything but the missing display."""
    vtk.vtkLogger.SetStderrVerbosity(vtk.vtkLogger.VERBOSITY_ERROR)
    QtCore.qInstallMessageHandler(_show)


def _show(kind: QtCore.QtMsgType, context: QtCore.QMessageLogContext, text: str) -> None:
    if not text.startswith(EXPECTED):
        print(text, file=sys.stderr)
