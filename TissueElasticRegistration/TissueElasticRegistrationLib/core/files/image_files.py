"""Volumes and transforms in files. Everything wrong with a file becomes one sentence (ValueError) that names it."""

from __future__ import annotations

import locale
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..data.geometry import Geometry
from ..data.images import Image, Segmentation
from ..data.itk_bridge import displacement_transform, geometry_of, sitk_image, sitk_labels, sitk_volume
from .complete_files import require_space, write_volume
from .dicom_folder import read_dicom_folder
from .file_names import require_utf8
from .nifti_header import inspect_nifti, nan_voxels
from .nrrd_header import nrrd_fault
from .raw_formats import lacks_voxels

ITK_PERMISSION = "ITK_NIFTI_SFORM_PERMISSIVE"

COMPONENT_BYTES, TRANSFORM_HEADER_BYTES = 8, 100_000  # of a transform file


def read_image(path: str | os.PathLike, name: str | None = None) -> Image:
    """One scalar volume, or one slice (K = 1), with the pixel type of the file.

    Args:
        path: A file in any format SimpleITK reads, or a folder with the files of one DICOM series.
        name: What messages call the image; by default the file's name.

    Raises:
        ValueError: Naming the file: missing, not an image, incomplete, several volumes or components, infinite values
            or NaN inside (see `Image`), constant, axes that are singular or not perpendicular; or as in
            `read_dicom_folder`.
    """
    require_utf8(path)
    if os.path.isdir(path):
        with _itk_silent():
            volume = read_dicom_folder(path)
    else:
        volume = read_volume(path)
    if volume.GetNumberOfComponentsPerPixel() > 1 or "complex" in volume.GetPixelIDTypeAsString():
        raise ValueError(
            f"{path}: expected one number per voxel, not {volume.GetPixelIDTypeAsString()} "
            f"({volume.GetNumberOfComponentsPerPixel()} components)."
        )
    array_kji = scalar_array(volume)
    missing = nan_voxels(Path(path)) if array_kji.dtype.kind == "f" else None
    if missing is not None and missing.any():
        array_kji[missing[: array_kji.size].reshape(array_kji.shape)] = np.nan
    image = Image(array_kji, grid_of_file(volume, path), str(path))
    return replace(image, name=name or Path(path).name)


def read_volume(path: str | os.PathLike) -> sitk.Image:
    """A file as SimpleITK reads it, of at most three dimensions longer than one voxel.

    Args:
        path: A file in any format SimpleITK reads.

    Raises:
        ValueError: Naming the file: missing, a folder, empty, not an image, incomplete, several volumes, or its name is
            not UTF-8.
    """
    require_utf8(path)
    file = Path(path)
    if not os.path.exists(file):  # False also for a name that is too long
        raise ValueError(f"{path}: file not found.")
    if file.is_dir():
        raise ValueError(f"{path}: this is a folder, not an image file.")
    try:
        if file.stat().st_size == 0:
            raise ValueError(f"{path}: the file is empty.")
        nifti = inspect_nifti(file)
        fault = nifti.fault or nrrd_fault(file)
    except OSError as error:
        raise ValueError(f"{path}: the file cannot be read ({error.strerror or error}).") from error
    if fault:
        raise ValueError(f"{path}: the file {fault}.")
    with _itk_silent(), _sheared_sform_allowed(nifti.axes_lps is not None):
        try:
            volume = sitk.ReadImage(str(file))
            if lacks_voxels(file, volume):
                raise ValueError(f"{path}: the file is incomplete: it ends before its last voxel.")
        except (RuntimeError, OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path}: {_reason(str(error))}.") from error
    if nifti.axes_lps is not None:
        _set_axes(volume, nifti.axes_lps)
    if any(size > 1 for size in volume.GetSize()[3:]):
        sizes = " x ".join(str(size) for size in volume.GetSize())
        raise ValueError(f"{path}: expected one volume, not a series ({volume.GetDimension()}D, {sizes} voxels).")
    return volume


def _set_axes(volume: sitk.Image, axes_lps: np.ndarray) -> None:
    """Replace the direction of the first three axes."""
    dimension = volume.GetDimension()
    direction = np.reshape(volume.GetDirection(), (dimension, dimension))
    direction[:3, :3] = axes_lps[:dimension, :dimension]
    volume.SetDirection(direction.ravel().tolist())


def scalar_array(volume: sitk.Image) -> np.ndarray:
    """Values of a volume with one component; leading axes of length one are added or dropped.

    Args:
        volume: An image of at most three dimensions longer than one voxel.

    Returns:
        (K, J, I), a copy.
    """
    array = sitk.GetArrayFromImage(volume)
    return array.reshape((1, 1, *array.shape)[-3:] if array.ndim < 3 else array.shape[-3:])


def grid_of_file(volume: sitk.Image, path: str | os.PathLike) -> Geometry:
    """`geometry_of`, with the file's name in the error.

    Args:
        volume: What was read from the file.
        path: The file, for the message.

    Raises:
        ValueError: Naming the file: the axes are singular or not perpendicular.
    """
    try:
        return geometry_of(volume)
    except ValueError as error:
        fault = str(error)
        raise ValueError(f"{path}: {fault[0].lower()}{fault[1:]}") from error


def write_image(image: Image, path: str | os.PathLike) -> None:
    """Write with the image's own pixel type, compressed where the format supports it.

    Args:
        image: The image to write.
        path: Where; the ending decides the format.
    """
    write_volume(sitk_image(image), path)


def write_map(values_kji: np.ndarray, geometry: Geometry, path: str | os.PathLike) -> None:
    """Write a computed volume (such as the Jacobian) that need not be a valid `Image`: it may be constant.

    Args:
        values_kji: (K, J, I).
        geometry: Where the voxels lie.
        path: Where to write; the ending decides the format.
    """
    write_volume(sitk_volume(values_kji, geometry), path)


def write_labels(segmentation: Segmentation, path: str | os.PathLike) -> None:
    """Write the label values in the smallest integer type that holds them.

    Args:
        segmentation: The segmentation to write.
        path: Where; the ending decides the format.
    """
    write_volume(sitk_labels(segmentation), path)


def write_transform(displacement_ras_mm: np.ndarray, geometry: Geometry, path: str | os.PathLike) -> None:
    """Write a displacement as an ITK displacement field in LPS mm, resampling direction fixed -> moving.

    HDF5 files hold the time of writing: the same displacement gives the same content, not the same bytes.

    Args:
        displacement_ras_mm: (K, J, I, 3) in RAS mm, fixed point x to moving point x + d(x).
        geometry: The grid of the displacement.
        path: An .h5 file.
    """
    require_space(Path(path).parent, displacement_ras_mm.size * COMPONENT_BYTES + TRANSFORM_HEADER_BYTES)
    sitk.WriteTransform(displacement_transform(displacement_ras_mm, geometry), str(path))


def _reason(itk_message: str) -> str:
    """ITK's many-line exception as the end of a sentence."""
    if "orthonormal" in itk_message:
        return "the direction matrix is singular or sheared, its voxel axes are not perpendicular"
    if "determinant is 0" in itk_message:
        return "the direction matrix is singular, its voxel axes do not span space"
    if "Zero-valued spacing" in itk_message:
        return "the voxel size is 0 along one axis"
    if "allocate memory" in itk_message:
        return "the image does not fit into memory"
    if "Unable to determine ImageIO reader" in itk_message:
        return "not a supported image file, or the file is damaged"
    return "the file is damaged or not a supported image"


@contextmanager
def _itk_silent() -> Iterator[None]:
    """Keep lines of ITK and its libraries off stderr, some written by C code: what matters is said in our own words.

    The locale stays as well: ITK 5.4 leaves another one behind when it has read a VTK file.
    """
    display, before = sitk.ProcessObject.GetGlobalWarningDisplay(), locale.setlocale(locale.LC_ALL)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        with _stderr_closed():
            yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(display)
        locale.setlocale(locale.LC_ALL, before)


@contextmanager
def _stderr_closed() -> Iterator[None]:
    try:
        kept = os.dup(2)
    except OSError:  # a program without console has none
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def _sheared_sform_allowed(is_allowed: bool) -> Iterator[None]:
    """Let ITK read a NIfTI file with sheared axes: its reader asks the environment.

    ITK 5.4 makes them perpendicular by turning them the wrong way, so `_set_axes` replaces them.
    """
    before = os.environ.get(ITK_PERMISSION)
    if is_allowed:
        os.environ[ITK_PERMISSION] = "ON"
    try:
        yield
    finally:
        if is_allowed and before is None:
            del os.environ[ITK_PERMISSION]
        elif is_allowed:
            os.environ[ITK_PERMISSION] = before
