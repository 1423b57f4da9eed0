"""The parameter node with its observers, which go when it goes."""

import slicer
import vtk

from .parameter_node import TissueElasticRegistrationParameterNode
from .scene_versions import migrate_imported

BEFORE_WRAPPER = 1.0  # priority of an observer


class ObservedParameterNode(TissueElasticRegistrationParameterNode):
    """Takes every observer with it that was added to the node through it.

    Slicer before 5.11 leaves one behind at every `connectGui` (Slicer/Slicer#9063). It writes all widgets again at
    every change, and is part of a cycle (observer, wrapper, node, observer): where nothing else in Python holds the
    node, Python's garbage collector empties an observer that VTK will still call, and Slicer crashes.
    """

    def __init__(self, node: slicer.vtkMRMLScriptedModuleNode) -> None:
        self._tags: list[int] = []
        self._gui_tags: list[int] = []
        super().__init__(node)
        self.AddObserver(vtk.vtkCommand.ModifiedEvent, migrate_imported, BEFORE_WRAPPER)

    def __del__(self) -> None:
        for tag in self._tags:
            self.parameterNode.RemoveObserver(tag)

    def AddObserver(self, event, callback, priority: float = 0.0) -> int:
        tag = super().AddObserver(event, callback, priority)
        self._tags.append(tag)
        return tag

    def connectGui(self, gui) -> int:
        before = len(self._tags)
        gui_tag = super().connectGui(gui)
        self._gui_tags = self._tags[before:]
        return gui_tag

    def disconnectGui(self, tag: int) -> None:
        super().disconnectGui(tag)
        for observer in self._gui_tags:
            self.RemoveObserver(observer)
