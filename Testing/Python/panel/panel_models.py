"""Synthetic models as folders, for tests of the panel and of the console, and what a user does with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import slicer.util
from host.mouse import choose, click
from networks import awake, model_card
from panel_case import PanelCase, pause, phantom

from TissueElasticRegistrationLib.core.data.images import ImagePair
from TissueElasticRegistrationLib.core.data.progress import finish
from TissueElasticRegistrationLib.core.models.model_card import ModelCard
from TissueElasticRegistrationLib.core.models.model_pack import ModelPack, save_pack
from TissueElasticRegistrationLib.core.models.network import NetworkConfig
from TissueElasticRegistrationLib.core.physics.parameter_scale import LogScale
from TissueElasticRegistrationLib.core.registration.network_solver import NetworkSolver
from TissueElasticRegistrationLib.core.registration.registrar import Registrar

SMALL = {"encoder": (4, 4), "decoder": (4, 4), "final": (4,), "hyper_widths": (4,)}
MAP_2D, MAP_3D = NetworkConfig(2, **SMALL), NetworkConfig(3, map_layer="tissue", pooled_input=True, **SMALL)
CLASSES = ("soft", "lung", "bone", "liver")  # the paper's list: the rest of the body first
ADAPTIVE, DIFFUSION = NetworkConfig(2, "hyper", 8, **SMALL), NetworkConfig(2, "hyper", 4, **SMALL)
DIRECT_NAME = "Direct solver"
FITTING = {"spacing_mm": (4.0, 12.0), "orientation": "any"}  # the phantom of `panel_case` has voxels of 8 mm


def save(folder: Path, config: NetworkConfig, voxels: float = 0.5, **card) -> ModelCard:
    """A model of this architecture; ``voxels`` large are its random velocities."""
    return save_pack(folder, awake(config, voxels=voxels), model_card(config, **{"name": folder.name, **card}))


def save_universal(folder: Path, voxels: float = 0.5, **card) -> ModelCard:
    return save(folder, MAP_2D, voxels, **{**FITTING, **card})


def save_paper(folder: Path, regularizer: str = "elastic", **card) -> ModelCard:
    """A hypernetwork on the paper's scale for the tissues of the phantom."""
    config = ADAPTIVE if regularizer == "elastic" else DIFFUSION
    return save(folder, config, **{**FITTING, "regularizer": regularizer, "scale": "paper", "tissues": CLASSES, **card})


def save_helpful(folder: Path, **card) -> ModelCard:
    """A model whose answer for the phantom is a little better than no deformation: a step downhill."""
    network = awake(MAP_2D).requires_grad_(False)
    card = model_card(MAP_2D, **{"name": folder.name, **FITTING, **card})
    case = phantom()
    registrar = Registrar(
        ImagePair(case.fixed, case.moving, case.fixed_segmentation),
        NetworkSolver(ModelPack(card, network)),
        "none",
        threads=1,
    )
    finish(registrar.prepare())
    parameters, flow = registrar.table_parameters(), network.flow.weight.clone()
    for factor in (0.05, -0.05, 0.01, -0.01):
        network.flow.weight.copy_(factor * flow)
        finish(registrar.register(parameters))
        if not registrar.notes:
            return save_pack(folder, network, card)
    raise AssertionError("no network that helps was found")


def is_place_or_start(weight: float) -> bool:
    """Whether a search over three places per slider can have found this weight on the paper's scale."""
    starts = [LogScale().slider(start) for start in (0.5, 1.0, 30.0)]  # lung, liver and soft, bone
    return any(abs(weight - known) < 1e-9 for known in (0.0, 0.5, 1.0, *starts))


def damage_weights(folder: Path) -> None:
    data = bytearray((folder / "weights.pt").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "weights.pt").write_bytes(data)


def save_all(folder: Path) -> None:
    """Good packs of every kind, in folders of their own."""
    save_helpful(folder / "helpful", training="synthetic thoraxes", license="Apache-2.0")
    save_universal(folder / "wild", voxels=30.0, spacing_mm=(1.0, 2.0))
    save(folder / "volumes", MAP_3D)
    save_paper(folder / "paper")
    save_paper(folder / "paper-diffusion", "diffusion")
    save_paper(folder / "no-liver", rest=("bone",), tissues=("soft", "lung", "spleen", "heart"))


def choose_model(panel: PanelCase, text: str) -> None:
    choose(panel.ui.modelSelector, text)
    pause(0.05)
    panel.rest()


def listed(panel: PanelCase) -> list[str]:
    selector = panel.ui.modelSelector
    return [selector.itemText(number) for number in range(selector.count)]


def displacement(panel: PanelCase) -> np.ndarray:
    return slicer.util.arrayFromGridTransform(panel.transform).copy()


def apply(panel: PanelCase) -> np.ndarray:
    click(panel.ui.applyButton)
    panel.rest()
    assert panel.ui.statusLabel.text.startswith("Registered in "), panel.ui.statusLabel.text
    return displacement(panel)
