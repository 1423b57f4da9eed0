"""TissueElasticRegistration: align two scans of a patient, with an elasticity of its own for every tissue.

This file holds what Slicer asks of a scripted module. The registration is in TissueElasticRegistrationLib/core, its
border to the scene in .../scene, parts of the panel in .../panel.
"""

import sys
from dataclasses import fields, replace

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

from TissueElasticRegistrationLib.core.models.model_card import list_cards
from TissueElasticRegistrationLib.panel.observed_node import ObservedParameterNode
from TissueElasticRegistrationLib.panel.panel import RegistrationPanel
from TissueElasticRegistrationLib.panel.parameter_node import TissueElasticRegistrationParameterNode, forget_node
from TissueElasticRegistrationLib.panel.scene_versions import migrate
from TissueElasticRegistrationLib.panel.widgets.labels import share_tool_tips
from TissueElasticRegistrationLib.scene.console import (
    ConsoleResult,
    estimate_stiffness,
    evaluate,
    register,
    require_kind,
)
from TissueElasticRegistrationLib.scene.console import estimate as estimate_parameters
from TissueElasticRegistrationLib.scene.display.outlines import hide_outlines
from TissueElasticRegistrationLib.scene.display.volume_rendering import resume_volume_rendering
from TissueElasticRegistrationLib.scene.nodes import InputNodes
from TissueElasticRegistrationLib.scene.options import EstimationOptions, RegistrationOptions

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

    >>> from TissueElasticRegistrationLib.scene.console import EstimationOptions, InputNodes, RegistrationOptions
    >>> logic = slicer.util.getModuleLogic("TissueElasticRegistration")
    >>> inputs = InputNodes(fixed, moving, segmentation, moving_segmentation=labels)
    >>> done = logic.register(inputs, {"Liver": (1.0, 2.0)}, initial="none")
    >>> liver = next(row for row in done.result.tissues if row.tissue.name == "liver")
    >>> print(f"{liver.dice_before:.2f} -> {liver.dice_after:.2f}")
    0.94 -> 0.97
    >>> moving.GetParentTransformNode() is done.nodes.transform
    True
    >>> found = logic.estimate(inputs, points=3, locked=["Bone"])
    >>> best = logic.register(inputs, found.values())
    >>> same = logic.estimate(inputs, estimation=EstimationOptions(points=3, locked=["Bone"]))
    >>> same.values() == found.values()
    True

    Values are (λ, μ), relative weights without unit from 0.02 to 200, by segment name or ID; tissues that are not named
    get start values that fit their names. Models on the paper's scale have weights from 0 to 1 instead (`models` says
    which). The fields of `RegistrationOptions` (initial, device, finest_mm, model) and of `EstimationOptions` (method,
    criterion, points, locked, hold_out, hold_out_landmarks) can be given as such an object or, one by one, as keywords.
    ``progress`` is called with `Progress` (fraction, text). All methods raise ValueError with one sentence for unusable
    input.
    """

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self._parameterNode = None

    def getParameterNode(self) -> TissueElasticRegistrationParameterNode:
        """The typed parameter node of the scene; the same object as long as the node is the same."""
        node = super().getParameterNode()
        migrate(node)  # a scene may have been opened
        if self._parameterNode is None or self._parameterNode.parameterNode != node:
            self._parameterNode = ObservedParameterNode(node)
        return self._parameterNode

    def register(
        self, inputs, values=None, options=None, outputs=None, refine_steps=None, progress=None, **keywords
    ) -> ConsoleResult:
        """Deform the moving volume onto the fixed one; write transform, warped volume and segmentation, and measures.

        Args:
            inputs: `InputNodes`; the moving segmentation and landmarks are used for measuring only.
            values: {"Liver": (lam, mu)} by segment name or ID.
            options: `RegistrationOptions`.
            outputs: `OutputNodes`; None for those of the last registration of this pair, or new ones.
            refine_steps: Additional iterations at full resolution; None: none for the direct solver, after a network 40
                in 2D and 5 in 3D.
            progress: See the class.
            **keywords: Fields of `RegistrationOptions`, such as ``model="universal-3d"``.

        Returns:
            `ConsoleResult`: ``result`` (displacement in RAS mm, warped images, measures) and ``nodes``.

        Raises:
            ValueError: Before anything is written, if nodes, options, model or values cannot be used.
        """
        return register(inputs, values or {}, _with(options, keywords), outputs, refine_steps, progress)

    def estimate(self, inputs, values=None, options=None, estimation=None, progress=None, **keywords):
        """Search (λ, μ) of each tissue for this pair; writes nothing.

        Args:
            inputs: `InputNodes`, with what the criterion needs: a moving segmentation or landmarks.
            values: Where the search starts, as in `register`.
            options: `RegistrationOptions`.
            estimation: `EstimationOptions`.
            progress: See the class.
            **keywords: Fields of either, such as ``criterion="landmarks"``.

        Returns:
            `core.estimation.estimate_result.Estimate`; its ``values()`` fit `register`.

        Raises:
            ValueError: If nodes, options or values cannot be used, or the pair lacks what the criterion needs.
        """
        of_estimation = {name: keywords.pop(name) for name in _names(EstimationOptions) if name in keywords}
        estimation = _with(estimation, of_estimation, EstimationOptions)
        return estimate_parameters(inputs, values or {}, _with(options, keywords), estimation, progress)

    def estimateStiffness(self, inputs, options=None, progress=None, **keywords):
        """Experimental: estimate the ratios of the tissues' shear moduli from the deformation; writes nothing.

        The result does not depend on λ and μ: the pair is registered with the same weak regularization of all tissues.

        Args:
            inputs: `InputNodes` of two volumes that show the same contrast.
            options: `RegistrationOptions`.
            progress: See the class.
            **keywords: Fields of `RegistrationOptions`.

        Returns:
            `core.stiffness.shear_modulus_ratio.ShearModulusRatios`: one ratio per tissue with a 95 % interval, or the
            reason why there is none.

        Raises:
            ValueError: If the input cannot be used or the deformation does not show stiffness.
        """
        return estimate_stiffness(inputs, _with(options, keywords), progress)

    def evaluate(self, inputs, transform, values=None, progress=None):
        """Measure any transform that maps the moving volume to the fixed one, also another module's; writes nothing.

        Args:
            inputs: `InputNodes`.
            transform: Transform node, as the moving volume would be put under.
            values: (λ, μ) by segment name or ID, for the elastic energy.
            progress: See the class.

        Returns:
            `core.data.result.RegistrationResult`: Dice, surface distances, landmark errors in mm, folding, strain.

        Raises:
            ValueError: Naming the node, if something is missing.
        """
        return evaluate(inputs, transform, values or {}, progress)

    def models(self) -> list:
        """The installed models as `core.models.model_card.ModelCard`: name, dimension, scale, training, license ..."""
        return [entry.card for entry in list_cards() if entry.card is not None]


def _names(options: type) -> list[str]:
    """Of the fields of a dataclass."""
    return [entry.name for entry in fields(options)]


def _with(options, keywords: dict, kind: type = RegistrationOptions):
    """The options with single fields given as keywords. Raises TypeError for a name that is none of its fields."""
    return replace(kind() if options is None else require_kind("options", options, kind), **keywords)


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
        inputs = InputNodes(fixed, moving, segmentation, movingSegmentation)
        done = logic.register(inputs, {"ball": (1.0, 1.0)})
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
