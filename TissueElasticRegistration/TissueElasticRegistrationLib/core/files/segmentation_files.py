"""Segmentations in files: label maps on the grid of their image, Slicer's .seg.nrrd on any grid of the same frame."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
import SimpleITK as sitk

from ..data.geometry import Geometry
from ..data.images import Image, Segmentation, label_type
from ..data.itk_bridge import resample_array
from ..data.tissues import BACKGROUND, Tissue
from .image_files import grid_of_file, read_volume, scalar_array
from .segment_headers import check_extents, has_segments, read_segments
from .text_files import shortened

MAX_LABEL = 65535


def parse_tissue_names(text: str) -> dict[int, str]:
    """The names of labels as the command line gives them.

    Args:
        text: Such as "1=lung,2=soft".

    Returns:
        Label -> name.

    Raises:
        ValueError: The text is of another form, a name contains "=" or ";", or a label or a name occurs twice.

    Example:
        >>> parse_tissue_names("1=lung,2=soft")
        {1: 'lung', 2: 'soft'}
    """
    names: dict[int, str] = {}
    for entry in text.split(","):
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
        if name.casefold() in {known.casefold() for known in names.values()}:
            raise ValueError(f"--tissues: the name '{name}' is given to two labels.")
        names[int(label)] = name
    return names


def read_segmentation(
    path: str | os.PathLike, reference: Image, names: Mapping[int, str] | None = None, names_must_occur: bool = True
) -> Segmentation:
    """The segmentation of an image, on its grid.

    A label map must lie on the grid of its image; its label values stay, and background (0) is a tissue only if it is
    named. A .seg.nrrd (recognized by its header) carries names, IDs and terminology itself and may lie on another grid:
    it is resampled (nearest), its segments become labels 1 to N in their order, the later one wins where two overlap.

    Args:
        path: A label map or a .seg.nrrd.
        reference: The image that is segmented.
        names: Label -> name of the tissues of a label map; the others are called by their value.
        names_must_occur: Whether a named label (other than 0) that is not in the file is an error; switch it off for
            the moving image, which need not show every tissue.

    Raises:
        ValueError: Naming the file: it is not readable as in `read_volume`, empty, on another grid, holds values that
            are not whole numbers from 0 to 65535, or does not fit ``names``.
    """
    volume = read_volume(path)
    if has_segments(volume):
        if names and names_must_occur:
            raise ValueError(
                f"{path}: --tissues is not allowed here, because a .seg.nrrd file contains its own segment names."
            )
        return _from_segments(volume, path, reference)
    return _from_label_map(volume, path, reference, names or {}, names_must_occur)


def _from_label_map(
    volume: sitk.Image, path, reference: Image, names: Mapping[int, str], names_must_occur: bool
) -> Segmentation:
    """A label map on the grid of its image; ValueError, naming the file, for everything else."""
    if volume.GetNumberOfComponentsPerPixel() > 1:
        raise ValueError(
            f"{path}: expected one label per voxel, but the file has "
            f"{volume.GetNumberOfComponentsPerPixel()} components per voxel."
        )
    geometry = grid_of_file(volume, path)
    if not geometry.agrees_with(reference.geometry):
        raise ValueError(
            f"{path}: the label map and its image {reference.name} have different grids "
            f"({_describe(geometry)} instead of {_describe(reference.geometry)})."
        )
    labels = _whole_numbers(scalar_array(volume), path)
    present = set(np.unique(labels).tolist()) - {BACKGROUND}
    if not present:
        raise ValueError(f"{path}: the segmentation is empty, every voxel is 0.")
    absent = sorted(set(names) - present - {BACKGROUND})
    if absent and names_must_occur:
        raise ValueError(f"--tissues names label {absent[0]} ('{names[absent[0]]}'), which does not occur in {path}.")
    listed = sorted(present | ({BACKGROUND} & set(names)))
    tissues = tuple(Tissue(label, names.get(label, str(label))) for label in listed)
    return Segmentation(labels, reference.geometry, tissues, str(path))


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
    labels = np.zeros(reference.geometry.shape_kji, label_type(len(segments)))
    for layer in range(layers.shape[-1]):
        check_extents(layers[..., layer], [segment for segment in segments if segment.layer == layer], path)
        on_grid = _on_grid(np.ascontiguousarray(layers[..., layer]), geometry, reference.geometry)
        for label, segment in enumerate(segments, start=1):
            if segment.layer == layer:
                # Not over a later segment of an earlier layer: the order of segments decides, not that of layers.
                labels[(on_grid == segment.value) & (labels < label)] = label
    if not labels.any():
        raise ValueError(f"{path}: the segmentation does not overlap with its image {reference.name}.")
    tissues = tuple(
        Tissue(label, segment.name, segment.id, segment.terminology) for label, segment in enumerate(segments, start=1)
    )
    return Segmentation(labels, reference.geometry, tissues, str(path))


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
