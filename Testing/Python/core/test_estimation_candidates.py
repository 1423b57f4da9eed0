"""Whether an estimate takes the estimated or the start values."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from estimation_case import registrar_of, thorax_slice
from network_pairs import MAP_2D, SMALL, pack_of, solver_with

from TissueElasticRegistrationLib.core.data.progress import Progress, finish
from TissueElasticRegistrationLib.core.data.tissues import Lame, TissueParameters
from TissueElasticRegistrationLib.core.estimation import grid_search as grid_module
from TissueElasticRegistrationLib.core.estimation.candidates import (
    START_AS_GOOD,
    START_BETTER,
    select_candidate,
    usual_registration,
)
from TissueElasticRegistrationLib.core.estimation.criteria.hold_out import NOTHING_HELD_OUT, HoldOut
from TissueElasticRegistrationLib.core.estimation.estimate_result import EstimateProgress
from TissueElasticRegistrationLib.core.estimation.grid_search import estimate_by_grid
from TissueElasticRegistrationLib.core.estimation.task import EstimationTask
from TissueElasticRegistrationLib.core.models.network import NetworkConfig
from TissueElasticRegistrationLib.core.physics.objective import Objective
from TissueElasticRegistrationLib.core.physics.parameter_scale import LogScale
from TissueElasticRegistrationLib.core.registration.network_solver import NetworkSolver

LUNG, BONE, LIVER, SOFT = 1, 2, 3, 4
LABELS = (SOFT, LUNG, BONE, LIVER)  # in the criterion's order, which is not that of the labels
START = TissueParameters({LIVER: Lame(1.0, 3.0)}, default=Lame(2.0, 2.0))
PER_TISSUE = START.with_tissue(LUNG, Lame(0.2, 0.3)).with_tissue(BONE, Lame(20.0, 30.0))
TOLERANCE = 0.002 / 2  # of a mean over four tissues


class FakeSolver:
    """Its "displacement" holds the scores of the registration: ``score``: parameters -> one for all or one each."""

    objective = Objective(LogScale())

    def __init__(self, score: Callable[[TissueParameters], float | list[float]]) -> None:
        self._score, self.registered = score, []

    def usual_refinement(self, dimension: int) -> int:
        return 0

    def solve(self, pyramid, parameters: TissueParameters):
        yield Progress(0.0, "")
        self.registered.append(parameters)
        return SimpleNamespace(displacement=torch.ones(4) * torch.tensor(self._score(parameters)))


def task_of(solver: FakeSolver, estimated=LABELS) -> EstimationTask:
    pyramid = SimpleNamespace(device="cpu", pair=SimpleNamespace(dimension=2))
    registrar = SimpleNamespace(solver=solver, pyramid=pyramid)
    criterion = SimpleNamespace(labels=LABELS, tolerance=0.002, scores=lambda displacement: displacement.numpy())
    return EstimationTask(registrar, criterion, START, frozenset(estimated), NOTHING_HELD_OUT, 0.0)


def selected(score, per_tissue=PER_TISSUE, estimated=LABELS) -> tuple[TissueParameters, list[str]]:
    return finish(select_candidate(task_of(FakeSolver(score), estimated), per_tissue))


def scoring(start: float, per_tissue: float) -> Callable[[TissueParameters], float]:
    return lambda parameters: per_tissue if parameters == PER_TISSUE else start


# -- the rule --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gain", "taken", "reasons"),
    [
        (1.1 * TOLERANCE, PER_TISSUE, []),
        (0.9 * TOLERANCE, START, [START_AS_GOOD]),
        (-0.9 * TOLERANCE, START, [START_AS_GOOD]),
        (-1.1 * TOLERANCE, START, [START_BETTER]),
    ],
)
def test_the_start_values_are_kept_unless_the_gain_exceeds_the_tolerance_and_this_is_said(gain, taken, reasons):
    assert selected(scoring(0.5, 0.5 + gain)) == (taken, reasons)


def test_only_estimated_tissues_are_judged():
    """The locked lung scores best of all with the start values, which does not count."""
    per_tissue = START.with_tissue(BONE, Lame(20.0, 30.0))

    def score(parameters: TissueParameters) -> list[float]:
        return [0.6, 0.1, 0.6, 0.6] if parameters == per_tissue else [0.5, 9.0, 0.5, 0.5]

    assert selected(score, per_tissue, (SOFT, BONE, LIVER)) == (per_tissue, [])


def test_nothing_is_registered_if_the_search_ended_where_it_began():
    solver = FakeSolver(lambda parameters: 0.5)
    assert finish(select_candidate(task_of(solver), START.with_tissue(LUNG, START.default))) == (START, [])
    assert solver.registered == []
    finish(select_candidate(task_of(solver), PER_TISSUE))
    assert solver.registered == [START, PER_TISSUE]


# -- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failing", "taken"), [([START], PER_TISSUE), ([PER_TISSUE], START), ([START, PER_TISSUE], START)]
)
def test_what_cannot_be_registered_is_not_taken_and_this_is_said(failing, taken):
    def score(parameters: TissueParameters) -> float:
        if parameters in failing:
            raise ArithmeticError("out of luck\nand more")
        return 0.5

    found, warnings = selected(score)
    assert found is taken
    assert warnings.count("A candidate could not be registered: out of luck") == len(failing)


def test_a_graphics_card_without_memory_ends_the_search_for_the_registrar_to_begin_again():
    def score(parameters: TissueParameters) -> float:
        raise torch.cuda.OutOfMemoryError("too little")

    with pytest.raises(torch.cuda.OutOfMemoryError):
        selected(score)


# -- in a search -----------------------------------------------------------------------------------------------------


@pytest.fixture
def trusted(monkeypatch) -> None:
    """Networks that have not been trained are asked all the same."""
    monkeypatch.setattr(grid_module, "network_problem", lambda solver, registrar: [])


def a_registrar(kind: str):
    if kind == "direct":
        return registrar_of(thorax_slice())
    return registrar_of(thorax_slice(), solver=solver_with(pack_of(MAP_2D, voxels=2.0, orientation="any")))


@pytest.mark.parametrize("kind", ["direct", "network"])
def test_candidates_are_registered_as_for_a_user(trusted, kind):
    registrar = a_registrar(kind)
    found = finish(usual_registration(registrar, START))
    finish(registrar.register(START))
    if steps := registrar.solver.usual_refinement(2):
        finish(registrar.refine(START, steps))
    assert torch.equal(found, registrar._solution.displacement)


@pytest.mark.parametrize("kind", ["direct", "network"])
def test_rows_say_where_in_the_grid_their_values_are_if_they_are_in_it(trusted, kind):
    start = TissueParameters({BONE: Lame(31.0, 33.0)}, default=Lame(2.1, 2.2))
    estimate = finish(estimate_by_grid(a_registrar(kind), start, points=3, locked=[LIVER], hold_out=HoldOut.of([SOFT])))
    for number, row in enumerate(estimate.per_tissue):
        if row.point is not None:
            assert row.is_estimated and row.lame == Lame(
                estimate.landscape.lam[row.point[0]], estimate.landscape.mu[row.point[1]]
            )
            assert row.score == estimate.landscape.scores[number][row.point]
        elif row.is_estimated:
            assert row.lame == start[row.tissue.label] and row.score == row.start_score
        else:
            assert row.lame == start[row.tissue.label] == estimate.parameters[row.tissue.label]


@pytest.mark.parametrize("kind", ["direct", "network"])
def test_a_search_dropped_among_the_candidates_leaves_the_registration_as_it_was(trusted, kind):
    registrar = a_registrar(kind)
    finish(registrar.register(START))
    before, seen = registrar.displacement_ras_mm()[0].copy(), 0
    start = TissueParameters({}, default=Lame(0.5, 70.0))  # not on the grid
    for progress in (job := estimate_by_grid(registrar, start, points=3)):
        seen += progress.text.startswith("full resolution")
        if seen == 2:
            break
    job.close()
    assert seen == 2 and np.array_equal(registrar.displacement_ras_mm()[0], before)
    finish(registrar.register(START))
    assert np.array_equal(registrar.displacement_ras_mm()[0], before)


def test_the_last_partial_estimate_is_what_is_returned(trusted):
    seen = []
    result = finish(estimate_by_grid(a_registrar("network"), START, points=3), seen.append)
    last = next(progress.estimate for progress in reversed(seen) if isinstance(progress, EstimateProgress))
    assert last.complete and last.parameters == result.parameters and last.warnings == result.warnings


def test_with_a_diffusion_model_only_mu_is_searched(trusted):
    pack = pack_of(NetworkConfig(2, "hyper", 1, **SMALL), voxels=2.0, orientation="any", regularizer="diffusion")
    start = TissueParameters({BONE: Lame(5.0, 2.0)}, default=Lame(2.0, 2.0))
    estimate = finish(estimate_by_grid(registrar_of(thorax_slice(), solver=NetworkSolver(pack)), start))
    assert estimate.landscape.scores.shape[1:] == (1, 11)
    assert all(row.lame.lam == start[row.tissue.label].lam for row in estimate.per_tissue)
    assert all(row.point is None or row.lame.mu == estimate.landscape.mu[row.point[1]] for row in estimate.per_tissue)
