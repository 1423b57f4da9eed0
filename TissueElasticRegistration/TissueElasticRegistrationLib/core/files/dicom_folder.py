"""A folder with the files of one DICOM series as a volume, where its slices lie evenly behind each other."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

POSITION, ORIENTATION = "0020|0032", "0020|0037"
MODALITY, DESCRIPTION = "0008|0060", "0008|103e"
ALLOWED_TILT = 1e-3  # tangent; the same skew as `Geometry` allows
ALLOWED_UNEVENNESS = 0.1  # of the slice distance, for the place of any slice
SERIES_LISTED = 6


def read_dicom_folder(folder: str | os.PathLike) -> sitk.Image:
    """The only series in a folder, read by GDCM; folders inside of it are not looked at.

    Args:
        folder: The folder.

    Raises:
        ValueError: Naming the folder: there is no series or more than one (they are listed), its slices differ in size
            or direction, lie at one place, at uneven distances or are tilted (the size is said), or cannot be read.
    """
    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(os.fspath(folder))
    if not series:
        raise ValueError(f"{folder}: this is a folder without DICOM images.")
    files = {uid: sitk.ImageSeriesReader.GetGDCMSeriesFileNames(os.fspath(folder), uid) for uid in series}
    if len(series) > 1:
        found = [_title(names) for names in files.values()]
        more = [f"{len(found) - SERIES_LISTED} more"] if len(found) > SERIES_LISTED else []
        raise ValueError(
            f"{folder}: expected the files of one DICOM series, but the folder contains {len(series)}: "
            f"{', '.join(found[:SERIES_LISTED] + more)}."
        )
    names = files[series[0]]
    try:
        if len(names) > 1:
            _check_slices(folder, [_slice(name) for name in names])
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(names)
        return reader.Execute() if len(names) > 1 else sitk.ReadImage(names[0])
    except RuntimeError as error:
        raise ValueError(f"{folder}: the DICOM series cannot be read; a file is damaged or of another kind.") from error


@dataclass(frozen=True)
class _Slice:
    """What one file says about its place: size in pixels, position and axes of its rows and columns in LPS mm."""

    size: tuple[int, ...]
    position_lps_mm: np.ndarray
    axes_lps: np.ndarray


def _slice(name: str) -> _Slice:
    header = _header(name)
    numbers = {}
    for tag, count in ((POSITION, 3), (ORIENTATION, 6)):
        try:
            numbers[tag] = np.array([float(text) for text in header.GetMetaData(tag).split("\\")])
        except (RuntimeError, ValueError):
            numbers[tag] = np.array([])
        if numbers[tag].size != count or not np.all(np.isfinite(numbers[tag])):
            raise ValueError(f"{name}: the DICOM file does not say where its slice lies.")
    return _Slice(header.GetSize(), numbers[POSITION], numbers[ORIENTATION].reshape(2, 3))


def _header(name: str) -> sitk.ImageFileReader:
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(name)
    reader.ReadImageInformation()
    return reader


def _title(names: tuple[str, ...]) -> str:
    """Modality, description and number of files of a series."""
    try:
        header = _header(names[0])
    except RuntimeError:
        return f"unreadable ({len(names)} files)"
    words = [header.GetMetaData(tag).strip() for tag in (MODALITY, DESCRIPTION) if header.HasMetaDataKey(tag)]
    text = " ".join("".join(letter for letter in " ".join(words) if letter.isprintable()).split())
    return f"{text or 'unnamed'} ({len(names)} files)"


def _check_slices(folder: str | os.PathLike, slices: list[_Slice]) -> None:
    """Raise ValueError unless the slices are those of a volume; they are in the order of their positions."""
    first = slices[0]
    if any(one.size != first.size for one in slices):
        raise ValueError(f"{folder}: the slices of the DICOM series have different sizes.")
    if max(np.abs(one.axes_lps - first.axes_lps).max() for one in slices) > ALLOWED_TILT:
        raise ValueError(f"{folder}: the slices of the DICOM series have different directions.")
    normal = np.cross(*first.axes_lps)
    offsets = np.array([one.position_lps_mm - first.position_lps_mm for one in slices])
    along_mm = offsets @ normal
    distances_mm = np.diff(along_mm)
    spacing_mm = abs(along_mm[-1]) / (len(slices) - 1)
    if np.abs(distances_mm).min() < ALLOWED_UNEVENNESS * spacing_mm or spacing_mm == 0:
        raise ValueError(
            f"{folder}: several slices of the DICOM series lie at the same position, as in a series of time points."
        )
    even_mm = np.linspace(0, along_mm[-1], len(slices))
    if np.abs(along_mm - even_mm).max() > ALLOWED_UNEVENNESS * spacing_mm:
        shortest, longest = np.abs(distances_mm).min(), np.abs(distances_mm).max()
        raise ValueError(
            f"{folder}: the slices of the DICOM series have uneven distances, {shortest:.4g} to {longest:.4g} mm; "
            "slices are missing, or it was acquired so."
        )
    shift_mm = np.linalg.norm(offsets - along_mm[:, None] * normal, axis=1)
    tilt = shift_mm[-1] / abs(along_mm[-1])
    if tilt > ALLOWED_TILT:
        raise ValueError(
            f"{folder}: the slices of the DICOM series are shifted against each other by a gantry tilt of "
            f"{np.degrees(np.arctan(tilt)):.1f} degrees."
        )
