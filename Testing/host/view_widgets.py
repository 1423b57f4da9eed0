"""Widgets of Slicer's views: each shows the picture of an offscreen view of `views`.

A view that is asked to draw does so when control is back in the event loop, however often it was asked, and only while
it is visible and rendering is not paused, as in Slicer.
"""

from __future__ import annotations

import slicer
import vtk

from .qt_binding import QtCore, QtGui, QtWidgets
from .stand_ins import stand_in
from .views import OffscreenView, SliceView, ThreeDView


class _Surface(QtWidgets.QWidget):
    """What ctkVTKAbstractView is to both kinds of view."""

    def __init__(self, view: OffscreenView) -> None:
        super().__init__()
        self._view = view
        self._picture = QtGui.QImage()
        self._pauses = 0
        self._asked_while_paused = False
        self._timer = QtCore.QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(lambda: self._request_render())
        self.setMinimumSize(50, 50)
        view.on_request = self.scheduleRender

    def renderWindow(self):
        return self._view.window

    def interactor(self):
        return self._view.interactor

    def scheduleRender(self) -> None:
        if not self._view.node.GetScene().IsBatchProcessing():
            self._timer.start()

    def forceRender(self) -> None:
        self._timer.stop()
        if self.isVisible():
            self._view.render()
            pixels = self._view.pixels()
            height, width, _ = pixels.shape
            self._picture = QtGui.QImage(pixels.data, width, height, 3 * width, QtGui.QImage.Format_RGB888).copy()
            self.update()

    def pauseRender(self) -> int:
        self._pauses += 1
        return self._pauses

    def resumeRender(self) -> int:
        self._pauses -= 1
        if self._asked_while_paused and not self._pauses:
            self._asked_while_paused = False
            self.scheduleRender()
        return self._pauses

    def setRenderPaused(self, paused: bool) -> int:
        return self.pauseRender() if paused else self.resumeRender()

    def _request_render(self) -> None:
        if self._pauses:
            self._asked_while_paused = True
        else:
            self.forceRender()

    def paintEvent(self, event) -> None:
        painter = QtGui.QPainter(self)
        painter.drawImage(self.rect(), self._picture)
        painter.end()

    def resizeEvent(self, event) -> None:
        self._view.resize(self.width(), self.height())
        self.scheduleRender()

    def showEvent(self, event) -> None:
        self._view.resize(self.width(), self.height())  # it may have been reset while it was hidden
        self.scheduleRender()


@stand_in()
class qMRMLSliceView(_Surface):
    def mrmlSliceNode(self):
        return self._view.node


@stand_in()
class qMRMLThreeDView(_Surface):
    def mrmlViewNode(self):
        return self._view.node

    def resetFocalPoint(self) -> None:
        self._view.reset_focal_point()

    def resetCamera(self, rotation: bool = True, translation: bool = True, distance: bool = True) -> None:
        self._view.reset_camera()

    def rotateToViewAxis(self, axis: int) -> None:
        self._camera().RotateTo(axis)

    def cameraNode(self):
        return self._camera()

    def _camera(self):
        return self._view.logic.GetCameraNode()


@stand_in()
class qMRMLSliceControllerWidget(QtWidgets.QLabel):
    """The colored bar above a slice view, without its controls."""

    def __init__(self, view: SliceView) -> None:
        super().__init__()
        self._view = view
        self.setAlignment(QtCore.Qt.AlignCenter)
        color = QtGui.QColor.fromRgbF(*view.node.GetLayoutColor())
        palette = self.palette()
        palette.setColor(QtGui.QPalette.Window, color)
        palette.setColor(QtGui.QPalette.WindowText, QtGui.QColor("black"))
        self.setPalette(palette)
        self.setAutoFillBackground(True)
        self._tag = view.node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._show_offset())
        self._show_offset()

    def sliceLogic(self):
        return self._view.logic

    def mrmlSliceNode(self):
        return self._view.node

    def mrmlSliceCompositeNode(self):
        return self._view.logic.GetSliceCompositeNode()

    def fitSliceToBackground(self) -> None:
        self._view.logic.FitSliceToBackground()

    def setSliceOffsetValue(self, offset: float) -> None:
        self._view.logic.SetSliceOffset(offset)

    def _show_offset(self) -> None:
        node = self._view.node
        self.setText(f"{node.GetLayoutLabel()}   {node.GetOrientation()}   {self._view.logic.GetSliceOffset():.1f} mm")


@stand_in()
class qMRMLSliceWidget(QtWidgets.QWidget):
    def __init__(self, view: SliceView) -> None:
        super().__init__()
        self._view = view
        self._controller = qMRMLSliceControllerWidget(view)
        self._surface = qMRMLSliceView(view)
        _stack(self, self._controller, self._surface)

    def sliceLogic(self):
        return self._view.logic

    def sliceView(self) -> qMRMLSliceView:
        return self._surface

    viewWidget = sliceView

    def sliceController(self) -> qMRMLSliceControllerWidget:
        return self._controller

    controllerWidget = sliceController

    def mrmlSliceNode(self):
        return self._view.node

    def mrmlSliceCompositeNode(self):
        return self._view.logic.GetSliceCompositeNode()

    def fitSliceToBackground(self) -> None:
        self._view.logic.FitSliceToBackground()

    def setSliceOrientation(self, orientation: str) -> None:
        self._view.node.SetOrientation(orientation)

    sliceOrientation = QtCore.Property(str, lambda self: self._view.node.GetOrientation(), setSliceOrientation)
    sliceViewName = QtCore.Property(str, lambda self: self._view.node.GetLayoutName())


@stand_in()
class qMRMLThreeDWidget(QtWidgets.QWidget):
    def __init__(self, view: ThreeDView) -> None:
        super().__init__()
        self._view = view
        self._surface = qMRMLThreeDView(view)
        _stack(self, self._surface)

    def threeDView(self) -> qMRMLThreeDView:
        return self._surface

    viewWidget = threeDView

    def viewLogic(self):
        return self._view.logic

    def mrmlViewNode(self):
        return self._view.node


@stand_in()
class qMRMLPlotWidget(QtWidgets.QWidget):
    def __init__(self, node: slicer.vtkMRMLPlotViewNode) -> None:
        super().__init__()
        self._node = node
        self._surface = slicer.qMRMLPlotView()
        self._surface.setMRMLScene(node.GetScene())
        self._surface.setMRMLPlotViewNode(node)
        _stack(self, self._surface)

    def plotView(self):
        return self._surface

    viewWidget = plotView

    def mrmlPlotViewNode(self):
        return self._node


def _stack(widget: QtWidgets.QWidget, *parts: QtWidgets.QWidget) -> None:
    layout = QtWidgets.QVBoxLayout(widget)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(0)
    for part in parts:
        layout.addWidget(part, 1 if part is parts[-1] else 0)
