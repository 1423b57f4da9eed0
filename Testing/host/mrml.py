"""A real MRML scene with the real module logics of slicer-core: what Slicer sets up when it starts, without Qt.

Neither ``slicer.mrmlScene`` nor ``slicer.modules`` is set: code that works here works on the nodes it is given.
"""

from __future__ import annotations

from pathlib import Path

import slicer
import vtk

LOGIC_CLASSES = {
    "Volumes": "vtkSlicerVolumesLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Models": "vtkSlicerModelsLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "Cameras": "vtkSlicerCamerasModuleLogic",
}

# Subject hierarchy plugin that owns the item of a node; the first class that fits counts.
ITEM_OWNERS = {
    "vtkMRMLSegmentationNode": "Segmentations",
    "vtkMRMLLabelMapVolumeNode": "LabelMaps",
    "vtkMRMLVolumeNode": "Volumes",
    "vtkMRMLMarkupsNode": "Markups",
    "vtkMRMLTransformNode": "Transforms",
    "vtkMRMLModelNode": "Models",
    "vtkMRMLTableNode": "Tables",
    "vtkMRMLPlotChartNode": "Charts",
}


class MrmlHost:
    """One scene with its logics. Make one per process: some of Slicer's factories are singletons.

    scratch: a folder for Slicer's temporary files and the files it looks for, such as color tables.
    """

    def __init__(self, scratch: Path) -> None:
        self.scene = slicer.vtkMRMLScene()
        self.application_logic = slicer.vtkSlicerApplicationLogic()
        self.application_logic.SetHomeDirectory(str(scratch))
        self.application_logic.SetShareDirectory("share")
        self.application_logic.SetTemporaryPath(str(scratch))
        _write_color_table(scratch / "share" / "ColorFiles")
        self.application_logic.SetMRMLScene(self.scene)
        self.application_logic.SetSliceLogics(vtk.vtkCollection())
        self.application_logic.SetViewLogics(vtk.vtkCollection())
        self.logics = {"Colors": self._add_logic("Colors", slicer.vtkSlicerColorLogic())}  # before all others
        for name, class_name in LOGIC_CLASSES.items():
            self.logics[name] = self._add_logic(name, getattr(slicer, class_name)())
        self._enable_scene_bundles(scratch)
        self._add_view_defaults()
        self.scene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, self._on_node_added)
        self.scene.AddObserver(slicer.vtkMRMLScene.NodeRemovedEvent, self._on_node_removed)

    def clear(self) -> None:
        """Close the scene: everything but singleton nodes goes, and an empty subject hierarchy appears."""
        self.scene.Clear(False)
        slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self.scene)

    def close(self) -> None:
        """End of the process: nothing may call back into Python while it is shutting down."""
        self.scene.RemoveAllObservers()

    def save(self, path: Path) -> None:
        """Write the scene with all data as .mrb. Raises RuntimeError if Slicer reports failure."""
        if not self.scene.WriteToMRB(str(path)):
            raise RuntimeError(f"the scene was not written to {path}")

    def load(self, path: Path) -> None:
        """Replace the scene by an .mrb file. Raises RuntimeError if Slicer reports failure."""
        if not self.scene.ReadFromMRB(str(path), True):
            raise RuntimeError(f"the scene was not read from {path}")

    def _add_logic(self, name: str, logic: slicer.vtkMRMLAbstractLogic) -> slicer.vtkMRMLAbstractLogic:
        logic.SetMRMLApplicationLogic(self.application_logic)
        logic.SetMRMLScene(self.scene)
        self.application_logic.SetModuleLogic(name, logic)
        return logic

    def _enable_scene_bundles(self, scratch: Path) -> None:
        """Reading .mrb files needs a cache folder, which qSlicerCoreApplication provides in Slicer."""
        self._remote_io = slicer.vtkMRMLRemoteIOLogic()
        self._remote_io.SetMRMLApplicationLogic(self.application_logic)
        self._remote_io.SetMRMLScene(self.scene)
        cache = scratch / "cache"
        cache.mkdir(exist_ok=True)
        (cache / ".slicer-cache").touch()  # Slicer's sign that the folder is its own
        self._remote_io.GetCacheManager().SetRemoteCacheDirectory(str(cache))
        self._data_io = slicer.vtkDataIOManagerLogic()
        self._data_io.SetMRMLApplicationLogic(self.application_logic)
        self._data_io.SetMRMLScene(self.scene)
        self._data_io.SetAndObserveDataIOManager(self._remote_io.GetDataIOManager())
        self._remote_io.AddDataIOToScene()

    def _add_view_defaults(self) -> None:
        """What slice views expect to find: the crosshair and the names of the orientations."""
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.scene, True)
        crosshair = slicer.vtkMRMLCrosshairNode()
        crosshair.SetCrosshairName("default")
        self.scene.AddNode(crosshair)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_node_added(self, scene, event, node) -> None:
        """In Slicer the subject hierarchy plugins (Qt) make the items."""
        owner = next((owner for class_name, owner in ITEM_OWNERS.items() if node.IsA(class_name)), None)
        hierarchy = scene.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode")
        if scene.IsImporting() or node.GetHideFromEditors() or owner is None or hierarchy is None:
            return
        item = hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
        hierarchy.SetItemOwnerPluginName(item, owner)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_node_removed(self, scene, event, node) -> None:
        hierarchy = scene.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode")
        item = hierarchy.GetItemByDataNode(node) if hierarchy is not None and not scene.IsClosing() else 0
        if item:
            hierarchy.RemoveItem(item, False, False)


def _write_color_table(folder: Path) -> None:
    """The one color file that Slicer's logics ask for by name; without it they complain."""
    folder.mkdir(parents=True, exist_ok=True)
    colors = "".join(f"{n} Region{n} {37 * n % 256} {91 * n % 256} {173 * n % 256} 255\n" for n in range(1, 16))
    (folder / "GenericColors.txt").write_text("0 Background 0 0 0 0\n" + colors)
