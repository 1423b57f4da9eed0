"""What speaks against relying on a registration: signs that the images do not show the same anatomy, or too little.

A registration can lower its objective honestly and still be wrong: noise, another patient, or two scans that share a
small part can be deformed until they look more alike. None of these signs proves an error, and a result without any of
them can be wrong as well. The limits were chosen on random synthetic pairs (Testing/benchmarks/random_pairs.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..data.result import LandmarkErrors, ObjectiveValues, TissueResult

MIN_SIMILARITY = 0.1
RELIABLE_KEPT_SHARE = 0.8  # a registration that keeps less than 0.75 is not accepted at all, see `comparison`
MIN_COVERED_SHARE = 0.25
MAX_STRAIN_RMS = 0.22
MIN_DICE = 0.4
DICE_NOISE = 0.005  # by so much Dice changes when a mask is resampled


def reasons_against(
    values: ObjectiveValues,
    covered_share: float,
    strain_rms: float,
    tissues: Sequence[TissueResult],
    landmark_errors: LandmarkErrors | None,
    alignment_is_uncertain: bool = False,
) -> tuple[str, ...]:
    """Why a registration should not be relied on.

    Args:
        values: What the registration achieved.
        covered_share: How much of the fixed body lies inside the moving image after the initial alignment, 0 to 1.
        strain_rms: Root mean square of the strain tensor's norm over that part of the body.
        tissues: Overlap of every tissue before and after.
        landmark_errors: Of the landmarks, if there are any.
        alignment_is_uncertain: Whether the moving image fits about as well in quite another orientation.

    Returns:
        One sentence for each reason; empty if there is none.
    """
    found = []
    if alignment_is_uncertain:
        found.append(
            "The initial alignment is uncertain: in quite another orientation, the moving image fits almost as well."
        )
    if values.similarity_after < MIN_SIMILARITY:
        found.append(
            f"The images hardly match after registration (similarity {values.similarity_after:.2f} of 1): they may not "
            "show the same anatomy."
        )
    if covered_share < MIN_COVERED_SHARE:
        found.append(f"Only {100 * covered_share:.0f} % of the body in the fixed image is inside the moving image.")
    if values.kept_share < RELIABLE_KEPT_SHARE:
        found.append(
            f"The deformation moves {100 * (1 - values.kept_share):.0f} % of the common field of view out of the "
            "moving image."
        )
    if strain_rms > MAX_STRAIN_RMS:
        found.append(
            f"The body is deformed by {100 * strain_rms:.0f} % on average (strain), more than expected of one patient: "
            "the images may be misaligned, noisy or of different anatomy."
        )
    dice = np.array([(row.dice_before, row.dice_after) for row in tissues]).reshape(-1, 2)
    before, after = dice[np.isfinite(dice).all(1)].mean(0) if np.isfinite(dice).all(1).any() else (0.0, 0.0)
    if after < before - DICE_NOISE:
        found.append(f"The overlap of the segmentations decreased (mean Dice {before:.2f} to {after:.2f}).")
    common = [row.dice_common_after for row in tissues if np.isfinite(row.dice_common_after)]
    if common and np.mean(common) < MIN_DICE:
        found.append(
            f"The segmentations overlap little after registration, even within the common field of view (mean Dice "
            f"{np.mean(common):.2f})."
        )
    if landmark_errors is not None and landmark_errors.after_mean > landmark_errors.before_mean:
        found.append(
            f"The landmark error increased ({landmark_errors.before_mean:.1f} to {landmark_errors.after_mean:.1f} mm)."
        )
    return tuple(found)
