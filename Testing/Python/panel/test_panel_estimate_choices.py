"""What the user may ask of Auto-estimate: what to judge by, how to search, what to keep out to check the result."""

from __future__ import annotations

import pytest
import slicer
import slicer.util
from host.mouse import choose, click, tick, type_value
from host.scene_builders import add_markups
from panel_case import PanelCase, phantom
from panel_estimate import (
    BONE,
    LIVER,
    TISSUES,
    as_stored,
    cell,
    estimate,
    landscape,
    latest,
    make_ready,
    row_of,
    stored,
)
from panel_faults import is_sentence

from TissueElasticRegistrationLib.scene.nodes import InputNodes

pytestmark = pytest.mark.usefixtures("quick_panel")
MANY = 60  # landmarks: at least three for a tissue, with half of them


@pytest.fixture
def ready(panel):
    return make_ready(panel)


def judge_by(panel: PanelCase, text: str) -> None:
    choose(panel.ui.estimateObjectiveSelector, text)
    panel.rest()


def take_away(panel: PanelCase, *selectors: str) -> None:
    for name in selectors:
        choose(getattr(panel.ui, name), "None")
    panel.rest()


def by_name(panel: PanelCase, values=None, nodes=None, **options):
    """What the logic finds for the pair with a small grid; ``nodes``: what the criterion needs, by field."""
    inputs = InputNodes(*panel.nodes[:3], **(nodes or {}))
    return panel.logic.estimate(inputs, values, **{"points": 3, **options})


def quality_rows(panel: PanelCase) -> dict[str, list[str]]:
    table = panel.ui.qualityTable
    texts = [
        [table.item(row, column).text() if table.item(row, column) else "" for column in range(3)]
        for row in range(table.rowCount)
    ]
    return {first: rest for first, *rest in texts}


def apply(panel: PanelCase) -> None:
    click(panel.ui.applyButton)
    panel.rest()
    assert panel.ui.statusLabel.text.startswith("Registered in "), panel.ui.statusLabel.text


def test_the_button_is_there_when_what_the_objective_needs_is(ready):
    button = ready.ui.estimatePushButton
    take_away(ready, "movingSegmentationSelector", "fixedLandmarksSelector", "movingLandmarksSelector")
    enabled = {}
    for text in ("Overlap", "Landmarks", "Similarity"):
        judge_by(ready, text)
        enabled[text] = button.enabled
        assert is_sentence(button.toolTip)
        assert ready.ui.applyButton.enabled
    assert enabled == {"Overlap": False, "Landmarks": False, "Similarity": True}
    judge_by(ready, "Overlap")
    assert button.toolTip.startswith("Choose a segmentation of the moving volume")
    choose(ready.ui.movingSegmentationSelector, ready.nodes.moving_segmentation.GetName())
    ready.rest()
    assert button.enabled
    judge_by(ready, "Landmarks")
    assert button.toolTip.startswith("Choose landmarks in both volumes")
    for name, node in (("fixed", ready.nodes.fixed_landmarks), ("moving", ready.nodes.moving_landmarks)):
        choose(getattr(ready.ui, f"{name}LandmarksSelector"), node.GetName())
    ready.rest()
    assert button.enabled


def test_similarity_needs_no_moving_segmentation(ready):
    take_away(ready, "movingSegmentationSelector")
    judge_by(ready, "Similarity")
    estimate(ready)
    assert stored(ready) == as_stored(by_name(ready, criterion="similarity").values())
    assert latest(ready).criterion == "similarity"
    assert "check the result with labels or landmarks" in ready.ui.estimateStatusLabel.text


def test_half_of_the_landmarks_is_kept_to_check_the_other_half(ready):
    landmarks = phantom().landmarks(MANY)
    nodes = {
        "fixed_landmarks": add_markups(slicer.mrmlScene, "many fixed", landmarks.fixed_ras_mm),
        "moving_landmarks": add_markups(slicer.mrmlScene, "many moving", landmarks.moving_ras_mm),
    }
    for selector, node in zip(("fixedLandmarksSelector", "movingLandmarksSelector"), nodes.values(), strict=True):
        choose(getattr(ready.ui, selector), node.GetName())
    take_away(ready, "movingSegmentationSelector")
    judge_by(ready, "Landmarks")
    click(ready.ui.holdOutLandmarksCheckBox)
    estimate(ready)
    called = by_name(ready, criterion="landmarks", hold_out_landmarks="half", nodes=nodes)
    assert len(called.held_out_landmarks) == MANY // 2
    assert latest(ready).held_out_landmarks == called.held_out_landmarks
    assert stored(ready) == as_stored(called.values())
    assert (
        f"Excluded from the estimate as an independent check: {MANY // 2} landmarks."
        in ready.ui.estimateStatusLabel.text
    )
    apply(ready)
    rows = quality_rows(ready)
    assert rows["Held-out landmarks"][0].endswith(f"(n = {MANY // 2})")
    assert rows["Landmarks"][0].endswith(f"(n = {MANY})")
    assert "landmarks were used to choose the parameters" in ready.ui.qualityLabel.text
    click(ready.ui.undoEstimateButton)
    ready.rest()
    apply(ready)
    assert "Held-out landmarks" not in quality_rows(ready), "these parameters come from no search"


def test_landmarks_can_only_be_kept_where_there_are_some(ready):
    assert ready.ui.holdOutLandmarksCheckBox.visible
    take_away(ready, "movingLandmarksSelector")
    assert not ready.ui.holdOutLandmarksCheckBox.visible


def test_a_tissue_without_tick_is_kept_to_check_the_result(ready):
    tick(ready.ui.estimateTable, row_of(ready, LIVER))
    ready.rest()
    assert dict(ready.parameters.tissueHeldOut.items()) == {LIVER: True}
    type_value(ready.tissue(LIVER, "muBox"), "3.3")
    ready.rest()
    estimate(ready)
    called = by_name(
        ready, {"liver": (1.0, 3.3)}, {"moving_segmentation": ready.nodes.moving_segmentation}, hold_out=["liver"]
    )
    lam, mu = as_stored(called.values())
    assert stored(ready) == (lam | {LIVER: 1.0}, mu | {LIVER: 3.3})
    assert LIVER not in lam
    assert "Excluded from the estimate as an independent check: liver." in ready.ui.estimateStatusLabel.text
    assert cell(ready, LIVER, "μ").text() == "–" and "excluded" in cell(ready, LIVER, "μ").toolTip()
    assert not landscape(ready, LIVER)
    apply(ready)
    remarks = {name: cells[0] for name, cells in quality_rows(ready).items()}
    assert remarks["liver"] == "held out" and remarks["lung"] == ""
    assert "Only liver was held out of the search." in ready.ui.qualityLabel.text


def test_a_tick_put_back_is_used_again(ready):
    for _ in range(2):
        tick(ready.ui.estimateTable, row_of(ready, BONE))
        ready.rest()
    assert not any(dict(ready.parameters.tissueHeldOut.items()).values())
    estimate(ready)
    assert stored(ready)[0].keys() == set(TISSUES)


def test_nothing_left_to_look_at_is_one_sentence(ready):
    for tissue in TISSUES:
        tick(ready.ui.estimateTable, row_of(ready, tissue))
    ready.rest()
    click(ready.ui.estimatePushButton)
    ready.rest()
    assert is_sentence(ready.ui.estimateStatusLabel.text)
    assert ready.ui.estimatePushButton.text == "Auto-estimate"
    assert stored(ready) == ({}, {})


def test_the_gradient_has_a_table_and_no_landscape(ready):
    estimate(ready)
    assert landscape(ready, LIVER)
    names = {"parameter landscape", "parameter estimate"}
    assert all(slicer.util.getFirstNodeByName(name) for name in names)
    choose(ready.ui.estimateMethodSelector, "Gradient")
    ready.rest()
    assert not ready.ui.gridPointsSpinBox.visible and not ready.ui.gridPointsSpinBoxLabel.visible
    click(ready.ui.undoEstimateButton)
    ready.rest()
    estimate(ready)
    called = by_name(ready, nodes={"moving_segmentation": ready.nodes.moving_segmentation}, method="gradient")
    assert latest(ready).landscape is None
    assert stored(ready) == as_stored(called.values())
    assert [row.score for row in latest(ready).per_tissue] == pytest.approx(
        [row.score for row in called.per_tissue], abs=0, nan_ok=True
    )
    assert not landscape(ready, LIVER)
    assert cell(ready, LIVER, "λ").text() not in ("", "–")
    assert {name for name in names if slicer.util.getFirstNodeByName(name)} == {"parameter estimate"}
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLPlotSeriesNode") == 0


def test_a_scene_from_before_there_were_choices_opens(ready, tmp_path):
    node = ready.parameters.parameterNode
    for name in ("estimateMethod", "estimateObjective", "holdOutLandmarks", "tissueHeldOut"):
        node.UnsetParameter(name)
    node.SetParameter("gridPoints", "5")
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear()
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    ready.rest()
    ui = ready.ui
    assert (ui.gridPointsSpinBox.value, ui.gridPointsSpinBox.text) == (5, "5")
    assert (ui.estimateMethodSelector.currentText, ui.estimateObjectiveSelector.currentText) == ("Grid", "Overlap")
    assert ui.estimatePushButton.enabled


def test_as_many_points_as_the_solver_allows_unless_somebody_says_how_many(panel):
    panel.choose_inputs()
    panel.open("estimateButton")
    assert panel.ui.gridPointsSpinBox.text == "Automatic"
    assert panel.request.estimation.points is None
    type_value(panel.ui.gridPointsSpinBox, "7")
    panel.rest()
    assert panel.request.estimation.points == 7
