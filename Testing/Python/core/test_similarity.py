"""Local correlation: against a plain loop over windows, its gradient, and what it must not see (noise, blanks)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve1d, gaussian_filter

from TissueElasticRegistrationLib.core.physics.similarity import (
    EPSILON,
    MIN_WINDOW_SHARE,
    box_sum,
    local_ncc,
    masked_mean,
)

SHAPES = {2: (9, 13), 3: (5, 6, 8)}
WINDOWS = {2: [(5, 5), (3, 7)], 3: [(3, 3, 3), (1, 5, 3)]}
CASES = [(dimension, window) for dimension in SHAPES for window in WINDOWS[dimension]]


def textured(shape, seed=0):
    """Smooth random values over most of [0, 1]."""
    values = gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 1.0)
    return np.clip(0.5 + 0.2 * values / values.std(), 0, 1)


def a_mask(shape):
    """Valid voxels with an empty corner and single holes."""
    mask = np.random.default_rng(9).uniform(size=shape) > 0.15
    mask[tuple(slice(0, n // 2) for n in shape)] = False
    return mask.astype(float)


def tensor(array):
    return torch.tensor(array, dtype=torch.float32)[None, None]


def window_around(voxel, window, shape):
    return tuple(
        slice(max(0, center - width // 2), min(length, center + width // 2 + 1))
        for center, width, length in zip(voxel, window, shape, strict=True)
    )


def looped_ncc(fixed, warped, mask, window):
    """Squared correlation and region, one window after the other in float64."""
    correlation, region = np.zeros(fixed.shape), np.zeros(fixed.shape)
    for voxel in np.ndindex(fixed.shape):
        clipped = window_around(voxel, window, fixed.shape)
        valid = mask[clipped] > 0
        if mask[voxel] == 0 or valid.mean() < MIN_WINDOW_SHARE:
            continue
        f, w = fixed[clipped][valid], warped[clipped][valid]
        covariance = np.mean((f - f.mean()) * (w - w.mean()))
        correlation[voxel] = covariance**2 / (f.var() * w.var() + EPSILON)
        region[voxel] = 1
    return correlation, region


# ---- value --------------------------------------------------------------------------------------


@pytest.mark.parametrize("masked", [False, True], ids=["everything", "masked"])
@pytest.mark.parametrize(("dimension", "window"), CASES)
def test_correlation_and_region_equal_those_of_a_loop_over_windows(dimension, window, masked):
    shape = SHAPES[dimension]
    fixed, warped = textured(shape, 1), textured(shape, 2)
    mask = a_mask(shape) if masked else np.ones(shape)
    expected, expected_region = looped_ncc(fixed, warped, mask, window)
    correlation, region = local_ncc(tensor(fixed), tensor(warped), tensor(mask) if masked else None, window)
    assert correlation.shape == region.shape == (1, 1, *shape)
    np.testing.assert_array_equal(region[0, 0], expected_region)
    np.testing.assert_allclose(correlation[0, 0], expected, atol=2e-5)


@pytest.mark.parametrize("dimension", SHAPES)
def test_invalid_voxels_have_no_influence(dimension):
    shape, window = SHAPES[dimension], WINDOWS[dimension][1]
    fixed, warped, mask = textured(shape, 1), textured(shape, 2), a_mask(shape)
    other = np.where(mask > 0, warped, 1 - warped)
    assert np.abs(other - warped).max() > 0.2
    for one, two in zip(
        local_ncc(tensor(fixed), tensor(warped), tensor(mask), window),
        local_ncc(tensor(fixed), tensor(other), tensor(mask), window),
        strict=True,
    ):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize("dimension", SHAPES)
def test_identical_textured_images_correlate_fully(dimension):
    noise = np.random.default_rng(4).uniform(size=SHAPES[dimension])
    correlation, _ = local_ncc(tensor(noise), tensor(noise), window=5)
    assert correlation.min() > 0.98 and correlation.max() <= 1 + 1e-5


@pytest.mark.parametrize("dimension", SHAPES)
def test_inverted_contrast_correlates_just_as_well(dimension):
    fixed, warped = (tensor(textured(SHAPES[dimension], seed)) for seed in (1, 2))
    torch.testing.assert_close(local_ncc(fixed, 1 - warped)[0], local_ncc(fixed, warped)[0], atol=2e-5, rtol=0)


@pytest.mark.parametrize("dimension", SHAPES)
def test_correlation_is_symmetric_in_the_images(dimension):
    fixed, warped, mask = (tensor(a(SHAPES[dimension])) for a in (textured, lambda s: textured(s, 2), a_mask))
    torch.testing.assert_close(local_ncc(fixed, warped, mask)[0], local_ncc(warped, fixed, mask)[0])


@pytest.mark.parametrize("dimension", SHAPES)
def test_batch_of_two_equals_two_batches_of_one(dimension):
    shape = SHAPES[dimension]
    pairs = [
        (tensor(textured(shape, seed)), tensor(textured(shape, seed + 1)), tensor(mask))
        for seed, mask in ((1, a_mask(shape)), (5, np.ones(shape)))
    ]
    together = local_ncc(*(torch.cat(parts) for parts in zip(*pairs, strict=True)), window=5)
    for index, pair in enumerate(pairs):
        for part, alone in zip(together, local_ncc(*pair, window=5), strict=True):
            torch.testing.assert_close(part[index : index + 1], alone)


# ---- numerics -----------------------------------------------------------------------------------


def test_small_contrast_on_a_large_offset_keeps_its_correlation():
    """Such as soft tissue at one end of the window; E[x²] - E[x]² of raw HU would lose all digits in float32."""
    shape = (24, 30)
    fixed = 0.9 + 0.1 * textured(shape, 1)
    warped = fixed + 0.03 * textured(shape, 2) - 0.03
    expected, _ = looped_ncc(*(np.float32(a).astype(float) for a in (fixed, warped)), np.ones(shape), (9, 9))
    correlation, _ = local_ncc(tensor(fixed), tensor(warped))
    np.testing.assert_allclose(correlation[0, 0], expected, rtol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_correlation_is_computed_in_float32_whatever_the_input(dtype):
    fixed, warped = (tensor(textured(SHAPES[2], seed)).to(dtype) for seed in (1, 2))
    correlation, region = local_ncc(fixed, warped)
    assert correlation.dtype == region.dtype == torch.float32
    torch.testing.assert_close(correlation, local_ncc(fixed.float(), warped.float())[0])


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("dimension", SHAPES)
def test_constant_windows_have_neither_correlation_nor_a_gradient_that_is_not_finite(dimension, value):
    constant = torch.full((1, 1, *SHAPES[dimension]), value)
    image = tensor(textured(SHAPES[dimension]))
    for fixed, warped in ((constant, image), (image, constant), (constant, constant)):
        warped = warped.clone().requires_grad_()
        correlation, _ = local_ncc(fixed, warped)
        correlation.sum().backward()
        assert correlation.abs().max() < 1e-6 and torch.isfinite(warped.grad).all()


@pytest.mark.parametrize("dimension", SHAPES)
def test_air_that_holds_only_noise_hardly_counts_even_where_it_is_the_same(dimension):
    noise = tensor(0.02 + 0.01 * np.random.default_rng(0).standard_normal(SHAPES[dimension]))
    assert local_ncc(noise, noise)[0].max() < 0.01


# ---- gradient -----------------------------------------------------------------------------------


@pytest.mark.parametrize("masked", [False, True], ids=["everything", "masked"])
@pytest.mark.parametrize(("dimension", "window"), [(2, (3, 5)), (3, (1, 3, 3))])
def test_gradient_equals_finite_differences_of_the_loop(dimension, window, masked):
    shape = (5, 7) if dimension == 2 else (3, 4, 5)
    fixed, warped = (np.random.default_rng(seed).uniform(size=shape) for seed in (1, 2))
    mask = np.random.default_rng(9).uniform(size=shape).round() if masked else np.ones(shape)
    weights = np.random.default_rng(3).uniform(-1, 2, shape)
    variable = tensor(warped).requires_grad_()
    correlation, _ = local_ncc(tensor(fixed), variable, tensor(mask), window)
    (correlation * tensor(weights)).sum().backward()
    step, expected = 1e-5, np.zeros(shape)
    for voxel in np.ndindex(shape):
        ends = []
        for sign in (1, -1):
            moved = warped.copy()
            moved[voxel] += sign * step
            ends.append(np.sum(weights * looped_ncc(fixed, moved, mask, window)[0]))
        expected[voxel] = (ends[0] - ends[1]) / (2 * step)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(variable.grad[0, 0], expected, atol=1e-4 * np.abs(expected).max())


def test_invalid_voxels_receive_no_gradient():
    mask = a_mask(SHAPES[3])
    warped = tensor(textured(SHAPES[3], 2)).requires_grad_()
    local_ncc(tensor(textured(SHAPES[3], 1)), warped, tensor(mask))[0].sum().backward()
    gradient = warped.grad[0, 0].numpy()
    assert np.all(gradient[mask == 0] == 0) and np.count_nonzero(gradient[mask > 0]) > 0.9 * mask.sum()


# ---- region and mean ----------------------------------------------------------------------------


@pytest.mark.parametrize("dimension", SHAPES)
def test_region_is_everything_without_a_mask_and_nothing_with_an_empty_one(dimension):
    image = tensor(textured(SHAPES[dimension]))
    assert local_ncc(image, image)[1].min() == 1
    correlation, region = local_ncc(image, image, torch.zeros_like(image))
    assert region.max() == 0 and correlation.abs().max() == 0


def test_region_leaves_out_valid_voxels_whose_window_is_mostly_invalid():
    mask = np.zeros((11, 17))
    mask[:, :8] = 1
    mask[5, 13] = 1
    region = local_ncc(tensor(mask), tensor(mask), tensor(mask), (3, 5))[1][0, 0].numpy()
    mask[5, 13] = 0
    np.testing.assert_array_equal(region, mask)


def test_region_shrinks_with_the_mask():
    image, mask = tensor(textured(SHAPES[3])), a_mask(SHAPES[3])
    larger = local_ncc(image, image, tensor(mask))[1]
    mask[:, :, -3:] = 0
    smaller = local_ncc(image, image, tensor(mask))[1]
    assert torch.all(smaller <= larger) and 0 < smaller.sum() < larger.sum()


def test_masked_mean_divides_by_the_region_alone():
    values, region = torch.tensor([[2.0, 4.0, 0.0]]), torch.tensor([[1.0, 1.0, 0.0]])
    assert masked_mean(values, region) == 3
    assert masked_mean(torch.zeros(1, 3), torch.zeros(1, 3)) == 0


# ---- windows ------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 3, 5, 7, 9, 11, 13, 15, 17, 31, 33])
@pytest.mark.parametrize("shape", [(6, 40), (3, 5, 7), (1, 40)])
def test_box_sum_equals_scipy_along_every_axis_also_where_it_is_shorter_than_the_window(shape, width):
    values = np.random.default_rng(0).standard_normal((2, 3, *shape))
    for axis in range(len(shape)):
        windows = [1] * len(shape)
        windows[axis] = width
        expected = convolve1d(values, np.ones(width), axis + 2, mode="constant")
        np.testing.assert_allclose(box_sum(torch.tensor(values), tuple(windows)), expected, atol=1e-12)


def test_box_sum_over_several_axes_is_that_of_each_in_turn():
    values = np.random.default_rng(0).standard_normal((1, 1, 7, 9, 6))
    expected = values
    for axis, width in enumerate((3, 1, 5), start=2):
        expected = convolve1d(expected, np.ones(width), axis, mode="constant")
    np.testing.assert_allclose(box_sum(torch.tensor(values), (3, 1, 5)), expected, atol=1e-12)


@pytest.mark.parametrize("window", [4, 0, -3, (3, 4), (3,), (3, 3, 3)])
def test_windows_that_are_even_or_do_not_fit_the_dimension_are_refused(window):
    image = torch.zeros(1, 1, 8, 8)
    with pytest.raises(ValueError, match="2 odd positive numbers"):
        local_ncc(image, image, window=window)


def test_images_of_different_shape_are_refused():
    with pytest.raises(ValueError, match="different shapes"):
        local_ncc(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 1))
