"""Names of files that ITK can be given."""

from __future__ import annotations

import os


def require_utf8(path: str | os.PathLike) -> None:
    """Check a name before ITK gets it: a name in another encoding ends the process there.

    Args:
        path: Of a file or folder.

    Raises:
        ValueError: Naming it.
    """
    if not is_utf8(os.fspath(path)):
        raise ValueError(f"{path}: the name is not UTF-8; rename the file or folder.")


def is_utf8(text: str) -> bool:
    """Whether a text from outside was UTF-8: Python keeps other bytes as characters that no encoding has."""
    return not any("\ud800" <= char <= "\udfff" for char in text)
