"""The regularizers by name: which weights act, and the energy. A new one is an entry here. Without torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Regularizer:
    """What a deformation costs.

    Attributes:
        has_lambda: Whether λ acts; if not, μ is the only weight of a tissue.
        energy: Density at every voxel, (B, 1, *shape), of a displacement (B, D, *shape) in mm on a grid with this
            voxel size per axis, with weights λ and μ; see `elasticity`.
    """

    has_lambda: bool
    energy: Callable[
        [torch.Tensor, Sequence[float], torch.Tensor | float, torch.Tensor | float],
        torch.Tensor,
    ]


def _elastic(displacement_mm, spacing_mm, lam, mu):
    from .elasticity import elastic_energy

    return elastic_energy(displacement_mm, spacing_mm, lam, mu)


def _diffusion(displacement_mm, spacing_mm, _lam, mu):
    from .elasticity import diffusion_energy

    return diffusion_energy(displacement_mm, spacing_mm, mu)


REGULARIZERS = {
    "elastic": Regularizer(has_lambda=True, energy=_elastic),
    "diffusion": Regularizer(has_lambda=False, energy=_diffusion),
}
