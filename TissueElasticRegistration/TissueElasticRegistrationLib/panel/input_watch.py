"""Tells when something changes about the chosen inputs that no parameter shows: segments, voxels, places."""

from __future__ import annotations

from collections.abc import Callable

import slicer
import vtk

from ..scene.nodes import InputNodes

SEGMENT_EVENTS = (
    "SegmentAdded",
    "SegmentRemoved",
    "SegmentModified",
    "SourceRepresentationModified",
    "SegmentsOrderModified",
)
POINT_EVENTS = (
    "PointModifiedEvent",
    "PointAddedEvent",
    "PointRemovedEvent",
    "PointPositionDefinedEvent",
    "PointPositionUndefinedEvent",
)

Event = tuple[vtk.vtkObject, int]  # who sends it, and its number


class Watch:
    """Observes some events at a time, and tells about each of them."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._events: list[Event] = []
        self._tags: list[int] = []

    def observe(self, events: list[Event]) -> bool:
        """Observe these events instead of those before; True if they are others."""
        if events == self._events:
            return False
        self.stop()
        self._events = events
        self._tags = [sender.AddObserver(event, self._on_event) for sender, event in events]
        return True

    def _on_event(self, caller, event) -> None:
        self._changed()

    def stop(self) -> None:
        """Observe nothing."""
        for (sender, _event), tag in zip(self._events, self._tags, strict=True):
            sender.RemoveObserver(tag)
        self._events, self._tags = [], []


def segment_events(node: slicer.vtkMRMLSegmentationNode | None) -> list[Event]:
    """Segments are added, removed, renamed, recolored or painted."""
    if node is None:
        return []
    segmentation, display = node.GetSegmentation(), node.GetDisplayNode()
    events = [(segmentation, getattr(slicer.vtkSegmentation, name)) for name in SEGMENT_EVENTS]
    return events if display is None else [*events, (display, vtk.vtkCommand.ModifiedEvent)]


def place_events(inputs: InputNodes) -> list[Event]:
    """Voxels or points are others, or nodes are moved: by a script, another module, a handle in a view.

    Sent for each picture of a live registration too, as the moving volume is under its transform.
    """
    events = []
    for node in dict.fromkeys(filter(None, inputs)):
        events.append((node, slicer.vtkMRMLTransformableNode.TransformModifiedEvent))
        if node.IsA("vtkMRMLVolumeNode"):
            events.append((node, slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent))
            events.append((node, vtk.vtkCommand.ModifiedEvent))  # origin, spacing, directions
        elif node.IsA("vtkMRMLMarkupsNode"):
            events += [(node, getattr(slicer.vtkMRMLMarkupsNode, name)) for name in POINT_EVENTS]
    return events
