"""From the coordinates of a node to world coordinates: parent transforms, and the grid a transformed volume needs."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ..core.data.geometry import Geometry

LATTICE_POINTS_PER_AXIS = 25  # where a parent transform is sampled to find the extent and the axes of its result


def transform_chain(
    node: slicer.vtkMRMLTransformableNode, ignored: Collection[slicer.vtkMRMLTransformNode] = ()
) -> list[slicer.vtkMRMLTransformNode]:
    """Parent transforms of a node, innermost first.

    Args:
        node: Any node that can have a parent transform.
        ignored: Those that are left out.
    """
    chain = []
    parent = node.GetParentTransformNode()
    while parent is not None:
        if parent not in ignored:
            chain.append(parent)
        parent = parent.GetParentTransformNode()
    return chain


def linear_to_world(chain: list[slicer.vtkMRMLTransformNode]) -> np.ndarray | None:
    """The matrix of a chain of transforms.

    Args:
        chain: Parent transforms, innermost first.

    Returns:
        4x4, from local to world RAS mm; None if one of the transforms is not linear.
    """
    local_to_world = np.eye(4)
    for transform_node in chain:
        matrix = vtk.vtkMatrix4x4()
        if not (transform_node.IsLinear() and transform_node.GetMatrixTransformToParent(matrix)):
            return None
        local_to_world = slicer.util.arrayFromVTKMatrix(matrix) @ local_to_world
    return local_to_world


def general_to_world(chain: list[slicer.vtkMRMLTransformNode]) -> vtk.vtkAbstractTransform:
    """A chain as VTK transform from local to world RAS: a matrix where that is enough, which is much faster."""
    matrix = linear_to_world(chain)
    if matrix is not None:
        linear = vtk.vtkTransform()
        linear.SetMatrix(slicer.util.vtkMatrixFromArray(matrix))
        return linear
    general = vtk.vtkGeneralTransform()
    general.PostMultiply()
    for transform_node in chain:
        if transform_node.GetTransformToParent() is not None:  # a new transform node has none and means identity
            general.Concatenate(transform_node.GetTransformToParent())
    return general


def native_geometry(
    volume_node: slicer.vtkMRMLVolumeNode, ignored: Collection[slicer.vtkMRMLTransformNode] = ()
) -> Geometry | None:
    """The volume's own grid in world RAS.

    Args:
        volume_node: A volume that is not empty.
        ignored: Parent transforms that are taken as identity.

    Returns:
        None if its parent transforms bend or shear it, so that it is no grid there.

    Raises:
        ValueError: Naming the node: its axes do not span space.
    """
    local_to_world = linear_to_world(transform_chain(volume_node, ignored))
    if local_to_world is None:
        return None
    ijk_to_ras = local_to_world @ array_to_local(volume_node)
    axes = ijk_to_ras[:3, :3] / np.maximum(np.linalg.norm(ijk_to_ras[:3, :3], axis=0), 1e-300)
    if abs(np.linalg.det(axes)) < 1e-3:
        raise ValueError(
            f"The direction matrix or a parent transform of the volume '{volume_node.GetName()}' is singular."
        )
    try:
        return Geometry(shape_kji(volume_node), ijk_to_ras)
    except ValueError:  # neither empty nor singular, so the axes are not perpendicular
        return None


def covering_geometry(
    volume_node: slicer.vtkMRMLVolumeNode, ignored: Collection[slicer.vtkMRMLTransformNode] = ()
) -> Geometry:
    """A grid in world RAS with perpendicular axes that covers a bent or sheared volume at its transformed voxel size.

    Slices stay slices: the k axis is normal to the plane that fits the transformed rows and columns, because tilting
    thick slices would blur them. A single slice stays a single slice.

    Args:
        volume_node: A volume that is not empty.
        ignored: Parent transforms that are taken as identity.
    """
    sizes = shape_kji(volume_node)[::-1]
    edges = [np.linspace(-0.5, n - 0.5, min(n + 1, LATTICE_POINTS_PER_AXIS)) for n in sizes]
    points_ijk = np.stack(np.meshgrid(*edges, indexing="ij"), -1).reshape(-1, 3)
    matrix = array_to_local(volume_node)
    points_local = points_ijk @ matrix[:3, :3].T + matrix[:3, 3]
    points_ras = transformed_points(general_to_world(transform_chain(volume_node, ignored)), points_local)
    centered_ijk = points_ijk - points_ijk.mean(0)
    axes = _perpendicular_axes(np.linalg.lstsq(centered_ijk, points_ras - points_ras.mean(0), rcond=None)[0].T)
    positions = points_ras @ np.linalg.inv(axes).T
    lowest, highest = positions.min(0), positions.max(0)
    shape_ijk = np.maximum(np.ceil(highest - lowest - 1e-3), 1).astype(int)
    shape_ijk[np.array(sizes) == 1] = 1
    ijk_to_ras = np.eye(4)
    ijk_to_ras[:3, :3] = axes
    ijk_to_ras[:3, 3] = axes @ ((lowest + highest) / 2 - (shape_ijk - 1) / 2)
    return Geometry(tuple(shape_ijk[::-1]), ijk_to_ras)


def _perpendicular_axes(axes: np.ndarray) -> np.ndarray:
    """The nearest perpendicular 3x3 axes (columns i, j, k in mm a voxel) with the same i-j plane and handedness."""
    lengths = np.linalg.norm(axes, axis=0)
    i, j = (axes / lengths).T[:2]
    bisector, across = (i + j) / np.linalg.norm(i + j), (i - j) / np.linalg.norm(i - j)
    i, j = (bisector + across) / np.sqrt(2), (bisector - across) / np.sqrt(2)
    normal = np.cross(i, j)
    thickness = normal @ axes[:, 2]
    return np.stack([i * lengths[0], j * lengths[1], normal * thickness], 1)


def transformed_points(transform: vtk.vtkAbstractTransform, points: np.ndarray) -> np.ndarray:
    """Points through a VTK transform.

    Args:
        transform: Any VTK transform.
        points: (N, 3).

    Returns:
        (N, 3) float64.
    """
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    source.SetData(numpy_to_vtk(np.ascontiguousarray(points, np.float64), deep=True))
    target.SetDataTypeToDouble()
    transform.TransformPoints(source, target)
    return vtk_to_numpy(target.GetData()).copy()


def ijk_to_local(volume_node: slicer.vtkMRMLVolumeNode) -> np.ndarray:
    """4x4 matrix from voxel indices (i, j, k, 1) to the node's own RAS mm, parent transforms not included."""
    matrix = vtk.vtkMatrix4x4()
    volume_node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def array_to_local(volume_node: slicer.vtkMRMLVolumeNode) -> np.ndarray:
    """4x4 matrix from array indices (i, j, k, 1) to the node's own RAS mm.

    Array indices begin at 0, voxel indices with the extent of the image, which a filter may have begun elsewhere.
    """
    first_ijk = volume_node.GetImageData().GetExtent()[::2]
    matrix = ijk_to_local(volume_node)
    matrix[:3, 3] += matrix[:3, :3] @ first_ijk
    return matrix


def shape_kji(volume_node: slicer.vtkMRMLVolumeNode) -> tuple[int, int, int]:
    """Array shape of a volume."""
    return tuple(volume_node.GetImageData().GetDimensions()[::-1])
