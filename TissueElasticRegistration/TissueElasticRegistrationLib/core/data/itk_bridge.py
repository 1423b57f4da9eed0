"""Between arrays with a `Geometry` (RAS) and SimpleITK's images and transforms (LPS): conversion and resampling."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from .geometry import Geometry, flip_ras_lps
from .images import Image, Segmentation


def sitk_volume(array_kji: np.ndarray, geometry: Geometry) -> sitk.Image:
    """An array as a SimpleITK image on its grid.

    Args:
        array_kji: (K, J, I), or (K, J, I, C) with C components per voxel. Truth values become uint8 and half precision
            single precision, as ITK supports neither.
        geometry: Where the voxels lie.
    """
    if array_kji.dtype == bool:
        array_kji = array_kji.astype(np.uint8)
    elif array_kji.dtype == np.float16:
        array_kji = array_kji.astype(np.float32)
    volume = sitk.GetImageFromArray(array_kji, isVector=array_kji.ndim == 4)
    volume.SetOrigin(geometry.origin_lps_mm.tolist())
    volume.SetSpacing(geometry.spacing_ijk_mm.tolist())
    volume.SetDirection(geometry.direction_lps.ravel().tolist())
    return volume


def sitk_image(image: Image) -> sitk.Image:
    """The image with its own pixel type."""
    return sitk_volume(image.array_kji, image.geometry)


def sitk_labels(segmentation: Segmentation) -> sitk.Image:
    """The label values in the smallest type that holds them: 8, 16 or 32 bit without sign."""
    highest = int(segmentation.labels_kji.max())
    dtype = np.uint8 if highest < 2**8 else np.uint16 if highest < 2**16 else np.uint32
    return sitk_volume(segmentation.labels_kji.astype(dtype), segmentation.geometry)


def geometry_of(volume: sitk.Image) -> Geometry:
    """Grid of the first three dimensions of a SimpleITK image.

    Args:
        volume: 2D, 3D or more; a 2D image lies in the plane z = 0 and is 1 mm thick.

    Raises:
        ValueError: The axes are singular or not perpendicular.
    """
    dimension = volume.GetDimension()
    used = min(dimension, 3)
    size, spacing, origin, direction = np.ones(3, int), np.ones(3), np.zeros(3), np.eye(3)
    size[:used] = volume.GetSize()[:used]
    spacing[:used] = volume.GetSpacing()[:used]
    origin[:used] = volume.GetOrigin()[:used]
    direction[:used, :used] = np.reshape(volume.GetDirection(), (dimension, dimension))[:used, :used]
    return Geometry.from_lps(tuple(size[::-1].tolist()), origin, spacing, direction)


def displacement_transform(displacement_ras_mm: np.ndarray, geometry: Geometry) -> sitk.DisplacementFieldTransform:
    """A displacement as ITK's resampling transform, fixed -> moving.

    Outside of ``geometry`` ITK's transform is the identity (Slicer's continues the border displacement).

    Args:
        displacement_ras_mm: (K, J, I, 3) in RAS mm, fixed point x to moving point x + d(x).
        geometry: The grid the displacement is given on.

    Returns:
        The same mapping in LPS mm.
    """
    field = flip_ras_lps(np.asarray(displacement_ras_mm, np.float64))
    return sitk.DisplacementFieldTransform(sitk_volume(field, geometry))


def affine_transform(fixed_to_moving_ras: np.ndarray) -> sitk.AffineTransform:
    """A matrix between RAS frames as ITK's transform between LPS frames.

    Args:
        fixed_to_moving_ras: 4x4, from fixed RAS mm to moving RAS mm.

    Returns:
        The same mapping in LPS mm.
    """
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    matrix = flip @ np.asarray(fixed_to_moving_ras, np.float64) @ flip
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(matrix[:3, :3].ravel().tolist())
    transform.SetTranslation(matrix[:3, 3].tolist())
    return transform


def resample(
    image: Image, transform: sitk.Transform, reference: Geometry, default_value: float, nearest: bool = False
) -> np.ndarray:
    """The image at the transformed voxel centers of another grid.

    Args:
        image: The image to resample.
        transform: Resampling direction: reference point -> image point, in LPS mm.
        reference: The grid of the result.
        default_value: What points outside of the image get.
        nearest: Nearest neighbor instead of linear interpolation.

    Returns:
        (K, J, I) in the image's own type. Whole numbers are rounded (ITK itself would cut off the fraction, half a
        unit of bias).
    """
    return resample_array(image.array_kji, image.geometry, transform, reference, default_value, nearest)


def resample_array(
    values_kji: np.ndarray,
    geometry: Geometry,
    transform: sitk.Transform,
    reference: Geometry,
    default_value: float,
    nearest: bool = False,
) -> np.ndarray:
    """`resample` for values that need not be a valid `Image`, such as labels or masks.

    Args:
        values_kji: (K, J, I) on ``geometry``.
        geometry: Where the values lie.
        transform: Resampling direction: reference point -> point of ``geometry``, in LPS mm.
        reference: The grid of the result.
        default_value: What points outside of ``geometry`` get.
        nearest: Nearest neighbor instead of linear interpolation.

    Returns:
        (K, J, I) in the type of ``values_kji``, whole numbers rounded.
    """
    dtype = values_kji.dtype
    source = sitk_volume(values_kji, geometry)
    round_off = not nearest and np.issubdtype(dtype, np.integer)
    pixel_type = source.GetPixelID()
    if round_off:
        pixel_type = sitk.sitkFloat64 if dtype.itemsize > 2 else sitk.sitkFloat32
    resampled = sitk.GetArrayFromImage(
        sitk.Resample(
            source,
            reference.shape_kji[::-1],
            transform,
            sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear,
            reference.origin_lps_mm.tolist(),
            reference.spacing_ijk_mm.tolist(),
            reference.direction_lps.ravel().tolist(),
            float(default_value),
            pixel_type,
        )
    )
    return (np.rint(resampled) if round_off else resampled).astype(dtype, copy=False)
