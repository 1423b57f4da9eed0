"""The button Auto-estimate: what it shows on the way, what it changes, and how to get back."""

from __future__ import annotations

import time

import numpy as np
import pytest
import slicer.util
from host.event_loop import run_loop
from host.mouse import choose, click, drag, type_value
from host.scene_builders import node_ids
from panel_case import PanelCase, add_phantom, pause
from panel_faults import make_steps_slow

from TissueElasticRegistrationLib.core.parameter_scale import LogScale
from TissueElasticRegistrationLib.core.tissues import BACKGROUND_ID

LUNG, BONE, LIVER, SOFT = TISSUES = ("id_lung", "id_bone", "id_liver", "id_soft")
START = {LUNG: 0.5, BONE: 30.0, LIVER: 1.0, SOFT: 1.0}
POINTS = 3


pytestmark = pytest.mark.usefixtures("quick_panel")


@pytest.fixture
def ready(panel):
    """All inputs chosen, the section open, a small grid."""
    panel.choose_inputs()
    panel.open("estimateButton")
    type_value(panel.ui.gridPointsSpinBox, str(POINTS))
    panel.rest()
    return panel


def stored(panel: PanelCase) -> tuple[dict[str, float], dict[str, float]]:
    return dict(panel.parameters.tissueLambda.items()), dict(panel.parameters.tissueMu.items())


def estimate(panel: PanelCase) -> None:
    """Click, and wait for the end."""
    click(panel.ui.estimatePushButton)
    panel.rest()
    assert panel.ui.estimateStatusLabel.text.startswith("Estimated in "), panel.ui.estimateStatusLabel.text


def latest(panel: PanelCase):
    """The last estimate, also a partial one."""
    return panel.widget.panel.estimate.latest


def known_points(panel: PanelCase) -> int:
    """How many places of the grid have a score."""
    return 0 if latest(panel) is None else int(np.isfinite(latest(panel).landscape.scores).any(0).sum())


def landscape(panel: PanelCase, segment_id: str) -> bytes:
    """The picture of a tissue's landscape as it is shown; empty if there is none."""
    for label in slicer.util.findChildren(panel.ui.landscapeWidget, f"landscapePicture_{segment_id}"):
        image = label.pixmap.toImage()
        return bytes(image.bits()) if label.visible and not image.isNull() else b""
    return b""


def test_the_sliders_get_the_values_of_the_logic(ready):
    estimate(ready)
    called = ready.logic.estimate(*ready.nodes[:4], points=POINTS)
    values = called.values()
    assert values.keys() == set(TISSUES)
    assert stored(ready) == ({key: lame.lam for key, lame in values.items()},
                             {key: lame.mu for key, lame in values.items()})
    assert any((lame.lam, lame.mu) != (START[key], START[key]) for key, lame in values.items())
    for segment_id, lame in values.items():
        for kind, weight in (("lambda", lame.lam), ("mu", lame.mu)):
            assert ready.tissue(segment_id, kind).value == round(1000 * LogScale().slider(weight))
            assert ready.tissue(segment_id, f"{kind}Box").value == pytest.approx(weight, rel=0.05)


def test_the_button_becomes_cancel_and_the_bar_moves(ready, monkeypatch):
    make_steps_slow(monkeypatch)
    fractions = []
    click(ready.ui.estimatePushButton)
    assert ready.ui.estimatePushButton.text == "Cancel"
    assert ready.ui.estimateProgressBar.visible
    assert not ready.ui.applyButton.enabled

    def done() -> bool:
        fractions.append(ready.ui.estimateProgressBar.value)
        return ready.activity == "idle"

    ready.wait(done)
    assert fractions == sorted(fractions)
    assert len(set(fractions)) > 3
    assert ready.ui.estimatePushButton.text == "Auto-estimate"
    assert not ready.ui.estimateProgressBar.visible
    assert ready.ui.applyButton.enabled


def test_landscapes_grow_while_it_searches(ready, monkeypatch):
    make_steps_slow(monkeypatch)
    assert not landscape(ready, LIVER)
    click(ready.ui.estimatePushButton)
    pictures = set()

    def done() -> bool:
        if known_points(ready) < POINTS**2:
            pictures.add(landscape(ready, LIVER))
        return ready.activity == "idle"

    ready.wait(done)
    assert len(pictures) >= 4


def cancelled_at(panel: PanelCase, points: int) -> None:
    """Click, wait until that many places are known, click on Cancel."""
    click(panel.ui.estimatePushButton)
    panel.wait(lambda: known_points(panel) >= points)
    click(panel.ui.estimatePushButton)


def test_cancel_keeps_the_best_so_far(ready):
    cancelled_at(ready, 3)
    began = time.perf_counter()
    assert run_loop(lambda: ready.widget.panel.control._runner._thread.idle, 0.5)
    assert time.perf_counter() - began < 0.5
    ready.rest()
    assert 3 <= known_points(ready) < POINTS**2
    values = latest(ready).values()
    assert values.keys() == set(TISSUES)
    assert stored(ready) == ({key: lame.lam for key, lame in values.items()},
                             {key: lame.mu for key, lame in values.items()})
    assert ready.ui.estimateStatusLabel.text == "Cancelled; the best values so far were taken."
    taken = stored(ready)
    pause(0.3)
    assert stored(ready) == taken
    assert ready.ui.applyButton.enabled


def test_cancel_before_anything_is_known_changes_nothing(ready):
    before, nodes = stored(ready), node_ids(slicer.mrmlScene)
    click(ready.ui.estimatePushButton)
    click(ready.ui.estimatePushButton)
    ready.rest()
    assert stored(ready) == before
    assert node_ids(slicer.mrmlScene) == nodes
    assert ready.ui.estimateStatusLabel.text == "Cancelled."
    assert not ready.ui.undoEstimateButton.visible


@pytest.mark.parametrize("points", [2, POINTS**2])
def test_undo_restores_what_was_set(ready, points):
    type_value(ready.tissue(LIVER, "muBox"), "3.3")
    drag(ready.ui.allMuSlider, 0.6)
    ready.rest()
    before, factor = stored(ready), ready.parameters.allMu
    if points < POINTS**2:
        cancelled_at(ready, points)
        ready.rest()
    else:
        estimate(ready)
    assert stored(ready) != before
    click(ready.ui.undoEstimateButton)
    ready.rest()
    assert stored(ready) == before
    assert ready.parameters.allMu == factor
    assert ready.tissue(LIVER, "muBox").value == 3.3
    assert not ready.ui.undoEstimateButton.visible


def test_locked_tissues_stay_as_they_are(ready):
    type_value(ready.tissue(LIVER, "muBox"), "3.3")
    click(ready.tissue(LIVER, "lock"))
    click(ready.tissue(BONE, "lock"))
    ready.rest()
    estimate(ready)
    lam, mu = stored(ready)
    assert (lam[LIVER], mu[LIVER]) == (1.0, 3.3)
    assert BONE not in lam
    assert {LUNG, SOFT} <= lam.keys()


def test_sliders_for_all_tissues_do_not_change_what_was_found(ready):
    drag(ready.ui.allMuSlider, 0.6)
    click(ready.tissue(BONE, "lock"))
    ready.rest()
    factor = 10 ** (ready.parameters.allMu / 100)
    assert factor > 2
    estimate(ready)
    found, (lam, mu) = latest(ready).values(), stored(ready)
    assert (ready.parameters.allLambda, ready.parameters.allMu) == (0, 0)
    assert {key: (lam[key], mu[key]) for key in found} == {key: (lame.lam, lame.mu) for key, lame in found.items()}
    assert (lam[BACKGROUND_ID], mu[BACKGROUND_ID]) == pytest.approx((0.02, 0.02 * factor))
    assert BONE not in mu


def test_live_follows_what_was_found(ready):
    ready.switch_live_on()
    first = slicer.util.arrayFromGridTransform(ready.transform).copy()
    estimate(ready)
    ready.rest()
    assert np.abs(slicer.util.arrayFromGridTransform(ready.transform) - first).max() > 0.5
    assert ready.ui.liveStatusLabel.text.startswith("Up to date after ")


def test_a_second_search_uses_the_same_nodes(ready):
    estimate(ready)
    nodes = node_ids(slicer.mrmlScene)
    estimate(ready)
    assert node_ids(slicer.mrmlScene) == nodes


@pytest.mark.parametrize("points", [2, POINTS**2])
def test_another_segmentation_gets_nothing_of_it(ready, points):
    other = add_phantom(slicer.mrmlScene, "other ", seed=6)
    click(ready.ui.estimatePushButton)
    ready.wait(lambda: known_points(ready) >= points)
    choose(ready.ui.segmentationSelector, other.segmentation.GetName())
    ready.rest()
    assert stored(ready) == ({}, {})
    assert ready.ui.estimatePushButton.text == "Auto-estimate"
    assert not ready.ui.undoEstimateButton.visible
    assert not landscape(ready, LIVER)
