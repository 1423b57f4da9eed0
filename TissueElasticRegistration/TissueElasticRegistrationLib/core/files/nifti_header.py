"""What ITK does not say about a NIfTI or Analyze file: voxels silently read as zeros, unusable numbers replaced.

Measured with ITK 5.4: a truncated file is read without an error, its missing voxels are 0, and so are voxels that are
NaN or infinite; voxel sizes and scales that are NaN, and sizes that are 0, become 1; a negative number of voxels
becomes 1; a singular or sheared sform is replaced by the qform where there is one, and refused otherwise; the voxel
sizes are taken from pixdim also where those of the sform are other ones. What ITK reads Slicer shows in the same place.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..data.geometry import flip_ras_lps

HEADER_BYTES, NIFTI_2_HEADER_BYTES = 348, 540
SINGLE_FILE, PAIR_OF_FILES = b"n+1\0", b"ni1\0"
SINGLE_FILE_ENDINGS = (".nii", ".nii.gz")
FIRST_VOXEL = 352  # the earliest place in a single file: header and four bytes
SKEW_ALLOWED = 1e-3  # the same as `Geometry` allows
SKEW_ALLOWED_BY_ITK = 5e-5
SIZE_TOLERANCE = 1e-3  # relative, between the voxel sizes of pixdim and sform
CHUNK_BYTES = 1 << 20
FLOAT_TYPES = {16: "f4", 64: "f8"}  # NIfTI data type codes
BITS_OF_TYPES = {1: 1, 2: 8, 4: 16, 8: 32, 16: 32, 32: 64, 64: 64, 128: 24, 256: 8, 512: 16, 768: 32, 1024: 64}
BITS_OF_TYPES |= {1280: 64, 1536: 128, 1792: 128, 2048: 256, 2304: 32}


@dataclass(frozen=True)
class NiftiInspection:
    """What was found in a file.

    Attributes:
        fault: What is wrong with it as the end of a sentence; None if there is nothing or it is another kind of file.
        axes_lps: 3x3, columns i, j, k: the nearest perpendicular axes where those of the file are so slightly sheared
            that they are allowed here and not by ITK; None where ITK reads them.
    """

    fault: str | None = None
    axes_lps: np.ndarray | None = None


def inspect_nifti(path: Path) -> NiftiInspection:
    """Look for faults that ITK does not tell.

    Args:
        path: An existing file of any kind. Of a pair (.hdr and .img) either.

    Raises:
        OSError: The file cannot be read.
    """
    header_path, voxels_path = _files(path)
    try:
        with _opened(header_path) as stream:
            header = stream.read(HEADER_BYTES)
            order = _byte_order(header)
            if order is None:
                is_nifti_2 = header[:4] in (struct.pack(mark, NIFTI_2_HEADER_BYTES) for mark in ("<i", ">i"))
                return NiftiInspection(_NIFTI_2 if is_nifti_2 else None)
            fault = _fault_of_kind(path, header, order) or _fault_of_header(header, order)
            if fault is None and voxels_path == header_path:
                fault = _fault_of_voxels(stream, header, order)
        if fault is None and voxels_path != header_path:
            if not voxels_path.is_file():
                return NiftiInspection(f"is a header whose voxels, {voxels_path.name}, are missing")
            with _opened(voxels_path) as stream:
                fault = _fault_of_voxels(stream, header, order)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        fault = "is incomplete or damaged: its compressed data ends early or is corrupt"
    if fault is not None:
        return NiftiInspection(fault)
    return NiftiInspection(axes_lps=_axes_of_sheared_sform(header, order))


def nan_voxels(path: Path) -> np.ndarray | None:
    """Which voxels of a file are NaN: ITK reads them as 0.

    Args:
        path: A file of any kind in which `inspect_nifti` has found no fault.

    Returns:
        (N,) bool in the order of the file (i fastest); None if it is no NIfTI-1 or Analyze file of floating point
        numbers.
    """
    if path.is_dir():
        return None
    header_path, voxels_path = _files(path)
    with _opened(header_path) as stream:
        header = stream.read(HEADER_BYTES)
    order = _byte_order(header)
    data_type = None if order is None else int(_numbers(header, order, "h", 70)[0])
    if data_type not in FLOAT_TYPES:
        return None
    with _opened(voxels_path) as stream:
        _to_first_voxel(stream, header, order)
        values = stream.read(_voxel_bytes(header, order))
    return np.isnan(np.frombuffer(values, order + FLOAT_TYPES[data_type]))


_NIFTI_2 = "is a NIfTI-2 file, which is not supported; convert it to NIfTI-1"


def _files(path: Path) -> tuple[Path, Path]:
    """The file with the header and the file with the voxels; both are ``path`` unless it is one of a pair."""
    name = path.name.removesuffix(".gz")
    if not name.endswith((".hdr", ".img")):
        return path, path
    found = []
    for ending in (".hdr", ".img"):
        plain = path.with_name(name[:-4] + ending)
        packed = plain.with_name(plain.name + ".gz")
        found.append(packed if packed.is_file() and not plain.is_file() else plain)
    header, voxels = found
    return (header, voxels) if header.is_file() else (path, path)


def _opened(path: Path) -> BinaryIO:
    with open(path, "rb") as stream:
        is_gzip = stream.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if is_gzip else open(path, "rb")


def _byte_order(header: bytes) -> str | None:
    """ "<" or ">"; None for what is no header of NIfTI-1 or Analyze."""
    if len(header) < HEADER_BYTES:
        return None
    return next((order for order in "<>" if header[:4] == struct.pack(order + "i", HEADER_BYTES)), None)


def _is_analyze(header: bytes) -> bool:
    return header[344:348] not in (SINGLE_FILE, PAIR_OF_FILES)


def _fault_of_kind(path: Path, header: bytes, order: str) -> str | None:
    """Fault of what says where the voxels are: the file's name, the magic word, the place of the first voxel."""
    if not path.name.endswith(SINGLE_FILE_ENDINGS):
        return None
    if header[344:348] != SINGLE_FILE:
        return "is called .nii, but its header is not that of a single NIfTI file"
    first_voxel = _numbers(header, order, "f", 108)[0]
    if not FIRST_VOXEL <= first_voxel < 2**31:
        return f"has an unusable place of its first voxel in the header (vox_offset {first_voxel:g})"
    return None


def _fault_of_header(header: bytes, order: str) -> str | None:
    """Fault of sizes and scale and, where the header declares them as used, of the sform and qform."""
    dimensions = _numbers(header, order, "8h", 40).astype(int)
    if not 1 <= dimensions[0] <= 7:
        return f"has {dimensions[0]} dimensions in its header"
    sizes = dimensions[1 : 1 + dimensions[0]]
    if sizes.min() < 1:
        return f"has {sizes.min()} voxels along one axis in its header"
    data_type = int(_numbers(header, order, "h", 70)[0])
    if data_type not in BITS_OF_TYPES:
        return f"has voxels of an unknown data type (code {data_type})"
    voxel_mm = _numbers(header, order, "8f", 76)[1:4][: len(sizes)]
    voxel_mm = voxel_mm[sizes[:3] > 1]
    if not np.all(np.isfinite(voxel_mm)) or np.any(voxel_mm == 0):
        return f"has unusable voxel sizes in its header ({', '.join(f'{size:g}' for size in voxel_mm)} mm)"
    if _is_analyze(header):
        return None
    slope, intercept = _numbers(header, order, "2f", 112)
    if not np.all(np.isfinite([slope, intercept])):
        return f"has an intensity scale that is not finite (scl_slope {slope:g}, scl_inter {intercept:g})"
    qform_code, sform_code = _numbers(header, order, "2h", 252)
    if qform_code > 0 and not np.all(np.isfinite(_numbers(header, order, "6f", 256))):
        return "has a position in space (qform) that is not finite"
    if sform_code > 0:
        return _fault_of_sform(_sform(header, order), voxel_mm, sizes)
    return None


def _fault_of_sform(sform: np.ndarray, voxel_mm: np.ndarray, sizes: np.ndarray) -> str | None:
    """Fault of an sform (3, 4): not finite, singular, sheared, or of other voxel sizes than ``voxel_mm``."""
    if not np.all(np.isfinite(sform)):
        return "has a direction matrix (sform) that is not finite"
    lengths = np.linalg.norm(sform[:, :3], axis=0)
    directions = sform[:, :3] / np.maximum(lengths, 1e-30)
    if lengths.min() <= 1e-30 or abs(np.linalg.det(directions)) < 1e-6:
        return "has a singular direction matrix (sform): its voxel axes do not span space"
    skew = _skew(sform)
    if skew > SKEW_ALLOWED:
        return f"has a sheared direction matrix (sform): its voxel axes are not perpendicular (skew {skew:.3f})"
    of_sform = lengths[: len(sizes)][sizes[:3] > 1]
    if np.any(np.abs(of_sform - np.abs(voxel_mm)) > SIZE_TOLERANCE * of_sform):
        pixdim, other = (" x ".join(f"{size:g}" for size in found) for found in (np.abs(voxel_mm), of_sform))
        return f"has contradictory voxel sizes in its header ({pixdim} mm in pixdim, {other} mm in sform)"
    return None


def _axes_of_sheared_sform(header: bytes, order: str) -> np.ndarray | None:
    """The nearest perpendicular axes (3x3) of a sheared sform without a qform that ITK would take instead."""
    qform_code, sform_code = _numbers(header, order, "2h", 252)
    if _is_analyze(header) or sform_code <= 0 or qform_code > 0:
        return None
    sform = _sform(header, order)
    if _skew(sform) <= SKEW_ALLOWED_BY_ITK:
        return None
    u, _, v = np.linalg.svd(sform[:, :3] / np.linalg.norm(sform[:, :3], axis=0))
    return flip_ras_lps((u @ v).T).T


def _sform(header: bytes, order: str) -> np.ndarray:
    return _numbers(header, order, "12f", 280).reshape(3, 4)


def _skew(sform: np.ndarray) -> float:
    """Largest cosine between two different axes, or error of their length."""
    directions = sform[:, :3] / np.linalg.norm(sform[:, :3], axis=0)
    return float(np.abs(directions.T @ directions - np.eye(3)).max())


def _fault_of_voxels(stream: BinaryIO, header: bytes, order: str) -> str | None:
    """Read to the last voxel the header promises, which for compressed data also checks that it is intact."""
    data_type = int(_numbers(header, order, "h", 70)[0])
    _to_first_voxel(stream, header, order)
    missing = _voxel_bytes(header, order)
    while missing > 0:
        chunk = stream.read(min(CHUNK_BYTES, missing))
        if not chunk:
            return "is incomplete: it ends before its last voxel"
        if data_type in FLOAT_TYPES and _any_infinite(chunk, np.dtype(order + FLOAT_TYPES[data_type])):
            return "contains values that are not finite numbers (infinity)"
        missing -= len(chunk)
    stream.read(1)  # reaching the end makes gzip compare its check sum
    return None


def _to_first_voxel(stream: BinaryIO, header: bytes, order: str) -> None:
    first_voxel = _numbers(header, order, "f", 108)[0]
    stream.seek(int(first_voxel) if 0 <= first_voxel < 2**31 else 0)


def _voxel_bytes(header: bytes, order: str) -> int:
    """How many bytes the voxels take."""
    dimensions = _numbers(header, order, "8h", 40).astype(int)
    voxels = int(np.prod(dimensions[1 : 1 + dimensions[0]].astype(object)))
    return (voxels * BITS_OF_TYPES[int(_numbers(header, order, "h", 70)[0])] + 7) // 8


def _any_infinite(chunk: bytes, dtype: np.dtype) -> bool:
    return bool(np.any(np.isinf(np.frombuffer(chunk, dtype, len(chunk) // dtype.itemsize))))


def _numbers(header: bytes, order: str, layout: str, offset: int) -> np.ndarray:
    return np.array(struct.unpack_from(order + layout, header, offset), np.float64)
