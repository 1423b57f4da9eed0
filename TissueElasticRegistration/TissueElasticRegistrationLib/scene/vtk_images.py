"""Arrays as VTK images and back, and resampling through any VTK transform."""

from __future__ import annotations

import numpy as np
import slicer.util
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ..core.data.geometry import Geometry


def fill_image(image: vtk.vtkImageData, array_kji: np.ndarray) -> vtk.vtkImageData:
    """Put a copy of an array into a VTK image and return the image.

    Types Slicer cannot store become the nearest it can: bool uint8, other integers int32, other floats float32.

    Args:
        image: Its voxels are replaced; origin, spacing and directions stay.
        array_kji: (K, J, I) or (K, J, I, channels).
    """
    if array_kji.dtype == bool:
        array_kji = array_kji.astype(np.uint8)
    elif array_kji.dtype not in (np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64):
        array_kji = array_kji.astype(np.int32 if np.issubdtype(array_kji.dtype, np.integer) else np.float32)
    image.SetDimensions(array_kji.shape[2::-1])
    channels = array_kji.shape[3] if array_kji.ndim == 4 else 1
    values = np.ascontiguousarray(array_kji).reshape(-1, channels)
    image.GetPointData().SetScalars(numpy_to_vtk(values if channels > 1 else values[:, 0], deep=True))
    return image


def image_array(image: vtk.vtkImageData) -> np.ndarray:
    """A view (K, J, I) or (K, J, I, channels) on the voxels of a VTK image."""
    values = vtk_to_numpy(image.GetPointData().GetScalars())
    return values.reshape(*image.GetDimensions()[::-1], *values.shape[1:])


def is_empty(image: vtk.vtkImageData | None) -> bool:
    """Whether there is no voxel in it."""
    return image is None or image.GetNumberOfPoints() == 0 or image.GetPointData().GetScalars() is None


def resample(
    image: vtk.vtkImageData,
    ijk_to_local: np.ndarray,
    local_to_world: vtk.vtkAbstractTransform,
    geometry: Geometry,
    *,
    linear: bool,
    background: float,
) -> np.ndarray:
    """A scalar image on another grid in world RAS.

    Args:
        image: Its voxel indices (extent included) are what ``ijk_to_local`` maps; its own geometry is not used.
        ijk_to_local: 4x4, from voxel indices (i, j, k, 1) to local RAS mm.
        local_to_world: From local to world RAS mm.
        geometry: The grid wanted.
        linear: Linear interpolation, float32; otherwise nearest neighbor in the type of the image.
        background: Value of voxels outside of the image.

    Returns:
        (K, J, I), a new array.
    """
    reslice = vtk.vtkImageReslice()
    reslice.SetInputData(_in_voxel_coordinates(image))
    reslice.SetResliceTransform(_grid_to_image(geometry, local_to_world, ijk_to_local))
    reslice.SetOutputOrigin(0, 0, 0)
    reslice.SetOutputSpacing(1, 1, 1)
    reslice.SetOutputExtent(*(bound for n in geometry.shape_kji[::-1] for bound in (0, n - 1)))
    reslice.SetBackgroundLevel(background)
    if linear:
        reslice.SetInterpolationModeToLinear()
        reslice.SetOutputScalarType(vtk.VTK_FLOAT)
    else:
        reslice.SetInterpolationModeToNearestNeighbor()
    reslice.Update()
    return image_array(reslice.GetOutput()).copy()


def _grid_to_image(
    geometry: Geometry, local_to_world: vtk.vtkAbstractTransform, ijk_to_local: np.ndarray
) -> vtk.vtkAbstractTransform:
    """From voxel indices of the grid to voxel indices of the image; linear (fast in vtkImageReslice) if possible."""
    world_to_local = local_to_world.GetInverse()
    transform = vtk.vtkTransform() if local_to_world.IsA("vtkLinearTransform") else vtk.vtkGeneralTransform()
    transform.PostMultiply()
    transform.Concatenate(slicer.util.vtkMatrixFromArray(geometry.ijk_to_ras))
    transform.Concatenate(world_to_local)
    transform.Concatenate(slicer.util.vtkMatrixFromArray(np.linalg.inv(ijk_to_local)))
    return transform


def _in_voxel_coordinates(image: vtk.vtkImageData) -> vtk.vtkImageData:
    """The same voxels without any geometry of their own, only with their extent."""
    plain = vtk.vtkImageData()
    plain.ShallowCopy(image)
    plain.SetOrigin(0, 0, 0)
    plain.SetSpacing(1, 1, 1)
    plain.SetDirectionMatrix(1, 0, 0, 0, 1, 0, 0, 0, 1)
    return plain
