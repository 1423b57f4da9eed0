"""Models of one's own in the panel: chosen by their folder, found again with the scene, missed when they are gone."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import slicer
import slicer.util
from host.mouse import type_value
from panel_case import PanelCase, pause
from panel_faults import assert_explained, assert_live_works
from panel_models import DIRECT_NAME, apply, choose_model, displacement

from TissueElasticRegistrationLib.scene.nodes import InputNodes

pytestmark = pytest.mark.usefixtures("installed")
LIVER = "id_liver"
DIRECT, CHOOSE = DIRECT_NAME, "Choose a folder..."


@pytest.fixture
def ready(panel) -> PanelCase:
    panel.choose_inputs()
    panel.open("modelButton")
    return panel


@pytest.fixture
def dialog(monkeypatch):
    """The dialog for folders answers ``dialog.answer``."""
    import qt

    class Dialog:
        answer = ""

    monkeypatch.setattr(type(slicer.app), "testingEnabled", lambda self: False)
    monkeypatch.setattr(qt.QFileDialog, "getExistingDirectory", lambda *_arguments: str(Dialog.answer))
    return Dialog


def reload_scene(panel: PanelCase, path: Path) -> None:
    """Save, close, open."""
    assert slicer.util.saveScene(str(path))
    slicer.mrmlScene.Clear()
    slicer.util.loadScene(str(path))
    names = [node.GetName() for node in panel.nodes]
    panel.nodes = InputNodes(*(slicer.mrmlScene.GetFirstNodeByName(name) for name in names))
    panel.rest()


@pytest.fixture
def own(model_packs, tmp_path) -> Path:
    return shutil.copytree(model_packs / "helpful", tmp_path / "trained here" / "mine")


def test_an_own_model_is_chosen_by_its_folder(ready, dialog, own):
    dialog.answer = own
    choose_model(ready, CHOOSE)
    assert ready.parameters.model == str(own)
    assert ready.ui.modelSelector.currentText == "mine (own)"
    clicked = apply(ready)
    ready.logic.register(InputNodes(*ready.nodes[:3]), model="helpful")
    np.testing.assert_array_equal(clicked, displacement(ready))
    choose_model(ready, DIRECT)
    choose_model(ready, "mine (own)")
    assert ready.parameters.model == str(own)


def test_choosing_no_folder_changes_nothing(ready, dialog):
    choose_model(ready, "helpful")
    choose_model(ready, CHOOSE)
    assert ready.parameters.model == "helpful"
    assert ready.ui.modelSelector.currentText == "helpful"


def test_the_folder_of_an_installed_model_is_that_model(ready, dialog, installed):
    dialog.answer = installed / "helpful"
    choose_model(ready, CHOOSE)
    assert ready.parameters.model == "helpful"


def test_a_folder_without_a_model_is_explained(ready, dialog, tmp_path):
    dialog.answer = tmp_path
    choose_model(ready, CHOOSE)
    assert_explained(ready, f"The folder '{tmp_path.name}' contains no model; choose another solver.")
    assert str(tmp_path) in ready.ui.modelLabel.toolTip
    choose_model(ready, DIRECT)
    assert ready.ui.applyButton.enabled


def test_a_saved_scene_finds_an_own_model_again(ready, dialog, own, tmp_path):
    dialog.answer = own
    choose_model(ready, CHOOSE)
    type_value(ready.tissue(LIVER, "muBox"), "40")
    before = apply(ready)
    reload_scene(ready, tmp_path / "scene.mrb")
    assert ready.parameters.model == str(own)
    assert ready.ui.modelSelector.currentText == "mine (own)"
    np.testing.assert_array_equal(apply(ready), before)


def test_a_saved_scene_explains_that_its_model_is_gone(ready, dialog, own, tmp_path):
    dialog.answer = own
    choose_model(ready, CHOOSE)
    type_value(ready.tissue(LIVER, "muBox"), "40")
    ready.switch_live_on()
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    shutil.rmtree(own)
    reload_scene(ready, tmp_path / "scene.mrb")
    assert_explained(ready, "The folder 'mine' contains no model; choose another solver.")
    assert ready.ui.modelSelector.currentText == "mine (cannot be used)"
    choose_model(ready, DIRECT)
    assert ready.tissue(LIVER, "muBox").text == "40"
    assert_live_works(ready)


def test_an_own_model_that_is_not_installed_any_more_comes_back(ready, installed):
    choose_model(ready, "helpful")
    shutil.move(installed / "helpful", installed.parent / "elsewhere")
    ready.parameters.finestMm = 0.5  # the panel looks again at any change
    pause(0.1)
    assert_explained(ready, "The model 'helpful' is not installed; choose another solver.")
    shutil.move(installed.parent / "elsewhere", installed / "helpful")
    ready.parameters.finestMm = 0.0
    pause(0.1)
    assert ready.ui.applyButton.enabled
    assert ready.ui.modelSelector.currentText == "helpful"
