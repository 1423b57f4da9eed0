"""Segmentations in files: label maps on the grid of their image, Slicer's .seg.nrrd on any grid of the same frame."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ..data.geometry import Geometry
from ..data.images import Image, Segmentation, label_type
from ..data.itk_bridge import resample_array
from ..data.tissues import BACKGROUND, Tissue
from .image_files import grid_of_file, read_volume, scalar_array
from .text_files import shortened

MAX_LABEL = 65535
SEGMENT_ID_KEY = re.compile(r"Segment(\d+)_ID")


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
    if any(SEGMENT_ID_KEY.fullmatch(key) for key in volume.GetMetaDataKeys()):
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
            raise ValueError(f"{path}: labels must be whole numbers, but the file contains {odd[0]:g}.")
    lowest, highest = values.min(), values.max()
    if lowest < 0 or highest > MAX_LABEL:
        raise ValueError(
            f"{path}: labels must be between 0 and {MAX_LABEL}, but the file contains "
            f"{lowest if lowest < 0 else highest:g}."
        )
    return values.astype(label_type(int(highest)), copy=False)


@dataclass(frozen=True)
class _Segment:
    """One segment of a .seg.nrrd: where its voxels are stored (``layer``, ``value``) and what it is."""

    id: str
    name: str
    terminology: str
    layer: int
    value: int


def _from_segments(volume: sitk.Image, path, reference: Image) -> Segmentation:
    """The segments of a .seg.nrrd, resampled layer by layer to the grid of the image."""
    segments = list(_segments_of_header(volume, path))
    geometry = grid_of_file(volume, path)
    layers = np.atleast_3d(sitk.GetArrayFromImage(volume))
    layers = layers.reshape(*geometry.shape_kji, volume.GetNumberOfComponentsPerPixel())
    labels = np.zeros(reference.geometry.shape_kji, label_type(len(segments)))
    for layer in range(layers.shape[-1]):
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


def _segments_of_header(volume: sitk.Image, path) -> Iterator[_Segment]:
    """The segments as Slicer reads them; ValueError for what it would read otherwise than the header seems to say.

    A segment without a layer is the component of its own number (files older than layers), one without a label value
    has 1. Slicer counts from 0 until a number has no segment.
    """
    numbers = sorted(int(found[1]) for found in map(SEGMENT_ID_KEY.fullmatch, volume.GetMetaDataKeys()) if found)
    if numbers != list(range(len(numbers))):
        missing = next(number for number in range(len(numbers) + 1) if number not in numbers)
        raise ValueError(
            f"{path}: the header has a Segment{numbers[-1]}_ID but no Segment{missing}_ID, and Slicer reads no "
            f"segments beyond a gap."
        )
    layers = volume.GetNumberOfComponentsPerPixel()
    known: dict[object, str] = {}
    for number in numbers:
        fields = {
            field: volume.GetMetaData(f"Segment{number}_{field}")
            for field in ("ID", "Name", "LabelValue", "Layer", "Tags")
            if volume.HasMetaDataKey(f"Segment{number}_{field}")
        }
        name = fields.get("Name", fields["ID"])
        layer, value = _whole_number(fields, "Layer", number, path), _whole_number(fields, "LabelValue", 1, path)
        if layer >= layers:
            told = "" if "Layer" in fields else ", because the header names no layer for it"
            raise ValueError(
                f"{path}: segment '{shortened(name)}' lies in layer {layer}{told}, but the last layer of the file is "
                f"{layers - 1}."
            )
        for what, key in (("the same ID", fields["ID"]), ("the same layer and label value", (layer, value))):
            if key in known:
                raise ValueError(f"{path}: segments '{shortened(known[key])}' and '{shortened(name)}' have {what}.")
            known[key] = name
        yield _Segment(fields["ID"], name, terminology_text(fields.get("Tags", "")), layer, value)


def _whole_number(fields: Mapping[str, str], field: str, otherwise: int, path) -> int:
    """A number of at most nine digits; a label value cannot be 0, which is background."""
    text = fields.get(field, str(otherwise)).strip()
    if not re.fullmatch("[0-9]{1,9}", text) or (field == "LabelValue" and int(text) == BACKGROUND):
        name = shortened(fields.get("Name", fields["ID"]))
        raise ValueError(f"{path}: segment '{name}' has the unusable {field} '{shortened(text)}' in the header.")
    return int(text)


def terminology_text(tags: str) -> str:
    """What a segment's terminology entry says in words: type, its modifier and the region.

    An entry is ``TerminologyEntry:context~category~type~modifier~context~region~modifier``,
    codes are ``scheme^value^meaning``.

    Args:
        tags: Of the segment, separated by "|".

    Returns:
        Such as "Rib Left". "" if there is no entry, or for Slicer's placeholder for an undescribed segment, type
        "Tissue", which says nothing.

    Example:
        >>> terminology_text("TerminologyEntry:a~SCT^1^Tissue~SCT^2^Rib~SCT^3^Left~b~^^~^^")
        'Rib Left'
    """
    entries = [tag.removeprefix("TerminologyEntry:") for tag in tags.split("|") if tag.startswith("TerminologyEntry:")]
    parts = (entries[0].split("~") if entries else []) + [""] * 7
    meanings = [code.split("^")[2] for code in (parts[2], parts[3], parts[5], parts[6]) if code.count("^") == 2]
    text = " ".join(meaning for meaning in meanings if meaning)
    return "" if text == "Tissue" else text


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
