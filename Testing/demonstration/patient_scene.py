"""An image pair as a Slicer user has it: volumes, segmentations and markups in a scene, and how they are shown."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import slicer
import slicer.util
import vtk

from TissueElasticRegistrationLib.core.data.images import ImagePair, Segmentation
from TissueElasticRegistrationLib.core.data.tissues import BACKGROUND, Tissue
from TissueElasticRegistrationLib.core.preparation.preprocessing import intensity_windows
from TissueElasticRegistrationLib.core.reporting.pictures import tissue_color
from TissueElasticRegistrationLib.scene.nodes import InputNodes
from TissueElasticRegistrationLib.scene.segments import BINARY_LABELMAP, oriented_image

OUTLINE_PIXELS = 2
OUTER_OPACITY_3D, INNER_OPACITY_3D = 0.15, 0.8


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


def without_named_background(pair: ImagePair) -> ImagePair:
    """The pair as Slicer knows it: there, what belongs to no segment has no name."""
    segmentation = pair.fixed_segmentation
    return replace(pair, fixed_segmentation=replace(segmentation, tissues=tuple(_shown(segmentation))))


def show_outlines(inputs: InputNodes) -> None:
    """Tissues of the fixed image as outlines in the slices and as surfaces in 3D, the largest of them transparent.

    The other segmentations and the landmarks are hidden: they serve for measuring.
    """
    hide(*inputs[3:])
    display, segmentation = inputs.segmentation.GetDisplayNode(), inputs.segmentation.GetSegmentation()
    display.SetVisibility2DFill(False)
    display.SetSliceIntersectionThickness(OUTLINE_PIXELS)
    voxels = {}
    for segment_id in segmentation.GetSegmentIDs():
        mask = slicer.util.arrayFromSegmentBinaryLabelmap(inputs.segmentation, segment_id, inputs.fixed)
        voxels[segment_id] = np.count_nonzero(mask)
        display.SetSegmentOpacity3D(segment_id, INNER_OPACITY_3D)
    display.SetSegmentOpacity3D(max(voxels, key=voxels.get), OUTER_OPACITY_3D)
    inputs.segmentation.CreateClosedSurfaceRepresentation()


def hide(*nodes: slicer.vtkMRMLDisplayableNode | None) -> None:
    """In all views."""
    for node in nodes:
        if node is not None:
            node.GetDisplayNode().SetVisibility(False)


def _stem(file: str) -> str:
    """The file's name without .nii.gz, .seg.nrrd and the like."""
    return Path(file).name.split(".")[0] or "volume"


def _load_volume(
    scene: slicer.vtkMRMLScene, file: str, name: str, window: tuple[float, float]
) -> slicer.vtkMRMLScalarVolumeNode:
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


def _add_segmentation(
    scene: slicer.vtkMRMLScene, name: str, segmentation: Segmentation, color_order: Collection[str]
) -> slicer.vtkMRMLSegmentationNode:
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


def _add_markups(
    scene: slicer.vtkMRMLScene, name: str, points_ras_mm: np.ndarray, labels: Collection[str]
) -> slicer.vtkMRMLMarkupsFiducialNode:
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
    node.CreateDefaultDisplayNodes()
    for point, label in zip(points_ras_mm, labels, strict=True):
        node.AddControlPoint(vtk.vtkVector3d(*point), label)
    return node
