"""Scene closed, module left, reloaded or ended, nodes deleted, another scene imported, while something runs."""

from __future__ import annotations

import time

import pytest
import slicer
import slicer.util
from host.mouse import choose, click
from panel_case import NAME, add_phantom, pause
from panel_faults import (
    LIBRARY,
    assert_live_works,
    assert_slider_moves_image,
    begin,
    is_sentence,
    look_again,
    make_preparing_slow,
    make_steps_slow,
    modules_put_back,
    node_classes,
    remove,
    worker_threads,
)

RUNNING = ["prepare", "live", "apply", "estimate"]
LABELS = ("liveStatusLabel", "statusLabel", "estimateStatusLabel")


pytestmark = pytest.mark.usefixtures("quick_panel")


@pytest.fixture(autouse=True)
def slow_steps(quick_panel, monkeypatch):
    make_steps_slow(monkeypatch)
    make_preparing_slow(monkeypatch)


@pytest.fixture
def ready(panel):
    panel.choose_inputs(number=4)
    panel.parameters.gridPoints = 3
    return panel


@pytest.fixture
def library_as_it_was():
    with modules_put_back(LIBRARY):
        yield


# --- the end of things ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", RUNNING)
def test_the_scene_is_closed(ready, what):
    slicer.mrmlScene.Clear()
    pause(0.1)
    empty = node_classes()
    add_phantom_again(ready)
    begin(ready, what)
    slicer.mrmlScene.Clear()
    assert ready.activity == "idle"
    pause(0.3)
    assert node_classes() == empty
    assert "Choose a fixed volume" in ready.ui.applyButton.toolTip
    assert not (ready.ui.progressBar.visible or ready.ui.estimateProgressBar.visible)
    assert [getattr(ready.ui, label).text for label in LABELS] == [""] * 3
    add_phantom_again(ready)
    ready.switch_live_on()
    assert_live_works(ready)


def add_phantom_again(panel):
    panel.nodes = add_phantom(slicer.mrmlScene)
    panel.choose_inputs(number=4)


@pytest.mark.parametrize("what", RUNNING)
def test_the_application_ends(ready, what):
    begin(ready, what)
    began = time.perf_counter()
    ready.host.unload_module(NAME)
    assert time.perf_counter() - began < 1.0
    pause(0.2)
    assert not worker_threads()


@pytest.mark.parametrize("what", RUNNING)
def test_the_module_is_reloaded(ready, library_as_it_was, what):
    begin(ready, what)
    before, threads = ready.widget, worker_threads()
    ready.host.reload_module(NAME)
    assert ready.widget is not before
    assert not any(thread.is_alive() for thread in threads)
    pause(0.2)
    assert ready.ui.fixedSelector.currentNode() is ready.nodes.fixed
    assert not (ready.ui.progressBar.visible or ready.ui.estimateProgressBar.visible)
    if not ready.parameters.live:
        click(ready.ui.liveCheckBox)
    ready.rest()
    assert_slider_moves_image(ready)


@pytest.mark.parametrize("what", ["prepare", "live"])
def test_following_ends_when_the_module_is_left_and_goes_on_when_it_is_entered(ready, what):
    begin(ready, what)
    ready.host.leave_module()
    pause(0.2)
    assert ready.activity == "idle"
    ready.nodes.moving.SetName("renamed")
    ready.host.enter_module(NAME)
    assert_live_works(ready)


def test_apply_goes_on_when_the_module_is_left(ready):
    begin(ready, "apply")
    ready.host.leave_module()
    pause(0.1)
    ready.host.enter_module(NAME)
    assert ready.activity == "apply"
    ready.rest()
    assert ready.ui.statusLabel.text.startswith("Registered")
    assert ready.ui.qualityTable.rowCount > 3


def test_an_estimate_goes_on_when_the_module_is_left(ready):
    begin(ready, "estimate")
    ready.host.leave_module()
    pause(0.1)
    ready.host.enter_module(NAME)
    assert ready.activity == "estimate"
    click(ready.ui.estimatePushButton)
    ready.rest()
    assert ready.ui.estimateStatusLabel.text.startswith("Canceled")


def test_what_was_measured_is_still_there_when_the_module_is_entered_again(ready):
    begin(ready, "apply")
    ready.rest()
    ready.host.leave_module()
    ready.host.enter_module(NAME)
    assert ready.ui.qualityTable.visible and ready.ui.qualityTable.rowCount > 3


# --- nodes are deleted, scenes imported -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fixed", "moving", "segmentation", "moving_segmentation"])
def test_an_input_is_deleted_while_applying(ready, name):
    begin(ready, "apply")
    remove(getattr(ready.nodes, name))
    ready.rest()
    assert f"{name.replace('_', ' ')}" in ready.ui.statusLabel.text.lower()
    assert ready.ui.statusLabel.text.endswith("is no longer in the scene.")
    assert ready.ui.applyButton.enabled == (name == "moving_segmentation")


def test_voxels_are_changed_while_applying(ready):
    begin(ready, "apply")
    array = slicer.util.arrayFromVolume(ready.nodes.fixed)
    slicer.util.updateVolumeFromArray(ready.nodes.fixed, array[:, ::-1])
    ready.rest()
    text = ready.ui.statusLabel.text
    assert text.startswith("The inputs changed during the registration") and is_sentence(text)
    assert ready.transform is None
    click(ready.ui.applyButton)
    ready.rest()
    assert ready.ui.statusLabel.text.startswith("Registered")


@pytest.mark.parametrize("name", ["fixed", "moving", "moving_segmentation"])
def test_an_estimate_ends_well_though_an_image_is_deleted(ready, name):
    begin(ready, "estimate")
    remove(getattr(ready.nodes, name))
    ready.rest()
    assert ready.ui.estimateStatusLabel.text.startswith("Estimated in ")
    assert not ready.ui.estimatePushButton.enabled


def test_an_estimate_is_dropped_with_its_segmentation(ready):
    begin(ready, "estimate")
    remove(ready.nodes.segmentation)
    pause(0.1)
    assert ready.activity == "idle"
    assert ready.ui.estimatePushButton.toolTip == "Choose a segmentation of the fixed volume."
    assert not ready.ui.undoEstimateButton.visible


@pytest.mark.parametrize(
    ("parameter", "node_class"),
    [
        ("outputTransform", "vtkMRMLTransformNode"),
        ("outputVolume", "vtkMRMLScalarVolumeNode"),
        ("outputSegmentation", "vtkMRMLSegmentationNode"),
        ("outputTable", "vtkMRMLTableNode"),
    ],
)
def test_a_chosen_output_is_deleted_while_applying(ready, parameter, node_class):
    node = slicer.mrmlScene.AddNewNodeByClass(node_class, "mine")
    setattr(ready.parameters, parameter, node)
    begin(ready, "apply")
    remove(node)
    ready.rest()
    assert "'mine' is no longer in the scene." in ready.ui.statusLabel.text
    click(ready.ui.applyButton)
    ready.rest()
    assert ready.ui.statusLabel.text.startswith("Registered")


@pytest.mark.parametrize("what", RUNNING)
def test_another_scene_is_imported(ready, tmp_path, what):
    slicer.util.saveScene(str(tmp_path / "case.mrb"))
    begin(ready, what)
    slicer.util.loadScene(str(tmp_path / "case.mrb"))
    ready.rest()
    look_again(ready)
    assert ready.ui.fixedSelector.currentNode() is ready.parameters.fixedVolume is not None
    assert ready.ui.applyButton.enabled
    click(ready.ui.applyButton)
    ready.rest()
    assert ready.ui.statusLabel.text.startswith("Registered")


@pytest.mark.parametrize("what", ["apply", "estimate"])
def test_other_inputs_are_chosen(ready, what):
    add_phantom(slicer.mrmlScene, "other ", seed=6)
    begin(ready, what)
    choose(ready.ui.fixedSelector, "other fixed")
    ready.rest()
    assert ready.ui.applyButton.text == "Apply"


@pytest.mark.parametrize("what", ["live", "apply", "estimate"])
def test_segments_come_and_go(ready, what):
    begin(ready, what)
    segmentation = ready.nodes.segmentation.GetSegmentation()
    segmentation.RemoveSegment("id_liver")
    segmentation.AddEmptySegment("new", "new")
    look_again(ready)
    assert ready.tissue("new", "muBox") is not None
    click(ready.ui.applyButton)
    ready.rest()
    assert ready.ui.statusLabel.text.startswith("Registered")
