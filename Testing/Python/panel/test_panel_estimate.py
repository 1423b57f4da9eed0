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
from panel_estimate import (
    BONE,
    LIVER,
    LUNG,
    POINTS,
    SOFT,
    START,
    TISSUES,
    Searches,
    as_stored,
    estimate,
    is_partial,
    known_points,
    landscape,
    latest,
    make_ready,
    stored,
)
from panel_faults import library

from TissueElasticRegistrationLib.core.data.tissues import BACKGROUND_ID
from TissueElasticRegistrationLib.core.physics.parameter_scale import LogScale
from TissueElasticRegistrationLib.scene.nodes import InputNodes

pytestmark = pytest.mark.usefixtures("quick_panel")


@pytest.fixture
def ready(panel):
    return make_ready(panel)


def test_the_sliders_get_the_values_of_the_logic(ready):
    estimate(ready)
    called = ready.logic.estimate(InputNodes(*ready.nodes[:4]), points=POINTS)
    values = called.values()
    assert values.keys() == set(TISSUES)
    assert stored(ready) == as_stored(values)
    assert any((lame.lam, lame.mu) != (START[key], START[key]) for key, lame in values.items())
    for segment_id, lame in values.items():
        for kind, weight in (("lambda", lame.lam), ("mu", lame.mu)):
            assert ready.tissue(segment_id, kind).value == round(1000 * LogScale().slider(weight))
            assert float(ready.tissue(segment_id, f"{kind}Box").text) == pytest.approx(weight, rel=0.05)


def test_the_button_becomes_cancel_and_the_bar_moves(ready, monkeypatch):
    search = Searches(monkeypatch, is_partial)
    bar = ready.ui.estimateProgressBar
    click(ready.ui.estimatePushButton)
    assert ready.ui.estimatePushButton.text == "Cancel"
    assert bar.visible
    assert not ready.ui.applyButton.enabled
    for _ in range(4):
        before = bar.value
        search.go_on()
        ready.wait(lambda before=before: bar.value > before)
    search.go_on_to_the_end()
    ready.rest()
    assert ready.ui.estimatePushButton.text == "Auto-estimate"
    assert not bar.visible
    assert ready.ui.applyButton.enabled


def test_landscapes_grow_while_it_searches(ready, monkeypatch):
    search, pictures = Searches(monkeypatch, is_partial), [b""]
    assert not landscape(ready, LIVER)
    click(ready.ui.estimatePushButton)
    for number in range(POINTS**2):
        ready.wait(lambda number=number: known_points(ready) == number + 1)
        ready.wait(lambda: landscape(ready, LIVER) not in pictures)
        pictures.append(landscape(ready, LIVER))
        search.go_on()
    search.go_on_to_the_end()
    ready.rest()
    assert ready.ui.estimateStatusLabel.text.startswith("Estimated in ")


def canceled_at(panel: PanelCase, points: int) -> None:
    """Click, wait until that many places are known, click on Cancel."""
    click(panel.ui.estimatePushButton)
    panel.wait(lambda: known_points(panel) >= points)
    click(panel.ui.estimatePushButton)


def test_cancel_keeps_the_best_so_far(ready):
    canceled_at(ready, 3)
    began = time.perf_counter()
    assert run_loop(lambda: ready.control.is_idle, 0.5)
    assert time.perf_counter() - began < 0.5
    ready.rest()
    assert 3 <= known_points(ready) < POINTS**2
    values = latest(ready).values()
    assert values.keys() == set(TISSUES)
    assert stored(ready) == as_stored(values)
    assert ready.ui.estimateStatusLabel.text == "Canceled; the best values so far are used."
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
    assert ready.ui.estimateStatusLabel.text == "Canceled."
    assert not ready.ui.undoEstimateButton.visible


def test_cancel_while_the_candidates_are_registered_keeps_the_best_of_the_grid(ready, monkeypatch):
    Searches(monkeypatch, lambda progress: progress.text.startswith("full resolution"))
    click(ready.ui.estimatePushButton)
    ready.wait(lambda: ready.ui.estimateStatusLabel.text.startswith("full resolution"))
    assert known_points(ready) == POINTS**2 and not latest(ready).complete
    click(ready.ui.estimatePushButton)
    ready.rest()
    assert stored(ready) == as_stored(latest(ready).values())
    assert ready.ui.estimateStatusLabel.text == "Canceled; the best values so far are used."


def test_one_candidate_that_fails_does_not_end_the_search(ready, monkeypatch):
    registrations = library("core.estimation.coarse_registration").CoarseRegistration
    register, tried = registrations.register, []

    def fails_once(self, lame, *arguments):
        tried.append(lame)
        if len(tried) == 4:
            raise RuntimeError("no way")
        return register(self, lame, *arguments)

    monkeypatch.setattr(registrations, "register", fails_once)
    estimate(ready)
    assert known_points(ready) == POINTS**2 - 1
    assert stored(ready)[0].keys() == set(TISSUES)
    assert "could not be registered: no way" in ready.ui.estimateStatusLabel.text


@pytest.mark.parametrize("points", [2, POINTS**2])
def test_undo_restores_what_was_set(ready, points):
    type_value(ready.tissue(LIVER, "muBox"), "3.3")
    drag(ready.ui.allMuSlider, 0.6)
    ready.rest()
    before, factor = stored(ready), ready.parameters.allMu
    if points < POINTS**2:
        canceled_at(ready, points)
        ready.rest()
    else:
        estimate(ready)
    assert stored(ready) != before
    click(ready.ui.undoEstimateButton)
    ready.rest()
    assert stored(ready) == before
    assert ready.parameters.allMu == factor
    assert ready.tissue(LIVER, "muBox").text == "3.3"
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
    for key, lame in found.items():
        assert (lam[key], mu[key]) == pytest.approx((lame.lam, lame.mu))
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


def test_a_value_at_the_end_of_its_range_is_told_once_in_the_status_and_once_in_quality(ready):
    click(ready.tissue(BONE, "lock"))
    type_value(ready.tissue(BONE, "muBox"), "199.5")
    estimate(ready)
    click(ready.ui.applyButton)
    ready.rest()
    for label in (ready.ui.estimateStatusLabel, ready.ui.qualityLabel):
        lines = [line for line in label.text.splitlines() if "is at the limit of its allowed range" in line]
        assert len(lines) == 1 and "bone" in lines[0]
