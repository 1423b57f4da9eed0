"""Formats without compression, of which ITK 5.4 reads the half of a file without an error; the rest is chance."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import SimpleITK as sitk

HEADER_BYTES = {".gipl": 256, ".mrc": 1024}  # at least
VTK_HEADER = re.compile(rb"(?s).{0,2000}?\n(ASCII|BINARY)\s.{0,4000}?\nLOOKUP_TABLE[^\n]*\n", re.IGNORECASE)
VTK_HEADER_BYTES = 6000
CHUNK_BYTES = 1 << 20


def lacks_voxels(path: Path, volume: sitk.Image) -> bool:
    """Whether a file ends before its last voxel, as far as ITK does not notice it itself.

    Args:
        path: A file in any format.
        volume: What ITK has read from it.

    Raises:
        OSError, EOFError, zlib.error: The file cannot be read, or its compressed data are damaged.
    """
    name = path.name.lower().removesuffix(".gz")
    values = volume.GetNumberOfPixels() * volume.GetNumberOfComponentsPerPixel()
    expected = values * volume.GetSizeOfPixelComponent()
    if name.endswith(tuple(HEADER_BYTES)):
        return _length(path) < HEADER_BYTES[name[name.rindex(".") :]] + expected
    if not name.endswith(".vtk"):
        return False
    with open(path, "rb") as stream:
        header = VTK_HEADER.match(stream.read(VTK_HEADER_BYTES))
        if header is None:
            return False
        if header[1].upper() == b"BINARY":
            return path.stat().st_size < header.end() + expected
        stream.seek(header.end())
        return len(stream.read().split()) < values


def _length(path: Path) -> int:
    if path.suffix.lower() != ".gz":
        return path.stat().st_size
    with gzip.open(path) as stream:
        return sum(len(chunk) for chunk in iter(lambda: stream.read(CHUNK_BYTES), b""))
