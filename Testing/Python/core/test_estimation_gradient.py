"""Gradient search: derivatives against differences, what moves and what stays, and what happens when it fails."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from estimation_case import registrar_of, thorax_slice
from network_pairs import MAP_2D, pack_of, solver_with

from TissueElasticRegistrationLib.core.data.progress import finish
from TissueElasticRegistrationLib.core.data.tissues import Lame, TissueParameters
from TissueElasticRegistrationLib.core.estimation import gradient_search as gradient_module
from TissueElasticRegistrationLib.core.estimation.criteria.hold_out import NOTHING_HELD_OUT, HoldOut
from TissueElasticRegistrationLib.core.estimation.estimate import estimate
from TissueElasticRegistrationLib.core.estimation.estimate_result import EstimateProgress
from TissueElasticRegistrationLib.core.estimation.gradient_search import PROBES, estimate_by_gradient
from TissueElasticRegistrationLib.core.estimation.score_gradient import DirectScoreGradient, NetworkScoreGradient
from TissueElasticRegistrationLib.core.estimation.task import make_task
from TissueElasticRegistrationLib.core.physics.deformation import integrate, resize
from TissueElasticRegistrationLib.core.registration.registrar import Registrar

START = TissueParameters({0: Lame(0.02, 0.02)}, default=Lame(2.0, 2.0))


@pytest.fixture
def trusted(monkeypatch) -> None:
    """Networks that have not been trained are used all the same."""
    monkeypatch.setattr(gradient_module, "network_problem", lambda solver, registrar: [])


def network_registrar() -> Registrar:
    return registrar_of(thorax_slice(), solver=solver_with(pack_of(MAP_2D, voxels=2.0, orientation="any")))


def task_of(registrar: Registrar, hold_out=NOTHING_HELD_OUT):
    return finish(make_task(registrar, START, (), "dice", hold_out))


def test_the_derivative_through_the_network_is_that_of_small_differences():
    task = task_of(network_registrar())
    gradient, sliders = NetworkScoreGradient(task), torch.full((5, 2), 0.5)

    def goal(changed: torch.Tensor) -> float:
        registrar = task.registrar
        velocity = registrar.solver.answer_at(registrar.pyramid, changed)
        shape = registrar.working.labels.shape[2:]
        field = resize(integrate(velocity, registrar.solver.refiner.settings(2).integration_steps), shape)
        return float(task.criterion.soft_scores(field).mean())

    _, derivative = finish(gradient.value_and_gradient(sliders.clone()))
    assert derivative.abs().max() > 1e-3
    for place in ((1, 0), (2, 1), (4, 1)):
        step = torch.zeros(5, 2)
        step[place] = 1e-3
        with torch.no_grad():
            wanted = (goal(sliders + step) - goal(sliders - step)) / 2e-3
        assert float(derivative[place]) == pytest.approx(wanted, abs=0.1 * float(derivative.abs().max()))


def test_the_derivative_through_the_direct_solver_points_to_better_parameters():
    """Registered anew after a step along it, the soft score is higher than after one against it."""
    task = task_of(registrar_of(thorax_slice()))
    sliders = torch.full((5, 2), 0.6)
    _, derivative = finish(DirectScoreGradient(task).value_and_gradient(sliders))
    found = []
    for sign in (1, -1):
        moved = (sliders + sign * 0.2 * derivative / derivative.abs().max()).clamp(0, 1)
        found.append(float(finish(DirectScoreGradient(task).value_and_gradient(moved))[0].mean()))
    assert found[0] > found[1]


def test_the_search_ends_no_lower_than_it_began_and_says_so(trusted):
    result = finish(estimate_by_gradient(network_registrar(), START))
    estimated = [row for row in result.per_tissue if row.is_estimated]
    assert result.method == "gradient" and result.landscape is None and result.complete and len(estimated) == 4
    assert np.mean([row.score for row in estimated]) >= np.mean([row.start_score for row in estimated])


def test_locked_and_held_out_tissues_and_those_without_labels_stay(trusted):
    result = finish(estimate_by_gradient(network_registrar(), START, locked=[1], hold_out=HoldOut.of([3])))
    for row in result.per_tissue:
        assert row.is_estimated == (row.tissue.label in (2, 4))
        if not row.is_estimated:
            assert row.lame == START[row.tissue.label] == result.parameters[row.tissue.label]


def test_what_does_not_matter_stays_at_the_start(trusted):
    registrar = registrar_of(thorax_slice(), solver=solver_with(pack_of(MAP_2D, voxels=1e-6, orientation="any")))
    result = finish(estimate_by_gradient(registrar, START))
    assert all(row.insensitive and row.lame == START[row.tissue.label] for row in result.per_tissue if row.is_estimated)


def test_the_best_so_far_is_told_after_every_step(trusted):
    seen = [
        progress
        for progress in estimate_by_gradient(network_registrar(), START, steps=3)
        if isinstance(progress, EstimateProgress)
    ]
    assert [progress.estimate.complete for progress in seen] == [False] * 3 + [True]
    means = [np.nanmean([row.score for row in progress.estimate.per_tissue]) for progress in seen]
    assert all(after >= before - 0.002 for before, after in zip(means, means[1:], strict=False))


@pytest.mark.parametrize("bad", [2, 6, 7, 9], ids=["a probe", "the last probe", "the first step", "a later step"])
def test_a_registration_that_fails_does_not_end_the_search(trusted, monkeypatch, bad):
    registrar = network_registrar()
    answer_at, calls = registrar.solver.answer_at, []

    def fragile(pyramid, sliders):
        calls.append(1)
        if len(calls) == bad:
            raise RuntimeError("out of luck\nand more")
        return answer_at(pyramid, sliders)

    monkeypatch.setattr(registrar.solver, "answer_at", fragile)
    result = finish(estimate_by_gradient(registrar, START, steps=3))
    assert result.complete and len(calls) == 1 + len(PROBES) + 4
    assert any("could not be registered: out of luck" in text for text in result.warnings)


def test_a_start_in_a_far_corner_is_left_at_once():
    corner = TissueParameters({}, default=Lame(200.0, 200.0))
    result = finish(estimate_by_gradient(registrar_of(thorax_slice(), solver=None), corner, steps=1))
    estimated = [row for row in result.per_tissue if row.is_estimated]
    assert np.mean([row.score for row in estimated]) > np.mean([row.start_score for row in estimated]) + 0.005


def test_a_start_that_fails_is_an_error(trusted, monkeypatch):
    registrar = network_registrar()
    monkeypatch.setattr(registrar.solver, "answer_at", lambda pyramid, sliders: torch.full((1, 2, 8, 8), torch.nan))
    with pytest.raises(RuntimeError, match="Nothing could be estimated"):
        finish(estimate_by_gradient(registrar, START))


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="Unknown method 'guess'; choose grid or gradient"):
        estimate(registrar_of(thorax_slice()), START, "guess")
