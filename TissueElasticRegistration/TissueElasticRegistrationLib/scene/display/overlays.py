"""The deformation drawn over the images: its grid and its Jacobian determinant. MRML only."""

from __future__ import annotations

import math

import numpy as np
import slicer
import slicer.util
import vtk

from ...core.data import glossary
from ...core.data.geometry import Geometry
from ...core.evaluation.metrics import jacobian_determinant_kji
from ..nodes import PREFIX, nodes_of_class, require_in_scene
from ..owned_nodes import make_owned_node, owned_node, remove_owned_node
from ..transforms import native_geometry
from ..vtk_images import fill_image, image_array, is_empty
from ..write.grid_transform import read_transform
from .color_tables import JACOBIAN_RANGE, fill_color_table, jacobian_colors

GRID_ATTRIBUTE = PREFIX + "Grid"
GRID_COLOR = (1.0, 0.85, 0.3)
LINES_PER_SIDE = 20
POINTS_PER_CELL = 3
JACOBIAN, JACOBIAN_COLORS = "jacobian", "jacobianColors"
SAME_GRID_TOLERANCE_MM = 1e-4


def show_grid(
    transform: slicer.vtkMRMLTransformNode,
    on: bool,
    spacing_mm: float | None = None,
    region: slicer.vtkMRMLVolumeNode | None = None,
) -> None:
    """Draw the deformation as a bent grid over the slice views, or no longer; 3D views stay without it.

    The lines are in one color, so that no color node is made; the display node is made once and stays with the
    transform, hidden when switched off.

    Args:
        transform: The result transform.
        on: Whether the grid is shown.
        spacing_mm: Distance of the lines. None: about 20 lines along the longest side of ``region`` the first time, and
            whatever it is (the user may have changed it in the Transforms module) later on.
        region: A volume that shows how large the lines' region is.

    Raises:
        ValueError: The transform is missing.
    """
    require_in_scene(transform, "vtkMRMLTransformNode", "transform")
    display = transform.GetDisplayNode()
    if not on:
        if display is not None:
            display.SetVisibility(False)
        return
    if display is None:
        transform.CreateDefaultDisplayNodes()
        display = transform.GetDisplayNode()
    with slicer.util.NodeModify(display):
        if not display.GetAttribute(GRID_ATTRIBUTE):
            display.SetAttribute(GRID_ATTRIBUTE, "1")
            display.SetScalarVisibility(False)
            display.SetColor(GRID_COLOR)
            display.SetVisibility3D(False)
            if spacing_mm is None and region is not None and not is_empty(region.GetImageData()):
                spacing_mm = grid_spacing_mm(region)
        if spacing_mm is not None:
            display.SetGridSpacingMm(spacing_mm)
            display.SetGridResolutionMm(spacing_mm / POINTS_PER_CELL)
        display.SetVisualizationMode(slicer.vtkMRMLTransformDisplayNode.VIS_MODE_GRID)
        display.SetVisibility2D(True)
        display.SetVisibility(True)


def grid_spacing_mm(region: slicer.vtkMRMLVolumeNode) -> float:
    """A round number (1, 2 or 5 times a power of ten) for about 20 lines along the longest side of a volume."""
    sizes = np.array(region.GetSpacing()) * region.GetImageData().GetDimensions()
    wanted = sizes.max() / LINES_PER_SIDE
    power = 10.0 ** math.floor(math.log10(wanted))
    return float(min((power * factor for factor in (1, 2, 5, 10)), key=lambda mm: abs(math.log(mm / wanted))))


def write_jacobian_overlay(
    jacobian_kji: np.ndarray, geometry: Geometry, transform: slicer.vtkMRMLTransformNode
) -> slicer.vtkMRMLScalarVolumeNode:
    """Put the Jacobian determinant of a deformation into a volume, and return it.

    Its colors are those of `jacobian_colors`. The volume and its colors are made once for each transform, beside it in
    the subject hierarchy; then the array is overwritten in place, with one event. The user's window and level stay.

    Args:
        jacobian_kji: (K, J, I), no unit.
        geometry: Its grid, in world RAS.
        transform: The result transform that it belongs to.

    Raises:
        ValueError: The array does not fit the grid, or the transform is missing.
    """
    require_in_scene(transform, "vtkMRMLTransformNode", "transform")
    if jacobian_kji.shape != geometry.shape_kji:
        raise ValueError(
            f"The Jacobian determinant for '{transform.GetName()}' must have the shape "
            f"{geometry.shape_kji}, not {jacobian_kji.shape}."
        )
    volume = make_owned_node(
        transform, JACOBIAN, "vtkMRMLScalarVolumeNode", f"{transform.GetName()} Jacobian", beside=transform
    )
    if volume.GetImageData() is not None and _lies_on(volume, geometry):
        image_array(volume.GetImageData())[...] = jacobian_kji
        slicer.util.arrayFromVolumeModified(volume)
    else:
        with slicer.util.NodeModify(volume):
            volume.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(geometry.ijk_to_ras))
            volume.SetAndObserveImageData(fill_image(vtk.vtkImageData(), jacobian_kji.astype(np.float32)))
    if volume.GetDisplayNode() is None:
        _make_display(volume, transform)
    return volume


def show_jacobian_overlay(volume: slicer.vtkMRMLScalarVolumeNode, opacity: float) -> None:
    """Show what `write_jacobian_overlay` returned in the foreground of all views; the background stays.

    Args:
        volume: The overlay.
        opacity: 0 to 1.
    """
    for view in nodes_of_class(volume.GetScene(), "vtkMRMLSliceCompositeNode"):
        with slicer.util.NodeModify(view):
            view.SetForegroundVolumeID(volume.GetID())
            view.SetForegroundOpacity(opacity)


def remove_jacobian_overlay(transform: slicer.vtkMRMLTransformNode) -> None:
    """Remove the overlay with all that was made for it; views that showed it have an empty foreground then."""
    volume = owned_node(transform, JACOBIAN)
    if volume is not None:
        for view in nodes_of_class(volume.GetScene(), "vtkMRMLSliceCompositeNode"):
            if view.GetForegroundVolumeID() == volume.GetID():
                view.SetForegroundVolumeID(None)
    for role in (JACOBIAN, JACOBIAN_COLORS):
        remove_owned_node(transform, role)


def _lies_on(volume: slicer.vtkMRMLScalarVolumeNode, geometry: Geometry) -> bool:
    stored = native_geometry(volume)
    return stored is not None and stored.agrees_with(geometry, SAME_GRID_TOLERANCE_MM)


def _make_display(volume: slicer.vtkMRMLScalarVolumeNode, transform: slicer.vtkMRMLTransformNode) -> None:
    colors = make_owned_node(transform, JACOBIAN_COLORS, "vtkMRMLColorTableNode", glossary.JACOBIAN.name)
    fill_color_table(colors, jacobian_colors())
    volume.CreateDefaultDisplayNodes()
    display, (lowest, highest) = volume.GetDisplayNode(), JACOBIAN_RANGE
    with slicer.util.NodeModify(display):
        display.SetAutoWindowLevel(False)
        display.SetWindowLevel(highest - lowest, (highest + lowest) / 2)
        display.SetAndObserveColorNodeID(colors.GetID())


def jacobian_overlay_of(transform: slicer.vtkMRMLTransformNode) -> slicer.vtkMRMLScalarVolumeNode | None:
    """What `write_jacobian_overlay` has made for this transform."""
    return owned_node(transform, JACOBIAN)


def write_jacobian_of_transform(transform: slicer.vtkMRMLTransformNode) -> slicer.vtkMRMLScalarVolumeNode:
    """`write_jacobian_overlay` for the displacement in a result transform; a rigid alignment in it changes nothing.

    Args:
        transform: The result transform.

    Raises:
        ValueError: Naming the node: it holds no grid transform from parent.
    """
    displacement_ras_mm, geometry = read_transform(transform)
    jacobian_kji = jacobian_determinant_kji(geometry.displacement_grid(displacement_ras_mm))
    return write_jacobian_overlay(jacobian_kji, geometry, transform)
