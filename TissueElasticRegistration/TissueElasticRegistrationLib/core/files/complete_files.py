"""Files that are written completely or raise an error. SimpleITK alone does not see to that on a full disk.

Measured with ITK 5.4: a ``.nii.gz`` is cut off without an error, and an ``.h5`` ends the process.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path

import SimpleITK as sitk

NIFTI_HEADER_BYTES = 352
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_volume(volume: sitk.Image, path: str | os.PathLike) -> None:
    """Write a volume, compressed where the format supports it.

    Args:
        volume: What to write.
        path: Where; the ending decides the format.

    Raises:
        OSError: The file could not be written completely.
    """
    try:
        sitk.WriteImage(volume, str(path), useCompression=True)
    except RuntimeError as error:
        raise _incomplete(path) from error
    if str(path).endswith(".nii.gz"):
        voxel_bytes = volume.GetSizeOfPixelComponent() * volume.GetNumberOfComponentsPerPixel()
        _require_gzip(Path(path), NIFTI_HEADER_BYTES + volume.GetNumberOfPixels() * voxel_bytes)


def require_space(folder: str | os.PathLike, size_bytes: int) -> None:
    """Check that a file of this size can be written.

    Args:
        folder: Where it will be written.
        size_bytes: Its size.

    Raises:
        OSError: There is not enough space, or a quota or limit forbids it.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size_bytes)
            elif shutil.disk_usage(folder).free < size_bytes:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            if error.errno in NO_SPACE:
                raise OSError(error.errno, error.strerror, str(folder)) from error


def _require_gzip(path: Path, size_bytes: int) -> None:
    """Raise OSError unless a gzip file ends with the size of its content, as all complete ones do."""
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - 4))
        ending = file.read()
    if int.from_bytes(ending, "little") != size_bytes % 2**32:
        raise _incomplete(path)


def _incomplete(path: str | os.PathLike) -> OSError:
    return OSError(errno.EIO, "the file could not be written completely", str(path))
