"""The network as training calls it: from a batch's tensors to a velocity, whatever the conditioning."""

from __future__ import annotations

from dataclasses import asdict

import torch
from torch import nn

from TissueElasticRegistrationLib.core.models.model_pack import ModelPack
from TissueElasticRegistrationLib.core.models.network import MapParameters, NetworkConfig, RegistrationNetwork

from .losses import slider_maps


class Trainee(nn.Module):
    """Labels and sliders become what this kind of network wants to know.

    Plain tensors in and out, so that wrappers for mixed precision and several processes can handle them.

    Args:
        config: The architecture.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.network = RegistrationNetwork(config)

    def forward(
        self, fixed: torch.Tensor, moving: torch.Tensor, labels: torch.Tensor, sliders: torch.Tensor
    ) -> torch.Tensor:
        """The velocity of a batch.

        Args:
            fixed: (B, 1, *shape) on [0, 1].
            moving: (B, 1, *shape) on [0, 1].
            labels: (B, *shape) integers.
            sliders: (B, C, 2) positions in [0, 1].

        Returns:
            (B, D, *velocity shape) in voxels of its own grid.
        """
        return self.network(fixed, moving, network_parameters(self.network.config, labels, sliders))

    def begin_with(self, pack: ModelPack) -> None:
        """Take over the weights of a finished model.

        A hypernetwork for other tissues gives its kernels at the middle of its sliders.

        Args:
            pack: The finished model.

        Raises:
            ValueError: It is built in another way.
        """
        config, found = self.network.config, pack.card.network
        between_hyper = config.conditioning == found.conditioning == "hyper"
        other = [
            f"{name} {getattr(found, name)} instead of {wanted}"
            for name, wanted in asdict(config).items()
            if getattr(found, name) != wanted and not (between_hyper and name in ("parameters", "hyper_widths"))
        ]
        if other:
            raise ValueError(
                f"This run cannot begin with the model '{pack.card.name}', which is built in another way: "
                f"{', '.join(other)}."
            )
        if (config.parameters, config.hyper_widths) == (found.parameters, found.hyper_widths):
            self.network.load_state_dict(pack.network.state_dict())
        else:
            self.network.kernels.begin_with(pack.network.kernels(torch.full((1, found.parameters), 0.5)))
            self.network.flow.load_state_dict(pack.network.flow.state_dict())


def network_parameters(
    config: NetworkConfig, labels: torch.Tensor, sliders: torch.Tensor
) -> MapParameters | torch.Tensor:
    """The tissue parameters in the form that a network of this kind takes.

    Args:
        config: The architecture.
        labels: (B, *shape) integers.
        sliders: (B, C, 2) positions in [0, 1].
    """
    if config.conditioning == "hyper":
        return slider_vector(sliders, config.parameters)
    if config.map_layer == "tissue":
        return MapParameters(labels[:, None], sliders)
    return slider_maps(labels, sliders)


def slider_vector(sliders: torch.Tensor, parameters: int) -> torch.Tensor:
    """Sliders as the vector of a hypernetwork.

    Args:
        sliders: (B, C, 2) positions of λ and μ.
        parameters: How many numbers the network takes. 2 C: first λ of every tissue, background first, then μ of every
            tissue. 2: λ and μ of all. C: μ of every tissue (diffusion). 1: μ of all.

    Returns:
        (B, parameters).

    Raises:
        ValueError: It takes another number of them.
    """
    tissues = sliders.shape[1]
    by_tissue = {2 * tissues: sliders.movedim(2, 1).flatten(1), tissues: sliders[:, :, 1]}
    by_count = {2: sliders[:, 0], 1: sliders[:, 0, 1:], **by_tissue}
    if parameters not in by_count:
        raise ValueError(f"A vector of {parameters} numbers cannot be made for {tissues} tissues.")
    return by_count[parameters]
