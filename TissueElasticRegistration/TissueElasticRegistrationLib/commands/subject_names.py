"""The subjects of a list: each is a folder of its own, on every computer."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

LONGEST_BYTES = 255
NOT_ALLOWED = '/\\:*?"<>|'
# Of Windows, with any ending.
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}


def named_subjects(rows: Iterable[tuple[int, str]], taken: str) -> Iterator[str]:
    """The names of the subjects, ``subject-001`` and so on for those that have none.

    Args:
        rows: Number of the line and given name, "" for none.
        taken: Name of a file that lies beside the folders.

    Raises:
        ValueError: Naming the line: the name is none for a folder, or another line has it.
    """
    rows = list(rows)
    lines: dict[str, tuple[int, str]] = {}
    for line, name in rows:
        if name:
            reason = _problem(name, taken)
            if reason:
                raise ValueError(f"line {line}: the subject '{name}' cannot be the name of a folder: {reason}.")
            if _key(name) in lines:
                other, same = lines[_key(name)]
                as_what = "" if same == name else f" as '{same}', which many computers take for the same folder"
                raise ValueError(f"line {line}: the subject '{name}' is already in line {other}{as_what}.")
            lines[_key(name)] = line, name
    number = 0
    for _line, name in rows:
        number += 1
        while not name and f"subject-{number:03d}" in lines:
            number += 1
        yield name or f"subject-{number:03d}"


def _key(name: str) -> str:
    """Equal for names that some file systems do not tell apart."""
    return unicodedata.normalize("NFC", name).casefold()


def _problem(name: str, taken: str) -> str | None:
    """Why a name cannot be that of a folder, as the end of a sentence."""
    wrong = [char for char in name if char in NOT_ALLOWED or not char.isprintable()]
    if wrong:
        return f"it contains {wrong[0]!r}"
    if name.startswith("."):
        return "it begins with a dot"
    if name.endswith("."):
        return "it ends with a dot"
    if len(name.encode()) > LONGEST_BYTES:
        return f"it is longer than {LONGEST_BYTES} bytes"
    if _key(name) == _key(taken):
        return "the table of all subjects has this name"
    if name.partition(".")[0].casefold().strip() in DEVICES:
        return "Windows reserves it for a device"
    return None
