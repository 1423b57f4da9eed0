"""The loss curve of a run as a table that any program reads."""

from __future__ import annotations

import csv
from pathlib import Path

FILE = "history.csv"


class History:
    """Rows of ``step,objective``.

    Args:
        folder: Of the run.
        step: Rows after this step are dropped: a run that resumes there writes them anew.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._path = folder / FILE
        known = [row for row in read_history(folder) if row[0] <= step]
        folder.mkdir(parents=True, exist_ok=True)
        with self._path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("step", "objective"), *known])

    def add(self, step: int, objective: float) -> None:
        """Append a row.

        Args:
            step: Steps done.
            objective: Of the last one.
        """
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow((step, repr(objective)))


def read_history(folder: Path) -> list[tuple[int, float]]:
    """All rows; none if there is no table yet."""
    path = folder / FILE
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [(int(step), float(objective)) for step, objective in list(csv.reader(file))[1:]]
