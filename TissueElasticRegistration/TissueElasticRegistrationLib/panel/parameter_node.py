"""Everything the user sets in the panel, kept in the scene: saved, loaded and restored with it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated

import slicer.util
from slicer import (
    vtkMRMLMarkupsFiducialNode,
    vtkMRMLScalarVolumeNode,
    vtkMRMLSegmentationNode,
    vtkMRMLTableNode,
    vtkMRMLTransformNode,
)
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

from ..core.parameter_scale import LogScale
from ..core.tissues import Lame
from ..core.tuning import scaled_together
from ..scene.nodes import InputNodes, OutputNodes
from ..scene.session import SessionOptions
from ..scene.tissue_nodes import SegmentInfo
from .choices import Alignment, Device
from .registration_control import Request

SCALE = LogScale()
STEPS_PER_DECADE = 100  # of the global sliders
DIRECT = "direct"


@parameterNodeWrapper
class TissueElasticRegistrationParameterNode:
    """
    fixedVolume, movingVolume - the moving volume is deformed onto the fixed one
    segmentation - tissues of the fixed volume; decides where which elasticity acts
    tunedSegmentation - the segmentation whose segment IDs the dictionaries below are about
    movingSegmentation, fixedLandmarks, movingLandmarks - optional, for evaluation and auto-estimate
    model - "direct" or the name of a model pack
    device - where to compute
    tissueLambda, tissueMu - weights that differ from the start values, by segment ID
    tissueLinked, tissueLocked - switches of the rows, by segment ID
    allLambda, allMu - all unlocked tissues stiffer or softer, in hundredths of a power of ten
    live - follow the sliders
    fade - opacity of the moving volume over the fixed one, percent
    deformed - show the moving volume deformed (after) or as it was (before)
    showGrid, showJacobian, showDifference - what is drawn over the images
    outputTransform, outputVolume, outputSegmentation, outputTable - none: those of the last registration, or new ones
    alignment - what is done before the deformation
    refineSteps - further steps at full resolution for Apply
    gridPoints - positions of λ and of μ that auto-estimate tries
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
    allLambda: Annotated[int, WithinRange(-200, 200)] = 0
    allMu: Annotated[int, WithinRange(-200, 200)] = 0
    live: bool = False
    fade: Annotated[int, WithinRange(0, 100)] = 50
    deformed: bool = True
    showGrid: bool = False
    showJacobian: bool = False
    showDifference: bool = False
    outputTransform: vtkMRMLTransformNode
    outputVolume: vtkMRMLScalarVolumeNode
    outputSegmentation: vtkMRMLSegmentationNode
    outputTable: vtkMRMLTableNode
    alignment: Alignment = Alignment.AUTO
    refineSteps: Annotated[int, WithinRange(0, 200)] = 0
    gridPoints: Annotated[int, WithinRange(3, 11)] = 5
    finestMm: Annotated[float, WithinRange(0.0, 20.0)] = 0.0


def inputs_of(node: TissueElasticRegistrationParameterNode) -> InputNodes:
    """The chosen nodes, None where nothing is chosen."""
    return InputNodes(node.fixedVolume, node.movingVolume, node.segmentation, node.movingSegmentation,
                      node.fixedLandmarks, node.movingLandmarks)


def outputs_of(node: TissueElasticRegistrationParameterNode) -> OutputNodes:
    return OutputNodes(node.outputTransform, node.outputVolume, node.outputSegmentation, node.outputTable)


def locked_ids(node: TissueElasticRegistrationParameterNode) -> frozenset[str]:
    """Tissues that only their own sliders change."""
    return frozenset(key for key, on in node.tissueLocked.items() if on)


def linked_ids(node: TissueElasticRegistrationParameterNode) -> frozenset[str]:
    """Tissues whose ratio of λ to μ stays when one of them is moved."""
    return frozenset(key for key, on in node.tissueLinked.items() if on)


def row_values(node: TissueElasticRegistrationParameterNode, tissues: Sequence[SegmentInfo]) -> dict[str, Lame]:
    """λ and μ of every tissue: what the user has set, or its start value."""
    lam, mu = dict(node.tissueLambda.items()), dict(node.tissueMu.items())  # the wrapper's get has no default
    return {tissue.id: Lame(lam.get(tissue.id, tissue.start_weight), mu.get(tissue.id, tissue.start_weight))
            for tissue in tissues}


def set_row_values(node: TissueElasticRegistrationParameterNode, values: Mapping[str, Lame | None]) -> None:
    """Store λ and μ of these tissues, None for back to the start value. One event."""
    with slicer.util.NodeModify(node.parameterNode):
        for tissue_id, lame in values.items():
            for stored, weight in ((node.tissueLambda, lame and lame.lam), (node.tissueMu, lame and lame.mu)):
                if weight is not None:
                    stored[tissue_id] = weight
                elif tissue_id in stored:
                    del stored[tissue_id]


def keep_only(node: TissueElasticRegistrationParameterNode, tissue_ids: Collection[str]) -> None:
    """Forget what is stored about other tissues: their segments were deleted, or another segmentation was chosen."""
    with slicer.util.NodeModify(node.parameterNode):
        for stored in (node.tissueLambda, node.tissueMu, node.tissueLinked, node.tissueLocked):
            for tissue_id in [key for key in stored if key not in tissue_ids]:
                del stored[tissue_id]


def request_of(node: TissueElasticRegistrationParameterNode, tissues: Sequence[SegmentInfo]) -> Request:
    """What the panel asks for now, the sliders for all tissues included."""
    locked = locked_ids(node)
    values = scaled_together(row_values(node, tissues), locked, node.allLambda / STEPS_PER_DECADE,
                             node.allMu / STEPS_PER_DECADE, SCALE)
    return Request(
        inputs=inputs_of(node), values=values, outputs=outputs_of(node), locked=locked,
        options=SessionOptions(node.alignment.value, node.device.value, node.finestMm),
        refine_steps=node.refineSteps, jacobian=node.showJacobian, grid_points=node.gridPoints,
    )
