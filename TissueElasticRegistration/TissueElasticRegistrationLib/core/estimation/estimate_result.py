"""What an estimate of λ and μ returns, and what it tells on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..data.progress import Progress
from ..data.tissues import Lame, Tissue, TissueParameters
from .criteria.criterion import CRITERIA
from .landscape import Landscape

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class TissueEstimate:
    """The parameters of one tissue.

    votes: whether ``lame`` comes from the search. If not (background, unsegmented, locked, held out, too small, missing
        in the moving segmentation, or nothing known yet) it is the start value.
    lame: of a grid: of what the tissue chose by itself, its start value and the best pair for all tissues, what is good
        when all tissues are registered together. So it need not be the best of the tissue's own landscape.
    point: indices (λ, μ) of ``lame`` in the landscape; None if the tissue does not vote, or has kept a start value that
        is no place of the grid.
    score, start_score: of a grid: the landscape at ``lame`` and at the start value, interpolated between its places;
        NaN where it is not known. Both come from registrations with the same parameters everywhere, so a result with
        all tissues' own parameters will have other scores. Of a gradient search: with all tissues' own parameters.
    flat: λ and μ hardly change the score, so ``lame`` means little.
    """

    tissue: Tissue
    lame: Lame
    score: float
    start_score: float
    flat: bool
    votes: bool
    point: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class Estimate:
    """λ and μ for every tissue of a registrar, in the order of its tissues, which is also that of the landscape.

    These are the values that register this pair best by ``criterion``. They are no measurement of stiffness.

    landscape: None for a search that follows the gradient. complete: False for the best so far. parameters: all of them
    together, ready for a registration. warnings: one sentence each, about tissues without a vote and candidates that
    failed. held_out, held_out_landmarks: tissues and names of landmarks that the search has not looked at: what they
    say of the registration is independent evidence, what ``tuned_on`` says is not. criterion: what was judged by:
    "dice", "landmarks" or "similarity"; criterion_name: the same for people.
    """

    method: str
    landscape: Landscape | None
    per_tissue: tuple[TissueEstimate, ...]
    parameters: TissueParameters
    complete: bool
    seconds: float
    warnings: tuple[str, ...] = ()
    held_out: tuple[Tissue, ...] = ()
    held_out_landmarks: tuple[str, ...] = ()
    criterion: str = "dice"

    @property
    def criterion_name(self) -> str:
        """What the scores are called in charts and lines of text."""
        return CRITERIA[self.criterion].name

    @property
    def tuned_on(self) -> tuple[Tissue, ...]:
        """Tissues whose labels, landmarks or intensities have chosen parameters."""
        return tuple(row.tissue for row in self.per_tissue if row.votes)

    def values(self) -> dict[str, Lame]:
        """λ and μ by tissue id of the tissues that have a vote."""
        return {row.tissue.id: row.lame for row in self.per_tissue if row.votes}


@dataclass(frozen=True, eq=False)
class EstimateProgress(Progress):
    """Another point of the landscape is known; ``estimate`` is the best so far."""

    estimate: Estimate
