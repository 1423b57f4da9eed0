"""Slicer's developer button Reload imports only the module file anew; the library must follow."""

from __future__ import annotations

import sys

LIBRARY = __name__.partition(".")[0]


def forget_library() -> None:
    """Let the next import read all files of the library from disk."""
    for name in [name for name in sys.modules if name == LIBRARY or name.startswith(f"{LIBRARY}.")]:
        del sys.modules[name]
