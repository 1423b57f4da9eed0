"""An image pair as a Slicer user has it: volumes, segmentations and markups in a scene, and the results beside them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import slicer
import vtk

from TissueElasticRegistrationLib.core.files.segmentation_files import matched_to
from TissueElasticRegistrationLib.core.images import ImagePair, Segmentation
from TissueElasticRegistrationLib.core.preprocessing import intensity_windows
from TissueElasticRegistrationLib.core.reporting.pictures import tissue_color
from TissueElasticRegistrationLib.core.result import RegistrationResult
from TissueElasticRegistrationLib.core.tissues import BACKGROUND, Tissue
from TissueElasticRegistrationLib.scene.nodes import InputNodes, OutputNodes
from TissueElasticRegistrationLib.scene.read import read_pair
from TissueElasticRegistrationLib.scene.segments import BINARY_LABELMAP, oriented_image
from TissueElasticRegistrationLib.scene.write import write_results


def add_pair(scene: slicer.vtkMRMLScene, pair: ImagePair, fixed_file: str, moving_file: str) -> InputNodes:
    """Load both volumes with Slicer's own reader and add the rest of ``pair``, which was read from files."""
    fixed_name, moving_name = _stem(fixed_file), _stem(moving_file)
    if fixed_name == moving_name:
        fixed_name, moving_name = f"{fixed_name} (fixed)", f"{moving_name} (moving)"
    windows = intensity_windows(pair.fixed, pair.moving)
    fixed = _load_volume(scene, fixed_file, fixed_name, windows[0])
    moving = _load_volume(scene, moving_file, moving_name, windows[1])
    names = [tissue.name.casefold() for tissue in _shown(pair.fixed_segmentation)]
    segmentation = _add_segmentation(scene, f"{fixed_name} tissues", pair.fixed_segmentation, names)
    moving_segmentation = None
    if pair.moving_segmentation is not None:
        moving_segmentation = _add_segmentation(scene, f"{moving_name} tissues", pair.moving_segmentation, names)
    fixed_landmarks = moving_landmarks = None
    if pair.landmarks is not None:
        points = pair.landmarks
        fixed_landmarks = _add_markups(scene, f"{fixed_name} landmarks", points.fixed_ras_mm, points.names)
        moving_landmarks = _add_markups(scene, f"{moving_name} landmarks", points.moving_ras_mm, points.names)
    return InputNodes(fixed, moving, segmentation, moving_segmentation, fixed_landmarks, moving_landmarks)


def pair_in_scene(nodes: InputNodes, files: ImagePair) -> ImagePair:
    """What the nodes hold, with the label values of the files: a scene knows segments, neither values nor background.

    A background that the user has named is a tissue again.
    """
    pair = read_pair(*nodes)
    fixed = matched_to(pair.fixed_segmentation, files.fixed_segmentation)
    named = tuple(tissue for tissue in files.fixed_segmentation.tissues if tissue.label == BACKGROUND)
    fixed = replace(fixed, tissues=(*named, *fixed.tissues))
    moving = pair.moving_segmentation
    return replace(pair, fixed_segmentation=fixed, moving_segmentation=moving and matched_to(moving, fixed))


def add_results(nodes: InputNodes, result: RegistrationResult, table: str) -> OutputNodes:
    """New nodes for the transform, warped volume, warped segmentation and metrics, named after the table used."""
    transform = nodes.fixed.GetScene().AddNewNodeByClass("vtkMRMLTransformNode")
    written = write_results(nodes, result, OutputNodes(transform))
    moving = nodes.moving.GetName()
    names = OutputNodes(f"{moving} to {nodes.fixed.GetName()} ({table})", f"{moving} warped ({table})",
                        f"{moving} tissues warped ({table})", f"Metrics ({table})")
    for node, name in zip(written, names, strict=True):
        if node is not None:
            node.SetName(name)
    return written


def _stem(file: str) -> str:
    """The file's name without .nii.gz, .seg.nrrd and the like."""
    return Path(file).name.split(".")[0] or "volume"


def _load_volume(scene: slicer.vtkMRMLScene, file: str, name: str,
                 window: tuple[float, float]) -> slicer.vtkMRMLScalarVolumeNode:
    storage = scene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(Path(file).resolve()))
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    if not storage.ReadData(node):
        raise ValueError(f"{file}: Slicer cannot read this file.")
    node.SetAndObserveStorageNodeID(storage.GetID())
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(*window)
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
    return node


def _shown(segmentation: Segmentation) -> list[Tissue]:
    """The tissues that become segments."""
    return [tissue for tissue in segmentation.tissues if tissue.label != BACKGROUND]


def _add_segmentation(scene: slicer.vtkMRMLScene, name: str, segmentation: Segmentation,
                      color_order: Collection[str]) -> slicer.vtkMRMLSegmentationNode:
    """Segments in one shared labelmap, IDs as in the files, colors by the name's place in ``color_order``."""
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    labelmap = oriented_image(segmentation.labels_kji, segmentation.geometry.ijk_to_ras)
    color_order = list(color_order)
    for number, tissue in enumerate(_shown(segmentation)):
        known = tissue.name.casefold() in color_order
        place = color_order.index(tissue.name.casefold()) if known else len(color_order) + number
        segment = slicer.vtkSegment()
        segment.SetName(tissue.name)
        segment.SetColor(np.array(tissue_color(place)) / 255)
        segment.SetLabelValue(tissue.label)
        segment.AddRepresentation(BINARY_LABELMAP, labelmap)
        node.GetSegmentation().AddSegment(segment, tissue.id)
    return node


def _add_markups(scene: slicer.vtkMRMLScene, name: str, points_ras_mm: np.ndarray,
                 labels: Collection[str]) -> slicer.vtkMRMLMarkupsFiducialNode:
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
    for point, label in zip(points_ras_mm, labels, strict=True):
        node.AddControlPoint(vtk.vtkVector3d(*point), label)
    return node
