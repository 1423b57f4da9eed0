"""The segments that the header of a .seg.nrrd describes, as Slicer reads them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ..data.tissues import BACKGROUND
from .text_files import shortened

SEGMENT_ID_KEY = re.compile(r"Segment(\d+)_ID")
FIELDS = ("ID", "Name", "LabelValue", "Layer", "Extent", "Tags")


@dataclass(frozen=True)
class Segment:
    """One segment: where its voxels are stored and what it is.

    Attributes:
        id: Its ID.
        name: Its name, or else its ID.
        terminology: What its terminology entry says in words, or nothing.
        layer: The component of the voxels in which it is stored.
        value: Its label in that layer.
        extent_ijk: First and last index along i, j and k between which its voxels lie; None where the file does
            not say it.
    """

    id: str
    name: str
    terminology: str
    layer: int
    value: int
    extent_ijk: tuple[int, ...] | None


def has_segments(volume: sitk.Image) -> bool:
    """Whether a file is a .seg.nrrd, by its header."""
    return any(SEGMENT_ID_KEY.fullmatch(key) for key in volume.GetMetaDataKeys())


def read_segments(volume: sitk.Image, path: str | os.PathLike) -> list[Segment]:
    """The segments of a file.

    A segment without a layer is the component of its own number (files older than layers), one without a label value
    has 1.

    Args:
        volume: What was read from the file.
        path: The file, for messages.

    Raises:
        ValueError: Naming the file: Slicer would read it otherwise than the header seems to say.
    """
    return list(_segments(volume, path))


def _segments(volume: sitk.Image, path: str | os.PathLike) -> Iterator[Segment]:
    numbers = sorted(int(found[1]) for found in map(SEGMENT_ID_KEY.fullmatch, volume.GetMetaDataKeys()) if found)
    if numbers != list(range(len(numbers))):
        missing = next(number for number in range(len(numbers) + 1) if number not in numbers)
        raise ValueError(
            f"{path}: the header has a Segment{numbers[-1]}_ID but no Segment{missing}_ID, and Slicer reads no "
            "segments beyond a gap."
        )
    layers = volume.GetNumberOfComponentsPerPixel()
    known: dict[object, str] = {}
    for number in numbers:
        keys = {field: f"Segment{number}_{field}" for field in FIELDS}
        fields = {field: volume.GetMetaData(key) for field, key in keys.items() if volume.HasMetaDataKey(key)}
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
        yield Segment(fields["ID"], name, terminology_text(fields.get("Tags", "")), layer, value, _extent(fields, path))


def _whole_number(fields: Mapping[str, str], field: str, otherwise: int, path: str | os.PathLike) -> int:
    """A number of at most nine digits; a label value cannot be 0, which is background."""
    text = fields.get(field, str(otherwise)).strip()
    if not re.fullmatch("[0-9]{1,9}", text) or (field == "LabelValue" and int(text) == BACKGROUND):
        raise _unusable(fields, field, path)
    return int(text)


def _extent(fields: Mapping[str, str], path: str | os.PathLike) -> tuple[int, ...] | None:
    if "Extent" not in fields:
        return None
    numbers = fields["Extent"].split()
    if len(numbers) != 6 or not all(re.fullmatch("[+-]?[0-9]{1,9}", text) for text in numbers):
        raise _unusable(fields, "Extent", path)
    return tuple(int(text) for text in numbers)


def _unusable(fields: Mapping[str, str], field: str, path: str | os.PathLike) -> ValueError:
    name = shortened(fields.get("Name", fields["ID"]))
    return ValueError(f"{path}: segment '{name}' has the unusable {field} '{shortened(fields[field])}' in the header.")


def check_extents(layer_kji: np.ndarray, segments: Sequence[Segment], path: str | os.PathLike) -> None:
    """Check that Slicer, which cuts a layer to the extents of its segments, cuts nothing off.

    Args:
        layer_kji: (K, J, I) labels of one layer.
        segments: Those of this layer.
        path: The file, for the message.

    Raises:
        ValueError: Naming the file: segments have voxels outside of their extents.
    """
    if any(segment.extent_ijk is None for segment in segments):
        return  # Slicer takes the whole layer then
    outside = np.isin(layer_kji, [segment.value for segment in segments])
    extents = [np.reshape(segment.extent_ijk, (3, 2)) for segment in segments]
    extents = [extent for extent in extents if np.all(extent[:, 0] <= extent[:, 1])]
    if extents:
        first, last = np.min(extents, 0)[::-1, 0], np.max(extents, 0)[::-1, 1]
        outside[tuple(slice(max(a, 0), max(b + 1, 0)) for a, b in zip(first, last, strict=True))] = False
    if outside.any():
        name = next(segment.name for segment in segments if segment.value in layer_kji[outside])
        raise ValueError(
            f"{path}: segment '{shortened(name)}' has voxels outside of the extents in the header, and Slicer cuts "
            "them off."
        )


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
