"""The section Tissues as a whole: what clicks, drags and typed numbers leave in the parameter node."""

from __future__ import annotations

import pytest
from host.mouse import click, drag, type_value
from host.qt_binding import QtCore, QtTest, QtWidgets
from panel_case import PanelCase
from panel_faults import look_again

from TissueElasticRegistrationLib.core.physics.parameter_scale import LogScale

LUNG, BONE, LIVER, SOFT = "id_lung", "id_bone", "id_liver", "id_soft"
START = {LUNG: 0.5, BONE: 30.0, LIVER: 1.0, SOFT: 1.0}


pytestmark = pytest.mark.usefixtures("quick_panel")


@pytest.fixture
def chosen(panel):
    panel.choose_inputs(number=3)
    return panel


def stored(panel: PanelCase) -> tuple[dict[str, float], dict[str, float]]:
    return panel.stored_weights


def boxes(panel: PanelCase) -> dict[str, tuple[float, float]]:
    """λ and μ as the boxes show them."""
    return {key: tuple(float(panel.tissue(key, kind).text) for kind in ("lambdaBox", "muBox")) for key in START}


def test_start_values_belong_to_the_names(chosen):
    assert boxes(chosen) == {key: (weight, weight) for key, weight in START.items()}
    assert stored(chosen) == ({}, {})


def test_the_position_of_a_slider_is_stored(chosen):
    drag(chosen.tissue(LIVER, "mu"), 0.75)
    place = chosen.tissue(LIVER, "mu").value / 1000
    assert place == pytest.approx(0.75, abs=0.02)
    assert dict(chosen.parameters.muPositions.items()) == {LIVER: place}
    assert dict(chosen.parameters.lambdaPositions.items()) == {LIVER: LogScale().slider(1.0)}


def test_what_is_typed_is_stored_exactly(chosen):
    type_value(chosen.tissue(LIVER, "lambdaBox"), "0.0375")
    assert stored(chosen) == ({LIVER: 0.0375}, {LIVER: 1.0})


def test_what_is_typed_stays_within_the_scale(chosen):
    type_value(chosen.tissue(LIVER, "lambdaBox"), "900")
    type_value(chosen.tissue(LIVER, "muBox"), "0")
    assert dict(chosen.parameters.lambdaPositions.items()) == {LIVER: 1.0}
    assert dict(chosen.parameters.muPositions.items()) == {LIVER: 0.0}


def test_a_link_keeps_the_ratio(chosen):
    type_value(chosen.tissue(LIVER, "muBox"), "4")
    click(chosen.tissue(LIVER, "link"))
    drag(chosen.tissue(LIVER, "lambda"), 0.7)
    lam, mu = stored(chosen)
    assert lam[LIVER] > 5
    assert mu[LIVER] == pytest.approx(4 * lam[LIVER])


def test_reset_takes_one_tissue_back(chosen):
    type_value(chosen.tissue(LIVER, "muBox"), "4")
    type_value(chosen.tissue(SOFT, "muBox"), "5")
    click(chosen.tissue(LIVER, "reset"))
    chosen.rest()
    assert stored(chosen) == ({SOFT: 1.0}, {SOFT: 5.0})
    assert boxes(chosen)[LIVER] == (1.0, 1.0)


def test_reset_all_leaves_locked_tissues_alone(chosen):
    type_value(chosen.tissue(LIVER, "muBox"), "4")
    type_value(chosen.tissue(SOFT, "muBox"), "5")
    click(chosen.tissue(LIVER, "lock"))
    drag(chosen.ui.allLambdaSlider, 0.8)
    chosen.rest()
    assert chosen.ui.allLambdaFactorLabel.text == f"× {10 ** (chosen.ui.allLambdaSlider.value / 100):.3g}"
    click(chosen.ui.resetAllButton)
    chosen.rest()
    assert stored(chosen) == ({LIVER: 1.0}, {LIVER: 4.0})
    assert chosen.ui.allLambdaSlider.value == 0
    assert chosen.ui.allLambdaFactorLabel.text == "× 1"


def test_a_preset_sets_both_weights(chosen):
    click(chosen.tissue(SOFT, "preset"))
    menu = chosen.ui.tissueRowsWidget.findChild(QtWidgets.QMenu, "presetMenu")
    assert menu.isVisible()
    bone = next(action for action in menu.actions() if action.text.startswith("Bone"))
    QtTest.QTest.mouseClick(menu, QtCore.Qt.LeftButton, QtCore.Qt.NoModifier, menu.actionGeometry(bone).center())
    chosen.rest()
    assert stored(chosen) == ({SOFT: 30.0}, {SOFT: 30.0})
    assert boxes(chosen)[SOFT] == (30.0, 30.0)


def test_a_new_segment_gets_a_row(chosen):
    type_value(chosen.tissue(LIVER, "muBox"), "4")
    chosen.nodes.segmentation.GetSegmentation().AddEmptySegment("spine", "Spine")
    look_again(chosen)
    assert chosen.tissue("spine", "muBox").text == "30"
    assert not chosen.tissue("spine", "muBox").enabled  # it has no voxels yet
    assert chosen.tissue(LIVER, "muBox").text == "4"


def test_a_new_name_has_its_own_start_value(chosen):
    type_value(chosen.tissue(SOFT, "muBox"), "4")
    segmentation = chosen.nodes.segmentation.GetSegmentation()
    for segment_id in (LIVER, SOFT):
        segmentation.GetSegment(segment_id).SetName("Spine")
    look_again(chosen)
    assert boxes(chosen)[LIVER] == (30.0, 30.0)
    assert boxes(chosen)[SOFT] == (1.0, 4.0)
