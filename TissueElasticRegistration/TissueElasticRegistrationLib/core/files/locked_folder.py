"""A folder that is in use as long as the process lives: the system frees its lock file however the process ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be removed: being open is the lock
    fcntl = None

LOCK = "lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Mark a folder as in use during the block.

    On a file system without locks the folder is not marked: `is_abandoned` then never says yes.

    Args:
        folder: An existing folder without a file of the name ``LOCK``.
    """
    if fcntl is None:
        with open(folder / LOCK, "xb"):
            yield
        return
    unlocked = folder / f"un{LOCK}ed"
    with open(unlocked, "xb") as file:
        if _lock(file):
            unlocked.rename(folder / LOCK)  # only now others may look at it
        yield


def is_abandoned(folder: Path) -> bool:
    """Whether the process that has marked a folder is no longer there. False for a folder that was never marked.

    Args:
        folder: Any path.
    """
    lock = folder / LOCK
    try:
        if fcntl is None:
            lock.unlink()
            return True
        with open(lock, "r+b") as file:
            return _lock(file)
    except OSError:
        return False


def _lock(file: BinaryIO) -> bool:
    """Lock an open file until it is closed; False if somebody else holds the lock, or it cannot be locked."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
