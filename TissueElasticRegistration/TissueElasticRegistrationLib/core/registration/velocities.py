"""Velocities between resolutions: (1, D, *shape) in voxels of their own grid, channels in the order of the axes."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..physics.deformation import integrate, resize
from ..preparation.pyramid import Level
from .solution import DirectSettings, Maps


def zero_velocity(level: Level) -> torch.Tensor:
    """No deformation.

    Args:
        level: On whose velocity grid.
    """
    return torch.zeros(1, len(level.shape), *level.velocity_shape, device=level.fixed.device)


def velocity_on(level: Level, velocity: torch.Tensor) -> torch.Tensor:
    """A velocity on the velocity grid and the device of a level.

    Args:
        level: The resolution.
        velocity: At any resolution.
    """
    return resize(velocity.to(level.fixed.device), level.velocity_shape)


def displacement_on(level: Level, velocity: torch.Tensor, settings: DirectSettings) -> torch.Tensor:
    """The displacement of a velocity, (1, D, *shape of the level) in voxels of the level.

    Args:
        level: The resolution.
        velocity: At any resolution.
        settings: Say how a velocity is integrated.
    """
    return resize(integrate(velocity_on(level, velocity), settings.integration_steps), level.shape)


def with_detail(coarse: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
    """A velocity found on a coarser grid, with what a finer one of before had and that grid cannot hold.

    Args:
        coarse: The velocity found, (1, D, *shape) in voxels of its grid.
        fine: The one of before, in voxels of its own grid.

    Returns:
        A velocity on the finer one of the two grids.
    """
    fine = fine.detach().to(coarse.device)
    if fine.numel() <= coarse.numel():
        return coarse
    return fine + resize(coarse - resize(fine, coarse.shape[2:]), fine.shape[2:])


def maps_on(level: Level, maps: Callable[[], Maps]) -> Callable[[], Maps]:
    """What ``maps`` says, on a level; made anew only when it changes.

    Args:
        level: The resolution.
        maps: Λ and Γ on the working grid.
    """
    made: list = [None, None]

    def level_maps() -> Maps:
        current = maps()
        if made[0] is not current:
            made[:] = current, level.parameter_maps(*current)
        return made[1]

    return level_maps
