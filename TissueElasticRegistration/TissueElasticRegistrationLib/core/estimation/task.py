"""What is estimated: for which tissues, judged by what, from which start values."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch

from ..data.progress import Job, Progress
from ..data.tissues import Tissue, TissueParameters
from ..physics.parameter_scale import ParameterScale
from ..registration.registrar import Registrar
from .criteria.criterion import Criterion, criterion_for
from .criteria.hold_out import HoldOut
from .estimate_result import Estimate, TissueEstimate
from .landscape import Landscape

COMPARING = "comparing the segmentations"
Scores = TypeVar("Scores", np.ndarray, torch.Tensor)


@dataclass(frozen=True, eq=False)
class EstimationTask:
    """The problem that a search solves.

    Attributes:
        registrar: Prepared, for the pair.
        criterion: What is judged by.
        start: λ and μ at the beginning, by label.
        estimated: Labels of the tissues whose λ and μ are searched.
        hold_out: What the search must not use.
        began: time.perf_counter() at the beginning.
    """

    registrar: Registrar
    criterion: Criterion
    start: TissueParameters
    estimated: frozenset[int]
    hold_out: HoldOut
    began: float

    @property
    def tissues(self) -> tuple[Tissue, ...]:
        return self.registrar.working.tissues

    @property
    def scale(self) -> ParameterScale:
        return self.registrar.solver.objective.scale

    @property
    def tolerance_of_mean(self) -> float:
        """Means over the estimated tissues closer together than this are equal: more scores are less noise."""
        return self.criterion.tolerance / len(self.estimated) ** 0.5

    def mean_score(self, scores: Scores) -> Scores:
        """The mean over the estimated tissues of scores that have the criterion's labels along the first axis."""
        return scores[[number for number, label in enumerate(self.criterion.labels) if label in self.estimated]].mean(0)

    def answer(
        self,
        method: str,
        rows: Sequence[TissueEstimate],
        landscape: Landscape | None,
        complete: bool,
        warnings: Iterable[str] = (),
    ) -> Estimate:
        """Put together an estimate.

        Args:
            method: "grid" or "gradient".
            rows: One for each of ``tissues``.
            landscape: None for a gradient search.
            complete: False for the best so far.
            warnings: Of the search, one sentence each.
        """
        parameters = self.start
        for row in rows:
            parameters = parameters.with_tissue(row.tissue.label, row.lame)
        said = (
            *self.criterion.not_scored.values(),
            *self.criterion.warnings,
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


def make_task(
    registrar: Registrar, start: TissueParameters, locked: Collection[int], objective: str, hold_out: HoldOut
) -> Job[EstimationTask]:
    """The task for a prepared registrar.

    Args:
        registrar: Prepared.
        start: λ and μ at the beginning, by label.
        locked: Labels of tissues that keep their values.
        objective: Key in `CRITERIA`.
        hold_out: What the search must not use.

    Raises:
        ValueError: Like `criterion_for`, if the registrar is not prepared, or if every tissue is locked.
    """
    began = time.perf_counter()
    registrar.working  # noqa: B018  raises if it is not prepared
    yield Progress(0.0, COMPARING)
    criterion = criterion_for(objective, registrar, hold_out)
    yield Progress(0.0, COMPARING)
    estimated = frozenset(criterion.labels) - frozenset(locked)
    if not estimated:
        raise ValueError("Nothing to estimate: all tissues that could be estimated are locked.")
    return EstimationTask(registrar, criterion, start, estimated, hold_out, began)


@contextmanager
def failures_of(note: Callable[[str], None]) -> Iterator[None]:
    """A context in which a registration may fail without ending the search.

    Args:
        note: Gets the reason, one line.

    Raises:
        torch.cuda.OutOfMemoryError: Passed on, because the registrar then falls back to the CPU.
    """
    try:
        yield
    except torch.cuda.OutOfMemoryError:
        raise
    except (RuntimeError, ArithmeticError) as error:
        note(next(iter(str(error).splitlines()), type(error).__name__))
