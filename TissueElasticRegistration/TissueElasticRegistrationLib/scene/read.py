"""Nodes to arrays: volumes, segmentations and landmarks as the core wants them, everything in world RAS.

Parent transforms are applied, whatever they are. Arrays are copies, so they may go to a worker thread. The scene is
left as it was. Faults are ValueErrors with one sentence that names the node.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import slicer

from ..core.data.geometry import Geometry
from ..core.data.images import Image, ImagePair, Landmarks, Segmentation
from ..core.data.landmark_pairs import landmarks_of_lists
from ..core.data.tissues import Tissue
from .nodes import require_in_scene, require_scalar_volume, results_of_pair
from .segments import empty_segments, labels_on_grid, segment_tissues
from .transforms import (
    covering_geometry,
    general_to_world,
    ijk_to_local,
    native_geometry,
    transform_chain,
    transformed_points,
)
from .vtk_images import image_array, resample

Transforms = Collection[slicer.vtkMRMLTransformNode]


def read_volume(node: slicer.vtkMRMLVolumeNode, ignored: Transforms = ()) -> Image:
    """A scalar volume in world RAS, named as its node.

    Parent transforms that are linear and keep the axes perpendicular only change the geometry. A sheared or bent volume
    is resampled (linear, float32) into a grid that covers it; there its lowest value fills what lies outside.

    Args:
        node: The volume.
        ignored: Parent transforms that are taken as identity.

    Raises:
        ValueError: Naming the node: it is no scalar volume in a scene, constant, not finite, or its axes do
            not span space.
    """
    geometry = volume_geometry(node, ignored)
    image = node.GetImageData()
    array_kji = image_array(image)
    if native_geometry(node, ignored) is not None:
        return Image(array_kji.copy(), geometry, node.GetName())
    array_kji = resample(
        image,
        ijk_to_local(node),
        general_to_world(transform_chain(node, ignored)),
        geometry,
        linear=True,
        background=float(array_kji.min()),
    )
    return Image(array_kji, geometry, node.GetName())


def volume_geometry(node: slicer.vtkMRMLVolumeNode, ignored: Transforms = ()) -> Geometry:
    """The grid in world RAS on which `read_volume` returns a volume.

    Args:
        node: The volume.
        ignored: Parent transforms that are taken as identity.

    Raises:
        ValueError: Naming the node: it is no scalar volume in a scene, or its axes do not span space.
    """
    require_scalar_volume(node)
    return native_geometry(node, ignored) or covering_geometry(node, ignored)


def read_segmentation(
    node: slicer.vtkMRMLSegmentationNode,
    reference: slicer.vtkMRMLVolumeNode | Geometry,
    segment_ids: Collection[str] | None = None,
    ignored: Transforms = (),
) -> Segmentation:
    """Segments as labels on a grid.

    Args:
        node: The segmentation.
        reference: A volume on whose grid the labels are wanted, or a grid in world RAS.
        segment_ids: Which segments, in which order; None: all.
        ignored: Parent transforms that are taken as identity.

    Returns:
        Labels 1..N in the order of the segments; where they overlap, see `merge_segments`. A tissue's id is its
        segment ID.
        Segments without a voxel on the grid keep their label and tissue: see `absent_tissues`.

    Raises:
        ValueError: Naming the node: it is not in a scene, lacks one of the segments, is empty, cannot be turned into
            voxels, or does not overlap with the reference.
    """
    require_in_scene(node, "vtkMRMLSegmentationNode", "segmentation")
    geometry = reference if isinstance(reference, Geometry) else volume_geometry(reference, ignored)
    segmentation, name = node.GetSegmentation(), node.GetName()
    known_ids = [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())]
    segment_ids = known_ids if segment_ids is None else list(segment_ids)
    unknown_ids = [segment_id for segment_id in segment_ids if segment_id not in known_ids]
    if unknown_ids:
        raise ValueError(f"The segmentation '{name}' has no segment with the ID '{unknown_ids[0]}'.")
    if len(empty_segments(segmentation, segment_ids)) == len(segment_ids):
        raise ValueError(f"The segmentation '{name}' is empty.")
    local_to_world = general_to_world(transform_chain(node, ignored))
    try:
        merged = labels_on_grid(segmentation, segment_ids, local_to_world, geometry)
    except RuntimeError as error:
        raise ValueError(f"The segmentation '{name}' cannot be read: {error}.") from error
    if not merged.labels_kji.any():
        where = "the reference grid" if isinstance(reference, Geometry) else f"volume '{reference.GetName()}'"
        raise ValueError(f"The segmentation '{name}' does not overlap with {where}.")
    tissues = segment_tissues(node, segment_ids)
    return Segmentation(merged.labels_kji, geometry, tissues, name, notes=merged.notes(tissues))


def absent_tissues(segmentation: Segmentation) -> tuple[Tissue, ...]:
    """Tissues without a voxel: empty segments, segments off the grid, segments covered by later ones."""
    return tuple(tissue for tissue in segmentation.tissues if tissue.label not in segmentation.present_labels)


def read_landmarks(
    fixed_markups: slicer.vtkMRMLMarkupsNode, moving_markups: slicer.vtkMRMLMarkupsNode, ignored: Transforms = ()
) -> Landmarks:
    """The defined control points of two markups nodes, paired by `counterparts`: by label, or else by order.

    Args:
        fixed_markups: In the fixed volume.
        moving_markups: In the moving volume.
        ignored: Parent transforms that are taken as identity.

    Returns:
        World RAS mm. Points that are defined in neither are skipped; labels that are not unique are not used as names.

    Raises:
        ValueError: Naming the nodes: there is no point, or the lists do not correspond.
    """
    labels = [point_labels(node) for node in (fixed_markups, moving_markups)]
    if all(label is None for label in labels[0]):
        raise ValueError(f"The landmarks '{fixed_markups.GetName()}' have no defined points.")
    points_ras_mm = [_world_points(node, ignored) for node in (fixed_markups, moving_markups)]
    try:
        return landmarks_of_lists(points_ras_mm[0], labels[0], points_ras_mm[1], labels[1])
    except ValueError as error:
        raise ValueError(
            f"The landmarks '{fixed_markups.GetName()}' and '{moving_markups.GetName()}' do not correspond: {error}."
        ) from error


def point_labels(node: slicer.vtkMRMLMarkupsNode) -> list[str | None]:
    """The label of every control point, None for one without position.

    Args:
        node: A list of landmarks.

    Raises:
        ValueError: Naming the node: it is no list of landmarks in a scene.
    """
    require_in_scene(node, "vtkMRMLMarkupsNode", "list of landmarks")
    defined = slicer.vtkMRMLMarkupsNode.PositionDefined
    return [
        node.GetNthControlPointLabel(n) if node.GetNthControlPointPositionStatus(n) == defined else None
        for n in range(node.GetNumberOfControlPoints())
    ]


def _world_points(node: slicer.vtkMRMLMarkupsNode, ignored: Transforms) -> np.ndarray:
    """(N, 3) world RAS mm of all control points."""
    points_local = np.array([node.GetNthControlPointPosition(n) for n in range(node.GetNumberOfControlPoints())])
    return transformed_points(general_to_world(transform_chain(node, ignored)), points_local.reshape(-1, 3))


def read_pair(
    fixed: slicer.vtkMRMLVolumeNode,
    moving: slicer.vtkMRMLVolumeNode,
    segmentation: slicer.vtkMRMLSegmentationNode,
    moving_segmentation: slicer.vtkMRMLSegmentationNode | None = None,
    fixed_landmarks: slicer.vtkMRMLMarkupsNode | None = None,
    moving_landmarks: slicer.vtkMRMLMarkupsNode | None = None,
    *,
    ignored: Transforms = (),
) -> ImagePair:
    """All nodes of a registration as one pair in world RAS; `nodes.InputNodes` has the same order.

    Transforms that a former registration of this pair has written are no part of the input: the moving nodes may
    stay under them.

    Args:
        fixed: The volume that stays where it is.
        moving: The volume that is deformed.
        segmentation: Of the fixed volume.
        moving_segmentation: Of the moving volume.
        fixed_landmarks: In the fixed volume.
        moving_landmarks: The same points in the moving volume.
        ignored: Further transforms that count as absent.

    Raises:
        ValueError: Naming the node: what the other functions of this file refuse, or landmarks
            without their counterpart.
    """
    if (fixed_landmarks is None) != (moving_landmarks is None):
        lonely = (fixed_landmarks or moving_landmarks).GetName()
        raise ValueError(f"The landmarks '{lonely}' have no counterpart in the other image.")
    require_in_scene(fixed, "vtkMRMLVolumeNode", "fixed volume")
    require_in_scene(moving, "vtkMRMLVolumeNode", "moving volume")
    ignored = (*results_of_pair(fixed, moving), *ignored)
    fixed_labels = read_segmentation(segmentation, fixed, ignored=ignored)
    moving_labels = None
    if moving_segmentation is not None:
        moving_labels = read_segmentation(moving_segmentation, moving, ignored=ignored)
    return ImagePair(
        read_volume(fixed, ignored),
        read_volume(moving, ignored),
        fixed_labels,
        moving_labels,
        fixed_landmarks and read_landmarks(fixed_landmarks, moving_landmarks, ignored),
    )
