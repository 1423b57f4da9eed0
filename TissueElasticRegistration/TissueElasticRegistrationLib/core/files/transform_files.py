"""Transforms in files, as an initial alignment."""

from __future__ import annotations

import os

import SimpleITK as sitk


def read_transform(path: str | os.PathLike) -> sitk.Transform:
    """An initial alignment from a file.

    Args:
        path: A 3D transform from fixed to moving LPS mm in any format ITK reads (.h5, .tfm, .txt, .mat).

    Raises:
        ValueError: Naming the file: it is missing, no transform, or not three-dimensional.
    """
    if not os.path.isfile(path):
        raise ValueError(f"{path}: there is no such file (--initial is auto, none, rigid or a transform file).")
    try:
        transform = sitk.ReadTransform(os.fspath(path))
    except RuntimeError as error:
        raise ValueError(f"{path}: the file does not hold a transform that can be read.") from error
    if transform.GetDimension() != 3:
        raise ValueError(f"{path}: the transform has {transform.GetDimension()} dimensions, not 3.")
    return transform
