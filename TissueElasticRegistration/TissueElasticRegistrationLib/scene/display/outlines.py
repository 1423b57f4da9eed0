"""Segments as outlines while a result is shown: thick where they are fixed, thin where they have been moved.

Filled segments, which is how Slicer draws them, cover what a registration changes. The user's own settings are kept in
the display nodes themselves: Slicer sends no event before it saves a scene, so they must come back after loading, too.
"""

from __future__ import annotations

import json
from typing import NamedTuple

import slicer
import slicer.util

from ..nodes import PREFIX, InputNodes, nodes_of_class, results_of_pair
from ..segments import BINARY_LABELMAP
from ..transform_hierarchy import is_under, put_under, take_off

FIXED_PIXELS, MOVING_PIXELS = 2, 1  # Slicer draws no dashes
BEFORE_OUTLINES = PREFIX + "BeforeOutlines"
HIDDEN_WHILE_MOVING = PREFIX + "HiddenWhileMoving"
UNDER_RESULT = PREFIX + "UnderResultForOutlines"
COLOR_TOLERANCE = 1e-4  # scene files have six digits


class Change(NamedTuple):
    """What has been changed of a display node, from the user's own value to another one.

    Attributes:
        name: Of the property: ``Get<name>(*key)``.
        key: The ID of a segment, or nothing.
        before: The user's own value.
        shown: The value that was set.
    """

    name: str
    key: list[str]
    before: object
    shown: object


def show_outlines(inputs: InputNodes, at_rest: bool = True) -> None:
    """Draw the segments of a pair that has a result as outlines; without a result, as `hide_outlines` leaves them.

    Those of the fixed volume always. Those of the moving one, if they are visible, in the colors of the fixed ones of
    the same name, and under the result as long as the moving volume is. Segmentations without a display stay without.
    Cheap if nothing has changed since the last call; what the user has changed since then stays.

    Args:
        inputs: The pair.
        at_rest: False hides the moving ones for the moment. They are resampled in the main thread whenever the result
            changes, which takes longer than all else that a picture needs.

    Raises:
        ValueError: Naming the nodes: the moving segments cannot be put under the result.
    """
    results = results_of_pair(inputs.fixed, inputs.moving)
    fixed, moving = inputs.segmentation, inputs.moving_segmentation
    if moving is fixed:
        moving = None
    shown = [node for node in (fixed, moving) if node is not None and node.GetScene() is not None] if results else []
    _put_back(inputs.fixed.GetScene(), but=shown)
    if fixed in shown:
        for display in _displays(fixed):
            _change(display, _fixed_values(display))
    if moving in shown:
        for display in _displays(moving):
            if _is_visible(display) and display.GetVisibility2D():
                _change(display, _moving_values(display, moving, fixed))
                _hide_while_moving(display, not at_rest)
        _follow_volume(moving, inputs, results)


def hide_outlines(scene: slicer.vtkMRMLScene) -> None:
    """All segmentations as the user had them, also in a scene that was saved with outlines and loaded.

    What the user has changed while they were outlines stays changed.
    """
    _put_back(scene)


def _displays(node: slicer.vtkMRMLSegmentationNode) -> list[slicer.vtkMRMLSegmentationDisplayNode]:
    displays = [node.GetNthDisplayNode(n) for n in range(node.GetNumberOfDisplayNodes())]
    return [display for display in displays if display is not None]


def _is_visible(display: slicer.vtkMRMLSegmentationDisplayNode) -> bool:
    """As far as the user is concerned."""
    return bool(display.GetVisibility() or display.GetAttribute(HIDDEN_WHILE_MOVING))


def _hide_while_moving(display: slicer.vtkMRMLSegmentationDisplayNode, on: bool) -> None:
    if on and not display.GetAttribute(HIDDEN_WHILE_MOVING):
        display.SetAttribute(HIDDEN_WHILE_MOVING, "1")
        display.SetVisibility(False)
    elif not on and display.GetAttribute(HIDDEN_WHILE_MOVING):
        display.RemoveAttribute(HIDDEN_WHILE_MOVING)
        display.SetVisibility(True)


def _fixed_values(display: slicer.vtkMRMLSegmentationDisplayNode) -> dict[tuple[str, ...], object]:
    values = _outlines(FIXED_PIXELS)
    if not display.GetVisibility():
        values[("Visibility3D",)] = False  # the surfaces stay hidden
    return {**values, ("Visibility",): True, ("Visibility2D",): True}


def _moving_values(
    display: slicer.vtkMRMLSegmentationDisplayNode,
    moving: slicer.vtkMRMLSegmentationNode,
    fixed: slicer.vtkMRMLSegmentationNode | None,
) -> dict[tuple[str, ...], object]:
    """Properties of the moving segments: thin outlines, in the colors of the fixed segments of the same name."""
    values, colors = _outlines(MOVING_PIXELS), _colors_by_name(fixed)
    segmentation = moving.GetSegmentation()
    if segmentation.ContainsRepresentation(BINARY_LABELMAP):
        values[("PreferredDisplayRepresentationName2D",)] = BINARY_LABELMAP  # bending surfaces takes much longer
    for segment_id in segmentation.GetSegmentIDs():
        color = colors.get(segmentation.GetSegment(segment_id).GetName().casefold())
        if color is not None and not _same(color, list(display.GetSegmentColor(segment_id))):
            values["SegmentOverrideColor", segment_id] = color
    return values


def _outlines(pixels: int) -> dict[tuple[str, ...], object]:
    return {("Visibility2DFill",): False, ("Visibility2DOutline",): True, ("SliceIntersectionThickness",): pixels}


def _colors_by_name(node: slicer.vtkMRMLSegmentationNode | None) -> dict[str, list[float]]:
    """As shown, by name of the segment; names are compared as for the measures, ignoring case."""
    display = None if node is None else node.GetDisplayNode()
    if display is None:
        return {}
    segmentation = node.GetSegmentation()
    return {
        segmentation.GetSegment(segment_id).GetName().casefold(): list(display.GetSegmentColor(segment_id))
        for segment_id in segmentation.GetSegmentIDs()
    }


# --- the user's own settings ------------------------------------------------------------------------------------------


def _change(display: slicer.vtkMRMLSegmentationDisplayNode, values: dict[tuple[str, ...], object]) -> None:
    """Set ``values`` by name of the property and ID of the segment, unless that has been done; remember what was."""
    if display.GetAttribute(BEFORE_OUTLINES):
        return
    changes = [
        Change(name, key, before, shown)
        for (name, *key), shown in values.items()
        if not _same(before := _value(display, name, key), shown)
    ]
    with slicer.util.NodeModify(display):
        display.SetAttribute(BEFORE_OUTLINES, json.dumps(changes))
        for change in changes:
            _set_value(display, change.name, change.key, change.shown)


def _put_back(scene: slicer.vtkMRMLScene, but: list[slicer.vtkMRMLSegmentationNode] = ()) -> None:
    kept = [display for node in but for display in _displays(node)]
    for display in nodes_of_class(scene, "vtkMRMLSegmentationDisplayNode"):
        if display.GetAttribute(BEFORE_OUTLINES) and display not in kept:
            _put_back_display(display)
    for node in nodes_of_class(scene, "vtkMRMLSegmentationNode"):
        if node not in but:
            _take_off(node)


def _put_back_display(display: slicer.vtkMRMLSegmentationDisplayNode) -> None:
    node = display.GetDisplayableNode()
    segment_ids = () if node is None else node.GetSegmentation().GetSegmentIDs()
    with slicer.util.NodeModify(display):
        _hide_while_moving(display, False)
        for change in (Change(*entry) for entry in json.loads(display.GetAttribute(BEFORE_OUTLINES))):
            there = all(segment_id in segment_ids for segment_id in change.key)
            if there and _same(_value(display, change.name, change.key), change.shown):
                _set_value(display, change.name, change.key, change.before)
        display.RemoveAttribute(BEFORE_OUTLINES)


def _value(display: slicer.vtkMRMLSegmentationDisplayNode, name: str, key: list[str]) -> object:
    value = getattr(display, f"Get{name}")(*key)
    return value if value is None or isinstance(value, (bool, int, str)) else list(value)


def _set_value(display: slicer.vtkMRMLSegmentationDisplayNode, name: str, key: list[str], value: object) -> None:
    getattr(display, f"Set{name}")(*key, *(value if isinstance(value, list) else [value]))


def _same(value: object, other: object) -> bool:
    if isinstance(value, list):
        return max(abs(a - b) for a, b in zip(value, other, strict=True)) <= COLOR_TOLERANCE
    return value == other


# --- moving segments go where the moving volume goes ------------------------------------------------------------------


def _follow_volume(
    node: slicer.vtkMRMLSegmentationNode, inputs: InputNodes, results: list[slicer.vtkMRMLTransformNode]
) -> None:
    """Under the result that the moving volume is under, or out of it; hidden segments stay where they are."""
    above = next((result for result in results if is_under(inputs.moving, result)), None)
    if above is None or not any(_is_visible(display) for display in _displays(node)):
        _take_off(node)
    elif not is_under(node, above):
        put_under(node, above, inputs.fixed)
        node.SetNodeReferenceID(UNDER_RESULT, above.GetID())


def _take_off(node: slicer.vtkMRMLSegmentationNode) -> None:
    """Out of the result, if `_follow_volume` has put it there."""
    result = node.GetNodeReference(UNDER_RESULT)
    if result is not None:
        take_off(node, result)
    if node.GetNodeReferenceID(UNDER_RESULT):
        node.RemoveNodeReferenceIDs(UNDER_RESULT)
