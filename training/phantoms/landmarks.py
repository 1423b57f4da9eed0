"""Points of known correspondence, spread over the tissues of a case."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_erosion

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.data.images import Landmarks

from .subject import AIR, TISSUE_NAMES

DEPTH_VOXELS = 3


def choose_landmarks(
    labels_kji: np.ndarray, displacement_ras_mm: np.ndarray, valid: np.ndarray, geometry: Geometry, count: int
) -> Landmarks:
    """Voxel centers at least DEPTH_VOXELS inside the body, as many in each tissue, far from each other.

    Args:
        labels_kji: (K, J, I) of the fixed image.
        displacement_ras_mm: (K, J, I, 3) in RAS mm, fixed to moving.
        valid: (K, J, I) bool, where the moving image shows the same point.
        geometry: The grid of all three.
        count: How many.

    Returns:
        Fixed points x and moving points x + displacement in RAS mm, named after tissue and number.
    """
    thin = labels_kji.shape[0] == 1
    depth = np.ones((1 if thin else 3, 3, 3), bool)
    inside = binary_erosion(labels_kji != AIR, depth, DEPTH_VOXELS, border_value=0) & valid
    chosen, names = [], []
    for number, (label, tissue) in enumerate(TISSUE_NAMES.items()):
        candidates = np.argwhere(inside & (labels_kji == label))
        wanted = count // len(TISSUE_NAMES) + (number < count % len(TISSUE_NAMES))
        for position, index in enumerate(_far_apart(candidates, wanted), start=1):
            chosen.append(index)
            names.append(f"{tissue}-{position}")
    indices = np.array(chosen)
    fixed_ras_mm = geometry.points_ras_mm(indices[:, ::-1])
    return Landmarks(fixed_ras_mm, fixed_ras_mm + displacement_ras_mm[tuple(indices.T)], tuple(names))


def _far_apart(candidates: np.ndarray, count: int) -> np.ndarray:
    """Up to ``count`` of the candidates (N, 3): first the one nearest to their middle, then always the farthest one."""
    count = min(count, len(candidates))
    if not count:
        return candidates
    distance = np.linalg.norm(candidates - candidates.mean(axis=0), axis=1)
    chosen = [int(distance.argmin())]
    distance = np.linalg.norm(candidates - candidates[chosen[0]], axis=1)
    while len(chosen) < count:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(candidates - candidates[chosen[-1]], axis=1))
    return candidates[chosen]
