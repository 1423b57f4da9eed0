"""Warped volume and warped segmentation: filling their nodes from arrays, looking like the nodes they come from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import slicer
import slicer.util
import vtk

from ...core.data.geometry import Geometry
from ...core.data.images import Segmentation
from ..segments import BINARY_LABELMAP, CLOSED_SURFACE, oriented_image
from ..transforms import array_to_local, native_geometry


class Placement(NamedTuple):
    """Where an output grid goes.

    Attributes:
        ijk_to_local: 4x4 matrix from voxel indices (i, j, k, 1) to the node's own RAS mm.
        parent_transform_id: The parent transform that does the rest.
    """

    ijk_to_local: np.ndarray
    parent_transform_id: str | None


def placement_like(fixed: slicer.vtkMRMLVolumeNode, geometry: Geometry) -> Placement:
    """Where a node goes that is to lie on the fixed volume's grid.

    Args:
        fixed: The fixed volume.
        geometry: The grid of the output, in world RAS.

    Returns:
        The fixed volume's own matrix and parent transform where ``geometry`` is its grid. So the output matches the
        fixed volume voxel by voxel, for modules that look at no transforms as well, and follows when the fixed volume
        is moved later. Where the fixed volume was bent or sheared: world RAS without a parent.
    """
    native = native_geometry(fixed)
    if native is not None and native.agrees_with(geometry):
        return Placement(array_to_local(fixed), fixed.GetTransformNodeID())
    return Placement(geometry.ijk_to_ras, None)


def write_volume(image: vtk.vtkImageData, placement: Placement, node: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Put a VTK image into a volume node.

    Args:
        image: In voxel coordinates.
        placement: Where it goes.
        node: The node to fill.
    """
    with slicer.util.NodeModify(node):
        node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(placement.ijk_to_local))
        node.SetAndObserveImageData(image)
        node.SetAndObserveTransformNodeID(placement.parent_transform_id)


def copy_volume_display(source: slicer.vtkMRMLVolumeNode, node: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Window, level and colors of one volume for a new one, fixed rather than automatic so that both compare.

    Args:
        source: The volume whose display is copied.
        node: The new volume.
    """
    node.CreateDefaultDisplayNodes()
    shown, display = source.GetDisplayNode(), node.GetDisplayNode()
    if shown is None or not shown.IsA("vtkMRMLScalarVolumeDisplayNode"):
        return
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(shown.GetWindow(), shown.GetLevel())
    display.SetAndObserveColorNodeID(shown.GetColorNodeID())


def show_outlines(node: slicer.vtkMRMLSegmentationNode) -> None:
    """Outlines instead of filled areas in the slices, so that what lies below can be compared with them."""
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetVisibility2DFill(False)


def make_segments(
    labels: Segmentation, source: slicer.vtkMRMLSegmentationNode, placement: Placement
) -> dict[str, slicer.vtkSegment]:
    """Segments that share one labelmap.

    Args:
        labels: Their voxels.
        source: The segmentation whose segments give names, colors and tags.
        placement: Where the labelmap goes.

    Returns:
        Segment ID -> segment.

    Raises:
        ValueError: Naming ``source``: it has no segment for one of the tissues.
    """
    highest = max(tissue.label for tissue in labels.tissues)
    values = labels.labels_kji.astype(np.uint8 if highest < 2**8 else np.int32)
    labelmap = oriented_image(values, placement.ijk_to_local)
    segments = {}
    for tissue in labels.tissues:
        original = source.GetSegmentation().GetSegment(tissue.id)
        if original is None:
            raise ValueError(f"The segmentation '{source.GetName()}' no longer has the segment '{tissue.id}'.")
        segment = slicer.vtkSegment()
        segment.DeepCopyMetadata(original)
        segment.SetLabelValue(tissue.label)
        segment.AddRepresentation(BINARY_LABELMAP, labelmap)
        segments[tissue.id] = segment
    return segments


def write_segments(
    segments: dict[str, slicer.vtkSegment], placement: Placement, node: slicer.vtkMRMLSegmentationNode
) -> None:
    """Replace the segments of a node; how it shows segments with known IDs stays, and so do surfaces shown in 3D.

    Args:
        segments: Segment ID -> segment.
        placement: Where the labelmap goes.
        node: The node to fill.
    """
    node.CreateDefaultDisplayNodes()
    segmentation, display = node.GetSegmentation(), node.GetDisplayNode()
    forgets = display.GetRemoveUnusedDisplayProperties()
    display.SetRemoveUnusedDisplayProperties(False)
    with slicer.util.NodeModify(node):
        had_surfaces = segmentation.ContainsRepresentation(CLOSED_SURFACE)
        segmentation.RemoveAllSegments()
        segmentation.SetSourceRepresentationName(BINARY_LABELMAP)
        for segment_id, segment in segments.items():
            segmentation.AddSegment(segment, segment_id)
        if had_surfaces:
            segmentation.CreateRepresentation(CLOSED_SURFACE, True)
        node.SetAndObserveTransformNodeID(placement.parent_transform_id)
    display.SetRemoveUnusedDisplayProperties(forgets)
