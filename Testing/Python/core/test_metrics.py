"""Overlap, surface distance, landmark error: closed forms, and a brute-force surface distance that shares no code."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from TissueElasticRegistrationLib.core.data.geometry import Geometry, flip_ras_lps
from TissueElasticRegistrationLib.core.data.itk_bridge import displacement_transform
from TissueElasticRegistrationLib.core.evaluation import surface_distance
from TissueElasticRegistrationLib.core.evaluation.metrics import (
    dice,
    jacobian_determinant_kji,
    map_points_ras_mm,
    percent,
    surface_distances,
    target_registration_errors,
)
from TissueElasticRegistrationLib.core.physics.deformation import jacobian_determinant

SPACING_IJK_MM = np.array([0.7, 1.9, 3.1])


def oblique(shape_kji) -> Geometry:
    axes = np.linalg.qr(np.array([[2.0, 0.3, -0.2], [0.1, 1.5, 0.4], [0.3, -0.2, 1.0]]))[0]
    matrix = np.eye(4)
    matrix[:3, :3] = axes * SPACING_IJK_MM
    matrix[:3, 3] = [-31.0, 17.0, 5.0]
    return Geometry(shape_kji, matrix)


def box(shape_kji, first, end, label=3) -> np.ndarray:
    labels = np.zeros(shape_kji, np.uint8)
    labels[tuple(slice(a, b) for a, b in zip(first, end, strict=True))] = label
    return labels


def brute_force(labels_a, labels_b, label, spacing_kji_mm) -> tuple[float, float]:
    def surface_mm(mask):
        points = []
        for voxel in np.argwhere(mask):
            neighbors = [voxel + sign * step for step in np.eye(3, dtype=int) for sign in (-1, 1)]
            inside = [n for n in neighbors if np.all(n >= 0) and np.all(n < mask.shape)]
            if any(not mask[tuple(n)] for n in inside):
                points.append(voxel * spacing_kji_mm)
        return np.array(points)

    a, b = surface_mm(labels_a == label), surface_mm(labels_b == label)
    between = np.linalg.norm(a[:, None] - b[None], axis=2)
    both = np.concatenate([between.min(1), between.min(0)])
    return np.percentile(both, 95), both.mean()


def random_blobs(shape_kji, seed) -> np.ndarray:
    noise = sitk.GetImageFromArray(np.random.default_rng(seed).normal(size=shape_kji))
    smooth = (
        sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(noise, 1.5))
        if min(shape_kji) > 3
        else np.random.default_rng(seed).normal(size=shape_kji)
    )
    return (smooth > np.quantile(smooth, 0.7)).astype(np.int32) * 3


# ---- Dice ---------------------------------------------------------------------------------------


def test_dice_of_shifted_boxes_is_the_overlapping_part():
    shape = (9, 11, 13)
    a, b = box(shape, (1, 2, 3), (5, 8, 10)), box(shape, (2, 2, 5), (6, 8, 12))
    assert dice(a, b, 3) == pytest.approx(3 / 4 * 5 / 7)


def test_dice_of_equal_and_of_separate_labels():
    shape = (5, 6, 7)
    assert dice(box(shape, (1, 1, 1), (3, 3, 3)), box(shape, (1, 1, 1), (3, 3, 3)), 3) == 1
    assert dice(box(shape, (1, 1, 1), (3, 3, 3)), box(shape, (3, 3, 3), (5, 5, 5)), 3) == 0


def test_absent_label_is_not_a_number():
    labels = box((5, 6, 7), (1, 1, 1), (3, 3, 3))
    for a, b in ((labels, labels * 0), (labels * 0, labels), (labels * 0, labels * 0)):
        assert math.isnan(dice(a, b, 3))
        assert all(math.isnan(value) for value in surface_distances(a, b, 3, oblique((5, 6, 7))))


# ---- surface distance ---------------------------------------------------------------------------


def test_equal_surfaces_have_distance_zero():
    labels = random_blobs((9, 14, 17), 1)
    assert surface_distances(labels, labels, 3, oblique(labels.shape)) == (0, 0)


@pytest.mark.parametrize(("axis", "steps"), [(0, 2), (1, 3), (2, 4)])
def test_single_voxel_shifted_along_an_axis_is_that_many_millimeters_away(axis, steps):
    shape = (9, 11, 13)
    first, second = np.zeros(shape, int), np.zeros(shape, int)
    first[3, 4, 5] = 1
    second[tuple(np.array([3, 4, 5]) + steps * np.eye(3, dtype=int)[axis])] = 1
    expected = steps * SPACING_IJK_MM[::-1][axis]
    assert surface_distances(first, second, 1, oblique(shape)) == pytest.approx((expected, expected), rel=1e-5)


def test_shifted_plate_has_distance_of_the_shift_for_most_and_zero_for_none():
    shape = (20, 30, 40)  # two plates one voxel thick, so that every voxel is surface
    a, b = box(shape, (4, 5, 6), (5, 25, 36)), box(shape, (9, 5, 6), (10, 25, 36))
    expected = 5 * SPACING_IJK_MM[2]
    assert surface_distances(a, b, 3, oblique(shape)) == pytest.approx((expected, expected), rel=1e-5)


def test_concentric_spheres_are_apart_by_the_difference_of_radii():
    shape = (60, 64, 68)
    geometry = Geometry(shape, np.eye(4))
    radius = np.linalg.norm(np.stack(np.meshgrid(*[np.arange(n) - n // 2 for n in shape], indexing="ij")), axis=0)
    hausdorff, mean = surface_distances((radius <= 14).astype(int), (radius <= 22).astype(int), 1, geometry)
    assert mean == pytest.approx(8, abs=0.4)
    assert hausdorff == pytest.approx(8, abs=1.0)


def test_surface_distances_count_only_from_within_a_common_field_of_view():
    """Two boxes that agree up to column 12, where one is cut off: only the cut differs."""
    a = np.zeros((8, 9, 20), int)
    a[2:6, 2:7, 3:17] = 1
    b = a.copy()
    b[..., 12:] = 0
    within = np.zeros(a.shape, bool)
    within[..., :10] = True
    geometry = oblique(a.shape)
    assert surface_distances(a, b, 1, geometry)[0] > 2
    assert surface_distances(a, b, 1, geometry, within) == (0, 0)
    assert all(math.isnan(value) for value in surface_distances(a, b, 1, geometry, np.zeros(a.shape, bool)))


@pytest.mark.parametrize("shape", [(9, 14, 17), (1, 20, 23), (23, 5, 11), (12, 13, 4)])
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("work_limit", [surface_distance.WORK_LIMIT, 300, 0], ids=["rows", "both", "distance map"])
def test_surface_distances_equal_brute_force(monkeypatch, shape, seed, work_limit):
    monkeypatch.setattr(surface_distance, "WORK_LIMIT", work_limit)
    a, b = random_blobs(shape, 2 * seed), random_blobs(shape, 2 * seed + 1)
    expected = brute_force(a, b, 3, SPACING_IJK_MM[::-1])
    assert surface_distances(a, b, 3, oblique(shape)) == pytest.approx(expected, rel=1e-5)


def test_surface_distance_is_the_same_in_both_directions():
    a, b = random_blobs((9, 14, 17), 4), random_blobs((9, 14, 17), 5)
    geometry = oblique(a.shape)
    assert surface_distances(a, b, 3, geometry) == pytest.approx(surface_distances(b, a, 3, geometry))


def test_edge_of_the_field_of_view_is_no_surface():
    shape = (8, 10, 12)
    a, b = box(shape, (0, 0, 0), (8, 10, 5)), box(shape, (0, 0, 0), (8, 10, 8))
    expected = 3 * SPACING_IJK_MM[0]
    assert surface_distances(a, b, 3, oblique(shape)) == pytest.approx((expected, expected), rel=1e-5)


# ---- landmarks ----------------------------------------------------------------------------------


def test_landmark_errors_of_known_distances():
    fixed = np.array([[0.0, 0, 0], [10, 0, 0]])
    errors = target_registration_errors(fixed, fixed + [[3, 4, 0], [0, 0, 1]], fixed + [[3, 4, 2], [0, 0, 1]])
    assert (errors.before_mean, errors.before_max, errors.after_mean, errors.after_max, errors.n) == (3, 5, 1, 2, 2)


def test_points_are_mapped_exactly_by_an_affine_displacement():
    geometry = oblique((7, 9, 11))
    matrix, shift = np.array([[0.1, 0.02, -0.05], [0.0, -0.1, 0.07], [0.03, 0.01, 0.2]]), np.array([4.0, -5.0, 6.0])
    displacement = geometry.voxel_centers_ras_mm() @ matrix.T + shift
    points = geometry.points_ras_mm(np.random.default_rng(0).uniform(0, [10, 8, 6], (50, 3)))
    mapped = map_points_ras_mm(points, displacement, geometry)
    np.testing.assert_allclose(mapped, points + points @ matrix.T + shift, atol=1e-9)


@pytest.mark.parametrize("shape", [(7, 9, 11), (1, 9, 11)])
def test_points_are_mapped_as_itk_maps_them(shape):
    geometry = oblique(shape)
    displacement = np.random.default_rng(1).normal(0, 3, (*shape, 3))
    points = geometry.points_ras_mm(np.random.default_rng(0).uniform(0, np.array(shape[::-1]) - 1, (20, 3)))
    transform = displacement_transform(displacement, geometry)
    by_itk = [transform.TransformPoint(point.tolist()) for point in flip_ras_lps(points)]
    mapped = map_points_ras_mm(points, displacement, geometry)
    np.testing.assert_allclose(mapped, flip_ras_lps(np.array(by_itk)), atol=1e-6)


def test_border_displacement_continues_outside():
    geometry = oblique((7, 9, 11))
    displacement = np.random.default_rng(1).normal(0, 3, (7, 9, 11, 3))
    beyond = geometry.points_ras_mm([40, 3, -9])
    mapped = map_points_ras_mm(beyond[None], displacement, geometry)
    np.testing.assert_allclose(mapped[0], beyond + displacement[0, 3, 10])


# ---- percent ------------------------------------------------------------------------------------


def test_percent_of_a_region():
    mask, region = np.zeros((4, 5, 6), bool), np.zeros((4, 5, 6), bool)
    region[0] = True
    mask[0, 0] = mask[1] = True
    assert percent(mask, region) == pytest.approx(20)
    assert percent(mask) == pytest.approx(30)
    assert math.isnan(percent(mask, np.zeros_like(region)))


def test_jacobian_determinant_of_numpy_is_that_of_torch():
    rng = np.random.default_rng(3)
    displacement = rng.normal(scale=0.2, size=(3, 5, 6, 7)).astype(np.float32)
    expected = jacobian_determinant(torch.from_numpy(displacement)[None])[0].numpy()
    np.testing.assert_allclose(jacobian_determinant_kji(displacement), expected, atol=1e-5)


def test_jacobian_determinant_of_an_affine_map():
    matrix = np.array([[0.1, 0.05, 0.0], [0.0, -0.2, 0.1], [0.3, 0.0, 0.2]])
    points = np.stack(np.mgrid[:4, :5, :6], -1)
    determinant = jacobian_determinant_kji(np.moveaxis(points @ matrix.T, -1, 0))
    np.testing.assert_allclose(determinant, np.linalg.det(np.eye(3) + matrix), rtol=1e-6)
