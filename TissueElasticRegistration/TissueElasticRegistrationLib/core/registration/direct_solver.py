"""The direct solver: multi-resolution optimization of the objective itself, without any network.

The unknown is a stationary velocity on a grid half as fine as the images of each level; scaling and squaring makes the
displacement from it, so the deformation stays invertible. The velocity is a smoothed control grid: Adam scales every
element by itself, and its raw steps tear at stiff tissue, which then hardly moves (3D thorax phantom, equal steps:
bone error 3.7 mm without and 1.8 mm with smoothing).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from ..data.progress import Job, Progress, part_of
from ..data.result import ObjectiveValues
from ..data.tissues import TissueParameters
from ..physics.deformation import integrate, resize, smoothed
from ..physics.objective import Objective, ObjectiveTerms
from ..preparation.pyramid import Level, Pyramid

Maps = tuple[torch.Tensor, torch.Tensor]
Candidate = tuple[torch.Tensor, float | None]  # a velocity and its J, if that is known


@dataclass(frozen=True)
class Stage:
    """Steps at one resolution: image voxels ``factor`` times the working grid's, the energy weighted by ``weight``.

    ``rate``: part of the settings' learning rate. ``smoothing``: how often the control grid is smoothed.
    """

    factor: int
    steps: int
    weight: float = 1.0
    rate: float = 1.0
    smoothing: int = 1


@dataclass(frozen=True)
class DirectSettings:
    """How the objective is minimized; ``learning_rate`` in voxels of the velocity grid per step (Adam).

    ``final_rate``: the part of the learning rate that is left at the end of each stage.
    """

    stages: tuple[Stage, ...]
    learning_rate: float = 0.15
    final_rate: float = 1.0
    integration_steps: int = 5


SETTINGS_2D = DirectSettings(stages=(Stage(8, 60), Stage(4, 60), Stage(2, 50), Stage(1, 60)))
# Fine 3D levels have noise to fit and little to gain: the weights grow and the steps shrink towards them.
SETTINGS_3D = DirectSettings(stages=(Stage(8, 60), Stage(4, 60), Stage(2, 50, 2.0), Stage(1, 15, 2.0)), final_rate=0.3)
# A new Adam knows no gradient sizes yet and would take full steps everywhere: it starts with small ones.
WARM_UP_STEPS = 4
# What a step takes besides its voxels' time, as a number of voxels; for the progress.
STEP_VOXELS = 20_000
# Adam's steps do not shrink by themselves near the minimum. In 2D a registration ends so near to it that refining
# needs much smaller ones from the first step on; in 3D it ends before.
REFINING_RATES = {2: 0.1, 3: 1.0}
REFINING_FINAL_RATE = 0.3


@dataclass(frozen=True, eq=False)
class Step(Progress):
    """The state after one optimizer step: ``velocity`` (1, D, *velocity shape of the level) in voxels of that grid.

    ``objective``: J before the step, at the step's level.
    """

    velocity: torch.Tensor
    objective: float


@dataclass(frozen=True, eq=False)
class Solution:
    """``velocity`` (1, D, *velocity shape), ``displacement`` (1, D, *working shape); voxels of their own grids, on the
    CPU. ``notes``: what a user should know about how it was found, one sentence each.
    """

    velocity: torch.Tensor
    displacement: torch.Tensor
    objective_values: ObjectiveValues
    notes: tuple[str, ...] = ()


class DirectSolver:
    """Minimizes an `Objective` for one pair; holds no state between calls.

    ``settings``: one for every dimension; None for the defaults of 2D and 3D.
    """

    name = "direct"

    def __init__(self, objective: Objective | None = None, settings: DirectSettings | None = None) -> None:
        self.objective = objective or Objective()
        self._settings = settings

    def settings(self, dimension: int) -> DirectSettings:
        """The settings used for single slices (2) or volumes (3)."""
        return self._settings or (SETTINGS_2D if dimension == 2 else SETTINGS_3D)

    def refinement(self, steps: int, dimension: int) -> tuple[Stage, ...]:
        """Stages that improve a finished registration, with so many steps at full resolution."""
        return (Stage(1, steps, rate=REFINING_RATES[dimension]),)

    def usual_refinement(self, dimension: int) -> int:
        """For `refinement`: steps that a registration deserves if nobody says how many."""
        return 0

    def prepare(self, pyramid: Pyramid) -> None:
        """Make what registrations of the pair need and no parameter can change."""
        for stage in self.settings(pyramid.pair.dimension).stages:
            pyramid.level(stage.factor)

    def solve(
        self,
        pyramid: Pyramid,
        parameters: TissueParameters,
        start: torch.Tensor | None = None,
        stages: tuple[Stage, ...] | None = None,
        start_objective: float | None = None,
    ) -> Job[Solution]:
        """Register, one optimizer step at a time.

        start: velocity of an earlier solution of the same pair, at any resolution, for a warm start.
        stages: None for those of the settings.
        start_objective: J of the start for these parameters, if it is known already.

        A stage coarser than the start corrects it, if that lowers J on the next finer level, and keeps its detail.
        Stages that are asked for, for a start, never end with a higher objective than it had.
        """
        settings = self.settings(pyramid.pair.dimension)
        refining = start is not None and stages is not None
        if refining:
            settings = replace(settings, final_rate=min(settings.final_rate, REFINING_FINAL_RATE))
        stages = settings.stages if stages is None else stages
        maps = pyramid.parameter_maps(parameters)
        effort = [stage.steps * (pyramid.level(stage.factor).fixed.numel() + STEP_VOXELS) for stage in stages]
        shares = list(itertools.accumulate((part / max(1, sum(effort)) for part in effort), initial=0.0))
        velocity, candidates = start, [(start, start_objective)] if refining and stages else []
        for number, stage in enumerate(stages):
            level = pyramid.level(stage.factor)
            job = self.descend(level, velocity, level.parameter_maps(*maps), stage, settings)
            if refining and (stage.factor, stage.weight) == (1, 1.0):
                job = _noting_best(job, velocity, candidates)
            found = yield from part_of(job, shares[number], shares[number + 1])
            found = found if velocity is None else with_detail(found, velocity)
            # A coarse level has a minimum of its own: what is good on finer ones already is not given up for it.
            if (
                refining
                and velocity is start
                and stage.factor > 1
                and not self._lower(pyramid.level(max(1, stage.factor // 2)), found, start, maps, settings)
            ):
                continue
            velocity = found
        steps = sum(stage.steps for stage in stages)
        return self._solution(pyramid, [(velocity, None), *candidates], maps, settings, steps)

    def descend(
        self,
        level: Level,
        start: torch.Tensor | None,
        maps: Maps | Callable[[], Maps],
        stage: Stage,
        settings: DirectSettings,
        tilt: torch.Tensor | None = None,
    ) -> Job[torch.Tensor]:
        """The steps of one stage, from a velocity at any resolution (None: zero); returns the velocity at its level.

        maps: Λ and Γ on the level, or a function that says what they are at each step.
        tilt: a linear term, J - <tilt, velocity> is minimized instead of J (see `live`).

        Yields twice in each step, a `Step` when it is complete: with large volumes, half of one takes a while already.
        Raises ArithmeticError if the objective is not finite any more.
        """
        from_zero = start is None
        velocity = (
            torch.zeros(1, len(level.shape), *level.velocity_shape, device=level.fixed.device)
            if from_zero
            else resize(start.detach().to(level.fixed.device), level.velocity_shape)
        )
        control = torch.zeros_like(velocity, requires_grad=True)
        optimizer = torch.optim.Adam([control], lr=settings.learning_rate)
        for step in range(stage.steps):
            optimizer.param_groups[0]["lr"] = stage.rate * _step_size(settings, step, stage.steps)
            optimizer.zero_grad()
            with torch.enable_grad():
                current = velocity + _smoothed(control, stage.smoothing)
                step_maps = maps() if callable(maps) else maps
                total = self._terms(level, current, step_maps, settings, stage.weight, from_zero).total
                goal = total if tilt is None else total - (tilt * current).sum()
            objective = float(total.detach())
            _require_finite(objective)  # the derivative of sampling would end the whole process (torch 2.13, 2D)
            text = f"level 1/{stage.factor}, J = {objective:.4f}"
            yield Progress((step + 0.5) / stage.steps, text)
            goal.backward()
            optimizer.step()
            found = velocity + _smoothed(control.detach(), stage.smoothing)
            yield Step((step + 1) / stage.steps, text, found, objective)
        return velocity + _smoothed(control.detach(), stage.smoothing)

    def answer(self, pyramid: Pyramid, parameters: TissueParameters) -> torch.Tensor | None:
        """A velocity for the full level that takes no steps; a direct solver has none."""
        return None

    def notes(self, pyramid: Pyramid, parameters: TissueParameters) -> tuple[str, ...]:
        """What a user should know about using this solver for a pair, one sentence each."""
        return ()

    @torch.no_grad()
    def value(self, level: Level, velocity: torch.Tensor, maps: Maps, settings: DirectSettings) -> float:
        """The objective of a velocity on its level's grid."""
        return float(self.total(level, velocity, maps, settings))

    def total(
        self, level: Level, velocity: torch.Tensor, maps: Maps, settings: DirectSettings, weight: float = 1.0
    ) -> torch.Tensor:
        """The objective of a velocity on its level's grid, the energy times ``weight``; differentiable by all."""
        return self._terms(level, velocity, maps, settings, weight).total

    @torch.no_grad()
    def is_worse(
        self, pyramid: Pyramid, velocity: torch.Tensor, than: torch.Tensor, maps: Maps, factor: int = 1
    ) -> bool:
        """Whether a velocity has a higher objective than another one on the level with this factor; see `is_higher`.

        maps: Λ and Γ on the working grid. Velocities at any resolution.
        """
        level, settings = pyramid.level(factor), self.settings(pyramid.pair.dimension)
        level_maps = level.parameter_maps(*maps)
        return is_higher(
            *(self.value(level, resize(one, level.velocity_shape), level_maps, settings) for one in (velocity, than))
        )

    def _lower(
        self, level: Level, found: torch.Tensor, start: torch.Tensor, maps: Maps, settings: DirectSettings
    ) -> bool:
        """Whether one velocity has a lower objective on a level than another."""
        level_maps = level.parameter_maps(*maps)
        objectives = [
            self.value(
                level, resize(velocity.detach().to(level.fixed.device), level.velocity_shape), level_maps, settings
            )
            for velocity in (found, start)
        ]
        return objectives[0] < objectives[1]

    def gradient(
        self, level: Level, velocity: torch.Tensor, maps: Maps, stage: Stage, settings: DirectSettings
    ) -> torch.Tensor:
        """Derivative of the stage's objective by a velocity on its level's grid; same shape."""
        with torch.enable_grad():
            velocity = velocity.detach().requires_grad_(True)
            total = self._terms(level, velocity, maps, settings, stage.weight).total
        return torch.autograd.grad(total, velocity)[0]

    def _terms(
        self,
        level: Level,
        velocity: torch.Tensor,
        maps: Maps,
        settings: DirectSettings,
        weight: float = 1.0,
        from_zero: bool = False,
    ) -> ObjectiveTerms:
        displacement = resize(integrate(velocity, settings.integration_steps), level.shape)
        return self._terms_of(level, displacement, maps, weight, from_zero)

    def _terms_of(
        self, level: Level, displacement: torch.Tensor, maps: Maps, weight: float = 1.0, from_zero: bool = False
    ) -> ObjectiveTerms:
        warped, valid = level.sampler(displacement, symmetric=from_zero)
        return self.objective.terms(
            level.fixed, warped, valid * level.fixed_mask, displacement, level.spacing_mm, *maps, weight=weight
        )

    @torch.no_grad()
    def objective_values(
        self, pyramid: Pyramid, displacement: torch.Tensor, parameters: TissueParameters, steps: int = 0
    ) -> ObjectiveValues:
        """What a displacement (1, D, *working shape) in voxels of the working grid achieves, wherever it comes from."""
        level, maps = pyramid.level(1), pyramid.parameter_maps(parameters)
        displacement = displacement.to(pyramid.device)
        after = self._terms_of(level, displacement, maps)
        before = self._terms_of(level, torch.zeros_like(displacement), maps)
        return _account(before, after, steps)

    @torch.no_grad()
    def _solution(
        self, pyramid: Pyramid, candidates: list[Candidate], maps: Maps, settings: DirectSettings, steps: int
    ) -> Solution:
        """The candidate with the lowest objective at full resolution, the first one of equals."""
        level = pyramid.level(1)
        best = None
        for candidate, objective in candidates:
            if best is not None and objective is not None and objective >= float(best[2].total):
                continue
            velocity = resize(candidate.to(level.fixed.device), level.velocity_shape)
            displacement = resize(integrate(velocity, settings.integration_steps), level.shape)
            terms = self._terms_of(level, displacement, maps)
            if best is None or float(terms.total) < float(best[2].total):
                best = velocity, displacement, terms
        velocity, displacement, after = best
        _require_finite(float(after.total))
        before = self._terms_of(level, torch.zeros_like(displacement), maps)
        return Solution(velocity.cpu(), displacement.cpu(), _account(before, after, steps))


def is_higher(objective: float, than: float) -> bool:
    """Whether J is higher than another one, or not even a number: how every answer of a network is refused."""
    return not objective <= than


def _noting_best(job: Job[torch.Tensor], start: torch.Tensor, candidates: list[Candidate]) -> Job[torch.Tensor]:
    """A stage whose best velocity on the way is appended to ``candidates``: near a minimum J goes up and down."""
    velocity, best, lowest = start, start, float("inf")
    while True:
        try:
            progress = next(job)
        except StopIteration as end:
            candidates.append((best, lowest))
            return end.value
        if isinstance(progress, Step):
            if progress.objective < lowest:
                best, lowest = velocity, progress.objective  # J was measured before the step
            velocity = progress.velocity
        yield progress


def with_detail(coarse: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
    """A velocity found on a coarser grid, with what a finer one of before had and that grid cannot hold."""
    fine = fine.detach().to(coarse.device)
    if fine.numel() <= coarse.numel():
        return coarse
    return fine + resize(coarse - resize(fine, coarse.shape[2:]), fine.shape[2:])


def _account(before: ObjectiveTerms, after: ObjectiveTerms, steps: int) -> ObjectiveValues:
    return ObjectiveValues(
        objective_before=float(before.total),
        objective_after=float(after.total),
        similarity_before=float(before.similarity),
        similarity_after=float(after.similarity),
        energy_after=float(after.energy),
        steps=steps,
    )


def _require_finite(objective: float) -> None:
    if not math.isfinite(objective):
        raise ArithmeticError(f"The registration has become unstable: the objective is {objective}.")


def _step_size(settings: DirectSettings, step: int, steps: int) -> float:
    """Warm-up, at most half of the stage, and cosine from the learning rate to its final part."""
    end = settings.learning_rate * settings.final_rate
    size = end + 0.5 * (settings.learning_rate - end) * (1 + math.cos(math.pi * step / steps))
    return size * min(1.0, (step + 1) / (min(WARM_UP_STEPS, max(1, steps // 2)) + 1))


def _smoothed(control: torch.Tensor, times: int) -> torch.Tensor:
    for _ in range(times):
        control = smoothed(control)
    return control
