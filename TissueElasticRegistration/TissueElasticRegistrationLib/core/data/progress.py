"""Long work as generators: each yields `Progress` after a bounded step and returns its result at the end.

A console exhausts the generator, a panel steps it, cancel means to stop asking. Nothing here knows of threads or Qt.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True)
class Progress:
    """``fraction`` of the job in [0, 1] that is done, and in a few words what is going on."""

    fraction: float
    text: str


Job = Generator[Progress, None, Result]


def finish(job: Job[Result], report: Callable[[Progress], None] | None = None) -> Result:
    """Run a job to its end, telling ``report`` every step, and return its result."""
    while True:
        try:
            progress = next(job)
        except StopIteration as end:
            return end.value
        if report is not None:
            report(progress)


def part_of(job: Job[Result], begin: float, end: float, text: str | None = None) -> Job[Result]:
    """The same job as a part of a longer one: its fractions 0 to 1 become ``begin`` to ``end``.

    text: what is going on in the longer one, instead of the job's own words.
    """
    while True:
        try:
            progress = next(job)
        except StopIteration as stop:
            return stop.value
        yield Progress(begin + (end - begin) * progress.fraction, text or progress.text)


def part_as_it_is(job: Job[Result], begin: float, end: float) -> Job[Result]:
    """Like `part_of`, but the steps stay of their kind, with all that they carry."""
    while True:
        try:
            progress = next(job)
        except StopIteration as stop:
            return stop.value
        yield replace(progress, fraction=begin + (end - begin) * progress.fraction)
