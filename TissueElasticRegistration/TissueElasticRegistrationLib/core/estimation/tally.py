"""What a search over a grid knows so far, and what follows from it for each tissue."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from ..tissues import Lame, Tissue
from .landscape import Landscape
from .question import Question
from .result import Estimate, TissueEstimate

METHOD = "grid"


class Tally:
    """Scores of ``points`` x ``points`` places, found in any order; places are addressed by indices (λ, μ)."""

    def __init__(self, question: Question, points: int) -> None:
        self.question = question
        self.sliders = np.linspace(0, 1, points)
        self.weights = np.array([question.scale.weight(slider) for slider in self.sliders.tolist()])
        self._scores = np.full((len(question.tissues), points, points), np.nan)
        numbers = {tissue.label: number for number, tissue in enumerate(question.tissues)}
        self._scored = [numbers[label] for label in question.criterion.labels]
        self._failures: dict[tuple[int, int], str] = {}
        self.notes: list[str] = []

    def lame(self, place: tuple[int, int]) -> Lame:
        return Lame(float(self.weights[place[0]]), float(self.weights[place[1]]))

    def text(self, place: tuple[int, int], number: int) -> str:
        lame = self.lame(place)
        return f"λ {lame.lam:.3g}, μ {lame.mu:.3g}: {number} of {self._scores[0].size}"

    def put(self, place: tuple[int, int], scores: np.ndarray) -> None:
        """Scores of the criterion's labels, in their order; they replace earlier ones."""
        self._scores[self._scored, place[0], place[1]] = scores

    def scores_at(self, place: tuple[int, int]) -> np.ndarray:
        return self._scores[self._scored, place[0], place[1]]

    def failed(self, place: tuple[int, int], error: Exception) -> None:
        """This place stays unknown, the others are searched. Raises what must not be ignored again."""
        if isinstance(error, torch.cuda.OutOfMemoryError):
            raise error  # the registrar falls back to the CPU
        lame, reason = self.lame(place), next(iter(str(error).splitlines()), type(error).__name__)
        self._failures[place] = f"λ = {lame.lam:.3g} with μ = {lame.mu:.3g} could not be registered: {reason}"
        self._scores[:, place[0], place[1]] = np.nan

    def landscape(self) -> Landscape:
        criterion = self.question.criterion
        return Landscape(self.weights, self.weights, self._scores.copy(), criterion.tie, criterion.flat)

    def finished(self) -> Estimate:
        """Raises RuntimeError if nothing is known."""
        if np.isnan(self._scores).all():
            raise RuntimeError(f"Nothing could be estimated. {next(iter(self._failures.values()))}")
        return self.estimate(complete=True)

    def estimate(self, complete: bool = False) -> Estimate:
        """What is best by what is known so far."""
        landscape = self.landscape()
        rows = [self._row(landscape, number, tissue) for number, tissue in enumerate(self.question.tissues)]
        return self.question.answer(METHOD, rows, landscape, complete, [*self._failures.values(), *self.notes])

    def places_that_count(self, doubt: float = 0.0) -> list[tuple[int, int]]:
        """Where the voters' choices and best scores are, and what they would choose if scores were wrong by ``doubt``.
        """
        landscape, places = self.landscape(), []
        for number, tissue in enumerate(self.question.tissues):
            scores = landscape.scores[number]
            if tissue.label in self.question.voters and np.isfinite(scores).any():
                best, near = np.unravel_index(np.nanargmax(scores), scores.shape), self._start_place(tissue)
                places += [tuple(map(int, best)), landscape.best(number, near)]
                places.append(replace(landscape, tie=landscape.tie + doubt).best(number, near))
        return list(dict.fromkeys(places))

    def _start_place(self, tissue: Tissue) -> tuple[float, float]:
        start, steps = self.question.start[tissue.label], len(self.weights) - 1
        scale = self.question.scale
        return scale.slider(start.lam) * steps, scale.slider(start.mu) * steps

    def _row(self, landscape: Landscape, number: int, tissue: Tissue) -> TissueEstimate:
        start, place = self.question.start[tissue.label], self._start_place(tissue)
        start_score = landscape.at(number, place)
        point = landscape.best(number, place) if tissue.label in self.question.voters else None
        if point is None:
            return TissueEstimate(tissue, start, start_score, start_score, landscape.is_flat(number), votes=False)
        return TissueEstimate(tissue, self.lame(point), float(landscape.scores[(number, *point)]), start_score,
                              landscape.is_flat(number), votes=True, point=point)
