"""The moving nodes under the result transform, so that slice views show them where the registration puts them.

The result transform maps moving's world to fixed's world. So it must be the last transform before the world: not the
moving node itself goes under it, but the outermost of the transforms the node is under already.
"""

from __future__ import annotations

from collections.abc import Collection

import slicer

from .nodes import require_in_scene, results_of_pair
from .transforms import transform_chain

Transforms = Collection[slicer.vtkMRMLTransformNode]


def put_under(
    moving: slicer.vtkMRMLTransformableNode, transform: slicer.vtkMRMLTransformNode, fixed: slicer.vtkMRMLVolumeNode
) -> None:
    """Put the moving volume (or its segmentation or landmarks) with all its parent transforms under a result transform.

    Former results of the same pair are taken out of the chain. What else is under moving's parent transforms comes
    along. Nothing happens if it is there already.

    Args:
        moving: The node that goes under the transform.
        transform: The result transform, marked by `nodes.link_transform`.
        fixed: The fixed volume of the pair.

    Raises:
        ValueError: Naming the nodes, and nothing is changed: the transform is not the result of a registration to
            ``fixed`` or has a parent itself, or the fixed volume would move as well.
    """
    require_in_scene(moving, "vtkMRMLTransformableNode", "moving node")
    require_in_scene(transform, "vtkMRMLTransformNode", "output transform")
    require_in_scene(fixed, "vtkMRMLVolumeNode", "fixed volume")
    results = _results_beside(transform, fixed)
    chain = [moving, *transform_chain(moving, results)]
    if transform in chain:
        raise ValueError(f"The transform '{transform.GetName()}' cannot be placed under itself.")
    if transform.GetParentTransformNode() is not None:
        raise ValueError(
            f"The output transform '{transform.GetName()}' is under the transform "
            f"'{transform.GetParentTransformNode().GetName()}'; move it out of that transform."
        )
    if transform in transform_chain(fixed):
        raise ValueError(
            f"The fixed volume '{fixed.GetName()}' is under the output transform '{transform.GetName()}'; "
            "move it out of that transform."
        )
    shared = shared_parent(moving, fixed, results)
    if shared is not None:
        raise ValueError(shared_parent_problem(moving, fixed, shared))
    for inner, outer in zip(chain, [*chain[1:], transform], strict=True):
        inner.SetAndObserveTransformNodeID(outer.GetID())  # no event where it is there already


def take_off(moving: slicer.vtkMRMLTransformableNode, transform: slicer.vtkMRMLTransformNode) -> None:
    """Undo `put_under`; moving's own parent transforms stay. Nothing happens if it is not under the transform.

    Args:
        moving: The node that was put under the transform.
        transform: The result transform.
    """
    for node in [moving, *transform_chain(moving)]:
        if node.GetParentTransformNode() is transform:
            node.SetAndObserveTransformNodeID(transform.GetTransformNodeID())


def is_under(moving: slicer.vtkMRMLTransformableNode, transform: slicer.vtkMRMLTransformNode) -> bool:
    """Whether a transform is one of moving's parent transforms.

    Args:
        moving: Any node that can have a parent transform.
        transform: The transform.
    """
    return transform in transform_chain(moving)


def shared_parent(
    moving: slicer.vtkMRMLTransformableNode, other: slicer.vtkMRMLTransformableNode, results: Transforms = ()
) -> slicer.vtkMRMLTransformableNode | None:
    """What keeps one node from being moved without the other.

    Args:
        moving: The node that is to be moved.
        other: The node that is to stay.
        results: Transforms that count as absent.

    Returns:
        Moving's outermost transform (moving itself if it has none) if the other node would move together with
        it, else None.
    """
    outermost = [moving, *transform_chain(moving, results)][-1]
    return outermost if outermost in (other, *transform_chain(other, results)) else None


def shared_parent_problem(moving: slicer.vtkMRMLNode, other: slicer.vtkMRMLNode, shared: slicer.vtkMRMLNode) -> str:
    """One sentence about what `shared_parent` found.

    Args:
        moving: The node that is to be moved.
        other: The node that is to stay.
        shared: The transform or node that was found.
    """
    if shared is other:
        return f"'{other.GetName()}' belongs to the fixed image and cannot be moved."
    return (
        f"'{moving.GetName()}' and '{other.GetName()}' are both under the transform '{shared.GetName()}', so "
        "neither can be moved alone; move one of them out of it, or harden the transform."
    )


def _results_beside(
    transform: slicer.vtkMRMLTransformNode, fixed: slicer.vtkMRMLVolumeNode
) -> list[slicer.vtkMRMLTransformNode]:
    """All results of the pair the transform belongs to, itself included."""
    moving_volume = transform.GetNodeReference(slicer.vtkMRMLTransformNode.GetMovingNodeReferenceRole())
    results = [] if moving_volume is None else results_of_pair(fixed, moving_volume)
    if transform not in results:
        raise ValueError(
            f"The transform '{transform.GetName()}' is not the result of a registration to '{fixed.GetName()}'."
        )
    return results
