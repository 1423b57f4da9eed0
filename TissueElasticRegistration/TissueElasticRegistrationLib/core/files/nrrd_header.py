"""What ends the process in the NRRD reader of ITK 5.4: header lines for which its messages have no room."""

from __future__ import annotations

from pathlib import Path

MAGIC = b"NRRD"
LONGEST_FIELD = 500  # bytes; fields have up to about 300, ITK ends the process with 1000 or more
LONGEST_LINE = 1_000_000  # bytes; pairs of key and value, such as those of Slicer's segments, may be long
MOST_LINES = 100_000


def nrrd_fault(path: Path) -> str | None:
    """What makes the header of an NRRD file unreadable.

    Args:
        path: An existing file of any kind.

    Returns:
        The fault as the end of a sentence; None if there is none or it is another kind of file.

    Raises:
        OSError: The file cannot be read.
    """
    with open(path, "rb") as stream:
        if stream.read(len(MAGIC)) != MAGIC:
            return None
        for number in range(1, MOST_LINES):
            line = stream.readline(LONGEST_LINE)
            if not line.strip(b"\r\n"):
                return None
            if len(line) > LONGEST_FIELD and not _may_be_long(line):
                return f"is damaged: line {number} of its header has more than {LONGEST_FIELD} letters"
    return "is damaged: its header does not end"


def _may_be_long(line: bytes) -> bool:
    """Whether this is a comment, a description, or a pair of key and value with ":=" between them."""
    separator = line.find(b":")
    is_pair = separator >= 0 and line[separator : separator + 2] == b":="
    return (is_pair and len(line) < LONGEST_LINE) or line.startswith((b"#", b"content:"))
