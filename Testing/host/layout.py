"""Stand-in for ``slicer.app.layoutManager()``: Slicer's own layout logic decides which views there are and where."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import slicer
import vtk

from .mrml import MrmlHost
from .qt_binding import QtCore, QtWidgets
from .stand_ins import stand_in
from .view_widgets import qMRMLPlotWidget, qMRMLSliceWidget, qMRMLThreeDWidget
from .views import START_SIZE, SliceView, ThreeDView

FOUR_UP = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView


@stand_in()
class qSlicerLayoutManager(QtCore.QObject):
    layoutChanged = QtCore.Signal(int)

    def __init__(self, host: MrmlHost) -> None:
        super().__init__()
        self._host = host
        self._viewport = QtWidgets.QWidget()
        QtWidgets.QVBoxLayout(self._viewport).setContentsMargins(0, 0, 0, 0)
        self._widgets: dict[str, QtWidgets.QWidget] = {}  # by the ID of the view node
        self._shown = ""
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLScene(host.scene)
        node = self._logic.GetLayoutNode()
        self._tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._update())
        self.setLayout(FOUR_UP)

    def viewport(self) -> QtWidgets.QWidget:
        return self._viewport

    def layoutLogic(self):
        return self._logic

    def mrmlScene(self):
        return self._host.scene

    def setLayout(self, layout: int) -> None:
        self._logic.GetLayoutNode().SetViewArrangement(layout)

    layout = QtCore.Property(int, lambda self: self._logic.GetLayoutNode().GetViewArrangement(), setLayout)
    threeDViewCount = QtCore.Property(int, lambda self: len(self._of(qMRMLThreeDWidget)))
    plotViewCount = QtCore.Property(int, lambda self: len(self._of(qMRMLPlotWidget)))
    tableViewCount = QtCore.Property(int, lambda self: 0)

    def sliceViewNames(self) -> list[str]:
        return [widget.mrmlSliceNode().GetLayoutName() for widget in self._of(qMRMLSliceWidget)]

    def sliceWidget(self, name: str) -> qMRMLSliceWidget | None:
        return self._by_name(qMRMLSliceWidget, name)

    def threeDWidget(self, which: int | str) -> qMRMLThreeDWidget | None:
        if isinstance(which, str):
            return self._by_name(qMRMLThreeDWidget, which)
        return _item(self._of(qMRMLThreeDWidget), which)

    def plotWidget(self, number: int) -> qMRMLPlotWidget | None:
        return _item(self._of(qMRMLPlotWidget), number)

    def tableWidget(self, number: int) -> None:
        return None

    def mrmlSliceLogics(self) -> vtk.vtkCollection:
        return self._host.application_logic.GetSliceLogics()

    def mrmlViewLogics(self) -> vtk.vtkCollection:
        return self._host.application_logic.GetViewLogics()

    def activeMRMLThreeDViewNode(self):
        return self.threeDWidget(0).mrmlViewNode()

    def activeMRMLPlotViewNode(self):
        widget = self.plotWidget(0)
        return widget.mrmlPlotViewNode() if widget else None

    def resetSliceViews(self) -> None:
        for widget in self._of(qMRMLSliceWidget):
            widget.fitSliceToBackground()

    def resetThreeDViews(self) -> None:
        for widget in self._of(qMRMLThreeDWidget):
            widget.threeDView().resetFocalPoint()
            widget.threeDView().resetCamera()

    def pauseRender(self) -> None:
        self.setRenderPaused(True)

    def resumeRender(self) -> None:
        self.setRenderPaused(False)

    def setRenderPaused(self, paused: bool) -> None:
        for widget in self._of((qMRMLSliceWidget, qMRMLThreeDWidget)):
            widget.viewWidget().setRenderPaused(paused)

    def _of(self, kind: type | tuple[type, ...]) -> list:
        return [widget for widget in self._widgets.values() if isinstance(widget, kind)]

    def _by_name(self, kind: type, name: str):
        found = [widget for widget in self._of(kind) if widget._view.node.GetLayoutName() == name]
        return found[0] if found else None

    def _update(self) -> None:
        """Arrange the views as the layout node describes it."""
        description = self._logic.GetLayoutNode().GetCurrentLayoutDescription()
        if not description or description == self._shown:
            return
        self._shown = description
        for widget in self._widgets.values():
            widget.setParent(None)  # also hides it
        old = self._viewport.layout().takeAt(0)
        if old is not None:
            old.widget().deleteLater()
        self._viewport.layout().addWidget(self._arranged(ElementTree.fromstring(description)))
        self.layoutChanged.emit(self.layout)

    def _arranged(self, element: ElementTree.Element) -> QtWidgets.QWidget:
        if element.tag == "view":
            return self._widget(element.get("class"), element.get("singletontag"))
        box = QtWidgets.QWidget()
        direction = QtWidgets.QBoxLayout.TopToBottom
        if element.get("type") == "horizontal":
            direction = QtWidgets.QBoxLayout.LeftToRight
        layout = QtWidgets.QBoxLayout(direction, box)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        for item in element.findall("item"):
            widget = self._arranged(item[0])
            layout.addWidget(widget, 1)
            widget.show()
        return box

    def _widget(self, class_name: str, tag: str) -> QtWidgets.QWidget:
        node = self._host.scene.GetSingletonNode(tag, class_name)
        if node.GetID() not in self._widgets:
            self._widgets[node.GetID()] = self._new_widget(node)
        return self._widgets[node.GetID()]

    def _new_widget(self, node) -> QtWidgets.QWidget:
        logic = self._host.application_logic
        if node.IsA("vtkMRMLSliceNode"):
            return qMRMLSliceWidget(SliceView(logic, node))
        if node.IsA("vtkMRMLViewNode"):
            return qMRMLThreeDWidget(ThreeDView(logic, node))
        if node.IsA("vtkMRMLPlotViewNode"):
            return qMRMLPlotWidget(node)
        return QtWidgets.QWidget()  # tables


def _item(items: list, number: int):
    return items[number] if 0 <= number < len(items) else None


class Views:
    """The host's own access to the views: what a test wants to know and Slicer does not tell."""

    def __init__(self, manager: qSlicerLayoutManager) -> None:
        self._manager = manager

    def view(self, name: str) -> SliceView | ThreeDView:
        """The offscreen view with that layout name: Red, Green, Yellow, or 1 for the 3D view."""
        return next(view for view in self._all() if view.node.GetLayoutName() == name)

    def grab(self, name: str) -> np.ndarray:
        """(height, width, 3) uint8, top row first: the view drawn now."""
        view = self.view(name)
        view.render()
        return view.pixels()

    def reset(self) -> None:
        """Layout and size of the start; closing the scene has done the rest."""
        self._manager.setLayout(FOUR_UP)
        for view in self._all():
            view.resize(*START_SIZE)

    def close(self) -> None:
        for view in self._all():
            view.close()

    def _all(self) -> list[SliceView | ThreeDView]:
        return [widget._view for widget in self._manager._of((qMRMLSliceWidget, qMRMLThreeDWidget))]
