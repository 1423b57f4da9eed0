"""Which nodes go into a registration, which come out, and how the scene remembers that they belong together."""

from __future__ import annotations

from reprlib import repr as shortened
from typing import NamedTuple

import slicer

from .vtk_images import is_empty

PREFIX = "TissueElasticRegistration."
ROLE_ATTRIBUTE = PREFIX + "Role"
TRANSFORM_ROLE = "Transform"


class InputNodes(NamedTuple):
    """MRML nodes of one image pair, in the order of `read.read_pair`; the last three are used for evaluation only.

    Attributes:
        fixed: The volume that stays where it is.
        moving: The volume that is deformed.
        segmentation: Of the fixed volume: which tissue is where.
        moving_segmentation: Of the moving volume.
        fixed_landmarks: In the fixed volume.
        moving_landmarks: The same points in the moving volume.
    """

    fixed: slicer.vtkMRMLScalarVolumeNode
    moving: slicer.vtkMRMLScalarVolumeNode
    segmentation: slicer.vtkMRMLSegmentationNode
    moving_segmentation: slicer.vtkMRMLSegmentationNode | None = None
    fixed_landmarks: slicer.vtkMRMLMarkupsNode | None = None
    moving_landmarks: slicer.vtkMRMLMarkupsNode | None = None


class OutputNodes(NamedTuple):
    """MRML nodes a registration is written to; None stands for "the one written last time, or a new one".

    Attributes:
        transform: Grid transform from parent, fixed to moving.
        warped_volume: The moving volume on the grid of the fixed one.
        warped_segmentation: The moving segmentation on the grid of the fixed volume.
        metrics_table: One row for each tissue.
    """

    transform: slicer.vtkMRMLTransformNode | None = None
    warped_volume: slicer.vtkMRMLScalarVolumeNode | None = None
    warped_segmentation: slicer.vtkMRMLSegmentationNode | None = None
    metrics_table: slicer.vtkMRMLTableNode | None = None


def require_node(node: object, what: str) -> None:
    """Check that a value is a node.

    Args:
        node: The value.
        what: What messages call it, such as "fixed volume".

    Raises:
        ValueError: It is something else.
    """
    if not isinstance(node, slicer.vtkMRMLNode):
        raise ValueError(f"{shortened(node)} was given as {what}, which must be a node of the scene.")


def require_in_scene(node: slicer.vtkMRMLNode | None, class_name: str, what: str) -> None:
    """Check that a node exists, is of the right class and belongs to a scene.

    Args:
        node: The node, or None.
        class_name: The MRML class it must be of or derived from.
        what: What messages call it, such as "fixed volume".

    Raises:
        ValueError: Naming the node: it is missing, no node, of the wrong kind or no longer in a scene.
    """
    if node is None:
        raise ValueError(f"No {what} was given.")
    require_node(node, what)
    if not node.IsA(class_name):
        raise ValueError(f"'{node.GetName()}' is a {node.GetNodeTagName()}, not a {what}.")
    if node.GetScene() is None:
        raise ValueError(f"The {what} '{node.GetName()}' is no longer in the scene.")


def require_scalar_volume(node: slicer.vtkMRMLVolumeNode | None, what: str = "volume") -> None:
    """Check that a node is a scalar volume in a scene.

    Args:
        node: The node, or None.
        what: What messages call it.

    Raises:
        ValueError: Naming the node: it is no volume in a scene with one value in each voxel.
    """
    require_in_scene(node, "vtkMRMLVolumeNode", what)
    if is_empty(node.GetImageData()):
        raise ValueError(f"The {what} '{node.GetName()}' is empty.")
    channels = node.GetImageData().GetNumberOfScalarComponents()
    if channels != 1:
        raise ValueError(
            f"The {what} '{node.GetName()}' has {channels} components per voxel; a scalar volume is required."
        )


def nodes_of_class(scene: slicer.vtkMRMLScene, class_name: str) -> list[slicer.vtkMRMLNode]:
    """All nodes of a class or one derived from it, oldest first.

    Not slicer.util.getNodesByClass: it takes a scene and then looks into slicer.mrmlScene.

    Args:
        scene: Where to look.
        class_name: The MRML class.
    """
    return [scene.GetNthNodeByClass(n, class_name) for n in range(scene.GetNumberOfNodesByClass(class_name))]


def link_transform(
    transform: slicer.vtkMRMLTransformNode, fixed: slicer.vtkMRMLNode, moving: slicer.vtkMRMLNode
) -> None:
    """Mark a transform as the result for a pair: it is found again, and never taken for a part of the input.

    Args:
        transform: The result.
        fixed: Fixed volume of the pair.
        moving: Moving volume of the pair.
    """
    transform.SetAttribute(ROLE_ATTRIBUTE, TRANSFORM_ROLE)
    transform.SetNodeReferenceID(slicer.vtkMRMLTransformNode.GetFixedNodeReferenceRole(), fixed.GetID())
    transform.SetNodeReferenceID(slicer.vtkMRMLTransformNode.GetMovingNodeReferenceRole(), moving.GetID())


def results_of_pair(fixed: slicer.vtkMRMLNode, moving: slicer.vtkMRMLNode) -> list[slicer.vtkMRMLTransformNode]:
    """All transforms in the scene that `link_transform` marked for a pair, oldest first.

    Args:
        fixed: Fixed volume of the pair, in a scene.
        moving: Moving volume of the pair.
    """
    pair_ids = [fixed.GetID(), moving.GetID()]
    roles = (
        slicer.vtkMRMLTransformNode.GetFixedNodeReferenceRole(),
        slicer.vtkMRMLTransformNode.GetMovingNodeReferenceRole(),
    )
    return [
        node
        for node in nodes_of_class(fixed.GetScene(), "vtkMRMLTransformNode")
        if node.GetAttribute(ROLE_ATTRIBUTE) == TRANSFORM_ROLE
        and [node.GetNodeReferenceID(role) for role in roles] == pair_ids
    ]


def find_outputs(inputs: InputNodes, given: OutputNodes | None = None) -> OutputNodes:
    """The output nodes that exist already.

    Args:
        inputs: The pair.
        given: Nodes that were chosen.

    Returns:
        The given ones, else those the last registration of the pair has left; None where there is neither.
    """
    given = given or OutputNodes()
    transform = given.transform or next(reversed(results_of_pair(inputs.fixed, inputs.moving)), None)
    if transform is None:
        return given
    return OutputNodes(
        transform,
        *(node or transform.GetNodeReference(PREFIX + field) for field, node in list(given._asdict().items())[1:]),
    )


def link_outputs(outputs: OutputNodes) -> None:
    """Let the transform refer to the other outputs, so that `find_outputs` finds them (saved with the scene)."""
    for field, node in list(outputs._asdict().items())[1:]:
        if node is not None:
            outputs.transform.SetNodeReferenceID(PREFIX + field, node.GetID())
