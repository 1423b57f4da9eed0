"""torch's thread count, set and restored around every step of a job, so that a job changes nothing for others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ..data.progress import Job, Result


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
    """The same job, each of its steps run with ``count`` threads."""
    while True:
        with torch_threads(count):
            try:
                progress = next(job)
            except StopIteration as end:
                return end.value
        yield progress
