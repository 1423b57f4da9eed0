"""An estimate as ``result.json`` and the report tell it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..data.images import ImagePair
from ..data.result import LandmarkErrors, RegistrationResult
from ..estimation.criteria.criterion import depends_on
from ..estimation.estimate_result import Estimate
from ..evaluation.landmarks import landmark_errors
from ..stiffness.shear_modulus_ratio import ShearModulusRatios


def summarize_estimate(
    estimate: Estimate | None, pair: ImagePair, result: RegistrationResult, ratios: ShearModulusRatios | None = None
) -> dict[str, Any]:
    """The block "estimate": what was searched and found, and what was held out.

    "per_tissue" lists the tissues whose parameters were searched: "score" with what was found, "score_start" with the
    values before. "grid" holds the weights that were tried, null for a gradient search. "held_out" names tissues and
    landmarks the search has not looked at, with the landmark error of these alone. "shear_modulus_ratio" is
    `shear_modulus_account` of the ratios, null without them. ("relative_stiffness" of the result's tissues is Young's
    modulus, as it follows from the λ and μ they were registered with.) Without an estimate of λ and μ the method is
    "none". Infinite and unknown numbers become null in the file.
    """
    found = _not_searched() if estimate is None else _searched(estimate, pair, result)
    return {**found, "shear_modulus_ratio": None if ratios is None else shear_modulus_account(ratios)}


def _not_searched() -> dict[str, Any]:
    held_out = {"tissues": [], "landmarks": [], "tre_mm": None}
    return {"method": "none", "objective": None, "grid": None, "per_tissue": [], "held_out": held_out}


def _searched(estimate: Estimate, pair: ImagePair, result: RegistrationResult) -> dict[str, Any]:
    grid, errors = estimate.landscape, landmark_errors_of(pair, result, estimate.held_out_landmarks)
    return {
        "method": estimate.method,
        "objective": estimate.criterion,
        "grid": None if grid is None else {"lambda": grid.lam.tolist(), "mu": grid.mu.tolist()},
        "per_tissue": [
            {
                "id": row.tissue.id,
                "lambda": row.lame.lam,
                "mu": row.lame.mu,
                "score": row.score,
                "score_start": row.start_score,
                "flat": row.insensitive,
                "confidence": confidence(estimate, number),
            }
            for number, row in enumerate(estimate.per_tissue)
            if row.is_estimated
        ],
        "held_out": {
            "tissues": [tissue.id for tissue in estimate.held_out],
            "landmarks": list(estimate.held_out_landmarks),
            "tre_mm": None if errors is None else asdict(errors),
        },
    }


def shear_modulus_account(ratios: ShearModulusRatios) -> dict[str, Any]:
    """μ of every tissue relative to the tissue "reference", with a 95 % interval from "low" to "high".

    Where "supported" is false, "reason" says why, and "mu" must not be used.
    """
    return {
        "reference": ratios.reference.id,
        "condition": ratios.condition,
        "per_tissue": [
            {
                "id": row.tissue.id,
                "mu": row.mu,
                "low": row.low,
                "high": row.high,
                "supported": row.supported,
                "strain_index": row.strain_index,
                "reason": row.reason,
            }
            for row in ratios.per_tissue
        ],
    }


@dataclass(frozen=True)
class Evidence:
    """A measure of the fit before and after. independent: the search has not looked at what it is measured with."""

    what: str
    unit: str
    before: float
    after: float
    independent: bool


def evidence(estimate: Estimate, pair: ImagePair, result: RegistrationResult) -> list[Evidence]:
    """Overlap of every tissue and mean landmark errors, as far as they were measured; independent ones first."""
    tuned = set(estimate.tuned_on) if depends_on(estimate.criterion, "moving_segmentation") else set()
    found = [
        Evidence(f"Overlap of {row.tissue.name}", "Dice", row.dice_before, row.dice_after, row.tissue not in tuned)
        for row in result.tissues
        if np.isfinite([row.dice_before, row.dice_after]).all()
    ]
    if pair.landmarks is not None:
        names = set(pair.landmarks.all_names)
        kept = set(estimate.held_out_landmarks) if depends_on(estimate.criterion, "landmarks") else names
        for chosen, independent in ((kept, True), (names - kept, False)):
            errors = landmark_errors_of(pair, result, chosen)
            if errors is not None:
                what = f"Mean error of {errors.n} landmark{'s' if errors.n > 1 else ''}"
                found.append(Evidence(what, "mm", errors.before_mean, errors.after_mean, independent))
    return sorted(found, key=lambda one: not one.independent)


def landmark_errors_of(pair: ImagePair, result: RegistrationResult, names: Collection[str]) -> LandmarkErrors | None:
    """Landmark errors of the named landmarks alone; None for none."""
    return landmark_errors(pair.landmarks, result.displacement_ras_mm, result.geometry, names)


def confidence(estimate: Estimate, number: int) -> float:
    """Share of the landscape of one tissue that is worse than its best: near 0, λ and μ hardly matter. NaN without a
    landscape.
    """
    if estimate.landscape is None or not np.isfinite(estimate.landscape.scores[number]).any():
        return float("nan")
    known = np.isfinite(estimate.landscape.scores[number])
    return float(1 - estimate.landscape.near_best(number).sum() / known.sum())
