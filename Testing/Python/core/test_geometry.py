"""Grids in space: round trips, units, and agreement with SimpleITK on an oblique, anisotropic grid."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from TissueElasticRegistrationLib.core.data.geometry import Geometry, flip_ras_lps

SHAPE = (5, 7, 11)


def oblique(shape=SHAPE) -> Geometry:
    axes = np.linalg.qr(np.array([[2.0, 0.3, -0.2], [0.1, 1.5, 0.4], [0.3, -0.2, 1.0]]))[0]
    matrix = np.eye(4)
    matrix[:3, :3] = axes * [0.7, 1.9, 3.1]
    matrix[:3, 3] = [-31.0, 17.0, 5.0]
    return Geometry(shape, matrix)


def as_sitk(geometry: Geometry) -> sitk.Image:
    image = sitk.Image(geometry.shape_kji[::-1], sitk.sitkUInt8)
    image.SetOrigin(geometry.origin_lps_mm.tolist())
    image.SetSpacing(geometry.spacing_ijk_mm.tolist())
    image.SetDirection(geometry.direction_lps.ravel().tolist())
    return image


def test_flip_negates_the_first_two_components_and_undoes_itself():
    points = np.array([[1.0, 2.0, 3.0], [-4.0, 5.0, -6.0]])
    np.testing.assert_array_equal(flip_ras_lps(points), [[-1, -2, 3], [4, -5, -6]])
    np.testing.assert_array_equal(flip_ras_lps(flip_ras_lps(points)), points)


def test_flip_keeps_float32():
    assert flip_ras_lps(np.zeros(3, np.float32)).dtype == np.float32


def test_voxel_positions_are_those_of_simpleitk():
    geometry = oblique()
    image = as_sitk(geometry)
    for ijk in ((0, 0, 0), (10, 0, 0), (0, 6, 0), (0, 0, 4), (3, 5, 2)):
        expected = flip_ras_lps(np.array(image.TransformIndexToPhysicalPoint(ijk)))
        np.testing.assert_allclose(geometry.points_ras_mm(np.array(ijk)), expected, atol=1e-9)
        np.testing.assert_allclose(geometry.voxel_centers_ras_mm()[ijk[::-1]], expected, atol=1e-9)


def test_itk_description_round_trip():
    geometry = oblique()
    image = as_sitk(geometry)
    again = Geometry.from_lps(SHAPE, image.GetOrigin(), image.GetSpacing(), image.GetDirection())
    np.testing.assert_allclose(again.ijk_to_ras, geometry.ijk_to_ras, atol=1e-12)


def test_spacing_orders():
    np.testing.assert_allclose(oblique().spacing_ijk_mm, [0.7, 1.9, 3.1])
    np.testing.assert_allclose(oblique().spacing_kji_mm, [3.1, 1.9, 0.7])


def test_points_round_trip():
    geometry = oblique()
    points = np.random.default_rng(0).normal(0, 50, (4, 6, 3))
    np.testing.assert_allclose(geometry.points_ijk(geometry.points_ras_mm(points)), points, atol=1e-9)


def test_corners_are_voxel_edges():
    geometry = Geometry((2, 3, 4), np.diag([1.0, 2.0, 3.0, 1.0]))
    corners = geometry.corners_ras_mm()
    np.testing.assert_allclose(corners.min(0), [-0.5, -1.0, -1.5])
    np.testing.assert_allclose(corners.max(0), [3.5, 5.0, 4.5])


@pytest.mark.parametrize(("channel", "axis"), [(0, 2), (1, 1), (2, 0)])
def test_displacement_of_one_voxel_is_the_vector_to_the_next_voxel(channel, axis):
    geometry = oblique()
    grid = np.zeros((3, *SHAPE), np.float32)
    grid[channel] = 1
    expected = geometry.ijk_to_ras[:3, axis]
    np.testing.assert_allclose(geometry.displacement_ras_mm(grid)[2, 3, 4], expected, rtol=1e-6)


def test_displacement_round_trip():
    geometry = oblique()
    grid = np.random.default_rng(0).normal(0, 2, (3, *SHAPE)).astype(np.float32)
    displacement = geometry.displacement_ras_mm(grid)
    assert displacement.shape == (*SHAPE, 3) and displacement.dtype == np.float32
    np.testing.assert_allclose(geometry.displacement_grid(displacement), grid, atol=1e-5)


def test_displacement_length_in_mm_is_kept():
    geometry = oblique()
    grid = np.random.default_rng(0).normal(0, 2, (3, *SHAPE)).astype(np.float32)
    squared_mm2 = sum((grid[n] * geometry.spacing_kji_mm[n]) ** 2 for n in range(3))
    length_mm = np.linalg.norm(geometry.displacement_ras_mm(grid), axis=-1)
    np.testing.assert_allclose(length_mm, np.sqrt(squared_mm2), rtol=1e-5)


def test_resampled_grid_keeps_center_and_axes():
    geometry = oblique()
    other = geometry.resampled((1.5, 2.5, 3.5), (8, 6, 4))
    np.testing.assert_allclose(other.corners_ras_mm().mean(0), geometry.corners_ras_mm().mean(0), atol=1e-9)
    np.testing.assert_allclose(other.direction_lps, geometry.direction_lps, atol=1e-12)
    np.testing.assert_allclose(other.spacing_kji_mm, [1.5, 2.5, 3.5])


def test_resampled_grid_of_same_extent_has_the_same_corners():
    geometry = oblique()
    finer = geometry.resampled(geometry.spacing_kji_mm / [2, 3, 4], np.array(SHAPE) * [2, 3, 4])
    np.testing.assert_allclose(finer.corners_ras_mm(), geometry.corners_ras_mm(), atol=1e-9)


def test_padded_grid_keeps_the_old_voxels_in_place():
    geometry = oblique()
    padded = geometry.padded((1, 2, 3), (4, 0, 5))
    assert padded.shape_kji == (10, 9, 19)
    inner = padded.voxel_centers_ras_mm()[1:6, 2:9, 3:14]
    np.testing.assert_allclose(inner, geometry.voxel_centers_ras_mm(), atol=1e-9)


def test_grids_agree_up_to_a_hundredth_of_a_millimeter():
    geometry = oblique()
    for shift_mm, same in ((0.005, True), (0.05, False)):
        matrix = geometry.ijk_to_ras.copy()
        matrix[1, 3] += shift_mm
        assert geometry.agrees_with(Geometry(SHAPE, matrix)) is same


def test_grids_of_other_shape_or_axis_order_do_not_agree():
    cube = Geometry((5, 5, 5), np.diag([2.0, 2.0, 2.0, 1.0]))
    turned = np.eye(4)
    turned[:3, :3] = 2 * np.eye(3)[:, [1, 2, 0]]
    assert not cube.agrees_with(Geometry((5, 5, 5), turned))
    assert not oblique().agrees_with(oblique((5, 7, 10)))


def test_input_matrix_is_copied_and_kept_from_change():
    matrix = np.eye(4)
    geometry = Geometry(SHAPE, matrix)
    matrix[0, 3] = 100
    assert geometry.ijk_to_ras[0, 3] == 0
    with pytest.raises(ValueError):
        geometry.ijk_to_ras[0, 3] = 1


def test_left_handed_grids_are_allowed():
    matrix = np.diag([-1.0, 2.0, 3.0, 1.0])
    np.testing.assert_allclose(Geometry(SHAPE, matrix).spacing_ijk_mm, [1, 2, 3])


def changed(row: int, column: int, value: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[row, column] = value
    return matrix


@pytest.mark.parametrize(
    "matrix",
    [
        np.eye(3),
        changed(0, 0, np.nan),
        changed(1, 3, np.inf),
        changed(3, 0, 0.5),
        changed(2, 2, 0.0),
        changed(0, 1, 0.1),
        np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]),
        np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]),
    ],
    ids=["3x3", "nan", "infinite", "last row", "zero axis", "sheared", "zero row", "parallel axes"],
)
def test_unusable_matrices_are_refused(matrix):
    with pytest.raises(ValueError):
        Geometry(SHAPE, matrix)


@pytest.mark.parametrize("shape", [(0, 4, 4), (4, 4), (4, 4, 4, 4), (-1, 4, 4)])
def test_unusable_shapes_are_refused(shape):
    with pytest.raises(ValueError):
        Geometry(shape, np.eye(4))
