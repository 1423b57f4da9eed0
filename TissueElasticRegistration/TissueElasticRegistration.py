"""TissueElasticRegistration: align two scans of a patient, with an elasticity of its own for every tissue.

This file holds what Slicer asks of a scripted module. The registration is in TissueElasticRegistrationLib/core, its
border to the scene in .../scene, parts of the panel in .../panel.
"""

import sys

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

from TissueElasticRegistrationLib.core.models.model_card import DIRECT, list_cards
from TissueElasticRegistrationLib.panel.panel import RegistrationPanel
from TissueElasticRegistrationLib.panel.parameter_node import (
    TissueElasticRegistrationParameterNode,
    forget_node,
    migrate,
)
from TissueElasticRegistrationLib.panel.widgets.labels import share_tool_tips
from TissueElasticRegistrationLib.scene.console import Registered, estimate_stiffness, evaluate, register
from TissueElasticRegistrationLib.scene.console import estimate as estimate_parameters
from TissueElasticRegistrationLib.scene.display.outlines import hide_outlines
from TissueElasticRegistrationLib.scene.display.volume_rendering import resume_volume_rendering
from TissueElasticRegistrationLib.scene.nodes import InputNodes
from TissueElasticRegistrationLib.scene.session import EstimationOptions, SessionOptions

BEFORE_SELECTORS = 1.0  # priority of an observer


class TissueElasticRegistration(ScriptedLoadableModule):
    """What Slicer shows about the module."""

    def __init__(self, parent) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        # Title and category are translated like those of all modules. Every other text in Python is English, because
        # sentences of the core and the scene reach the panel as they are: a half translated panel would mix languages.
        parent.title = _("Tissue Elastic Registration")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Registration")]
        parent.dependencies = []
        parent.contributors = ["TissueElasticRegistration contributors"]
        parent.helpText = (
            "Registers two scans of the same patient with a deformation in which each tissue has its own elasticity: "
            "bone keeps its shape, while lung and soft tissue deform. Choose a fixed volume, a moving volume, and a "
            "segmentation of the fixed volume, turn on Live, and move the tissue sliders."
        )
        parent.acknowledgementText = (
            "The method follows A. Reithmeir, L. Felsner, R. Braren, J. A. Schnabel, V. A. Zimmer: Data-Driven Tissue- "
            "and Subject-Specific Elastic Regularization for Medical Image Registration, MICCAI 2024. This is an "
            "independent implementation. It is research software, not a medical device."
        )
        slicer.mrmlScene.AddObserver(slicer.mrmlScene.EndImportEvent, self.onSceneEndImport)

    @staticmethod
    def onSceneEndImport(scene, event) -> None:
        """Slicer tells nobody that it saves a scene: one that was saved with outlines is put right when it is loaded.

        Also where the module is never opened.
        """
        hide_outlines(scene)
        resume_volume_rendering(scene)


class TissueElasticRegistrationWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Life cycle of the panel; what it does is in `panel.panel`."""

    def __init__(self, parent=None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.panel = None
        self._parameterNode = None
        self._guiTag = None
        self._observed = False

    def setup(self) -> None:
        """Make the widgets; no torch, no dialog."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/TissueElasticRegistration.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        share_tool_tips(uiWidget.findChildren(qt.QLabel))
        self.logic = TissueElasticRegistrationLogic()
        self.panel = RegistrationPanel(self.ui)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndImport)
        self.addObserver(
            slicer.mrmlScene,
            slicer.mrmlScene.NodeAboutToBeRemovedEvent,
            self.onNodeAboutToBeRemoved,
            priority=BEFORE_SELECTORS,
        )
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeRemovedEvent, self.onNodeRemoved)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        """The module is reloaded or the application ends."""
        self.setParameterNode(None)
        self.removeObservers()
        if self.panel:
            self.panel.close()

    def enter(self) -> None:
        """The user opens the module."""
        self.initializeParameterNode()

    def exit(self) -> None:
        """The user opens another module."""
        self.panel.leave()
        self._observeParameterNode(False)

    def onSceneStartClose(self, caller, event) -> None:
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event) -> None:
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onSceneEndImport(self, caller, event) -> None:
        """The wrapper keeps what it has read, and it has read its nodes before they were in the scene.

        It tells its widgets before it has read everything again: they are connected anew.
        """
        self.setParameterNode(None)
        self.logic.getParameterNode().parameterNode.Modified()
        if self.parent.isEntered:
            self.initializeParameterNode()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAboutToBeRemoved(self, caller, event, node) -> None:
        """Nothing is chosen then. Left alone, a selector takes the next node in its list, as input or to overwrite."""
        if self._parameterNode and forget_node(self._parameterNode, node) and self._observed:
            self.panel.update()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeRemoved(self, caller, event, node) -> None:
        """What shows a result may have to go with it."""
        if self._parameterNode and self._guiTag is not None and node.IsA("vtkMRMLTransformNode"):
            self.panel.parameters_changed()

    def onReload(self) -> None:
        """Developer mode: read the library's files anew as well."""
        library = RegistrationPanel.__module__.partition(".")[0]
        for name in [name for name in sys.modules if name.partition(".")[0] == library]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def initializeParameterNode(self) -> None:
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, parameterNode: TissueElasticRegistrationParameterNode | None) -> None:
        """Show and observe this parameter node instead of the one before."""
        if parameterNode is self._parameterNode and self._observed:
            return
        if parameterNode is not self._parameterNode:
            self._observeParameterNode(False)
            if self._parameterNode:
                self._parameterNode.disconnectGui(self._guiTag)
            self._parameterNode = parameterNode
            # Once for each node and not at every entry: Slicer before 5.11 leaves an observer behind that writes all
            # widgets again at every change (Slicer/Slicer#9063).
            self._guiTag = parameterNode.connectGui(self.ui) if parameterNode else None
        self._observeParameterNode(parameterNode is not None)
        if self.panel:
            self.panel.set_parameter_node(parameterNode)

    def _observeParameterNode(self, on: bool) -> None:
        if on and not self._observed:
            self.addObserver(
                self._parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersModified
            )
        elif self._observed and not on:
            self.removeObserver(
                self._parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersModified
            )
        self._observed = on

    def _onParametersModified(self, caller=None, event=None) -> None:
        self.panel.parameters_changed()


class TissueElasticRegistrationLogic(ScriptedLoadableModuleLogic):
    """Registration from Python, without the panel: nodes and plain values in, plain results out.

    >>> logic = slicer.util.getModuleLogic("TissueElasticRegistration")
    >>> done = logic.register(fixed, moving, segmentation, {"Liver": (1.0, 2.0)}, movingSegmentation=labels)
    >>> done.result.tissues[0].dice_after, done.nodes.transform.GetName()

    Parameters are (λ, μ), relative weights without unit from 0.02 to 200, by segment name or ID; tissues that are not
    named get start values that fit their names. Models on the paper's scale have weights from 0 to 1 instead (`models`
    says which). All methods raise ValueError with one sentence for unusable input.
    """

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self._parameterNode = None

    def getParameterNode(self) -> TissueElasticRegistrationParameterNode:
        """The typed parameter node of the scene; the same object as long as the node is the same."""
        node = super().getParameterNode()
        migrate(node)  # a scene may have been opened
        if self._parameterNode is None or self._parameterNode.parameterNode != node:
            self._parameterNode = TissueElasticRegistrationParameterNode(node)
        return self._parameterNode

    def register(
        self,
        fixed,
        moving,
        segmentation,
        parameters=None,
        movingSegmentation=None,
        fixedLandmarks=None,
        movingLandmarks=None,
        outputs=None,
        refineSteps=None,
        initial="auto",
        device="auto",
        finestMm=0.0,
        progress=None,
        model=DIRECT,
    ) -> Registered:
        """Deform ``moving`` onto ``fixed`` and write transform, warped volume and segmentation and a table of measures.

        fixed, moving: scalar volume nodes. segmentation: of the fixed volume. parameters: {"Liver": (lam, mu)}.
        movingSegmentation, fixedLandmarks, movingLandmarks: for measuring only. outputs: `OutputNodes`, None for those
        of the last registration of this pair or new ones. refineSteps: further steps at full resolution; None: after a
        network 40, in volumes 5, otherwise none. initial: alignment done first, "auto", "none" or "rigid". device:
        "auto", "cpu" or "cuda". finestMm: smallest voxel, 0 for automatic. progress: called with `Progress` (fraction,
        text). model: "direct" (no network), the name of an installed model, or the path of the folder of one.

        Returns `Registered`: ``result`` (displacement in RAS mm, measures) and ``nodes``.
        """
        inputs = InputNodes(fixed, moving, segmentation, movingSegmentation, fixedLandmarks, movingLandmarks)
        return register(
            inputs, parameters or {}, SessionOptions(initial, device, finestMm, model), outputs, refineSteps, progress
        )

    def estimate(
        self,
        fixed,
        moving,
        segmentation,
        movingSegmentation=None,
        parameters=None,
        locked=(),
        points=None,
        initial="auto",
        device="auto",
        finestMm=0.0,
        progress=None,
        model=DIRECT,
        fixedLandmarks=None,
        movingLandmarks=None,
        method="grid",
        objective="dice",
        holdOut=(),
        holdOutLandmarks=(),
    ):
        """Search (λ, μ) of each tissue for this pair; returns `core.estimation.result.Estimate`, writes nothing.

        ``estimate.values()`` fits ``parameters`` of `register`. locked: segment names or IDs that keep their values.
        points: positions of each slider that are tried, None for 11 with a model and 5 without. method: "grid" or
        "gradient", for many tissues. objective: "dice" (overlap, needs ``movingSegmentation``), "landmarks" or
        "similarity" (inside the tissues). holdOut, holdOutLandmarks: segments and names of landmarks, or "half" for
        every second one, that the search does not look at: they can check it. Others as in `register`.
        """
        inputs = InputNodes(fixed, moving, segmentation, movingSegmentation, fixedLandmarks, movingLandmarks)
        search = EstimationOptions(method, objective, points, holdOut, holdOutLandmarks)
        return estimate_parameters(
            inputs, parameters or {}, SessionOptions(initial, device, finestMm, model), locked, search, progress
        )

    def estimateStiffness(
        self, fixed, moving, segmentation, initial="auto", device="auto", finestMm=0.0, progress=None
    ):
        """Experimental: estimate the ratios of the tissues' shear moduli from the deformation; writes nothing.

        The result does not depend on λ and μ: the pair is registered with the same weak regularization of all tissues.

        Args:
            fixed, moving: Scalar volume nodes that show the same contrast.
            segmentation: Segmentation node of the fixed volume.
            initial, device, finestMm, progress: As in `register`.

        Returns:
            `core.stiffness.shear_modulus_ratio.ShearModulusRatios`: one ratio per tissue with a 95 % interval, or the
            reason why there is none.

        Raises:
            ValueError: If the input cannot be used or the deformation does not show stiffness.
        """
        inputs = InputNodes(fixed, moving, segmentation)
        return estimate_stiffness(inputs, SessionOptions(initial, device, finestMm), progress)

    def evaluate(
        self,
        fixed,
        moving,
        segmentation,
        transform,
        parameters=None,
        movingSegmentation=None,
        fixedLandmarks=None,
        movingLandmarks=None,
        progress=None,
    ):
        """Measure any transform that maps ``moving`` to ``fixed``, also one of another module; writes nothing.

        Returns `core.result.RegistrationResult`: Dice, surface distances, landmark errors in mm, folding, strain.
        """
        inputs = InputNodes(fixed, moving, segmentation, movingSegmentation, fixedLandmarks, movingLandmarks)
        return evaluate(inputs, transform, parameters or {}, progress)

    def models(self) -> list:
        """The installed models as `core.model_card.ModelCard`: name, dimension, tissues, scale, training, license."""
        return [entry.card for entry in list_cards() if entry.card is not None]


class TissueElasticRegistrationTest(ScriptedLoadableModuleTest):
    """Self test inside Slicer: a small synthetic pair, registered by the logic and by the panel's own buttons."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        self.setUp()
        self.test_registerMovesTheBallOntoItsPlace()

    def test_registerMovesTheBallOntoItsPlace(self) -> None:
        """The registered ball overlaps with the fixed one, and the outputs are in the scene."""
        from TissueElasticRegistrationLib.panel.dependencies import torch_problem

        if torch_problem():
            self.skipTest("PyTorch is not installed")
        self.delayDisplay("Registering two balls")
        fixed, moving, segmentation, movingSegmentation = addBalls()
        logic = TissueElasticRegistrationLogic()
        done = logic.register(fixed, moving, segmentation, {"ball": (1.0, 1.0)}, movingSegmentation=movingSegmentation)
        ball = next(row for row in done.result.tissues if row.tissue.name == "ball")
        self.assertLess(ball.dice_before, 0.8)
        self.assertGreater(ball.dice_after, 0.9)
        self.assertEqual(done.result.negative_jacobian_percent, 0.0)
        self.assertIs(moving.GetParentTransformNode(), done.nodes.transform)
        self.delayDisplay("Test passed")


def addBalls():
    """Two volumes with a ball that is shifted from one to the other, and their segmentations, for the self test."""
    import numpy as np

    k, j, i = np.mgrid[0:24, 0:28, 0:32]
    nodes = []
    for name, shift in (("fixed", 0.0), ("moving", 2.0)):
        distance = np.sqrt((k - 11) ** 2 + (j - 13 - shift) ** 2 + (i - 17 + shift) ** 2)
        image = 100 * np.exp(-((distance / 7) ** 4)) + 10 * np.cos(i / 3) * np.sin(j / 4)
        volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
        slicer.util.updateVolumeFromArray(volume, image.astype(np.float32))
        volume.SetSpacing(2.0, 2.0, 3.0)
        volume.CreateDefaultDisplayNodes()
        nodes.append((volume, distance < 7))
    return [volume for volume, _ball in nodes] + [_addSegmentation(volume, ball) for volume, ball in nodes]


def _addSegmentation(volume, ball):
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", f"{volume.GetName()} tissues")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segmentId = segmentation.GetSegmentation().AddEmptySegment("ball", "ball")
    slicer.util.updateSegmentBinaryLabelmapFromArray(ball.astype("uint8"), segmentation, segmentId, volume)
    return segmentation
