"""Results are written completely or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def output_folder(path: str | os.PathLike, replaces: Iterable[str] = ()) -> Iterator[Path]:
    """A place to write results to; they appear in the folder all together when the block ends without an error.

    After an error nothing is left behind, neither files nor folders.

    Args:
        path: The folder, made with its parents if it does not exist. Other files in it stay.
        replaces: File names that belong to these results; those left from an earlier run and not written now are
            removed, so that the folder never mixes two runs.

    Yields:
        The folder to write to in the meantime.

    Raises:
        ValueError: ``path`` cannot be created or written; at once, before the block runs.
    """
    folder = Path(path)
    created = _create(folder)
    try:
        # Inside of the folder, not beside it: moving is then atomic, and only the folder itself need be writable.
        work = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=folder))
    except OSError as error:
        _remove(created)
        raise _unusable(path, error) from error
    try:
        yield work
        written = sorted(work.iterdir())
        for file in written:
            os.replace(file, folder / file.name)
        for name in set(replaces) - {file.name for file in written}:
            (folder / name).unlink(missing_ok=True)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        _remove(created)
        raise
    work.rmdir()


def _create(folder: Path) -> list[Path]:
    """Make the folder with its parents and return those that are new, innermost first."""
    missing = [ancestor for ancestor in (folder, *folder.parents) if not ancestor.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _remove(missing)
        raise _unusable(folder, error) from error
    return missing


def _remove(folders: list[Path]) -> None:
    """Remove the given folders as far as they exist and are empty, innermost first."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            continue


def _unusable(path: str | os.PathLike, error: OSError) -> ValueError:
    return ValueError(f"{path}: the output folder cannot be created or written ({error.strerror or error}).")
