"""The objective of every solver and of training: J = -mean[w_sim LNCC] over the valid region + mean energy.

Reithmeir et al. 2024, Eq. 1, on the displacement, in mm (see architecture: one objective, two solvers).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from .elasticity import diffusion_energy, elastic_energy
from .parameter_scale import LogScale, ParameterScale, Regularizer
from .similarity import WINDOW, local_ncc, masked_mean


class ObjectiveTerms(NamedTuple):
    """J = energy - similarity, each a scalar tensor."""

    similarity: torch.Tensor
    energy: torch.Tensor

    @property
    def total(self) -> torch.Tensor:
        return self.energy - self.similarity


@dataclass(frozen=True)
class Objective:
    """What a registration minimizes.

    ``regularizer``: "elastic" (λ, μ) or "diffusion" (only μ is used, as the weight). ``window``: voxels of the local
    correlation along axes that are not thick slices.
    """

    scale: ParameterScale = LogScale()
    regularizer: Regularizer = "elastic"
    window: int = WINDOW

    def terms(
        self,
        fixed: torch.Tensor,
        warped: torch.Tensor,
        mask: torch.Tensor,
        displacement: torch.Tensor,
        spacing_mm: Sequence[float],
        lam: torch.Tensor,
        mu: torch.Tensor,
        weight: float = 1.0,
    ) -> ObjectiveTerms:
        """Similarity and energy of one displacement.

        Args:
            fixed, warped, mask: (B, 1, *shape) images on [0, 1] and where both are valid.
            displacement: (B, D, *shape) in voxels, channels in the order of the axes.
            spacing_mm: voxel size per axis. lam, mu: Λ(x), Γ(x), (B, 1, *shape).
            weight: factor on the energy.
        """
        correlation, region = local_ncc(fixed, warped, mask, self.windows(spacing_mm))
        similarity = masked_mean(self.similarity_weight(lam, mu) * correlation, region)
        return ObjectiveTerms(similarity, weight * self.energy_density(displacement, spacing_mm, lam, mu).mean())

    def similarity_weight(self, lam: torch.Tensor, mu: torch.Tensor) -> torch.Tensor | float:
        """w_sim(x) of the scale. Diffusion has one weight w: on the paper's scale 2 (1 - w), HyperMorph's loss."""
        return self.scale.similarity_weight(mu if self.regularizer == "diffusion" else lam, mu)

    def energy_density(
        self,
        displacement: torch.Tensor,
        spacing_mm: Sequence[float],
        lam: torch.Tensor | float,
        mu: torch.Tensor | float,
    ) -> torch.Tensor:
        """(B, 1, *shape) energy per voxel for a displacement in voxels."""
        size = torch.tensor(spacing_mm, dtype=displacement.dtype, device=displacement.device)
        displacement_mm = displacement * size.view(1, -1, *[1] * len(spacing_mm))
        if self.regularizer == "diffusion":
            return diffusion_energy(displacement_mm, spacing_mm, mu)
        return elastic_energy(displacement_mm, spacing_mm, lam, mu)

    def windows(self, spacing_mm: Sequence[float]) -> tuple[int, ...]:
        """Window per axis: about the same number of mm everywhere, never less than 3 voxels."""
        extent_mm = self.window * min(spacing_mm)
        return tuple(max(3, min(self.window, 2 * round((extent_mm / size - 1) / 2) + 1)) for size in spacing_mm)
