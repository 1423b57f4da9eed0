"""Text, json and csv from users' files, as other programs write them: any byte order mark, Excel's separators.

What does not parse is a ValueError that names the file, the line and the true reason; nothing is skipped or guessed.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import math
import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

MAX_TEXT_BYTES = 32_000_000
# The longer marks first: that of UTF-32 begins like that of UTF-16.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
EXCEL_SEPARATOR = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)  # a first line by which Excel tells itself
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?", re.IGNORECASE)
SHOWN_LETTERS = 60


def read_text(path: str | os.PathLike) -> str:
    """The content of a text file in UTF-8, or in UTF-16 or UTF-32 with a byte order mark.

    Args:
        path: The file.

    Returns:
        Its text without byte order mark, line ends as they are.

    Raises:
        ValueError: Naming the file: missing, a folder, empty, too large, or not text in one of these encodings.
    """
    if not os.path.exists(path):
        raise ValueError(f"{path}: file not found.")
    if os.path.isdir(path):
        raise ValueError(f"{path}: this is a folder, not a file.")
    try:
        with open(path, "rb") as stream:
            content = stream.read(MAX_TEXT_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path}: the file cannot be read ({error.strerror or error}).") from error
    if len(content) > MAX_TEXT_BYTES:
        raise ValueError(f"{path}: the file is larger than {MAX_TEXT_BYTES // 1_000_000} MB, too large for a text.")
    encoding = next((name for mark, name in BYTE_ORDER_MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a text file in UTF-8; save it as UTF-8 (in Excel: CSV UTF-8).") from error
    if "\0" in text:
        raise ValueError(f"{path}: not a text file in UTF-8 (UTF-16 needs a byte order mark).")
    if not text.strip():
        raise ValueError(f"{path}: the file is empty.")
    return text


def read_json(path: str | os.PathLike) -> Any:
    """The content of a json file.

    Args:
        path: The file.

    Raises:
        ValueError: Naming the file: as `read_text`, or it is not JSON, or an object names one key twice.
    """
    text = read_text(path)
    try:
        return json.loads(text, object_pairs_hook=_without_repetition)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise ValueError(f"{path}: the file is not valid JSON ({place}).") from error
    except RecursionError as error:
        raise ValueError(f"{path}: the file is not valid JSON (nested too deeply).") from error
    except _RepeatedKey as error:
        raise ValueError(f"{path}: the key '{shortened(error.args[0])}' occurs twice in one JSON object.") from error
    except ValueError as error:  # Python refuses to convert very long numbers
        raise ValueError(f"{path}: the file contains a number with too many digits.") from error


class Row(NamedTuple):
    """One row of a table.

    Attributes:
        line: Its line in the file, for messages.
        values: By lower-case column title, without surrounding blanks.
    """

    line: int
    values: dict[str, str]


@dataclass(frozen=True)
class Table:
    """The rows of a csv file that are not blank.

    Attributes:
        path: The file, for messages.
        separator: What stands between its columns.
        rows: In the order of the file.
    """

    path: str | os.PathLike
    separator: str
    rows: tuple[Row, ...]

    def number(self, row: Row, title: str) -> float:
        """A value as a number; a decimal comma is one where columns are not separated by commas.

        Args:
            row: Of this table.
            title: Of the column.

        Raises:
            ValueError: Naming file, line and column: it is no finite number.
        """
        text = row.values[title]
        if self.separator != "," and DECIMAL_COMMA.fullmatch(text):
            text = text.replace(",", ".")
        try:
            value = float(text) if "_" not in text else math.nan
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            hint = " (decimal commas need semicolons between the columns)" if DECIMAL_COMMA.fullmatch(text) else ""
            raise ValueError(
                f"{self.path}, line {row.line}: {title} is '{shortened(text)}', not a finite number{hint}."
            )
        return value


def read_table(path: str | os.PathLike, required: Collection[str], optional: Collection[str] | None = None) -> Table:
    """A csv file with a header; columns are separated by commas, or by semicolons or tabs as Excel does it.

    Args:
        path: The file.
        required: Lower-case titles of the columns that must be there.
        optional: Titles of those that may be there; None: any, such as notes.

    Raises:
        ValueError: Naming the file: as `read_text`; a column is missing, repeated or unknown; a row is longer or
            shorter than the header or has an open quotation mark; there are no rows.
    """
    text = read_text(path)
    told = EXCEL_SEPARATOR.match(text)
    body = text[told.end() :] if told else text
    first_line = next(line for line in body.splitlines() if line.strip()) if body.strip() else ""
    separator = told.group(1) if told else max(SEPARATORS, key=first_line.count)
    lines = _lines(path, body, separator, 1 if told else 0)
    if not lines:
        raise ValueError(f"{path}: the file has no header.")
    _, header = lines[0]
    titles = [title.casefold() for title in header]
    _check_titles(path, titles, separator, required, optional)
    rows = tuple(Row(line, _by_title(path, line, titles, values, separator)) for line, values in lines[1:])
    if optional is not None and any("" in row.values for row in rows):
        line = next(row.line for row in rows if "" in row.values)
        raise ValueError(f"{path}, line {line}: a value stands in a column without a title.")
    if not rows:
        raise ValueError(f"{path}: the file has a header but no rows.")
    return Table(path, separator, rows)


def shortened(text: str) -> str:
    """A text of a file as it can stand in a message: on one line, not too long, without control characters.

    Args:
        text: From a file.
    """
    plain = "".join(letter if letter.isprintable() else " " for letter in text[: SHOWN_LETTERS + 1])
    return plain if len(plain) <= SHOWN_LETTERS else plain[:SHOWN_LETTERS] + "…"


class _RepeatedKey(ValueError):
    """A JSON object names a key twice: one value would be lost."""


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _RepeatedKey(next(key for key in keys if keys.count(key) > 1))
    return found


def _lines(path: str | os.PathLike, text: str, separator: str, before: int) -> list[tuple[int, list[str]]]:
    """The values of all rows that are not blank, each with the number of its last line."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    found = []
    try:
        for row in reader:
            if any(value.strip() for value in row):
                found.append((reader.line_num + before, [value.strip() for value in row]))
    except csv.Error as error:
        line = reader.line_num + before
        raise ValueError(f"{path}, line {line}: a quotation mark is not closed or not around a whole value.") from error
    return found


def _check_titles(
    path: str | os.PathLike,
    titles: list[str],
    separator: str,
    required: Collection[str],
    optional: Collection[str] | None,
) -> None:
    missing = [title for title in required if title not in titles]
    repeated = sorted({title for title in titles if title and titles.count(title) > 1})
    unknown = [] if optional is None else [title for title in titles if title and title not in (*required, *optional)]
    if not (missing or repeated or unknown):
        return
    if missing:
        fault = f"lacks {', '.join(missing)}"
    elif repeated:
        fault = f"names {shortened(repeated[0])} more than once"
    else:
        fault = f"names the unknown column '{shortened(unknown[0])}' (known are {', '.join((*required, *optional))})"
    header = shortened(separator.join(titles))
    raise ValueError(
        f"{path}: the header '{header}', read with {SEPARATORS.get(separator, repr(separator))} between the "
        f"columns, {fault}."
    )


def _by_title(
    path: str | os.PathLike, line: int, titles: list[str], values: list[str], separator: str
) -> dict[str, str]:
    """The values of one row; empty ones beyond the header, as Excel leaves them, are no fault."""
    while len(values) > len(titles) and not values[-1]:
        values = values[:-1]
    if len(values) != len(titles):
        hint = (
            f"; put quotation marks around values that contain {SEPARATORS.get(separator, separator)}"
            if len(values) > len(titles)
            else ""
        )
        raise ValueError(f"{path}, line {line}: {len(values)} values for {len(titles)} columns{hint}.")
    return {title: value for title, value in zip(titles, values, strict=True) if title or value}
