"""Everything the user sets in the panel, kept in the scene: saved, loaded and restored with it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, NamedTuple

import slicer.util
from slicer import (
    vtkMRMLMarkupsFiducialNode,
    vtkMRMLScalarVolumeNode,
    vtkMRMLSegmentationNode,
    vtkMRMLTableNode,
    vtkMRMLTransformNode,
)
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

from ..core.data.tissues import Lame
from ..core.models.model_card import DIRECT
from ..core.physics.parameter_scale import LogScale, ParameterScale
from ..core.physics.tissue_presets import unknown_segments
from ..core.physics.tuning import on_scale, scaled_together
from ..scene.nodes import InputNodes, OutputNodes
from ..scene.session import EVERY_SECOND, Search, SessionOptions
from ..scene.write.tissue_nodes import SegmentInfo, describe_tissues
from .choices import Alignment, Criterion, Device, EstimateMethod
from .controller import Request

SCALE = LogScale()  # of everything that is stored, whatever the scale of the model
STEPS_PER_DECADE = 100  # of the global sliders
AUTOMATIC = -1  # refinement steps
AUTOMATIC_POINTS = 2  # fewer than the panel offers


@parameterNodeWrapper
class TissueElasticRegistrationParameterNode:
    """
    fixedVolume, movingVolume - the moving volume is deformed onto the fixed one
    segmentation - tissues of the fixed volume; decides where which elasticity acts
    tunedSegmentation - the segmentation whose segment IDs the dictionaries below are about
    movingSegmentation, fixedLandmarks, movingLandmarks - optional, for evaluation and auto-estimate
    model - "direct", the name of an installed model, or the path of the folder of one
    device - where to compute
    tissueLambda, tissueMu - weights on the log scale that differ from the start values, by segment ID
    tissueLinked, tissueLocked - switches of the rows, by segment ID
    tissueHeldOut - tissues that auto-estimate does not look at, by segment ID
    allLambda, allMu - all unlocked tissues stiffer or softer, in hundredths of a power of ten
    live - follow the sliders
    fade - opacity of the moving volume over the fixed one, percent
    deformed - show the moving volume deformed (after) or as it was (before)
    outlines - draw segments as outlines while a result is shown
    showGrid, showJacobian, showDifference - what is drawn over the images
    outputTransform, outputVolume, outputSegmentation, outputTable - none: those of the last registration, or new ones
    alignment - what is done before the deformation
    refineSteps - further steps at full resolution for Apply; -1: as many as the solver needs
    estimateObjective, estimateMethod - what auto-estimate judges by, and how it searches
    gridPoints - positions of λ and of μ that auto-estimate tries; 2: as many as the solver allows
    holdOutLandmarks - auto-estimate does not look at every second landmark
    finestMm - smallest voxel of the registration, 0 for automatic
    """

    fixedVolume: vtkMRMLScalarVolumeNode
    movingVolume: vtkMRMLScalarVolumeNode
    segmentation: vtkMRMLSegmentationNode
    tunedSegmentation: vtkMRMLSegmentationNode
    movingSegmentation: vtkMRMLSegmentationNode
    fixedLandmarks: vtkMRMLMarkupsFiducialNode
    movingLandmarks: vtkMRMLMarkupsFiducialNode
    model: str = DIRECT
    device: Device = Device.AUTO
    tissueLambda: dict[str, float]
    tissueMu: dict[str, float]
    tissueLinked: dict[str, bool]
    tissueLocked: dict[str, bool]
    tissueHeldOut: dict[str, bool]
    allLambda: Annotated[int, WithinRange(-200, 200)] = 0
    allMu: Annotated[int, WithinRange(-200, 200)] = 0
    live: bool = False
    fade: Annotated[int, WithinRange(0, 100)] = 50
    deformed: bool = True
    outlines: bool = True
    showGrid: bool = False
    showJacobian: bool = False
    showDifference: bool = False
    outputTransform: vtkMRMLTransformNode
    outputVolume: vtkMRMLScalarVolumeNode
    outputSegmentation: vtkMRMLSegmentationNode
    outputTable: vtkMRMLTableNode
    alignment: Alignment = Alignment.AUTO
    refineSteps: Annotated[int, WithinRange(AUTOMATIC, 200)] = AUTOMATIC
    estimateObjective: Criterion = Criterion.DICE
    estimateMethod: EstimateMethod = EstimateMethod.GRID
    gridPoints: Annotated[int, WithinRange(AUTOMATIC_POINTS, 11)] = AUTOMATIC_POINTS
    holdOutLandmarks: bool = False
    finestMm: Annotated[float, WithinRange(0.0, 20.0)] = 0.0


def inputs_of(node: TissueElasticRegistrationParameterNode) -> InputNodes:
    """The chosen nodes, None where nothing is chosen."""
    return InputNodes(
        node.fixedVolume,
        node.movingVolume,
        node.segmentation,
        node.movingSegmentation,
        node.fixedLandmarks,
        node.movingLandmarks,
    )


def outputs_of(node: TissueElasticRegistrationParameterNode) -> OutputNodes:
    return OutputNodes(node.outputTransform, node.outputVolume, node.outputSegmentation, node.outputTable)


def forget_node(node: TissueElasticRegistrationParameterNode, removed: slicer.vtkMRMLNode) -> bool:
    """Choose nothing wherever the user has chosen ``removed``; False if that was nowhere."""
    chosen = [name for name in node.allParameters if name != "tunedSegmentation" and node.getValue(name) is removed]
    with slicer.util.NodeModify(node.parameterNode):
        for name in chosen:
            node.setValue(name, None)
    return bool(chosen)


def locked_ids(node: TissueElasticRegistrationParameterNode) -> frozenset[str]:
    """Tissues that only their own sliders change."""
    return frozenset(key for key, on in node.tissueLocked.items() if on)


def held_out_ids(node: TissueElasticRegistrationParameterNode) -> frozenset[str]:
    """Tissues that the estimate does not look at."""
    return frozenset(key for key, on in node.tissueHeldOut.items() if on)


def linked_ids(node: TissueElasticRegistrationParameterNode) -> frozenset[str]:
    """Tissues whose ratio of λ to μ stays when one of them is moved."""
    return frozenset(key for key, on in node.tissueLinked.items() if on)


def row_values(node: TissueElasticRegistrationParameterNode, tissues: Sequence[SegmentInfo]) -> dict[str, Lame]:
    """λ and μ of every tissue: what the user has set, or its start value."""
    lam, mu = dict(node.tissueLambda.items()), dict(node.tissueMu.items())  # the wrapper's get has no default
    return {
        tissue.id: Lame(lam.get(tissue.id, tissue.start_weight), mu.get(tissue.id, tissue.start_weight))
        for tissue in tissues
    }


def set_row_values(node: TissueElasticRegistrationParameterNode, values: Mapping[str, Lame | None]) -> None:
    """Store λ and μ of these tissues, None for back to the start value. One event."""
    with slicer.util.NodeModify(node.parameterNode):
        for tissue_id, lame in values.items():
            for stored, weight in ((node.tissueLambda, lame and lame.lam), (node.tissueMu, lame and lame.mu)):
                if weight is not None:
                    stored[tissue_id] = weight
                elif tissue_id in stored:
                    del stored[tissue_id]


def unknown_ids(node: TissueElasticRegistrationParameterNode, tissues: Sequence[SegmentInfo]) -> list[str]:
    """Segments that have their start values although no name says which tissue they are; none if one name does."""
    unknown = unknown_segments(tissue for tissue in tissues if not tissue.is_empty)
    return [tissue.id for tissue in unknown if tissue.id not in node.tissueLambda and tissue.id not in node.tissueMu]


class Tuning(NamedTuple):
    """All that is stored about λ and μ."""

    lam: dict[str, float]
    mu: dict[str, float]
    all_lambda: int
    all_mu: int


def tuning_of(node: TissueElasticRegistrationParameterNode) -> Tuning:
    """A copy, for `restore_tuning`."""
    return Tuning(dict(node.tissueLambda.items()), dict(node.tissueMu.items()), node.allLambda, node.allMu)


def restore_tuning(node: TissueElasticRegistrationParameterNode, tuning: Tuning) -> None:
    """Store what `tuning_of` saw; about segments that are gone, nothing. One event."""
    with slicer.util.NodeModify(node.parameterNode):
        for stored, before in ((node.tissueLambda, tuning.lam), (node.tissueMu, tuning.mu)):
            for tissue_id in [key for key in stored if key not in before]:
                del stored[tissue_id]
            for tissue_id, weight in before.items():
                stored[tissue_id] = weight
        node.allLambda, node.allMu = tuning.all_lambda, tuning.all_mu
        keep_only(node, [tissue.id for tissue in _tissues_of(node)])


def take_values(node: TissueElasticRegistrationParameterNode, values: Mapping[str, Lame]) -> None:
    """Store λ and μ that shall be used as they are: the sliders for all tissues go back to the middle.

    What these sliders made of the other tissues is stored as well. One event.
    """
    tissues = _tissues_of(node)
    known = {tissue.id for tissue in tissues}
    with slicer.util.NodeModify(node.parameterNode):
        if node.allLambda or node.allMu:
            locked = locked_ids(node)
            set_row_values(node, {key: lame for key, lame in used_values(node, tissues).items() if key not in locked})
            node.allLambda = node.allMu = 0
        set_row_values(node, {key: lame for key, lame in values.items() if key in known})


def _tissues_of(node: TissueElasticRegistrationParameterNode) -> Sequence[SegmentInfo]:
    return describe_tissues(node.segmentation, find_empty=False)


def keep_only(node: TissueElasticRegistrationParameterNode, tissue_ids: Collection[str]) -> None:
    """Forget what is stored about other tissues: their segments were deleted, or another segmentation was chosen."""
    with slicer.util.NodeModify(node.parameterNode):
        for stored in (node.tissueLambda, node.tissueMu, node.tissueLinked, node.tissueLocked, node.tissueHeldOut):
            for tissue_id in [key for key in stored if key not in tissue_ids]:
                del stored[tissue_id]


def used_values(node: TissueElasticRegistrationParameterNode, tissues: Sequence[SegmentInfo]) -> dict[str, Lame]:
    """λ and μ that a registration uses: those of the rows, changed by the sliders for all tissues."""
    return scaled_together(
        row_values(node, tissues),
        locked_ids(node),
        node.allLambda / STEPS_PER_DECADE,
        node.allMu / STEPS_PER_DECADE,
        SCALE,
    )


def request_of(
    node: TissueElasticRegistrationParameterNode, tissues: Sequence[SegmentInfo], scale: ParameterScale = SCALE
) -> Request:
    """What the panel asks for now, the sliders for all tissues included; scale: of the model."""
    return Request(
        inputs=inputs_of(node),
        values=on_scale(used_values(node, tissues), SCALE, scale),
        outputs=outputs_of(node),
        locked=locked_ids(node),
        options=SessionOptions(node.alignment.value, node.device.value, node.finestMm, node.model),
        refine_steps=None if node.refineSteps == AUTOMATIC else node.refineSteps,
        jacobian=node.showJacobian,
        search=Search(
            node.estimateMethod.value,
            node.estimateObjective.value,
            None if node.gridPoints == AUTOMATIC_POINTS else node.gridPoints,
            held_out_ids(node),
            EVERY_SECOND if node.holdOutLandmarks else (),
        ),
    )
