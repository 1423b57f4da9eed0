"""How much each tissue is sheared by one registration with the same λ and μ everywhere: stiff tissue is sheared less.

The index ignores where the load acts, so it ranks tissues, and subjects, only as far as all are loaded alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from ..physics.elasticity import strain_invariants

# With fewer voxels, noise and the neighbors outweigh the tissue.
MIN_VOXELS = 50


def strain_index(
    displacement_mm: np.ndarray,
    spacing_mm: Sequence[float],
    labels: np.ndarray,
    inside: np.ndarray,
    tissue_labels: Iterable[int],
) -> dict[int, float]:
    """Negative logarithm of the rms shear strain of every tissue.

    Differences between tissues are estimates of the logarithm of their shear modulus ratio.

    Args:
        displacement_mm: (D, *shape), components along the axes of the grid.
        spacing_mm: Size of a voxel along each axis.
        labels: (*shape) integers.
        inside: (*shape), where the displacement is valid.
        tissue_labels: Labels of the tissues.

    Returns:
        The index by label; NaN for less than MIN_VOXELS voxels or no shear at all.
    """
    field = torch.from_numpy(np.ascontiguousarray(displacement_mm, dtype=np.float64))[None]
    squares, divergence = (part[0, 0].numpy() for part in strain_invariants(field, spacing_mm))
    shear = np.maximum(squares - divergence / len(displacement_mm), 0.0)
    found = {}
    for label in tissue_labels:
        region = inside & (labels == label)
        mean = float(shear[region].mean()) if region.sum() >= MIN_VOXELS else 0.0
        found[label] = -0.5 * float(np.log(mean)) if mean > 0 else float("nan")
    return found
