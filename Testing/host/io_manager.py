"""Stand-in for ``slicer.app.coreIOManager()``: files are read by Slicer's logics and written by its storage nodes.

What is left to do here is what qSlicer...Reader and qSlicerNodeWriter (Qt) do in Slicer.
"""

from __future__ import annotations

from pathlib import Path

import slicer

from .mrml import MrmlHost
from .qt_binding import QtCore
from .stand_ins import stand_in

# The first ending that fits decides.
FILE_TYPES = {
    "SceneFile": (".mrml", ".mrb"),
    "SegmentationFile": (".seg.nrrd", ".seg.nhdr"),
    "SequenceFile": (".seq.nrrd", ".seq.nhdr", ".seq.mrb"),
    "MarkupsFile": (".mrk.json", ".fcsv"),
    "TransformFile": (".tfm", ".h5", ".txt", ".mat"),
    "ModelFile": (".vtk", ".vtp", ".stl", ".obj", ".ply"),
    "TableFile": (".tsv", ".csv"),
    "VolumeFile": (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd", ".gipl", ".tif", ".png"),
}
WRITERS = {
    "vtkMRMLSegmentationNode": "SegmentationFile",
    "vtkMRMLVolumeNode": "VolumeFile",
    "vtkMRMLTransformNode": "TransformFile",
    "vtkMRMLModelNode": "ModelFile",
    "vtkMRMLMarkupsNode": "MarkupsFile",
    "vtkMRMLTableNode": "TableFile",
    "vtkMRMLSequenceNode": "SequenceFile",
}
VOLUME_OPTIONS = {"labelmap": 1, "center": 2, "singleFile": 4, "autoWindowLevel": 8, "discardOrientation": 16}


@stand_in()
class qSlicerCoreIOManager(QtCore.QObject):
    newFileLoaded = QtCore.Signal(object)
    fileSaved = QtCore.Signal(object)

    def __init__(self, host: MrmlHost) -> None:
        super().__init__()
        self._host = host

    def fileType(self, file: str) -> str:
        endings = ((kind, ending) for kind, endings in FILE_TYPES.items() for ending in endings)
        return next((kind for kind, ending in endings if str(file).lower().endswith(ending)), "NoFile")

    def fileWriterFileType(self, node, extension: str = "") -> str:
        return next((kind for class_name, kind in WRITERS.items() if node.IsA(class_name)), "NoFile")

    def registeredFileReaderCount(self, file_type: str) -> int:
        return int(file_type in FILE_TYPES)

    def loadNodes(self, file_type: str, parameters: dict, loaded_nodes=None, messages=None) -> bool:
        parameters = _checked(parameters)
        if parameters is None:
            return False
        if file_type == "SceneFile":
            before = self._node_ids()
            success = self._load_scene(parameters, messages)
            nodes = [self._host.scene.GetNodeByID(node_id) for node_id in self._node_ids() if node_id not in before]
        else:
            node = self._load_node(file_type, parameters, messages)
            success, nodes = node is not None, [node] if node is not None else []
        for node in nodes if loaded_nodes is not None else []:
            loaded_nodes.AddItem(node)
        return success

    def loadScene(self, file: str, clear: bool = True, messages=None) -> bool:
        return self.loadNodes("SceneFile", {"fileName": file, "clear": clear}, None, messages)

    def saveNodes(self, file_type: str, parameters: dict, messages=None, scene=None) -> bool:
        parameters = _checked(parameters)
        if parameters is None:
            return False
        path = Path(parameters["fileName"]).absolute()
        path.parent.mkdir(parents=True, exist_ok=True)
        if file_type == "SceneFile":
            return self._save_scene(path, messages)
        return self._save_node(path, parameters)

    def saveScene(self, file: str, screenshot=None, messages=None) -> bool:
        return self.saveNodes("SceneFile", {"fileName": file}, messages)

    def _node_ids(self) -> list[str]:
        scene = self._host.scene
        return [scene.GetNthNode(n).GetID() for n in range(scene.GetNumberOfNodes())]

    def _load_scene(self, parameters: dict, messages) -> bool:
        scene, file, clear = self._host.scene, parameters["fileName"], bool(parameters.get("clear", False))
        if file.lower().endswith(".mrb"):
            return bool(scene.ReadFromMRB(file, clear, messages))
        scene.SetURL(file)
        return bool(scene.Connect(messages) if clear else scene.Import(messages))

    def _load_node(self, file_type: str, parameters: dict, messages):
        scene, logics, file = self._host.scene, self._host.logics, parameters["fileName"]
        name = parameters.get("name") or Path(file).name.partition(".")[0]
        if file_type == "VolumeFile":
            return self._load_volume(parameters, name)
        if file_type == "SegmentationFile":
            opacities = bool(parameters.get("autoOpacities", True))
            return logics["Segmentations"].LoadSegmentationFromFile(file, opacities, parameters.get("name", ""))
        if file_type == "TransformFile":
            return logics["Transforms"].AddTransform(file, scene, messages)
        if file_type == "ModelFile":
            lps = slicer.vtkMRMLStorageNode.CoordinateSystemLPS
            return logics["Models"].AddModel(file, parameters.get("coordinateSystem", lps), messages)
        if file_type == "MarkupsFile":
            node_id = logics["Markups"].LoadMarkups(file, parameters.get("name", ""), messages)
            return scene.GetNodeByID(node_id.split(",")[0]) if node_id else None
        if file_type == "TableFile":
            return logics["Tables"].AddTable(file, scene.GetUniqueNameByString(name), True, "", messages)
        if file_type == "SequenceFile":
            return logics["Sequences"].AddSequence(file, messages)
        return None

    def _load_volume(self, parameters: dict, name: str):
        options = sum(bit for option, bit in VOLUME_OPTIONS.items() if parameters.get(option))
        node = self._host.logics["Volumes"].AddArchetypeVolume(parameters["fileName"], name, options)
        if node is not None and parameters.get("show", True):
            selection = self._host.application_logic.GetSelectionNode()
            if node.IsA("vtkMRMLLabelMapVolumeNode"):
                selection.SetActiveLabelVolumeID(node.GetID())
            else:
                selection.SetActiveVolumeID(node.GetID())
            self._host.application_logic.PropagateVolumeSelection()
        return node

    def _save_scene(self, path: Path, messages) -> bool:
        scene = self._host.scene
        scene.SetURL(str(path))
        scene.SetRootDirectory(str(path.parent))
        if path.suffix.lower() == ".mrb":
            return bool(scene.WriteToMRB(str(path), None, messages))
        return bool(scene.Commit(str(path), messages))

    def _save_node(self, path: Path, parameters: dict) -> bool:
        node = self._host.scene.GetNodeByID(parameters["nodeID"])
        if node is None or (node.GetStorageNode() is None and not node.AddDefaultStorageNode()):
            return False
        storage = node.GetStorageNode()
        storage.SetFileName(str(path))
        storage.SetURI(None)
        if "useCompression" in parameters:
            storage.SetUseCompression(int(parameters["useCompression"]))
        return bool(storage.WriteData(node))


def _checked(parameters: dict) -> dict | None:
    """The parameters, or None if the file name is none: Slicer refuses a pathlib.Path, because Qt does not know it."""
    file = parameters.get("fileName")
    return dict(parameters) if isinstance(file, str) and file else None
