"""Stand-in for qMRMLWidget, the base of widgets that have a scene."""

from __future__ import annotations

import slicer

from .qt_binding import QtCore, QtWidgets
from .stand_ins import stand_in


@stand_in()
class qMRMLWidget(QtWidgets.QWidget):  # noqa: N801
    mrmlSceneChanged = QtCore.Signal(object)
    _scene: slicer.vtkMRMLScene | None = None

    def mrmlScene(self) -> slicer.vtkMRMLScene | None:
        return self._scene

    def setMRMLScene(self, scene: slicer.vtkMRMLScene | None) -> None:
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)
