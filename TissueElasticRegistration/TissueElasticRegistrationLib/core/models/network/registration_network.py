"""The registration network: a U-Net with the widths of VoxelMorph whose output is a stationary velocity.

Two ways to bring in the tissue parameters (`NetworkConfig.conditioning`). With "map" nothing before the decoder depends
on them, so `encode` runs once per image pair and holds, besides the deepest features, what the skip connections
contribute to each decoder layer: a convolution of joined channels is the sum of the convolutions of its parts. A slider
move then costs one pass through the rest. With "hyper" every kernel depends on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from ...physics.deformation import average_pooled, integrate, resize
from ..network_config import NetworkConfig
from .conditioning import MapModulation, MapParameters
from .layers import (
    HyperKernels,
    Kernel,
    LearnedKernels,
    activated,
    arranged,
    convolve,
    convolve_upsampled,
    max_pooled,
)
from .padding import Padding

FLOW_DEVIATION = 1e-5


@dataclass(frozen=True, eq=False)
class Features:
    """What one image pair is to a network; made by `encode`, for `decode`.

    Attributes:
        images: (B, 2, *padded shape), moving then fixed.
        padding: How the images were padded.
        parts: For each decoder layer what does not depend on the parameters, None where there is nothing or everything
            does.
    """

    images: torch.Tensor
    padding: Padding
    parts: tuple[torch.Tensor | None, ...] | None = None


class _Layer(NamedTuple):
    """One decoder layer: its channels, those from the layer before and those from the encoder level ``skip_level``."""

    out: int
    before: int
    skip: int
    skip_level: int | None
    upsampled: bool
    factor: int  # network voxels per voxel


class RegistrationNetwork(nn.Module):
    """Velocity of a pair for given tissue parameters; see `NetworkConfig` for the kinds.

    Deterministic, any image size. Parameters are slider positions in [0, 1] (see `ParameterScale`).

    Args:
        config: The architecture.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self._layers = _decoder_layers(config)
        shapes = list(zip(config.encoder, (2, *config.encoder), strict=False))
        shapes += [(layer.out, layer.before + layer.skip) for layer in self._layers]
        pooled = 2 if config.pooled_input else 1
        if config.conditioning == "hyper":
            self.kernels = HyperKernels(shapes, config.dimension, config.parameters, config.hyper_widths)
        else:
            self.kernels = LearnedKernels(shapes, config.dimension)
            self.modulation = MapModulation(
                config, [layer.out for layer in self._layers], [layer.factor * pooled for layer in self._layers]
            )
        # A plain head, also in "hyper", so close to zero that training starts from no deformation.
        self.flow = (nn.Conv2d if config.dimension == 2 else nn.Conv3d)(
            config.final[-1], config.dimension, 3, padding=1
        )
        nn.init.normal_(self.flow.weight, 0, FLOW_DEVIATION)
        nn.init.zeros_(self.flow.bias)

    def forward(
        self, fixed: torch.Tensor, moving: torch.Tensor, parameters: MapParameters | torch.Tensor
    ) -> torch.Tensor:
        """`decode` of `encode`.

        Args:
            fixed: See `encode`.
            moving: See `encode`.
            parameters: See `decode`.
        """
        return self.decode(self.encode(fixed, moving), parameters)

    def encode(self, fixed: torch.Tensor, moving: torch.Tensor) -> Features:
        """All that does not depend on the parameters.

        Args:
            fixed: (B, 1, *shape) on [0, 1].
            moving: The same.

        Raises:
            ValueError: If they have different shapes or the wrong number of dimensions.
        """
        if fixed.shape != moving.shape or fixed.dim() != self.config.dimension + 2 or fixed.shape[1] != 1:
            raise ValueError(
                f"The network needs two {self.config.dimension}D images of one shape, not "
                f"{tuple(fixed.shape)} and {tuple(moving.shape)}."
            )
        padding = Padding.to_multiple(fixed.shape[2:], self.config.multiple, self.config.cell)
        images = padding.padded(torch.cat([moving, fixed], 1))
        if self.config.pooled_input:
            images = average_pooled(images, 2)
        images = arranged(images)
        if self.config.conditioning == "hyper":
            return Features(images, padding)
        return Features(images, padding, self._fixed_parts(images, self.kernels()))

    def decode(self, features: Features, parameters: MapParameters | torch.Tensor) -> torch.Tensor:
        """The velocity of a pair, fixed to moving.

        Args:
            features: Of the pair.
            parameters: For "map" `MapParameters`, or maps (B, 2, *shape) of the sliders of λ and μ; for "hyper"
                (B, parameters), or (1, parameters) for all pairs.

        Returns:
            (B, D, *config.velocity_shape(shape)) in voxels of its grid, channels in the order of the axes.

        Raises:
            ValueError: If the parameters are not of the network's kind.
        """
        if self.config.conditioning == "hyper":
            kernels = self.kernels(self._vector(parameters))
            parts, modulations = self._fixed_parts(features.images, kernels), None
        else:
            kernels, parts = self.kernels(), features.parts
            modulations = self.modulation(parameters, features.padding)
        y = None
        for number, (layer, part) in enumerate(zip(self._layers, parts, strict=True)):
            kernel = kernels[len(self.config.encoder) + number]
            y = self._convolved(y, layer, part, kernel)
            y = activated(y if modulations is None else modulations[number](y))
        return features.padding.velocity(self.flow(y).to(features.images.dtype))  # half precision ends here

    def displacement(self, velocity: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        """The displacement that a velocity stands for.

        Args:
            velocity: See `decode`.
            shape: Of the images.

        Returns:
            (B, D, *shape) in voxels of the images' grid.
        """
        return resize(integrate(velocity, self.config.integration_steps), shape)

    def _fixed_parts(self, images: torch.Tensor, kernels: list[Kernel]) -> tuple[torch.Tensor | None, ...]:
        """The encoder, and the share of each decoder layer that comes from it (with the layer's bias)."""
        needed = {layer.skip_level for layer in self._layers}
        x, skips = images, {}
        for level in range(len(self.config.encoder)):
            x = activated(convolve(x, kernels[level]))
            if level in needed:
                skips[level] = x
            x = max_pooled(x)
        parts: list[torch.Tensor | None] = []
        for layer, kernel in zip(self._layers, kernels[len(self.config.encoder) :], strict=True):
            if not parts:
                parts.append(convolve(x, kernel))
            elif layer.skip:
                parts.append(convolve(skips.pop(layer.skip_level), kernel.of_inputs(layer.before, layer.skip, True)))
            else:
                parts.append(None)
        return tuple(parts)

    def _convolved(
        self, y: torch.Tensor | None, layer: _Layer, part: torch.Tensor | None, kernel: Kernel
    ) -> torch.Tensor:
        if y is None:
            return part.clone()  # later steps overwrite
        apply = convolve_upsampled if layer.upsampled else convolve
        if part is None:
            return apply(y, kernel)
        return apply(y, kernel.of_inputs(0, layer.before, False)).add_(part)

    def _vector(self, parameters: MapParameters | torch.Tensor) -> torch.Tensor:
        count = self.config.parameters
        if not isinstance(parameters, torch.Tensor) or parameters.dim() != 2 or parameters.shape[1] != count:
            raise ValueError(f"This network needs a vector of {count} sliders per pair.")
        return parameters


def _decoder_layers(config: NetworkConfig) -> tuple[_Layer, ...]:
    """The decoder's convolutions: one per level, the coarsest first, then the final ones on the finest grid."""
    levels = len(config.encoder)
    finest = 1 if config.half_resolution and not config.pooled_input else 0
    layers, before = [], config.encoder[-1]
    joins = [(None, False), *((level, True) for level in reversed(range(1, levels)))]
    joins += [(0, True) if finest == 0 else (None, False)] + [(None, False)] * (len(config.final) - 1)
    level = levels
    for out, (skip_level, up) in zip((*config.decoder, *config.final), joins, strict=True):
        level -= int(up)
        skip = 0 if skip_level is None else config.encoder[skip_level]
        layers.append(_Layer(out, before, skip, skip_level, up, 2**level))
        before = out
    return tuple(layers)
