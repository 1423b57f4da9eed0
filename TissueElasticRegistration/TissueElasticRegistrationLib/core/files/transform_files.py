"""Transforms in files, as an initial alignment."""

from __future__ import annotations

import os

import SimpleITK as sitk

from .file_names import require_utf8


def read_transform(path: str | os.PathLike) -> sitk.Transform:
    """An initial alignment from a file.

    Args:
        path: A 3D transform from fixed to moving LPS mm in any format ITK reads (.h5, .tfm, .txt, .mat).

    Raises:
        ValueError: Naming the file: it is missing, no transform, not three-dimensional, or its name is not UTF-8.
    """
    require_utf8(path)
    if not os.path.isfile(path):
        raise ValueError(f"{path}: file not found (--initial must be auto, none, rigid, or a transform file).")
    try:
        transform = sitk.ReadTransform(os.fspath(path))
    except RuntimeError as error:
        raise ValueError(f"{path}: not a readable transform file.") from error
    if transform.GetDimension() != 3:
        raise ValueError(f"{path}: the transform has {transform.GetDimension()} dimensions, not 3.")
    return transform
