"""The scores of a grid search so far, and what follows from them for each tissue."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..data.tissues import Lame, Tissue, TissueParameters
from .estimate_result import Estimate, TissueEstimate
from .landscape import Landscape
from .task import EstimationTask

METHOD = "grid"


class GridScores:
    """Scores of ``points`` x ``points`` grid points, found in any order and addressed by indices (λ, μ).

    Where λ has no effect (diffusion), only μ is searched: 1 x ``points`` grid points, and tissues keep their λ.

    Args:
        task: What is estimated.
        points: For each slider.
        notes: For the warnings of the estimate.
    """

    def __init__(self, task: EstimationTask, points: int, notes: list[str] | None = None) -> None:
        self.task = task
        self._has_lambda = task.registrar.solver.objective.has_lambda
        ends = np.linspace(0, 1, points)
        self.sliders = (ends if self._has_lambda else np.array([0.5]), ends)
        self._weights = tuple(
            np.array([task.scale.weight(slider) for slider in axis.tolist()]) for axis in self.sliders
        )
        self._scores = np.full((len(task.tissues), *self.shape), np.nan)
        numbers = {tissue.label: number for number, tissue in enumerate(task.tissues)}
        self._scored = [numbers[label] for label in task.criterion.labels]
        self._failures: dict[tuple[int, int], str] = {}
        self._selected: TissueParameters | None = None
        self.notes = list(notes or ())

    @property
    def shape(self) -> tuple[int, int]:
        """How many grid points there are along λ and along μ."""
        return len(self.sliders[0]), len(self.sliders[1])

    def lame(self, point: tuple[int, int]) -> Lame:
        """λ and μ at a grid point."""
        return Lame(*(float(weights[index]) for weights, index in zip(self._weights, point, strict=True)))

    def text(self, point: tuple[int, int], number: int) -> str:
        """λ and μ at a grid point, which is the ``number``-th, for the progress."""
        lame = self.lame(point)
        weights = f"λ {lame.lam:.3g}, μ {lame.mu:.3g}" if self._has_lambda else f"μ {lame.mu:.3g}"
        return f"{weights}: {number} of {self._scores[0].size}"

    def record(self, point: tuple[int, int], scores: np.ndarray) -> None:
        """Keep the scores of a grid point, those of the criterion's labels in their order."""
        self._scores[self._scored, point[0], point[1]] = scores

    def record_failure(self, point: tuple[int, int], reason: str) -> None:
        """Keep why a grid point has no scores, for the warnings."""
        lame = self.lame(point)
        self._failures[point] = f"λ = {lame.lam:.3g} with μ = {lame.mu:.3g} could not be registered: {reason}"
        self._scores[:, point[0], point[1]] = np.nan

    def select(self, parameters: TissueParameters) -> None:
        """From now on `estimate` has these parameters, not the best ones of each tissue."""
        self._selected = parameters

    def landscape(self) -> Landscape:
        """The scores known so far."""
        criterion = self.task.criterion
        return Landscape(*self._weights, self._scores.copy(), criterion.tolerance, criterion.insensitive_range)

    def require_known(self) -> None:
        """Raise RuntimeError if no grid point has scores."""
        if np.isnan(self._scores).all():
            raise RuntimeError(f"Nothing could be estimated. {next(iter(self._failures.values()))}")

    def estimate(self, complete: bool = False) -> Estimate:
        """The best by what is known so far."""
        landscape = self.landscape()
        rows = [self._row(landscape, number, tissue) for number, tissue in enumerate(self.task.tissues)]
        return self.task.answer(METHOD, rows, landscape, complete, [*self._failures.values(), *self.notes])

    def _is_estimated(self, tissue: Tissue) -> bool:
        return tissue.label in self.task.estimated

    def _start(self, tissue: Tissue) -> Lame:
        return self.task.start[tissue.label]

    def _indices(self, lame: Lame) -> tuple[float, float]:
        """Fractional indices (λ, μ)."""
        scale = self.task.scale
        return tuple(
            scale.slider(weight) * (count - 1) for weight, count in zip((lame.lam, lame.mu), self.shape, strict=True)
        )

    def _lame_of(self, tissue: Tissue, point: tuple[int, int]) -> Lame:
        """λ and μ of a tissue at a grid point."""
        lame = self.lame(point)
        return lame if self._has_lambda else replace(lame, lam=self._start(tissue).lam)

    def _row(self, landscape: Landscape, number: int, tissue: Tissue) -> TissueEstimate:
        start = self._start(tissue)
        start_score = landscape.at(number, self._indices(start))
        point = landscape.best(number, self._indices(start)) if self._is_estimated(tissue) else None
        if point is None:
            return TissueEstimate(
                tissue, start, start_score, start_score, landscape.is_insensitive(number), is_estimated=False
            )
        lame = self._lame_of(tissue, point)
        if self._selected is not None and self._selected[tissue.label] != lame:
            lame = self._selected[tissue.label]
            point = self._point_of(tissue, lame)
        score = landscape.at(number, self._indices(lame) if point is None else point)
        return TissueEstimate(
            tissue, lame, score, start_score, landscape.is_insensitive(number), is_estimated=True, point=point
        )

    def _point_of(self, tissue: Tissue, lame: Lame) -> tuple[int, int] | None:
        """The grid point with exactly these parameters, if there is one."""
        point = tuple(round(index) for index in self._indices(lame))
        return point if self._lame_of(tissue, point) == lame else None
