"""The objective of every solver and of training: J = -mean[w_sim LNCC] over the valid region + mean energy.

Reithmeir et al. 2024, Eq. 1, on the displacement, in mm (see architecture: one objective, two solvers).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from .parameter_scale import LogScale, ParameterScale
from .regularizers import REGULARIZERS
from .similarity import WINDOW, local_ncc, masked_mean


class ObjectiveTerms(NamedTuple):
    """The two terms of J = energy - similarity, each a scalar tensor.

    Attributes:
        similarity: Weighted mean local correlation.
        energy: Mean energy density, times the weight that was asked for.
    """

    similarity: torch.Tensor
    energy: torch.Tensor

    @property
    def total(self) -> torch.Tensor:
        """J, which is minimized."""
        return self.energy - self.similarity


@dataclass(frozen=True)
class Objective:
    """What a registration minimizes.

    Attributes:
        scale: The scale of λ and μ, which also says what the similarity weighs.
        regularizer: Key in `REGULARIZERS`: "elastic" (λ, μ) or "diffusion" (only μ is used, as the weight).
        window: Voxels of the local correlation along axes that are not thick slices.
    """

    scale: ParameterScale = LogScale()
    regularizer: str = "elastic"
    window: int = WINDOW

    @property
    def has_lambda(self) -> bool:
        """Whether λ acts; if not, μ is the only weight of a tissue."""
        return REGULARIZERS[self.regularizer].has_lambda

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
            fixed: (B, 1, *shape) fixed image on [0, 1].
            warped: (B, 1, *shape) warped moving image on [0, 1].
            mask: (B, 1, *shape), 1 where both images are valid, 0 elsewhere.
            displacement: (B, D, *shape) in voxels, channels in the order of the axes.
            spacing_mm: Voxel size per axis.
            lam: Λ(x), (B, 1, *shape).
            mu: Γ(x), (B, 1, *shape).
            weight: Factor on the energy.

        Raises:
            ValueError: Images of different shapes, or a displacement that does not fit its spacing.
        """
        similarity = masked_mean(*self.local_similarity(fixed, warped, mask, spacing_mm, lam, mu))
        return ObjectiveTerms(similarity, weight * self.energy_density(displacement, spacing_mm, lam, mu).mean())

    def local_similarity(
        self,
        fixed: torch.Tensor,
        warped: torch.Tensor,
        mask: torch.Tensor,
        spacing_mm: Sequence[float],
        lam: torch.Tensor,
        mu: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Weighted similarity of every voxel.

        Args:
            fixed: As in `terms`.
            warped: As in `terms`.
            mask: As in `terms`.
            spacing_mm: As in `terms`.
            lam: As in `terms`.
            mu: As in `terms`.

        Returns:
            The similarity, 0 where it is not defined, and the region in which it is, of 0 and 1; (B, 1, *shape) each.
        """
        correlation, region = local_ncc(fixed, warped, mask, self.windows(spacing_mm))
        return self.similarity_weight(lam, mu) * correlation, region

    def similarity_weight(self, lam: torch.Tensor, mu: torch.Tensor) -> torch.Tensor | float:
        """w_sim(x) of the scale.

        Diffusion has one weight w: on the paper's scale 2 (1 - w), HyperMorph's loss.

        Args:
            lam: Λ(x), (B, 1, *shape).
            mu: Γ(x), (B, 1, *shape).

        Returns:
            (B, 1, *shape), or one number where it is the same everywhere.
        """
        return self.scale.similarity_weight(lam if self.has_lambda else mu, mu)

    def energy_density(
        self,
        displacement: torch.Tensor,
        spacing_mm: Sequence[float],
        lam: torch.Tensor | float,
        mu: torch.Tensor | float,
    ) -> torch.Tensor:
        """Energy per voxel of a displacement in voxels.

        Args:
            displacement: (B, D, *shape) in voxels, channels in the order of the axes.
            spacing_mm: Voxel size per axis.
            lam: Λ(x), a number or (B, 1, *shape).
            mu: Γ(x), a number or (B, 1, *shape).

        Returns:
            (B, 1, *shape).

        Raises:
            ValueError: Channels, axes and spacings differ in number, or a spacing is not positive.
        """
        size = torch.tensor(spacing_mm, dtype=displacement.dtype, device=displacement.device)
        displacement_mm = displacement * size.view(1, -1, *[1] * len(spacing_mm))
        return REGULARIZERS[self.regularizer].energy(displacement_mm, spacing_mm, lam, mu)

    def windows(self, spacing_mm: Sequence[float]) -> tuple[int, ...]:
        """Window per axis: about the same number of mm everywhere, never less than 3 voxels."""
        extent_mm = self.window * min(spacing_mm)
        return tuple(max(3, min(self.window, 2 * round((extent_mm / size - 1) / 2) + 1)) for size in spacing_mm)
