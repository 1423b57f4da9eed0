"""How much each tissue is sheared by one registration with the same λ and μ everywhere: stiff tissue is sheared less.

The index knows nothing of where the load acts, so it ranks tissues, and subjects, only as far as all are loaded alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from ..physics.elasticity import strain_invariants

# Fewer voxels say more about noise and about the neighbors than about the tissue.
FEWEST_VOXELS = 50


def strain_index(
    displacement_mm: np.ndarray,
    spacing_mm: Sequence[float],
    labels: np.ndarray,
    inside: np.ndarray,
    wanted: Iterable[int],
) -> dict[int, float]:
    """-log of the rms shear strain in every tissue, by label; NaN for less than 50 voxels or no shear at all.

    displacement_mm: (D, *shape) along the axes of the grid; labels: (*shape) ints; inside: (*shape) bool, where the
    displacement means something. Differences between tissues are estimates of the log shear modulus ratio.
    """
    field = torch.from_numpy(np.ascontiguousarray(displacement_mm, dtype=np.float64))[None]
    squares, divergence = (part[0, 0].numpy() for part in strain_invariants(field, spacing_mm))
    shear = np.maximum(squares - divergence / len(displacement_mm), 0.0)
    found = {}
    for label in wanted:
        region = inside & (labels == label)
        mean = float(shear[region].mean()) if region.sum() >= FEWEST_VOXELS else 0.0
        found[label] = -0.5 * float(np.log(mean)) if mean > 0 else float("nan")
    return found
