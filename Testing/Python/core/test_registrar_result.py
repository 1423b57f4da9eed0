"""What a registrar returns: warped images and measures, also of a deformation from elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from network_pairs import slice_pair
from synthetic_pairs import (
    FIXED_GRID,
    at_table_values,
    prepared,
    quick_solver,
    registered,
    rigid_lps_transform,
    rigid_ras,
    tissue_row,
    volume_pair,
)

from TissueElasticRegistrationLib.core.data.images import Image, ImagePair, Segmentation
from TissueElasticRegistrationLib.core.data.itk_bridge import displacement_transform, sitk_image
from TissueElasticRegistrationLib.core.data.progress import finish


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
    result = finish(at_table_values(pair, initial="none").result())
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
    bone = tissue_row(result, "bone")
    assert np.isnan([bone.dice_before, bone.dice_after, bone.hd95_mm_before, bone.hd95_mm_after]).all()
    assert tissue_row(result, "lung").dice_after > 0


def test_tissue_warped_out_of_the_field_of_view_has_dice_zero():
    pair = volume_pair()
    far = np.zeros_like(pair.moving_segmentation.labels_kji)
    far[0, 0, :2] = 3
    far[12, 12, 12] = 2
    moving = replace(pair.moving_segmentation, labels_kji=far)
    shift = rigid_lps_transform(rigid_ras((9, 9, 9), (0, 0, 0)))
    result = registered(replace(pair, moving_segmentation=moving), initial=shift, solver=quick_solver())
    assert not (result.warped_segmentation.labels_kji == 3).any()
    assert tissue_row(result, "bone").dice_after == 0


def test_warped_segmentation_only_with_a_moving_segmentation():
    pair = replace(volume_pair(), moving_segmentation=None)
    result = registered(pair, initial="none", solver=quick_solver())
    assert result.warped_segmentation is None
    assert np.isnan(tissue_row(result, "lung").dice_after)


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
    return ImagePair(
        Image(pair.fixed.array_kji[::2].copy(), grid, "fixed"),
        pair.moving,
        Segmentation(segmentation.labels_kji[::2].copy(), grid, segmentation.tissues),
    )


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
    assert judged.objective_values.objective_after == pytest.approx(own.objective_values.objective_after, abs=1e-4)
    for mine, other in zip(own.tissues, judged.tissues, strict=True):
        assert other.dice_after == pytest.approx(mine.dice_after, abs=1e-3, nan_ok=True)
        assert other.strain_rms == pytest.approx(mine.strain_rms, rel=1e-3, nan_ok=True)


def test_judging_no_motion_gives_the_measures_before():
    registrar = prepared(volume_pair(), initial="none")
    shape = registrar.working.geometry.shape_kji
    judged = finish(registrar.evaluate(np.zeros((*shape, 3), np.float32), registrar.table_parameters()))
    assert judged.similarity_after == pytest.approx(judged.similarity_before, abs=1e-6)
    assert tissue_row(judged, "bone").dice_after == tissue_row(judged, "bone").dice_before
    assert judged.negative_jacobian_percent == 0


def test_judging_leaves_the_registration_alone():
    registrar = prepared(slice_pair(), solver=quick_solver())
    finish(registrar.register(registrar.table_parameters()))
    before = registrar.displacement_ras_mm()[0]
    zero = np.zeros((*registrar.working.geometry.shape_kji, 3), np.float32)
    finish(registrar.evaluate(zero, registrar.table_parameters()))
    np.testing.assert_array_equal(registrar.displacement_ras_mm()[0], before)
