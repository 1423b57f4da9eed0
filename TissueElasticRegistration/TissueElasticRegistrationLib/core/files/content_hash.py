"""What is in a file, as a short text: equal texts, equal content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

HEADERS = {".mhd", ".nhdr", ".hdr", ".img"}  # whose voxels lie in other files, or whose header does
MAX_HEADER_BYTES = 1_000_000


def content_hash(path: str | os.PathLike) -> str | None:
    """SHA-256 of all bytes that are read with a file: of a folder all its files, of a header those that belong to it.

    Args:
        path: A file or a folder.

    Returns:
        The hash in hexadecimal digits; None if something cannot be read.
    """
    total = hashlib.sha256()
    try:
        for file in _read_with(Path(path)):
            with open(file, "rb") as stream:
                total.update(hashlib.file_digest(stream, "sha256").digest())
    except OSError:
        return None
    return total.hexdigest()


def _read_with(path: Path) -> Iterator[Path]:
    """A file and those that belong to it, in a fixed order; never a device or a pipe, which have no end."""
    if path.is_dir():
        yield from (file for file in sorted(path.rglob("*")) if file.is_file())
        return
    if not path.is_file():
        raise FileNotFoundError(path)
    yield path
    if path.suffix.lower() in HEADERS:
        with open(path, "rb") as stream:
            text = stream.read(MAX_HEADER_BYTES)
        for other in sorted(path.parent.iterdir()):
            is_part = other.stem == path.stem or os.fsencode(other.name) in text
            if other != path and is_part and other.is_file():
                yield other
