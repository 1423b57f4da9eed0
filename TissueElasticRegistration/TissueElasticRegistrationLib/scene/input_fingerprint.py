"""Has an input changed? Answered from modification times and matrices, cheap enough to ask at every event."""

from __future__ import annotations

from collections.abc import Collection

import slicer

from .nodes import InputNodes, results_of_pair
from .transforms import ijk_to_local, linear_to_world, transform_chain


def state_of(inputs: InputNodes) -> tuple:
    """A value that changes when the inputs of a registration change.

    That is when voxels, segments, landmarks or places change; not with names, colors or results.

    Args:
        inputs: Members may be None or no longer in the scene.

    Returns:
        Something to compare with ``==`` only.
    """
    results = []
    if all(node is not None and node.GetScene() is not None for node in (inputs.fixed, inputs.moving)):
        results = results_of_pair(inputs.fixed, inputs.moving)
    return tuple(_node_state(node, results) for node in inputs)


def _node_state(
    node: slicer.vtkMRMLTransformableNode | None, results: Collection[slicer.vtkMRMLTransformNode]
) -> tuple | None:
    if node is None or node.GetScene() is None:
        return None
    chain = tuple((parent.GetID(), _transform_state(parent)) for parent in transform_chain(node, results))
    if node.IsA("vtkMRMLVolumeNode"):
        return node.GetID(), chain, _modified(node.GetImageData()), tuple(ijk_to_local(node).ravel())
    if node.IsA("vtkMRMLSegmentationNode"):
        return node.GetID(), chain, _segments_state(node.GetSegmentation())
    points = (node.GetNthControlPointPositionVector(n) for n in range(node.GetNumberOfControlPoints()))
    return node.GetID(), chain, tuple((point.GetX(), point.GetY(), point.GetZ()) for point in points)


def _transform_state(node: slicer.vtkMRMLTransformNode) -> tuple | int:
    """Not the node's own time: that changes as well when it is put under the result of a registration."""
    matrix = linear_to_world([node])
    return _modified(node.GetTransformToParent()) if matrix is None else tuple(matrix.ravel())


def _segments_state(segmentation: slicer.vtkSegmentation) -> tuple:
    source = segmentation.GetSourceRepresentationName()
    state = []
    for number in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(number)
        state.append(
            (
                segmentation.GetNthSegmentID(number),
                segment.GetLabelValue(),
                _modified(segment.GetRepresentation(source)),
            )
        )
    return tuple(state)


def _modified(part: slicer.vtkMRMLNode | None) -> int:
    return 0 if part is None else part.GetMTime()
