"""Quick registrations at a coarser level, for the grid with the same λ and μ everywhere: what the paper asks its global
network for.
"""

from __future__ import annotations

import torch

from ..data.progress import Job, part_of
from ..data.tissues import Lame, TissueParameters
from ..physics.deformation import integrate, resize
from ..preparation.pyramid import Level, Pyramid
from ..registration.solution import DirectSettings, Stage
from ..registration.solver import Solver
from ..registration.velocities import zero_velocity

# Number of voxels of the level at which the registrations end, by dimension. The finest level is left out if the next
# one still has enough: there, Dice rewards the softest parameters, which fit the noise best. On 2D phantoms of 2 mm the
# deformation inside the tissues is wrong by 1.1 mm with the parameters found at 2 mm, and by 0.75 mm with those found
# at 4 mm (by 0.7 and 0.5 mm when ties go to the start value); the Dice of the final registration is the same.
MIN_VOXELS = {2: 2_000, 3: 30_000}
MAX_VOXELS = {2: 20_000, 3: 300_000}
# Steps of a registration that starts from that of a neighbor. Measured with 5 x 5 points against registrations from
# zero at the same level: on ten 2D phantoms (40 tissues) the best points have the same μ (0.03 points higher) and λ
# (0.1 lower) on average and are worse by 0.0005 in Dice, in a quarter of the time; on 3D phantoms also 0.0005.
NEIGHBOR_STEPS = {2: 20, 3: 12}


class CoarseRegistration:
    """Registers a prepared pair at a coarser level, again and again, each time from the last result; without state.

    Args:
        solver: Whose stages and settings are used.
        pyramid: Of the prepared pair.
    """

    def __init__(self, solver: Solver, pyramid: Pyramid) -> None:
        self._solver = solver.refiner
        self._pyramid = pyramid
        dimension = pyramid.pair.dimension
        self._settings = self._solver.settings(dimension)
        self._from_zero = _coarse_enough(self._solver.stages(pyramid), pyramid)
        last = self._from_zero[-1]
        self._from_neighbor = (Stage(last.factor, NEIGHBOR_STEPS[dimension], last.weight),)

    def steps(self, from_zero: bool) -> int:
        """How many steps one registration takes."""
        return sum(stage.steps for stage in (self._from_zero if from_zero else self._from_neighbor))

    @property
    def finest(self) -> tuple[Level, Stage, DirectSettings]:
        """Where the registrations end."""
        stage = self._from_neighbor[0]
        return self._pyramid.level(stage.factor), stage, self._settings

    def register(self, lame: Lame | TissueParameters, start: torch.Tensor | None) -> Job[torch.Tensor]:
        """Register with these parameters.

        Args:
            lame: The same everywhere, or those of every tissue.
            start: Velocity of a registration with similar parameters; None for zero, which takes more steps.

        Returns:
            The velocity (1, D, *velocity shape of the level).

        Raises:
            ArithmeticError: If the velocity is not finite.
        """
        parameters = TissueParameters({}, default=lame) if isinstance(lame, Lame) else lame
        maps = self._pyramid.parameter_maps(parameters)
        stages = self._from_zero if start is None else self._from_neighbor
        velocity, done, total = start, 0, self.steps(start is None)
        for stage in stages:
            level = self._pyramid.level(stage.factor)
            if start is None:
                job = self._solver.stage(self._pyramid, velocity, lambda: maps, stage, self._settings)
            else:  # so few steps that a comparison would take as long
                job = self._solver.descend(level, velocity, level.parameter_maps(*maps), stage, self._settings)
            velocity = yield from part_of(job, done / total, (done + stage.steps) / total)
            done += stage.steps
        if velocity is None:
            velocity = zero_velocity(self._pyramid.level(stages[-1].factor))
        if not torch.isfinite(velocity).all():
            raise ArithmeticError("The deformation has values that are not finite.")
        return velocity

    def displacement(self, velocity: torch.Tensor) -> torch.Tensor:
        """(1, D, *working shape) in voxels of the working grid, on the device of the pyramid."""
        return resize(integrate(velocity, self._settings.integration_steps), self._pyramid.pair.labels.shape[2:])


def _coarse_enough(stages: tuple[Stage, ...], pyramid: Pyramid) -> tuple[Stage, ...]:
    """The stages without the fine ones that are too costly, or too sensitive to noise."""
    dimension = pyramid.pair.dimension
    kept = list(stages)
    while len(kept) > 1:
        finest, next_one = (pyramid.level(stage.factor).fixed.numel() for stage in (kept[-1], kept[-2]))
        is_noisy = len(kept) == len(stages) and next_one >= MIN_VOXELS[dimension]
        if not is_noisy and finest <= MAX_VOXELS[dimension]:
            break
        kept.pop()
    return tuple(kept)
