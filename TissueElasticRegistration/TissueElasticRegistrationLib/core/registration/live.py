"""Following a slider: the deformation moves from where it is towards what new parameters want, and is shown on the way.

Everything starts from one registration, the base. While the slider moves, steps on a coarse level follow it, each with
the parameters of its moment. Taken alone, a coarse level would pull the deformation towards its own blurred solution.
So, as in MG/Opt (Nash 2000), its objective is tilted until the base is stationary for the parameters it was registered
with: only the change of the parameters moves anything. Coarse stages add a correction to the full velocity, fine detail
stays.

When the slider rests, the deformation settles: once more from the base, so that what is shown in the end depends on
where the slider is and not on the way it took.

With a network the change is what the network says of it, at once; where the objective disagrees, the steps above.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch

from ..data.progress import Job, Progress, mapped, part_as_it_is
from ..data.tissues import TissueParameters
from ..physics.deformation import resize
from ..preparation.pyramid import Pyramid
from .direct_solver import NOTHING_BETTER
from .live_pace import FrameClock, ParameterWatch, Wanted
from .network_solver import WORSE_THAN_NOTHING
from .solution import DirectSettings, Maps, Stage, Step
from .solver import Solver
from .velocities import maps_on, zero_velocity

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
MOVING_STEPS = 100_000  # more than anybody drags
WORSE_THAN_BEFORE = (
    "The network's prediction for the new λ and μ was worse than the current deformation, so only the direct "
    "solver was used."
)


@dataclass(frozen=True, eq=False)
class _Base:
    """A finished registration with ``parameters``.

    answer: the solver's answer without steps for them, once it was needed. tilts: gradients, by the factor of a level.
    """

    velocity: torch.Tensor
    parameters: TissueParameters
    answer: torch.Tensor | None = None
    tilts: dict[int, torch.Tensor] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Prediction(Step):
    """Of a network: complete in itself, so it is shown at once."""


class LiveSolver:
    """Follows the parameters of one pair, with the network of a solver, if it has one, and the steps of its refiner.

    Args:
        solver: Whose registrations are followed.
        pyramid: The working pair.

    Attributes:
        velocity: (1, D, *velocity shape of the full level) in voxels of that grid, what was shown last; None before.
        notes: What a user should know about what is shown, one sentence each.
    """

    def __init__(self, solver: Solver, pyramid: Pyramid) -> None:
        self.velocity: torch.Tensor | None = None
        self.notes: tuple[str, ...] = ()
        self._solver = solver
        self._pyramid = pyramid
        self._refiner = solver.refiner
        self._settings = self._refiner.settings(pyramid.pair.dimension)
        self._warm_settings = replace(self._settings, final_rate=FINAL_RATE)
        self._base: _Base | None = None

    def start_from(self, velocity: torch.Tensor, parameters: TissueParameters) -> None:
        """Take a finished registration as what is shown now.

        Args:
            velocity: Its velocity, at any resolution.
            parameters: λ and μ it was registered with.
        """
        self.velocity = self._full(velocity.to(self._pyramid.device))
        self._base = _Base(self.velocity, parameters)

    def follow(self, wanted: Wanted) -> Job[None]:
        """Register from nothing the first time, then follow what is wanted until it rests and the deformation settles.

        May be dropped at any step.

        Args:
            wanted: The parameters of the moment, asked for at every step.

        Yields:
            Progress, and a `Step` with the velocity at full resolution whenever it is time to show it and at the end.
        """
        watch, clock, latest = ParameterWatch(wanted), FrameClock(), None
        for progress in self._follow(watch):
            if not isinstance(progress, Step):
                yield progress
            elif clock.is_due(watch.at_rest) or isinstance(progress, _Prediction):
                self.velocity, latest = progress.velocity, None
                yield progress
            else:
                latest = progress
        if latest is not None:
            self.velocity = latest.velocity
            yield latest

    def _follow(self, watch: ParameterWatch) -> Job[None]:
        settled = False
        while self._base is None:
            settled = yield from self._first(watch)
        while not settled:
            settled = yield from self._settle(watch)

    def _answer(self, parameters: TissueParameters) -> tuple[torch.Tensor, torch.Tensor] | None:
        """A network's answer, and the velocity it makes: after the first time, its change is added to the base.

        None where there is no network, or the objective says that its answer is no good.
        """
        network, self.notes = self._solver.network, ()
        if network is None:
            return None
        answer, self.notes = network.answer(self._pyramid, parameters), network.notes(self._pyramid, parameters)
        before, velocity, note = None, answer, WORSE_THAN_NOTHING.format(network.pack.card.name)
        if self._base is not None:
            if self._base.answer is None:
                earlier = network.answer(self._pyramid, self._base.parameters)
                self._base = replace(self._base, answer=earlier)
            before, note = self._base.velocity, WORSE_THAN_BEFORE
            velocity = before + (answer - self._base.answer)
        maps = self._pyramid.parameter_maps(parameters)
        # On the finest level on which this takes no longer than a few steps.
        if not self._refiner.is_worse(self._pyramid, velocity, before, maps, (self._coarse_factors() or [1])[0]):
            return answer, velocity
        self.notes += (note,)
        return None

    # --- from nothing -----------------------------------------------------------------------------------------------

    def _first(self, watch: ParameterWatch) -> Job[bool]:
        """Register from nothing; False if the parameters have changed meanwhile; then a network starts again."""
        parameters, found, changed = watch.parameters, self._answer(watch.parameters), False
        for progress in self._from_zero(watch) if found is None else self._from_answer(found[1], parameters):
            yield progress
            if isinstance(progress, Step):
                velocity = progress.velocity
            changed = watch.have_changed() or changed
            if changed and found is not None:
                return False
        self._base = _Base(velocity, watch.parameters) if found is None else _Base(velocity, parameters, found[0])
        return not changed

    def _from_zero(self, watch: ParameterWatch) -> Job[None]:
        """The stages of a full registration, shown as they go; parameters that change are followed on the way."""
        stages = self._refiner.stages(self._pyramid)
        total = sum(stage.steps for stage in stages)
        done, velocity, maps = 0, None, self._maps_for(watch)
        for stage in stages:
            job = self._refiner.stage(self._pyramid, velocity, maps, stage, self._settings)
            part = part_as_it_is(job, done / total, (done + stage.steps) / total)
            velocity = yield from mapped(part, self._at_full_resolution)
            done += stage.steps
        velocity = zero_velocity(self._pyramid.level(1)) if velocity is None else velocity
        yield self._accepted(Step(1.0, "registered", self._full(velocity), math.nan), maps())

    def _from_answer(self, answer: torch.Tensor, parameters: TissueParameters) -> Job[None]:
        """A network's answer, corrected on coarse levels and then at full resolution."""
        yield _Prediction(0.0, "network", answer, math.nan)
        maps, dimension = self._pyramid.parameter_maps(parameters), self._pyramid.pair.dimension
        factors = [stage.factor for stage in self._solver.refinement(COARSE_STEPS, dimension) if stage.factor > 1]
        factors = [factor for factor in factors if self._pyramid.is_fine_enough(factor)]
        velocity = yield from self._on_coarse_levels(answer, maps, factors, tilted=False)
        yield from self._rounds(velocity, maps)

    # --- while sliders move -----------------------------------------------------------------------------------------

    def _move(self, watch: ParameterWatch) -> Job[None]:
        """Steps from what is shown on the coarsest level, each for what is wanted at its moment, until that rests."""
        factor = (self._coarse_factors() or [1])[0]
        stage = self._stage(factor, MOVING_STEPS)
        settings = replace(self._settings, final_rate=1.0)
        maps = maps_on(self._pyramid.level(factor), self._maps_for(watch))
        for progress in self._corrected(self.velocity, maps, stage, settings, self._tilt(stage)):
            yield replace(progress, fraction=0.0)
            watch.have_changed()
            if watch.at_rest:
                return

    def _maps_for(self, watch: ParameterWatch) -> Callable[[], Maps]:
        """Λ and Γ for what is wanted at the moment they are asked for."""
        made: list = [None, None]

        def maps() -> Maps:
            if made[0] is not watch.parameters:
                made[:] = watch.parameters, self._pyramid.parameter_maps(watch.parameters)
            return made[1]

        return maps

    # --- when they rest ---------------------------------------------------------------------------------------------

    def _settle(self, watch: ParameterWatch) -> Job[bool]:
        """From the base to the deformation for what is wanted; False if that changes before it is there.

        Where steps have led elsewhere meanwhile, nothing is shown before it is better than what is shown.
        """
        if watch.parameters == self._base.parameters:
            yield Step(1.0, "as registered", self._base.velocity, math.nan)
            return not watch.have_changed()
        found, maps = self._answer(watch.parameters), self._pyramid.parameter_maps(watch.parameters)
        if found is not None:
            yield _Prediction(0.0, "network", found[1], math.nan)
            job = self._rounds(found[1], maps)
        else:
            start, shown = self._base.velocity, self.velocity
            job = self._warm(start, maps, math.inf if shown is start else self._objective(shown, maps))
        while not watch.have_changed():
            try:
                progress = next(job)
            except StopIteration:
                return True
            yield progress
        job.close()
        if found is None:
            yield from self._move(watch)
        return False

    def _warm(self, start: torch.Tensor, maps: Maps, highest: float = math.inf) -> Job[torch.Tensor]:
        """Coarse stages first where the volume is large, then rounds at full resolution until J rests.

        highest: J above which steps are not to be shown: they are yielded as mere Progress.
        """
        job = self._on_coarse_levels(start, maps, self._coarse_factors(), tilted=True)
        velocity = yield from (job if highest == math.inf else mapped(job, _hidden))
        return (yield from self._rounds(velocity, maps, highest))

    def _on_coarse_levels(
        self, velocity: torch.Tensor, maps: Maps, factors: list[int], tilted: bool
    ) -> Job[torch.Tensor]:
        """Coarse stages one after the other; returns the full velocity with all they changed.

        tilted: only what the change of the parameters asks for, not what differs from a level's own solution.
        """
        for number, factor in enumerate(factors):
            stage, level_maps = self._stage(factor, COARSE_STEPS), self._pyramid.level(factor).parameter_maps(*maps)
            for progress in self._corrected(
                velocity, level_maps, stage, self._warm_settings, self._tilt(stage) if tilted else None
            ):
                yield replace(progress, fraction=0.5 * (number + progress.fraction) / len(factors))
                if isinstance(progress, Step):
                    corrected = progress.velocity
            if not self._refiner.is_worse(self._pyramid, corrected, velocity, maps, factor // 2):
                velocity = corrected
        return velocity

    def _rounds(self, velocity: torch.Tensor, maps: Maps, highest: float = math.inf) -> Job[torch.Tensor]:
        """Full resolution until J rests; returns, and yields last, the best velocity of all, the start included.

        Where that is worse than no deformation, it is none.
        """
        stage = self._stage(1, FINE_STEPS[self._pyramid.pair.dimension])
        level = self._pyramid.level(1)
        best, before = None, math.inf
        for number in range(FINE_ROUNDS):
            settings = replace(self._warm_settings, learning_rate=FINE_RATES[min(number, len(FINE_RATES) - 1)])
            for progress in self._refiner.descend(level, velocity, maps, stage, settings):
                fraction = 0.5 + 0.5 * (number + progress.fraction) / FINE_ROUNDS
                if isinstance(progress, Step):
                    if best is None or progress.objective < best.objective:
                        best = replace(progress, velocity=velocity)  # J was measured before the step
                    velocity = progress.velocity
                    if progress.objective > highest:
                        progress = Progress(fraction, progress.text)
                yield replace(progress, fraction=fraction)
            if number + 1 >= len(FINE_RATES) and before - best.objective < CONVERGED:
                break
            before = best.objective
        best = self._accepted(replace(best, fraction=1.0), maps)
        yield best
        return best.velocity

    def _accepted(self, step: Step, maps: Maps) -> Step:
        """The same, without deformation where a registration may not end (see `Comparison.accepts`)."""
        if self._refiner.is_acceptable(self._pyramid, step.velocity, maps):
            return step
        self.notes += (NOTHING_BETTER,)
        return replace(step, velocity=torch.zeros_like(step.velocity))

    def _corrected(
        self,
        velocity: torch.Tensor,
        level_maps: Maps | Callable[[], Maps],
        stage: Stage,
        settings: DirectSettings,
        tilt: torch.Tensor | None,
    ) -> Job[None]:
        """A coarse stage: what it changes is added to the full velocity, which keeps its detail."""
        level = self._pyramid.level(stage.factor)
        coarse = resize(velocity, level.velocity_shape)
        for progress in self._refiner.descend(level, coarse, level_maps, stage, settings, tilt):
            if isinstance(progress, Step):
                progress = replace(progress, velocity=velocity + self._full(progress.velocity - coarse))
            yield progress

    def _tilt(self, stage: Stage) -> torch.Tensor:
        """The gradient that the base has on a level, with the parameters it was registered with."""
        tilts = self._base.tilts
        if stage.factor not in tilts:
            level = self._pyramid.level(stage.factor)
            maps = level.parameter_maps(*self._pyramid.parameter_maps(self._base.parameters))
            velocity = resize(self._base.velocity, level.velocity_shape)
            tilts[stage.factor] = self._refiner.gradient(level, velocity, maps, stage, self._warm_settings)
        return tilts[stage.factor]

    def _objective(self, velocity: torch.Tensor, maps: Maps) -> float:
        """J at full resolution."""
        return self._refiner.value(self._pyramid.level(1), velocity, maps, self._settings)

    def _coarse_factors(self) -> list[int]:
        """Factors of the levels above full resolution that a slider move goes through, the coarsest first."""
        voxels = self._pyramid.level(1).fixed.numel()
        pooled = sum(self._pyramid.pair.pooled_axes)
        factors = []
        while voxels / (factors[0] if factors else 1) ** pooled > FIRST_LEVEL_VOXELS and len(factors) < 3:
            coarser = 2 * (factors[0] if factors else 1)
            if not self._pyramid.is_fine_enough(coarser):
                break
            factors.insert(0, coarser)
        return factors

    def _stage(self, factor: int, steps: int) -> Stage:
        """Like the stage of a full registration at this level, with other steps."""
        weight = next((stage.weight for stage in self._settings.stages if stage.factor == factor), 1.0)
        return Stage(factor, steps, weight)

    def _at_full_resolution(self, progress: Progress) -> Progress:
        return replace(progress, velocity=self._full(progress.velocity)) if isinstance(progress, Step) else progress

    def _full(self, velocity: torch.Tensor) -> torch.Tensor:
        return resize(velocity, self._pyramid.level(1).velocity_shape)


def _hidden(progress: Progress) -> Progress:
    """The same with nothing to show."""
    return Progress(progress.fraction, progress.text)
