"""A slider under the mouse: the picture follows it, the parameter node is written when it is released."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import slicer.util
from host.mouse import click, drag, hold, let_go, move_to, type_value
from panel_case import PanelCase, pause
from panel_faults import library
from panel_jobs import until

from TissueElasticRegistrationLib.core.data.tissues import Lame

SOFT, LIVER = "id_soft", "id_liver"


def stored(panel: PanelCase) -> dict[str, float]:
    return panel.stored_weights[1]


def displacement(panel: PanelCase) -> np.ndarray:
    return slicer.util.arrayFromGridTransform(panel.transform).copy()


@pytest.fixture
def live(panel):
    panel.choose_inputs()
    panel.switch_live_on()
    return panel


def test_the_parameter_node_learns_of_a_drag_at_its_end(live):
    slider, field, seen = live.tissue(LIVER, "mu"), live.tissue(LIVER, "muBox"), []
    drag(slider, 0.9, 8, lambda: (pause(0.02), seen.append((stored(live), field.text))))
    assert [values for values, _text in seen] == [{}] * 8
    assert len({text for _values, text in seen}) == 8
    assert stored(live)[LIVER] == pytest.approx(float(field.text), rel=0.01)


def test_the_picture_follows_a_drag_that_the_parameter_node_does_not_know_of(live):
    slider, before = live.tissue(LIVER, "mu"), displacement(live)
    hold(slider)
    move_to(slider, 0.95)
    live.wait(lambda: np.abs(displacement(live) - before).max() > 0.05)
    assert stored(live) == {}
    let_go(slider, 0.95)


def test_the_picture_stays_with_a_slider_that_is_held_still_when_the_panel_looks_at_its_nodes_again(live):
    slider, before = live.tissue(LIVER, "mu"), displacement(live)
    hold(slider)
    move_to(slider, 0.95)
    live.rest()
    shown = displacement(live)
    assert (shown != before).any()
    live.widget.panel.update()
    live.rest()
    np.testing.assert_array_equal(displacement(live), shown)
    assert stored(live) == {}
    let_go(slider, 0.95)


def test_a_drag_that_comes_back_changes_nothing(live):
    type_value(live.tissue(LIVER, "muBox"), "1.2345")
    live.rest()
    slider, before = live.tissue(LIVER, "mu"), displacement(live)
    start = hold(slider)
    for place in (0.9, 0.7, start):
        move_to(slider, place)
        pause(0.05)
    let_go(slider, start)
    live.rest()
    assert stored(live) == {LIVER: 1.2345}
    assert live.tissue(LIVER, "muBox").text == "1.23"
    np.testing.assert_array_equal(displacement(live), before)


def test_the_slider_stays_in_the_hand_when_something_else_changes(live):
    slider = live.tissue(LIVER, "mu")
    hold(slider)
    move_to(slider, 0.9)
    position = slider.sliderPosition
    live.parameters.fade = 20
    pause(0.5)
    assert slider.sliderPosition == position
    let_go(slider, 0.9)
    assert slider.value == position


def test_the_slider_for_all_tissues_moves_the_picture_and_its_factor_while_it_is_dragged(live):
    slider, before, factors = live.ui.allMuSlider, displacement(live), []
    hold(slider)
    for place in (0.6, 0.7, 0.8):
        move_to(slider, place)
        pause(0.3)
        factors.append(live.ui.allMuFactorLabel.text)
    assert len(set(factors)) == 3
    assert live.parameters.allMu == 0
    assert np.abs(displacement(live) - before).max() > 0.2
    let_go(slider, 0.8)
    assert live.parameters.allMu == slider.value > 0


def test_a_drag_starts_a_live_registration_that_rests(live):
    assert live.activity == "idle"
    slider = live.tissue(SOFT, "mu")
    hold(slider)
    move_to(slider, 0.9)
    assert live.activity == "live"
    let_go(slider, 0.9)


def test_a_drag_without_live_moves_nothing(panel):
    panel.choose_inputs()
    drag(panel.tissue(LIVER, "mu"), 0.9)
    panel.rest()
    assert panel.activity == "idle"
    assert panel.transform is None
    assert stored(panel)[LIVER] > 10


def test_no_job_is_started_while_one_follows(live, monkeypatch):
    runner, was_busy = library("panel.job_runner").JobRunner, []
    start = runner.start
    monkeypatch.setattr(runner, "start", lambda self, *job: (was_busy.append(self.busy), start(self, *job)))
    drag(live.tissue(LIVER, "mu"), 0.9, 20, lambda: pause(0.012))
    live.rest()
    assert was_busy and not any(was_busy)


def test_a_request_that_comes_during_the_last_step_is_not_forgotten(live):
    """The job has asked for the last time, and its end is not known yet."""
    live.widget.panel.leave()  # or it asks for what its parameter node says in between
    request = live.request
    first, last = ({**request.values, LIVER: Lame(1.0, mu)} for mu in (20.0, 90.0))
    live.control.follow(replace(request, values=first))
    until(lambda: live.control.is_idle)
    assert live.activity == "live"
    live.control.follow_values(request, last)
    live.rest()
    shown = displacement(live)
    for values in (first, last):
        live.control.follow(replace(request, values=values))
        live.rest()
    np.testing.assert_array_equal(displacement(live), shown)
    click(live.ui.liveCheckBox)
