"""What ITK does not say about a NIfTI file: voxels silently read as zeros, unusable numbers in the header replaced.

Measured with ITK 5.4: a truncated ``.nii`` or ``.nii.gz`` is read without an error, its missing voxels are 0, and so
are voxels that are NaN or infinite in the file; NaN or zero voxel sizes become 1; a singular or sheared sform is
replaced by the qform where there is one.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

HEADER_BYTES = 348
SINGLE_FILE_MAGIC = b"n+1\0"
SKEW_ALLOWED = 1e-3  # the same as `Geometry` allows
CHUNK_BYTES = 1 << 20
FLOAT_TYPES = {16: "f4", 64: "f8"}  # NIfTI data type codes


def nifti_fault(path: Path) -> str | None:
    """What is wrong with a NIfTI-1 file.

    Args:
        path: An existing file of any kind.

    Returns:
        The fault as the end of a sentence; None if there is none or it is another kind of file.

    Raises:
        OSError: The file cannot be read.
    """
    opener = gzip.open if _is_gzip(path) else open
    try:
        with opener(path, "rb") as stream:
            header = stream.read(HEADER_BYTES)
            if header[344:348] != SINGLE_FILE_MAGIC:
                return None
            order = "<" if struct.unpack("<i", header[:4])[0] == HEADER_BYTES else ">"
            return _fault_of_header(header, order) or _fault_of_voxels(stream, header, order)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return "is incomplete or damaged: its compressed data ends early or is corrupt"


def nan_voxels(path: Path) -> np.ndarray | None:
    """Which voxels of a file are NaN: ITK reads them as 0.

    Args:
        path: A file of any kind without a `nifti_fault`.

    Returns:
        (N,) bool in the order of the file (i fastest); None if it is no NIfTI-1 file of floating point numbers.
    """
    with (gzip.open if _is_gzip(path) else open)(path, "rb") as stream:
        header = stream.read(HEADER_BYTES)
        if header[344:348] != SINGLE_FILE_MAGIC:
            return None
        order = "<" if struct.unpack("<i", header[:4])[0] == HEADER_BYTES else ">"
        data_type = int(_numbers(header, order, "h", 70)[0])
        if data_type not in FLOAT_TYPES:
            return None
        stream.read(max(int(_numbers(header, order, "f", 108)[0]) - HEADER_BYTES, 0))
        return np.isnan(np.frombuffer(stream.read(), order + FLOAT_TYPES[data_type]))


def _is_gzip(path: Path) -> bool:
    with open(path, "rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _fault_of_header(header: bytes, order: str) -> str | None:
    """Fault of the voxel sizes and, where the header declares them as used, of the sform and qform."""
    sizes = _numbers(header, order, "8h", 40)[1:4]
    voxel_mm = _numbers(header, order, "8f", 76)[1:4][sizes > 1]
    if not np.all(np.isfinite(voxel_mm)) or np.any(voxel_mm == 0):
        return f"has unusable voxel sizes in its header ({', '.join(f'{size:g}' for size in voxel_mm)} mm)"
    qform_code, sform_code = _numbers(header, order, "2h", 252)
    if qform_code > 0 and not np.all(np.isfinite(_numbers(header, order, "6f", 256))):
        return "has a position in space (qform) that is not finite"
    if sform_code > 0:
        return _fault_of_matrix(_numbers(header, order, "12f", 280).reshape(3, 4))
    return None


def _fault_of_matrix(sform: np.ndarray) -> str | None:
    """Fault of an sform (3, 4): not finite, singular or sheared."""
    if not np.all(np.isfinite(sform)):
        return "has a direction matrix (sform) that is not finite"
    lengths = np.linalg.norm(sform[:, :3], axis=0)
    directions = sform[:, :3] / np.maximum(lengths, 1e-30)
    if lengths.min() <= 1e-30 or abs(np.linalg.det(directions)) < 1e-6:
        return "has a singular direction matrix (sform): its voxel axes do not span space"
    skew = np.abs(directions.T @ directions - np.eye(3)).max()
    if skew > SKEW_ALLOWED:
        return f"has a sheared direction matrix (sform): its voxel axes are not perpendicular (skew {skew:.3f})"
    return None


def _fault_of_voxels(stream: BinaryIO, header: bytes, order: str) -> str | None:
    """Read to the last voxel the header promises, which for compressed data also checks that it is intact."""
    dimensions = _numbers(header, order, "8h", 40)
    voxels = int(np.prod(np.maximum(dimensions[1 : 1 + max(int(dimensions[0]), 0)], 1)))
    data_type, bits_per_voxel = (int(number) for number in _numbers(header, order, "2h", 70))
    first_voxel = int(_numbers(header, order, "f", 108)[0])
    stream.read(max(first_voxel - HEADER_BYTES, 0))
    missing = voxels * bits_per_voxel // 8
    while missing > 0:
        chunk = stream.read(min(CHUNK_BYTES, missing))
        if not chunk:
            return "is incomplete: it ends before its last voxel"
        if data_type in FLOAT_TYPES and _any_infinite(chunk, np.dtype(order + FLOAT_TYPES[data_type])):
            return "contains values that are not finite numbers (infinity)"
        missing -= len(chunk)
    stream.read(1)  # reaching the end makes gzip compare its check sum
    return None


def _any_infinite(chunk: bytes, dtype: np.dtype) -> bool:
    return bool(np.any(np.isinf(np.frombuffer(chunk, dtype, len(chunk) // dtype.itemsize))))


def _numbers(header: bytes, order: str, layout: str, offset: int) -> np.ndarray:
    return np.array(struct.unpack_from(order + layout, header, offset), np.float64)
