"""What an estimate of λ and μ returns, and what it yields on the way."""

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

    The scores of a grid search come from registrations with the same parameters everywhere, so a registration with all
    tissues' own parameters will have other ones. Those of a gradient search are with all tissues' own parameters.

    Attributes:
        tissue: Whose parameters these are.
        lame: λ and μ. After a grid search those of the candidate that was selected (see `candidates`), which need not
            be the best of the tissue's own landscape.
        score: The landscape at ``lame``, interpolated between grid points; NaN where it is not known.
        start_score: The same at the start value.
        insensitive: Whether λ and μ hardly change the score, so that ``lame`` means little.
        is_estimated: Whether ``lame`` comes from the search. If not (background, unsegmented, locked, held out,
            too small, missing in the moving segmentation, or nothing known yet) it is the start value.
        point: Indices (λ, μ) of ``lame`` in the landscape; None if it does not come from the search, or is a start
            value between the grid points.
    """

    tissue: Tissue
    lame: Lame
    score: float
    start_score: float
    insensitive: bool
    is_estimated: bool
    point: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class Estimate:
    """λ and μ for every tissue of a registrar, in the order of its tissues, which is also that of the landscape.

    These are the values that register this pair best by ``criterion``. They are no measurement of stiffness.

    Attributes:
        method: "grid" or "gradient".
        landscape: The scores of all grid points; None for a gradient search.
        per_tissue: The parameters of every tissue.
        parameters: All of them together, ready for a registration.
        complete: False for the best so far.
        seconds: Wall time since the beginning.
        warnings: One sentence each: tissues that could not be scored, failures, what was selected and why.
        held_out: Tissues that the search has not used. What is measured with them is independent evidence of the
            registration, what is measured with ``tuned_on`` is not.
        held_out_landmarks: Names of landmarks that the search has not used.
        criterion: Key in `CRITERIA` of what was judged by.
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
        return tuple(row.tissue for row in self.per_tissue if row.is_estimated)

    def values(self) -> dict[str, Lame]:
        """λ and μ by tissue id, of the tissues whose parameters come from the search."""
        return {row.tissue.id: row.lame for row in self.per_tissue if row.is_estimated}


@dataclass(frozen=True, eq=False)
class EstimateProgress(Progress):
    """A step after which more is known.

    Attributes:
        estimate: The best so far.
    """

    estimate: Estimate
