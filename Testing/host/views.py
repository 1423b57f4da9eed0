"""Slicer's slice and 3D views, drawn offscreen by the real logics and displayable managers. No Qt.

As in Slicer, a view is drawn again only when its displayable managers or its slice logic ask for it: code that forgets
to tell MRML about a change leaves the picture as it was.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import cache

import numpy as np
import slicer
import slicer.util
import vtk
import vtkmodules.vtkRenderingContextOpenGL2  # noqa: F401  corner texts and rulers
import vtkmodules.vtkRenderingOpenGL2  # noqa: F401  the drawing itself
import vtkmodules.vtkRenderingVolumeOpenGL2  # noqa: F401  volume rendering in the 3D view
from vtk.util.numpy_support import vtk_to_numpy

SLICE_MANAGERS = [
    "vtkMRMLVolumeGlyphSliceDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLScalarBarDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLTransformsDisplayableManager2D",
]
THREE_D_MANAGERS = [
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLThreeDReformatDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager3D",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLTransformsDisplayableManager3D",
]

START_SIZE = (400, 400)  # width and height in pixels

PROBE = """
import vtkmodules.vtkRenderingOpenGL2
from vtkmodules.vtkRenderingCore import vtkRenderer, vtkRenderWindow
window = vtkRenderWindow()
window.SetOffScreenRendering(True)
window.AddRenderer(vtkRenderer())
window.Render()
print(window.SupportsOpenGL())
"""


@cache
def opengl_works() -> bool:
    """Whether this machine can draw. VTK crashes where OpenGL is missing, so another process tries first."""
    probe = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=120, check=False)
    return probe.returncode == 0 and probe.stdout.strip() == "1"


class OffscreenView:
    """A render window with Slicer's displayable managers.

    requests: how often the view was asked to be drawn again; renders: how often it was drawn.
    on_request: called with each request; whoever owns the view decides when to call `render`.
    """

    def __init__(self, factory, managers: list[str], application_logic, background: vtk.vtkProp | None = None) -> None:
        self.requests = 0
        self.renders = 0
        self.on_request: Callable[[], None] = lambda: None
        self.renderer = vtk.vtkRenderer()
        if background is not None:
            # Before the managers: added later, it would be hidden where segments are filled half transparent.
            self.renderer.AddViewProp(background)
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(True)
        self.window.SetMultiSamples(0)
        self.window.AddRenderer(self.renderer)
        self.interactor = vtk.vtkRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)
        self.interactor.EnableRenderOff()
        self.interactor.Initialize()
        factory.SetMRMLApplicationLogic(application_logic)
        for manager in managers:
            if not factory.IsDisplayableManagerRegistered(manager):
                factory.RegisterDisplayableManager(manager)
        self.group = slicer.vtkMRMLDisplayableManagerGroup()
        self.group.SetRenderer(self.renderer)
        self.group.Initialize(factory, self.renderer)
        self._observed = [
            (self.group, self.group.AddObserver(vtk.vtkCommand.UpdateEvent, self._on_update)),
            (self.interactor, self.interactor.AddObserver(vtk.vtkCommand.RenderEvent, self._on_update)),
        ]

    def request_render(self) -> None:
        self.requests += 1
        self.on_request()

    def render(self) -> None:
        self.renders += 1
        self.window.Render()

    def resize(self, width: int, height: int) -> None:
        """Size in pixels."""
        self.window.SetSize(width, height)
        self.interactor.UpdateSize(width, height)

    def pixels(self) -> np.ndarray:
        """(height, width, 3) uint8, top row first: what was drawn last."""
        reader = vtk.vtkWindowToImageFilter()
        reader.SetInput(self.window)
        reader.ReadFrontBufferOff()
        reader.ShouldRerenderOff()
        reader.Update()
        width, height, _ = reader.GetOutput().GetDimensions()
        values = vtk_to_numpy(reader.GetOutput().GetPointData().GetScalars())
        return np.ascontiguousarray(values.reshape(height, width, -1)[::-1])

    def close(self) -> None:
        for observed, tag in self._observed:
            observed.RemoveObserver(tag)
        self.group.SetMRMLDisplayableNode(None)
        self.window.Finalize()

    def _on_update(self, *_) -> None:
        self.request_render()


class SliceView(OffscreenView):
    """One slice view on a slice node of the scene, with its own slice logic."""

    def __init__(self, application_logic, node: slicer.vtkMRMLSliceNode) -> None:
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._actor = vtk.vtkActor2D()
        self._actor.SetMapper(self._mapper)
        self._actor.GetProperty().SetDisplayLocationToBackground()
        self._actor.VisibilityOff()
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        super().__init__(factory, SLICE_MANAGERS, application_logic, self._actor)
        self.renderer.GetActiveCamera().ParallelProjectionOn()
        self.node = node
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(application_logic)
        self.logic.SetMRMLScene(node.GetScene())
        self.logic.SetSliceNode(node)
        application_logic.GetSliceLogics().AddItem(self.logic)
        self.group.SetMRMLDisplayableNode(node)
        self.resize(*START_SIZE)
        self._observed.append((self.logic, self.logic.AddObserver(vtk.vtkCommand.ModifiedEvent, self._on_logic)))
        self._on_logic()

    def resize(self, width: int, height: int) -> None:
        super().resize(width, height)
        self.logic.ResizeSliceNode(width, height)

    def _on_logic(self, *_) -> None:
        picture = self.logic.GetImageDataConnection()
        self._mapper.SetInputConnection(picture)
        self._actor.SetVisibility(picture is not None)
        self.request_render()


class ThreeDView(OffscreenView):
    """One 3D view on a view node of the scene."""

    def __init__(self, application_logic, node: slicer.vtkMRMLViewNode) -> None:
        factory = slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance()
        super().__init__(factory, THREE_D_MANAGERS, application_logic)
        self.node = node
        self.logic = slicer.vtkMRMLViewLogic()
        self.logic.SetMRMLApplicationLogic(application_logic)
        self.logic.SetMRMLScene(node.GetScene())
        self.logic.SetName(node.GetLayoutName())  # by this the logic finds the view node
        application_logic.GetViewLogics().AddItem(self.logic)
        self.group.SetMRMLDisplayableNode(node)
        self.renderer.GradientBackgroundOn()
        self.renderer.DitherGradientOff()  # noise that no file can pack
        self.renderer.SetBackground(node.GetBackgroundColor())
        self.renderer.SetBackground2(node.GetBackgroundColor2())
        self.resize(*START_SIZE)

    def reset_focal_point(self) -> None:
        """Turn around the center of everything visible, the box around it excepted; the box follows."""
        box, labels = self.node.GetBoxVisible(), self.node.GetAxisLabelsVisible()
        self._show_box(False, False)
        bounds = self.renderer.ComputeVisiblePropBounds()
        center = [(bounds[2 * axis] + bounds[2 * axis + 1]) / 2 for axis in range(3)]
        self.renderer.GetActiveCamera().SetFocalPoint(center if bounds[0] <= bounds[1] else (0, 0, 0))
        self._show_box(box, labels)
        self.node.InvokeEvent(slicer.vtkMRMLViewNode.ResetFocalPointRequestedEvent)

    def reset_camera(self) -> None:
        self.renderer.ResetCamera()
        self.request_render()

    def _show_box(self, box: bool, labels: bool) -> None:
        with slicer.util.NodeModify(self.node):
            self.node.SetBoxVisible(box)
            self.node.SetAxisLabelsVisible(labels)
