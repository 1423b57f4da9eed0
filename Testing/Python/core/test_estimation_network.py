"""Grid search through a network: what is asked of it, what is interpolated, and that a choice never is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from estimation_case import one_by_one, registrar_of, thorax_slice
from network_pairs import MAP_2D, SMALL, pack_of, solver_with

from TissueElasticRegistrationLib.core.data.progress import finish
from TissueElasticRegistrationLib.core.data.tissues import Lame, TissueParameters
from TissueElasticRegistrationLib.core.estimation import grid_search as grid_module
from TissueElasticRegistrationLib.core.estimation.criteria.hold_out import NOTHING_HELD_OUT
from TissueElasticRegistrationLib.core.estimation.estimate_result import Estimate, EstimateProgress
from TissueElasticRegistrationLib.core.estimation.grid_scores import Tally
from TissueElasticRegistrationLib.core.estimation.grid_search import estimate_by_grid
from TissueElasticRegistrationLib.core.estimation.network_grid import NODES, NetworkSweep, cubic_weights
from TissueElasticRegistrationLib.core.estimation.task import asked
from TissueElasticRegistrationLib.core.models.network import NetworkConfig
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


def exact_scores(registrar: Registrar, point: tuple[int, int], points: int) -> np.ndarray:
    """The scores of one place as a search that does not interpolate finds them."""
    tally = Tally(finish(asked(registrar, MIDDLE, (), "dice", NOTHING_HELD_OUT)), points)
    NetworkSweep(registrar.solver, registrar.pyramid, tally)._evaluate(point)
    return tally.scores_at(point)


# --- What is asked ---------------------------------------------------------------------------------------------------


def test_with_a_network_the_grid_has_11_places_per_slider_and_few_of_them_are_asked(trusted):
    registrar = registrar_with(a_pack())
    recorder = Recorder(registrar)
    estimate = one_by_one(registrar, MIDDLE)
    assert estimate.landscape.scores.shape[1:] == (11, 11)
    assert np.isfinite(estimate.landscape.scores).any(0).all()
    nodes = {(round(a, 6), round(b, 6)) for a in np.linspace(0, 1, NODES) for b in np.linspace(0, 1, NODES)}
    assert nodes <= set(recorder.asked) and len(recorder.asked) < 80
    assert len(recorder.asked) == len(set(recorder.asked)), "nothing is asked twice"


def test_a_grid_as_coarse_as_the_nodes_is_asked_place_by_place(trusted):
    registrar = registrar_with(a_pack())
    recorder = Recorder(registrar)
    one_by_one(registrar, MIDDLE, points=3)
    assert sorted(recorder.asked) == [(a, b) for a in (0, 0.5, 1) for b in (0, 0.5, 1)]


def test_what_a_tissue_takes_and_the_best_it_is_compared_with_are_computed_not_interpolated(trusted):
    registrar = registrar_with(a_pack())
    estimate = one_by_one(registrar, MIDDLE)
    labels = [row.tissue.label for row in estimate.per_tissue if np.isfinite(row.score)]
    for number, row in enumerate(estimate.per_tissue):
        if row.votes:
            scores, place = estimate.landscape.scores[number], labels.index(row.tissue.label)
            best = tuple(map(int, np.unravel_index(np.nanargmax(scores), scores.shape)))
            for point in (row.point, best):
                assert scores[point] == exact_scores(registrar, point, 11)[place]
            assert row.score >= scores.max() - 0.002


def test_interpolation_between_the_nodes_is_nearly_what_the_network_says(trusted):
    registrar = registrar_with(a_pack())
    estimate = finish(estimate_by_grid(registrar, MIDDLE))
    voters = [number for number, row in enumerate(estimate.per_tissue) if row.votes]
    spread = np.ptp(estimate.landscape.scores[voters], axis=(1, 2)).max()
    for point in ((1, 3), (7, 5), (5, 9)):
        assert estimate.landscape.scores[voters][:, *point] == pytest.approx(
            exact_scores(registrar, point, 11), abs=0.1 * spread + 0.003
        )


def test_cubic_weights_are_exact_for_cubics_and_at_the_nodes():
    values = np.array([2 - n + 0.5 * n**2 - 0.25 * n**3 for n in range(6)])
    for position in (0, 0.3, 1, 2.5, 4.75, 5):
        weights = cubic_weights(position, 6)
        assert weights @ values == pytest.approx(2 - position + 0.5 * position**2 - 0.25 * position**3)
    assert np.array_equal(cubic_weights(4, 6), [0, 0, 0, 0, 1, 0])


# --- When something is wrong ------------------------------------------------------------------------------------------


def test_a_network_that_is_worse_than_no_deformation_is_not_asked_and_this_is_said():
    registrar = registrar_with(pack_of(MAP_2D, voxels=20.0, orientation="any"))
    recorder = Recorder(registrar)
    estimate = one_by_one(registrar, MIDDLE, points=2)
    assert len(recorder.asked) == 1 and np.isfinite(estimate.landscape.scores).any()
    assert any("worse than no deformation" in warning for warning in estimate.warnings)


def test_a_failing_node_does_not_end_the_search(trusted):
    registrar = registrar_with(a_pack())
    Recorder(registrar, fails=lambda lam, mu: (lam, mu) == (0.4, 0.6))
    estimate = finish(estimate_by_grid(registrar, MIDDLE))
    row, scores = next(
        (row, scores) for row, scores in zip(estimate.per_tissue, estimate.landscape.scores, strict=True) if row.votes
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
    own, other = Recorder(registrar), one_by_one(registrar, MIDDLE, points=3, search=search)
    assert own.asked == [], "only the global network was asked"
    mine = one_by_one(registrar, MIDDLE, points=3)
    assert len(own.asked) == 9, "without one, the adaptive network is asked with equal sliders everywhere"
    assert not np.array_equal(mine.landscape.scores, other.landscape.scores, equal_nan=True)


@pytest.mark.parametrize("changes", [{"scale": "paper"}, {"regularizer": "diffusion"}])
def test_a_network_of_another_kind_cannot_search(trusted, changes):
    registrar = registrar_with(a_pack())
    with pytest.raises(ValueError, match="cannot search for this registration"):
        finish(estimate_by_grid(registrar, MIDDLE, search=NetworkSolver(a_pack(**changes))))


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
