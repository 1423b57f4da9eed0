"""Without a display Qt and VTK complain on the terminal about what is missing; a demonstration needs nothing of it."""

from __future__ import annotations

import sys

import vtk
from host.qt_binding import QtCore

EXPECTED = "This plugin does not support"


def hide_missing_display() -> None:
    """Other messages still appear."""
    vtk.vtkLogger.SetStderrVerbosity(vtk.vtkLogger.VERBOSITY_ERROR)
    QtCore.qInstallMessageHandler(_show)


def _show(kind: QtCore.QtMsgType, context: QtCore.QMessageLogContext, text: str) -> None:
    if not text.startswith(EXPECTED):
        print(text, file=sys.stderr)
