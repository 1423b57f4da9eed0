"""Image similarity inside each tissue as the measure, for pairs that have neither labels nor landmarks."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch

from ...data.tissues import BACKGROUND_ID, UNSEGMENTED_ID
from ...evaluation.evaluation import FEW_VOXELS
from ...physics.deformation import resize
from ...physics.objective import Objective
from ...physics.similarity import local_ncc
from ...preparation.pyramid import Pyramid

# The level used is the finest one with at most so many voxels: finer ones take long and have more noise to agree on.
MAX_VOXELS = 60_000


class TissueSimilarity:
    """Mean squared local correlation of the images within every tissue that has at least 50 voxels.

    The windows of the correlation reach over the boundary of a tissue.

    Args:
        pyramid: Of the prepared pair.
        objective: Whose correlation windows are used.
        held_out: Labels of tissues that are not used.

    Raises:
        ValueError: If no tissue has a score.
    """

    key = "similarity"
    tolerance, insensitive_range = 0.002, 0.005
    warnings = ("Similarity alone favors soft tissue that fits noise; check the result with labels or landmarks.",)

    def __init__(self, pyramid: Pyramid, objective: Objective, held_out: Collection[int] = ()) -> None:
        pair = pyramid.pair
        factor = 1
        while pyramid.level(factor).fixed.numel() > MAX_VOXELS:
            factor *= 2
        self._level = pyramid.level(factor)
        self._windows = objective.windows(self._level.spacing_mm)
        shown = pair.fixed_mask > 0
        labels, self.not_scored, shares = [], {}, []
        for tissue in pair.tissues:
            if tissue.id in (BACKGROUND_ID, UNSEGMENTED_ID) or tissue.label in held_out:
                continue
            mask = (pair.labels == tissue.label) & shown
            count = int(mask.sum())
            if count < FEW_VOXELS:
                self.not_scored[tissue.label] = f"'{tissue.name}' has only {count} voxels; its values were not changed."
                continue
            labels.append(tissue.label)
            inside = mask.float().to(pyramid.device)
            shares.append(self._level.parameter_maps(inside, inside)[0])
        self.labels = tuple(labels)
        if not labels:
            raise ValueError(f"No tissue can be scored: none has at least {FEW_VOXELS} voxels.")
        self._shares = torch.cat(shares, 1)

    def scores(self, displacement: torch.Tensor) -> np.ndarray:
        with torch.no_grad():
            return self.soft_scores(displacement).cpu().numpy().astype(float)

    def soft_scores(self, displacement: torch.Tensor) -> torch.Tensor:
        level = self._level
        at_level = resize(displacement, level.shape)
        warped, valid = level.sampler(at_level)
        correlation, region = local_ncc(level.fixed, warped, valid * level.fixed_mask, self._windows)
        weights = self._shares * region
        return (weights * correlation).flatten(2).sum(2)[0] / weights.flatten(2).sum(2)[0].clamp_min(1.0)
