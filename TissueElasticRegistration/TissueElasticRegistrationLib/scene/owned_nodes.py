"""Nodes the extension makes for itself: kept by reference of an owner, placed beside the inputs, removed completely."""

from __future__ import annotations

import slicer

from .nodes import PREFIX


def owned_node(owner: slicer.vtkMRMLNode, role: str) -> slicer.vtkMRMLNode | None:
    """The node `make_owned_node` has made for an owner, None if there is none (any more).

    Args:
        owner: The node that refers to it.
        role: What the owner uses it for.
    """
    return owner.GetNodeReference(PREFIX + role)


def make_owned_node(
    owner: slicer.vtkMRMLNode, role: str, class_name: str, name: str, beside: slicer.vtkMRMLNode | None = None
) -> slicer.vtkMRMLNode:
    """The owner's node for a role: the one made before, or a new one.

    Args:
        owner: The node that refers to it, in a scene.
        role: What the owner uses it for.
        class_name: MRML class of a new one.
        name: Of a new one; a number is added if another node has it.
        beside: A node beside which a new one is placed in the subject hierarchy; None: not placed.
    """
    node = owned_node(owner, role)
    if node is None:
        node = owner.GetScene().AddNewNodeByClass(class_name, owner.GetScene().GenerateUniqueName(name))
        owner.SetNodeReferenceID(PREFIX + role, node.GetID())
        if beside is not None:
            place_beside(beside, node)
    return node


def remove_owned_node(owner: slicer.vtkMRMLNode, role: str) -> None:
    """Remove what `make_owned_node` made; nothing happens if there is nothing.

    Args:
        owner: The node that refers to it.
        role: What the owner uses it for.
    """
    node = owned_node(owner, role)
    if node is not None:
        remove_with_parts(node)
    owner.RemoveNodeReferenceIDs(PREFIX + role)


def remove_with_parts(node: slicer.vtkMRMLNode) -> None:
    """Take a node, its display nodes and its storage nodes out of the scene."""
    scene, parts = node.GetScene(), []
    if node.IsA("vtkMRMLDisplayableNode"):
        parts += [node.GetNthDisplayNode(n) for n in range(node.GetNumberOfDisplayNodes())]
    if node.IsA("vtkMRMLStorableNode"):
        parts += [node.GetNthStorageNode(n) for n in range(node.GetNumberOfStorageNodes())]
    for part in (node, *filter(None, parts)):
        scene.RemoveNode(part)


def place_beside(sibling: slicer.vtkMRMLNode, node: slicer.vtkMRMLNode) -> None:
    """Into the folder or patient of another node in the subject hierarchy, if the scene has one that contains both.

    Args:
        sibling: The node that is there already.
        node: The node that goes there.
    """
    hierarchy = node.GetScene().GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode")
    if hierarchy is None:
        return
    sibling_item, item = hierarchy.GetItemByDataNode(sibling), hierarchy.GetItemByDataNode(node)
    if sibling_item and item:
        hierarchy.SetItemParent(item, hierarchy.GetItemParent(sibling_item))
