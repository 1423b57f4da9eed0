"""What parameters are judged by: overlap of labels, distance of landmarks, or similarity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, get_args

import numpy as np
import torch

from ...data.tissues import BACKGROUND_ID, UNSEGMENTED_ID
from .class_overlap import ClassOverlap
from .hold_out import HoldOut
from .landmark_distance import LandmarkDistance
from .tissue_similarity import TissueSimilarity

if TYPE_CHECKING:
    from ...registration.registrar import Registrar

ObjectiveName = Literal["dice", "landmarks", "similarity"]
OBJECTIVES: tuple[ObjectiveName, ...] = get_args(ObjectiveName)


class Criterion(Protocol):
    """Scores of a displacement, one for each tissue in ``labels``; higher is better. name: for people.

    silent: for the other tissues that have a segment, one sentence each on why they have no score. tie: scores closer
    together than this are equally good. flat: a landscape is flat if most of it lies this close to its best point.
    caution: what a user should know about this way to judge, one sentence each.
    Displacements: (1, D, *working shape) in voxels of the working grid, on the pyramid's device.
    """

    key: ObjectiveName
    name: str
    labels: tuple[int, ...]
    silent: dict[int, str]
    tie: float
    flat: float
    caution: tuple[str, ...]

    def scores(self, displacement: torch.Tensor) -> np.ndarray: ...

    def soft_scores(self, displacement: torch.Tensor) -> torch.Tensor:
        """Nearly the same, with a derivative by the displacement."""


def criterion_for(objective: ObjectiveName, registrar: Registrar, hold_out: HoldOut) -> Criterion:
    """The criterion of this name for a prepared registrar.

    Raises ValueError if the pair has not what it needs, no tissue gets a score, or something to hold out is unknown.
    """
    _check(registrar, hold_out)
    pair, working, initial = registrar.pair, registrar.working, registrar.initial.transform
    device = registrar.pyramid.device
    if objective == "dice":
        return ClassOverlap(pair, working, initial, device, hold_out.tissues)
    if objective == "landmarks":
        return LandmarkDistance(pair, working, initial, device, hold_out)
    if objective == "similarity":
        return TissueSimilarity(registrar.pyramid, registrar.solver.objective, hold_out.tissues)
    raise ValueError(f"There is no objective '{objective}': choose {', '.join(OBJECTIVES)}.")


def _check(registrar: Registrar, hold_out: HoldOut) -> None:
    labels = {tissue.label for tissue in registrar.tissues if tissue.id not in (BACKGROUND_ID, UNSEGMENTED_ID)}
    if hold_out.tissues - labels:
        raise ValueError("Only tissues that have a segment in the fixed image can be held out.")
    names = () if registrar.pair.landmarks is None else registrar.pair.landmarks.all_names
    unknown = sorted(hold_out.landmarks - set(names))
    if unknown:
        raise ValueError(f"There is no landmark '{unknown[0]}' to hold out.")
