"""A registrar's jobs: their steps, what they leave behind, and what they refuse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from network_pairs import slice_pair
from synthetic_pairs import at_table_values, prepared, quick_solver, registered, slice_case, tissue_row, volume_pair

from TissueElasticRegistrationLib.core.data.images import ImagePair
from TissueElasticRegistrationLib.core.data.progress import finish
from TissueElasticRegistrationLib.core.data.tissues import Lame, Tissue, TissueParameters
from TissueElasticRegistrationLib.core.registration.direct_solver import DirectSolver
from TissueElasticRegistrationLib.core.registration.registrar import Registrar


def test_every_job_yields_after_bounded_steps():
    registrar = Registrar(volume_pair(), initial="none", solver=quick_solver(7, 4), threads=1)
    jobs = [registrar.prepare()]
    counts = []
    for job in (
        lambda: jobs[0],
        lambda: registrar.register(registrar.table_parameters()),
        lambda: registrar.refine(registrar.table_parameters(), 5),
        registrar.result,
    ):
        fractions = [progress.fraction for progress in job()]
        assert fractions == sorted(fractions)
        assert fractions[0] >= 0 and fractions[-1] <= 1
        counts.append(len(fractions))
    assert counts[0] >= 3 and counts[1:3] == [22, 10] and counts[3] >= 4


def test_canceled_registration_keeps_the_earlier_one():
    registrar = prepared(volume_pair(), initial="none", solver=quick_solver())
    finish(registrar.register(registrar.table_parameters()))
    before = registrar.displacement_ras_mm()[0]
    soft = TissueParameters({}, default=Lame(0.1, 0.1))
    for job in (registrar.register(soft), registrar.refine(soft, 9), registrar.live(soft)):
        for _ in range(3):
            next(job)
        job.close()
    np.testing.assert_array_equal(registrar.displacement_ras_mm()[0], before)
    assert tissue_row(finish(registrar.result()), "lung").parameters == registrar.table_parameters()[2]


def test_canceled_registration_does_not_change_the_next_one():
    def field(cancel: bool) -> np.ndarray:
        registrar = prepared(slice_pair(), solver=quick_solver())
        if cancel:
            job = registrar.register(registrar.table_parameters())
            next(job)
            job.close()
        finish(registrar.register(registrar.table_parameters()))
        return registrar.displacement_ras_mm()[0]

    np.testing.assert_array_equal(field(cancel=True), field(cancel=False))


@pytest.mark.parametrize("steps", [1, 20])
@pytest.mark.parametrize("pair", [volume_pair, slice_pair])
def test_refining_lowers_or_keeps_the_objective(pair, steps):
    registrar = at_table_values(pair(), initial="none")
    parameters = registrar.table_parameters()
    before = finish(registrar.result()).objective_values.objective_after
    finish(registrar.refine(parameters, steps))
    assert finish(registrar.result()).objective_values.objective_after <= before + 1e-4


@pytest.mark.parametrize("pair", [volume_pair, slice_pair])
def test_refining_a_whole_registration_still_lowers_the_objective(pair):
    """Near the minimum too: with the steps that led there, J only goes up and down."""
    registrar = at_table_values(pair(), initial="none")
    parameters = registrar.table_parameters()
    before = finish(registrar.result()).objective_values.objective_after
    finish(registrar.refine(parameters, 20))
    assert finish(registrar.result()).objective_values.objective_after < before - 5e-5


def test_a_stage_takes_the_part_of_the_progress_that_it_takes_of_the_time():
    """Four steps at full resolution against twelve with an eighth of the voxels."""
    registrar = prepared(volume_pair(), initial="none", solver=quick_solver(12, 4))
    coarse = max(
        progress.fraction for progress in registrar.register(registrar.table_parameters()) if "1/2" in progress.text
    )
    assert coarse == pytest.approx(0.58, abs=0.05)


def test_equal_runs_give_equal_fields():
    fields = [registered(volume_pair(), solver=quick_solver()).displacement_ras_mm for _ in range(2)]
    np.testing.assert_array_equal(*fields)


@pytest.mark.parametrize("end", ["finished", "canceled", "failed"])
def test_thread_count_of_torch_is_restored(end):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        registrar = prepared(slice_pair(), solver=quick_solver(), threads=1)
        job = registrar.register(registrar.table_parameters())
        next(job)
        assert torch.get_num_threads() == 2
        if end == "finished":
            finish(job)
        elif end == "canceled":
            job.close()
        else:
            with pytest.raises(RuntimeError):
                job.throw(RuntimeError)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_steps_run_with_the_threads_asked_for(monkeypatch):
    used = []
    solve = quick_solver().solve
    solver = quick_solver()

    def watched(*arguments):
        job = solve(*arguments)
        while True:
            try:
                progress = next(job)
            except StopIteration as end:
                return end.value
            used.append(torch.get_num_threads())
            yield progress

    monkeypatch.setattr(solver, "solve", watched)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        registrar = prepared(slice_pair(), solver=solver, threads=2)
        for _ in registrar.register(registrar.table_parameters()):
            pass
    finally:
        torch.set_num_threads(before)
    assert set(used) == {2}


def test_inputs_stay_as_they_are():
    pair = volume_pair()
    arrays = [
        pair.fixed.array_kji,
        pair.moving.array_kji,
        pair.fixed_segmentation.labels_kji,
        pair.moving_segmentation.labels_kji,
    ]
    copies = [array.copy() for array in arrays]
    registered(pair, solver=quick_solver())
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


# -- misuse ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lame", [Lame(1000.0, 1.0), Lame(1.0, 1000.0), Lame(0.001, 1.0)])
def test_parameters_outside_of_the_scale_are_refused_with_the_tissue(lame):
    registrar = prepared(slice_pair())
    bone = next(tissue for tissue in registrar.tissues if tissue.name == "bone")
    with pytest.raises(ValueError, match="'bone' is outside the allowed range"):
        registrar.register(registrar.table_parameters().with_tissue(bone.label, lame))


def test_default_parameters_outside_of_the_scale_are_refused():
    registrar = prepared(slice_pair())
    with pytest.raises(ValueError, match="outside the allowed range"):
        registrar.register(TissueParameters({}, default=Lame(1000.0, 1.0)))


def test_result_before_register_is_refused():
    registrar = prepared(slice_pair())
    with pytest.raises(ValueError, match="register"):
        registrar.result()


def test_register_before_prepare_is_refused():
    with pytest.raises(ValueError, match="prepare"):
        Registrar(slice_pair()).register(TissueParameters())


def test_slice_with_volume_is_refused():
    pair = ImagePair(slice_case().fixed, volume_pair().moving, slice_case().fixed_segmentation)
    with pytest.raises(ValueError, match="both be volumes or both be single slices"):
        finish(Registrar(pair).prepare())


def test_unlisted_tissue_takes_the_default_parameters():
    pair = volume_pair()
    named = replace(pair.fixed_segmentation, tissues=(*pair.fixed_segmentation.tissues, Tissue(9, "liver")))
    registrar = prepared(replace(pair, fixed_segmentation=named), initial="none", solver=quick_solver())
    finish(registrar.register(TissueParameters({1: Lame(5.0, 2.0)}, default=Lame(0.3, 0.7))))
    result = finish(registrar.result())
    assert [tissue_row(result, name).parameters for name in ("soft", "lung")] == [Lame(5.0, 2.0), Lame(0.3, 0.7)]


def test_a_second_registration_does_not_count_the_seconds_of_the_first():
    registrar = prepared(slice_pair(), solver=quick_solver())
    parameters = registrar.table_parameters()
    for _ in range(2):
        finish(registrar.register(parameters))
        finish(registrar.refine(parameters, 3))
    finish(registrar.register(parameters))
    assert set(finish(registrar.result()).seconds) == {"prepare", "register", "evaluate"}


class Exploding(DirectSolver):
    """A solver whose velocity is not finite from the third step on."""

    def total(self, level, velocity, *arguments, **options):
        self.calls = getattr(self, "calls", 0) + 1
        return super().total(level, velocity * (float("nan") if self.calls > 2 else 1.0), *arguments, **options)


@pytest.mark.parametrize("pair", [volume_pair, slice_pair])
def test_a_velocity_that_is_not_finite_ends_the_registration_and_not_the_process(pair):
    registrar = prepared(pair(), initial="none", solver=Exploding())
    with pytest.raises(ArithmeticError, match="unstable: the objective is nan"):
        finish(registrar.register(registrar.table_parameters()))
