"""What the user has set is saved with the scene and belongs to the segments it was set for."""

from __future__ import annotations

from enum import Enum

import numpy as np
import pytest
import slicer
import slicer.util
from host.mouse import choose, click, drag, tick, type_value
from host.scene_builders import count_events
from panel_case import NAME, SELECTORS, PanelCase, add_phantom, pause
from panel_faults import LIBRARY, modules_put_back

from TissueElasticRegistrationLib.scene.nodes import InputNodes, find_outputs

LUNG, BONE, LIVER, SOFT = "id_lung", "id_bone", "id_liver", "id_soft"
INPUTS = {
    "fixedVolume",
    "movingVolume",
    "segmentation",
    "tunedSegmentation",
    "movingSegmentation",
    "fixedLandmarks",
    "movingLandmarks",
}
OUTPUTS = {
    "outputTransform": "vtkMRMLTransformNode",
    "outputVolume": "vtkMRMLScalarVolumeNode",
    "outputSegmentation": "vtkMRMLSegmentationNode",
    "outputTable": "vtkMRMLTableNode",
}


def plain(value):
    """A value of the parameter node that does not depend on the scene: nodes by their names."""
    if isinstance(value, slicer.vtkMRMLNode):
        return value.GetName()
    if isinstance(value, Enum):
        return value.value
    return dict(value.items()) if hasattr(value, "items") else value


def settings(panel: PanelCase) -> dict[str, object]:
    """Every field of the parameter node."""
    return {name: plain(getattr(panel.parameters, name)) for name in panel.parameters.allParameters}


def shown(panel: PanelCase) -> dict[str, object]:
    """What the widgets of the panel show."""
    ui = panel.ui
    selectors = [*SELECTORS, *(f"{name}Selector" for name in OUTPUTS)]
    rows = {
        (kind, key): getattr(panel.tissue(key, kind), what)
        for what, kinds in (
            ("value", ("lambda", "mu")),
            ("text", ("lambdaBox", "muBox")),
            ("checked", ("link", "lock")),
        )
        for kind in kinds
        for key in panel.nodes.segmentation.GetSegmentation().GetSegmentIDs()
    }
    return {
        **{name: plain(getattr(ui, name).currentNode()) for name in selectors},
        **{
            name: getattr(ui, f"{name}CheckBox").checked
            for name in ("live", "deformed", "outlines", "grid", "jacobian", "difference", "holdOutLandmarks")
        },
        **{
            name: getattr(ui, name).value
            for name in (
                "fadeSlider",
                "allLambdaSlider",
                "allMuSlider",
                "gridPointsSpinBox",
                "refineStepsSpinBox",
                "finestMmSpinBox",
            )
        },
        **{
            name: getattr(ui, name).currentText
            for name in ("deviceSelector", "alignmentSelector", "estimateObjectiveSelector", "estimateMethodSelector")
        },
        "ticks": [ui.estimateTable.item(row, 0).checkState() for row in range(ui.estimateTable.rowCount)],
        **rows,
    }


def set_everything(panel: PanelCase) -> None:
    """Every setting other than at the start, with the mouse where that is the point."""
    parameters = panel.parameters
    for name, class_name in OUTPUTS.items():
        setattr(parameters, name, slicer.mrmlScene.AddNewNodeByClass(class_name, f"my {name}"))
    parameters.device, parameters.alignment = type(parameters.device)("cpu"), type(parameters.alignment)("none")
    parameters.refineSteps, parameters.gridPoints, parameters.finestMm = 7, 4, 2.5
    parameters.estimateObjective = type(parameters.estimateObjective)("similarity")
    parameters.estimateMethod = type(parameters.estimateMethod)("gradient")
    parameters.holdOutLandmarks = True
    parameters.showGrid = parameters.showJacobian = parameters.showDifference = True
    parameters.deformed = False
    parameters.outlines = not parameters.outlines
    drag(panel.ui.fadeSlider, 0.8)
    drag(panel.ui.allLambdaSlider, 0.4)
    drag(panel.ui.allMuSlider, 0.7)
    drag(panel.tissue(LIVER, "lambda"), 0.7)
    drag(panel.tissue(LIVER, "mu"), 0.9)
    type_value(panel.tissue(BONE, "muBox"), "77.5")
    click(panel.tissue(SOFT, "link"))
    click(panel.tissue(LUNG, "lock"))
    panel.open("estimateButton")
    tick(panel.ui.estimateTable, 2)
    panel.rest()


def displacement(panel: PanelCase) -> np.ndarray:
    return slicer.util.arrayFromGridTransform(panel.transform).copy()


def assert_same_picture(picture: np.ndarray, other: np.ndarray) -> None:
    """But for the rounding of the view's place in a scene file, which shows at the border of a volume."""
    assert (np.abs(picture.astype(int) - other) > 3).mean() < 0.02


def load(panel: PanelCase, path) -> None:
    """Close the scene and open a file."""
    slicer.mrmlScene.Clear()
    slicer.util.loadScene(str(path))
    names = [node.GetName() for node in panel.nodes]
    panel.nodes = InputNodes(*(slicer.mrmlScene.GetFirstNodeByName(name) for name in names))
    panel.rest()


@pytest.fixture
def chosen(panel):
    """All inputs chosen; only the volumes are in the view."""
    for node in panel.nodes[2:]:
        node.GetDisplayNode().SetVisibility(False)
    click(panel.ui.outlinesCheckBox)
    panel.choose_inputs()
    return panel


def test_every_setting_comes_back_with_the_scene(chosen, tmp_path):
    at_start = settings(chosen)
    set_everything(chosen)
    chosen.parameters.live = True
    chosen.parameters.model = "a pack"
    before, in_panel = settings(chosen), shown(chosen)
    assert {name for name in before if before[name] == at_start[name]} == INPUTS
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    load(chosen, tmp_path / "scene.mrb")
    assert settings(chosen) == before
    assert shown(chosen) == in_panel


def test_the_criterion_of_an_old_scene_is_read(chosen, tmp_path):
    chosen.parameters.parameterNode.SetParameter("estimateObjective", "LANDMARKS")
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    chosen.parameters.parameterNode.SetParameter("estimateObjective", "DICE")
    load(chosen, tmp_path / "scene.mrb")
    assert chosen.parameters.estimateObjective.value == "landmarks"
    assert chosen.ui.estimateObjectiveSelector.currentText == "Landmarks"


def test_a_loaded_registration_is_shown_and_not_computed_again(chosen, tmp_path):
    chosen.switch_live_on()
    drag(chosen.tissue(SOFT, "mu"), 0.9)
    chosen.rest()
    before, picture = displacement(chosen), chosen.pixels()
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    load(chosen, tmp_path / "scene.mrb")
    written = count_events(chosen.transform, slicer.vtkMRMLTransformableNode.TransformModifiedEvent)
    pause(0.5)
    assert chosen.ui.liveCheckBox.checked
    assert not written
    np.testing.assert_array_equal(displacement(chosen), before)
    assert_same_picture(chosen.pixels(), picture)
    drag(chosen.tissue(SOFT, "mu"), 0.1)
    chosen.rest()
    assert written
    assert find_outputs(chosen.nodes).transform is chosen.transform


def test_a_difference_is_still_undone_after_loading(chosen, tmp_path):
    chosen.switch_live_on()
    click(chosen.ui.liveCheckBox)
    chosen.rest()
    plain_picture = chosen.pixels()
    click(chosen.ui.differenceCheckBox)
    chosen.rest()
    difference = chosen.pixels()
    assert (difference != plain_picture).mean() > 0.1
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    load(chosen, tmp_path / "scene.mrb")
    assert_same_picture(chosen.pixels(), difference)
    click(chosen.ui.differenceCheckBox)
    chosen.rest()
    assert_same_picture(chosen.pixels(), plain_picture)


def test_values_follow_their_segments(chosen, tmp_path):
    type_value(chosen.tissue(LIVER, "muBox"), "12")
    type_value(chosen.tissue(BONE, "muBox"), "34")
    type_value(chosen.tissue(SOFT, "muBox"), "56")
    for segment_id in (LIVER, BONE, SOFT):
        click(chosen.tissue(segment_id, "lock"))
        click(chosen.tissue(segment_id, "link"))
    segmentation = chosen.nodes.segmentation.GetSegmentation()
    segmentation.GetSegment(LIVER).SetName("bone")  # another name that has another start value
    segmentation.RemoveSegment(BONE)
    pause(0.5)
    for _time in range(2):
        values = settings(chosen)
        assert chosen.stored_weights[1] == {LIVER: 12, SOFT: 56}
        assert (
            values["lambdaPositions"].keys()
            == values["tissueLocked"].keys()
            == values["tissueLinked"].keys()
            == {LIVER, SOFT}
        )
        assert chosen.tissue(LIVER, "muBox").text == "12"
        assert chosen.tissue(LIVER, "name").toolTip == "bone"
        assert not slicer.util.findChildren(chosen.ui.tissueRowsWidget, f"muBox_{BONE}")
        assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
        load(chosen, tmp_path / "scene.mrb")


def test_segments_renamed_and_deleted_without_the_panel_keep_their_values(chosen, tmp_path):
    type_value(chosen.tissue(LIVER, "muBox"), "12")
    type_value(chosen.tissue(BONE, "muBox"), "34")
    chosen.rest()
    chosen.host.leave_module()
    segmentation = chosen.nodes.segmentation.GetSegmentation()
    segmentation.GetSegment(LIVER).SetName("something")
    segmentation.RemoveSegment(BONE)
    chosen.host.enter_module(NAME)
    chosen.rest()
    assert chosen.stored_weights[1] == {LIVER: 12}
    assert chosen.tissue(LIVER, "name").toolTip == "something"


def test_another_segmentation_has_its_own_values(chosen):
    other = add_phantom(slicer.mrmlScene, "other ", seed=6)
    type_value(chosen.tissue(LIVER, "muBox"), "12")
    click(chosen.tissue(SOFT, "lock"))
    chosen.rest()
    choose(chosen.ui.segmentationSelector, other.segmentation.GetName())
    chosen.rest()
    values = settings(chosen)
    assert [values[name] for name in ("lambdaPositions", "muPositions", "tissueLocked")] == [{}, {}, {}]
    assert chosen.tissue(LIVER, "muBox").text == "1"
    assert not chosen.tissue(SOFT, "lock").checked


def test_a_reloaded_module_has_everything(chosen):
    set_everything(chosen)
    before, in_panel, widget = settings(chosen), shown(chosen), chosen.widget
    with modules_put_back(LIBRARY):
        chosen.host.reload_module(NAME)
        chosen.rest()
        assert chosen.widget is not widget
        assert settings(chosen) == before
        assert shown(chosen) == in_panel


def test_closing_the_scene_forgets_everything(chosen):
    at_start = settings(chosen)
    set_everything(chosen)
    slicer.mrmlScene.Clear()
    chosen.rest()
    assert settings(chosen) == {**at_start, "outlines": True, **dict.fromkeys(INPUTS)}
    assert not chosen.ui.applyButton.enabled
    assert not slicer.util.findChildren(chosen.ui.tissueRowsWidget, f"muBox_{LIVER}")
