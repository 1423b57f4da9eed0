"""Segments of a segmentation node as one label array on any grid. Nothing in the scene is touched or added."""

from __future__ import annotations

import numpy as np
import slicer
import slicer.util
import vtk

from ..core.data.geometry import Geometry
from ..core.data.segment_layers import MergedSegments, merge_segments
from ..core.data.tissues import Tissue, with_distinct_names
from ..core.files.segment_headers import terminology_text
from .vtk_images import fill_image, image_array, is_empty, resample

BINARY_LABELMAP = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
CLOSED_SURFACE = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
COARSE_STEP = 4


def segment_tissues(node: slicer.vtkMRMLSegmentationNode, segment_ids: list[str]) -> tuple[Tissue, ...]:
    """One tissue for each segment, labels 1..N in the given order, the segment ID as id.

    Args:
        node: The segmentation.
        segment_ids: Which segments, in which order.
    """
    colors = node.GetLabelmapConversionColorTableNode()
    segments = {segment_id: node.GetSegmentation().GetSegment(segment_id) for segment_id in segment_ids}
    tissues = tuple(
        Tissue(label, segment.GetName(), segment_id, terminology_of(segment), is_named(segment, colors))
        for label, (segment_id, segment) in enumerate(segments.items(), start=1)
    )
    return with_distinct_names(tissues)


def labels_on_grid(
    segmentation: slicer.vtkSegmentation,
    segment_ids: list[str],
    local_to_world: vtk.vtkAbstractTransform,
    geometry: Geometry,
) -> MergedSegments:
    """Segments as labels on a grid; where they overlap, see `merge_segments`.

    Args:
        segmentation: Any representation.
        segment_ids: Which segments, in which order.
        local_to_world: From the segmentation's own RAS to world RAS.
        geometry: The grid, in world RAS.

    Returns:
        Labels 1..N in the order of ``segment_ids``, 0 for background.

    Raises:
        RuntimeError: The segments cannot be turned into voxels.
    """
    if not segmentation.ContainsRepresentation(BINARY_LABELMAP):
        segmentation = _rasterised(segmentation, segment_ids, local_to_world, geometry)
        local_to_world = vtk.vtkTransform()
    layers: dict[int, np.ndarray] = {}  # segments often share one labelmap, which then is resampled only once
    places = []
    for segment_id in segment_ids:
        segment = segmentation.GetSegment(segment_id)
        labelmap = segment.GetRepresentation(BINARY_LABELMAP)
        if is_empty(labelmap):
            places.append(None)
            continue
        layer = segmentation.GetLayerIndex(segment_id, BINARY_LABELMAP)
        if layer not in layers:
            layers[layer] = resample(
                labelmap, _ijk_to_local(labelmap), local_to_world, geometry, linear=False, background=0
            )
        places.append((layers[layer], segment.GetLabelValue()))
    return merge_segments(places, geometry.shape_kji)


def empty_segments(segmentation: slicer.vtkSegmentation, segment_ids: list[str]) -> set[str]:
    """IDs of those segments that have neither a voxel nor a surface anywhere in space.

    Slicer puts new segments into the labelmap of the first one, so the voxels must be asked; a coarse look first finds
    most segments in a fraction of the time.

    Args:
        segmentation: Any representation.
        segment_ids: Which segments to look at.
    """
    empty: set[str] = set()
    values_seen: dict[int, set[int]] = {}
    for segment_id in segment_ids:
        segment = segmentation.GetSegment(segment_id)
        labelmap = segment.GetRepresentation(BINARY_LABELMAP)
        if labelmap is None:
            bounds = [1.0, -1.0] * 3
            segment.GetBounds(bounds)
            if bounds[0] > bounds[1]:
                empty.add(segment_id)
            continue
        if is_empty(labelmap):
            empty.add(segment_id)
            continue
        layer, value, array_kji = (
            segmentation.GetLayerIndex(segment_id, BINARY_LABELMAP),
            segment.GetLabelValue(),
            image_array(labelmap),
        )
        if layer not in values_seen:
            values_seen[layer] = set(np.unique(array_kji[::COARSE_STEP, ::COARSE_STEP, ::COARSE_STEP]).tolist())
        if value not in values_seen[layer] and not (array_kji == value).any():
            empty.add(segment_id)
    return empty


def _rasterised(
    segmentation: slicer.vtkSegmentation,
    segment_ids: list[str],
    local_to_world: vtk.vtkAbstractTransform,
    geometry: Geometry,
) -> slicer.vtkSegmentation:
    """A segmentation in world RAS with labelmaps on ``geometry``, made from the closed surfaces of another one."""
    with_surfaces = segmentation
    if not segmentation.ContainsRepresentation(CLOSED_SURFACE):
        with_surfaces = slicer.vtkSegmentation()
        with_surfaces.DeepCopy(segmentation)
        if not with_surfaces.CreateRepresentation(CLOSED_SURFACE):
            raise RuntimeError(f"{segmentation.GetSourceRepresentationName()} cannot be converted to closed surfaces")
    in_world = slicer.vtkSegmentation()
    in_world.SetSourceRepresentationName(CLOSED_SURFACE)
    for segment_id in segment_ids:
        segment = slicer.vtkSegment()
        segment.AddRepresentation(
            CLOSED_SURFACE,
            _transformed_surface(
                with_surfaces.GetSegment(segment_id).GetRepresentation(CLOSED_SURFACE), local_to_world
            ),
        )
        in_world.AddSegment(segment, segment_id)
    in_world.SetConversionParameter(
        slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName(),
        slicer.vtkSegmentationConverter.SerializeImageGeometry(_reference(geometry)),
    )
    if not in_world.CreateRepresentation(BINARY_LABELMAP):
        raise RuntimeError("the closed surfaces cannot be converted to voxels")
    return in_world


def _transformed_surface(surface: vtk.vtkPolyData | None, transform: vtk.vtkAbstractTransform) -> vtk.vtkPolyData:
    if surface is None or surface.GetNumberOfPoints() == 0:
        return vtk.vtkPolyData()
    transformer = vtk.vtkTransformPolyDataFilter()
    transformer.SetInputData(surface)
    transformer.SetTransform(transform)
    transformer.Update()
    return transformer.GetOutput()


def _reference(geometry: Geometry) -> slicer.vtkOrientedImageData:
    return oriented_image(np.zeros(geometry.shape_kji, np.uint8), geometry.ijk_to_ras)


def oriented_image(array_kji: np.ndarray, ijk_to_ras: np.ndarray) -> slicer.vtkOrientedImageData:
    """A copy of an array as the kind of image that segments hold.

    Args:
        array_kji: (K, J, I).
        ijk_to_ras: 4x4 matrix from voxel indices (i, j, k, 1) to RAS mm.
    """
    image = fill_image(slicer.vtkOrientedImageData(), array_kji)
    image.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(ijk_to_ras))
    return image


def _ijk_to_local(image: slicer.vtkOrientedImageData) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)  # its "world" is the segmentation node's own frame
    return slicer.util.arrayFromVTKMatrix(matrix)


def terminology_of(segment: slicer.vtkSegment) -> str:
    """The segment's terminology entry in words, such as "Rib Left"; "" if nobody has described it."""
    tag_name, tag = slicer.vtkSegment.GetTerminologyEntryTagName(), vtk.reference("")
    return terminology_text(f"{tag_name}:{tag}") if segment.GetTag(tag_name, tag) else ""


def is_named(segment: slicer.vtkSegment, colors: slicer.vtkMRMLColorTableNode | None) -> bool:
    """False if the segment's name and color are those of an entry of one of Slicer's own color tables.

    Slicer takes the names from that table, whatever the labels show: GenericAnatomyColors calls 1 "tissue" and 2
    "bone". A table that a user has loaded has no singleton tag, and names that were made for the image.

    Args:
        segment: The segment.
        colors: The table with which a label map became the segmentation, if that is known.
    """
    if colors is None or not colors.GetSingletonTag():
        return True
    entry, color = colors.GetColorIndexByName(segment.GetName()), [0.0] * 4
    return entry < 0 or not colors.GetColor(entry, color) or not np.allclose(color[:3], segment.GetColor(), atol=0.003)
