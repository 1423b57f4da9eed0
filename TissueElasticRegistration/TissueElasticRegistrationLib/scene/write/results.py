"""Results to nodes: transform, warped volume, warped segmentation and metrics table, all of them or none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import slicer
import vtk

from ...core.data.result import RegistrationResult
from ..nodes import (
    InputNodes,
    OutputNodes,
    find_outputs,
    link_outputs,
    link_transform,
    require_in_scene,
    require_scalar_volume,
)
from ..owned_nodes import place_beside, remove_with_parts
from ..vtk_images import fill_image
from .grid_transform import check_displacement, write_transform
from .metrics_table import metrics_table, write_metrics
from .warped_nodes import (
    copy_volume_display,
    make_segments,
    placement_like,
    show_outlines,
    write_segments,
    write_volume,
)

__all__ = ["write_results", "write_transform"]

OUTPUT_CLASSES = OutputNodes(
    "vtkMRMLTransformNode", "vtkMRMLScalarVolumeNode", "vtkMRMLSegmentationNode", "vtkMRMLTableNode"
)


def write_results(inputs: InputNodes, result: RegistrationResult, outputs: OutputNodes | None = None) -> OutputNodes:
    """Write a registration into the scene of its inputs; the moving nodes are *not* put under the transform.

    - transform: grid transform from parent in world RAS, referring to the fixed and the moving volume;
    - warped volume and warped segmentation (if there is one): on the fixed volume's grid, under its parent transform;
      the segments keep ID, name, color and tags and are drawn as outlines, the volume gets the moving volume's window
      and level, both unless the nodes have a display of their own;
    - metrics table: one row for each tissue.

    For nodes not given, those a former registration of the pair has left (known by references of the transform node)
    are used again, with what the user has changed about their display; only what is missing is made, beside the fixed
    volume in the subject hierarchy. To keep former results, give a new transform node.

    Args:
        inputs: The pair.
        result: The result to write.
        outputs: Which nodes to overwrite.

    Returns:
        The nodes that were written; no warped segmentation if there is none.

    Raises:
        ValueError: Naming the node: an input is gone, an output is an input or of the wrong kind. New nodes are removed
            again, as after any other failure.
    """
    require_scalar_volume(inputs.fixed, "fixed volume")
    require_in_scene(inputs.moving, "vtkMRMLVolumeNode", "moving volume")
    outputs = find_outputs(inputs, outputs)
    check_outputs(inputs, outputs)
    # All that can fail is done before the first node is touched.
    check_displacement(result.displacement_ras_mm, result.geometry, inputs.moving.GetName())
    placement = placement_like(inputs.fixed, result.warped.geometry)
    image = fill_image(vtk.vtkImageData(), result.warped.array_kji)
    table = metrics_table(result)
    segments = None
    if result.warped_segmentation is not None:
        require_in_scene(inputs.moving_segmentation, "vtkMRMLSegmentationNode", "moving segmentation")
        segments = make_segments(result.warped_segmentation, inputs.moving_segmentation, placement)

    with _completed(inputs, outputs, with_segmentation=segments is not None) as written:
        never_shown = [node for node in written[1:3] if node is not None and node.GetDisplayNode() is None]
        write_transform(result.displacement_ras_mm, result.geometry, written.transform)
        write_volume(image, placement, written.warped_volume)
        if written.warped_volume in never_shown:
            copy_volume_display(inputs.moving, written.warped_volume)
        if segments is not None:
            write_segments(segments, placement, written.warped_segmentation)
            if written.warped_segmentation in never_shown:
                show_outlines(written.warped_segmentation)
        write_metrics(table, written.metrics_table)
        link_transform(written.transform, inputs.fixed, inputs.moving)
        link_outputs(written)
    return written


def check_outputs(inputs: InputNodes, outputs: OutputNodes) -> None:
    """Check that nodes can be written and may be.

    Args:
        inputs: The pair.
        outputs: Which nodes would be overwritten.

    Raises:
        ValueError: Naming the node: it is an input, of the wrong kind or no longer in a scene.
    """
    for field, node in outputs._asdict().items():
        if node is None:
            continue
        what = field.replace("_", " ")
        require_in_scene(node, getattr(OUTPUT_CLASSES, field), what)
        if node in inputs:
            raise ValueError(f"'{node.GetName()}' is an input of the registration and cannot be used as its {what}.")


@contextmanager
def _completed(inputs: InputNodes, outputs: OutputNodes, with_segmentation: bool) -> Iterator[OutputNodes]:
    """The output nodes, new ones where there was none, which are removed again if the body fails."""
    new: list[slicer.vtkMRMLNode] = []
    try:
        written = dict.fromkeys(OutputNodes._fields)
        for field in OutputNodes._fields if with_segmentation else ("transform", "warped_volume", "metrics_table"):
            written[field] = getattr(outputs, field)
            if written[field] is None:
                written[field] = inputs.fixed.GetScene().AddNewNodeByClass(
                    getattr(OUTPUT_CLASSES, field), free_name(field, inputs)
                )
                new.append(written[field])
                place_beside(inputs.fixed, written[field])
        yield OutputNodes(**written)
    except BaseException:
        for node in new:
            remove_with_parts(node)
        raise


def free_name(field: str, inputs: InputNodes) -> str:
    """A name for a new output node that tells what it is and that no other node in the scene has.

    Args:
        field: Of `OutputNodes`.
        inputs: The pair.
    """
    pair = f"{inputs.moving.GetName()} to {inputs.fixed.GetName()}"
    source = inputs.moving_segmentation or inputs.moving
    name = {
        "transform": pair,
        "warped_volume": f"{inputs.moving.GetName()} warped",
        "warped_segmentation": f"{source.GetName()} warped",
        "metrics_table": f"{pair} metrics",
    }[field]
    return inputs.fixed.GetScene().GenerateUniqueName(name)
