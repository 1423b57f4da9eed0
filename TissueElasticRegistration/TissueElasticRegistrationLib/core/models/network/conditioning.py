"""Tissue parameters as maps: sliders per tissue blended by how much of each voxel is which tissue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import nn

from ...physics.deformation import average_pooled
from ..network_config import NetworkConfig
from .layers import arranged
from .padding import Padding

SLIDERS = 2  # λ and μ
TISSUE_WIDTH = 32
SLAB_VALUES = 500_000


@dataclass(frozen=True, eq=False)
class MapParameters:
    """Sliders of every tissue, and where the tissues are.

    Attributes:
        labels: (B, 1, *shape) integers that index ``sliders``, or (B, C, *shape) float shares of the tissues in a
            voxel.
        sliders: (B, C, 2) positions of λ and μ in [0, 1]; gradients flow into them. B may be 1 for several pairs.

    Raises:
        ValueError: For sliders of another shape.
    """

    labels: torch.Tensor
    sliders: torch.Tensor
    _shares: dict = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.sliders.dim() != 3 or self.sliders.shape[2] != SLIDERS:
            raise ValueError(f"Sliders (B, C, 2) are needed, not {tuple(self.sliders.shape)}.")

    def with_sliders(self, sliders: torch.Tensor) -> MapParameters:
        """Other positions for the same tissues: what is known of where they are is used again."""
        return MapParameters(self.labels, sliders, self._shares)

    def shares(self, padding: Padding, factor: int) -> torch.Tensor:
        """The part of each tissue in every voxel of a coarser grid; computed once.

        Args:
            padding: Of the images.
            factor: Image voxels per voxel of the coarser grid.

        Returns:
            (B, C, *padded shape / factor).
        """
        key = padding, factor
        if key not in self._shares:
            finer = self._shares.get((padding, factor // 2))
            # No inference tensors: what is kept may be used with gradients later.
            with torch.inference_mode(False), torch.no_grad():
                self._shares[key] = self._measured(padding, factor) if finer is None else average_pooled(finer, 2)
        return self._shares[key]

    def _measured(self, padding: Padding, factor: int) -> torch.Tensor:
        if self.labels.is_floating_point():
            return average_pooled(padding.padded(self.labels), factor)
        count = self.sliders.shape[1]
        if not 0 <= int(self.labels.min()) <= int(self.labels.max()) < count:
            raise ValueError(f"There are sliders for the labels 0 to {count - 1} only.")
        labels = padding.padded(self.labels)
        # One tissue after the other: all of them at full resolution would take much memory.
        return torch.cat(
            [average_pooled((labels == tissue).to(self.sliders.dtype), factor) for tissue in range(count)], 1
        )


def blended(values: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Values per voxel from values per tissue, laid out as `arranged` does.

    Args:
        values: (B, C, N), of every tissue.
        shares: (B, C, *shape), of the tissues in a voxel.

    Returns:
        (B, N, *shape).
    """
    if shares.dim() == 4:
        per_voxel = torch.matmul(shares.flatten(2).transpose(1, 2), values).transpose(1, 2)
    else:
        per_voxel = torch.matmul(values.transpose(1, 2), shares.flatten(2))
    return per_voxel.unflatten(2, shares.shape[2:])


class Modulation(Protocol):
    """A scale and a shift for every channel and voxel of one layer."""

    def __call__(self, y: torch.Tensor) -> torch.Tensor:
        """The modulated features (B, channels, *shape); the argument may be overwritten."""


@dataclass(frozen=True, eq=False)
class VoxelModulation:
    """A `Modulation` that is known for every voxel.

    Attributes:
        scale: (B, channels, *shape), what is added to a scale of 1.
        shift: (B, channels, *shape).
    """

    scale: torch.Tensor
    shift: torch.Tensor

    def __call__(self, y: torch.Tensor) -> torch.Tensor:
        """See `Modulation`."""
        if torch.is_grad_enabled():
            return torch.addcmul(y + self.shift, y, self.scale)
        return y.addcmul_(y, self.scale).add_(self.shift)


@dataclass(frozen=True, eq=False)
class TissueModulation:
    """A `Modulation` that is known for every tissue.

    Attributes:
        factors: (B, C, 2 channels), scale and shift of every tissue.
        shares: (B, C, *shape), of the tissues in a voxel.
    """

    factors: torch.Tensor
    shares: torch.Tensor

    def __call__(self, y: torch.Tensor) -> torch.Tensor:
        """See `Modulation`."""
        if torch.is_grad_enabled():
            return self._of_voxels(self.shares)(y)
        # In slabs, as the factors of a whole volume would be twice as large as the features themselves.
        thickness = max(1, SLAB_VALUES * y.shape[2] // y.numel())
        for part, shares in zip(y.split(thickness, 2), self.shares.split(thickness, 2), strict=True):
            self._of_voxels(shares)(part)
        return y

    def _of_voxels(self, shares: torch.Tensor) -> VoxelModulation:
        return VoxelModulation(*(blended(factor, shares) for factor in self.factors.chunk(2, 2)))


class MapModulation(nn.Module):
    """Scale and shift of every channel and voxel for each decoder layer, from λ and μ.

    Args:
        config: The architecture.
        channels: Of each layer.
        factors: Image voxels per voxel of each layer, fine ones last.
    """

    def __init__(self, config: NetworkConfig, channels: Sequence[int], factors: Sequence[int]) -> None:
        super().__init__()
        self.config, self.factors = config, tuple(factors)
        width = config.modulation_width
        self.tissue = None
        if config.map_layer == "tissue":
            self.tissue = nn.Sequential(
                nn.Linear(SLIDERS, TISSUE_WIDTH),
                nn.LeakyReLU(0.2),
                nn.Linear(TISSUE_WIDTH, TISSUE_WIDTH),
                nn.LeakyReLU(0.2),
            )
            self.heads = nn.ModuleList(nn.Linear(TISSUE_WIDTH, 2 * count) for count in channels)
            lasts = self.heads
        else:
            conv = nn.Conv2d if config.dimension == 2 else nn.Conv3d
            self.heads = nn.ModuleList(
                nn.Sequential(conv(SLIDERS, width, 3, padding=1), nn.ReLU(inplace=True), conv(width, 2 * count, 1))
                for count in channels
            )
            lasts = [head[-1] for head in self.heads]
        for last in lasts:
            nn.init.normal_(last.weight, 0, 0.05)
            nn.init.zeros_(last.bias)

    def forward(self, parameters: MapParameters | torch.Tensor, padding: Padding) -> list[Modulation]:
        """One modulation for each layer.

        Args:
            parameters: Of the pair; see `RegistrationNetwork.decode`.
            padding: Of the images.
        """
        if self.tissue is not None:
            return self._by_tissue(parameters, padding)
        maps = self._slider_maps(parameters, padding)
        maps = {factor: arranged(2 * values - 1) for factor, values in maps.items()}
        return [
            _convolved_modulation(head, maps[factor]) for head, factor in zip(self.heads, self.factors, strict=True)
        ]

    def _by_tissue(self, parameters: MapParameters | torch.Tensor, padding: Padding) -> list[Modulation]:
        if not isinstance(parameters, MapParameters):
            raise ValueError("This network needs tissues with sliders (MapParameters), not maps of sliders.")
        code = self.tissue(2 * parameters.sliders - 1)
        # The finest first: the coarser shares are then averages of it.
        shares = {factor: parameters.shares(padding, factor) for factor in sorted(set(self.factors))}
        return [
            TissueModulation(head(code), shares[factor]) for head, factor in zip(self.heads, self.factors, strict=True)
        ]

    def _slider_maps(self, parameters: MapParameters | torch.Tensor, padding: Padding) -> dict[int, torch.Tensor]:
        factors = sorted(set(self.factors))
        if isinstance(parameters, MapParameters):
            return {factor: blended(parameters.sliders, parameters.shares(padding, factor)) for factor in factors}
        maps = padding.padded(parameters)
        return {factor: average_pooled(maps, factor) for factor in factors}


def _convolved_modulation(head: nn.Sequential, maps: torch.Tensor) -> VoxelModulation:
    """What ``head`` says of slider maps on [-1, 1]; its last layer, one voxel wide, as a product of matrices."""
    *first, last = head
    for layer in first:
        maps = layer(maps)
    codes = maps.movedim(1, -1)
    halves = zip(last.weight.flatten(1).chunk(2), last.bias.chunk(2), strict=True)
    return VoxelModulation(*(F.linear(codes, weight, bias).movedim(-1, 1) for weight, bias in halves))
