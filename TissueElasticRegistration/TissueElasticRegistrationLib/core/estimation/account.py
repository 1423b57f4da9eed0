"""An estimate as ``result.json`` and the report tell it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import Any

import numpy as np

from ..images import ImagePair
from ..metrics import map_points_ras_mm, target_registration_errors
from ..result import LandmarkErrors, RegistrationResult
from .result import Estimate


def estimate_account(estimate: Estimate, pair: ImagePair, result: RegistrationResult) -> dict[str, Any]:
    """The block "estimate": what was searched and found, and what was held out.

    "per_tissue" lists the tissues whose parameters were searched. "grid" holds the weights that were tried, null for a
    gradient search. "held_out" names tissues and landmarks the search has not looked at, with the landmark error of
    these alone.
    """
    grid = estimate.landscape
    errors = held_out_errors(pair, result, estimate.held_out_landmarks)
    return {
        "method": estimate.method,
        "objective": estimate.criterion,
        "grid": None if grid is None else {"lambda": grid.lam.tolist(), "mu": grid.mu.tolist()},
        "per_tissue": [{"id": row.tissue.id, "lambda": row.lame.lam, "mu": row.lame.mu, "score": row.score,
                        "flat": row.flat} for row in estimate.per_tissue if row.votes],
        "held_out": {"tissues": [tissue.id for tissue in estimate.held_out],
                     "landmarks": list(estimate.held_out_landmarks),
                     "tre_mm": None if errors is None else asdict(errors)},
    }


def held_out_errors(pair: ImagePair, result: RegistrationResult, names: Collection[str]) -> LandmarkErrors | None:
    """Landmark errors of the named landmarks alone; None for none."""
    if pair.landmarks is None or not names:
        return None
    chosen = np.array([name in names for name in pair.landmarks.all_names])
    fixed, moving = pair.landmarks.fixed_ras_mm[chosen], pair.landmarks.moving_ras_mm[chosen]
    mapped = map_points_ras_mm(fixed, result.displacement_ras_mm, result.geometry)
    return target_registration_errors(fixed, moving, mapped)


def confidence(estimate: Estimate, number: int) -> float:
    """Share of the landscape of one tissue that is worse than its best: near 0, λ and μ hardly matter. NaN without a
    landscape.
    """
    if estimate.landscape is None or not np.isfinite(estimate.landscape.scores[number]).any():
        return float("nan")
    known = np.isfinite(estimate.landscape.scores[number])
    return float(1 - estimate.landscape.near_best(number).sum() / known.sum())
