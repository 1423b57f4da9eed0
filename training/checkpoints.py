"""A run on disk: everything that is needed to go on as if it had never stopped."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from .config import TrainingConfig

LAST, BEST = "last.ckpt", "best.ckpt"
# What may differ when a run goes on; anything else would make it another run.
CHANGEABLE = {
    "output",
    "resume",
    "cache",
    "data",
    "sources",
    "simulated",
    "background",
    "steps",
    "decay_from",
    "validate_every",
    "patience",
    "picture_every",
    "log_every",
    "checkpoint_minutes",
    "accelerator",
    "devices",
    "strategy",
    "workers",
    "threads",
    "precision",
}


@dataclass(eq=False)
class State:
    """What changes while training.

    Attributes:
        model: The network, as the processes share it.
        optimizer: Its optimizer.
        step: Steps done.
        best: Lowest validation objective.
        waited: Validations since then.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0
    best: float = math.inf
    waited: int = 0


def save(fabric: Fabric, folder: Path, state: State, config: TrainingConfig, name: str = LAST) -> None:
    """Write a checkpoint; called by all processes. A run that is killed meanwhile leaves the earlier one intact.

    Args:
        fabric: The processes of the run.
        folder: Where checkpoints are.
        state: The state to store.
        config: The configuration of the run it belongs to.
        name: Of the file.
    """
    unfinished = folder / (name + ".part")
    fabric.save(
        unfinished,
        {
            "model": state.model,
            "optimizer": state.optimizer,
            "step": state.step,
            "best": state.best,
            "waited": state.waited,
            "config": dataclasses.asdict(config),
        },
    )
    if fabric.is_global_zero:
        unfinished.replace(folder / name)
    fabric.barrier()


def restore(fabric: Fabric, folder: Path, state: State, config: TrainingConfig) -> bool:
    """Fill a state from the last checkpoint, if there is one.

    Args:
        fabric: The processes of the run.
        folder: Where checkpoints are.
        state: The state to fill.
        config: The configuration of the run that goes on.

    Returns:
        Whether there was one.

    Raises:
        ValueError: It was written by a run with other settings.
    """
    path = folder / LAST
    if not path.exists():
        return False
    parts = {"model": state.model, "optimizer": state.optimizer}
    rest = fabric.load(path, parts, weights_only=True)
    _check(rest["config"], config, path)
    state.step, state.best, state.waited = rest["step"], rest["best"], rest["waited"]
    return True


def read_checkpoint(path: Path) -> dict[str, Any]:
    """All parts of a checkpoint, tensors on the CPU.

    Args:
        path: Of the file.

    Raises:
        ValueError: There is none.
    """
    if not path.exists():
        raise ValueError(f"{path}: there is no such checkpoint.")
    return torch.load(path, map_location="cpu", weights_only=True)


def _check(stored: dict, config: TrainingConfig, path: Path) -> None:
    wanted = dataclasses.asdict(config)
    other = [
        name for name, value in wanted.items() if name not in CHANGEABLE and name in stored and stored[name] != value
    ]
    if other:
        raise ValueError(
            f"{path} belongs to a run with other settings ({', '.join(other)}): choose another output "
            f"folder, or the same settings."
        )
