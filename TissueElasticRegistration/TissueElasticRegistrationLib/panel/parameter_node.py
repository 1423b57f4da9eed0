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

from ..core.models.model_card import DIRECT
from ..core.physics.parameter_scale import LogScale, ParameterScale, SliderPositions
from ..core.physics.tissue_presets import names_warning, unknown_segments
from ..core.physics.tuning import moved_together, weights_at
from ..scene.nodes import InputNodes, OutputNodes
from ..scene.options import EVERY_SECOND, EstimationOptions, RegistrationOptions, Request
from ..scene.write.tissue_nodes import SegmentInfo, describe_tissues
from .choices import Alignment, Criterion, Device, EstimateMethod

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
    lambdaPositions, muPositions - of the sliders that are not at their start values, from 0 to 1, by segment ID
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
    lambdaPositions: dict[str, float]
    muPositions: dict[str, float]
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


def row_positions(
    node: TissueElasticRegistrationParameterNode, tissues: Sequence[SegmentInfo]
) -> dict[str, SliderPositions]:
    """The sliders of every tissue: where the user has set them, or at its start value."""
    lam, mu = dict(node.lambdaPositions.items()), dict(node.muPositions.items())  # the wrapper's get has no default
    positions = {}
    for tissue in tissues:
        start = LogScale().slider(tissue.start_weight)
        positions[tissue.id] = SliderPositions(lam.get(tissue.id, start), mu.get(tissue.id, start))
    return positions


def set_positions(
    node: TissueElasticRegistrationParameterNode, positions: Mapping[str, SliderPositions | None]
) -> None:
    """Store the slider positions of these tissues, None for back to the start value. One event."""
    with slicer.util.NodeModify(node.parameterNode):
        for tissue_id, place in positions.items():
            lam, mu = place or (None, None)
            for stored, position in ((node.lambdaPositions, lam), (node.muPositions, mu)):
                if position is not None:
                    stored[tissue_id] = position
                elif tissue_id in stored:
                    del stored[tissue_id]


def unknown_ids(node: TissueElasticRegistrationParameterNode, tissues: Sequence[SegmentInfo]) -> list[str]:
    """Segments that have their start values although no name says which tissue they are."""
    unknown = unknown_segments(tissue for tissue in tissues if not tissue.is_empty)
    chosen = _chosen_ids(node)
    return [tissue.id for tissue in unknown if tissue.id not in chosen]


def unknown_text(node: TissueElasticRegistrationParameterNode, tissues: Sequence[SegmentInfo]) -> str:
    """What to say about the `unknown_ids`; "" if there are none."""
    return names_warning((tissue for tissue in tissues if not tissue.is_empty), _chosen_ids(node))


def _chosen_ids(node: TissueElasticRegistrationParameterNode) -> set[str]:
    """Tissues whose sliders the user has set."""
    return {*node.lambdaPositions, *node.muPositions}


class Tuning(NamedTuple):
    """All that is stored about λ and μ."""

    lam: dict[str, float]
    mu: dict[str, float]
    all_lambda: int
    all_mu: int


def tuning_of(node: TissueElasticRegistrationParameterNode) -> Tuning:
    """A copy, for `restore_tuning`."""
    return Tuning(dict(node.lambdaPositions.items()), dict(node.muPositions.items()), node.allLambda, node.allMu)


def restore_tuning(node: TissueElasticRegistrationParameterNode, tuning: Tuning) -> None:
    """Store what `tuning_of` saw; about segments that are gone, nothing. One event."""
    with slicer.util.NodeModify(node.parameterNode):
        for stored, before in ((node.lambdaPositions, tuning.lam), (node.muPositions, tuning.mu)):
            for tissue_id in [key for key in stored if key not in before]:
                del stored[tissue_id]
            for tissue_id, position in before.items():
                stored[tissue_id] = position
        node.allLambda, node.allMu = tuning.all_lambda, tuning.all_mu
        keep_only(node, [tissue.id for tissue in _tissues_of(node)])


def take_positions(node: TissueElasticRegistrationParameterNode, positions: Mapping[str, SliderPositions]) -> None:
    """Store λ and μ that shall be used as they are: the sliders for all tissues go back to the middle.

    What these sliders made of the other tissues is stored as well. One event.
    """
    tissues = _tissues_of(node)
    known = {tissue.id for tissue in tissues}
    with slicer.util.NodeModify(node.parameterNode):
        if node.allLambda or node.allMu:
            locked = locked_ids(node)
            used = used_positions(node, tissues)
            set_positions(node, {key: place for key, place in used.items() if key not in locked})
            node.allLambda = node.allMu = 0
        set_positions(node, {key: place for key, place in positions.items() if key in known})


def _tissues_of(node: TissueElasticRegistrationParameterNode) -> Sequence[SegmentInfo]:
    return describe_tissues(node.segmentation, find_empty=False)


def keep_only(node: TissueElasticRegistrationParameterNode, tissue_ids: Collection[str]) -> None:
    """Forget what is stored about other tissues: their segments were deleted, or another segmentation was chosen."""
    with slicer.util.NodeModify(node.parameterNode):
        for stored in (
            node.lambdaPositions,
            node.muPositions,
            node.tissueLinked,
            node.tissueLocked,
            node.tissueHeldOut,
        ):
            for tissue_id in [key for key in stored if key not in tissue_ids]:
                del stored[tissue_id]


def used_positions(
    node: TissueElasticRegistrationParameterNode, tissues: Sequence[SegmentInfo]
) -> dict[str, SliderPositions]:
    """What a registration uses: the positions of the rows, moved by the sliders for all tissues."""
    return moved_together(
        row_positions(node, tissues),
        locked_ids(node),
        node.allLambda / STEPS_PER_DECADE,
        node.allMu / STEPS_PER_DECADE,
    )


def request_of(
    node: TissueElasticRegistrationParameterNode, tissues: Sequence[SegmentInfo], scale: ParameterScale
) -> Request:
    """What the panel asks for now, the sliders for all tissues included; scale: of the model."""
    return Request(
        inputs=inputs_of(node),
        values=weights_at(used_positions(node, tissues), scale),
        outputs=outputs_of(node),
        options=RegistrationOptions(node.alignment.value, node.device.value, node.finestMm, node.model),
        refine_steps=None if node.refineSteps == AUTOMATIC else node.refineSteps,
        jacobian=node.showJacobian,
        estimation=EstimationOptions(
            node.estimateMethod.value,
            node.estimateObjective.value,
            None if node.gridPoints == AUTOMATIC_POINTS else node.gridPoints,
            locked_ids(node),
            held_out_ids(node),
            EVERY_SECOND if node.holdOutLandmarks else (),
        ),
    )
