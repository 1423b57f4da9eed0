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
from dataclasses import replace

import torch

from ..data.progress import Job, Progress, mapped, part_of
from ..data.result import ObjectiveValues
from ..data.tissues import TissueParameters
from ..physics.deformation import integrate, resize, smoothed
from ..physics.objective import Objective, ObjectiveTerms
from ..preparation.pyramid import Level, Pyramid
from .solution import DirectSettings, Maps, Solution, Stage, Step

Candidate = tuple[torch.Tensor, float | None]  # a velocity and its J, if that is known

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


class DirectSolver:
    """A `Solver` that minimizes its objective by optimizer steps; holds no state between calls.

    Args:
        objective: What is minimized; None for the elastic energy on the logarithmic scale.
        settings: One for every dimension; None for the defaults of 2D and 3D.
    """

    name = "direct"
    network = None

    def __init__(self, objective: Objective | None = None, settings: DirectSettings | None = None) -> None:
        self.objective = objective or Objective()
        self._settings = settings

    @property
    def refiner(self) -> DirectSolver:
        """The solver itself."""
        return self

    def settings(self, dimension: int) -> DirectSettings:
        """The settings used for single slices (2) or volumes (3)."""
        return self._settings or (SETTINGS_2D if dimension == 2 else SETTINGS_3D)

    def refinement(self, steps: int, dimension: int) -> tuple[Stage, ...]:
        """See `Solver.refinement`: one stage at full resolution.

        Args:
            steps: Number of steps.
            dimension: 2 for single slices, 3 for volumes.
        """
        return (Stage(1, steps, rate=REFINING_RATES[dimension]),)

    def usual_refinement(self, dimension: int) -> int:
        """See `Solver.usual_refinement`: none, its last stage ends near the minimum."""
        return 0

    def prepare(self, pyramid: Pyramid) -> None:
        """See `Solver.prepare`: the levels of its stages. Registers any pair."""
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
        """See `Solver.solve`.

        A stage coarser than the start corrects it, if that does not raise J on the next finer level, and keeps its
        detail. No stages at all make a solution of the start as it is.

        Args:
            pyramid: The working pair.
            parameters: λ and μ of every tissue.
            start: A velocity at any resolution; None to register from nothing.
            stages: None for those of the settings, also with a start.
            start_objective: J of the start, if it is known already.
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
            is_correction = refining and velocity is start and stage.factor > 1
            if not (is_correction and self.is_worse(pyramid, found, start, maps, stage.factor // 2)):
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
        """The optimizer steps of one stage.

        Args:
            level: The resolution.
            start: A velocity at any resolution, or None for zero.
            maps: Λ and Γ on the level, or a function that says what they are at each step.
            stage: How many steps, and of which kind.
            settings: See `settings`.
            tilt: A linear term, J - <tilt, velocity> is minimized instead of J (see `live`).

        Yields:
            Twice in each step, a `Step` when it is complete: with large volumes, half of one takes a while already.

        Returns:
            The velocity on the level's grid.

        Raises:
            ArithmeticError: If the objective is not finite any more.
        """
        from_zero = start is None
        velocity = (
            torch.zeros(1, len(level.shape), *level.velocity_shape, device=level.fixed.device)
            if from_zero
            else _on(level, start.detach())
        )
        control = torch.zeros_like(velocity, requires_grad=True)
        optimizer = torch.optim.Adam([control], lr=settings.learning_rate)
        for step in range(stage.steps):
            optimizer.param_groups[0]["lr"] = stage.rate * _step_size(settings, step, stage.steps)
            optimizer.zero_grad()
            with torch.enable_grad():
                current = velocity + _smoothed(control, stage.smoothing)
                step_maps = maps() if callable(maps) else maps
                total = self.total(level, current, step_maps, settings, stage.weight, from_zero)
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

    @torch.no_grad()
    def value(self, level: Level, velocity: torch.Tensor, maps: Maps, settings: DirectSettings) -> float:
        """J of a velocity at any resolution, on a level.

        Args:
            level: Where J is measured.
            velocity: On the level's grid or another one, which is then resized.
            maps: Λ and Γ on the level.
            settings: See `settings`.
        """
        return float(self.total(level, _on(level, velocity), maps, settings))

    def total(
        self,
        level: Level,
        velocity: torch.Tensor,
        maps: Maps,
        settings: DirectSettings,
        weight: float = 1.0,
        from_zero: bool = False,
    ) -> torch.Tensor:
        """J of a velocity on its level's grid, a scalar; differentiable by velocity and maps.

        Args:
            level: The resolution.
            velocity: On the level's grid.
            maps: Λ and Γ on the level.
            settings: See `settings`.
            weight: Factor on the energy.
            from_zero: Whether the velocity is near zero, so that the image's derivative is taken by central differences
                (see `MovingSampler`).
        """
        displacement = resize(integrate(velocity, settings.integration_steps), level.shape)
        return self._terms(level, displacement, maps, weight, from_zero).total

    @torch.no_grad()
    def is_worse(
        self, pyramid: Pyramid, velocity: torch.Tensor, than: torch.Tensor, maps: Maps, factor: int = 1
    ) -> bool:
        """Whether a velocity has a higher J than another one, or none that is a number.

        Args:
            pyramid: The working pair.
            velocity: At any resolution.
            than: The other one, at any resolution.
            maps: Λ and Γ on the working grid.
            factor: Of the level on which they are compared.
        """
        level, settings = pyramid.level(factor), self.settings(pyramid.pair.dimension)
        level_maps = level.parameter_maps(*maps)
        return is_higher(*(self.value(level, one, level_maps, settings) for one in (velocity, than)))

    def gradient(
        self, level: Level, velocity: torch.Tensor, maps: Maps, stage: Stage, settings: DirectSettings
    ) -> torch.Tensor:
        """Derivative of J by a velocity; same shape.

        Args:
            level: The resolution.
            velocity: On the level's grid.
            maps: Λ and Γ on the level.
            stage: Whose weight of the energy counts.
            settings: See `settings`.
        """
        with torch.enable_grad():
            velocity = velocity.detach().requires_grad_(True)
            total = self.total(level, velocity, maps, settings, stage.weight)
        return torch.autograd.grad(total, velocity)[0]

    def _terms(
        self, level: Level, displacement: torch.Tensor, maps: Maps, weight: float = 1.0, from_zero: bool = False
    ) -> ObjectiveTerms:
        warped, valid = level.sampler(displacement, symmetric=from_zero)
        return self.objective.terms(
            level.fixed, warped, valid * level.fixed_mask, displacement, level.spacing_mm, *maps, weight=weight
        )

    @torch.no_grad()
    def objective_values(
        self, pyramid: Pyramid, displacement: torch.Tensor, parameters: TissueParameters
    ) -> ObjectiveValues:
        """What a displacement achieves, wherever it comes from.

        Args:
            pyramid: The working pair.
            displacement: (1, D, *working shape) in voxels of the working grid, fixed to moving.
            parameters: λ and μ of every tissue.
        """
        level, maps = pyramid.level(1), pyramid.parameter_maps(parameters)
        displacement = displacement.to(pyramid.device)
        after = self._terms(level, displacement, maps)
        before = self._terms(level, torch.zeros_like(displacement), maps)
        return _objective_values(before, after, steps=0)

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
            velocity = _on(level, candidate)
            displacement = resize(integrate(velocity, settings.integration_steps), level.shape)
            terms = self._terms(level, displacement, maps)
            if best is None or float(terms.total) < float(best[2].total):
                best = velocity, displacement, terms
        velocity, displacement, after = best
        _require_finite(float(after.total))
        before = self._terms(level, torch.zeros_like(displacement), maps)
        return Solution(velocity.cpu(), displacement.cpu(), _objective_values(before, after, steps))


def is_higher(objective: float, than: float) -> bool:
    """Whether J is higher than another one, or not even a number: how every answer of a network is refused.

    Args:
        objective: J.
        than: The other one.
    """
    return not objective <= than


def _noting_best(job: Job[torch.Tensor], start: torch.Tensor, candidates: list[Candidate]) -> Job[torch.Tensor]:
    """A stage whose best velocity on the way is appended to ``candidates``: near a minimum J goes up and down."""
    velocity, best, lowest = start, start, float("inf")

    def note(progress: Progress) -> Progress:
        nonlocal velocity, best, lowest
        if isinstance(progress, Step):
            if progress.objective < lowest:
                best, lowest = velocity, progress.objective  # J was measured before the step
            velocity = progress.velocity
        return progress

    end = yield from mapped(job, note)
    candidates.append((best, lowest))
    return end


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


def _on(level: Level, velocity: torch.Tensor) -> torch.Tensor:
    """A velocity on the grid and the device of a level."""
    return resize(velocity.to(level.fixed.device), level.velocity_shape)


def _objective_values(before: ObjectiveTerms, after: ObjectiveTerms, steps: int) -> ObjectiveValues:
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
        raise ArithmeticError(f"The registration became unstable: the objective is {objective}.")


def _step_size(settings: DirectSettings, step: int, steps: int) -> float:
    """Warm-up, at most half of the stage, and cosine from the learning rate to its final part."""
    end = settings.learning_rate * settings.final_rate
    size = end + 0.5 * (settings.learning_rate - end) * (1 + math.cos(math.pi * step / steps))
    return size * min(1.0, (step + 1) / (min(WARM_UP_STEPS, max(1, steps // 2)) + 1))


def _smoothed(control: torch.Tensor, times: int) -> torch.Tensor:
    for _ in range(times):
        control = smoothed(control)
    return control
