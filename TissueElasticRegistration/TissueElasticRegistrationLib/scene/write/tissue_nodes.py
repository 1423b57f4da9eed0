"""Segments as the panel shows them: name, color, terminology, whether they are empty. Without torch, without nodes."""

from __future__ import annotations

from typing import NamedTuple

import slicer

from ...core.data.tissues import BACKGROUND_ID, BACKGROUND_NAME, UNSEGMENTED_ID, UNSEGMENTED_NAME, distinct_names
from ...core.physics.tissue_presets import start_weight
from ..segments import empty_segments, is_named, terminology_of

BACKGROUND_COLOR = (0.0, 0.0, 0.0)
UNSEGMENTED_COLOR = (0.55, 0.55, 0.55)


class SegmentInfo(NamedTuple):
    """One row of the panel.

    Attributes:
        id: The segment's ID, or BACKGROUND_ID or UNSEGMENTED_ID.
        name: What is shown; with terminology or ID where other segments have the same name.
        color_rgb: 0 to 1.
        terminology: What its terminology entry says in words, or nothing.
        is_empty: Whether it has no voxel.
        is_named: See `Tissue`.
    """

    id: str
    name: str
    color_rgb: tuple[float, float, float]
    terminology: str = ""
    is_empty: bool = False
    is_named: bool = True

    @property
    def start_weight(self) -> float:
        """Start value of λ and of μ by name and terminology, on the log scale (`core.physics.tissue_presets`)."""
        return start_weight(self)


UNSEGMENTED = SegmentInfo(UNSEGMENTED_ID, UNSEGMENTED_NAME, UNSEGMENTED_COLOR)
BACKGROUND = SegmentInfo(BACKGROUND_ID, BACKGROUND_NAME, BACKGROUND_COLOR)


def describe_tissues(node: slicer.vtkMRMLSegmentationNode | None, find_empty: bool = True) -> tuple[SegmentInfo, ...]:
    """All rows of the panel: the segments in their order, then unsegmented body tissue, then background.

    Args:
        node: The segmentation.
        find_empty: Look at the voxels, which takes milliseconds. False, for calls at every move of a slider:
            much faster, and no segment counts as empty.

    Returns:
        Nothing at all without a segmentation or for one that is no longer in the scene.
    """
    if node is None or node.GetScene() is None:
        return ()
    return (*describe_segments(node, find_empty), UNSEGMENTED, BACKGROUND)


def describe_segments(node: slicer.vtkMRMLSegmentationNode, find_empty: bool = True) -> tuple[SegmentInfo, ...]:
    """The segments in their order, in the colors in which they are shown.

    Args:
        node: The segmentation.
        find_empty: Look at the voxels; False: no segment counts as empty.
    """
    segmentation, display = node.GetSegmentation(), node.GetDisplayNode()
    ids = [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())]
    empty = empty_segments(segmentation, ids) if find_empty else ()
    colors = node.GetLabelmapConversionColorTableNode()
    infos = []
    for segment_id in ids:
        segment = segmentation.GetSegment(segment_id)
        color = display.GetSegmentColor(segment_id) if display is not None else segment.GetColor()
        infos.append(
            SegmentInfo(
                segment_id,
                segment.GetName(),
                tuple(color)[:3],
                terminology_of(segment),
                segment_id in empty,
                is_named(segment, colors),
            )
        )
    return tuple(info._replace(name=name) for info, name in zip(infos, distinct_names(infos), strict=True))
