"""A working pair at several resolutions, made once per pair: everything a solver needs that no slider can change."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..data.tissues import TissueParameters
from ..physics.deformation import average_pooled
from ..physics.sampling import MovingSampler
from .preprocessing import WorkingPair

# A level with fewer voxels along an axis holds no more than a few windows of the local correlation. Optimizer steps
# there drove small volumes, and scans that share a part of the body, out of each other's field of view.
MIN_LEVEL_VOXELS = 12


@dataclass(frozen=True, eq=False)
class Level:
    """One resolution of a working pair; tensors are (1, 1, *shape).

    Attributes:
        fixed: Fixed image, averaged.
        fixed_mask: 1 where at least half of the voxel is valid.
        sampler: The moving image at this resolution.
        spacing_mm: Voxel size per axis of the tensors.
        velocity_shape: The grid of the unknown velocity: half as many voxels along every axis that may be pooled.
        factors: How many voxels of the working grid make one of this level, per axis.
    """

    fixed: torch.Tensor
    fixed_mask: torch.Tensor
    sampler: MovingSampler
    spacing_mm: tuple[float, ...]
    velocity_shape: tuple[int, ...]
    factors: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of voxels per axis of the tensors."""
        return tuple(self.fixed.shape[2:])

    def parameter_maps(self, lam: torch.Tensor, mu: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The maps of the working grid averaged over the voxels of this level.

        Args:
            lam: Λ (1, 1, *working shape).
            mu: Γ (1, 1, *working shape).

        Returns:
            Λ and Γ, (1, 1, *shape) each.
        """
        return average_pooled(lam, self.factors), average_pooled(mu, self.factors)


class Pyramid:
    """Levels of a working pair, built when first asked for. Thick slices are never averaged across.

    Args:
        pair: The working pair, which stays where it is.
        device: Where the levels lie.
    """

    def __init__(self, pair: WorkingPair, device: torch.device | str = "cpu") -> None:
        self.pair = pair
        self.device = torch.device(device)
        self._levels: dict[int, Level] = {}
        self._labels: torch.Tensor | None = None

    def level(self, factor: int) -> Level:
        """The level with voxels ``factor`` times larger along every axis that may be pooled.

        Args:
            factor: A power of two; 1 is the working grid.
        """
        if factor not in self._levels:
            self._levels[factor] = self._build(factor)
        return self._levels[factor]

    def is_fine_enough(self, factor: int) -> bool:
        """Whether a level has enough voxels along every pooled axis for optimizer steps; the working grid always has.

        Args:
            factor: As in `level`.
        """
        pooled = [n for n, may_be in zip(self.pair.fixed.shape[2:], self.pair.pooled_axes, strict=True) if may_be]
        return factor == 1 or all(n // factor >= MIN_LEVEL_VOXELS for n in pooled)

    def parameter_maps(self, parameters: TissueParameters) -> tuple[torch.Tensor, torch.Tensor]:
        """Λ and Γ on the working grid.

        Args:
            parameters: λ and μ of every label.

        Returns:
            Two tensors (1, 1, *shape) on the pyramid's device.
        """
        if self._labels is None:
            self._labels = self.pair.labels.long().to(self.device)  # the type of an index: no conversion every time
        return parameters.maps(self._labels)

    def _build(self, factor: int) -> Level:
        """Average both images; the moving one gets a sampler of its own."""
        pair = self.pair
        factors = tuple(factor if pooled else 1 for pooled in pair.pooled_axes)
        halved = tuple(2 if pooled else 1 for pooled in pair.pooled_axes)
        fixed = average_pooled(pair.fixed.to(self.device), factors)
        # Half a voxel's worth of valid image is enough on a coarse level, or thin regions would vanish there.
        fixed_mask = (average_pooled(pair.fixed_mask.to(self.device), factors) > 0.5).float()
        moving_mask = (average_pooled(pair.moving_mask.to(self.device), factors) > 0.5).float()
        return Level(
            fixed=fixed,
            fixed_mask=fixed_mask,
            sampler=MovingSampler(average_pooled(pair.moving.to(self.device), factors), moving_mask),
            spacing_mm=tuple(size * f for size, f in zip(pair.spacing_mm, factors, strict=True)),
            velocity_shape=tuple(n // h for n, h in zip(fixed.shape[2:], halved, strict=True)),
            factors=factors,
        )
