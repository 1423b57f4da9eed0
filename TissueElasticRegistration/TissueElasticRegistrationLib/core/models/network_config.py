"""What a registration network is built from: enough to build it again for stored weights. Without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Conditioning = Literal["map", "hyper"]
MapLayer = Literal["conv", "tissue"]

# What a card asks for is built, so there are limits.
MAX_LAYERS, MAX_CHANNELS = 60, 4096


@dataclass(frozen=True)
class NetworkConfig:
    """Architecture of a `RegistrationNetwork`.

    Attributes:
        dimension: 2 or 3.
        conditioning: "map": the encoder knows nothing of the parameters, the decoder is modulated by maps of them (any
            number of tissues); "hyper": a hypernetwork makes every kernel from a vector of sliders (a fixed list of
            tissues), as in Reithmeir et al. 2024.
        parameters: Length of that vector: elastic 2, adaptive 2 (C + 1), diffusion 1 or C + 1.
        map_layer: "conv": 3-wide convolutions of the slider maps; "tissue": a small net per tissue, blended by how much
            of each voxel is that tissue.
        half_resolution: Velocity on half the image grid.
        pooled_input: Images averaged over 2 voxels per axis first; the velocity is then on that grid.
        encoder: Channels of its convolutions, the finest first.
        decoder: Channels of its convolutions, the coarsest first.
        final: Channels of the convolutions on the finest grid.
        modulation_width: Channels between slider maps and modulation, for "conv".
        hyper_widths: Hidden layers of the hypernetwork; with these a 2D network takes 7 MB.
        integration_steps: Squarings that make the displacement from the velocity, see `integrate`.

    Raises:
        ValueError: For what does not fit together.
    """

    dimension: int
    conditioning: Conditioning = "map"
    parameters: int = 2
    map_layer: MapLayer = "conv"
    half_resolution: bool = True
    pooled_input: bool = False
    encoder: tuple[int, ...] = (16, 32, 32, 32)
    decoder: tuple[int, ...] = (32, 32, 32, 32)
    final: tuple[int, ...] = (32, 16, 16)
    modulation_width: int = 16
    hyper_widths: tuple[int, ...] = (32, 64, 16)
    integration_steps: int = 7

    def __post_init__(self) -> None:
        for name in ("encoder", "decoder", "final", "hyper_widths"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # lists, when they come from a file
        self._check()

    @property
    def cell(self) -> int:
        """Image voxels per velocity voxel along every axis."""
        return 2 if self.half_resolution else 1

    @property
    def multiple(self) -> int:
        """Image sizes are padded to multiples of this."""
        return 2 ** len(self.encoder) * (2 if self.pooled_input else 1)

    def velocity_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The grid of the velocity for images of this shape: the same extent, half as many voxels per axis."""
        return tuple(max(1, size // self.cell) for size in shape)

    def _check(self) -> None:
        if self.dimension not in (2, 3):
            raise ValueError(f"A network has 2 or 3 dimensions, not {self.dimension}.")
        if self.conditioning not in ("map", "hyper") or self.map_layer not in ("conv", "tissue"):
            raise ValueError(f"Unknown conditioning '{self.conditioning}' or map layer '{self.map_layer}'.")
        if self.pooled_input and not self.half_resolution:
            raise ValueError("A network on pooled images cannot give a velocity at full resolution.")
        if len(self.encoder) != len(self.decoder):
            raise ValueError("Encoder and decoder of a network must have equally many levels.")
        numbers = (
            *self.encoder,
            *self.decoder,
            *self.final,
            *self.hyper_widths,
            self.parameters,
            self.modulation_width,
            self.integration_steps,
        )
        if not (self.encoder and self.final and self.hyper_widths) or min(numbers) < 1:
            raise ValueError("A network needs at least one level, and at least one channel everywhere.")
        if len(numbers) > MAX_LAYERS or max(numbers) > MAX_CHANNELS:
            raise ValueError("The network is too large.")
