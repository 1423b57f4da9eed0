"""Deformations on a grid: warp against SimpleITK, integrate and compose against matrices, folds, other resolutions."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from oblique_data import oblique_geometry
from scipy.linalg import expm
from scipy.ndimage import gaussian_filter

from TissueElasticRegistrationLib.core.data.geometry import flip_ras_lps
from TissueElasticRegistrationLib.core.physics.deformation import (
    compose,
    folding,
    inside,
    integrate,
    invert,
    jacobian_determinant,
    resize,
    warp,
)

SHAPES = {2: (7, 11), 3: (5, 8, 6)}
DIMENSIONS = [2, 3]
# Flows towards the center of the grids above, so that no sample comes from outside; no symmetry between the axes.
INWARD = np.array([[-0.30, 0.05, -0.04], [0.12, -0.35, 0.06], [-0.03, 0.07, -0.25]])
INWARD_TOO = np.array([[-0.15, -0.04, 0.02], [0.05, -0.20, 0.03], [0.06, -0.02, -0.10]])


def constant(vector, shape):
    return torch.tensor(vector, dtype=torch.float64).view(1, -1, *[1] * len(shape)).expand(1, -1, *shape).contiguous()


def linear(matrix, shape):
    """u = A (x - center) in voxels."""
    positions = np.indices(shape) - (np.array(shape).reshape(-1, *[1] * len(shape)) - 1) / 2
    return torch.tensor(np.einsum("ab,b...->a...", matrix, positions)[None])


def smooth(shape, size, seed=0, sigma=2.0):
    """Random smooth displacement with values of about ``size`` voxels."""
    values = np.random.default_rng(seed).standard_normal((1, len(shape), *shape))
    values = gaussian_filter(values, (0, 0, *[sigma] * len(shape)))
    return torch.tensor(size * values / values.std())


def image(shape, seed=0):
    return torch.tensor(np.random.default_rng(seed).uniform(size=(1, 1, *shape)))


def mirrored(field, axis):
    flipped = field.flip(axis + 2)
    flipped[:, axis] *= -1
    return flipped


# ---- warp ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_zero_displacement_changes_nothing(dimension):
    shape = SHAPES[dimension]
    torch.testing.assert_close(warp(image(shape), constant([0] * dimension, shape)), image(shape))


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize(("dimension", "axis"), [(2, 0), (2, 1), (3, 0), (3, 1), (3, 2)])
def test_integer_displacement_shifts_the_array_and_continues_its_border(dimension, axis, mode):
    shape, step = SHAPES[dimension], np.eye(dimension)[axis]
    values = image(shape)[0, 0].numpy()
    for shift in (2, -3):
        index = np.clip(np.arange(shape[axis]) + shift, 0, shape[axis] - 1)
        warped = warp(image(shape), constant(shift * step, shape), mode)
        np.testing.assert_allclose(warped[0, 0], np.take(values, index, axis), atol=1e-12)


@pytest.mark.parametrize("thickness", [1, 6], ids=["slice", "volume"])
def test_warp_agrees_with_simpleitk_on_an_oblique_anisotropic_grid(thickness):
    geometry = oblique_geometry((thickness, 8, 10))
    shape = geometry.shape_kji
    displacement = smooth(shape, 1.2).numpy()[0] if thickness > 1 else np.zeros((3, *shape))
    if thickness == 1:
        displacement[1:, 0] = smooth(shape[1:], 1.2).numpy()[0]
    values = image(shape)[0, 0].numpy()
    vectors = flip_ras_lps(geometry.displacement_ras_mm(displacement)).astype(np.float64)
    field, moving = sitk.GetImageFromArray(vectors, isVector=True), sitk.GetImageFromArray(values)
    for volume in (field, moving):
        volume.SetOrigin(geometry.origin_lps_mm.tolist())
        volume.SetSpacing(geometry.spacing_ijk_mm.tolist())
        volume.SetDirection(geometry.direction_lps.ravel().tolist())
    expected = sitk.Resample(moving, moving, sitk.DisplacementFieldTransform(field), sitk.sitkLinear, -1.0)
    expected = sitk.GetArrayFromImage(expected)
    start = 1 if thickness == 1 else 0
    squeezed = torch.tensor(displacement[start:].reshape(1, 3 - start, *shape[start:]))
    warped = warp(torch.tensor(values.reshape(1, 1, *shape[start:])), squeezed)[0, 0].numpy().reshape(shape)
    covered = expected >= 0
    assert covered.mean() > 0.4 and np.abs(warped - values)[covered].max() > 0.2
    np.testing.assert_allclose(warped[covered], expected[covered], atol=1e-5)


def test_labels_stay_labels():
    labels = torch.randint(0, 4, (1, 1, *SHAPES[3]), generator=torch.Generator().manual_seed(0)).double() * 5
    warped = warp(labels, smooth(SHAPES[3], 1.0), "nearest")
    assert set(warped.unique().tolist()) <= {0, 5, 10, 15} and not torch.equal(warped, labels)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_warp_of_a_mirrored_image_is_the_mirrored_warp(dimension):
    shape = SHAPES[dimension]
    moving, displacement = image(shape), smooth(shape, 1.5)
    for axis in range(dimension):
        flipped = warp(moving.flip(axis + 2), mirrored(displacement, axis))
        torch.testing.assert_close(flipped, warp(moving, displacement).flip(axis + 2))


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_inside_reaches_to_the_outer_edges_of_the_voxels(dimension):
    shape = SHAPES[dimension]
    for axis in range(dimension):
        step = np.eye(dimension)[axis]
        for shift, lost in ((0.0, 0), (0.49, 0), (0.51, 1), (-0.49, 0), (-1.51, 2)):
            index = np.arange(shape[axis])
            expected = index < shape[axis] - lost if shift > 0 else index >= lost
            valid = inside(constant(shift * step, shape))[0, 0].numpy()
            view = [-1 if other == axis else 1 for other in range(dimension)]
            np.testing.assert_array_equal(valid, np.broadcast_to(expected.reshape(view), shape))


# ---- compose, integrate, invert -----------------------------------------------------------------


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_compose_applies_the_first_displacement_first(dimension):
    shape, one, two = SHAPES[dimension], INWARD[:dimension, :dimension], INWARD_TOO[:dimension, :dimension]
    identity = np.eye(dimension)
    assert np.abs(one @ two - two @ one).max() > 0.005
    expected = linear((identity + two) @ (identity + one) - identity, shape)
    torch.testing.assert_close(compose(linear(one, shape), linear(two, shape)), expected)


def test_compose_looks_the_second_displacement_up_where_the_first_one_leads():
    shape = SHAPES[2]
    second = smooth(shape, 1.0)
    total = compose(constant([2, -3], shape), second)
    expected = second[..., 4, 5] + torch.tensor([[2, -3]])
    torch.testing.assert_close(total[..., 2, 8], expected)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_constant_velocity_becomes_a_translation(dimension):
    velocity = constant([1.7, -2.3, 0.6][:dimension], SHAPES[dimension])
    torch.testing.assert_close(integrate(velocity), velocity)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_linear_velocity_becomes_the_matrix_exponential(dimension):
    shape, matrix = SHAPES[dimension], INWARD[:dimension, :dimension]
    expected = linear(expm(matrix) - np.eye(dimension), shape)
    torch.testing.assert_close(integrate(linear(matrix, shape), steps=16), expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(integrate(linear(matrix, shape)), expected, atol=5e-3, rtol=0)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_integrated_velocity_does_not_fold_where_the_velocity_as_displacement_would(dimension):
    velocity = smooth(tuple(2 * n for n in SHAPES[dimension]), 1.2)
    assert folding(velocity).any() and not folding(integrate(velocity)).any()


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_inverse_of_a_linear_displacement_is_that_of_its_matrix(dimension):
    shape, identity, matrix = SHAPES[dimension], np.eye(dimension), INWARD[:dimension, :dimension]
    inverse = invert(linear(np.linalg.inv(identity + matrix) - identity, shape))
    torch.testing.assert_close(inverse, linear(matrix, shape), atol=1e-3, rtol=0)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_inverse_undoes_the_displacement_on_both_sides(dimension):
    """Away from the border, where the inverse would need values from outside."""
    displacement = smooth(tuple(3 * n for n in SHAPES[dimension]), 0.8, sigma=3.0)
    assert displacement.abs().max() > 1.5
    inner = (slice(None), slice(None), *[slice(3, -3)] * dimension)
    assert compose(invert(displacement), displacement)[inner].abs().max() < 1e-3
    assert compose(displacement, invert(displacement))[inner].abs().max() < 0.15


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_inverse_is_found_where_the_deformation_more_than_doubles_a_length(dimension):
    shape = (40, *SHAPES[dimension][1:])
    position = torch.arange(40, dtype=torch.float64) - 19.3
    displacement = torch.zeros(1, dimension, *shape, dtype=torch.float64)
    displacement[0, 0] = (1.5 * position * torch.exp(-(position**2) / 32)).view(-1, *[1] * (dimension - 1))
    assert jacobian_determinant(displacement).max() > 2.3 and not folding(displacement).any()
    assert compose(invert(displacement), displacement).abs().max() < 1e-3


# ---- Jacobian and folds -------------------------------------------------------------------------


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_jacobian_of_an_affine_map_is_its_determinant_at_every_voxel(dimension):
    matrix = np.random.default_rng(dimension).normal(0, 0.4, (dimension, dimension))
    determinant = jacobian_determinant(linear(matrix, SHAPES[dimension]))
    expected = np.linalg.det(np.eye(dimension) + matrix)
    assert determinant.shape == (1, *SHAPES[dimension])
    np.testing.assert_allclose(determinant, np.full(determinant.shape, expected))


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_jacobian_takes_central_differences(dimension):
    displacement = smooth(SHAPES[dimension], 1.0)
    gradient = np.stack(np.gradient(displacement[0].numpy(), axis=tuple(range(1, dimension + 1))), -1)
    jacobian = np.moveaxis(gradient, 0, -2) + np.eye(dimension)
    np.testing.assert_allclose(jacobian_determinant(displacement)[0], np.linalg.det(jacobian))


@pytest.mark.parametrize(("dimension", "axis"), [(2, 0), (2, 1), (3, 0), (3, 1), (3, 2)])
def test_fold_between_two_voxels_is_found_though_central_differences_miss_it(dimension, axis):
    displacement = torch.zeros(1, dimension, *SHAPES[dimension])
    displacement[:, axis].select(axis + 1, 2).fill_(0.6)
    displacement[:, axis].select(axis + 1, 3).fill_(-0.6)
    expected = torch.zeros(1, *SHAPES[dimension], dtype=torch.bool)
    expected.narrow(axis + 1, 2, 2).fill_(True)
    assert jacobian_determinant(displacement).min() > 0
    assert torch.equal(folding(displacement), expected)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_fold_is_found_in_whichever_corner_of_the_cells_it_lies(dimension):
    """One voxel displaced across its neighbors: each pair of differences is harmless, only their product folds."""
    shape = SHAPES[dimension]
    for signs in np.ndindex(*[2] * dimension):
        displacement, direction = torch.zeros(1, dimension, *shape), 2.0 * torch.tensor(signs) - 1
        center = tuple(n // 2 for n in shape)
        displacement[(0, slice(None), *center)] = 0.6 * direction
        flagged = folding(displacement)[(0, *center)]
        corner = torch.eye(dimension) - 0.6 * torch.outer(direction, direction)
        assert torch.linalg.det(corner) < 0 and flagged


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_affine_maps_fold_everywhere_or_nowhere(dimension):
    shape, axis = SHAPES[dimension], np.zeros((dimension, dimension))
    axis[0, 0] = 1
    for stretch, folded in ((3.0, False), (-0.99, False), (-1.0, True), (-1.5, True)):
        flagged = folding(linear(stretch * axis, shape))
        assert flagged.dtype == torch.bool and bool(flagged.all()) is folded and bool(flagged.any()) is folded
    assert not folding(constant([9.0] * dimension, shape)).any()


def test_axis_of_one_voxel_is_no_special_case():
    flat, values = smooth(SHAPES[2], 0.8), image(SHAPES[2])
    volume = torch.cat([torch.zeros_like(flat[:, :1]), flat], 1).unsqueeze(2)
    torch.testing.assert_close(warp(values.unsqueeze(2), volume).squeeze(2), warp(values, flat))
    torch.testing.assert_close(inside(volume).squeeze(2), inside(flat))
    torch.testing.assert_close(integrate(volume)[:, 1:].squeeze(2), integrate(flat))
    torch.testing.assert_close(invert(volume)[:, 1:].squeeze(2), invert(flat))
    torch.testing.assert_close(jacobian_determinant(volume).squeeze(1), jacobian_determinant(flat))
    assert torch.equal(folding(volume).squeeze(1), folding(flat))
    torch.testing.assert_close(resize(volume, (1, 3, 5))[:, 1:].squeeze(2), resize(flat, (3, 5)))


# ---- change of resolution -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [((6, 8), (3, 4)), ((3, 5), (6, 15)), ((7, 11), (4, 9)), ((4, 6, 8), (2, 3, 8)), ((5, 3, 4), (9, 7, 4))],
)
def test_resized_displacement_is_scaled_exactly_by_the_ratio_of_the_sizes(old, new):
    vector = np.array([1.5, -2.0, 0.7])[: len(old)]
    expected = constant(vector * np.array(new) / np.array(old), new)
    torch.testing.assert_close(resize(constant(vector, old), new), expected)


@pytest.mark.parametrize(("old", "new"), [((6, 8), (3, 4)), ((6, 8), (12, 24)), ((8, 6, 10), (5, 9, 15))])
def test_resized_displacement_keeps_its_place_in_space(old, new):
    """Voxel i of n covers i/n to (i + 1)/n of the extent; a linear field stays itself but for the outer half voxel."""
    matrix = 3 * INWARD_TOO[: len(old), : len(old)]
    extent_mm, fields = 60.0, []
    for shape in (old, new):
        size_mm = extent_mm / np.array(shape).reshape(-1, *[1] * len(shape))
        centers_mm = (np.indices(shape) + 0.5) * size_mm
        fields.append(np.einsum("ab,b...->a...", matrix, centers_mm) / size_mm)
    resized = resize(torch.tensor(fields[0][None]), new)[0].numpy()
    reached = np.ones(new, bool)
    for axis, (m, n) in enumerate(zip(old, new, strict=True)):
        center = (np.arange(n) + 0.5) / n
        view = [-1 if other == axis else 1 for other in range(len(old))]
        reached &= ((center >= 0.5 / m - 1e-9) & (center <= 1 - 0.5 / m + 1e-9)).reshape(view)
    assert reached.mean() > 0.4
    np.testing.assert_allclose(resized[:, reached], fields[1][:, reached], rtol=1e-9)


@pytest.mark.parametrize(("old", "new"), [((7, 11), (4, 9)), ((4, 6), (8, 12)), ((5, 8, 6), (3, 4, 11))])
def test_resizing_commutes_with_mirroring(old, new):
    field = smooth(old, 1.0)
    for axis in range(len(old)):
        torch.testing.assert_close(resize(mirrored(field, axis), new), mirrored(resize(field, new), axis))


def test_resizing_to_the_same_shape_changes_nothing():
    field = smooth(SHAPES[3], 1.0)
    assert torch.equal(resize(field, list(SHAPES[3])), field)
