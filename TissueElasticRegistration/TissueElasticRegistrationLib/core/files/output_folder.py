"""Results are written completely or not at all, and never over an input."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .locked_folder import is_abandoned, locked

PREFIX = ".unfinished-"


@contextmanager
def output_folder(
    path: str | os.PathLike, replaces: Iterable[str] = (), inputs: Iterable[str | os.PathLike] = ()
) -> Iterator[Path]:
    """A place to write results to; they appear in the folder all together when the block ends without an error.

    After an error, an interrupt included, nothing is left behind, neither files nor folders, and what was in the folder
    is as it was. What a killed process left behind is removed by the next one.

    Args:
        path: The folder, made with its parents if it does not exist. Other files in it stay.
        replaces: File names that belong to these results; those left from an earlier run and not written now are
            removed, so that the folder never mixes two runs.
        inputs: Files that the results are made from.

    Yields:
        The folder to write to in the meantime.

    Raises:
        ValueError: At once, before the block runs: ``path`` cannot be created or written, one of ``replaces`` is the
            name of a folder there, or is one of ``inputs``.
    """
    folder, replaces = Path(path), set(replaces)
    refuse_inputs([folder / name for name in replaces], inputs)
    with _created(folder), _work_folder(folder) as work, locked(work):
        for name in sorted(replaces):
            _require_file(folder / name)
        _remove_abandoned(folder)
        new, old = work / "new", work / "old"
        new.mkdir()
        old.mkdir()
        try:
            yield new
        except OSError as error:
            if error.filename is not None:  # tell the name that the file was to have
                error.filename = str(error.filename).replace(str(new), str(folder))
            raise
        _replace(folder, new, old, replaces | {file.name for file in new.iterdir()})


def refuse_inputs(outputs: Iterable[str | os.PathLike], inputs: Iterable[str | os.PathLike]) -> None:
    """Check that no file is read and written.

    Args:
        outputs: Files that will be written or removed; they need not exist.
        inputs: Files that are read.

    Raises:
        ValueError: Naming the input that is also an output, by its path or by a link.
    """
    written = {identity for file in outputs for identity in _identities(file)}
    for file in inputs:
        if not written.isdisjoint(_identities(file)):
            raise ValueError(f"{file}: this input would be overwritten; choose another output folder.")


def _identities(file: str | os.PathLike) -> set[object]:
    """Everything by which two names of the same file are recognized."""
    identities: set[object] = {os.path.normcase(os.path.realpath(file))}
    if os.path.exists(file):
        status = os.stat(file)
        identities.add((status.st_dev, status.st_ino))
    return identities


def _replace(folder: Path, new: Path, old: Path, names: set[str]) -> None:
    """Move the files of these names out of the folder and those written into it; after an error all is as it was."""
    moved: list[tuple[Path, Path]] = []
    try:
        for name in sorted(names):
            _require_file(folder / name)
            for source, target in ((folder / name, old / name), (new / name, folder / name)):
                if os.path.lexists(source):
                    moved.append((source, target))  # noted before: an interrupt may come between
                    os.replace(source, target)
    except BaseException:
        for source, target in reversed(moved):
            if os.path.lexists(target) and not os.path.lexists(source):
                os.replace(target, source)
        raise


def _require_file(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        raise ValueError(f"{place}: this is a folder, in the place of a file that is to be written.")


@contextmanager
def _created(folder: Path) -> Iterator[None]:
    """The folder with its parents; after an error those that are new are removed again, as far as they are empty."""
    missing = [ancestor for ancestor in (folder, *folder.parents) if not os.path.lexists(ancestor)]
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise _unusable(folder, "a file has this name") from error
        except OSError as error:
            raise _unusable(folder, error.strerror or str(error)) from error
        yield
    except BaseException:
        for ancestor in missing:
            with suppress(OSError):
                ancestor.rmdir()
        raise


@contextmanager
def _work_folder(folder: Path) -> Iterator[Path]:
    """A new folder inside of the folder, so that moving is atomic, and only the folder itself need be writable."""
    try:
        work = Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder))
    except OSError as error:
        raise _unusable(folder, error.strerror or str(error)) from error
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _remove_abandoned(folder: Path) -> None:
    """Remove what killed processes have left, after putting back what they had taken out of the folder."""
    for work in folder.glob(f"{PREFIX}*"):
        if is_abandoned(work):
            for file in (work / "old").glob("*"):
                os.replace(file, folder / file.name)
            shutil.rmtree(work, ignore_errors=True)


def _unusable(folder: Path, reason: str) -> ValueError:
    return ValueError(f"{folder}: the output folder cannot be created or written ({reason}).")
