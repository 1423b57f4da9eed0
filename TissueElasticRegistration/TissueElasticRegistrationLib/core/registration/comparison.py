"""Which of two deformations is better, judged over the same voxels.

The similarity in J is a mean over what a deformation still covers, so a deformation that moves what does not match out
of the field of view lowers J. Here the voxels that both images cover without any deformation count, all of them: one
that is not covered any more counts as it did without deformation.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from ..evaluation.reliability import MIN_SIMILARITY
from ..physics.elasticity import strain_square
from ..physics.objective import Objective, ObjectiveTerms
from ..physics.similarity import masked_mean
from ..preparation.pyramid import Level
from .solution import Maps

# Deformations that ended far from the truth had lost 10 to 94 % of the voxels, good ones at most 19 %.
MIN_KEPT_SHARE = 0.75
# Where the scans share little, the images hold little of the deformation: it has to lower J clearly (by so much of what
# is missing to the highest similarity) and to stay moderate. Pairs that ended 3 to 14 mm farther from the truth shared
# 14 to 34 % and lowered J by 1 to 4 % or strained what they share by more than 0.34.
LITTLE_COVERED, MIN_GAIN, MAX_STRAIN = 0.35, 0.05, 0.34


class Judgement(NamedTuple):
    """How good a deformation is.

    Attributes:
        terms: The two terms of J, over what is covered.
        objective: J over all voxels that are covered without deformation.
        kept_share: How many of those are still covered, 0 to 1.
    """

    terms: ObjectiveTerms
    objective: float
    kept_share: float

    def is_worse(self, than: Judgement) -> bool:
        """Whether J is higher, or no number, or too much of what was covered is not covered any more.

        Args:
            than: Of the other deformation.
        """
        return not (self.objective <= than.objective and self.kept_share >= min(MIN_KEPT_SHARE, than.kept_share))


class Comparison:
    """Judges deformations of one level.

    Args:
        objective: What is minimized.
        level: The resolution.
        maps: Λ and Γ on the level.

    Attributes:
        undeformed: No deformation at all.
        covered_share: How much of the fixed image is covered without deformation, 0 to 1.
    """

    @torch.no_grad()
    def __init__(self, objective: Objective, level: Level, maps: Maps) -> None:
        self._objective, self._level, self._maps = objective, level, maps
        zero = torch.zeros(1, len(level.shape), *level.shape, device=level.fixed.device)
        self._mask, self._similarity, self._region = self._view(zero)
        terms = self._terms(zero, self._similarity, self._region)
        self.undeformed = Judgement(terms, float(terms.total), 1.0)
        self.covered_share = float(self._mask.sum() / level.fixed_mask.sum().clamp_min(1))

    @torch.no_grad()
    def judge(self, displacement: torch.Tensor) -> Judgement:
        """Judge one deformation.

        Args:
            displacement: (1, D, *shape of the level) in voxels of the level, fixed to moving.
        """
        mask, similarity, region = self._view(displacement)
        terms = self._terms(displacement, similarity, region)
        kept = torch.where(region > 0, similarity, self._similarity)
        objective = float(terms.energy - masked_mean(kept * self._region, self._region))
        return Judgement(terms, objective, float((mask * self._mask).sum() / self._mask.sum().clamp_min(1)))

    def accepts(self, displacement: torch.Tensor, found: Judgement) -> bool:
        """Whether a registration may end here: not worse than no deformation, and not noise fitted to noise.

        Args:
            displacement: As in `judge`.
            found: What that said.
        """
        if found.is_worse(self.undeformed) or float(found.terms.similarity) < MIN_SIMILARITY:
            return False
        if self.covered_share >= LITTLE_COVERED:
            return True
        missing = 1 - float(self.undeformed.terms.similarity)
        is_clear = self.undeformed.objective - found.objective >= MIN_GAIN * missing
        return is_clear and self._strain_rms(displacement) <= MAX_STRAIN

    def _view(self, displacement: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Where both images are valid, the local similarity, and where that is defined."""
        level = self._level
        warped, valid = level.sampler(displacement)
        mask = valid * level.fixed_mask
        return mask, *self._objective.local_similarity(level.fixed, warped, mask, level.spacing_mm, *self._maps)

    def _terms(self, displacement: torch.Tensor, similarity: torch.Tensor, region: torch.Tensor) -> ObjectiveTerms:
        energy = self._objective.energy_density(displacement, self._level.spacing_mm, *self._maps).mean()
        return ObjectiveTerms(masked_mean(similarity, region), energy)

    def _strain_rms(self, displacement: torch.Tensor) -> float:
        """Root mean square of the strain tensor's norm over what is covered without deformation."""
        square = strain_square(displacement, self._level.spacing_mm)
        return float(masked_mean(square * self._mask, self._mask).clamp_min(0).sqrt())
