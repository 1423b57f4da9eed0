"""Segmentations in files: label maps on the grid of their image, Slicer's .seg.nrrd on any grid of the same frame."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..data.geometry import Geometry
from ..data.images import Image, Segmentation, label_type
from ..data.itk_bridge import resample_array
from ..data.segment_layers import merge_segments
from ..data.tissues import BACKGROUND, Tissue, comparable, listed_names, with_distinct_names
from .image_files import grid_of_file, read_volume, scalar_array
from .segment_headers import check_extents, has_segments, read_segments
from .text_files import shortened

MAX_LABEL = 65535
# How far a label map may lie beside its image, in voxels, and from where on it is said.
MOST_BESIDE, WORTH_SAYING = 0.5, 0.1


def parse_tissue_names(text: str) -> dict[int, str]:
    """The names of labels as the command line gives them.

    Args:
        text: Such as "1=lung,2=soft", see `comma_separated`.

    Returns:
        Label -> name.

    Raises:
        ValueError: The text is of another form, a name contains "=" or ";", or a label or a name occurs twice.

    Example:
        >>> parse_tissue_names("1=lung,2=soft")
        {1: 'lung', 2: 'soft'}
    """
    names: dict[int, str] = {}
    try:
        entries = comma_separated(text) or [""]
    except ValueError as error:
        raise ValueError(f"--tissues: {error}") from error
    for entry in entries:
        label, separator, name = entry.partition("=")
        label, name = label.strip(), name.strip()
        is_number = label.isascii() and label.isdigit() and len(label) <= len(str(MAX_LABEL))
        if not (separator and name and is_number) or int(label) > MAX_LABEL:
            raise ValueError(
                f"--tissues: '{shortened(entry.strip())}' is not of the form LABEL=NAME with a label from 0 to "
                f"{MAX_LABEL}."
            )
        if set(name) & set("=;"):
            raise ValueError(
                f"--tissues: the name '{shortened(name)}' contains = or ;, but entries are separated by commas."
            )
        if int(label) in names:
            raise ValueError(f"--tissues: label {int(label)} is named twice.")
        if comparable(name) in map(comparable, names.values()):
            raise ValueError(f"--tissues: the name '{name}' is given to two labels.")
        names[int(label)] = name
    return names


def comma_separated(text: str) -> list[str]:
    """The entries of a list on the command line; one that contains a comma is written in double quotes.

    Args:
        text: The list.

    Raises:
        ValueError: A quotation mark is not closed.

    Example:
        >>> comma_separated('bone, "Lung, left"')
        ['bone', 'Lung, left']
    """
    try:
        rows = list(csv.reader([text], skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise ValueError(f"{' '.join(text.split())} is not a list of names: {error}.") from error
    return [entry.strip() for row in rows for entry in row]


def read_segmentation(
    path: str | os.PathLike, reference: Image, names: Mapping[int, str] | None = None
) -> Segmentation:
    """The segmentation of an image, on its grid.

    A label map must lie on the grid of its image: its axes may have another order or direction, and its corners may lie
    up to half a voxel away. Its label values stay, and background (0) is a tissue only if it is named. A .seg.nrrd
    (recognized by its header) carries names, IDs and terminology itself and may lie on another grid: it is resampled
    (nearest), its segments become labels 1 to N in their order; where they overlap, see `merge_segments`.

    Args:
        path: A label map or a .seg.nrrd.
        reference: The image that is segmented.
        names: Label -> name of the tissues of a label map; the others are called by their value. One table may serve
            many images: names of labels that are not in this one are only noted.

    Raises:
        ValueError: Naming the file: it is not readable as in `read_volume`, empty, on another grid, holds values that
            are not whole numbers from 0 to 65535, or none of ``names``.
    """
    volume = read_volume(path)
    if has_segments(volume):
        return _from_segments(volume, path, reference)
    return _from_label_map(volume, path, reference, names or {})


def has_own_names(path: str | os.PathLike) -> bool:
    """Whether a file is a .seg.nrrd, which carries the names of its segments.

    Args:
        path: A file that `read_segmentation` has read.
    """
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    return has_segments(reader)


def _from_label_map(volume: sitk.Image, path, reference: Image, names: Mapping[int, str]) -> Segmentation:
    """A label map on the grid of its image; ValueError, naming the file, for everything else."""
    if volume.GetNumberOfComponentsPerPixel() > 1:
        raise ValueError(
            f"{path}: expected one label per voxel, but the file has "
            f"{volume.GetNumberOfComponentsPerPixel()} components per voxel."
        )
    labels, notes = _turned(_whole_numbers(scalar_array(volume), path), grid_of_file(volume, path), path, reference)
    present = set(np.unique(labels).tolist())
    if present <= {BACKGROUND}:
        raise ValueError(f"{path}: the segmentation is empty, every voxel is 0.")
    if names and not present & set(names):
        raise ValueError(
            f"--tissues names no label of {path}, which has {listed_names(map(str, sorted(present - {BACKGROUND})))}."
        )
    absent = sorted(set(names) - present - {BACKGROUND})
    if absent:
        notes += (f"{Path(path).name} does not have {listed_names(names[label] for label in absent)}.",)
    listed = sorted(present - {BACKGROUND} | ({BACKGROUND} & set(names)))
    tissues = with_distinct_names([Tissue(label, names.get(label, str(label))) for label in listed])
    return Segmentation(labels, reference.geometry, tissues, str(path), notes=notes)


def _turned(labels: np.ndarray, geometry: Geometry, path, reference: Image) -> tuple[np.ndarray, tuple[str, ...]]:
    """A label map with the axes of its image, and a sentence if it lies beside it; ValueError if half a voxel or more.

    No voxel is interpolated: closer than that, the nearest voxel of the label map is the one with the same indices.
    """
    turn = geometry.turn_like(reference.geometry)
    turned = geometry.turned(turn)
    error_mm, error_voxels = turned.distance_to(reference.geometry)
    if turned.shape_kji != reference.geometry.shape_kji or error_voxels >= MOST_BESIDE:
        raise ValueError(
            f"{path}: the label map and its image {reference.name} have different grids "
            f"({_describe(geometry)} instead of {_describe(reference.geometry)}; they are {error_mm:.3g} mm apart, and "
            "less than half a voxel is allowed)."
        )
    if error_voxels < WORTH_SAYING:
        return turn.applied_to(labels), ()
    note = (
        f"{Path(path).name} lies {error_mm:.2g} mm ({error_voxels:.2g} voxels) beside its image; it was taken as if "
        "both had the same voxels."
    )
    return turn.applied_to(labels), (note,)


def _whole_numbers(values: np.ndarray, path) -> np.ndarray:
    """Labels as uint8 or int32. Float files are welcome as long as every value is a whole number from 0 to 65535."""
    if np.iscomplexobj(values):
        raise ValueError(f"{path}: labels must be whole numbers, not complex ones.")
    if np.issubdtype(values.dtype, np.floating):
        odd = values[~(np.isfinite(values) & (values == np.rint(values)))]
        if odd.size:
            raise ValueError(f"{path}: labels must be whole numbers, but the file contains {odd[0]:.9g}.")
    lowest, highest = values.min(), values.max()
    if lowest < 0 or highest > MAX_LABEL:
        raise ValueError(
            f"{path}: labels must be between 0 and {MAX_LABEL}, but the file contains "
            f"{lowest if lowest < 0 else highest:g}."
        )
    return values.astype(label_type(int(highest)), copy=False)


def _from_segments(volume: sitk.Image, path, reference: Image) -> Segmentation:
    """The segments of a .seg.nrrd, resampled layer by layer to the grid of the image."""
    segments = read_segments(volume, path)
    geometry = grid_of_file(volume, path)
    layers = np.atleast_3d(sitk.GetArrayFromImage(volume))
    layers = layers.reshape(*geometry.shape_kji, volume.GetNumberOfComponentsPerPixel())
    on_grid = []
    for layer in range(layers.shape[-1]):
        check_extents(layers[..., layer], [segment for segment in segments if segment.layer == layer], path)
        on_grid.append(_on_grid(np.ascontiguousarray(layers[..., layer]), geometry, reference.geometry))
    merged = merge_segments(
        ((on_grid[segment.layer], segment.value) for segment in segments), reference.geometry.shape_kji
    )
    if not merged.labels_kji.any():
        raise ValueError(f"{path}: the segmentation does not overlap with its image {reference.name}.")
    tissues = with_distinct_names(
        [Tissue(label, one.name, one.id, one.terminology) for label, one in enumerate(segments, start=1)]
    )
    return Segmentation(merged.labels_kji, reference.geometry, tissues, str(path), notes=merged.notes(tissues))


def _on_grid(layer_kji: np.ndarray, geometry: Geometry, reference: Geometry) -> np.ndarray:
    """Nearest label at every voxel of ``reference``, 0 outside of the layer."""
    if geometry.agrees_with(reference, tolerance_mm=1e-4):
        return layer_kji
    identity = sitk.Transform(3, sitk.sitkIdentity)
    return resample_array(layer_kji, geometry, identity, reference, BACKGROUND, nearest=True)


def _describe(geometry: Geometry) -> str:
    size = " x ".join(str(n) for n in geometry.shape_kji[::-1])
    spacing = " x ".join(f"{length:.4g}" for length in geometry.spacing_ijk_mm)
    origin = ", ".join(f"{position:.4g}" for position in geometry.origin_lps_mm)
    return f"{size} voxels of {spacing} mm from ({origin}) LPS"
