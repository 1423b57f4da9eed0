"""Long work as generators: each yields `Progress` after a bounded step and returns its result at the end.

A console exhausts the generator, a panel steps it, cancel means to stop asking. Nothing here knows of threads or Qt.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from .geometry import Geometry

Result = TypeVar("Result")


@dataclass(frozen=True)
class Progress:
    """A step of a job.

    Attributes:
        fraction: How much of the job is done, in [0, 1].
        text: In a few words, what is going on.
    """

    fraction: float
    text: str


@dataclass(frozen=True, eq=False)
class Frame(Progress):
    """A deformation to show while a registration goes on.

    Attributes:
        displacement_ras_mm: (K, J, I, 3) float32, RAS mm, on ``geometry``: fixed point x corresponds to moving point
            x + d(x), initial alignment included.
        geometry: the grid of the frame, at most as fine as the working grid.
        jacobian_kji: (K, J, I) determinant without the initial alignment, on ``geometry``; None if not asked for.
    """

    displacement_ras_mm: np.ndarray
    geometry: Geometry
    jacobian_kji: np.ndarray | None = None


Job = Generator[Progress, None, Result]


def finish(job: Job[Result], report: Callable[[Progress], None] | None = None) -> Result:
    """Run a job to its end.

    Args:
        job: The generator to run.
        report: Called with every step.

    Returns:
        The result of the job.

    Example:
        >>> def count():
        ...     yield Progress(0.5, "halfway")
        ...     return 42
        >>> finish(count(), report=print)
        Progress(fraction=0.5, text='halfway')
        42
    """
    while True:
        try:
            progress = next(job)
        except StopIteration as end:
            return end.value
        if report is not None:
            report(progress)


def mapped(
    job: Job[Result],
    change: Callable[[Progress], Progress],
    around: Callable[[], AbstractContextManager] = nullcontext,
) -> Job[Result]:
    """The same job with other progress.

    Args:
        job: What is done.
        change: Makes the progress to yield from the job's own.
        around: Makes the context in which each step of the job runs.

    Yields:
        What ``change`` returns, for every step of the job.

    Returns:
        The result of the job.
    """
    while True:
        with around():
            try:
                progress = next(job)
            except StopIteration as end:
                return end.value
        yield change(progress)


def part_of(job: Job[Result], begin: float, end: float, text: str | None = None) -> Job[Result]:
    """The same job as a part of a longer one.

    Args:
        job: The part.
        begin: Fraction of the longer job at which the part begins: its own 0.
        end: Fraction of the longer job at which the part ends: its own 1.
        text: What is going on in the longer job, instead of the part's own words.

    Yields:
        The steps of the part as plain `Progress` of the longer job.

    Returns:
        The result of the part.
    """
    return mapped(job, lambda progress: Progress(begin + (end - begin) * progress.fraction, text or progress.text))


def part_as_it_is(job: Job[Result], begin: float, end: float) -> Job[Result]:
    """Like `part_of`, but the steps stay of their kind, with all that they carry.

    Args:
        job: The part.
        begin: Fraction of the longer job at which the part begins: its own 0.
        end: Fraction of the longer job at which the part ends: its own 1.

    Yields:
        The steps of the part, their fraction being that of the longer job.

    Returns:
        The result of the part.
    """
    return mapped(job, lambda progress: replace(progress, fraction=begin + (end - begin) * progress.fraction))
