"""Stand-ins for Slicer's widgets that show MRML nodes, working on the real scene."""

from __future__ import annotations

from types import ModuleType

import slicer

from .ctk_values import ctkDoubleSpinBox, ctkRangeWidget, ctkSliderWidget
from .fields import field
from .mrml_widget import qMRMLWidget
from .node_combo_box import qMRMLNodeComboBox
from .qt_binding import QtCore, QtWidgets
from .segment_selector import qMRMLSegmentSelectorWidget
from .stand_ins import classes, stand_in
from .table_views import qMRMLSegmentsTableView, qMRMLTableView

__all__ = [
    "install",
    "qMRMLNodeComboBox",
    "qMRMLSegmentSelectorWidget",
    "qMRMLSegmentsTableView",
    "qMRMLTableView",
    "qMRMLWidget",
]


def install(namespace: ModuleType = slicer) -> None:
    """Put all stand-ins that are not CTK's into `slicer`."""
    for name, kind in classes.items():
        if not name.startswith("ctk"):
            setattr(namespace, name, kind)


class _OnScene:
    """setMRMLScene and mrmlScene of widgets that have a scene and do nothing with it."""

    _scene = None

    def setMRMLScene(self, scene: slicer.vtkMRMLScene | None) -> None:
        self._scene = scene

    def mrmlScene(self) -> slicer.vtkMRMLScene | None:
        return self._scene


@stand_in()
class qMRMLSliderWidget(_OnScene, ctkSliderWidget):  # noqa: N801
    """Without units."""

    quantity = field(str, "")
    unitAwareProperties = field(int, 0)
    orientation = field(int, int(QtCore.Qt.Horizontal))


@stand_in(_text_changed="valueChanged(QString)")
class qMRMLSpinBox(_OnScene, ctkDoubleSpinBox):  # noqa: N801
    """Without units."""

    quantity = field(str, "")
    unitAwareProperties = field(int, 0)


@stand_in()
class qMRMLRangeWidget(ctkRangeWidget):  # noqa: N801
    """Without units."""

    quantity = field(str, "")

    def setMRMLScene(self, scene: slicer.vtkMRMLScene | None) -> None:
        pass


@stand_in()
class qMRMLCheckableNodeComboBox(qMRMLNodeComboBox):  # noqa: N801
    """The check marks are kept and not drawn."""

    checkedNodesChanged = QtCore.Signal()

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._checked: set[str] = set()

    def checkedNodes(self) -> list[slicer.vtkMRMLNode]:
        return [node for node in map(self.nodeFromIndex, range(self.nodeCount())) if node.GetID() in self._checked]

    def check(self, node: slicer.vtkMRMLNode) -> None:
        self._checked.add(node.GetID())
        self.checkedNodesChanged.emit()

    def uncheck(self, node: slicer.vtkMRMLNode) -> None:
        self._checked.discard(node.GetID())
        self.checkedNodesChanged.emit()


@stand_in()
class qSlicerWidget(QtWidgets.QWidget):  # noqa: N801
    mrmlSceneChanged = QtCore.Signal(object)

    def setMRMLScene(self, scene: slicer.vtkMRMLScene | None) -> None:
        self.mrmlSceneChanged.emit(scene)


@stand_in()
class qMRMLPlotView(QtWidgets.QWidget):  # noqa: N801
    """An empty frame that keeps what it is given."""

    mrmlSceneChanged = QtCore.Signal(object)
    _plot_view_node = None

    def setMRMLScene(self, scene: slicer.vtkMRMLScene | None) -> None:
        self.mrmlSceneChanged.emit(scene)

    def setMRMLPlotViewNode(self, node: slicer.vtkMRMLPlotViewNode | None) -> None:
        self._plot_view_node = node

    def fitToContent(self) -> None:
        pass
