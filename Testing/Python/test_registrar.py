"""The registrar on small pairs with known deformation: accuracy, evaluation and what its jobs leave behind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from synthetic_pairs import (
    FIXED_GRID,
    displacement_at,
    pair_of,
    prepared,
    quick_solver,
    registered,
    rigid_lps_transform,
    rigid_ras,
    slice_case,
    thorax_case,
    true_displacement_ras_mm,
    volume_pair,
)

from TissueElasticRegistrationLib.core.images import Image, ImagePair, Segmentation
from TissueElasticRegistrationLib.core.itk_bridge import displacement_transform, sitk_image
from TissueElasticRegistrationLib.core.progress import finish
from TissueElasticRegistrationLib.core.registrar import Registrar
from TissueElasticRegistrationLib.core.solvers.direct import DirectSolver
from TissueElasticRegistrationLib.core.tissues import Lame, Tissue, TissueParameters
from training.phantoms import PhantomCase, make_case


def body_error_mm(case: PhantomCase, displacement_ras_mm: np.ndarray | float) -> np.ndarray:
    """Distance to the true displacement for every voxel of the body whose counterpart is in the moving image."""
    body = (case.fixed_segmentation.labels_kji > 0) & case.valid
    return np.linalg.norm(displacement_ras_mm - case.displacement_ras_mm, axis=-1)[body]


def field_on_fixed(result, geometry) -> np.ndarray:
    return displacement_at(result, geometry.voxel_centres_ras_mm())


def row(result, name: str):
    return next(tissue for tissue in result.tissues if tissue.tissue.name == name)


# -- accuracy --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [slice_case, thorax_case])
def test_identical_images_give_nearly_no_displacement(case):
    pair = pair_of(case())
    result = registered(ImagePair(pair.fixed, pair.fixed, pair.fixed_segmentation))
    inside = pair.fixed_segmentation.labels_kji > 0
    length_mm = np.linalg.norm(field_on_fixed(result, pair.fixed.geometry), axis=-1)[inside]
    voxel_mm = pair.fixed.geometry.spacing_ijk_mm[0]
    assert length_mm.mean() < 0.1 * voxel_mm
    assert length_mm.max() < 0.35 * voxel_mm


def test_smooth_deformation_is_recovered_on_an_oblique_anisotropic_pair():
    pair = volume_pair()
    centres = FIXED_GRID.voxel_centres_ras_mm()[pair.fixed_segmentation.labels_kji > 0]
    truth = true_displacement_ras_mm(centres)
    result = registered(pair, initial="none")
    error_mm = np.linalg.norm(displacement_at(result, centres) - truth, axis=-1)
    assert error_mm.mean() < 0.4 * np.linalg.norm(truth, axis=-1).mean()


def test_slice_phantom_is_recovered_to_a_fraction_of_a_voxel():
    case = make_case(2, 5, oblique=True)
    result = registered(pair_of(case))
    before_mm = body_error_mm(case, 0).mean()
    assert before_mm > 4
    assert body_error_mm(case, field_on_fixed(result, case.fixed.geometry)).mean() < 1.2
    assert np.mean([row(result, name).dice_after for name in ("lung", "bone", "liver")]) > 0.95


def test_volume_phantom_is_recovered():
    case = thorax_case()
    result = registered(pair_of(case))
    after_mm = body_error_mm(case, field_on_fixed(result, case.fixed.geometry)).mean()
    assert after_mm < 0.4 * body_error_mm(case, 0).mean()


def test_displacement_of_an_oblique_slice_stays_in_its_plane():
    case = slice_case()
    field = registered(pair_of(case)).displacement_ras_mm
    matrix = case.fixed.geometry.ijk_to_ras
    assert np.abs(field).max() > 5
    assert np.abs(field @ (matrix[:3, 2] / np.linalg.norm(matrix[:3, 2]))).max() < 1e-4


REARRANGED = {"left-right": lambda array: np.flip(array, 2), "up-down": lambda array: np.flip(array, 1),
              "transposed": lambda array: np.swapaxes(array, 1, 2)}


@pytest.mark.parametrize("how", REARRANGED)
def test_flipped_and_transposed_slices_give_the_same_field_in_the_body(how):
    case = make_case(2, 6, oblique=True)
    geometry, move = case.fixed.geometry, REARRANGED[how]
    result = registered(pair_of(case))
    expected = np.stack([move(part) for part in geometry.displacement_grid(field_on_fixed(result, geometry))])
    if how == "transposed":
        expected = expected[[0, 2, 1]]
    else:
        expected[2 if how == "left-right" else 1] *= -1
    again = registered(rearranged(case, move))
    voxel_mm = geometry.spacing_ijk_mm[0]
    difference_mm = (geometry.displacement_grid(field_on_fixed(again, geometry)) - expected) * voxel_mm
    body = move(case.fixed_segmentation.labels_kji > 0)  # in air nothing but the weakest regulariser decides
    assert np.linalg.norm(difference_mm, axis=0)[body].mean() < 0.1


def rearranged(case: PhantomCase, move) -> ImagePair:
    """The pair with its voxels in another order on the same (square) grid."""
    fixed, moving = (replace(image, array_kji=np.ascontiguousarray(move(image.array_kji)))
                     for image in (case.fixed, case.moving))
    labels_kji = np.ascontiguousarray(move(case.fixed_segmentation.labels_kji))
    return ImagePair(fixed, moving, replace(case.fixed_segmentation, labels_kji=labels_kji))


def test_stiffer_bone_strains_less():
    case = slice_case()
    registrar = prepared(pair_of(case))
    bone = next(tissue.label for tissue in registrar.tissues if tissue.name == "bone")
    strains = []
    for weight in (0.1, 1.0, 10.0, 100.0):
        finish(registrar.register(registrar.table_parameters().with_tissue(bone, Lame(weight, weight))))
        strains.append(row(finish(registrar.result()), "bone").strain_rms)
    assert strains == sorted(strains, reverse=True)
    assert strains[-1] < 0.3 * strains[0]


# -- the result ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("initial", ["none", "rigid", "given"])
def test_simpleitk_warps_the_moving_volume_as_the_result_says(initial):
    pair = volume_pair()
    given = rigid_lps_transform(rigid_ras((2, -3, 1), (2, 1, -3)))
    result = registered(pair, initial=given if initial == "given" else initial, solver=quick_solver())
    assert result.initial == initial
    transform = displacement_transform(result.displacement_ras_mm, result.geometry)
    applied = sitk.Resample(sitk_image(pair.moving), sitk_image(pair.fixed), transform, sitk.sitkLinear)
    difference = np.abs(sitk.GetArrayFromImage(applied) - result.warped.array_kji)[result.valid_kji]
    assert result.valid_kji.mean() > 0.5
    assert difference.max() <= 0.005 * np.ptp(pair.moving.array_kji)


def test_warped_image_resembles_the_fixed_one_more_than_before():
    pair = volume_pair()
    result = registered(pair, initial="none")
    before = sitk.GetArrayFromImage(sitk.Resample(sitk_image(pair.moving), sitk_image(pair.fixed)))
    body = pair.fixed_segmentation.labels_kji > 0
    errors = [np.abs(values - pair.fixed.array_kji)[body].mean() for values in (result.warped.array_kji, before)]
    assert errors[0] < 0.6 * errors[1]
    assert result.similarity_after > result.similarity_before


def test_tissue_absent_from_the_moving_image_has_no_overlap_to_measure():
    pair = volume_pair()
    moving = pair.moving_segmentation
    without_bone = replace(moving, labels_kji=np.where(moving.labels_kji == 3, 1, moving.labels_kji))
    result = registered(replace(pair, moving_segmentation=without_bone), initial="none", solver=quick_solver())
    bone = row(result, "bone")
    assert np.isnan([bone.dice_before, bone.dice_after, bone.hd95_mm_before, bone.hd95_mm_after]).all()
    assert row(result, "lung").dice_after > 0


def test_tissue_warped_out_of_the_field_of_view_has_dice_zero():
    pair = volume_pair()
    far = np.zeros_like(pair.moving_segmentation.labels_kji)
    far[0, 0, :2] = 3
    far[12, 12, 12] = 2
    moving = replace(pair.moving_segmentation, labels_kji=far)
    shift = rigid_lps_transform(rigid_ras((9, 9, 9), (0, 0, 0)))
    result = registered(replace(pair, moving_segmentation=moving), initial=shift, solver=quick_solver())
    assert not (result.warped_segmentation.labels_kji == 3).any()
    assert row(result, "bone").dice_after == 0


def test_warped_segmentation_only_with_a_moving_segmentation():
    pair = replace(volume_pair(), moving_segmentation=None)
    result = registered(pair, initial="none", solver=quick_solver())
    assert result.warped_segmentation is None
    assert np.isnan(row(result, "lung").dice_after)


def test_thick_slices_are_neither_resampled_nor_pooled():
    thick = make_thick(volume_pair())
    working = prepared(thick, initial="none").working
    assert working.spacing_mm[0] == pytest.approx(9.0)
    assert working.geometry.shape_kji[0] == thick.fixed.geometry.shape_kji[0]
    assert working.pooled_axes == (False, True, True)
    assert registered(thick, initial="none").similarity_after > 0


def make_thick(pair: ImagePair) -> ImagePair:
    """Every second slice of the fixed image only: 9 mm slices with 2.6 x 3 mm voxels."""
    grid = FIXED_GRID.resampled((9.0, 2.6, 3.0), (9, 30, 26))
    segmentation = pair.fixed_segmentation
    return ImagePair(Image(pair.fixed.array_kji[::2].copy(), grid, "fixed"), pair.moving,
                     Segmentation(segmentation.labels_kji[::2].copy(), grid, segmentation.tissues))


# -- jobs ------------------------------------------------------------------------------------------------------------


def test_every_job_yields_after_bounded_steps():
    registrar = Registrar(volume_pair(), initial="none", solver=quick_solver(7, 4), threads=1)
    jobs = [registrar.prepare()]
    counts = []
    for job in (lambda: jobs[0], lambda: registrar.register(registrar.table_parameters()),
                lambda: registrar.refine(registrar.table_parameters(), 5), registrar.result):
        fractions = [progress.fraction for progress in job()]
        assert fractions == sorted(fractions)
        assert fractions[0] >= 0 and fractions[-1] <= 1
        counts.append(len(fractions))
    assert counts[0] >= 3 and counts[1:3] == [22, 10] and counts[3] >= 4


def test_cancelled_registration_keeps_the_earlier_one():
    registrar = prepared(volume_pair(), initial="none", solver=quick_solver())
    finish(registrar.register(registrar.table_parameters()))
    before = registrar.displacement_ras_mm()[0]
    soft = TissueParameters({}, default=Lame(0.1, 0.1))
    for job in (registrar.register(soft), registrar.refine(soft, 9), registrar.live(soft)):
        for _ in range(3):
            next(job)
        job.close()
    np.testing.assert_array_equal(registrar.displacement_ras_mm()[0], before)
    assert row(finish(registrar.result()), "lung").parameters == registrar.table_parameters()[2]


def test_cancelled_registration_does_not_change_the_next_one():
    def field(cancel: bool) -> np.ndarray:
        registrar = prepared(slice_pair(), solver=quick_solver())
        if cancel:
            job = registrar.register(registrar.table_parameters())
            next(job)
            job.close()
        finish(registrar.register(registrar.table_parameters()))
        return registrar.displacement_ras_mm()[0]

    np.testing.assert_array_equal(field(cancel=True), field(cancel=False))


def slice_pair() -> ImagePair:
    return pair_of(slice_case())


@pytest.mark.parametrize("steps", [1, 20])
@pytest.mark.parametrize("pair", [volume_pair, slice_pair])
def test_refining_lowers_or_keeps_the_objective(pair, steps):
    registrar = prepared(pair(), initial="none")
    parameters = registrar.table_parameters()
    finish(registrar.register(parameters))
    before = finish(registrar.result()).account.objective_after
    finish(registrar.refine(parameters, steps))
    assert finish(registrar.result()).account.objective_after <= before + 1e-4


@pytest.mark.parametrize("pair", [volume_pair, slice_pair])
def test_refining_a_whole_registration_still_lowers_the_objective(pair):
    """Near the minimum too: with the steps that led there, J only goes up and down."""
    registrar = prepared(pair(), initial="none")
    parameters = registrar.table_parameters()
    finish(registrar.register(parameters))
    before = finish(registrar.result()).account.objective_after
    finish(registrar.refine(parameters, 20))
    assert finish(registrar.result()).account.objective_after < before - 5e-5


def test_a_stage_takes_the_part_of_the_progress_that_it_takes_of_the_time():
    """Four steps at full resolution against twelve with an eighth of the voxels."""
    registrar = prepared(volume_pair(), initial="none", solver=quick_solver(12, 4))
    coarse = max(progress.fraction for progress in registrar.register(registrar.table_parameters())
                 if "1/2" in progress.text)
    assert coarse == pytest.approx(0.58, abs=0.05)


def test_equal_runs_give_equal_fields():
    fields = [registered(volume_pair(), solver=quick_solver()).displacement_ras_mm for _ in range(2)]
    np.testing.assert_array_equal(*fields)


@pytest.mark.parametrize("end", ["finished", "cancelled", "failed"])
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
        elif end == "cancelled":
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
    arrays = [pair.fixed.array_kji, pair.moving.array_kji, pair.fixed_segmentation.labels_kji,
              pair.moving_segmentation.labels_kji]
    copies = [array.copy() for array in arrays]
    registered(pair, solver=quick_solver())
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


# -- misuse ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lame", [Lame(1000.0, 1.0), Lame(1.0, 1000.0), Lame(0.001, 1.0)])
def test_parameters_outside_of_the_scale_are_refused_with_the_tissue(lame):
    registrar = prepared(slice_pair())
    bone = next(tissue for tissue in registrar.tissues if tissue.name == "bone")
    with pytest.raises(ValueError, match="'bone' is outside of the allowed range"):
        registrar.register(registrar.table_parameters().with_tissue(bone.label, lame))


def test_default_parameters_outside_of_the_scale_are_refused():
    registrar = prepared(slice_pair())
    with pytest.raises(ValueError, match="outside of the allowed range"):
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
    assert [row(result, name).parameters for name in ("soft", "lung")] == [Lame(5.0, 2.0), Lame(0.3, 0.7)]


def test_a_second_registration_does_not_count_the_seconds_of_the_first():
    registrar = prepared(slice_pair(), solver=quick_solver())
    parameters = registrar.table_parameters()
    for _ in range(2):
        finish(registrar.register(parameters))
        finish(registrar.refine(parameters, 3))
    finish(registrar.register(parameters))
    assert set(finish(registrar.result()).seconds) == {"prepare", "register", "evaluate"}


# -- judging a deformation from elsewhere ----------------------------------------------------------------------------


@pytest.mark.parametrize("pair", [volume_pair, slice_pair])
def test_judging_the_own_displacement_gives_the_own_result(pair):
    registrar = prepared(pair(), initial="none", solver=quick_solver())
    parameters = registrar.table_parameters()
    finish(registrar.register(parameters))
    own = finish(registrar.result())
    inner = (slice(1, -1),) * 3
    judged = finish(registrar.evaluate(own.displacement_ras_mm[inner], parameters))
    np.testing.assert_allclose(judged.displacement_ras_mm[inner], own.displacement_ras_mm[inner], atol=1e-4)
    assert judged.account.objective_after == pytest.approx(own.account.objective_after, abs=1e-4)
    for mine, other in zip(own.tissues, judged.tissues, strict=True):
        assert other.dice_after == pytest.approx(mine.dice_after, abs=1e-3, nan_ok=True)
        assert other.strain_rms == pytest.approx(mine.strain_rms, rel=1e-3, nan_ok=True)


def test_judging_no_motion_gives_the_measures_before():
    registrar = prepared(volume_pair(), initial="none")
    shape = registrar.working.geometry.shape_kji
    judged = finish(registrar.evaluate(np.zeros((*shape, 3), np.float32), registrar.table_parameters()))
    assert judged.similarity_after == pytest.approx(judged.similarity_before, abs=1e-6)
    assert row(judged, "bone").dice_after == row(judged, "bone").dice_before
    assert judged.negative_jacobian_percent == 0


def test_judging_leaves_the_registration_alone():
    registrar = prepared(slice_pair(), solver=quick_solver())
    finish(registrar.register(registrar.table_parameters()))
    before = registrar.displacement_ras_mm()[0]
    zero = np.zeros((*registrar.working.geometry.shape_kji, 3), np.float32)
    finish(registrar.evaluate(zero, registrar.table_parameters()))
    np.testing.assert_array_equal(registrar.displacement_ras_mm()[0], before)


class Exploding(DirectSolver):
    """A solver whose velocity is not finite from the third step on."""

    def _terms(self, level, velocity, *arguments, **options):
        self.calls = getattr(self, "calls", 0) + 1
        return super()._terms(level, velocity * (float("nan") if self.calls > 2 else 1.0), *arguments, **options)


@pytest.mark.parametrize("pair", [volume_pair, slice_pair])
def test_a_velocity_that_is_not_finite_ends_the_registration_and_not_the_process(pair):
    registrar = prepared(pair(), initial="none", solver=Exploding())
    with pytest.raises(ArithmeticError, match="unstable: the objective is nan"):
        finish(registrar.register(registrar.table_parameters()))
