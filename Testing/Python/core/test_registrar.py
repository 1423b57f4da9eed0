"""The registrar on small pairs with known deformation: how well it finds it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from synthetic_pairs import (
    FIXED_GRID,
    displacement_at,
    pair_of,
    prepared,
    registered,
    slice_case,
    thorax_case,
    tissue_row,
    true_displacement_ras_mm,
    volume_pair,
)

from TissueElasticRegistrationLib.core.data.images import ImagePair
from TissueElasticRegistrationLib.core.data.progress import finish
from TissueElasticRegistrationLib.core.data.tissues import Lame
from training.phantoms import PhantomCase, make_case


def body_error_mm(case: PhantomCase, displacement_ras_mm: np.ndarray | float) -> np.ndarray:
    """Distance to the true displacement for every voxel of the body whose counterpart is in the moving image."""
    body = (case.fixed_segmentation.labels_kji > 0) & case.valid
    return np.linalg.norm(displacement_ras_mm - case.displacement_ras_mm, axis=-1)[body]


def field_on_fixed(result, geometry) -> np.ndarray:
    return displacement_at(result, geometry.voxel_centers_ras_mm())


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
    centers = FIXED_GRID.voxel_centers_ras_mm()[pair.fixed_segmentation.labels_kji > 0]
    truth = true_displacement_ras_mm(centers)
    result = registered(pair, initial="none")
    error_mm = np.linalg.norm(displacement_at(result, centers) - truth, axis=-1)
    assert error_mm.mean() < 0.4 * np.linalg.norm(truth, axis=-1).mean()


def test_slice_phantom_is_recovered_to_a_fraction_of_a_voxel():
    case = make_case(2, 5, oblique=True)
    result = registered(pair_of(case))
    before_mm = body_error_mm(case, 0).mean()
    assert before_mm > 4
    assert body_error_mm(case, field_on_fixed(result, case.fixed.geometry)).mean() < 1.2
    assert np.mean([tissue_row(result, name).dice_after for name in ("lung", "bone", "liver")]) > 0.95


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


REARRANGED = {
    "left-right": lambda array: np.flip(array, 2),
    "up-down": lambda array: np.flip(array, 1),
    "transposed": lambda array: np.swapaxes(array, 1, 2),
}


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
    body = move(case.fixed_segmentation.labels_kji > 0)  # in air nothing but the weakest regularizer decides
    assert np.linalg.norm(difference_mm, axis=0)[body].mean() < 0.1


def rearranged(case: PhantomCase, move) -> ImagePair:
    """The pair with its voxels in another order on the same (square) grid."""
    fixed, moving = (
        replace(image, array_kji=np.ascontiguousarray(move(image.array_kji))) for image in (case.fixed, case.moving)
    )
    labels_kji = np.ascontiguousarray(move(case.fixed_segmentation.labels_kji))
    return ImagePair(fixed, moving, replace(case.fixed_segmentation, labels_kji=labels_kji))


def test_stiffer_bone_strains_less():
    case = slice_case()
    registrar = prepared(pair_of(case))
    bone = next(tissue.label for tissue in registrar.tissues if tissue.name == "bone")
    strains = []
    for weight in (0.1, 1.0, 10.0, 100.0):
        finish(registrar.register(registrar.table_parameters().with_tissue(bone, Lame(weight, weight))))
        strains.append(tissue_row(finish(registrar.result()), "bone").strain_rms)
    assert strains == sorted(strains, reverse=True)
    assert strains[-1] < 0.3 * strains[0]
