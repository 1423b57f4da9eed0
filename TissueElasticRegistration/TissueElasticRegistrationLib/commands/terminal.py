"""Text for terminals and logs: whatever it holds, and whatever encoding they have."""

from __future__ import annotations

import codecs
import os
import sys

# What the texts of this program hold besides ASCII, where the encoding of the output lacks it.
SPELLED_OUT = {"λ": "lambda", "μ": "mu", "ν": "nu", "…": "...", "→": "->", "–": "-", "×": "x", "²": "^2", "±": "+-"}


def accept_any_output() -> None:
    """Let stdout and stderr spell out what their encoding lacks, as on Windows when the output goes to a file.

    What a service has started may have none: then nobody reads what is written.
    """
    codecs.register_error("spell-out", _spelled_out)
    sys.stdout, sys.stderr = (stream or open(os.devnull, "w") for stream in (sys.stdout, sys.stderr))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="spell-out")


def printable(text: str) -> str:
    """Text with an escape sequence for each character that is none to read, such as ESC in the name of a file.

    Args:
        text: A line.

    Example:
        >>> print(printable("scan" + chr(27) + "[31m of λ"))
        scan\\x1b[31m of λ
    """
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def one_line(text: object) -> str:
    """`printable` text without ends of lines.

    Args:
        text: What may have several lines, such as an error.
    """
    return printable(" ".join(str(text).split()))


def _spelled_out(error: UnicodeError) -> tuple[str, int]:
    missing = error.object[error.start : error.end]
    texts = (SPELLED_OUT.get(char) or char.encode("ascii", "backslashreplace").decode() for char in missing)
    return "".join(texts), error.end
