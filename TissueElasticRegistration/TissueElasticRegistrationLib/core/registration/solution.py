"""What solvers take and return: stages and settings, the steps on the way, and the solution at the end."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..data.progress import Progress
from ..data.result import ObjectiveValues

Maps = tuple[torch.Tensor, torch.Tensor]  # Λ and Γ, each (1, 1, *shape)


@dataclass(frozen=True)
class Stage:
    """Optimizer steps at one resolution.

    Attributes:
        factor: Image voxels are this many times larger than those of the working grid, see `Pyramid.level`.
        steps: Number of steps.
        weight: Factor on the energy.
        rate: Part of the learning rate of the settings.
        smoothing: How often the control grid is smoothed.
    """

    factor: int
    steps: int
    weight: float = 1.0
    rate: float = 1.0
    smoothing: int = 1


@dataclass(frozen=True)
class DirectSettings:
    """How the objective is minimized.

    Attributes:
        stages: Those of a registration from zero, the coarsest first.
        learning_rate: Of Adam, in voxels of the velocity grid per step.
        final_rate: The part of the learning rate that is left at the end of each stage.
        integration_steps: Squarings that make the displacement from a velocity, see `integrate`.
    """

    stages: tuple[Stage, ...]
    learning_rate: float = 0.15
    final_rate: float = 1.0
    integration_steps: int = 5


@dataclass(frozen=True, eq=False)
class Step(Progress):
    """The state after one optimizer step.

    Attributes:
        velocity: (1, D, *velocity shape of the level) in voxels of that grid.
        objective: J before the step, at the step's level.
    """

    velocity: torch.Tensor
    objective: float


@dataclass(frozen=True, eq=False)
class Solution:
    """A registration on the working grid, from fixed to moving, without the initial alignment. Tensors on the CPU.

    Attributes:
        velocity: (1, D, *velocity shape of the full level) in voxels of that grid.
        displacement: (1, D, *working shape) in voxels of the working grid, the integrated velocity.
        objective_values: What the displacement achieves.
        notes: What a user should know about how it was found, one sentence each.
    """

    velocity: torch.Tensor
    displacement: torch.Tensor
    objective_values: ObjectiveValues
    notes: tuple[str, ...] = ()
