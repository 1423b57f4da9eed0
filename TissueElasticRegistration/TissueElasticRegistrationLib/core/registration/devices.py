"""Where to compute: the CPU, or a graphics card if torch can use one, and why."""

from __future__ import annotations

from typing import NamedTuple

import torch

DEVICES = ("auto", "cpu", "cuda")


class DeviceChoice(NamedTuple):
    """A torch device, and why it was taken.

    Attributes:
        device: The device.
        reason: One sentence.
    """

    device: torch.device
    reason: str


def choose_device(wanted: str = "auto") -> DeviceChoice:
    """The device to compute on.

    Args:
        wanted: "auto", "cpu" or "cuda".

    Raises:
        ValueError: For other words, and for "cuda" where torch has no usable graphics card.
    """
    if wanted not in DEVICES:
        raise ValueError(f"Unknown device '{wanted}'; choose one of {', '.join(DEVICES)}.")
    if wanted == "cpu":
        return DeviceChoice(torch.device("cpu"), "Using the CPU, as selected.")
    problem = cuda_problem()
    if problem is None:
        return DeviceChoice(torch.device("cuda"), f"Using the GPU {torch.cuda.get_device_name()}.")
    if wanted == "cuda":
        raise ValueError(f"The GPU cannot be used: {problem}.")
    return DeviceChoice(torch.device("cpu"), f"Using the CPU: {problem}.")


def cuda_problem() -> str | None:
    """Why torch cannot compute on a graphics card, in a few words; None if it can."""
    if torch.version.cuda is None:
        return "this PyTorch build has no GPU support"
    if not torch.cuda.is_available():
        return "PyTorch found no CUDA GPU with a working driver"
    return None
