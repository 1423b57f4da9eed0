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
        raise ValueError(f"There is no device '{wanted}'; possible are {', '.join(DEVICES)}.")
    if wanted == "cpu":
        return DeviceChoice(torch.device("cpu"), "The CPU computes because it was chosen.")
    problem = cuda_problem()
    if problem is None:
        return DeviceChoice(torch.device("cuda"), f"The graphics card {torch.cuda.get_device_name()} computes.")
    if wanted == "cuda":
        raise ValueError(f"The graphics card cannot be used: {problem}.")
    return DeviceChoice(torch.device("cpu"), f"The CPU computes: {problem}.")


def cuda_problem() -> str | None:
    """Why torch cannot compute on a graphics card, in a few words; None if it can."""
    if torch.version.cuda is None:
        return "this PyTorch was built without support for graphics cards"
    if not torch.cuda.is_available():
        return "PyTorch finds no graphics card with CUDA and a working driver"
    return None
