"""The button Apply: what it needs, what it writes and where, and what a canceled run leaves."""

from __future__ import annotations

import time

import numpy as np
import pytest
import slicer
import slicer.util
import vtk
from host.mouse import choose, click, drag, type_value
from host.scene_builders import node_ids
from panel_case import PanelCase, add_pair, pause, phantom
from panel_faults import make_steps_slow
from synthetic_pairs import volume_pair

from TissueElasticRegistrationLib.core.data.tissues import BACKGROUND_ID
from TissueElasticRegistrationLib.core.evaluation import evaluation
from TissueElasticRegistrationLib.core.physics.parameter_scale import LogScale
from TissueElasticRegistrationLib.scene.nodes import InputNodes, OutputNodes, find_outputs

SOFT, LIVER = "id_soft", "id_liver"
OUTPUTS = {
    "outputTransform": "vtkMRMLTransformNode",
    "outputVolume": "vtkMRMLScalarVolumeNode",
    "outputSegmentation": "vtkMRMLSegmentationNode",
    "outputTable": "vtkMRMLTableNode",
}


pytestmark = pytest.mark.usefixtures("quick_panel")


@pytest.fixture
def ready(panel):
    """All inputs chosen; the fixed volume lies in a folder of the subject hierarchy."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "patient")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(panel.nodes.fixed), folder)
    panel.choose_inputs()
    return panel


def apply(panel: PanelCase) -> None:
    """Click on Apply and wait for the end."""
    click(panel.ui.applyButton)
    panel.rest()
    assert panel.ui.statusLabel.text.startswith("Registered in "), panel.ui.statusLabel.text


def displacement(outputs: OutputNodes) -> np.ndarray:
    return slicer.util.arrayFromGridTransform(outputs.transform).copy()


def moved_mm(panel: PanelCase) -> np.ndarray:
    """(N, 3): by how much the points of the fixed image lie elsewhere in the moving one, whatever the grid."""
    points = phantom().landmarks(12).fixed_ras_mm
    from_world = vtk.vtkGeneralTransform()
    panel.transform.GetTransformFromWorld(from_world)
    return np.array([from_world.TransformPoint(point) for point in points]) - points


def arrays(outputs: OutputNodes, panel: PanelCase) -> dict[str, np.ndarray]:
    """What is in the transform, the warped volume and the warped segments."""
    segmentation = outputs.warped_segmentation
    segments = {
        segment_id: slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, panel.nodes.fixed)
        for segment_id in segmentation.GetSegmentation().GetSegmentIDs()
    }
    return {
        "transform": displacement(outputs),
        "volume": slicer.util.arrayFromVolume(outputs.warped_volume),
        **segments,
    }


def quality(panel: PanelCase) -> dict[str, list[str]]:
    """The texts of the table by the first one of each row."""
    table = panel.ui.qualityTable
    items = [[table.item(row, column) for column in range(table.columnCount)] for row in range(table.rowCount)]
    return {row[0].text(): [item.text() for item in row[1:] if item] for row in items}


def test_outputs_lie_beside_the_inputs(ready):
    nodes = node_ids(slicer.mrmlScene)
    apply(ready)
    outputs = find_outputs(ready.nodes)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    folders = {hierarchy.GetItemName(hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node))) for node in outputs}
    assert folders == {"patient"}
    assert not {node.GetID() for node in outputs} & nodes
    assert ready.transform is outputs.transform


def test_a_second_apply_takes_the_same_outputs(ready):
    apply(ready)
    outputs, nodes = find_outputs(ready.nodes), node_ids(slicer.mrmlScene)
    before = displacement(outputs)
    type_value(ready.tissue(SOFT, "muBox"), "100")
    ready.rest()
    apply(ready)
    assert find_outputs(ready.nodes) == outputs
    assert node_ids(slicer.mrmlScene) == nodes
    assert np.abs(displacement(outputs) - before).max() > 1


def test_apply_does_what_the_logic_does(ready):
    type_value(ready.tissue(LIVER, "lambdaBox"), "7.5")
    drag(ready.tissue(SOFT, "mu"), 0.3)
    click(ready.tissue(LIVER, "lock"))
    drag(ready.ui.allMuSlider, 0.6)
    ready.rest()
    parameters = ready.parameters
    factor = 10 ** (parameters.allMu / 100)
    assert factor > 1.2
    weights = {"lung": 0.5, "bone": 30.0, "soft": 1.0, BACKGROUND_ID: 0.02}  # start values
    values = {key: (lam, min(lam * factor, LogScale().highest)) for key, lam in weights.items()}
    values["soft"] = (1.0, ready.stored_weights[1][SOFT] * factor)
    values["liver"] = (7.5, 1.0)  # locked
    apply(ready)
    outputs = find_outputs(ready.nodes)
    clicked, cells = {key: array.copy() for key, array in arrays(outputs, ready).items()}, quality(ready)
    done = ready.logic.register(ready.nodes, values)
    assert done.nodes == outputs
    called = arrays(done.nodes, ready)
    assert clicked.keys() == called.keys()
    for key, array in called.items():
        np.testing.assert_array_equal(clicked[key], array, key)
    bone = next(row for row in done.result.tissues if row.tissue.name == "bone")
    assert cells["bone"][1] == f"{bone.dice_before:.3f} → {bone.dice_after:.3f}"


def test_the_quality_table_has_all_tissues_and_the_whole_image(ready):
    assert not ready.ui.qualityTable.visible
    apply(ready)
    assert ready.ui.qualityTable.visible
    cells = quality(ready)
    assert list(cells)[-3:] == ["Whole image", "Similarity", "Landmarks"]
    assert {"lung", "bone", "liver", "soft"} <= cells.keys()
    table = find_outputs(ready.nodes).metrics_table
    for row in range(table.GetNumberOfRows()):
        name, before, after = (
            table.GetTable().GetValueByName(row, column).ToString()
            for column in ("Tissue", "Dice before", "Dice after")
        )
        assert cells[name][1] == ("–" if after == "nan" else f"{float(before):.3f} → {float(after):.3f}")
    before, after = map(float, cells["Landmarks"][0].split(" mm")[0].split(" → "))
    assert before > after


def test_the_table_can_be_copied(ready):
    apply(ready)
    click(ready.ui.copyQualityButton)
    lines = slicer.app.clipboard().text().splitlines()
    assert lines[0].split("\t")[0] == "Tissue"
    assert [line for line in lines if line.startswith("liver\t")]


def test_cancel_writes_nothing(ready, monkeypatch):
    make_steps_slow(monkeypatch)
    nodes, values = node_ids(slicer.mrmlScene), ready.stored_weights
    click(ready.ui.applyButton)
    ready.wait(lambda: ready.ui.progressBar.value > 300)
    assert ready.ui.applyButton.text == "Cancel"
    click(ready.ui.applyButton)
    began = time.perf_counter()
    ready.wait(lambda: not worker_is_busy(ready), 2.0)
    assert time.perf_counter() - began < 0.5
    pause(0.3)
    assert ready.ui.applyButton.text == "Apply"
    assert ready.ui.applyButton.enabled
    assert not ready.ui.progressBar.visible
    assert ready.ui.statusLabel.text == "Canceled; nothing was written."
    assert node_ids(slicer.mrmlScene) == nodes
    assert ready.stored_weights == values
    assert ready.transform is None
    assert not ready.ui.qualityTable.visible
    apply(ready)


def worker_is_busy(panel: PanelCase) -> bool:
    return not panel.control.is_idle


def test_during_apply_nothing_else_can_be_started(ready):
    click(ready.ui.applyButton)
    assert not ready.ui.estimatePushButton.enabled
    ready.rest()
    assert ready.ui.estimatePushButton.enabled


def test_following_goes_on_after_apply(ready):
    ready.switch_live_on()
    apply(ready)
    applied = moved_mm(ready)
    pause(0.3)
    np.testing.assert_array_equal(moved_mm(ready), applied)
    type_value(ready.tissue(SOFT, "muBox"), "100")
    ready.rest()
    assert np.abs(moved_mm(ready) - applied).max() > 1


def test_sliders_during_apply_are_followed_afterwards(ready):
    ready.switch_live_on()
    click(ready.ui.applyButton)
    type_value(ready.tissue(SOFT, "muBox"), "100")
    ready.wait(lambda: ready.ui.statusLabel.text.startswith("Registered in "))
    applied = moved_mm(ready)
    ready.rest()
    assert np.abs(moved_mm(ready) - applied).max() > 1


REASONS = [
    ("fixedSelector", "Choose a fixed volume."),
    ("movingSelector", "Choose a moving volume."),
    ("segmentationSelector", "Choose a segmentation of the fixed volume."),
    (
        "movingLandmarksSelector",
        "The landmarks 'fixed points' have no counterpart; choose landmarks in the moving volume as well.",
    ),
    (
        "fixedLandmarksSelector",
        "The landmarks 'moving points' have no counterpart; choose landmarks in the fixed volume as well.",
    ),
]


def test_apply_says_which_input_is_missing(ready):
    for name, reason in REASONS:
        node = getattr(ready.ui, name).currentNode()
        choose(getattr(ready.ui, name), "None")
        ready.rest()
        assert not ready.ui.applyButton.enabled, name
        assert ready.ui.applyButton.toolTip == reason
        assert not ready.ui.estimatePushButton.enabled, name
        assert ready.ui.estimatePushButton.toolTip == reason
        choose(getattr(ready.ui, name), node.GetName())
        ready.rest()
        assert ready.ui.applyButton.enabled, name


def test_only_the_estimate_needs_a_moving_segmentation(ready):
    choose(ready.ui.movingSegmentationSelector, "None")
    ready.rest()
    assert ready.ui.applyButton.enabled
    assert not ready.ui.estimatePushButton.enabled
    assert "segmentation of the moving volume" in ready.ui.estimatePushButton.toolTip
    assert ready.ui.hintsLabel.visible
    apply(ready)
    assert find_outputs(ready.nodes).warped_segmentation is None


def test_apply_of_nothing_names_everything_that_is_missing(panel):
    assert not panel.ui.applyButton.enabled
    reason = panel.ui.applyButton.toolTip
    assert all(what in reason for what in ("fixed volume", "moving volume", "segmentation")), reason


def test_outputs_are_written_where_the_selectors_say(ready):
    chosen = {}
    ready.open("outputsButton")
    for name, class_name in OUTPUTS.items():
        chosen[name] = slicer.mrmlScene.AddNewNodeByClass(class_name, f"my {name}")
        choose(getattr(ready.ui, f"{name}Selector"), f"my {name}")
    ready.rest()
    nodes = node_ids(slicer.mrmlScene)
    apply(ready)
    assert list(find_outputs(ready.nodes)) == list(chosen.values())
    added = {slicer.mrmlScene.GetNodeByID(node_id).GetClassName() for node_id in node_ids(slicer.mrmlScene) - nodes}
    assert all("Display" in name or "Storage" in name for name in added), added
    assert (
        slicer.util.arrayFromVolume(chosen["outputVolume"]).shape
        == slicer.util.arrayFromVolume(ready.nodes.fixed).shape
    )
    assert chosen["outputTable"].GetNumberOfRows() > 3
    for name in ("outputVolume", "outputSegmentation"):
        assert chosen[name].GetDisplayNode() is not None, name


def test_an_input_is_refused_as_output(ready):
    before = slicer.util.arrayFromVolume(ready.nodes.moving).copy()
    ready.open("outputsButton")
    choose(ready.ui.outputVolumeSelector, "moving")
    ready.rest()
    click(ready.ui.applyButton)
    ready.rest()
    assert "cannot be used as its warped volume" in ready.ui.statusLabel.text
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(ready.nodes.moving), before)
    assert ready.transform is None


def test_advanced_settings_are_those_of_the_logic(panel):
    slicer.mrmlScene.Clear()
    panel.nodes = add_pair(slicer.mrmlScene, volume_pair())
    panel.choose_inputs()
    panel.open("advancedButton")
    choose(panel.ui.alignmentSelector, "Rigid")
    type_value(panel.ui.refineStepsSpinBox, "3")
    type_value(panel.ui.finestMmSpinBox, "6")
    panel.rest()
    apply(panel)
    clicked = displacement(find_outputs(panel.nodes))
    done = panel.logic.register(InputNodes(*panel.nodes[:3]), initial="rigid", refine_steps=3, finest_mm=6)
    np.testing.assert_array_equal(clicked, displacement(done.nodes))
    assert done.result.initial == "rigid"


def test_why_a_result_is_unreliable_is_said_below_apply_and_in_quality(ready, monkeypatch):
    monkeypatch.setattr(evaluation, "reasons_against", lambda *_arguments: ("The images hardly match.",))
    apply(ready)
    assert ready.ui.statusLabel.text.endswith("Do not rely on this result:\nThe images hardly match.")
    assert "Problem: reliability" in ready.ui.qualityLabel.text
