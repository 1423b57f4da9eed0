"""The network as a solver: the objective as referee of its answer, refined, and live."""

from __future__ import annotations

import copy
import gc
import weakref
from functools import cache

import numpy as np
import pytest
import torch
from network_pairs import MAP_2D, MAP_3D, pack_of, slice_pair, solver_with
from synthetic_pairs import (
    prepared,
    quick_solver,
)

from TissueElasticRegistrationLib.core.data.progress import Frame, finish
from TissueElasticRegistrationLib.core.data.tissues import Lame, TissueParameters
from TissueElasticRegistrationLib.core.models.model_pack import ModelPack
from TissueElasticRegistrationLib.core.physics.deformation import resize
from TissueElasticRegistrationLib.core.physics.objective import Objective
from TissueElasticRegistrationLib.core.physics.parameter_scale import PaperScale
from TissueElasticRegistrationLib.core.registration.comparison import Comparison
from TissueElasticRegistrationLib.core.registration.direct_solver import DirectSolver
from TissueElasticRegistrationLib.core.registration.network_solver import NetworkSolver
from TissueElasticRegistrationLib.core.registration.registrar import Registrar
from TissueElasticRegistrationLib.core.registration.solution import Stage
from TissueElasticRegistrationLib.core.registration.velocities import with_detail

# --- The referee ----------------------------------------------------------------------------------------------------


@cache
def helpful_pack() -> ModelPack:
    """A network whose answer for the slice phantom is a little better than no deformation: a step downhill."""
    pack = pack_of(MAP_2D, orientation="any")
    registrar = prepared(slice_pair(), solver=NetworkSolver(pack), initial="none")
    solver, parameters = registrar.solver, registrar.table_parameters()
    level, maps = registrar.pyramid.level(1), registrar.pyramid.parameter_maps(parameters)
    flow = pack.network.flow.weight.clone()
    settings = solver.refiner.settings(2)
    before = solver.refiner.value(level, torch.zeros(1, 2, *level.velocity_shape), maps, settings)
    for factor in (0.2, -0.2, 0.05, -0.05, 0.01, -0.01):
        pack.network.flow.weight.copy_(factor * flow)
        if solver.refiner.value(level, solver.answer(registrar.pyramid, parameters), maps, settings) < before - 1e-6:
            return pack
    raise AssertionError("no network that helps was found")


def harmful_pack() -> ModelPack:
    return pack_of(MAP_2D, voxels=20.0)


def not_a_number_pack() -> ModelPack:
    pack = pack_of(MAP_2D)
    pack.network.flow.bias.fill_(float("nan"))
    return pack


def test_a_good_answer_is_the_registration():
    registrar = prepared(slice_pair(), solver=solver_with(helpful_pack()), initial="none")
    parameters = registrar.table_parameters()
    finish(registrar.register(parameters))
    result = finish(registrar.result())
    assert result.objective_values.objective_after < result.objective_values.objective_before
    assert result.objective_values.steps == 0
    assert not result.warnings
    torch.testing.assert_close(registrar.solution.velocity, registrar.solver.answer(registrar.pyramid, parameters))


def test_refining_makes_a_good_answer_better():
    registrar = prepared(slice_pair(), solver=solver_with(helpful_pack()), initial="none")
    parameters = registrar.table_parameters()
    finish(registrar.register(parameters))
    before = registrar.solution.objective_values
    finish(registrar.refine(parameters, 10))
    assert registrar.solution.objective_values.objective_after < before.objective_after - 0.01


@pytest.mark.parametrize("pack", [harmful_pack, not_a_number_pack])
def test_a_bad_answer_is_replaced_by_the_direct_solver_and_the_result_says_so(pack):
    registrar = prepared(slice_pair(), solver=solver_with(pack()), initial="none")
    reference = prepared(slice_pair(), solver=quick_solver(), initial="none")
    for each in (registrar, reference):
        finish(each.register(each.table_parameters()))
    torch.testing.assert_close(registrar.solution.velocity, reference.solution.velocity)
    assert "worse than no deformation" in registrar.notes[0]
    finish(registrar.refine(registrar.table_parameters(), 2))
    assert "worse than no deformation" in finish(registrar.result()).warnings[-1]
    finish(registrar.prepare())
    assert registrar.notes == ()


def test_no_registration_ends_worse_than_no_deformation(monkeypatch):
    """Not even when the direct solver fails as well."""
    registrar = prepared(slice_pair(), solver=solver_with(harmful_pack()), initial="none")
    far = torch.full((1, 2, *registrar.pyramid.level(1).velocity_shape), 30.0)

    def descend(*_arguments, **_options):
        yield from ()
        return far

    monkeypatch.setattr(registrar.solver.refiner, "descend", descend)
    finish(registrar.register(registrar.table_parameters()))
    account = registrar.solution.objective_values
    assert account.objective_after <= account.objective_before
    assert not registrar.solution.velocity.any()


def test_with_a_start_the_network_solver_is_the_direct_solver():
    registrar = prepared(slice_pair(), solver=solver_with(harmful_pack()), initial="none")
    parameters, start = (
        registrar.table_parameters(),
        torch.full((1, 2, *registrar.pyramid.level(1).velocity_shape), 0.1),
    )
    arguments = (registrar.pyramid, parameters, start, registrar.solver.refinement(3, 2))
    torch.testing.assert_close(
        finish(registrar.solver.solve(*arguments)).velocity, finish(quick_solver().solve(*arguments)).velocity
    )


def test_gradients_can_be_taken_at_an_answer():
    registrar = prepared(slice_pair(), solver=solver_with(helpful_pack()), initial="none")
    pyramid, solver, parameters = registrar.pyramid, registrar.solver, registrar.table_parameters()
    gradient = solver.refiner.gradient(
        pyramid.level(1),
        solver.answer(pyramid, parameters),
        pyramid.parameter_maps(parameters),
        Stage(1, 1),
        solver.refiner.settings(2),
    )
    assert gradient.abs().max() > 0


def test_steps_asked_for_at_once_follow_the_answer():
    registrar = prepared(slice_pair(), solver=solver_with(helpful_pack()), initial="none")
    parameters, solver = registrar.table_parameters(), registrar.solver
    at_once = finish(solver.solve(registrar.pyramid, parameters, None, solver.refinement(4, 2)))
    answered = solver.answer(registrar.pyramid, parameters)
    after = finish(quick_solver().solve(registrar.pyramid, parameters, answered, solver.refinement(4, 2)))
    torch.testing.assert_close(at_once.velocity, after.velocity)
    assert at_once.objective_values.steps == sum(stage.steps for stage in solver.refinement(4, 2))


def test_refining_first_corrects_what_is_wrong_on_a_large_scale():
    """An answer that is wrong by several voxels, as networks give for images unlike those they were trained on."""
    registrar = prepared(slice_pair(), solver=NetworkSolver(helpful_pack()), initial="none")
    parameters, solver, pyramid = registrar.table_parameters(), registrar.solver, registrar.pyramid
    direct = finish(DirectSolver().solve(pyramid, parameters))
    wrong = direct.velocity + torch.tensor([1.5, -2.0]).view(1, 2, 1, 1)
    found = finish(solver.solve(pyramid, parameters, wrong, solver.refinement(40, 2))).objective_values.objective_after
    fine = DirectSolver().refinement(40, 2)
    fine_only = finish(solver.solve(pyramid, parameters, wrong, fine)).objective_values.objective_after
    assert found < fine_only
    assert found == pytest.approx(direct.objective_values.objective_after, abs=0.02)


def test_refining_does_not_give_up_a_good_start_for_the_minimum_of_a_coarse_level():
    registrar = prepared(slice_pair(), solver=NetworkSolver(helpful_pack()), initial="none")
    parameters, solver, pyramid = registrar.table_parameters(), registrar.solver, registrar.pyramid
    direct = finish(DirectSolver().solve(pyramid, parameters))
    texts = []
    finish(
        solver.solve(pyramid, parameters, direct.velocity, solver.refinement(20, 2)),
        lambda progress: texts.append(progress.text),
    )
    objective = float(next(text for text in texts if "1/1" in text).split("=")[1])
    assert objective == pytest.approx(direct.objective_values.objective_after, abs=1e-4)


@pytest.mark.parametrize("steps", [1, 5, 40])
def test_refining_a_volume_takes_few_expensive_steps_and_no_more_cheap_ones_than_a_registration(steps):
    solver = NetworkSolver(pack_of(MAP_3D))
    most = {stage.factor: stage.steps for stage in solver.refiner.settings(3).stages}
    *coarse, fine = solver.refinement(steps, 3)
    assert (fine.factor, fine.steps) == (1, steps)
    assert [stage.factor for stage in coarse] == [8, 4, 2]
    assert all(0 < stage.steps <= most[stage.factor] for stage in coarse)


@pytest.mark.parametrize(("known", "judgments"), [(False, 2), (True, 1)])
def test_a_start_whose_objective_is_known_is_not_judged_again(monkeypatch, known, judgments):
    """Judging takes half as long as a step; the start must still win over a worse end."""
    registrar = prepared(slice_pair(), solver=solver_with(helpful_pack()), initial="none")
    solver, parameters = registrar.solver, registrar.table_parameters()
    start = finish(DirectSolver().solve(registrar.pyramid, parameters))
    objective = start.objective_values.objective_after
    judged, judge = [], Comparison.judge

    def count(self, displacement):
        judged.append(displacement)
        return judge(self, displacement)

    monkeypatch.setattr(Comparison, "judge", count)
    monkeypatch.setattr(solver.refiner, "descend", lambda *_arguments: _ends_at(start.velocity.clone()))
    arguments = (registrar.pyramid, parameters, start.velocity, (Stage(1, 1),), objective if known else None)
    finish(solver.solve(*arguments))
    assert len(judged) == judgments
    monkeypatch.setattr(solver.refiner, "descend", lambda *_arguments: _ends_at(torch.full_like(start.velocity, 30.0)))
    assert finish(solver.solve(*arguments)).objective_values.objective_after == pytest.approx(objective)


def _ends_at(velocity: torch.Tensor):
    yield from ()
    return velocity


def test_coarse_stages_keep_the_detail_of_their_start():
    coarse, fine = torch.randn(1, 2, 4, 6), torch.randn(1, 2, 8, 12)
    whole = with_detail(coarse, fine)
    assert tuple(whole.shape) == tuple(fine.shape)
    torch.testing.assert_close(with_detail(resize(fine, (4, 6)), fine), fine)
    torch.testing.assert_close(whole - fine, resize(coarse - resize(fine, (4, 6)), (8, 12)))
    assert with_detail(fine, coarse) is fine


def test_a_spacing_far_from_training_is_told():
    pack = pack_of(MAP_2D, spacing_mm=(1.0, 2.0))
    registrar = prepared(slice_pair(), solver=solver_with(pack), initial="none")
    finish(registrar.register(registrar.table_parameters()))
    assert any("trained on voxel sizes of 1 to 2 mm; these images have 8 mm" in note for note in registrar.notes)


@pytest.mark.parametrize("objective", [Objective(PaperScale()), Objective(regularizer="diffusion")])
def test_a_model_is_refined_with_the_objective_it_was_trained_for(objective):
    with pytest.raises(ValueError, match="must use the same"):
        NetworkSolver(pack_of(MAP_2D), DirectSolver(objective))


def test_the_solver_has_the_objective_of_the_card():
    solver = NetworkSolver(pack_of(MAP_2D, scale="paper", regularizer="diffusion"))
    assert (solver.objective.scale, solver.objective.regularizer) == (PaperScale(), "diffusion")


def test_registering_changes_nothing_in_the_model_and_is_repeatable():
    pack = helpful_pack()
    before = copy.deepcopy(pack.network.state_dict())
    velocities = []
    for _ in range(2):
        registrar = prepared(slice_pair(), solver=solver_with(pack), initial="none")
        finish(registrar.register(registrar.table_parameters()))
        finish(registrar.refine(registrar.table_parameters(), 3))
        velocities.append(registrar.solution.velocity)
    assert torch.equal(*velocities)
    assert all(torch.equal(weight, before[name]) for name, weight in pack.network.state_dict().items())


def test_pairs_are_encoded_once_and_forgotten_with_their_pyramid(monkeypatch):
    pack = helpful_pack()
    encoded = []
    encode = pack.network.encode

    def counted(*images):
        features = encode(*images)
        encoded.append(weakref.ref(features))
        return features

    monkeypatch.setattr(pack.network, "encode", counted)
    registrar = prepared(slice_pair(), solver=solver_with(pack), initial="none")
    solver, parameters = registrar.solver, registrar.table_parameters()
    for _ in range(3):
        solver.answer(registrar.pyramid, parameters)
    assert len(encoded) == 1
    pyramid = weakref.ref(registrar.pyramid)
    del registrar
    gc.collect()
    assert pyramid() is None
    assert encoded[0]() is None


# --- Live -----------------------------------------------------------------------------------------------------------


def frames_of(job) -> list[Frame]:
    return [progress for progress in job if isinstance(progress, Frame)]


def with_bone(registrar: Registrar, weight: float) -> TissueParameters:
    label = next(tissue.label for tissue in registrar.tissues if tissue.name == "bone")
    return registrar.table_parameters().with_tissue(label, Lame(weight, weight))


def objective_at(registrar: Registrar, parameters: TissueParameters, velocity: torch.Tensor) -> float:
    pyramid, refiner = registrar.pyramid, registrar.solver.refiner
    return refiner.value(pyramid.level(1), velocity, pyramid.parameter_maps(parameters), refiner.settings(2))


def test_the_first_live_frame_is_the_answer_before_any_step(monkeypatch):
    registrar = prepared(slice_pair(), solver=solver_with(helpful_pack()), initial="none")
    parameters = registrar.table_parameters()
    expected = registrar.solver.answer(registrar.pyramid, parameters)
    monkeypatch.setattr(registrar.solver.refiner, "descend", None)
    frame = next(progress for progress in registrar.live(parameters) if isinstance(progress, Frame))
    torch.testing.assert_close(registrar.live_velocity, expected)
    assert np.abs(frame.displacement_ras_mm).max() > 0


def test_a_moved_slider_first_adds_what_the_network_says_of_it(monkeypatch):
    registrar = prepared(slice_pair(), solver=solver_with(helpful_pack()), initial="none")
    solver, pyramid = registrar.solver, registrar.pyramid
    monkeypatch.setattr(solver.refiner, "is_worse", lambda *arguments: False)
    first, second = registrar.table_parameters(), with_bone(registrar, 1.0)
    finish(registrar.live(first))
    settled = registrar.live_velocity
    next(progress for progress in registrar.live(second) if isinstance(progress, Frame))
    change = solver.answer(pyramid, second) - solver.answer(pyramid, first)
    assert change.abs().max() > 1e-4
    torch.testing.assert_close(registrar.live_velocity, settled + change)
    # Dropped there; a third position starts from what was settled, so interruptions leave no traces.
    next(progress for progress in registrar.live(first) if isinstance(progress, Frame))
    torch.testing.assert_close(registrar.live_velocity, settled)


def test_an_answer_that_is_worse_than_what_is_shown_is_never_shown(monkeypatch):
    registrar = prepared(slice_pair(), solver=solver_with(helpful_pack()), initial="none")
    finish(registrar.live(registrar.table_parameters()))
    monkeypatch.setattr(registrar.solver.refiner, "is_worse", lambda *arguments: True)
    texts = {frame.text for frame in frames_of(registrar.live(with_bone(registrar, 1.0)))}
    assert texts and "network" not in texts


@pytest.mark.parametrize("pack", [helpful_pack, harmful_pack, not_a_number_pack])
def test_following_ends_about_where_a_direct_registration_ends(pack):
    registrar = prepared(slice_pair(), solver=solver_with(pack()), initial="none")
    reference = prepared(slice_pair(), solver=quick_solver(), initial="none")
    for parameters in (registrar.table_parameters(), with_bone(registrar, 1.0)):
        finish(registrar.live(parameters))
        finish(reference.live(parameters))
        found, wanted = (objective_at(each, parameters, each.live_velocity) for each in (registrar, reference))
        assert found <= wanted + 0.03


@pytest.mark.parametrize(
    ("pack", "told"),
    [
        (helpful_pack, ()),
        (harmful_pack, ("worse than no deformation",)),
        (not_a_number_pack, ("worse than no deformation",)),
    ],
)
def test_live_tells_what_became_of_the_answer_and_shows_nothing_that_is_no_number(pack, told):
    registrar = prepared(slice_pair(), solver=solver_with(pack()), initial="none")
    assert registrar.live_notes == ()
    frames = frames_of(registrar.live(registrar.table_parameters()))
    assert all(np.isfinite(frame.displacement_ras_mm).all() for frame in frames)
    assert len(registrar.live_notes) == len(told)
    assert all(words in note for words, note in zip(told, registrar.live_notes, strict=True))


def test_live_goes_on_from_a_finished_registration():
    registrar = prepared(slice_pair(), solver=solver_with(helpful_pack()), initial="none")
    parameters = registrar.table_parameters()
    finish(registrar.register(parameters))
    finish(registrar.refine(parameters, 5))
    refined = registrar.solution.velocity
    asked = []
    answer = registrar.solver.answer
    registrar.solver.answer = lambda *arguments: asked.append(1) or answer(*arguments)
    frames = frames_of(registrar.live(parameters))
    torch.testing.assert_close(registrar.live_velocity, refined)
    assert len(frames) == 1
    assert asked == []
    for weight in (1.0, 2.0):
        next(progress for progress in registrar.live(with_bone(registrar, weight)) if isinstance(progress, Frame))
    assert len(asked) == 3  # the registration's own answer is asked for once, each move's once
