"""Following a slider: the deformation moves from where it is towards what new parameters want, and is shown on the way.

Large volumes start on a coarse level, where a step takes milliseconds. Taken alone, the coarse level would pull the
deformation towards its own blurred solution. So, as in MG/Opt (Nash 2000), its objective is tilted until the last
settled deformation is stationary for the parameters it was settled with: only the change of the parameters moves
anything. Coarse stages add a correction to the full velocity, fine detail stays.

With a network the change is what the network says of it, at once; where the objective disagrees, the steps above.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import torch

from .deformation import resize
from .geometry import Geometry
from .progress import Job, Progress
from .solvers.direct import DirectSolver, Maps, Stage, Step
from .solvers.pyramid import Pyramid
from .tissues import TissueParameters

# The first steps are taken on the finest level that has no more voxels: about 0.1 s for the first ones on one core.
FIRST_LEVEL_VOXELS = 80_000
COARSE_STEPS = 16
# Full resolution comes in rounds until one of them lowers J by less than CONVERGED. The first round moves far; Adam's
# steps do not shrink by themselves, so only smaller ones find what a small move of a slider changes.
FINE_STEPS = {2: 16, 3: 8}
FINE_RATES = (0.15, 0.04)  # of the first round and of the others
FINE_ROUNDS = 6
CONVERGED = 2e-4
FINAL_RATE = 0.3
# When to show: first after a few steps, as Adam's first ones are small; then about as often as people can see.
FIRST_FRAME_STEPS = 3
FRAME_INTERVAL_S = 0.05
WORSE_THAN_NOTHING = ("The network's answer was worse than no deformation: the direct solver registered from zero "
                      "instead.")
WORSE_THAN_BEFORE = "The network's answer did not fit this change of λ and μ: the direct solver followed it alone."


@dataclass(frozen=True, eq=False)
class Frame(Progress):
    """Something new to show.

    displacement_ras_mm: (K, J, I, 3) float32, RAS mm, on ``geometry``: fixed point x corresponds to moving point
    x + d(x), initial alignment included. jacobian_kji: determinant without the initial alignment, on ``geometry``.
    """

    displacement_ras_mm: np.ndarray
    geometry: Geometry
    jacobian_kji: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class _Settled:
    """``answer``: the solver's answer without steps for ``parameters``, once it was needed."""

    velocity: torch.Tensor
    parameters: TissueParameters
    answer: torch.Tensor | None = None


class LiveSolver:
    """Follows the parameters of one pair. ``velocity`` (1, D, *shape) is what was shown last, None before that.

    notes: what a user should know about what is shown, one sentence each.
    """

    def __init__(self, solver: DirectSolver, pyramid: Pyramid) -> None:
        self.velocity: torch.Tensor | None = None
        self.notes: tuple[str, ...] = ()
        self._solver = solver
        self._pyramid = pyramid
        self._settings = solver.settings(pyramid.pair.dimension)
        self._warm_settings = replace(self._settings, final_rate=FINAL_RATE)
        self._settled: _Settled | None = None

    def start_from(self, velocity: torch.Tensor, parameters: TissueParameters) -> None:
        """Take a finished registration with these parameters as what is shown now."""
        self.velocity = self._full(velocity.to(self._pyramid.device))
        self._settled = _Settled(self.velocity, parameters)

    def follow(self, parameters: TissueParameters) -> Job[None]:
        """Register from what was shown last, or from zero the first time. It may be dropped at any step.

        Yields Progress, and a `Step` with the velocity at full resolution whenever it is time to show it and at the
        end.
        """
        steps, shown, latest = 0, -float("inf"), None
        answer = self._solver.answer(self._pyramid, parameters)
        self.notes = self._solver.notes(self._pyramid, parameters)
        if answer is not None:
            steps, job = FIRST_FRAME_STEPS, self._from_answer(parameters, answer)
        else:
            job = self._by_steps(parameters)
        for progress in job:
            if not isinstance(progress, Step):
                yield progress
                continue
            steps, latest = steps + 1, progress
            if steps >= FIRST_FRAME_STEPS and time.perf_counter() - shown >= FRAME_INTERVAL_S:
                self.velocity = progress.velocity
                yield progress
                shown, latest = time.perf_counter(), None
        if latest is not None:
            self.velocity = latest.velocity
            yield latest
        self._settled = _Settled(self.velocity, parameters, answer)

    def _by_steps(self, parameters: TissueParameters) -> Job[None]:
        return self._from_zero(parameters) if self._settled is None else self._warm(parameters)

    def _from_answer(self, parameters: TissueParameters, answer: torch.Tensor) -> Job[None]:
        """The answer, or what it says of the change of the parameters, then rounds at full resolution.

        Steps alone where the deformation is better without it.
        """
        before = torch.zeros_like(answer)
        if self._settled is not None:
            if self._settled.answer is None:
                earlier = self._solver.answer(self._pyramid, self._settled.parameters)
                self._settled = replace(self._settled, answer=earlier)
            before = self._settled.velocity
            answer = before + (answer - self._settled.answer)
        if bool(answer.isfinite().all()):
            yield Step(0.0, "network", answer, float("nan"))
        maps = self._pyramid.parameter_maps(parameters)
        # On the finest level on which this takes no longer than a few steps.
        if self._solver.is_worse(self._pyramid, answer, before, maps, (self._coarse_factors() or [1])[0]):
            self.velocity = before
            self.notes += (WORSE_THAN_NOTHING if self._settled is None else WORSE_THAN_BEFORE,)
            yield from self._by_steps(parameters)
            return
        if self._settled is None:
            dimension = self._pyramid.pair.dimension
            factors = [stage.factor for stage in self._solver.refinement(COARSE_STEPS, dimension) if stage.factor > 1]
            answer = yield from self._on_coarse_levels(answer, maps, factors, tilted=False)
        yield from self._rounds(answer, maps)

    def _from_zero(self, parameters: TissueParameters) -> Job[None]:
        """The stages of a full registration, each shown as it goes."""
        maps = self._pyramid.parameter_maps(parameters)
        stages = self._settings.stages
        total = sum(stage.steps for stage in stages)
        done, velocity = 0, None
        for stage in stages:
            level = self._pyramid.level(stage.factor)
            for progress in self._solver.descend(level, velocity, level.parameter_maps(*maps), stage, self._settings):
                if isinstance(progress, Step):
                    done, velocity = done + 1, progress.velocity
                    yield replace(progress, fraction=done / total, velocity=self._full(velocity))
                else:
                    yield replace(progress, fraction=done / total)

    def _warm(self, parameters: TissueParameters) -> Job[None]:
        """Coarse stages first where the volume is large, then rounds at full resolution until J rests."""
        maps = self._pyramid.parameter_maps(parameters)
        velocity = yield from self._on_coarse_levels(self.velocity, maps, self._coarse_factors(), tilted=True)
        yield from self._rounds(velocity, maps)

    def _on_coarse_levels(self, velocity: torch.Tensor, maps: Maps, factors: list[int],
                          tilted: bool) -> Job[torch.Tensor]:
        """Coarse stages one after the other; returns the full velocity with all they changed.

        tilted: only what the change of the parameters asks for, not what differs from a level's own solution.
        """
        for number, factor in enumerate(factors):
            stage = self._stage(factor, COARSE_STEPS)
            for progress in self._corrected(velocity, maps, stage, self._tilt(stage) if tilted else None):
                yield replace(progress, fraction=0.5 * (number + progress.fraction) / len(factors))
                if isinstance(progress, Step):
                    corrected = progress.velocity
            velocity = corrected
        return velocity

    def _rounds(self, velocity: torch.Tensor, maps: Maps) -> Job[None]:
        """Full resolution until J rests; the last `Step` is the best of all, the start included."""
        stage = self._stage(1, FINE_STEPS[self._pyramid.pair.dimension])
        level = self._pyramid.level(1)
        best, before = None, float("inf")
        for number in range(FINE_ROUNDS):
            settings = replace(self._warm_settings, learning_rate=FINE_RATES[min(number, len(FINE_RATES) - 1)])
            for progress in self._solver.descend(level, velocity, maps, stage, settings):
                if isinstance(progress, Step):
                    if best is None or progress.objective < best.objective:
                        best = replace(progress, velocity=velocity)  # J was measured before the step
                    velocity = progress.velocity
                yield replace(progress, fraction=0.5 + 0.5 * (number + progress.fraction) / FINE_ROUNDS)
            if number + 1 >= len(FINE_RATES) and before - best.objective < CONVERGED:
                break
            before = best.objective
        yield replace(best, fraction=1.0)

    def _corrected(self, velocity: torch.Tensor, maps: Maps, stage: Stage,
                   tilt: torch.Tensor | None) -> Job[None]:
        """A coarse stage: what it changes is added to the full velocity, which keeps its detail."""
        level = self._pyramid.level(stage.factor)
        coarse = resize(velocity, level.velocity_shape)
        for progress in self._solver.descend(level, coarse, level.parameter_maps(*maps), stage, self._warm_settings,
                                             tilt):
            if isinstance(progress, Step):
                progress = replace(progress, velocity=velocity + self._full(progress.velocity - coarse))
            yield progress

    def _tilt(self, stage: Stage) -> torch.Tensor:
        """The gradient that the settled deformation has on a coarse level, with the parameters it was settled with."""
        level = self._pyramid.level(stage.factor)
        maps = level.parameter_maps(*self._pyramid.parameter_maps(self._settled.parameters))
        velocity = resize(self._settled.velocity, level.velocity_shape)
        return self._solver.gradient(level, velocity, maps, stage, self._warm_settings)

    def _coarse_factors(self) -> list[int]:
        """Factors of the levels above full resolution that a slider move goes through, the coarsest first."""
        voxels = self._pyramid.level(1).fixed.numel()
        pooled = sum(self._pyramid.pair.pooled_axes)
        factors = []
        while voxels / (factors[0] if factors else 1) ** pooled > FIRST_LEVEL_VOXELS and len(factors) < 3:
            factors.insert(0, 2 * (factors[0] if factors else 1))
        return factors

    def _stage(self, factor: int, steps: int) -> Stage:
        """Like the stage of a full registration at this level, with other steps."""
        weight = next((stage.weight for stage in self._settings.stages if stage.factor == factor), 1.0)
        return Stage(factor, steps, weight)

    def _full(self, velocity: torch.Tensor) -> torch.Tensor:
        return resize(velocity, self._pyramid.level(1).velocity_shape)
