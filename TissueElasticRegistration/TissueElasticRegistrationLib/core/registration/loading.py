"""Importing what every registration needs, as a job, because it takes seconds the first time."""

from __future__ import annotations

from ..data.progress import Job, Progress

TEXT = "loading PyTorch"


def loading() -> Job[None]:
    """Import PyTorch and the registrar.

    Raises:
        Exception: Whatever a PyTorch that is broken raises.
    """
    yield Progress(0.0, TEXT)
    import torch

    yield Progress(0.5, TEXT)
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])  # the first optimizer imports as much again
    yield Progress(0.9, TEXT)
    from . import registrar  # noqa: F401
