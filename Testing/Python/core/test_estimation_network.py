"""Grid search through a network: what is asked of it, and what happens when it fails."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from estimation_case import one_by_one, overlap_of, registrar_of, thorax_slice
from network_pairs import MAP_2D, SMALL, pack_of, solver_with

from TissueElasticRegistrationLib.core.data.progress import finish
from TissueElasticRegistrationLib.core.data.tissues import Lame, TissueParameters
from TissueElasticRegistrationLib.core.estimation import grid_search as grid_module
from TissueElasticRegistrationLib.core.estimation.estimate_result import Estimate, EstimateProgress
from TissueElasticRegistrationLib.core.estimation.grid_search import estimate_by_grid
from TissueElasticRegistrationLib.core.models.network import NetworkConfig
from TissueElasticRegistrationLib.core.physics.deformation import integrate, resize
from TissueElasticRegistrationLib.core.registration.network_solver import NetworkSolver
from TissueElasticRegistrationLib.core.registration.registrar import Registrar

MIDDLE = TissueParameters({}, default=Lame(2.0, 2.0))
GLOBAL = NetworkConfig(2, "hyper", 2, **SMALL)


@pytest.fixture
def trusted(monkeypatch) -> None:
    """Networks that have not been trained are asked all the same."""
    monkeypatch.setattr(grid_module, "network_problem", lambda solver, registrar: [])


def registrar_with(pack) -> Registrar:
    return registrar_of(thorax_slice(), solver=solver_with(pack))


def a_pack(**card):
    return pack_of(MAP_2D, voxels=2.0, orientation="any", **card)


class Recorder:
    """Counts what a solver is asked; ``fails``: (λ, μ) sliders -> whether there is no answer."""

    def __init__(self, registrar: Registrar, fails=lambda lam, mu: False) -> None:
        self.asked: list[tuple[float, float]] = []
        solver = registrar.solver
        answer, scale = solver.answer, solver.objective.scale

        def recorded(pyramid, parameters):
            lame = parameters.default
            self.asked.append((round(scale.slider(lame.lam), 6), round(scale.slider(lame.mu), 6)))
            if fails(*self.asked[-1]):
                raise RuntimeError("out of luck")
            return answer(pyramid, parameters)

        solver.answer = recorded


# --- What is asked ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("points", "count"), [(None, 11), (3, 3)])
def test_the_network_is_asked_once_for_every_point_of_the_grid(trusted, points, count):
    registrar = registrar_with(a_pack())
    recorder = Recorder(registrar)
    estimate = one_by_one(registrar, MIDDLE, points=points)
    sliders = [round(slider, 6) for slider in np.linspace(0, 1, count)]
    assert sorted(recorder.asked) == [(a, b) for a in sliders for b in sliders]
    assert estimate.landscape.scores.shape[1:] == (count, count)


def test_a_score_is_that_of_the_network_s_deformation(trusted):
    registrar = registrar_with(a_pack())
    estimate, overlap = one_by_one(registrar, MIDDLE, points=3), overlap_of(registrar)
    lame = Lame(float(estimate.landscape.lam[1]), float(estimate.landscape.mu[2]))
    velocity = registrar.solver.answer(registrar.pyramid, TissueParameters({}, default=lame))
    displacement = integrate(velocity, registrar.solver.refiner.settings(2).integration_steps)
    wanted = overlap.scores(resize(displacement, registrar.working.labels.shape[2:]))
    numbers = [number for number, row in enumerate(estimate.per_tissue) if row.tissue.label in overlap.labels]
    assert estimate.landscape.scores[numbers, 1, 2] == pytest.approx(wanted)
    assert np.ptp(estimate.landscape.scores[numbers], axis=(1, 2)).min() > 0


# --- When something is wrong ------------------------------------------------------------------------------------------


def test_a_network_that_is_worse_than_no_deformation_is_not_asked_and_this_is_said():
    registrar = registrar_with(pack_of(MAP_2D, voxels=20.0, orientation="any"))
    recorder = Recorder(registrar)
    estimate = one_by_one(registrar, MIDDLE, points=2)
    assert len(recorder.asked) == 1 and np.isfinite(estimate.landscape.scores).any()
    assert any("worse than no deformation" in warning for warning in estimate.warnings)


def test_a_failing_point_does_not_end_the_search(trusted):
    registrar = registrar_with(a_pack())
    Recorder(registrar, fails=lambda lam, mu: (lam, mu) == (0.4, 0.6))
    estimate = finish(estimate_by_grid(registrar, MIDDLE))
    row, scores = next(
        (row, scores)
        for row, scores in zip(estimate.per_tissue, estimate.landscape.scores, strict=True)
        if row.is_estimated
    )
    assert np.argwhere(np.isnan(scores)).tolist() == [[4, 6]]
    assert row.point != (4, 6) and any("could not be registered: out of luck" in text for text in estimate.warnings)


def test_a_network_that_never_answers_is_an_error(trusted):
    registrar = registrar_with(a_pack())
    Recorder(registrar, fails=lambda lam, mu: True)
    with pytest.raises(RuntimeError, match="Nothing could be estimated"):
        finish(estimate_by_grid(registrar, MIDDLE))


# --- The paper's two networks -----------------------------------------------------------------------------------------


def test_the_global_network_searches_for_the_adaptive_one(trusted):
    names = ("soft", "lung", "bone", "liver")
    adaptive = pack_of(NetworkConfig(2, "hyper", 8, **SMALL), orientation="any", tissues=names)
    registrar, search = registrar_with(adaptive), solver_with(pack_of(GLOBAL, voxels=2.0, orientation="any"))
    own, other = Recorder(registrar), one_by_one(registrar, MIDDLE, points=3, grid_solver=search)
    assert own.asked == [], "only the global network was asked"
    mine = one_by_one(registrar, MIDDLE, points=3)
    assert len(own.asked) == 9, "without one, the adaptive network is asked with equal sliders everywhere"
    assert not np.array_equal(mine.landscape.scores, other.landscape.scores, equal_nan=True)


@pytest.mark.parametrize("changes", [{"scale": "paper"}, {"regularizer": "diffusion"}])
def test_a_network_of_another_kind_cannot_search(trusted, changes):
    registrar = registrar_with(a_pack())
    with pytest.raises(ValueError, match="cannot search for this registration"):
        finish(estimate_by_grid(registrar, MIDDLE, grid_solver=NetworkSolver(a_pack(**changes))))


# --- As a job ---------------------------------------------------------------------------------------------------------


def test_equal_searches_give_equal_estimates(trusted):
    first, second = (finish(estimate_by_grid(registrar_with(a_pack()), MIDDLE)) for _ in range(2))
    assert np.array_equal(first.landscape.scores, second.landscape.scores, equal_nan=True)
    assert first.parameters == second.parameters


def test_the_best_so_far_is_told_row_by_row_and_only_the_end_is_complete(trusted):
    seen = list(estimate_by_grid(registrar_with(a_pack()), MIDDLE))
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    partial: list[Estimate] = [progress.estimate for progress in seen if isinstance(progress, EstimateProgress)]
    assert len(partial) > 11 and [estimate.complete for estimate in partial] == [False] * (len(partial) - 1) + [True]


@pytest.mark.parametrize("steps", [1, 20, 60, 150])
def test_a_dropped_search_leaves_the_registration_as_it_was(trusted, steps):
    registrar = registrar_with(a_pack())
    finish(registrar.register(MIDDLE))
    before = registrar.displacement_ras_mm()[0].copy()
    job = estimate_by_grid(registrar, MIDDLE)
    for _ in range(steps):
        next(job, None)
    job.close()
    assert np.array_equal(registrar.displacement_ras_mm()[0], before) and torch.is_grad_enabled()


def test_locked_tissues_keep_their_values(trusted):
    start = replace(MIDDLE, by_label={1: Lame(0.5, 0.7)})
    estimate = finish(estimate_by_grid(registrar_with(a_pack()), start, locked=[1]))
    assert estimate.parameters[1] == Lame(0.5, 0.7)
