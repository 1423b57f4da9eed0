"""What a figure needs of ``batch.csv``, the table of the command ``batch``."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from TissueElasticRegistrationLib.core.physics.parameter_scale import SCALES, LogScale, ParameterScale

NEEDED = ("subject", "status", "tissue", "lambda", "mu", "estimated", "flat")
STIFFNESS = tuple(f"shear_modulus_ratio{end}" for end in ("", "_low", "_high", "_supported"))
TRUTHS = {"true": True, "false": False, "": False}


@dataclass(frozen=True)
class Dot:
    """λ and μ that were estimated for one tissue of one subject.

    Attributes:
        subject: Name of the subject.
        tissue: Name of the tissue.
        lam: λ.
        mu: μ.
        flat: Whether the images hardly determine them.
    """

    subject: str
    tissue: str
    lam: float
    mu: float
    flat: bool


@dataclass(frozen=True)
class Stiffness:
    """Shear modulus ratio of one tissue of one subject with its interval.

    Attributes:
        subject: Name of the subject.
        tissue: Name of the tissue.
        value: NaN where nothing is said at all.
        low: Lower end of the interval.
        high: Its upper end, infinite where it has none.
        supported: Whether the deformation determines it.
    """

    subject: str
    tissue: str
    value: float
    low: float
    high: float
    supported: bool

    @property
    def is_reference(self) -> bool:
        """Whether it is what the others are compared with."""
        return self.value == self.low == self.high == 1


@dataclass(frozen=True)
class BatchTable:
    """What a figure needs of one table.

    Attributes:
        name: What the figure calls it.
        dots: Tissues with estimated λ and μ.
        stiffness: Empty if the table has none.
        scale: Of λ and μ.
        subjects: Names of those that were registered.
        failed: Names of those that were not.
    """

    name: str
    dots: tuple[Dot, ...]
    stiffness: tuple[Stiffness, ...]
    scale: ParameterScale
    subjects: tuple[str, ...]
    failed: tuple[str, ...]


def read_table(path: str | Path, scale: str | None = None) -> BatchTable:
    """Read one table; rows without a finite λ and μ are left out.

    Args:
        path: Of the csv file.
        scale: "log" or "paper"; None to find it from the values.

    Raises:
        ValueError: Naming file and line: it cannot be used.
    """
    path = Path(path)
    rows = _rows(path)
    done = [(line, row) for line, row in rows if row["status"] == "done"]
    numbers = [(_number(path, line, row, "lambda"), _number(path, line, row, "mu")) for line, row in done]
    dots = tuple(
        Dot(row["subject"], row["tissue"], lam, mu, _truth(path, line, row, "flat"))
        for (line, row), (lam, mu) in zip(done, numbers, strict=True)
        if _truth(path, line, row, "estimated") and math.isfinite(lam) and math.isfinite(mu)
    )
    if not dots:
        raise ValueError(f"{path}: the table has no estimated λ and μ; the command batch writes them with --estimate.")
    finite = [value for pair in numbers for value in pair if math.isfinite(value)]
    return BatchTable(
        path.absolute().parent.name if path.stem == "batch" else path.stem,
        dots,
        _stiffness(path, done),
        _fitting_scale(path, finite) if scale is None else SCALES[scale],
        tuple(dict.fromkeys(row["subject"] for _, row in done)),
        tuple(dict.fromkeys(row["subject"] for _, row in rows if row["status"] != "done")),
    )


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, restkey="", restval="")
            rows = [(reader.line_num, {title: str(value).strip() for title, value in row.items()}) for row in reader]
            titles = reader.fieldnames or []
    except OSError as error:
        raise ValueError(f"{path}: the file cannot be read ({error.strerror}).") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: not a readable CSV file.") from error
    missing = [title for title in NEEDED if title not in titles]
    if missing:
        raise ValueError(f"{path}: this is no table of the command batch, the column '{missing[0]}' is missing.")
    return rows


def _stiffness(path: Path, rows: list[tuple[int, dict[str, str]]]) -> tuple[Stiffness, ...]:
    if not rows or any(title not in rows[0][1] for title in STIFFNESS):
        return ()
    found = []
    for line, row in rows:
        value, low, high = (_number(path, line, row, title) for title in STIFFNESS[:3])
        is_told = math.isfinite(value) and value > 0
        if is_told or row[STIFFNESS[3]]:
            found.append(
                Stiffness(
                    row["subject"],
                    row["tissue"],
                    value if is_told else math.nan,
                    low if low > 0 else 0.0,
                    high if math.isfinite(high) else math.inf,
                    is_told and _truth(path, line, row, STIFFNESS[3]),
                )
            )
    return tuple(found) if any(math.isfinite(row.value) for row in found) else ()


def _fitting_scale(path: Path, values: list[float]) -> ParameterScale:
    """Air alone tells: its weight is at the lower end of either range, and the ends are apart."""
    log, paper = LogScale(), SCALES["paper"]
    scale = paper if max(values) <= paper.highest and min(values) < log.lowest * (1 - 1e-4) else log
    outside = [value for value in values if not scale.lowest * (1 - 1e-4) <= value <= scale.highest * (1 + 1e-4)]
    if outside:
        raise ValueError(f"{path}: λ and μ up to {max(values):g} cannot be of the same scale as {min(values):g}.")
    return scale


def _number(path: Path, line: int, row: dict[str, str], title: str) -> float:
    """Not a number where nothing is written."""
    try:
        return float(row[title] or "nan")
    except ValueError as error:
        raise ValueError(f"{path}, line {line}: '{row[title]}' in column {title} is not a number.") from error


def _truth(path: Path, line: int, row: dict[str, str], title: str) -> bool:
    try:
        return TRUTHS[row[title].lower()]
    except KeyError as error:
        raise ValueError(f"{path}, line {line}: '{row[title]}' in column {title} is neither True nor False.") from error
