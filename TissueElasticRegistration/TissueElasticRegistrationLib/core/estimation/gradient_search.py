"""All λ and μ at once, by the derivative of the objective: for more tissues than a grid can tell apart.

Every tissue has its own parameters in each registration on the way, so the scores are those of what will be registered
in the end; a grid judges each tissue by registrations with equal parameters everywhere.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch

from ..data.progress import Job, Progress, part_of
from ..data.tissues import Lame, TissueParameters
from ..registration.registrar import Registrar
from ..registration.threads import with_threads
from .criteria.hold_out import NOTHING_HELD_OUT, HoldOut
from .estimate_result import Estimate, EstimateProgress, TissueEstimate
from .grid_search import network_problem
from .score_gradient import DirectScoreGradient, NetworkScoreGradient, ScoreGradient
from .task import EstimationTask, failures_of, make_task

METHOD = "gradient"
# Steps of Adam; the first ones move a slider by this much, which is 0.6 decades.
NETWORK_STEPS, DIRECT_STEPS = 8, 4
FIRST_STEP, LAST_STEP = 0.15, 0.05
MAX_FAILURES = 3
# Sliders (λ, μ) that all tissues try together, once, before the first step: the gradient at the start values only knows
# of what is near. With them and 8 tissues, the search is as good as the grid's on 9 of 10 fresh 2D phantoms with the
# direct solver and on 27 of 30 with a network, in 0.28 and 0.19 of its time (medians).
PROBES = ((0.5, 0.5), (0.3, 0.5), (0.5, 0.3), (0.3, 0.3), (0.15, 0.3))
PROBED = 0.3  # part of the progress


def estimate_by_gradient(
    registrar: Registrar,
    start: TissueParameters,
    locked: Collection[int] = (),
    objective: str = "dice",
    hold_out: HoldOut = NOTHING_HELD_OUT,
    steps: int | None = None,
) -> Job[Estimate]:
    """Search λ and μ of all tissues together by gradient ascent of the mean score, from ``start``.

    Through the network where the registrar has one, otherwise by implicit differentiation of the direct solver's
    solution (see `score_gradient`).

    Args:
        registrar: Prepared; its own registration stays what it is.
        start: The values now, by label; kept by tissues that are not estimated, and unless others are better.
        locked: Labels of tissues that keep their values.
        objective: Key in `CRITERIA` of what is judged by.
        hold_out: What must not be used.
        steps: Of the ascent; None for 8 with a network and 4 without.

    Yields:
        `EstimateProgress` after each step, Progress between; may be dropped at any step.

    Returns:
        The estimate, without a landscape.

    Raises:
        ValueError: Like `estimate_by_grid`.
        RuntimeError: If not even the start values could be registered.
    """
    job = registrar.falling_back(lambda: _search(registrar, start, locked, objective, hold_out, steps))
    return with_threads(job, registrar.threads)


def _search(
    registrar: Registrar,
    start: TissueParameters,
    locked: Collection[int],
    objective: str,
    hold_out: HoldOut,
    steps: int | None,
) -> Job[Estimate]:
    task = yield from make_task(registrar, start, locked, objective, hold_out)
    network = registrar.solver.network
    notes = [] if network is None else network_problem(network, registrar)
    if network is not None and not notes:
        return (yield from GradientAscent(task, NetworkScoreGradient(task), steps or NETWORK_STEPS, notes).run())
    return (yield from GradientAscent(task, DirectScoreGradient(task), steps or DIRECT_STEPS, notes).run())


@dataclass(frozen=True, eq=False)
class _Found:
    """Sliders that were tried, and what they scored."""

    sliders: torch.Tensor
    scores: np.ndarray
    mean: float


class GradientAscent:
    """Adam on the sliders of the estimated tissues, within [0, 1]."""

    def __init__(self, task: EstimationTask, gradient: ScoreGradient, steps: int, notes: list[str]) -> None:
        self._task, self._gradient, self._steps, self._notes = task, gradient, steps, notes
        scale = task.scale
        lame = [task.start[tissue.label] for tissue in task.tissues]
        self._start = torch.tensor([[scale.slider(one.lam), scale.slider(one.mu)] for one in lame])
        is_estimated = [tissue.label in task.estimated for tissue in task.tissues]
        self._is_estimated = torch.tensor(is_estimated)[:, None].float()
        self._seen: list[_Found] = []
        self._failures: list[str] = []

    def run(self) -> Job[Estimate]:
        here = yield from self._probed()
        sliders = here.clone().requires_grad_(True)
        optimizer = torch.optim.Adam([sliders], betas=(0.7, 0.9))
        for step in range(self._steps + 1):
            text = f"step {step} of {self._steps}"
            job = self._gradient.value_and_gradient(sliders.detach().clone())
            begin, end = (PROBED + (1 - PROBED) * number / (self._steps + 1) for number in (step, step + 1))
            found = None
            with failures_of(self._fail):
                found = yield from part_of(job, begin, end, text)
            if found is None:
                if len(self._failures) >= MAX_FAILURES:
                    break
                with torch.no_grad():  # half the way back to the last values that could be registered
                    sliders.copy_((sliders + here) / 2)
                continue
            scores, derivative = found
            here = sliders.detach().clone()
            self._note(here, scores)
            yield EstimateProgress(end, text, self._estimate(complete=step == self._steps))
            if step < self._steps:
                optimizer.param_groups[0]["lr"] = FIRST_STEP + (LAST_STEP - FIRST_STEP) * step / self._steps
                self._move(sliders, derivative, optimizer)
        yield Progress(1.0, "done")
        return self._estimate(complete=True)

    def _probed(self) -> Job[torch.Tensor]:
        """Where to begin: the start, or what is clearly better if all tissues try it together."""
        for number in range(len(PROBES) + 1):
            sliders = self._start.clone()
            if number:
                sliders[self._is_estimated[:, 0] > 0] = torch.tensor(PROBES[number - 1], dtype=sliders.dtype)
            begin, end = (PROBED * part / (len(PROBES) + 1) for part in (number, number + 1))
            with failures_of(self._fail):
                scores = yield from part_of(self._gradient.value(sliders), begin, end, "testing common values")
                self._note(sliders, scores)
        return self._best().sliders

    def _note(self, sliders: torch.Tensor, scores: np.ndarray) -> None:
        self._seen.append(_Found(sliders, scores, float(self._task.mean_score(scores))))

    def _best(self) -> _Found:
        """The start if nothing is better by more than the tolerance, as in the grid's search."""
        first, best = self._seen[0], max(self._seen, key=lambda found: found.mean)
        return first if first.mean >= best.mean - self._task.tolerance_of_mean else best

    def _move(self, sliders: torch.Tensor, derivative: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
        # What hardly matters stays near the start: being away from it costs as much as a tie.
        away = 2 * self._task.criterion.tolerance * (sliders.detach() - self._start) / self._is_estimated.sum()
        sliders.grad = (away - derivative) * self._is_estimated
        optimizer.step()
        with torch.no_grad():
            sliders.clamp_(0, 1)
            sliders[self._is_estimated[:, 0] == 0] = self._start[self._is_estimated[:, 0] == 0]  # to the last bit

    def _fail(self, reason: str) -> None:
        if not self._seen:
            raise RuntimeError(f"Nothing could be estimated. The start values could not be registered: {reason}")
        self._failures.append(f"Parameters on the way could not be registered: {reason}")

    def _estimate(self, complete: bool) -> Estimate:
        first, best = self._seen[0], self._best()
        rows = [self._row(number, first, best) for number in range(len(self._task.tissues))]
        warnings = (*dict.fromkeys(self._failures), *self._notes)
        return self._task.answer(METHOD, rows, None, complete, warnings)

    def _row(self, number: int, first: _Found, best: _Found) -> TissueEstimate:
        tissue, criterion = self._task.tissues[number], self._task.criterion
        start, nan = self._task.start[tissue.label], float("nan")
        if tissue.label not in criterion.labels:
            return TissueEstimate(tissue, start, nan, nan, insensitive=False, is_estimated=False)
        place = criterion.labels.index(tissue.label)
        score, start_score = float(best.scores[place]), float(first.scores[place])
        seen = [found.scores[place] for found in self._seen]
        insensitive = len(seen) > 1 and bool(max(seen) - min(seen) < criterion.insensitive_range)
        if tissue.label not in self._task.estimated:
            return TissueEstimate(tissue, start, score, start_score, insensitive, is_estimated=False)
        if best is first:
            return TissueEstimate(tissue, start, score, start_score, insensitive, is_estimated=True)
        lam, mu = (self._task.scale.weight(float(slider)) for slider in best.sliders[number])
        return TissueEstimate(tissue, Lame(lam, mu), score, start_score, insensitive, is_estimated=True)
