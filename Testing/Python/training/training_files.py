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


def pack_in(folder, still=False, **options):
    """Write the pack of an untrained 2D model; ``network``: changes of its architecture, others of its card.

    still: it deforms nothing at all, so no pair is registered worse than before and its answers are accepted.
    """
    network_options = {"dimension": 2, **options.pop("network", {})}
    torch.manual_seed(0)
    network = RegistrationNetwork(NetworkConfig(**network_options))
    if still:
        torch.nn.init.zeros_(network.flow.weight)
    options = {"name": "tiny", "regularizer": "elastic", "scale": "log", **options}
    card = ModelCard(
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


def paper_packs(folder, still=False) -> dict[str, str]:
    """Folders of four untrained models of the kinds that the paper compares, by their names there; as in `pack_in`."""
    return {
        f"{kind}-{extent}": str(_paper_pack(folder / f"{kind}-{extent}", regularizer, tissues, still))
        for kind, regularizer in (("diff", "diffusion"), ("elas", "elastic"))
        for extent, tissues in (("g", ()), ("sas", ("background", "lung", "bone", "liver")))
    }


def _paper_pack(folder, regularizer, tissues, still):
    weights = 2 if regularizer == "elastic" else 1
    network = {
        "conditioning": "hyper",
        "parameters": weights * (len(tissues) or 1),
        "encoder": (2, 2),
        "decoder": (2, 2),
        "final": (2,),
        "hyper_widths": (2,),
        "half_resolution": False,
    }
    rest = ("soft", "unsegmented") if tissues else ()
    card = {"name": folder.name, "regularizer": regularizer, "tissues": tissues, "rest": rest, "scale": "paper"}
    return pack_in(folder, still, network=network, **card)
