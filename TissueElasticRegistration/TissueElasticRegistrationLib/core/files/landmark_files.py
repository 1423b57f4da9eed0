"""Corresponding landmarks from a csv file, or from two lists of points as Slicer saves them."""

from __future__ import annotations

import os

import numpy as np

from ..data.geometry import flip_ras_lps
from ..data.images import Landmarks
from ..data.landmark_pairs import landmarks_of_lists
from .markup_files import is_markup_file, read_markups
from .text_files import read_table

COLUMNS = ("fixed_x", "fixed_y", "fixed_z", "moving_x", "moving_y", "moving_z")
NAME_COLUMN = "name"


def read_landmarks(path: str | os.PathLike, moving_path: str | os.PathLike | None = None) -> Landmarks:
    """Corresponding landmarks of two images.

    Args:
        path: A csv file whose header names fixed_x, fixed_y, fixed_z, moving_x, moving_y and moving_z in any order (LPS
            mm), and optionally ``name``; other columns are ignored. Or the points of the fixed image as .mrk.json or
            .fcsv.
        moving_path: Those of the moving image; only with .mrk.json or .fcsv files, whose points are paired by
            `counterparts`.

    Returns:
        The landmarks in RAS mm; those of a csv without names are numbered from 1.

    Raises:
        ValueError: Naming the file: missing, not readable, columns missing, a value that is no finite number, no
            points, a file for the moving image missing or not needed, or lists that do not correspond.
    """
    if moving_path is not None:
        return _of_markups(path, moving_path)
    if is_markup_file(path):
        raise ValueError(f"{path}: these are points of one image; --moving-landmarks must name those of the other.")
    return _of_table(path)


def _of_markups(path: str | os.PathLike, moving_path: str | os.PathLike) -> Landmarks:
    for file in (path, moving_path):
        if not is_markup_file(file):
            raise ValueError(
                f"{file}: with --moving-landmarks, points of each image are expected as .mrk.json or .fcsv."
            )
    fixed, moving = read_markups(path), read_markups(moving_path)
    try:
        return landmarks_of_lists(fixed.points_ras_mm, fixed.labels, moving.points_ras_mm, moving.labels)
    except ValueError as error:
        raise ValueError(f"{path} and {moving_path}: the points do not correspond: {error}.") from error


def _of_table(path: str | os.PathLike) -> Landmarks:
    table = read_table(path, COLUMNS)
    points_lps_mm = np.array([[table.number(row, title) for title in COLUMNS] for row in table.rows])
    names = tuple(row.values.get(NAME_COLUMN) or str(n) for n, row in enumerate(table.rows, start=1))
    points_ras_mm = flip_ras_lps(points_lps_mm.reshape(-1, 2, 3))
    return Landmarks(points_ras_mm[:, 0], points_ras_mm[:, 1], names)
