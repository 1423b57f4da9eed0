"""The grid a registration works on: what it covers, its voxel size, its padding, the budget."""

from __future__ import annotations

import numpy as np
import pytest
from oblique_data import oblique_geometry

from TissueElasticRegistrationLib.core.data.geometry import Geometry, Turn
from TissueElasticRegistrationLib.core.data.images import Image
from TissueElasticRegistrationLib.core.preparation.preprocessing import resampled_image
from TissueElasticRegistrationLib.core.preparation.working_grid import (
    PADDING_MULTIPLE,
    VOXEL_BUDGET_2D,
    VOXEL_BUDGET_3D,
    working_grid,
)


def straight(shape_kji, spacing_kji_mm) -> Geometry:
    return Geometry(shape_kji, np.diag([*spacing_kji_mm[::-1], 1.0]))


IMAGES = {
    "thin slices": straight((40, 70, 50), (1.0, 0.8, 0.8)),
    "thick slices": straight((21, 90, 70), (5.0, 0.9, 0.9)),
    "sagittal": straight((70, 90, 21), (0.9, 0.9, 5.0)),
    "oblique": oblique_geometry((20, 45, 60)),
    "large": straight((600, 512, 512), (0.6, 0.7, 0.7)),
    "large with thick slices": straight((60, 1024, 1024), (6.0, 0.4, 0.4)),
    "slice": oblique_geometry((1, 130, 90)),
    "large slice": straight((1, 2000, 1500), (5.0, 0.2, 0.2)),
    "tiny": straight((2, 3, 5), (1.0, 1.0, 1.0)),
    "one voxel": straight((1, 1, 1), (2.0, 2.0, 2.0)),
    "one row": straight((1, 1, 40), (2.0, 2.0, 2.0)),
}
every_image = pytest.mark.parametrize("fixed", IMAGES.values(), ids=IMAGES)


@every_image
def test_grid_covers_the_fixed_image_and_hardly_more(fixed):
    inner = working_grid(fixed).inner
    last = np.array(inner.shape_kji[::-1]) - 0.5
    corners = inner.points_ijk(fixed.corners_ras_mm())
    overhang = np.concatenate([corners.min(0) + 0.5, last - corners.max(0)])
    assert overhang.min() > -1e-3 and overhang.max() < 0.5 + 1e-3


@every_image
def test_grid_keeps_the_axes_and_the_center_of_the_image(fixed):
    inner = working_grid(fixed).inner
    np.testing.assert_allclose(inner.direction_lps, fixed.direction_lps, atol=1e-9)
    np.testing.assert_allclose(inner.corners_ras_mm().mean(0), fixed.corners_ras_mm().mean(0), atol=1e-6)


@every_image
def test_grid_stays_within_the_voxel_budget_but_uses_it(fixed):
    inner = working_grid(fixed).inner
    voxels, single = np.prod(inner.shape_kji), fixed.shape_kji[0] == 1
    budget = VOXEL_BUDGET_2D if single else VOXEL_BUDGET_3D
    assert voxels <= budget
    if np.prod(fixed.shape_kji) > budget:
        assert voxels > 0.85 * budget


@every_image
def test_voxels_are_not_smaller_than_the_smallest_of_the_image(fixed):
    assert working_grid(fixed).inner.spacing_kji_mm.min() >= fixed.spacing_kji_mm.min() - 1e-9


@every_image
def test_pooled_axes_are_padded_to_the_multiple_and_others_not_at_all(fixed):
    grid = working_grid(fixed)
    for axis, pooled in enumerate(grid.pooled_kji):
        added = grid.before_kji[axis] + grid.after_kji[axis]
        assert grid.geometry.shape_kji[axis] == grid.inner.shape_kji[axis] + added
        if pooled:
            assert grid.geometry.shape_kji[axis] % PADDING_MULTIPLE == 0 and 0 <= added < PADDING_MULTIPLE
            assert abs(grid.after_kji[axis] - grid.before_kji[axis]) <= 1
        else:
            assert added == 0


@every_image
def test_tensors_have_the_axes_that_spacing_and_pooling_speak_of(fixed):
    grid = working_grid(fixed)
    dimension = 2 if grid.is_slice else 3
    assert grid.is_slice == (fixed.shape_kji[0] == 1)
    assert len(grid.spacing_mm) == len(grid.pooled_axes) == dimension
    np.testing.assert_allclose(grid.spacing_mm, grid.inner.spacing_kji_mm[-dimension:])
    assert grid.pooled_axes == grid.pooled_kji[-dimension:]


# ---- voxel size ---------------------------------------------------------------------------------


def test_grid_is_isotropic_where_the_slices_are_thin():
    grid = working_grid(straight((40, 70, 50), (1.5, 0.8, 0.8)))
    np.testing.assert_allclose(grid.spacing_mm, (0.8, 0.8, 0.8))
    assert grid.inner.shape_kji == (75, 70, 50) and grid.pooled_axes == (True, True, True)


@pytest.mark.parametrize(("name", "axis"), [("thick slices", 0), ("sagittal", 2), ("large with thick slices", 0)])
def test_thick_slices_are_neither_resampled_nor_pooled_across(name, axis):
    fixed, grid = IMAGES[name], working_grid(IMAGES[name])
    assert grid.inner.shape_kji[axis] == fixed.shape_kji[axis]
    assert grid.spacing_mm[axis] == pytest.approx(fixed.spacing_kji_mm[axis])
    assert grid.pooled_axes == tuple(other != axis for other in range(3))


def test_slices_become_thick_or_not_at_the_ratio_of_two():
    assert working_grid(straight((20, 40, 40), (2.0, 1.0, 1.0))).inner.shape_kji[0] == 40
    assert working_grid(straight((20, 40, 40), (2.1, 1.0, 1.0))).inner.shape_kji[0] == 20


def test_image_that_fits_the_budget_keeps_its_isotropic_voxels():
    fixed = straight((20, 33, 45), (1.1, 1.1, 1.1))
    grid = working_grid(fixed)
    assert grid.inner.agrees_with(fixed, 1e-9)
    assert grid.geometry.shape_kji == (32, 48, 48)


def test_the_odd_voxel_is_added_at_the_back_left_and_top():
    """i and j of this image run to the right and to the front, k to the top."""
    grid = working_grid(straight((21, 33, 45), (1.1, 1.1, 1.1)))
    assert (grid.before_kji, grid.after_kji) == ((5, 8, 2), (6, 7, 1))


def test_finest_voxel_coarsens_but_never_refines():
    fixed = straight((40, 70, 50), (1.0, 1.0, 1.0))
    np.testing.assert_allclose(working_grid(fixed, 2.5).spacing_mm, (2.5, 2.5, 2.5))
    assert working_grid(fixed, 2.5).inner.shape_kji == (16, 28, 20)
    np.testing.assert_allclose(working_grid(fixed, 0.1).spacing_mm, (1.0, 1.0, 1.0))


def test_finest_voxel_makes_thick_slices_thin_once_it_is_half_as_large():
    fixed = straight((20, 60, 60), (5.0, 1.0, 1.0))
    assert working_grid(fixed, 2.4).spacing_mm == pytest.approx((5.0, 2.4, 2.4))
    assert working_grid(fixed, 2.5).spacing_mm == pytest.approx((2.5, 2.5, 2.5))


def test_single_slice_keeps_its_thickness_and_its_anisotropy():
    grid = working_grid(straight((1, 60, 80), (5.0, 1.5, 1.0)))
    assert grid.inner.shape_kji == (1, 60, 80) and grid.spacing_mm == pytest.approx((1.5, 1.0))
    assert grid.inner.spacing_kji_mm[0] == pytest.approx(5.0) and grid.pooled_axes == (True, True)


def test_single_slice_thinner_than_its_pixels_keeps_its_thickness():
    assert working_grid(straight((1, 60, 80), (0.5, 1.0, 1.0))).inner.spacing_kji_mm[0] == pytest.approx(0.5)


def test_slices_thinner_than_the_pixels_are_merged():
    grid = working_grid(straight((40, 30, 33), (0.5, 1.0, 1.0)))
    assert grid.inner.shape_kji == (20, 30, 33) and grid.spacing_mm == pytest.approx((1.0, 1.0, 1.0))


def test_tiny_volume_is_kept_as_it_is():
    grid = working_grid(IMAGES["tiny"])
    assert grid.geometry.agrees_with(IMAGES["tiny"], 1e-9) and grid.pooled_axes == (False, False, False)


# ---- padding ------------------------------------------------------------------------------------


def test_padded_array_lies_where_the_padded_grid_says_and_continues_its_border():
    grid = working_grid(oblique_geometry((20, 46, 61)))
    assert grid.before_kji != grid.after_kji
    positions = grid.inner.voxel_centers_ras_mm()
    padded = np.stack([grid.pad(positions[..., axis]) for axis in range(3)], -1)
    assert padded.shape[:3] == grid.geometry.shape_kji
    same = np.linalg.norm(padded - grid.geometry.voxel_centers_ras_mm(), axis=-1) < 1e-6
    assert np.count_nonzero(same) == np.prod(grid.inner.shape_kji)
    np.testing.assert_allclose(padded[0, 0, 0], positions[0, 0, 0])
    np.testing.assert_allclose(padded[-1, -1, -1], positions[-1, -1, -1])


@pytest.mark.parametrize("reversed_kji", [(True, False, False), (False, True, False), (False, False, True)])
def test_the_order_in_which_a_file_is_stored_does_not_change_the_grid(reversed_kji):
    turn = Turn((1, 2, 0), reversed_kji)
    fixed = oblique_geometry((21, 35, 50))
    centers = working_grid(fixed).geometry.voxel_centers_ras_mm()
    stored = working_grid(fixed.turned(turn)).geometry.voxel_centers_ras_mm()
    for axis in range(3):
        np.testing.assert_allclose(turn.applied_to(centers[..., axis]), stored[..., axis], atol=1e-9)


@pytest.mark.parametrize("reversed_kji", [(True, False, False), (False, True, False), (False, False, True)])
def test_the_order_in_which_a_file_is_stored_does_not_change_what_is_averaged(reversed_kji):
    """Two voxels become one along axes of odd length: what is left over has to be on the same side of the patient."""
    turn = Turn((0, 1, 2), reversed_kji)
    geometry = oblique_geometry((21, 35, 51))
    values = np.random.default_rng(2).uniform(size=geometry.shape_kji).astype(np.float32)
    coarse = geometry.resampled(2 * geometry.spacing_kji_mm, (10, 17, 25))
    stored = Image(turn.applied_to(values), geometry.turned(turn))
    np.testing.assert_allclose(
        resampled_image(stored, coarse), resampled_image(Image(values, geometry), coarse), atol=1e-5
    )
