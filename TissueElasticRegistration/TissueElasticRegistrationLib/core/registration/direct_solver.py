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
from ..physics.deformation import smoothed
from ..physics.objective import Objective
from ..preparation.pyramid import Level, Pyramid
from .comparison import Comparison, Judgement
from .solution import DirectSettings, Maps, Solution, Stage, Step
from .velocities import displacement_on, maps_on, velocity_on, with_detail, zero_velocity

Candidate = tuple[torch.Tensor | None, float | None]  # a velocity, None for zero, and its J, if that is known

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
NOTHING_BETTER = (
    "No deformation was found that makes the images clearly more alike and keeps them in each other's field of view; "
    "they were left as they were aligned."
)


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

    def stages(self, pyramid: Pyramid) -> tuple[Stage, ...]:
        """The stages of a registration of this pair from nothing: those of the settings whose levels are fine enough.

        Args:
            pyramid: The working pair.
        """
        return _usable(self.settings(pyramid.pair.dimension).stages, pyramid)

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
        for stage in self.stages(pyramid):
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

        A stage coarser than the start corrects it and keeps its detail. No stages at all make a solution of the start
        as it is. Where no end is acceptable (see `Comparison.accepts`), there is no deformation.

        Args:
            pyramid: The working pair.
            parameters: λ and μ of every tissue.
            start: A velocity at any resolution; None to register from nothing.
            stages: None for those of the settings, also with a start; levels that are too coarse are left out.
            start_objective: J of the start, if it is known already.
        """
        settings = self.settings(pyramid.pair.dimension)
        refining = start is not None and stages is not None
        if refining:
            settings = replace(settings, final_rate=min(settings.final_rate, REFINING_FINAL_RATE))
        stages = _usable(settings.stages if stages is None else stages, pyramid)
        maps = pyramid.parameter_maps(parameters)
        effort = [stage.steps * (pyramid.level(stage.factor).fixed.numel() + STEP_VOXELS) for stage in stages]
        shares = list(itertools.accumulate((part / max(1, sum(effort)) for part in effort), initial=0.0))
        velocity, candidates = start, [(start, start_objective)] if refining and stages else []
        for number, stage in enumerate(stages):
            if stage.factor == 1 and not refining:
                candidates = [(velocity, None)]
            job = self.stage(pyramid, velocity, lambda: maps, stage, settings)
            if refining and (stage.factor, stage.weight) == (1, 1.0):
                job = _noting_best(job, velocity, candidates)
            velocity = yield from part_of(job, shares[number], shares[number + 1])
        steps = sum(stage.steps for stage in stages)
        return self._solution(pyramid, [(velocity, None), *candidates], maps, settings, steps)

    def stage(
        self,
        pyramid: Pyramid,
        start: torch.Tensor | None,
        maps: Callable[[], Maps],
        stage: Stage,
        settings: DirectSettings,
    ) -> Job[torch.Tensor | None]:
        """One stage of a registration; a coarse one is given up if it ends worse than it began.

        A coarse level has a minimum of its own: what is good already is not given up for it. So the end is compared
        with the start on the next finer level. At full resolution, the end of the registration is judged.

        Args:
            pyramid: The working pair.
            start: A velocity at any resolution, None for zero.
            maps: Says what Λ and Γ are, on the working grid, at each step.
            stage: How many steps, and of which kind.
            settings: See `settings`.

        Yields:
            As `descend`.

        Returns:
            A velocity with the detail of the start, or the start itself.

        Raises:
            ArithmeticError: As `descend`.
        """
        level = pyramid.level(stage.factor)
        found = yield from self.descend(level, start, maps_on(level, maps), stage, settings)
        _require_finite(float(found.abs().max()))
        found = found if start is None else with_detail(found, start)
        is_refused = stage.factor > 1 and self.is_worse(pyramid, found, start, maps(), stage.factor // 2)
        return start if is_refused else found

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
        velocity = zero_velocity(level) if from_zero else velocity_on(level, start.detach())
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
        return float(self.total(level, velocity_on(level, velocity), maps, settings))

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
        displacement = displacement_on(level, velocity, settings)
        warped, valid = level.sampler(displacement, symmetric=from_zero)
        mask = valid * level.fixed_mask
        return self.objective.terms(
            level.fixed, warped, mask, displacement, level.spacing_mm, *maps, weight=weight
        ).total

    @torch.no_grad()
    def is_worse(
        self,
        pyramid: Pyramid,
        velocity: torch.Tensor,
        than: torch.Tensor | None,
        maps: Maps,
        factor: int = 1,
    ) -> bool:
        """Whether one velocity is worse than another one, or not even finite (see `Judgement.is_worse`).

        Args:
            pyramid: The working pair.
            velocity: At any resolution.
            than: The other one, at any resolution; None for no deformation.
            maps: Λ and Γ on the working grid.
            factor: Of the level on which they are compared.
        """
        level, settings = pyramid.level(factor), self.settings(pyramid.pair.dimension)
        comparison = Comparison(self.objective, level, level.parameter_maps(*maps))
        found, other = (
            comparison.undeformed if one is None else comparison.judge(displacement_on(level, one, settings))
            for one in (velocity, than)
        )
        return found.is_worse(other)

    @torch.no_grad()
    def is_acceptable(self, pyramid: Pyramid, velocity: torch.Tensor, maps: Maps) -> bool:
        """Whether a registration may end with a velocity (see `Comparison.accepts`).

        Args:
            pyramid: The working pair.
            velocity: At any resolution.
            maps: Λ and Γ on the working grid.
        """
        level, settings = pyramid.level(1), self.settings(pyramid.pair.dimension)
        comparison = Comparison(self.objective, level, maps)
        displacement = displacement_on(level, velocity, settings)
        return comparison.accepts(displacement, comparison.judge(displacement))

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
        comparison = Comparison(self.objective, pyramid.level(1), pyramid.parameter_maps(parameters))
        return _objective_values(comparison, comparison.judge(displacement.to(pyramid.device)), steps=0)

    @torch.no_grad()
    def _solution(
        self, pyramid: Pyramid, candidates: list[Candidate], maps: Maps, settings: DirectSettings, steps: int
    ) -> Solution:
        """The candidate with the lowest objective at full resolution, the first one of equals, or no deformation."""
        level = pyramid.level(1)
        comparison = Comparison(self.objective, level, maps)
        best = None
        for candidate, objective in candidates:
            if candidate is None or (
                best is not None and objective is not None and objective >= float(best[2].terms.total)
            ):
                continue
            velocity = velocity_on(level, candidate)
            displacement = displacement_on(level, velocity, settings)
            judgement = comparison.judge(displacement)
            _require_finite(judgement.objective)
            is_best = best is None or float(judgement.terms.total) < float(best[2].terms.total)
            if is_best and comparison.accepts(displacement, judgement):
                best = velocity, displacement, judgement
        notes = () if best else (NOTHING_BETTER,)
        if best is None:
            velocity = zero_velocity(level)
            best = velocity, displacement_on(level, velocity, settings), comparison.undeformed
        velocity, displacement, after = best
        return Solution(velocity.cpu(), displacement.cpu(), _objective_values(comparison, after, steps), notes)


def _usable(stages: tuple[Stage, ...], pyramid: Pyramid) -> tuple[Stage, ...]:
    return tuple(stage for stage in stages if pyramid.is_fine_enough(stage.factor))


def _noting_best(
    job: Job[torch.Tensor | None], start: torch.Tensor, candidates: list[Candidate]
) -> Job[torch.Tensor | None]:
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


def _objective_values(comparison: Comparison, after: Judgement, steps: int) -> ObjectiveValues:
    before = comparison.undeformed.terms
    return ObjectiveValues(
        objective_before=float(before.total),
        objective_after=float(after.terms.total),
        similarity_before=float(before.similarity),
        similarity_after=float(after.terms.similarity),
        energy_after=float(after.terms.energy),
        kept_share=after.kept_share,
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
