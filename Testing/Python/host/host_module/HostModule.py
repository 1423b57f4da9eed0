"""A scripted module for the tests of the test host: every kind of parameter, bound to every kind of widget."""

import enum
from typing import Annotated

import numpy as np
import slicer
from slicer import vtkMRMLLabelMapVolumeNode, vtkMRMLScalarVolumeNode, vtkMRMLTransformNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import Choice, Default, Maximum, Minimum, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

VERSION = 1


class HostModule(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Host module")
        self.parent.categories = ["Testing"]


class Shape(enum.Enum):
    ROUND = 1
    SQUARE = 2


@parameterNodeWrapper
class HostModuleParameterNode:
    volume: vtkMRMLScalarVolumeNode
    other: vtkMRMLLabelMapVolumeNode | vtkMRMLTransformNode | None
    amount: Annotated[float, WithinRange(-10, 10)] = 1.5
    width: Annotated[float, Minimum(0.0), Default(2.0)]
    count: Annotated[int, Minimum(0), Maximum(20)] = 3
    live: bool = True
    shown: bool
    title: str = "none"
    limit: float | None
    shape: Shape = Shape.SQUARE
    mode: Annotated[str, Choice(["fast", "exact"])] = "exact"
    weights: dict[str, Annotated[float, Minimum(0)]]
    steps: list[int]


class HostModuleWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.calls = []
        self.scenes = []
        self.parameters = None
        self.tag = None

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/HostModule.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.parent.connect("mrmlSceneChanged(vtkMRMLScene*)", self.scenes.append)
        self.logic = HostModuleLogic()
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.on_start_close)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.on_end_close)
        self.ui.applyButton.connect("clicked(bool)", self.on_apply)
        self.calls.append("setup")

    def enter(self):
        self.calls.append("enter")
        self.set_parameters(self.logic.getParameterNode())

    def exit(self):
        self.calls.append("exit")
        self.set_parameters(None)

    def cleanup(self):
        self.calls.append("cleanup")
        self.set_parameters(None)
        self.removeObservers()

    def on_start_close(self, caller, event):
        self.calls.append("start close")
        self.set_parameters(None)

    def on_end_close(self, caller, event):
        self.calls.append("end close")
        if self.parent.isEntered:
            self.set_parameters(self.logic.getParameterNode())

    def on_apply(self):
        with slicer.util.tryWithErrorDisplay(_("It did not work."), waitCursor=True):
            self.logic.double(self.parameters.volume)

    def set_parameters(self, parameters):
        if self.parameters is not None:
            self.parameters.disconnectGui(self.tag)
        self.parameters = parameters
        if parameters is not None:
            self.tag = parameters.connectGui(self.ui)


class HostModuleLogic(ScriptedLoadableModuleLogic):
    def getParameterNode(self):
        return HostModuleParameterNode(super().getParameterNode())

    def double(self, volume):
        if volume is None:
            raise ValueError("Choose a volume.")
        slicer.util.updateVolumeFromArray(volume, 2 * slicer.util.arrayFromVolume(volume))


class HostModuleTest(ScriptedLoadableModuleTest):
    ran = []

    def setUp(self):
        slicer.mrmlScene.Clear()

    def test_double(self):
        self.delayDisplay("Doubling")
        volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        slicer.util.updateVolumeFromArray(volume, np.ones((2, 3, 4)))
        HostModuleLogic().double(volume)
        self.assertEqual(slicer.util.arrayFromVolume(volume).max(), 2)
        self.ran.append("test_double")
