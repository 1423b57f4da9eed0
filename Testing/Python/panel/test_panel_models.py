"""Trained models in the panel: what is listed, what choosing one changes, what is said of one that cannot be used."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from host.mouse import choose, click, drag, type_value
from panel_case import PanelCase, add_pair, pause
from panel_faults import assert_explained, assert_live_works, is_sentence
from panel_models import (
    DIRECT_NAME,
    apply,
    choose_model,
    damage_weights,
    displacement,
    is_place_or_start,
    listed,
    save_universal,
)
from synthetic_pairs import volume_pair

from TissueElasticRegistrationLib.core.physics.parameter_scale import LogScale, PaperScale
from TissueElasticRegistrationLib.panel.widgets.number_texts import weight_text
from TissueElasticRegistrationLib.scene.nodes import InputNodes, find_outputs

pytestmark = pytest.mark.usefixtures("installed")
LIVER, BONE = "id_liver", "id_bone"
DIRECT, CHOOSE = DIRECT_NAME, "Choose a folder..."


@pytest.fixture
def ready(panel) -> PanelCase:
    panel.choose_inputs()
    panel.open("modelButton")
    return panel


# --- The list -------------------------------------------------------------------------------------------------------


def test_installed_models_are_listed_with_what_they_are(ready):
    assert listed(ready) == [DIRECT, "helpful", "no-liver", "paper", "paper-diffusion", "volumes", "wild", CHOOSE]
    assert ready.ui.modelSelector.currentText == DIRECT
    assert not ready.ui.modelLabel.visible
    tip = ready.ui.modelSelector.itemData(1, 3)  # Qt::ToolTipRole
    assert all(what in tip for what in ("helpful 1", "synthetic thoraxes", "Apache-2.0")), tip


def test_a_chosen_model_is_described_and_kept(ready):
    choose_model(ready, "helpful")
    assert ready.parameters.model == "helpful"
    assert ready.ui.modelLabel.text == (
        "helpful: for single slices and stacks of thick slices, any tissues. Trained on voxel sizes of 4 to 12 mm."
    )
    assert ready.ui.applyButton.enabled
    choose_model(ready, DIRECT)
    assert ready.parameters.model == "direct"
    assert not ready.ui.modelLabel.visible


def test_every_text_about_a_model_is_seen_whole(ready):
    ready.window.resize(500, 900)
    for name in ("volumes", "helpful", "paper-diffusion", "no-liver", "helpful"):
        choose_model(ready, name)
        pause(0.05)
        label = ready.ui.modelLabel
        assert label.height >= label.heightForWidth(label.width), label.text


def test_a_damaged_card_is_listed_and_explained(ready, installed):
    (installed / "wild" / "card.json").write_text("{}")
    choose_model(ready, "helpful")  # looks at the folder again
    assert "wild (cannot be used)" in listed(ready)
    choose_model(ready, "wild (cannot be used)")
    assert_explained(ready, "Model pack 'wild': card.json is not a valid model card.")
    assert ready.ui.modelLabel.text == ready.ui.applyButton.toolTip
    choose_model(ready, DIRECT)
    assert ready.ui.applyButton.enabled


# --- What it changes ------------------------------------------------------------------------------------------------


def test_apply_with_a_model_does_what_the_console_does(ready):
    direct = apply(ready)
    choose_model(ready, "helpful")
    type_value(ready.tissue(LIVER, "muBox"), "3")
    ready.rest()
    clicked = apply(ready)
    assert "model" not in ready.ui.qualityLabel.text
    done = ready.logic.register(InputNodes(*ready.nodes[:3]), {"liver": (1.0, 3.0)}, model="helpful")
    np.testing.assert_array_equal(clicked, displacement(ready))
    assert done.result.objective_values.steps >= 40, "the correction of the answer"
    assert np.abs(clicked - direct).max() > 0.1


def test_refinement_can_be_chosen(ready):
    choose_model(ready, "helpful")
    ready.open("advancedButton")
    type_value(ready.ui.refineStepsSpinBox, "0")
    clicked = apply(ready)
    done = ready.logic.register(InputNodes(*ready.nodes[:3]), model="helpful", refine_steps=0)
    np.testing.assert_array_equal(clicked, displacement(ready))
    assert done.result.objective_values.steps == 0


def test_live_starts_again_with_another_model(ready):
    ready.switch_live_on()
    direct, sessions = displacement(ready), [ready.control.session]
    choose_model(ready, "helpful")
    sessions.append(ready.control.session)
    assert sessions[1] is not sessions[0]
    assert sessions[1].registrar.solver.name == "network+direct"
    assert (displacement(ready) != direct).any()
    assert_live_works(ready)


def test_a_model_is_changed_while_live_computes(ready):
    click(ready.ui.liveCheckBox)
    ready.wait(lambda: ready.activity == "live")
    session = ready.control.session
    choose_model(ready, "helpful")
    ready.wait(lambda: ready.control.session is not session)
    ready.rest()
    assert ready.control.session.registrar.solver.name == "network+direct"
    assert_live_works(ready)


def test_a_model_that_was_trained_again_is_loaded_again(ready, installed):
    choose_model(ready, "helpful")
    before = apply(ready)
    save_universal(installed / "helpful", voxels=30.0)
    apply(ready)
    assert "worse than no deformation" in ready.ui.qualityLabel.text
    assert (displacement(ready) != before).any()


def test_notes_about_a_model_reach_the_user(ready):
    choose_model(ready, "wild")
    ready.switch_live_on()
    spacing = "The model 'wild' was trained on voxel sizes of 1 to 2 mm; these images have 8 mm."
    assert spacing in ready.ui.liveStatusLabel.text
    assert "worse than no deformation" in ready.ui.liveStatusLabel.text
    apply(ready)
    assert spacing in ready.ui.qualityLabel.text
    assert "worse than no deformation, so only the direct solver was used" in ready.ui.qualityLabel.text
    choose_model(ready, DIRECT)
    assert "model" not in ready.ui.liveStatusLabel.text


def test_the_estimate_takes_the_scale_of_the_model(ready):
    choose_model(ready, "paper")
    ready.open("estimateButton")
    type_value(ready.ui.gridPointsSpinBox, "3")
    click(ready.ui.estimatePushButton)
    ready.rest()
    found = {row.tissue.id: row.lame for row in ready.widget.panel.estimate.latest.per_tissue if row.is_estimated}
    assert {LIVER, BONE} <= found.keys()
    for key, lame in found.items():
        assert is_place_or_start(lame.lam) and is_place_or_start(lame.mu)
        assert ready.tissue(key, "muBox").text == weight_text(lame.mu)
        assert ready.tissue(key, "lambda").value == round(1000 * lame.lam)
    click(ready.ui.undoEstimateButton)
    ready.rest()
    assert ready.tissue(BONE, "mu").value == round(1000 * LogScale().slider(30))


# --- Scales and regularizers ----------------------------------------------------------------------------------------


def test_rows_show_the_weights_of_the_model_at_the_same_places(ready):
    drag(ready.tissue(LIVER, "mu"), 0.8)
    ready.rest()
    places = {key: ready.tissue(key, "mu").value for key in (LIVER, BONE)}
    weight = ready.tissue(LIVER, "muBox").text
    choose_model(ready, "paper")
    assert {key: ready.tissue(key, "mu").value for key in (LIVER, BONE)} == places
    assert float(ready.tissue(LIVER, "muBox").text) == pytest.approx(LogScale().slider(float(weight)), abs=2e-3)
    assert "Allowed: 0 to 1." in ready.tissue(LIVER, "muBox").toolTip
    assert "λ and μ range from 0 to 1" in ready.ui.modelLabel.text
    choose_model(ready, DIRECT)
    assert ready.tissue(LIVER, "muBox").text == weight
    assert "Allowed: 0.02 to 200." in ready.tissue(LIVER, "muBox").toolTip


def test_what_is_typed_is_what_a_paper_model_gets(ready):
    choose_model(ready, "paper")
    type_value(ready.tissue(LIVER, "lambdaBox"), "0.3")
    type_value(ready.tissue(LIVER, "muBox"), "0.7")
    type_value(ready.tissue(BONE, "muBox"), "5")  # more than there is
    ready.rest()
    assert ready.tissue(BONE, "muBox").text == "1"
    clicked = apply(ready)
    done = ready.logic.register(
        InputNodes(*ready.nodes[:3]), {"liver": (0.3, 0.7), "bone": (LogScale().slider(30), 1.0)}, model="paper"
    )
    np.testing.assert_array_equal(clicked, displacement(ready))
    weights = {row.tissue.id: row.parameters for row in done.result.tissues}
    assert (weights[LIVER].lam, weights[LIVER].mu) == (0.3, 0.7)


def test_presets_and_the_sliders_for_all_are_on_the_scale_of_the_model(ready):
    choose_model(ready, "paper")
    click(ready.tissue(LIVER, "preset"))
    menu = ready.preset_menu
    next(action for action in menu.actions() if action.text.startswith("Bone")).trigger()
    menu.close()
    ready.rest()
    assert ready.tissue(LIVER, "muBox").text == weight_text(LogScale().slider(30))
    ready.parameters.allMu = 100
    ready.rest()
    assert ready.ui.allMuFactorLabel.text == "+0.25"
    request = ready.request
    assert request.values[LIVER].mu == PaperScale().highest
    assert request.values["id_lung"].mu == pytest.approx(LogScale().slider(0.5) + 0.25)
    choose_model(ready, DIRECT)
    assert ready.ui.allMuFactorLabel.text == "× 10"


def test_a_diffusion_model_has_no_lambda(ready):
    choose_model(ready, "paper-diffusion")
    for kind in ("lambda", "lambdaBox", "link"):
        assert not ready.tissue(LIVER, kind).enabled
    assert not ready.ui.allLambdaSlider.enabled
    assert "λ has no effect" in ready.tissue(LIVER, "lambda").toolTip
    assert "ν" not in ready.tissue(LIVER, "summary").text
    apply(ready)
    assert "The model 'paper-diffusion' has one weight per tissue, μ" in ready.ui.qualityLabel.text
    choose_model(ready, DIRECT)
    assert ready.tissue(LIVER, "lambda").enabled and ready.ui.allLambdaSlider.enabled
    assert "ν" in ready.tissue(LIVER, "summary").text


# --- Models that cannot be used -------------------------------------------------------------------------------------


def test_a_model_for_volumes_is_explained_for_a_slice(ready):
    ready.switch_live_on()
    choose_model(ready, "volumes")
    assert_explained(ready, "The model 'volumes' supports volumes only.")
    assert ready.ui.modelLabel.text == ready.ui.applyButton.toolTip
    choose_model(ready, DIRECT)
    assert_live_works(ready)


def test_a_model_for_slices_is_explained_for_a_volume(ready):
    choose_model(ready, "helpful")
    other = add_pair(slicer.mrmlScene, volume_pair(), "other ")
    ready.choose_inputs(other, 4)
    choose(ready.ui.fixedLandmarksSelector, "None")
    choose(ready.ui.movingLandmarksSelector, "None")
    ready.rest()
    assert_explained(ready, "The model 'helpful' supports single slices and stacks of thick slices")
    choose_model(ready, "volumes")
    assert ready.ui.applyButton.enabled


def test_a_tissue_that_a_model_does_not_know_is_named(ready):
    choose_model(ready, "no-liver")
    assert_explained(ready, "The model 'no-liver' supports only the tissues soft, lung, spleen, heart, not 'liver'.")
    ready.nodes.segmentation.GetSegmentation().GetSegment(LIVER).SetName("Spleen")
    pause(0.2)
    ready.rest()
    assert ready.ui.applyButton.enabled


def test_damaged_weights_are_one_sentence_and_nothing_is_written(ready, installed):
    damage_weights(installed / "helpful")
    choose_model(ready, "helpful")
    click(ready.ui.applyButton)
    ready.rest()
    sentence = ready.ui.statusLabel.text
    assert "weights.pt does not match its card" in sentence and is_sentence(sentence)
    click(ready.ui.liveCheckBox)
    ready.rest()
    assert ready.ui.liveStatusLabel.text == sentence
    assert ready.transform is None
    assert find_outputs(ready.nodes).metrics_table is None
    choose_model(ready, DIRECT)
    assert_live_works(ready)


# --- Alignment ------------------------------------------------------------------------------------------------------


def test_a_slice_that_should_be_aligned_rigidly_says_that_it_was_not(ready):
    ready.open("advancedButton")
    choose(ready.ui.alignmentSelector, "Rigid")
    ready.switch_live_on()
    assert "Rigid alignment is not available for single slices" in ready.ui.liveStatusLabel.text
    apply(ready)
    assert "Rigid alignment is not available for single slices" in ready.ui.qualityLabel.text
