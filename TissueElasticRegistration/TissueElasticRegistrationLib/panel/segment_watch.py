"""Tells when the segments of the chosen segmentation change: added, removed, renamed, recoloured, painted."""

from __future__ import annotations

from collections.abc import Callable

import slicer
import vtk

EVENTS = ("SegmentAdded", "SegmentRemoved", "SegmentModified", "SourceRepresentationModified", "SegmentsOrderModified")


class SegmentWatch:
    """Observes one segmentation node at a time; holds no reference that keeps a removed node alive."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._observed: list[tuple[vtk.vtkObject, int]] = []
        self._node_id: str | None = None

    def watch(self, node: slicer.vtkMRMLSegmentationNode | None) -> bool:
        """Observe this node instead of the one before; True if it is another one."""
        node_id = None if node is None else node.GetID()
        parts = [] if node is None else [node.GetSegmentation(), node.GetDisplayNode()]
        watched = [part for part, _tag in self._observed]
        if node_id == self._node_id and [part for part in parts if part is not None] == list(dict.fromkeys(watched)):
            return False
        self.stop()
        self._node_id = node_id
        if node is not None:
            segmentation, display = parts
            for event in EVENTS:
                self._observe(segmentation, getattr(slicer.vtkSegmentation, event))
            if display is not None:
                self._observe(display, vtk.vtkCommand.ModifiedEvent)
        return True

    def stop(self) -> None:
        """Observe nothing."""
        for part, tag in self._observed:
            part.RemoveObserver(tag)
        self._observed = []
        self._node_id = None

    def _observe(self, part: vtk.vtkObject, event: int) -> None:
        self._observed.append((part, part.AddObserver(event, lambda *_arguments: self._changed())))
