"""What training minimizes: the objective of the registration itself, averaged over the pairs of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from TissueElasticRegistrationLib.core.physics.deformation import inside, integrate, resize, warp
from TissueElasticRegistrationLib.core.physics.objective import Objective
from TissueElasticRegistrationLib.core.physics.parameter_scale import ParameterScale
from TissueElasticRegistrationLib.core.physics.similarity import local_ncc

from .datasets.pair import Batch


class PairTerms(NamedTuple):
    """The two terms of J = energy - similarity for every pair of a batch, exactly as the solvers see it.

    Attributes:
        similarity: (B,).
        energy: (B,).
    """

    similarity: torch.Tensor
    energy: torch.Tensor

    @property
    def total(self) -> torch.Tensor:
        """J, which is minimized, (B,)."""
        return self.energy - self.similarity


def batch_terms(objective: Objective, velocity: torch.Tensor, batch: Batch, integration_steps: int) -> PairTerms:
    """Similarity and energy of the deformations that a velocity makes.

    Computed in float32 whatever the network computes in: squares of small differences of intensities do not survive
    half precision. Pairs are averaged one by one, not all voxels together, so that a pair weighs the same whichever
    process it lies in and however much of it is valid.

    Args:
        objective: The objective that is minimized.
        velocity: (B, D, *velocity shape) in voxels of its own grid.
        batch: The pairs.
        integration_steps: Squarings from velocity to displacement.
    """
    displacement = displacement_of(velocity, batch.fixed.shape[2:], integration_steps)
    warped = warp(batch.moving, displacement)
    valid = inside(displacement).detach() * batch.mask
    lam, mu = weight_maps(objective.scale, batch.labels, batch.sliders)
    correlation, region = local_ncc(batch.fixed, warped, valid, objective.windows(batch.spacing))
    weighted = objective.similarity_weight(lam, mu) * correlation
    similarity = weighted.flatten(1).sum(1) / region.flatten(1).sum(1).clamp_min(1.0)
    energy = objective.energy_density(displacement, batch.spacing, lam, mu).flatten(1).mean(1)
    return PairTerms(similarity, energy)


def displacement_of(velocity: torch.Tensor, shape: Sequence[int], integration_steps: int) -> torch.Tensor:
    """Displacement from a velocity on the same or a coarser grid.

    Args:
        velocity: (B, D, *velocity shape) in voxels of its own grid.
        shape: Voxels per axis of the images.
        integration_steps: Squarings from velocity to displacement.

    Returns:
        (B, D, *shape) float32 in voxels.
    """
    return resize(integrate(velocity.float(), integration_steps), shape)


def weight_maps(
    scale: ParameterScale, labels: torch.Tensor, sliders: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Λ(x) and Γ(x) of a batch.

    Args:
        scale: From slider to weight.
        labels: (B, *shape) integers.
        sliders: (B, C, 2) positions in [0, 1].

    Returns:
        Two tensors (B, 1, *shape).
    """
    low, high = scale.weight(0.0), scale.weight(1.0)
    weights = sliders * (high - low) + low if scale.name == "paper" else low * (high / low) ** sliders
    lam, mu = slider_maps(labels, weights).split(1, 1)
    return lam, mu


def slider_maps(labels: torch.Tensor, per_tissue: torch.Tensor) -> torch.Tensor:
    """Numbers per tissue spread over the voxels of the tissues.

    Args:
        labels: (B, *shape) integers below C.
        per_tissue: (B, C, N).

    Returns:
        (B, N, *shape).
    """
    flat = labels.flatten(1)
    spread = torch.gather(per_tissue, 1, flat.unsqueeze(-1).expand(-1, -1, per_tissue.shape[2]))
    return spread.movedim(1, -1).reshape(labels.shape[0], per_tissue.shape[2], *labels.shape[1:])
