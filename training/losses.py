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
    """Of every pair of a batch, each (B,): J = energy - similarity, exactly as the solvers see it."""

    similarity: torch.Tensor
    energy: torch.Tensor

    @property
    def total(self) -> torch.Tensor:
        return self.energy - self.similarity


def batch_terms(objective: Objective, velocity: torch.Tensor, batch: Batch, integration_steps: int) -> PairTerms:
    """Similarity and energy of the deformations that ``velocity`` (B, D, *velocity shape) makes.

    velocity: in voxels of its own grid. Computed in float32 whatever the network computes in: squares of small
    differences of intensities do not survive half precision. Pairs are averaged one by one, not all voxels together, so
    that a pair weighs the same whichever process it lies in and however much of it is valid.
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
    """(B, D, *shape) float32 in voxels from a velocity on the same or a coarser grid."""
    return resize(integrate(velocity.float(), integration_steps), shape)


def weight_maps(
    scale: ParameterScale, labels: torch.Tensor, sliders: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Λ(x) and Γ(x), each (B, 1, *shape), for labels (B, *shape) and slider positions (B, C, 2)."""
    low, high = scale.weight(0.0), scale.weight(1.0)
    weights = sliders * (high - low) + low if scale.name == "paper" else low * (high / low) ** sliders
    lam, mu = slider_maps(labels, weights).split(1, 1)
    return lam, mu


def slider_maps(labels: torch.Tensor, per_tissue: torch.Tensor) -> torch.Tensor:
    """(B, C, N) numbers per tissue spread over labels (B, *shape): (B, N, *shape)."""
    flat = labels.flatten(1)
    spread = torch.gather(per_tissue, 1, flat.unsqueeze(-1).expand(-1, -1, per_tissue.shape[2]))
    return spread.movedim(1, -1).reshape(labels.shape[0], per_tissue.shape[2], *labels.shape[1:])
