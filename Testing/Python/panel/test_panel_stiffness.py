"""The button Stiffness ratios: a job of its own that changes no values, beside an estimate or without one."""

from __future__ import annotations

import pytest
import slicer.util
from host.mouse import choose, click
from host.scene_builders import node_ids
from panel_case import PanelCase, add_phantom
from panel_estimate import HEADINGS, LIVER, TISSUES, cell, estimate, latest, make_ready, stored
from panel_faults import library

from TissueElasticRegistrationLib.scene.nodes import InputNodes

pytestmark = pytest.mark.usefixtures("quick_panel")
RATIO = "Shear\nmodulus\nratio"
TABLE = "shear modulus ratios"


@pytest.fixture
def ready(panel):
    return make_ready(panel)


def ratios(panel: PanelCase):
    """The last ones, None if there are none."""
    return panel.widget.panel.estimate.ratios


def visible_headings(panel: PanelCase) -> list[str]:
    table = panel.ui.estimateTable
    return [text for number, text in enumerate(HEADINGS) if not table.isColumnHidden(number)]


def estimate_stiffness(panel: PanelCase) -> None:
    click(panel.ui.estimateStiffnessButton)
    panel.rest()
    assert panel.ui.estimateStatusLabel.text.startswith("Stiffness ratios were estimated for ")


def test_ratios_are_those_of_the_logic_and_change_no_values(ready):
    before, nodes = stored(ready), node_ids(slicer.mrmlScene)
    estimate_stiffness(ready)
    assert ratios(ready) == ready.logic.estimateStiffness(InputNodes(*ready.nodes[:3]))
    assert stored(ready) == before and latest(ready) is None
    assert node_ids(slicer.mrmlScene) - nodes == {slicer.util.getNode(TABLE).GetID()}
    assert visible_headings(ready) == ["Tissue", RATIO]
    for row in ratios(ready).per_tissue:
        text = cell(ready, row.tissue.id, RATIO).text()
        if row.tissue == ratios(ready).reference:
            assert text == "1 (reference)"
        elif row.supported:
            assert float(text.split()[0]) == pytest.approx(row.mu, rel=0.4)
        else:
            assert text == "–" and cell(ready, row.tissue.id, RATIO).toolTip() == row.reason
    assert not ready.ui.undoEstimateButton.visible


def test_an_estimate_computes_no_ratios(ready, monkeypatch):
    def never(_registrar, _reference=None):
        raise AssertionError("Nobody has asked for ratios.")

    monkeypatch.setattr(library("core.stiffness.shear_modulus_ratio"), "estimate_shear_modulus_ratios", never)
    estimate(ready)
    assert ratios(ready) is None and RATIO not in visible_headings(ready)
    assert slicer.util.getFirstNodeByName(TABLE) is None


def test_an_estimate_and_ratios_of_the_same_inputs_stand_beside_each_other(ready):
    estimate_stiffness(ready)
    text = cell(ready, LIVER, RATIO).text()
    estimate(ready)
    assert cell(ready, LIVER, RATIO).text() == text and cell(ready, LIVER, "μ") is not None
    found = stored(ready)
    estimate_stiffness(ready)
    assert stored(ready) == found and cell(ready, LIVER, "μ") is not None
    click(ready.ui.undoEstimateButton)
    ready.rest()
    assert stored(ready) == ({}, {})


def test_ratios_of_another_moving_volume_take_the_estimate_away(ready):
    estimate(ready)
    other = add_phantom(slicer.mrmlScene, "other ")
    choose(ready.ui.movingSelector, other.moving.GetName())
    ready.rest()
    estimate_stiffness(ready)
    assert latest(ready) is None and visible_headings(ready) == ["Tissue", RATIO]


def test_the_button_becomes_cancel_and_the_others_wait(ready):
    nodes = node_ids(slicer.mrmlScene)
    ui = ready.ui
    click(ui.estimateStiffnessButton)
    assert ready.activity == "stiffness" and ui.estimateStiffnessButton.text == "Cancel"
    assert ui.estimateProgressBar.visible
    assert not ui.applyButton.enabled and not ui.estimatePushButton.enabled
    ready.wait(lambda: ui.estimateProgressBar.value > 0)
    click(ui.estimateStiffnessButton)
    ready.rest()
    assert ui.estimateStiffnessButton.text == "Stiffness ratios"
    assert ui.applyButton.enabled and ui.estimatePushButton.enabled and not ui.estimateProgressBar.visible
    assert ui.estimateStatusLabel.text == "Canceled."
    assert ratios(ready) is None and node_ids(slicer.mrmlScene) == nodes


def test_what_cannot_be_estimated_is_said_in_the_status(ready, monkeypatch):
    def fails(_registrar):
        raise ValueError("There is not enough deformed tissue to compare stiffness.")
        yield

    monkeypatch.setattr(library("core.stiffness.shear_modulus_ratio"), "estimate_shear_modulus_ratios", fails)
    click(ready.ui.estimateStiffnessButton)
    ready.rest()
    assert ready.ui.estimateStatusLabel.text == "There is not enough deformed tissue to compare stiffness."
    assert ready.ui.estimateStiffnessButton.enabled and ratios(ready) is None


def test_another_segmentation_gets_nothing_of_it(ready):
    other = add_phantom(slicer.mrmlScene, "other ", seed=6)
    click(ready.ui.estimateStiffnessButton)
    ready.wait(lambda: ready.ui.estimateProgressBar.value > 0)
    choose(ready.ui.segmentationSelector, other.segmentation.GetName())
    ready.rest()
    assert ratios(ready) is None and visible_headings(ready) == ["Tissue"]
    assert ready.ui.estimateStiffnessButton.text == "Stiffness ratios"


def test_the_button_is_off_with_a_reason_without_inputs_but_needs_no_moving_segmentation(panel):
    panel.choose_inputs(number=2)
    panel.open("estimateButton")
    assert not panel.ui.estimateStiffnessButton.enabled
    assert "segmentation" in panel.ui.estimateStiffnessButton.toolTip
    choose(panel.ui.segmentationSelector, panel.nodes.segmentation.GetName())
    panel.rest()
    assert panel.ui.estimateStiffnessButton.enabled and not panel.ui.estimatePushButton.enabled
    assert panel.ui.estimateStiffnessButton.toolTip.startswith("Experimental")
    estimate_stiffness(panel)
    assert {row.tissue.id for row in ratios(panel).per_tissue} >= set(TISSUES)
