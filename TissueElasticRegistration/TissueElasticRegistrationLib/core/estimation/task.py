"""What every search is asked: for which tissues, judged by what, starting where. And how its answer is put together."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch

from ..data.progress import Job, Progress
from ..data.tissues import Lame, Tissue, TissueParameters
from ..physics.parameter_scale import ParameterScale
from ..registration.registrar import Registrar
from .criteria.criterion import Criterion, criterion_for
from .criteria.hold_out import HoldOut
from .estimate_result import Estimate, TissueEstimate
from .landscape import Landscape

COMPARING = "comparing the segmentations"
Scores = TypeVar("Scores", np.ndarray, torch.Tensor)


@dataclass(frozen=True, eq=False)
class Question:
    """``voters``: labels of the tissues that are searched. began: time.perf_counter() at the beginning."""

    registrar: Registrar
    criterion: Criterion
    start: TissueParameters
    voters: frozenset[int]
    hold_out: HoldOut
    began: float

    @property
    def tissues(self) -> tuple[Tissue, ...]:
        return self.registrar.working.tissues

    @property
    def scale(self) -> ParameterScale:
        return self.registrar.solver.objective.scale

    @property
    def tie_of_means(self) -> float:
        """Mean scores of the voters closer together than this are equally good: more scores are less noise."""
        return self.criterion.tie / len(self.voters) ** 0.5

    def mean_score(self, scores: Scores) -> Scores:
        """The mean over the voters of scores that have the criterion's labels along the first axis."""
        return scores[[number for number, label in enumerate(self.criterion.labels) if label in self.voters]].mean(0)

    def estimated_values(self, parameters: TissueParameters) -> tuple[Lame, ...]:
        """λ and μ of the voters, in the order of their labels."""
        return tuple(parameters[label] for label in sorted(self.voters))

    def distance_from_start(self, values: tuple[Lame, ...]) -> float:
        """How far `estimated_values` are from the start values: the norm of what all sliders have moved."""
        slider = self.scale.slider
        moved = [
            (slider(own.lam) - slider(start.lam), slider(own.mu) - slider(start.mu))
            for own, start in zip(values, self.estimated_values(self.start), strict=True)
        ]
        return float(np.linalg.norm(moved))

    def answer(
        self,
        method: str,
        rows: Sequence[TissueEstimate],
        landscape: Landscape | None,
        complete: bool,
        warnings: Iterable[str] = (),
    ) -> Estimate:
        """The estimate with these rows, one for each of ``tissues``."""
        parameters = self.start
        for row in rows:
            parameters = parameters.with_tissue(row.tissue.label, row.lame)
        said = (
            *self.criterion.silent.values(),
            *self.criterion.caution,
            *warnings,
            *self.registrar.range_warnings(parameters),
            *self.registrar.notes,
        )
        held_out = tuple(tissue for tissue in self.tissues if tissue.label in self.hold_out.tissues)
        return Estimate(
            method,
            landscape,
            tuple(rows),
            parameters,
            complete,
            time.perf_counter() - self.began,
            said,
            held_out,
            tuple(sorted(self.hold_out.landmarks)),
            self.criterion.key,
        )


def asked(
    registrar: Registrar, start: TissueParameters, locked: Collection[int], objective: str, hold_out: HoldOut
) -> Job[Question]:
    """The question for a prepared registrar. Raises ValueError like `criterion_for`, and if nobody has a vote."""
    began = time.perf_counter()
    registrar.working  # noqa: B018  raises if it is not prepared
    yield Progress(0.0, COMPARING)
    criterion = criterion_for(objective, registrar, hold_out)
    yield Progress(0.0, COMPARING)
    voters = frozenset(criterion.labels) - frozenset(locked)
    if not voters:
        raise ValueError("There is nothing to estimate: every tissue that could be is locked.")
    return Question(registrar, criterion, start, voters, hold_out, began)


@contextmanager
def failures_of(note: Callable[[str], None]) -> Iterator[None]:
    """Inside, a registration may fail: ``note`` gets the reason, one line, and the search goes on.

    Raises torch.cuda.OutOfMemoryError again: the registrar falls back to the CPU.
    """
    try:
        yield
    except torch.cuda.OutOfMemoryError:
        raise
    except (RuntimeError, ArithmeticError) as error:
        note(next(iter(str(error).splitlines()), type(error).__name__))
