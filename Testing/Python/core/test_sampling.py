"""The moving image at displaced positions: its values, where it is valid, and its two derivatives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from TissueElasticRegistrationLib.core.physics.deformation import warp
from TissueElasticRegistrationLib.core.physics.sampling import MovingSampler

SHAPES = {2: (6, 9), 3: (4, 7, 5)}
DIMENSIONS = [2, 3]


def image(shape):
    return torch.tensor(np.random.default_rng(0).uniform(size=(1, 1, *shape)))


def displacement(shape, size=1.0, seed=1):
    noise = np.random.default_rng(seed).standard_normal((1, len(shape), *shape))
    values = gaussian_filter(noise, (0, 0, *[1] * len(shape)))
    return torch.tensor(size * values / values.std())


def zero(shape):
    return torch.zeros(1, len(shape), *shape, dtype=torch.float64)


def sampler(moving, mask=None):
    return MovingSampler(moving, torch.ones_like(moving) if mask is None else mask)


def gradient_of(sample, field, weights, symmetric):
    """Derivative of the weighted sum of the warped image by the displacement."""
    field = field.clone().requires_grad_()
    warped, _ = sample(field, symmetric)
    (warped * weights).sum().backward()
    return field.grad


# ---- values and validity ------------------------------------------------------------------------


@pytest.mark.parametrize("symmetric", [False, True], ids=["exact", "symmetric"])
@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_values_are_those_of_warp(dimension, symmetric):
    moving, field = image(SHAPES[dimension]), displacement(SHAPES[dimension])
    warped, _ = sampler(moving)(field, symmetric)
    torch.testing.assert_close(warped, warp(moving, field))


@pytest.mark.parametrize("masked", [False, True], ids=["everything", "masked"])
@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_valid_is_what_comes_from_inside_and_only_from_valid_voxels(dimension, masked):
    shape = SHAPES[dimension]
    moving, field = image(shape), displacement(shape, 1.3)
    mask = torch.ones_like(moving)
    if masked:
        mask[..., 2:4, 1:3] = 0
    expected = np.zeros(shape)
    for voxel in np.ndindex(shape):
        position = np.array(voxel) + field[(0, slice(None), *voxel)].numpy()
        if np.any(position < -0.5) or np.any(position > np.array(shape) - 0.5):
            continue
        corners = np.stack([np.floor(position), np.floor(position) + 1]).astype(int).clip(0, np.array(shape) - 1)
        reached = mask[0, 0].numpy()[tuple(slice(low, high + 1) for low, high in corners.T)]
        expected[voxel] = reached.min()
    _, valid = sampler(moving, mask)(field)
    assert 0.2 < expected.mean() < 0.9
    np.testing.assert_array_equal(valid[0, 0], expected)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_everything_is_valid_without_displacement(dimension):
    shape = SHAPES[dimension]
    warped, valid = sampler(image(shape))(zero(shape))
    torch.testing.assert_close(warped, image(shape))
    assert valid.min() == 1 and valid.dtype == warped.dtype and valid.shape == (1, 1, *shape)


def test_mask_of_the_moving_image_moves_with_it():
    mask = torch.ones(1, 1, *SHAPES[2], dtype=torch.float64)
    mask[..., 6:] = 0
    field = zero(SHAPES[2])
    field[:, 1] = 2
    _, valid = sampler(image(SHAPES[2]), mask)(field)
    np.testing.assert_array_equal(valid[0, 0], np.broadcast_to(np.arange(9) < 4, SHAPES[2]))


# ---- derivatives --------------------------------------------------------------------------------


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_exact_derivative_is_that_of_warp(dimension):
    shape = SHAPES[dimension]
    moving, field, weights = image(shape), displacement(shape), displacement(shape, seed=5)[:, :1]
    variable = field.clone().requires_grad_()
    (warp(moving, variable) * weights).sum().backward()
    torch.testing.assert_close(gradient_of(sampler(moving), field, weights, symmetric=False), variable.grad)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_exact_derivative_equals_finite_differences(dimension):
    sample = sampler(image(SHAPES[dimension]))
    field = (0.3 * displacement(SHAPES[dimension], 0.1).sign()).requires_grad_()
    assert torch.autograd.gradcheck(lambda u: sample(u)[0], field, eps=1e-6, atol=1e-6)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_symmetric_derivative_at_zero_is_the_central_difference_of_the_image(dimension):
    shape = SHAPES[dimension]
    moving, weights = image(shape), displacement(shape, seed=5)[:, :1]
    found = gradient_of(sampler(moving), zero(shape), weights, symmetric=True)
    expected = np.stack(np.gradient(moving[0, 0].numpy())) * weights[0].numpy()
    np.testing.assert_allclose(found[0], expected, atol=1e-12)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_symmetric_derivative_elsewhere_is_interpolated_between_the_voxels(dimension):
    shape = SHAPES[dimension]
    moving, field, weights = image(shape), displacement(shape), displacement(shape, seed=5)[:, :1]
    slopes = torch.tensor(np.stack(np.gradient(moving[0, 0].numpy()))[None])
    found = gradient_of(sampler(moving), field, weights, symmetric=True)
    torch.testing.assert_close(found, warp(slopes, field) * weights)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_symmetric_derivative_of_a_mirrored_image_at_zero_is_mirrored_and_the_exact_one_is_not(dimension):
    shape = SHAPES[dimension]
    moving, weights = image(shape), displacement(shape, seed=5)[:, :1]
    for axis in range(dimension):
        differences = {}
        for symmetric in (True, False):
            one = gradient_of(sampler(moving), zero(shape), weights, symmetric)
            flipped = sampler(moving.flip(axis + 2))
            other = gradient_of(flipped, zero(shape), weights.flip(axis + 2), symmetric).flip(axis + 2)
            other[:, axis] *= -1
            differences[symmetric] = (one - other).abs().max()
        assert differences[True] < 1e-12 and differences[False] > 0.1


def test_axis_of_one_voxel_has_no_symmetric_derivative():
    shape = (1, *SHAPES[2])
    moving = image(shape)
    found = gradient_of(sampler(moving), zero(shape), torch.ones_like(moving), symmetric=True)
    assert torch.all(found[:, 0] == 0) and torch.all(found[:, 1:] != 0)
