"""Observing a scene and its nodes from a widget, for as long as the widget exists."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable

import slicer
import vtk

from .qt_binding import QtWidgets

SCENE_EVENTS = (
    "NodeAddedEvent",
    "NodeAboutToBeRemovedEvent",
    "NodeRemovedEvent",
    "EndCloseEvent",
    "EndImportEvent",
    "EndBatchProcessEvent",
)


class SceneObserver:
    """Calls on_scene(event name, node or None) and on_node(node) until the widget is destroyed.

    While the scene closes or imports nothing is called; the end of it counts once. The callbacks must be methods of
    the widget: they are held weakly, so that the observer does not keep the widget alive.
    """

    def __init__(self, widget: QtWidgets.QWidget, on_scene: Callable, on_node: Callable) -> None:
        self._on_scene, self._on_node = weakref.WeakMethod(on_scene), weakref.WeakMethod(on_node)
        self._scene_tags: list[tuple[vtk.vtkObject, int]] = []
        self._node_tags: list[tuple[vtk.vtkObject, int]] = []
        tag_lists = (self._scene_tags, self._node_tags)
        widget.destroyed.connect(lambda: [_remove_observers(tags) for tags in tag_lists])

    def observe(self, scene: slicer.vtkMRMLScene | None) -> None:
        _remove_observers(self._scene_tags)
        _remove_observers(self._node_tags)
        for event in SCENE_EVENTS if scene is not None else ():
            tag = scene.AddObserver(getattr(scene, event), self._scene_callback(event))
            self._scene_tags.append((scene, tag))

    def observe_nodes(self, nodes: Iterable[slicer.vtkMRMLNode]) -> None:
        _remove_observers(self._node_tags)
        for node in nodes:
            self._node_tags.append((node, node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._node_event)))

    def _scene_callback(self, event: str) -> Callable:
        """VTK itself does not know the names of MRML's events."""

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def callback(scene: slicer.vtkMRMLScene, _: str, node: slicer.vtkMRMLNode | None = None) -> None:
            call = self._on_scene()
            if call is not None and not scene.IsClosing() and not scene.IsImporting():
                call(event, node)

        return callback

    def _node_event(self, node: slicer.vtkMRMLNode, event: str) -> None:
        call = self._on_node()
        scene = node.GetScene()
        if call is not None and scene is not None and not scene.IsClosing() and not scene.IsImporting():
            call(node)


class EventObserver:
    """Calls callback() on events of one object, until the widget is destroyed. A callback is a method of it."""

    def __init__(self, widget: QtWidgets.QWidget, callback: Callable) -> None:
        self._callback = weakref.WeakMethod(callback)
        self._tags: list[tuple[vtk.vtkObject, int]] = []
        tags = self._tags
        widget.destroyed.connect(lambda: _remove_observers(tags))

    def observe(self, observed: vtk.vtkObject | None, events: Iterable[int]) -> None:
        """Instead of what was observed before; None for nothing."""
        _remove_observers(self._tags)
        for event in events if observed is not None else ():
            self._tags.append((observed, observed.AddObserver(event, self._on_event)))

    def _on_event(self, observed: vtk.vtkObject, event: str) -> None:
        callback = self._callback()
        if callback is not None:
            callback()


def _remove_observers(tags: list[tuple[vtk.vtkObject, int]]) -> None:
    for observed, tag in tags:
        observed.RemoveObserver(tag)
    tags.clear()
