"""A displacement field in a transform node, rewritten in place when it changes: the panel does so many times a second.

A registration's displacement says "fixed point x corresponds to moving point x + d(x)": the transform *from parent* in
Slicer's terms, if the moving objects are put under the node.
"""

from __future__ import annotations

import numpy as np
import slicer
import slicer.util
import vtk

from ...core.data.geometry import Geometry
from ..nodes import require_in_scene
from ..vtk_images import fill_image, image_array

SAME_GRID_TOLERANCE_MM = 1e-4
INVERSE_TOLERANCE_MM = 1e-4  # Slicer's default of 0.01 mm is the error it leaves; this costs 5 % more time


def write_transform(displacement_ras_mm: np.ndarray, geometry: Geometry, node: slicer.vtkMRMLTransformNode) -> None:
    """Store a displacement as a node's grid transform from parent.

    Linear interpolation between the voxels; beyond the grid the displacement at its border continues. A
    grid transform of the same shape and geometry is kept and its array overwritten. Either way observers
    get one TransformModifiedEvent.

    Args:
        displacement_ras_mm: (K, J, I, 3) in RAS mm, fixed point x to moving point x + d(x).
        geometry: Its grid, in world RAS.
        node: Where it goes.

    Raises:
        ValueError: Naming the node, which is left as it is: the field does not fit or is not finite, or the node is
            missing or of a kind that cannot hold a grid.
    """
    require_in_scene(node, "vtkMRMLTransformNode", "transform")
    check_displacement(displacement_ras_mm, geometry, node.GetName())
    if node.IsA("vtkMRMLLinearTransformNode") or node.IsA("vtkMRMLBSplineTransformNode"):
        raise ValueError(
            f"The transform '{node.GetName()}' is a {node.GetNodeTagName()} and cannot contain a displacement grid."
        )
    grid = _own_grid(node)
    if grid is not None and _grid_geometry(grid).agrees_with(geometry, SAME_GRID_TOLERANCE_MM):
        image_array(grid.GetDisplacementGrid())[...] = displacement_ras_mm
        grid.Modified()  # of all Modified() calls the only one the node listens to
    else:
        node.SetAndObserveTransformFromParent(_new_grid(displacement_ras_mm, geometry))


def read_transform(node: slicer.vtkMRMLTransformNode) -> tuple[np.ndarray, Geometry]:
    """What `write_transform` stored.

    Args:
        node: Where it was stored.

    Returns:
        A copy of the displacement (K, J, I, 3) in RAS mm, from parent, and its grid in world RAS.

    Raises:
        ValueError: Naming the node: it holds no grid transform from parent.
    """
    grid = _own_grid(node)
    if grid is None:
        raise ValueError(f"The transform '{node.GetName()}' contains no displacement grid (from parent).")
    return image_array(grid.GetDisplacementGrid()).copy(), _grid_geometry(grid)


def check_displacement(displacement_ras_mm: np.ndarray, geometry: Geometry, name: str) -> None:
    """Check that a displacement fits its grid and is finite.

    Args:
        displacement_ras_mm: Should be (K, J, I, 3) and finite.
        geometry: Its grid.
        name: Of the node, for the message.

    Raises:
        ValueError: It does not fit its grid or is not finite.
    """
    if displacement_ras_mm.shape != (*geometry.shape_kji, 3):
        raise ValueError(
            f"The displacement for '{name}' must have the shape {(*geometry.shape_kji, 3)}, "
            f"not {displacement_ras_mm.shape}."
        )
    if not np.isfinite(displacement_ras_mm).all():
        raise ValueError(f"The displacement for '{name}' contains values that are not finite numbers.")


def _own_grid(node: slicer.vtkMRMLTransformNode) -> slicer.vtkOrientedGridTransform | None:
    """The grid the node stores from parent; None for a computed inverse, which would be overwritten without effect."""
    log_error, modifiable_only = False, True
    return node.GetTransformFromParentAs("vtkOrientedGridTransform", log_error, modifiable_only)


def _new_grid(displacement_ras_mm: np.ndarray, geometry: Geometry) -> slicer.vtkOrientedGridTransform:
    image = fill_image(vtk.vtkImageData(), np.asarray(displacement_ras_mm, np.float32))
    image.SetSpacing(geometry.spacing_ijk_mm)
    image.SetOrigin(geometry.ijk_to_ras[:3, 3])
    directions = np.eye(4)
    directions[:3, :3] = geometry.ijk_to_ras[:3, :3] / geometry.spacing_ijk_mm
    grid = slicer.vtkOrientedGridTransform()
    grid.SetGridDirectionMatrix(slicer.util.vtkMatrixFromArray(directions))
    grid.SetDisplacementGridData(image)
    grid.SetInterpolationModeToLinear()
    grid.SetInverseTolerance(INVERSE_TOLERANCE_MM * geometry.patient_mm)
    return grid


def _grid_geometry(grid: slicer.vtkOrientedGridTransform) -> Geometry:
    image = grid.GetDisplacementGrid()
    directions = grid.GetGridDirectionMatrix()
    ijk_to_ras = np.eye(4) if directions is None else slicer.util.arrayFromVTKMatrix(directions)
    ijk_to_ras[:3, :3] *= image.GetSpacing()
    ijk_to_ras[:3, 3] = image.GetOrigin()
    return Geometry(image.GetDimensions()[::-1], ijk_to_ras)
