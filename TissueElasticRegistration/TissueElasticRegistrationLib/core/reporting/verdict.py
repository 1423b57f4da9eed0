"""What the measurements say about a registration, in sentences. It names faults; it never clears a result for use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..data.images import ImagePair
from ..data.result import RegistrationResult, TissueResult
from ..data.tissues import BACKGROUND
from ..estimation.criteria.criterion import depends_on
from ..evaluation.metrics import percent
from ..evaluation.reliability import DICE_NOISE

Level = Literal["problem", "caution", "fine", "unmeasured"]
FOLDING_PROBLEM_PERCENT = 0.5
LANDMARK_PROBLEM_MM, LANDMARK_CAUTION_MM = 5.0, 2.0
FEW_LANDMARKS = 10
UNCOVERED_CAUTION_PERCENT = 1.0


@dataclass(frozen=True)
class Finding:
    """One measurement and what it says.

    Attributes:
        level: How serious it is.
        topic: What it is about, in a word or two.
        sentence: What it says.
    """

    level: Level
    topic: str
    sentence: str


def findings(pair: ImagePair, result: RegistrationResult, facts: Mapping[str, Any]) -> list[Finding]:
    """All findings, in a fixed order of topics; the result's own warnings last.

    Args:
        pair: The images that were registered.
        result: The result of the registration.
        facts: As for `result_json`: its "estimate" says what the parameters were chosen by.
    """
    return [
        *(Finding("problem", "Reliability", reason) for reason in result.unreliable),
        _folding(result),
        _tuned(_landmarks(pair, result), facts),
        _overlap(result, facts),
        _similarity(result),
        *_coverage(pair, result),
        *(Finding("caution", "Warning", warning) for warning in result.warnings),
    ]


def tissue_findings(row: TissueResult) -> list[Finding]:
    """What was measured in one tissue, by the same rules."""
    found = []
    share = row.negative_jacobian_percent
    if share > 0:
        found.append(
            Finding(
                _folding_level(share),
                "Folding",
                f"The deformation folds in {share:.2g} % of its voxels, which is physically impossible.",
            )
        )
    if _has_less_overlap(row):
        found.append(
            Finding(
                "problem",
                "Overlap",
                f"Overlap (Dice) decreased from {row.dice_before:.3f} to {row.dice_after:.3f}.",
            )
        )
    return found


def verdict(found: list[Finding]) -> str:
    """One line over all findings, worst first."""
    topics = {
        level: ", ".join(dict.fromkeys(finding.topic.lower() for finding in found if finding.level == level))
        for level in ("problem", "caution", "unmeasured")
    }
    parts = [
        f"{word}: {topics[level]}"
        for level, word in (("problem", "Problem"), ("caution", "Check"), ("unmeasured", "Not measured"))
        if topics[level]
    ]
    if not (topics["problem"] or topics["caution"]):
        parts.insert(0, "No problem was found in the measurements")
    return ". ".join(parts) + (
        ". These measurements do not replace visual review. Inspect the images before using the result."
    )


def _folding(result: RegistrationResult) -> Finding:
    share = result.negative_jacobian_percent
    if not np.isfinite(share):
        return Finding("unmeasured", "Folding", "Folding was not measured.")
    if share <= 0:
        return Finding("fine", "Folding", "The deformation does not fold anywhere.")
    folded = [tissue for tissue in result.tissues if tissue.negative_jacobian_percent > 0]
    worst = max(folded, key=lambda tissue: tissue.negative_jacobian_percent, default=None)
    where = f", mostly in {worst.tissue.name} ({worst.negative_jacobian_percent:.2g} %)" if worst else ""
    return Finding(
        _folding_level(share),
        "Folding",
        f"The deformation folds in {share:.2g} % of the voxels{where}, which is physically impossible.",
    )


def _folding_level(share_percent: float) -> Level:
    return "problem" if share_percent >= FOLDING_PROBLEM_PERCENT else "caution"


def _landmarks(pair: ImagePair, result: RegistrationResult) -> Finding:
    errors = result.landmark_errors
    if errors is None:
        why = "no landmarks were given" if pair.landmarks is None else "no landmark lies inside of the fixed image"
        return Finding("unmeasured", "Landmark error", f"Landmark error was not measured: {why}.")
    spacing_mm = pair.fixed.geometry.spacing_kji_mm
    voxel_mm = float(spacing_mm[np.array(pair.fixed.geometry.shape_kji) > 1].max())
    after = errors.after_mean
    text = (
        f"Mean landmark error {errors.before_mean:.2f} mm before and {after:.2f} mm after registration "
        f"(maximum {errors.before_max:.2f} and {errors.after_max:.2f} mm, {errors.n} landmarks); the largest "
        f"voxel side is {voxel_mm:.2f} mm."
    )
    if errors.n < FEW_LANDMARKS:
        text += " With so few landmarks, the error elsewhere remains unknown."
    if after > errors.before_mean:
        return Finding("problem", "Landmark error", f"{text} Registration increased the error.")
    if after > LANDMARK_PROBLEM_MM:
        return Finding("problem", "Landmark error", f"{text} A mean above {LANDMARK_PROBLEM_MM:g} mm is too large.")
    if after > LANDMARK_CAUTION_MM:
        return Finding("caution", "Landmark error", f"{text} The mean exceeds {LANDMARK_CAUTION_MM:g} mm.")
    if errors.after_max > LANDMARK_PROBLEM_MM:
        return Finding("caution", "Landmark error", f"{text} At least one error exceeds {LANDMARK_PROBLEM_MM:g} mm.")
    if after > voxel_mm:
        return Finding("caution", "Landmark error", f"{text} The mean exceeds the voxel size.")
    return Finding("fine", "Landmark error", text)


def _tuned(finding: Finding, facts: Mapping[str, Any]) -> Finding:
    """The finding about landmarks, with what it is worth if parameters were chosen by them."""
    estimate = facts.get("estimate") or {}
    if finding.level == "unmeasured" or not depends_on(estimate.get("objective"), "landmarks"):
        return finding
    errors = (estimate.get("held_out") or {}).get("tre_mm")
    text = "The landmarks were used to choose the parameters, so this is not independent evidence."
    if errors:
        text += (
            f" Landmarks held out of the search ({errors['n']}): mean error {errors['before_mean']:.2f} mm "
            f"before, {errors['after_mean']:.2f} mm after registration."
        )
    level = "caution" if finding.level == "fine" else finding.level
    return Finding(level, finding.topic, f"{finding.sentence} {text}")


def _overlap(result: RegistrationResult, facts: Mapping[str, Any]) -> Finding:
    measured = [tissue for tissue in result.tissues if np.isfinite([tissue.dice_before, tissue.dice_after]).all()]
    if not measured:
        return Finding(
            "unmeasured",
            "Overlap",
            "Overlap (Dice) was not measured: no moving segmentation shares a tissue with the fixed image.",
        )
    changes = ", ".join(
        f"{tissue.tissue.name} {tissue.dice_before:.3f} to {tissue.dice_after:.3f}" for tissue in measured
    )
    worse = [tissue.tissue.name for tissue in measured if _has_less_overlap(tissue)]
    if worse:
        return Finding("problem", "Overlap", f"Overlap (Dice) decreased for {', '.join(worse)} ({changes}).")
    estimate = facts.get("estimate") or {}
    if depends_on(estimate.get("objective"), "moving_segmentation"):
        kept = (estimate.get("held_out") or {}).get("tissues", ())
        names = [tissue.tissue.name for tissue in measured if tissue.tissue.id in kept]
        rest = f" Only {', '.join(names)} was held out of the search." if names else ""
        return Finding(
            "caution",
            "Overlap",
            f"Overlap (Dice): {changes}. The same labels were used to choose the parameters, so this is not "
            f"independent evidence.{rest}",
        )
    return Finding("fine", "Overlap", f"Overlap (Dice): {changes}.")


def _has_less_overlap(row: TissueResult) -> bool:
    return row.dice_after < row.dice_before - DICE_NOISE


def _similarity(result: RegistrationResult) -> Finding:
    before, after = result.similarity_before, result.similarity_after
    if not (np.isfinite(before) and np.isfinite(after)):
        return Finding("unmeasured", "Similarity", "Image similarity was not measured.")
    text = f"Image similarity (squared local correlation) {before:.3f} before, {after:.3f} after registration"
    if after < before:
        return Finding("problem", "Similarity", f"{text}: the images match less well than without registration.")
    return Finding(
        "fine", "Similarity", f"{text}. A high value alone does not prove that tissues are matched correctly."
    )


def _coverage(pair: ImagePair, result: RegistrationResult) -> list[Finding]:
    missing = percent(~result.valid_kji, pair.fixed_segmentation.labels_kji != BACKGROUND)
    if not missing > UNCOVERED_CAUTION_PERCENT:
        return []
    return [
        Finding(
            "caution",
            "Field of view",
            f"{missing:.1f} % of the segmented voxels have no counterpart because they lie outside the moving image.",
        )
    ]
