"""Trained models from Python: by name or folder, on their own scale, and refused in one sentence."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
from host.scene_builders import node_ids
from panel_case import MODULE, NAME, add_pair, add_phantom
from panel_faults import is_sentence, library, make_panel_quick
from panel_models import MAP_3D, damage_weights, is_place_or_start, save, save_helpful, save_paper
from synthetic_pairs import volume_pair

from TissueElasticRegistrationLib.core.data.progress import finish
from TissueElasticRegistrationLib.scene.nodes import InputNodes
from TissueElasticRegistrationLib.scene.options import RegistrationOptions
from TissueElasticRegistrationLib.scene.session import PairSession


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    save_helpful(folder / "helpful")
    save_paper(folder / "paper")
    save(folder / "volumes", MAP_3D)
    save(folder / "damaged", MAP_3D)
    damage_weights(folder / "damaged")
    return folder


@pytest.fixture
def logic(fresh_host, monkeypatch, models):
    make_panel_quick(monkeypatch)
    fresh_host.load_module(MODULE)
    fresh_host.leave_module()
    monkeypatch.setattr(library("core.models.model_card"), "MODELS_FOLDER", models)
    yield slicer.util.getModuleLogic(NAME)
    slicer.app.setRenderPaused(False)


@pytest.fixture
def nodes(logic):
    return add_phantom(slicer.mrmlScene)


def test_models_are_listed_by_their_cards(logic):
    cards = {card.name: card for card in logic.models()}
    assert list(cards) == ["damaged", "helpful", "paper", "volumes"]
    assert (cards["helpful"].dimension, cards["paper"].parameter_scale.highest) == (2, 1.0)


def test_a_model_is_named_or_given_by_its_folder(logic, nodes, models):
    by_name = logic.register(InputNodes(*nodes[:3]), model="helpful").result
    by_folder = logic.register(InputNodes(*nodes[:3]), model=str(models / "helpful")).result
    direct = logic.register(InputNodes(*nodes[:3])).result
    np.testing.assert_array_equal(by_name.displacement_ras_mm, by_folder.displacement_ras_mm)
    assert (by_name.displacement_ras_mm != direct.displacement_ras_mm).any()
    assert not [warning for warning in by_name.warnings if "model" in warning]


def test_a_session_follows_with_a_model(logic, nodes):
    session = PairSession(nodes, RegistrationOptions(model="helpful"))
    frames = [item for item in session.live({"liver": (1.0, 40.0)}) if hasattr(item, "displacement_ras_mm")]
    assert session.registrar.solver.pack.card.name == "helpful"
    assert frames[0].text == "network"


def test_the_estimate_of_a_paper_model_is_on_its_scale(logic, nodes):
    values = logic.estimate(InputNodes(*nodes[:4]), points=3, model="paper").values()
    assert all(is_place_or_start(weight) for lame in values.values() for weight in (lame.lam, lame.mu))
    result = logic.register(InputNodes(*nodes[:3]), values, model="paper").result
    assert {row.tissue.id: row.parameters for row in result.tissues}["id_liver"] == values["id_liver"]


def test_a_session_ends_when_its_model_is_trained_again(logic, nodes, tmp_path):
    save_paper(tmp_path / "mine")
    options = RegistrationOptions(model=str(tmp_path / "mine"))
    session = PairSession(nodes, options)
    finish(session.prepared())
    assert session.fits(nodes, options)
    save_paper(tmp_path / "mine", version="2 with more data")
    assert not session.fits(nodes, options)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("unknown", "Model 'unknown' not found; installed models are damaged, helpful, paper, volumes."),
        ("/nowhere/mine", "Model pack 'mine': card.json is missing or cannot be read."),
        ("damaged", "weights.pt does not match its card"),
        ("volumes", "The model 'volumes' supports volumes only."),
    ],
)
def test_a_model_that_cannot_be_used_is_one_sentence(logic, nodes, model, sentence):
    before = node_ids(slicer.mrmlScene)
    with pytest.raises(ValueError, match="model|Model") as error:
        logic.register(InputNodes(*nodes[:3]), model=model)
    assert sentence in str(error.value) and is_sentence(str(error.value))
    assert node_ids(slicer.mrmlScene) == before


def test_a_weight_outside_of_the_scale_of_a_model_is_named(logic, nodes):
    with pytest.raises(ValueError, match=r"'liver' is outside the allowed range 0 to 1 \(paper scale\)"):
        logic.register(InputNodes(*nodes[:3]), {"liver": (1.0, 2.0)}, model="paper")


def test_a_model_for_slices_refuses_a_volume(logic):
    volumes = add_pair(slicer.mrmlScene, volume_pair())
    with pytest.raises(ValueError, match="supports single slices and stacks of thick slices"):
        logic.register(InputNodes(*volumes[:3]), model="helpful")


def test_a_rigid_alignment_that_was_not_done_is_a_warning(logic, nodes):
    warned = logic.register(InputNodes(*nodes[:3]), initial="rigid").result.warnings
    assert [warning for warning in warned if "Rigid alignment is not available for single slices" in warning]
    assert not [warning for warning in logic.register(InputNodes(*nodes[:3])).result.warnings if "rigidly" in warning]
