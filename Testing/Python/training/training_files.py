"""Small helpers shared by the tests of training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from TissueElasticRegistrationLib.core.models.model_pack import ModelCard, save_pack
from TissueElasticRegistrationLib.core.models.network import NetworkConfig, RegistrationNetwork
from training.datasets.pair import TrainingPair

NAN_FREE_SHAPE = (20, 24)


def needs_fabric():
    """Skip the test where the packages for training are not installed."""
    pytest.importorskip("lightning_fabric")
    pytest.importorskip("tensorboard")


def gradient_pair(shape=NAN_FREE_SHAPE, seed=0, displacement=None) -> TrainingPair:
    """Two random images without any symmetry, with four labels each."""
    generator = np.random.default_rng(seed)
    images = generator.random((2, *shape)).astype(np.float32)
    labels = generator.integers(0, 4, (2, *shape)).astype(np.uint8)
    return TrainingPair(images[0], images[1], labels[0], labels[1], (2.0,) * len(shape), displacement)


def pack_in(folder, **options):
    """Write the pack of an untrained 2D model; ``network``: changes of its architecture, others of its card."""
    network_options = {"dimension": 2, **options.pop("network", {})}
    torch.manual_seed(0)
    network = RegistrationNetwork(NetworkConfig(**network_options))
    options = {"regularizer": "elastic", "scale": "log", **options}
    card = ModelCard(
        name="tiny",
        version="1",
        network=network.config,
        spacing_mm=(6.0, 6.0),
        orientation="any",
        training="none",
        license="Apache-2.0",
        **options,
    )
    save_pack(folder, network, card)
    return folder
