"""Quick registrations with the same λ and μ everywhere in the image: what the paper asks its global network for."""

from __future__ import annotations

import torch

from ..deformation import integrate, resize
from ..progress import Job, Progress
from ..solvers.direct import DirectSolver, Stage, Step
from ..solvers.pyramid import Pyramid
from ..tissues import Lame

# The registrations end at the finest level that has at most this many voxels, by dimension...
MOST_VOXELS = {2: 20_000, 3: 300_000}
# ... and make this many steps there if they start from that of a neighbour.
NEIGHBOUR_STEPS = {2: 25, 3: 12}


class UniformRegistrations:
    """Registers a prepared pair again and again, each time from the last result; holds no state itself."""

    def __init__(self, solver: DirectSolver, pyramid: Pyramid) -> None:
        self._solver = solver
        self._pyramid = pyramid
        dimension = pyramid.pair.dimension
        self._settings = solver.settings(dimension)
        stages = sorted(self._settings.stages, key=lambda stage: -stage.factor)
        affordable = [stage for stage in stages
                      if pyramid.level(stage.factor).fixed.numel() <= MOST_VOXELS[dimension]] or stages[:1]
        last = affordable[-1]
        self._from_zero = tuple(affordable)
        self._from_neighbour = (Stage(last.factor, NEIGHBOUR_STEPS[dimension], last.weight),)

    def steps(self, from_zero: bool) -> int:
        """How many steps one registration takes."""
        return sum(stage.steps for stage in (self._from_zero if from_zero else self._from_neighbour))

    def register(self, lame: Lame, start: torch.Tensor | None) -> Job[torch.Tensor]:
        """The velocity for these parameters, found from that of a neighbour or, if None, from zero.

        Raises ArithmeticError if it is not finite.
        """
        stages = self._from_zero if start is None else self._from_neighbour
        velocity, done, total = start, 0, self.steps(start is None)
        for stage in stages:
            level = self._pyramid.level(stage.factor)
            maps = torch.full_like(level.fixed, lame.lam), torch.full_like(level.fixed, lame.mu)
            for progress in self._solver.descend(level, velocity, maps, stage, self._settings):
                yield Progress((done + progress.fraction * stage.steps) / total, progress.text)
                if isinstance(progress, Step):
                    velocity = progress.velocity
            done += stage.steps
        if not torch.isfinite(velocity).all():
            raise ArithmeticError("The deformation has values that are not finite.")
        return velocity

    def displacement(self, velocity: torch.Tensor) -> torch.Tensor:
        """(1, D, *working shape) in voxels of the working grid, on the device of the pyramid."""
        return resize(integrate(velocity, self._settings.integration_steps), self._pyramid.pair.labels.shape[2:])
