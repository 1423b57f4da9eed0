"""The result transform while somebody is moving sliders: made once, the moving volume under it, then only rewritten."""

from __future__ import annotations

import numpy as np
import slicer

from ...core.data.geometry import Geometry
from ..nodes import InputNodes, OutputNodes, find_outputs, link_transform
from ..owned_nodes import place_beside, remove_with_parts
from ..transform_hierarchy import put_under
from .grid_transform import write_transform
from .results import free_name


def show_displacement(
    inputs: InputNodes,
    displacement_ras_mm: np.ndarray,
    geometry: Geometry,
    outputs: OutputNodes | None = None,
    deformed: bool = True,
) -> slicer.vtkMRMLTransformNode:
    """Write a displacement (see `write_transform`) into the pair's result transform, with moving under it.

    If anything fails, a new transform is removed again.

    Args:
        inputs: The pair.
        displacement_ras_mm: (K, J, I, 3) in RAS mm, fixed point x to moving point x + d(x).
        geometry: Its grid, in world RAS.
        outputs: Its transform is the one to write.
        deformed: False leaves the moving volume where it is, to be seen as it was.

    Returns:
        The transform: the given one, or the one of an earlier registration of the pair, or a new one.

    Raises:
        ValueError: As in `write_transform` and `put_under`.
    """
    transform = find_outputs(inputs, outputs).transform
    made = transform is None
    if made:
        scene = inputs.fixed.GetScene()
        transform = scene.AddNewNodeByClass("vtkMRMLTransformNode", free_name("transform", inputs))
        place_beside(inputs.fixed, transform)
    try:
        write_transform(displacement_ras_mm, geometry, transform)
        link_transform(transform, inputs.fixed, inputs.moving)
        if deformed:
            put_under(inputs.moving, transform, inputs.fixed)
    except BaseException:
        if made:
            remove_with_parts(transform)
        raise
    return transform
