"""What the slice views show: two volumes faded into each other, or their difference. MRML only, any number of views.

A slice composite node holds the layers of one view; all of them in the scene are changed alike.
"""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np
import slicer
import slicer.util

from ..nodes import PREFIX, nodes_of_class, require_in_scene
from ..owned_nodes import make_owned_node, remove_owned_node
from .color_tables import difference_colors, fill_color_table

ALPHA = slicer.vtkMRMLSliceCompositeNode.Alpha
SUBTRACT = slicer.vtkMRMLSliceCompositeNode.Subtract
REMEMBERED = PREFIX + "BeforeDifference"
COLORS_BEFORE = PREFIX + "colorsBeforeDifference"
DIFFERENCE_COLORS = "differenceColors"


class Layers(NamedTuple):
    """What one view shows.

    Attributes:
        background_id: ID of the volume behind, None for nothing.
        foreground_id: ID of the volume in front, None for nothing.
        label_id: ID of the label map on top, None for nothing.
        foreground_opacity: 0 to 1.
        label_opacity: 0 to 1.
        compositing: How background and foreground are put together, a constant of vtkMRMLSliceCompositeNode.
    """

    background_id: str | None
    foreground_id: str | None
    label_id: str | None
    foreground_opacity: float
    label_opacity: float
    compositing: int


def current_layers(scene: slicer.vtkMRMLScene) -> dict[str, Layers]:
    """What every view shows, for `restore_layers`.

    Args:
        scene: Where the views are.

    Returns:
        ID of the slice composite node -> layers; while the difference is on, what the views showed before.
    """
    layers = {}
    for view in _views(scene):
        compositing, opacity = _remembered(view) or (view.GetCompositing(), view.GetForegroundOpacity())
        layers[view.GetID()] = Layers(
            view.GetBackgroundVolumeID(),
            view.GetForegroundVolumeID(),
            view.GetLabelVolumeID(),
            opacity,
            view.GetLabelOpacity(),
            compositing,
        )
    return layers


def restore_layers(scene: slicer.vtkMRMLScene, layers: dict[str, Layers]) -> None:
    """Show again what `current_layers` saw.

    Args:
        scene: Where the views are.
        layers: By ID of the slice composite node; views that are gone are left out, volumes that are gone stay away.
    """
    show_difference(scene, False)
    for view in _views(scene):
        if view.GetID() in layers:
            shown = layers[view.GetID()]
            ids = [volume_id if volume_id and scene.GetNodeByID(volume_id) else None for volume_id in shown[:3]]
            _set_layers(view, shown._replace(background_id=ids[0], foreground_id=ids[1], label_id=ids[2]))


def show_fade(fixed: slicer.vtkMRMLVolumeNode, moving: slicer.vtkMRMLVolumeNode, opacity: float) -> None:
    """Fixed in the background of every view, moving in front of it.

    The label layer stays as it is; a difference is switched off. Cheap enough for a slider that is dragged.

    Args:
        fixed: The volume behind.
        moving: The volume in front.
        opacity: 0 shows fixed, 1 moving.

    Raises:
        ValueError: Naming the node: a volume is missing.
    """
    require_in_scene(fixed, "vtkMRMLVolumeNode", "fixed volume")
    require_in_scene(moving, "vtkMRMLVolumeNode", "moving volume")
    show_difference(fixed.GetScene(), False)
    for view in _views(fixed.GetScene()):
        _set_layers(
            view, Layers(fixed.GetID(), moving.GetID(), view.GetLabelVolumeID(), opacity, view.GetLabelOpacity(), ALPHA)
        )


def show_difference(scene: slicer.vtkMRMLScene, on: bool) -> None:
    """Show fixed minus moving, that is background minus foreground (see `difference_colors`), or no longer.

    Meant for the two volumes of the first view that shows two; views with other volumes stay as they are, and so does
    everything if there is no such view. While it is on, both volumes share the background's window and level (equal
    intensities are to be equally bright) and have colors of their own; all of this is put back when it is switched off,
    also in a scene that was saved and loaded in between.

    Args:
        scene: Where the views are.
        on: Whether the difference is shown.
    """
    for view in _views(scene):
        _leave_subtraction(view)
    for display in nodes_of_class(scene, "vtkMRMLScalarVolumeDisplayNode"):
        _leave_difference_display(display)
    views = [view for view in _views(scene) if _displays(view) is not None] if on else []
    if not views:
        return
    pair = _volume_ids(views[0])
    background, foreground = _displays(views[0])
    window, level = background.GetWindow(), background.GetLevel()
    for display, colors in zip((background, foreground), difference_colors(), strict=True):
        _enter_difference_display(display, colors, window, level)
    for view in views:
        if _volume_ids(view) == pair:
            view.SetAttribute(REMEMBERED, json.dumps([view.GetCompositing(), view.GetForegroundOpacity()]))
            with slicer.util.NodeModify(view):
                view.SetCompositing(SUBTRACT)
                view.SetForegroundOpacity(1.0)  # Slicer multiplies what it subtracts with it


def _views(scene: slicer.vtkMRMLScene) -> list[slicer.vtkMRMLSliceCompositeNode]:
    return nodes_of_class(scene, "vtkMRMLSliceCompositeNode")


def _set_layers(view: slicer.vtkMRMLSliceCompositeNode, layers: Layers) -> None:
    """With at most one event."""
    with slicer.util.NodeModify(view):
        view.SetBackgroundVolumeID(layers.background_id)
        view.SetForegroundVolumeID(layers.foreground_id)
        view.SetLabelVolumeID(layers.label_id)
        view.SetForegroundOpacity(layers.foreground_opacity)
        view.SetLabelOpacity(layers.label_opacity)
        view.SetCompositing(layers.compositing)


def _volume_ids(view: slicer.vtkMRMLSliceCompositeNode) -> tuple[str | None, str | None]:
    return view.GetBackgroundVolumeID(), view.GetForegroundVolumeID()


def _displays(view: slicer.vtkMRMLSliceCompositeNode) -> list[slicer.vtkMRMLScalarVolumeDisplayNode] | None:
    """How the two volumes of a view are displayed; None if it does not show two different scalar volumes."""
    displays = []
    for volume_id in _volume_ids(view):
        volume = view.GetScene().GetNodeByID(volume_id) if volume_id else None
        display = volume.GetDisplayNode() if volume is not None else None
        if display is None or not display.IsA("vtkMRMLScalarVolumeDisplayNode"):
            return None
        displays.append(display)
    return displays if displays[0] is not displays[1] else None


def _remembered(node: slicer.vtkMRMLNode) -> list | None:
    text = node.GetAttribute(REMEMBERED)
    return json.loads(text) if text else None


def _leave_subtraction(view: slicer.vtkMRMLSliceCompositeNode) -> None:
    if (remembered := _remembered(view)) is None:
        return
    with slicer.util.NodeModify(view):
        view.SetCompositing(remembered[0])
        view.SetForegroundOpacity(remembered[1])
    view.RemoveAttribute(REMEMBERED)


def _enter_difference_display(
    display: slicer.vtkMRMLScalarVolumeDisplayNode, colors: np.ndarray, window: float, level: float
) -> None:
    display.SetAttribute(
        REMEMBERED,
        json.dumps(
            [
                display.GetWindow(),
                display.GetLevel(),
                display.GetAutoWindowLevel(),
                display.GetInvertDisplayScalarRange(),
            ]
        ),
    )
    if display.GetColorNodeID():
        display.SetNodeReferenceID(COLORS_BEFORE, display.GetColorNodeID())
    table = make_owned_node(display, DIFFERENCE_COLORS, "vtkMRMLColorTableNode", "difference of two volumes")
    fill_color_table(table, colors)
    with slicer.util.NodeModify(display):
        display.SetAutoWindowLevel(False)
        display.SetWindowLevel(window, level)
        display.SetInvertDisplayScalarRange(False)
        display.SetAndObserveColorNodeID(table.GetID())


def _leave_difference_display(display: slicer.vtkMRMLScalarVolumeDisplayNode) -> None:
    if (remembered := _remembered(display)) is None:
        return
    window, level, automatic, inverted = remembered
    with slicer.util.NodeModify(display):
        display.SetAndObserveColorNodeID(display.GetNodeReferenceID(COLORS_BEFORE))
        display.SetWindowLevel(window, level)
        display.SetInvertDisplayScalarRange(inverted)
        display.SetAutoWindowLevel(automatic)
    display.RemoveNodeReferenceIDs(COLORS_BEFORE)
    display.RemoveAttribute(REMEMBERED)
    remove_owned_node(display, DIFFERENCE_COLORS)
