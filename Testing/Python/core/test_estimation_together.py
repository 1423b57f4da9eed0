"""What tissues chose one by one is registered together, and only taken if that is good."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from estimation_case import one_by_one, registrar_of, thorax_slice
from network_pairs import MAP_2D, SMALL, pack_of, solver_with

from TissueElasticRegistrationLib.core.data.progress import Progress, finish
from TissueElasticRegistrationLib.core.data.tissues import Lame, TissueParameters
from TissueElasticRegistrationLib.core.estimation import grid_search as grid_module
from TissueElasticRegistrationLib.core.estimation import run_off as run_off_module
from TissueElasticRegistrationLib.core.estimation.criteria.hold_out import NOTHING_HELD_OUT, HoldOut
from TissueElasticRegistrationLib.core.estimation.estimate_result import Estimate, EstimateProgress
from TissueElasticRegistrationLib.core.estimation.grid_scores import Tally
from TissueElasticRegistrationLib.core.estimation.grid_search import estimate_by_grid
from TissueElasticRegistrationLib.core.estimation.network_grid import network_displacement
from TissueElasticRegistrationLib.core.estimation.task import Question, asked
from TissueElasticRegistrationLib.core.estimation.together import KEPT_START, TOOK_ONE, Candidates, Together
from TissueElasticRegistrationLib.core.models.network import NetworkConfig
from TissueElasticRegistrationLib.core.physics.deformation import resize
from TissueElasticRegistrationLib.core.physics.parameter_scale import LogScale
from TissueElasticRegistrationLib.core.registration.network_solver import NetworkSolver

LUNG, BONE, LIVER, SOFT = 1, 2, 3, 4
MIDDLE = LogScale().weight(0.5)
START = TissueParameters({}, default=Lame(MIDDLE, MIDDLE))
SOFTER, STIFFER = Lame(0.2, 0.2), Lame(20.0, 20.0)


class MadeUp:
    """A criterion of its own: a displacement's first values are the scores; ``score``: parameters -> one for each."""

    key, name, silent, caution, tie, flat = "dice", "made up", {}, (), 0.002, 0.005
    labels = (LUNG, BONE, LIVER, SOFT)

    def scores(self, displacement: torch.Tensor) -> np.ndarray:
        return displacement.numpy()


def question_of(locked=()) -> Question:
    question = finish(asked(registrar_of(thorax_slice()), START, locked, "dice", NOTHING_HELD_OUT))
    return Question(question.registrar, MadeUp(), START, frozenset(MadeUp.labels) - set(locked), NOTHING_HELD_OUT, 0.0)


def decided(score: Callable[[TissueParameters], float], locked=(), most: int = 40) -> tuple[Estimate, list]:
    """Lung chose to be softer and bone to be stiffer, the best pair for all is stiffer. ``score``: of all together."""
    tally = Tally(question_of(locked), 3)
    for place in np.ndindex(3, 3):
        tally.put(place, np.full(4, 0.5))
    one = TissueParameters({label: START[label] if label in locked else STIFFER for label in MadeUp.labels}, STIFFER)
    chosen = TissueParameters({LUNG: SOFTER, BONE: STIFFER}, START.default)
    if locked:
        chosen = TissueParameters({BONE: STIFFER}, START.default)
    asked_for = []

    def way(parameters: TissueParameters):
        yield Progress(0.0, "")
        asked_for.append(parameters)
        return torch.full((4,), score(parameters))

    finish(Together(tally, Candidates(chosen, START, one), way, most).run())
    return tally.estimate(), asked_for


@pytest.fixture
def trusted(monkeypatch) -> None:
    """Networks that have not been trained are asked all the same."""
    monkeypatch.setattr(grid_module, "network_problem", lambda solver, registrar: [])


def a_registrar(kind: str):
    if kind == "direct":
        return registrar_of(thorax_slice())
    return registrar_of(thorax_slice(), solver=solver_with(pack_of(MAP_2D, voxels=2.0, orientation="any")))


def values(estimate: Estimate) -> list[Lame]:
    return [estimate.parameters[label] for label in MadeUp.labels]


CHOSEN, KEPT, ONE = [SOFTER, STIFFER, START.default, START.default], [START.default] * 4, [STIFFER] * 4


@pytest.mark.parametrize(("best", "note"), [(CHOSEN, None), (KEPT, KEPT_START), (ONE, TOOK_ONE)])
def test_what_is_best_together_is_taken_and_said(best, note):
    estimate, _ = decided(lambda parameters: 0.9 if [parameters[label] for label in MadeUp.labels] == best else 0.5)
    assert values(estimate) == best
    assert [text for text in estimate.warnings if text in (KEPT_START, TOOK_ONE)] == ([note] if note else [])


def test_a_mixture_is_taken_where_one_tissue_s_choice_is_bad_for_all():
    """Bone is better stiff; softer lung is bad together, whatever it was in the grid."""
    estimate, _ = decided(
        lambda p: 0.5 + 0.1 * (p[BONE] == STIFFER) - 0.1 * (p[LUNG] != START[LUNG]) - 0.1 * (p[SOFT] != START[SOFT])
    )
    assert values(estimate) == [START.default, STIFFER, START.default, START.default]


def test_equally_good_candidates_leave_the_start_values_as_they_are():
    estimate, _ = decided(lambda p: 0.5 + 0.0005 * (p[LUNG] == SOFTER))
    assert values(estimate) == KEPT


def test_nothing_is_taken_that_is_worse_than_one_pair_for_all():
    """Not even by less than a tie, which the start values would win otherwise."""
    estimate, _ = decided(lambda p: 0.5 + 0.0005 * all(p[label] == STIFFER for label in MadeUp.labels))
    assert values(estimate) == ONE


def test_locked_tissues_keep_their_values_in_every_candidate():
    estimate, asked_for = decided(lambda p: 0.5 + 0.1 * (p[SOFT] == STIFFER), locked=[LUNG])
    assert all(parameters[LUNG] == START[LUNG] for parameters in asked_for)
    assert estimate.parameters[LUNG] == START[LUNG] and estimate.parameters[SOFT] == STIFFER


def test_only_tissues_that_vote_are_judged():
    """The locked one's score, the highest of all for the start values, does not count."""
    tally = Tally(question_of(locked=[LUNG]), 2)
    tally.put((0, 0), np.full(4, 0.5))
    chosen = START.with_tissue(BONE, STIFFER)

    def way(parameters: TissueParameters):
        yield Progress(0.0, "")
        return torch.tensor([0.1, 0.6, 0.6, 0.6]) if parameters[BONE] == STIFFER else torch.tensor([9.0, 0.5, 0.5, 0.5])

    finish(Together(tally, Candidates(chosen, START, START), way, 9).run())
    assert tally.estimate().parameters[BONE] == STIFFER


def test_a_candidate_that_fails_is_left_out_and_this_is_said():
    def score(parameters: TissueParameters) -> float:
        if parameters[LUNG] == SOFTER:
            raise RuntimeError("out of luck\nand more")
        return 0.5 + 0.1 * (parameters[BONE] == STIFFER)

    estimate, _ = decided(score)
    assert estimate.parameters[LUNG] != SOFTER and estimate.parameters[BONE] == STIFFER
    assert "Not all candidates could be registered together: out of luck" in estimate.warnings


def test_if_none_can_be_registered_the_choices_of_the_grid_stand():
    def score(parameters: TissueParameters) -> float:
        raise ArithmeticError("out of luck")

    estimate, _ = decided(score)
    assert all(row.lame == START[row.tissue.label] for row in estimate.per_tissue), "a flat grid chooses the start"
    assert any("out of luck" in text for text in estimate.warnings)


def test_no_candidate_is_registered_twice_and_not_more_than_asked_for():
    _, asked_for = decided(lambda p: 0.5)
    keys = [tuple(parameters[label] for label in MadeUp.labels) for parameters in asked_for]
    assert len(keys) == len(set(keys)) > 5
    assert len(decided(lambda p: 0.5, most=2)[1]) == 5


# -- against the start values, in full -------------------------------------------------------------------------------


def run_off_of(score: Callable[[TissueParameters], float], monkeypatch, locked=()) -> Estimate:
    """The tally took a softer lung and a stiffer bone; ``score``: of a registration in full."""
    tally = Tally(question_of(locked), 3)
    tally.put((1, 1), np.full(4, 0.5))
    tally.take(START.with_tissue(LUNG, SOFTER).with_tissue(BONE, STIFFER), "because")

    def registered(registrar, parameters: TissueParameters):
        yield Progress(0.0, "")
        return torch.full((4,), score(parameters))

    monkeypatch.setattr(run_off_module, "_registered", registered)
    finish(run_off_module.run_off(tally.question.registrar, tally))
    return tally.estimate()


@pytest.mark.parametrize(("gain", "kept"), [(0.01, False), (0.0, False), (-0.0009, False), (-0.0011, True)])
def test_what_was_found_gives_way_only_if_it_is_worse_by_more_than_a_tie(gain, kept, monkeypatch):
    estimate = run_off_of(lambda p: 0.5 + gain * (p[LUNG] == SOFTER), monkeypatch)
    assert (values(estimate) == KEPT) == kept and (run_off_module.WORSE_IN_FULL in estimate.warnings) == kept
    assert ("because" in estimate.warnings) == (not kept)


def test_what_cannot_be_registered_in_full_gives_way(monkeypatch):
    def score(parameters: TissueParameters) -> float:
        if parameters[LUNG] == SOFTER:
            raise ArithmeticError("out of luck")
        return 0.5

    assert values(run_off_of(score, monkeypatch)) == KEPT


@pytest.mark.parametrize("kind", ["direct", "network"])
def test_in_full_means_what_the_registrar_does_for_a_user(trusted, kind):
    registrar = a_registrar(kind)
    found = finish(run_off_module._registered(registrar, START))
    finish(registrar.register(START))
    if steps := registrar.solver.usual_refinement(2):
        finish(registrar.refine(START, steps))
    assert torch.equal(found, registrar.solution.displacement)


# -- in a search -----------------------------------------------------------------------------------------------------


def test_with_a_network_what_is_taken_registers_as_well_as_the_choices_and_the_start(trusted):
    registrar = a_registrar("network")
    alone, estimate = one_by_one(registrar, START), finish(estimate_by_grid(registrar, START))
    question = finish(asked(registrar, START, (), "dice", NOTHING_HELD_OUT))

    def score(parameters: TissueParameters) -> float:
        displacement = network_displacement(registrar.solver, registrar.pyramid, parameters)
        return float(question.criterion.scores(resize(displacement, registrar.working.labels.shape[2:])).mean())

    found, *others = map(score, (estimate.parameters, alone.parameters, START))
    assert found >= max(others) - question.tie_of_means or run_off_module.WORSE_IN_FULL in estimate.warnings
    assert np.array_equal(alone.landscape.scores, estimate.landscape.scores, equal_nan=True)


@pytest.mark.parametrize("kind", ["direct", "network"])
def test_rows_say_where_in_the_grid_their_values_are_if_they_are_in_it(trusted, kind):
    start = TissueParameters({BONE: Lame(31.0, 33.0)}, default=Lame(2.1, 2.2))
    estimate = finish(estimate_by_grid(a_registrar(kind), start, points=3, locked=[LIVER], hold_out=HoldOut.of([SOFT])))
    for number, row in enumerate(estimate.per_tissue):
        if row.point is not None:
            assert row.votes and row.lame == Lame(
                estimate.landscape.lam[row.point[0]], estimate.landscape.mu[row.point[1]]
            )
            assert row.score == estimate.landscape.scores[number][row.point]
        elif row.votes:
            assert row.lame == start[row.tissue.label] and row.score == row.start_score
        else:
            assert row.lame == start[row.tissue.label] == estimate.parameters[row.tissue.label]


def test_the_direct_solver_gives_every_candidate_equally_many_steps(monkeypatch):
    registrar, used = registrar_of(thorax_slice()), []
    descend = registrar.solver.descend

    def counted(level, start, maps, stage, settings, *more):
        used.append((start is None, stage.steps))
        return (yield from descend(level, start, maps, stage, settings, *more))

    monkeypatch.setattr(registrar.solver, "descend", counted)
    one_by_one(registrar, START, points=2)
    before = len(used)
    monkeypatch.setattr(grid_module, "run_off", lambda *arguments: iter(()))
    finish(estimate_by_grid(registrar, START, points=2))
    together = used[2 * before :]
    assert [from_zero for from_zero, _ in together].count(True) <= 1
    assert len({steps for from_zero, steps in together[2:]}) == 1 and len(together) > 4


@pytest.mark.parametrize("kind", ["direct", "network"])
def test_a_search_dropped_among_the_candidates_leaves_the_registration_as_it_was(trusted, kind):
    registrar = a_registrar(kind)
    finish(registrar.register(START))
    before, seen = registrar.displacement_ras_mm()[0].copy(), 0
    start = TissueParameters({}, default=Lame(0.5, 70.0))  # no place of the grid
    for progress in (job := estimate_by_grid(registrar, start, points=3)):
        seen += progress.text.startswith("all tissues together")
        if seen == 2:
            break
    job.close()
    assert seen == 2 and np.array_equal(registrar.displacement_ras_mm()[0], before)
    finish(registrar.register(START))
    assert np.array_equal(registrar.displacement_ras_mm()[0], before)


def test_the_last_partial_estimate_is_what_is_returned(trusted):
    job, last = estimate_by_grid(a_registrar("network"), START, points=3), None
    while True:
        try:
            progress = next(job)
        except StopIteration as end:
            result = end.value
            break
        last = progress.estimate if isinstance(progress, EstimateProgress) else last
    assert last.complete and last.parameters == result.parameters and last.warnings == result.warnings


# -- where λ has no effect -------------------------------------------------------------------------------------------


def test_with_a_diffusion_model_only_mu_is_searched(trusted):
    pack = pack_of(NetworkConfig(2, "hyper", 1, **SMALL), voxels=2.0, orientation="any", regularizer="diffusion")
    start = TissueParameters({BONE: Lame(5.0, 2.0)}, default=Lame(2.0, 2.0))
    estimate = finish(estimate_by_grid(registrar_of(thorax_slice(), solver=NetworkSolver(pack)), start))
    assert estimate.landscape.scores.shape[1:] == (1, 11)
    assert all(row.lame.lam == start[row.tissue.label].lam for row in estimate.per_tissue)
    assert all(row.point is None or row.lame.mu == estimate.landscape.mu[row.point[1]] for row in estimate.per_tissue)
