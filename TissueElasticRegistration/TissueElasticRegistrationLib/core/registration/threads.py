"""torch's thread count: how many threads a pair deserves, and set only while a step of a job runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ..data.progress import Job, Result, mapped


def thread_count(shape_kji: tuple[int, ...], spare: int = 0) -> int:
    """Threads for torch: one for a single slice, otherwise all processors that this process may use.

    In 2D the steps are so small that waiting for a second thread costs more than it brings.

    Args:
        shape_kji: Shape of the fixed image.
        spare: Processors left to others, such as a user interface.
    """
    if min(shape_kji) == 1:
        return 1
    # In a container or a batch job the process may use fewer processors than the computer has.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores - spare)


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Use ``count`` threads inside the block; None leaves the setting alone."""
    before = torch.get_num_threads()
    if count is not None and count != before:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


def with_threads(job: Job[Result], count: int | None) -> Job[Result]:
    """The same job, each of its steps run with some number of threads: between them, others find torch as it was.

    Args:
        job: What is done.
        count: torch threads; None leaves the setting alone.
    """
    return mapped(job, lambda progress: progress, around=lambda: torch_threads(count))
