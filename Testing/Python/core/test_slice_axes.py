"""A slice is a slice along whichever axis it is stored: the same registration, results in the order of the input."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_pairs import (
    displacement_at,
    grid,
    pair_of,
    quick_solver,
    registered,
    rotation,
    slice_case,
    slice_pair_stored_along,
)

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.data.images import Image
from TissueElasticRegistrationLib.core.preparation.preprocessing import resampled_image
from TissueElasticRegistrationLib.core.reporting.picture_planes import picture_planes

SOLVER = quick_solver(4, 2)


@pytest.fixture(scope="module")
def usual():
    return registered(pair_of(slice_case()), solver=SOLVER)


@pytest.mark.parametrize(("fixed_axis", "moving_axis"), [(1, 1), (2, 2), (1, 0), (0, 2)])
def test_registration_does_not_depend_on_the_axis(usual, fixed_axis, moving_axis):
    pair = slice_pair_stored_along(fixed_axis, moving_axis)
    result = registered(pair, solver=SOLVER)
    assert result.warped.geometry.shape_kji == pair.fixed.geometry.shape_kji
    assert result.warped_segmentation.labels_kji.shape == pair.fixed.array_kji.shape
    np.testing.assert_allclose(np.moveaxis(result.warped.array_kji, fixed_axis, 0), usual.warped.array_kji, atol=1e-2)
    points = pair_of(slice_case()).fixed.geometry.voxel_centers_ras_mm()[:, ::5, ::5]
    np.testing.assert_allclose(displacement_at(result, points), displacement_at(usual, points), atol=1e-3)
    assert [row.dice_after for row in result.tissues] == pytest.approx(
        [row.dice_after for row in usual.tissues], abs=1e-6, nan_ok=True
    )
    assert [row.hd95_mm_after for row in result.tissues] == pytest.approx(
        [row.hd95_mm_after for row in usual.tissues], abs=1e-4, nan_ok=True
    )


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_report_shows_the_plane_of_the_slice_alone(axis):
    planes = picture_planes(slice_pair_stored_along(axis, axis).fixed_segmentation)
    (usual,) = picture_planes(pair_of(slice_case()).fixed_segmentation)
    assert [(plane.name, plane.geometry.shape_kji) for plane in planes] == [(usual.name, usual.geometry.shape_kji)]


@pytest.mark.parametrize("shape", [(2, 30, 26), (30, 3, 26), (30, 26, 2)])
def test_stacks_of_two_or_three_slices_are_volumes_along_every_axis(shape):
    geometry = grid(shape, (4.5, 2.6, 3.0), rotation(10, 5, 3))
    image = Image(np.random.default_rng(0).normal(size=shape), geometry)
    assert not image.geometry.is_slice


@pytest.mark.parametrize("shape", [(1, 3, 26), (3, 1, 26), (2, 3, 26), (1, 1, 26)])
def test_images_of_a_few_rows_are_refused(shape):
    with pytest.raises(ValueError, match=f"at least 4 voxels .* not 26 x {shape[1]} x {shape[0]} voxels"):
        Image(np.random.default_rng(0).normal(size=shape), grid(shape, (4.5, 2.6, 3.0), np.eye(3)))


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 2, 1)])
def test_coarser_image_does_not_depend_on_the_storage_order(order):
    """Voxels are averaged along the axes that become coarser, whichever these are in the file."""
    geometry = grid((24, 20, 28), (1.0, 1.0, 1.0), rotation(10, 5, 3))
    array = np.random.default_rng(0).normal(size=geometry.shape_kji).astype(np.float32)
    columns = [*(2 - order[2 - column] for column in range(3)), 3]
    stored = Image(
        np.ascontiguousarray(array.transpose(order)),
        Geometry(array.transpose(order).shape, geometry.ijk_to_ras[:, columns]),
    )
    coarse = geometry.resampled((4.0, 2.0, 1.0), (6, 10, 28))
    np.testing.assert_allclose(
        resampled_image(stored, coarse), resampled_image(Image(array, geometry), coarse), atol=1e-5
    )
