"""The paper's search (Reithmeir et al. 2024, section 2.2): register with every pair of λ and μ of a grid, the same
everywhere in the image; each tissue then takes the pair that brought its own labels together best.

The registrations are quick ones, at a coarser level, each starting from the result of its neighbor.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator

import numpy as np
import torch

from ..progress import Job, Progress, part_of
from ..registrar import Registrar
from ..threads import with_threads
from ..tissues import Lame, Tissue, TissueParameters
from .class_overlap import ClassOverlap
from .landscape import Landscape
from .result import Estimate, EstimateProgress, TissueEstimate
from .uniform import UniformRegistrations

METHOD = "grid"
FEWEST_POINTS = 2


def estimate_by_grid(registrar: Registrar, start: TissueParameters, locked: Collection[int] = (),
                     points: int = 5) -> Job[Estimate]:
    """Search λ and μ for a prepared registrar at ``points`` x ``points`` places of both sliders, ends included.

    start: the values now, by label: kept by tissues that have no vote, and preferred where others are equally good.
    locked: labels of tissues that keep theirs.

    Yields `EstimateProgress` after each place and Progress between them; may be dropped at any step. The registrar's
    own registration stays what it is.

    Raises ValueError, at the first steps, if the registrar is not prepared, the pair has no moving segmentation, or no
    tissue has a vote; RuntimeError if no place of the grid could be registered.
    """
    if points < FEWEST_POINTS:
        raise ValueError(f"The grid needs at least {FEWEST_POINTS} places for λ and for μ, not {points}.")
    job = registrar.falling_back(lambda: _search(registrar, start, frozenset(locked), points))
    return with_threads(job, registrar.threads)


def _search(registrar: Registrar, start: TissueParameters, locked: frozenset[int], points: int) -> Job[Estimate]:
    began = time.perf_counter()
    working = registrar.working
    yield Progress(0.0, "comparing the segmentations")
    overlap = ClassOverlap(registrar.pair, working, registrar.initial.transform, registrar.pyramid.device)
    yield Progress(0.0, "comparing the segmentations")
    return (yield from _GridSearch(registrar, overlap, start, locked, points, began).run())


class _GridSearch:
    """One search: what is known so far, and how to find out more."""

    def __init__(self, registrar: Registrar, overlap: ClassOverlap, start: TissueParameters, locked: frozenset[int],
                 points: int, began: float) -> None:
        self._began = began
        self._start = start
        self._tissues = registrar.working.tissues
        self._scale = registrar.solver.objective.scale
        self._overlap = overlap
        self._voters = frozenset(overlap.labels) - locked
        if not self._voters:
            raise ValueError("There is nothing to estimate: every tissue that could be is locked.")
        self._registrations = UniformRegistrations(registrar.solver, registrar.pyramid)
        self._weights = np.array([self._scale.weight(slider) for slider in np.linspace(0, 1, points).tolist()])
        self._scores = np.full((len(self._tissues), points, points), np.nan)
        numbers = {tissue.label: number for number, tissue in enumerate(self._tissues)}
        self._scored = [numbers[label] for label in overlap.labels]
        self._failures: list[str] = []
        self._notes = registrar.notes

    def run(self) -> Job[Estimate]:
        places = list(_snake(len(self._weights)))
        step_count = self._registrations.steps(True) + (len(places) - 1) * self._registrations.steps(False)
        velocity, fraction = None, 0.0
        for number, (a, b) in enumerate(places, start=1):
            lame = Lame(self._weights[a], self._weights[b])
            text = f"λ {lame.lam:.3g}, μ {lame.mu:.3g}: {number} of {len(places)}"
            end = min(1.0, fraction + self._registrations.steps(velocity is None) / step_count)
            try:
                found = yield from part_of(self._registrations.register(lame, velocity), fraction, end)
                self._scores[self._scored, a, b] = yield from self._judged(found, end, text)
                velocity = found
            except torch.cuda.OutOfMemoryError:
                raise  # the registrar falls back to the CPU
            except (RuntimeError, ArithmeticError) as error:
                reason = next(iter(str(error).splitlines()), type(error).__name__)
                self._failures.append(f"λ = {lame.lam:.3g} with μ = {lame.mu:.3g} could not be registered: {reason}")
            fraction = end
            yield EstimateProgress(fraction, text, self._estimate(complete=number == len(places)))
        if np.isnan(self._scores).all():
            raise RuntimeError(f"Nothing could be estimated. {self._failures[0]}")
        return self._estimate(complete=True)

    def _judged(self, velocity: torch.Tensor, fraction: float, text: str) -> Job[np.ndarray]:
        displacement = self._registrations.displacement(velocity)
        yield Progress(fraction, text)
        warped = self._overlap.warp(displacement)
        yield Progress(fraction, text)
        return self._overlap.dice(warped)

    def _estimate(self, complete: bool) -> Estimate:
        """What is best by what is known so far."""
        landscape = Landscape(self._weights, self._weights, self._scores.copy())
        per_tissue = tuple(self._choice(landscape, number, tissue) for number, tissue in enumerate(self._tissues))
        parameters = self._start
        for row in per_tissue:
            parameters = parameters.with_tissue(row.tissue.label, row.lame)
        warnings = (*self._overlap.silent.values(), *self._failures, *self._notes)
        return Estimate(METHOD, self._overlap.name, landscape, per_tissue, parameters, complete,
                        time.perf_counter() - self._began, warnings)

    def _choice(self, landscape: Landscape, number: int, tissue: Tissue) -> TissueEstimate:
        start = self._start[tissue.label]
        steps = len(self._weights) - 1
        place = self._scale.slider(start.lam) * steps, self._scale.slider(start.mu) * steps
        start_score = landscape.at(number, place)
        point = landscape.best(number, place) if tissue.label in self._voters else None
        if point is None:
            return TissueEstimate(tissue, start, start_score, start_score, landscape.is_flat(number), votes=False)
        lame = Lame(float(landscape.lam[point[0]]), float(landscape.mu[point[1]]))
        return TissueEstimate(tissue, lame, float(landscape.scores[(number, *point)]), start_score,
                              landscape.is_flat(number), votes=True, point=point)


def _snake(points: int) -> Iterator[tuple[int, int]]:
    """Indices (λ, μ), each next to the one before, from soft to stiff.

    In this direction few steps do: a deformation that was hardly held back is soon calmed, but one that stiffness held
    back has a way to go (2D phantoms, 15 steps: the points chosen are worse by 0.0004 in Dice from soft to stiff, and
    by 0.0013 from stiff to soft).
    """
    for b in range(points):
        along = range(points) if b % 2 == 0 else reversed(range(points))
        for a in along:
            yield a, b
