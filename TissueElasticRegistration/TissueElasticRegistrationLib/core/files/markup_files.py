"""Points of one image as Slicer saves them: ``.mrk.json`` and ``.fcsv``."""

from __future__ import annotations

import csv
import math
import os
from typing import Any, NamedTuple

import numpy as np

from ..data.geometry import flip_ras_lps
from .text_files import read_json, read_text, shortened

MARKUP_ENDINGS = (".json", ".fcsv")
# As numbers in scenes of old versions
COORDINATE_SYSTEMS = {"RAS": "RAS", "LPS": "LPS", "0": "RAS", "1": "LPS"}
FCSV_VERSION, FCSV_SYSTEM = "Markups fiducial file version", "CoordinateSystem"
# Places of the values in a line of an .fcsv file; Slicer ignores what the header says about columns as well.
FCSV_POSITION, FCSV_LABEL, FCSV_STATUS, FCSV_DEFINED = slice(1, 4), 11, 14, "2"

Entry = tuple[str | None, Any]  # label, None without a position, and position as it is written


class PointList(NamedTuple):
    """Points with their labels.

    Attributes:
        points_ras_mm: (N, 3) in RAS mm.
        labels: One for each point; None for a point without position.
    """

    points_ras_mm: np.ndarray
    labels: tuple[str | None, ...]


def is_markup_file(path: str | os.PathLike) -> bool:
    """Whether a file is a list of points of one image, judged by its name."""
    return os.fspath(path).lower().endswith(MARKUP_ENDINGS)


def read_markups(path: str | os.PathLike) -> PointList:
    """The control points of one list.

    Args:
        path: An .fcsv file or a .mrk.json file with one list; the coordinate system it names is honored.

    Raises:
        ValueError: Naming the file: it is not readable, not of this form, has no point with a position, or does not
            say its coordinate system.
    """
    system, entries = _fcsv_points(path) if os.fspath(path).lower().endswith(".fcsv") else _json_points(path)
    if system not in COORDINATE_SYSTEMS:
        raise ValueError(f"{path}: unknown coordinate system '{shortened(system)}', expected RAS or LPS.")
    labels = tuple(label for label, _ in entries)
    if all(label is None for label in labels):
        raise ValueError(f"{path}: the file contains no defined points.")
    points = [
        [0.0] * 3 if label is None else _position(path, number, position)
        for number, (label, position) in enumerate(entries, start=1)
    ]
    in_ras = COORDINATE_SYSTEMS[system] == "RAS"
    return PointList(np.array(points) if in_ras else flip_ras_lps(np.array(points)), labels)


def _json_points(path: str | os.PathLike) -> tuple[str, list[Entry]]:
    """The coordinate system and the control points."""
    content = read_json(path)
    lists = content.get("markups") if isinstance(content, dict) else None
    if not isinstance(lists, list) or not all(isinstance(entry, dict) for entry in lists):
        raise ValueError(f"{path}: not a Slicer markups file (it has no list 'markups').")
    if len(lists) != 1:
        raise ValueError(f"{path}: expected one list of points, not {len(lists)}.")
    units, points = lists[0].get("coordinateUnits"), lists[0].get("controlPoints", [])
    if units and "mm" not in str(units):  # a word, or a code with its meaning
        raise ValueError(f"{path}: coordinates must be in mm, not {shortened(str(units))}.")
    if not isinstance(points, list) or not all(isinstance(point, dict) for point in points):
        raise ValueError(f"{path}: not a Slicer markups file (controlPoints is not a list of points).")
    entries = []
    for point in points:
        is_defined = point.get("positionStatus", "defined") == "defined" and "position" in point
        entries.append((str(point.get("label", "")) if is_defined else None, point.get("position")))
    return str(lists[0].get("coordinateSystem", "LPS")), entries


def _fcsv_points(path: str | os.PathLike) -> tuple[str, list[Entry]]:
    """The same from lines of comma-separated values below a header of comments."""
    lines = read_text(path).splitlines()
    header = dict(line[1:].split("=", 1) for line in lines if line.startswith("#") and "=" in line)
    header = {name.strip(): value.strip() for name, value in header.items()}
    if FCSV_VERSION not in header or FCSV_SYSTEM not in header:
        raise ValueError(f"{path}: the file does not name its version and coordinate system, as Slicer 4 and later do.")
    entries = []
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        try:
            values = next(csv.reader([line]))
        except csv.Error as error:
            raise ValueError(f"{path}: a line is not readable as comma-separated values.") from error
        if len(values) <= FCSV_LABEL:
            raise ValueError(f"{path}: a line has {len(values)} values, but a point in an .fcsv file at least 12.")
        is_defined = len(values) <= FCSV_STATUS or values[FCSV_STATUS] in ("", FCSV_DEFINED)
        entries.append((values[FCSV_LABEL] if is_defined else None, values[FCSV_POSITION]))
    return header[FCSV_SYSTEM], entries


def _position(path: str | os.PathLike, number: int, position: Any) -> list[float]:
    try:
        values = [float(value) for value in position]
    except (TypeError, ValueError, OverflowError):
        values = []
    if len(values) != 3 or not all(map(math.isfinite, values)):
        raise ValueError(f"{path}: the position of point {number} is not three finite numbers.")
    return values
