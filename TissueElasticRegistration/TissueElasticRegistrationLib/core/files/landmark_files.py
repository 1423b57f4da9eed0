"""Corresponding landmarks from a csv file."""

from __future__ import annotations

import csv
import os

import numpy as np

from ..data.geometry import flip_ras_lps
from ..data.images import Landmarks

COLUMNS = ("fixed_x", "fixed_y", "fixed_z", "moving_x", "moving_y", "moving_z")
NAME_COLUMN = "name"


def read_landmarks(path: str | os.PathLike) -> Landmarks:
    """Corresponding landmarks of two images from a csv file.

    Args:
        path: A file whose header names fixed_x, fixed_y, fixed_z, moving_x, moving_y and moving_z in any order (LPS
            mm), and optionally ``name``.

    Returns:
        The landmarks in RAS mm; without names they are numbered from 1.

    Raises:
        ValueError: Naming the file: missing, not readable, columns missing, a value that is no finite number, no rows.
    """
    rows = _rows(path)
    names = []
    points_lps_mm = np.empty((len(rows), 6))
    for n, (line, row) in enumerate(rows):
        names.append((row.get(NAME_COLUMN) or str(n + 1)).strip())
        for column, title in enumerate(COLUMNS):
            points_lps_mm[n, column] = _number(row[title], title, line, path)
    points_ras_mm = flip_ras_lps(points_lps_mm.reshape(-1, 2, 3))
    return Landmarks(points_ras_mm[:, 0], points_ras_mm[:, 1], tuple(names))


def _rows(path: str | os.PathLike) -> list[tuple[int, dict[str, str | None]]]:
    """The rows that are not blank, with their line numbers, by lower-case column titles."""
    if not os.path.exists(path):
        raise ValueError(f"{path}: file not found.")
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream)
            titles = [title.strip().lower() for title in next(reader, [])]
            lines = [(reader.line_num, row) for row in reader if any(value.strip() for value in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: not a readable CSV file.") from error
    missing = [title for title in COLUMNS if titles.count(title) != 1]
    if missing:
        raise ValueError(
            f"{path}: the header must contain the columns {', '.join(COLUMNS)} once each; "
            f"{', '.join(missing)} is missing or repeated."
        )
    if not lines:
        raise ValueError(f"{path}: the file contains no landmarks.")
    return [(number, dict(zip(titles, row + [None] * len(titles), strict=False))) for number, row in lines]


def _number(text: str | None, title: str, line: int, path: str | os.PathLike) -> float:
    try:
        value = float(text if text is not None else "")
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise ValueError(f"{path}, line {line}: {title} is '{text or ''}', not a finite number.")
    return value
