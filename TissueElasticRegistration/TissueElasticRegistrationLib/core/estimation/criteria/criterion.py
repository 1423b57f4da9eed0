"""What parameters are judged by. `CRITERIA` lists the ways; a new one is an entry here and a class beside this file.

Imports no torch, so that a panel or a command line can list criteria at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from ...data.tissues import BACKGROUND_ID, UNSEGMENTED_ID
from .hold_out import HoldOut

if TYPE_CHECKING:
    import numpy as np
    import torch

    from ...registration.registrar import Registrar

PairInput = Literal["moving_segmentation", "landmarks"]  # optional fields of an `ImagePair`


class Criterion(Protocol):
    """Scores of a displacement, one for each tissue in ``labels``; higher is better.

    Displacements are (1, D, *working shape) in voxels of the working grid, on the pyramid's device.

    Attributes:
        key: Of the criterion in `CRITERIA`.
        labels: Of the tissues that have a score.
        not_scored: For the other tissues that have a segment, one sentence each on why they have no score.
        tolerance: Scores closer together than this are equally good.
        insensitive_range: A tissue is insensitive if most of its scores lie this close to the best one.
        warnings: What a user should know about this way to judge, one sentence each.
    """

    key: str
    labels: tuple[int, ...]
    not_scored: dict[int, str]
    tolerance: float
    insensitive_range: float
    warnings: tuple[str, ...]

    def scores(self, displacement: torch.Tensor) -> np.ndarray: ...

    def soft_scores(self, displacement: torch.Tensor) -> torch.Tensor:
        """Nearly the same, with a derivative by the displacement."""


@dataclass(frozen=True)
class CriterionInfo:
    """What has to be known about a criterion to offer it, to compute it and to show its scores.

    Attributes:
        label: In the panel.
        name: Of the scores in charts and lines of text.
        judged_by: Completes "judged by ...".
        quantity: What is shown, as the head of a column.
        unit: Of the quantity, "" for none.
        sign: The quantity is ``sign`` times the score: -1 if lower is better.
        number_format: Of the quantity.
        needs: Optional inputs of the pair that it is computed from, which therefore are no independent evidence of it.
        make: The criterion for a prepared registrar, blind to what is held out.
            Raises ValueError if the pair lacks what it needs, or no tissue gets a score.
    """

    label: str
    name: str
    judged_by: str
    quantity: str
    unit: str
    sign: int
    number_format: str
    needs: tuple[PairInput, ...]
    make: Callable[[Registrar, HoldOut], Criterion]

    @property
    def unit_suffix(self) -> str:
        """The unit with the space before it, or ""."""
        return f" {self.unit}" if self.unit else ""

    def text(self, score: float) -> str:
        """A score as people read it."""
        return f"{self.sign * score:{self.number_format}}{self.unit_suffix}"


def _class_overlap(registrar: Registrar, hold_out: HoldOut) -> Criterion:
    from .class_overlap import ClassOverlap

    initial, device = registrar.initial.transform, registrar.pyramid.device
    return ClassOverlap(registrar.pair, registrar.working, initial, device, hold_out.tissues)


def _landmark_distance(registrar: Registrar, hold_out: HoldOut) -> Criterion:
    from .landmark_distance import LandmarkDistance

    initial, device = registrar.initial.transform, registrar.pyramid.device
    return LandmarkDistance(registrar.pair, registrar.working, initial, device, hold_out)


def _tissue_similarity(registrar: Registrar, hold_out: HoldOut) -> Criterion:
    from .tissue_similarity import TissueSimilarity

    return TissueSimilarity(registrar.pyramid, registrar.solver.objective, hold_out.tissues)


CRITERIA = {
    "dice": CriterionInfo(
        label="Overlap",
        name="class-wise Dice",
        judged_by="the overlap of the segments (Dice)",
        quantity="Dice",
        unit="",
        sign=1,
        number_format=".3f",
        needs=("moving_segmentation",),
        make=_class_overlap,
    ),
    "landmarks": CriterionInfo(
        label="Landmarks",
        name="landmark distance",
        judged_by="the distance of corresponding landmarks",
        quantity="Distance",
        unit="mm",
        sign=-1,
        number_format=".2f",
        needs=("landmarks",),
        make=_landmark_distance,
    ),
    "similarity": CriterionInfo(
        label="Similarity",
        name="similarity inside the tissue",
        judged_by="the similarity of the images inside each tissue",
        quantity="Similarity",
        unit="",
        sign=1,
        number_format=".3f",
        needs=(),
        make=_tissue_similarity,
    ),
}


def criterion_for(key: str, registrar: Registrar, hold_out: HoldOut) -> Criterion:
    """The criterion of this key for a prepared registrar.

    Raises:
        ValueError: If there is none, the pair lacks what it needs, no tissue gets a score, or something to hold out is
            unknown.
    """
    if key not in CRITERIA:
        names = tuple(CRITERIA)
        raise ValueError(f"Unknown criterion '{key}'; choose {', '.join(names[:-1])}, or {names[-1]}.")
    labels = {tissue.label for tissue in registrar.tissues if tissue.id not in (BACKGROUND_ID, UNSEGMENTED_ID)}
    if hold_out.tissues - labels:
        raise ValueError("Only tissues that have a segment in the fixed image can be held out.")
    names = () if registrar.pair.landmarks is None else registrar.pair.landmarks.all_names
    unknown = sorted(hold_out.landmarks - set(names))
    if unknown:
        raise ValueError(f"There is no landmark '{unknown[0]}' to hold out.")
    return CRITERIA[key].make(registrar, hold_out)


def depends_on(key: str | None, needed: PairInput) -> bool:
    """Whether parameters chosen by this criterion were chosen with this input: then it is no independent evidence."""
    return key in CRITERIA and needed in CRITERIA[key].needs
