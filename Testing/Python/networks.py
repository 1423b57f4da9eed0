"""Networks and images for the tests of networks: made up, but nothing in them is zero, equal or symmetric."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from TissueElasticRegistrationLib.core.models.model_pack import ModelCard
from TissueElasticRegistrationLib.core.models.network import MapParameters, NetworkConfig, RegistrationNetwork


def awake(config: NetworkConfig, seed: int = 0, voxels: float = 0.5) -> RegistrationNetwork:
    """A network with random weights whose velocities are about ``voxels`` large, although it has not been trained."""
    torch.manual_seed(seed)
    network = RegistrationNetwork(config)
    with torch.no_grad():
        torch.nn.init.normal_(network.flow.weight, 0, 0.05)
        if config.conditioning == "map":
            for name, weight in network.modulation.named_parameters():
                if "heads" in name and weight.dim() > 1:
                    weight.mul_(4)
        shape = (32,) * config.dimension
        parameters = torch.rand(1, config.parameters)
        if config.conditioning == "map":
            parameters = _map_parameters(shape)
        spread = network(*images(1, shape), parameters).std()
        network.flow.weight.mul_(voxels / spread)
    return network.eval()


def images(count: int, shape: tuple[int, ...], seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Two batches (count, 1, *shape) of smooth random images on [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(2 * count, 1, *(size // 4 + 2 for size in shape), generator=generator)
    smooth = F.interpolate(coarse, size=shape, mode="bilinear" if len(shape) == 2 else "trilinear")
    return smooth[:count], smooth[count:]


def box_labels(count: int, shape: tuple[int, ...], tissues: int, seed: int = 2) -> torch.Tensor:
    """(count, 1, *shape) labels 0 to tissues - 1 in boxes of 5 voxels, so that coarse voxels hold several."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, tissues, (count, 1, *(size // 5 + 1 for size in shape)), generator=generator)
    for dim, size in enumerate(shape, start=2):
        labels = labels.repeat_interleave(5, dim).narrow(dim, 0, size)
    return labels


def _map_parameters(shape):
    return MapParameters(box_labels(1, shape, 4), torch.rand(1, 4, 2))


def model_card(config: NetworkConfig, **changes) -> ModelCard:
    """A card for a synthetic network."""
    fields = {
        "name": "synthetic",
        "version": "1",
        "network": config,
        "regularizer": "elastic",
        "scale": "log",
        "spacing_mm": (2.0, 8.0),
        "orientation": {2: "radiological", 3: "SPL"}[config.dimension],
        "training": "not trained",
        "license": "Apache-2.0",
    }
    return ModelCard(**{**fields, **changes})
