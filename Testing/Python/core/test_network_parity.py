"""The paper's mode against the published maths, written again here with numpy and scipy, in double precision.

VoxelMorph and neurite (Apache 2.0): local correlation from box sums, scaling and squaring, sampling at voxel positions,
convolutions whose kernels are linear maps of a dense network's output. Nothing of the project computes a reference.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from networks import awake, images
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage

from TissueElasticRegistrationLib.core.models.network import NetworkConfig
from TissueElasticRegistrationLib.core.physics.deformation import integrate, resize, warp
from TissueElasticRegistrationLib.core.physics.objective import Objective
from TissueElasticRegistrationLib.core.physics.parameter_scale import PaperScale
from TissueElasticRegistrationLib.core.physics.similarity import EPSILON, local_ncc

SMALL = {"encoder": (4, 6), "decoder": (6, 5), "final": (5, 4), "hyper_widths": (6, 5)}
PAPER = {dimension: NetworkConfig(dimension, "hyper", 2, half_resolution=False, **SMALL) for dimension in (2, 3)}
HALF = {dimension: NetworkConfig(dimension, "hyper", 2, **SMALL) for dimension in (2, 3)}
SHAPES = {2: (20, 24), 3: (12, 16, 20)}
SPACING_MM = {2: (1.5, 2.0), 3: (2.5, 1.5, 2.0)}


# --- The published maths --------------------------------------------------------------------------------------------


def dense(vector: np.ndarray, layer) -> np.ndarray:
    return layer.weight.detach().numpy() @ vector + layer.bias.detach().numpy()


def hyper_kernels(network, sliders: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weight (out, in, 3, ...) and bias of every layer for one vector of sliders.

    HyperMorph's hidden layers are plain rectifiers; leaky ones cannot die.
    """
    hyper, code = network.kernels, 2 * sliders - 1
    for layer in hyper.hidden:
        code = leaky(dense(code, layer))
    return [
        (dense(code, weight).reshape(*shape, *[3] * network.config.dimension), dense(code, bias))
        for weight, bias, shape in zip(hyper.weights, hyper.biases, hyper.shapes, strict=True)
    ]


def convolved(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """(in, *shape) -> (out, *shape): correlation with zeros outside, as convolutional layers mean it."""
    return np.stack(
        [
            sum(ndimage.correlate(channel, kernel, mode="constant") for channel, kernel in zip(x, kernels, strict=True))
            + b
            for kernels, b in zip(weight, bias, strict=True)
        ]
    )


def leaky(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, 0.2 * x)


def pooled(x: np.ndarray) -> np.ndarray:
    for axis in range(1, x.ndim):
        shape = (*x.shape[:axis], x.shape[axis] // 2, 2, *x.shape[axis + 1 :])
        x = x.reshape(shape).max(axis + 1)
    return x


def repeated(x: np.ndarray) -> np.ndarray:
    for axis in range(1, x.ndim):
        x = x.repeat(2, axis)
    return x


def u_net(config: NetworkConfig, kernels, flow, moving: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """VoxelMorph's U-Net: velocity (D, *shape); at half resolution without its last upsampling."""
    kernels, x, skips = iter(kernels), np.stack([moving, fixed]), []
    for _ in config.encoder:
        x = leaky(convolved(x, *next(kernels)))
        skips.append(x)
        x = pooled(x)
    for level in range(len(config.decoder)):
        x = leaky(convolved(x, *next(kernels)))
        if not config.half_resolution or level + 1 < len(config.decoder):
            x = np.concatenate([repeated(x), skips.pop()])
    for _ in config.final:
        x = leaky(convolved(x, *next(kernels)))
    return convolved(x, flow.weight.detach().numpy(), flow.bias.detach().numpy())


def sampled(image: np.ndarray, displacement: np.ndarray) -> np.ndarray:
    """image(x + u(x)) in voxels, linear, border values outside."""
    places = np.stack(np.meshgrid(*[np.arange(size, dtype=float) for size in image.shape], indexing="ij"))
    return ndimage.map_coordinates(image, places + displacement, order=1, mode="nearest")


def scaled_and_squared(velocity: np.ndarray, steps: int) -> np.ndarray:
    displacement = velocity / 2**steps
    for _ in range(steps):
        displacement = displacement + np.stack([sampled(component, displacement) for component in displacement])
    return displacement


def twice_as_fine(displacement: np.ndarray) -> np.ndarray:
    """On voxels half as large, in these voxels; voxel centers are half a coarse voxel from the image's edge."""
    places = np.meshgrid(*[(np.arange(2 * size) + 0.5) / 2 - 0.5 for size in displacement.shape[1:]], indexing="ij")
    return np.stack([2 * ndimage.map_coordinates(c, places, order=1, mode="nearest") for c in displacement])


def squared_ncc(fixed: np.ndarray, warped: np.ndarray, window: int = 9) -> np.ndarray:
    """VoxelMorph's local correlation where the whole window lies in the image: sums over it, no means."""
    count = window**fixed.ndim
    boxes = [sliding_window_view(x, (window,) * fixed.ndim) for x in (fixed, warped)]
    axes = tuple(range(fixed.ndim, 2 * fixed.ndim))
    i, j = (box.sum(axes) for box in boxes)
    ii, jj, ij = ((a * b).sum(axes) for a, b in ((boxes[0],) * 2, (boxes[1],) * 2, boxes))
    mean_i, mean_j = i / count, j / count
    cross = ij - mean_j * i - mean_i * j + mean_i * mean_j * count
    variance_i = ii - 2 * mean_i * i + mean_i**2 * count
    variance_j = jj - 2 * mean_j * j + mean_j**2 * count
    return cross**2 / (variance_i * variance_j + EPSILON * count**2)


def paper_energy(displacement: np.ndarray, spacing_mm, lam: np.ndarray, mu: np.ndarray) -> float:
    """Mean of μ/4 Σ (∂_i u_j + ∂_j u_i)² + λ/2 (div u)², at every voxel over all choices of its neighbors' sides."""
    dimension, shape = len(displacement), displacement.shape[1:]
    total = np.zeros(shape)
    for sides in itertools.product((0, 1), repeat=dimension):
        gradient = np.empty((dimension, dimension, *shape))
        for axis, side in enumerate(sides):
            places = np.arange(shape[axis])
            low = np.clip(places - 1 + side, 0, shape[axis] - 2)
            step = np.take(displacement, low + 1, axis + 1) - np.take(displacement, low, axis + 1)
            for component in range(dimension):
                gradient[axis, component] = step[component] * spacing_mm[component] / spacing_mm[axis]
        strain = gradient + gradient.swapaxes(0, 1)
        divergence = sum(gradient[axis, axis] for axis in range(dimension))
        total += 0.25 * mu * (strain**2).sum((0, 1)) + 0.5 * lam * divergence**2
    return float((total / 2**dimension).mean())


def similar_images(shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Two pairs (2, 1, *shape), double precision, that correlate well in some places and badly in others."""
    fixed, other = (image.double() for image in images(2, shape))
    return fixed, 0.7 * fixed + 0.3 * other


# --- Pieces ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dimension", [2, 3])
def test_local_correlation_is_voxelmorphs(dimension):
    fixed, warped = (image[0, 0].numpy() for image in similar_images(SHAPES[dimension]))
    ours, _region = local_ncc(*(torch.tensor(image)[None, None] for image in (fixed, warped)))
    inner = (slice(4, -4),) * dimension  # at the border VoxelMorph counts zeros as image, this project does not
    expected = squared_ncc(fixed, warped)
    assert expected.std() > 0.02
    np.testing.assert_allclose(ours[0, 0].numpy()[inner], expected, atol=2e-5)


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("steps", [0, 5, 7])
def test_scaling_and_squaring_is_voxelmorphs(dimension, steps):
    velocity = np.random.default_rng(4).normal(size=(dimension, *SHAPES[dimension]))
    velocity = np.stack([3 * ndimage.gaussian_filter(component, 2) / 0.2 for component in velocity])
    ours = integrate(torch.tensor(velocity)[None], steps)[0].numpy()
    np.testing.assert_allclose(ours, scaled_and_squared(velocity, steps), atol=1e-9)


@pytest.mark.parametrize("dimension", [2, 3])
def test_warping_is_voxelmorphs(dimension):
    image = np.random.default_rng(5).random(SHAPES[dimension])
    displacement = np.random.default_rng(6).normal(scale=4, size=(dimension, *SHAPES[dimension]))
    ours = warp(torch.tensor(image)[None, None], torch.tensor(displacement)[None])[0, 0].numpy()
    np.testing.assert_allclose(ours, sampled(image, displacement), atol=1e-9)


@pytest.mark.parametrize("dimension", [2, 3])
def test_kernels_of_the_hypernetwork_are_linear_maps_of_a_dense_network(dimension):
    network = awake(PAPER[dimension]).double()
    vectors = np.random.default_rng(7).random((3, 2))
    made = network.kernels(torch.tensor(vectors))
    for number, vector in enumerate(vectors):
        for ours, (weight, bias) in zip(made, hyper_kernels(network, vector), strict=True):
            np.testing.assert_allclose(ours.weight[number].detach().numpy(), weight, atol=1e-12)
            np.testing.assert_allclose(ours.bias[number].detach().numpy(), bias, atol=1e-12)


@pytest.mark.parametrize("dimension", [2, 3])
def test_one_layer_convolves_every_sample_with_its_own_kernel(dimension):
    from TissueElasticRegistrationLib.core.models.network.layers import Kernel, convolve

    rng = np.random.default_rng(8)
    x, weight, bias = (
        rng.normal(size=size) for size in ((3, 2, *SHAPES[dimension]), (3, 4, 2, *[3] * dimension), (3, 4))
    )
    ours = convolve(torch.tensor(x), Kernel(torch.tensor(weight), torch.tensor(bias)))
    for number in range(3):
        np.testing.assert_allclose(ours[number].numpy(), convolved(x[number], weight[number], bias[number]), atol=1e-9)


# --- The whole ------------------------------------------------------------------------------------------------------


@pytest.fixture(params=[PAPER[2], HALF[2], PAPER[3], HALF[3]], ids=["2D", "2D half", "3D", "3D half"])
def case(request):
    """A hypernetwork, two image pairs, a vector of sliders for each, in double precision."""
    config = request.param
    fixed, moving = similar_images(SHAPES[config.dimension])
    return awake(config, voxels=1.0).double(), fixed, moving, torch.tensor([[0.1, 0.3], [0.9, 0.6]]).double()


def reference_displacement(network, fixed, moving, sliders) -> tuple[np.ndarray, np.ndarray]:
    """Velocity and displacement of one pair."""
    kernels = hyper_kernels(network, sliders.numpy())
    velocity = u_net(network.config, kernels, network.flow, moving[0].numpy(), fixed[0].numpy())
    displacement = scaled_and_squared(velocity, network.config.integration_steps)
    return velocity, twice_as_fine(displacement) if network.config.half_resolution else displacement


def loss(network, fixed, moving, sliders) -> torch.Tensor:
    """Eq. 1 of the paper with one λ and one μ everywhere, mean over the batch."""
    spacing_mm = SPACING_MM[network.config.dimension]
    velocity = network(fixed, moving, sliders)
    displacement = network.displacement(velocity, fixed.shape[2:])
    lam, mu = (sliders[:, k].view(-1, *[1] * (fixed.dim() - 1)).expand_as(fixed) for k in (0, 1))
    objective = Objective(PaperScale())
    return torch.stack(
        [
            objective.terms(
                fixed[n : n + 1],
                warp(moving, displacement)[n : n + 1],
                torch.ones_like(fixed[:1]),
                displacement[n : n + 1],
                spacing_mm,
                lam[n : n + 1],
                mu[n : n + 1],
            ).total
            for n in range(len(fixed))
        ]
    ).mean()


def test_the_paper_mode_deforms_as_the_published_network(case):
    network, fixed, moving, sliders = case
    with torch.inference_mode():
        velocity = network(fixed, moving, sliders)
        displacement = network.displacement(velocity, fixed.shape[2:])
    for number in range(2):
        v, u = reference_displacement(network, fixed[number], moving[number], sliders[number])
        assert u.std() > 0.2
        np.testing.assert_allclose(velocity[number].numpy(), v, atol=1e-10)
        np.testing.assert_allclose(displacement[number].numpy(), u, atol=1e-9)


def test_the_loss_is_equation_one_of_the_paper(case, monkeypatch):
    network, fixed, moving, sliders = case
    shape = fixed.shape[2:]
    inner = torch.zeros(shape, dtype=bool)
    inner[(slice(4, -4),) * len(shape)] = True

    def with_whole_windows(f, w, mask, windows):  # where VoxelMorph's correlation and this project's are the same
        correlation, _ = local_ncc(f, w, mask, 9)
        return correlation * inner, inner.expand_as(correlation).to(correlation.dtype)

    monkeypatch.setattr("TissueElasticRegistrationLib.core.physics.objective.local_ncc", with_whole_windows)
    with torch.no_grad():
        ours = float(loss(network, fixed, moving, sliders))
    total = 0.0
    for number in range(2):
        lam, mu = sliders[number].tolist()
        _, u = reference_displacement(network, fixed[number], moving[number], sliders[number])
        similarity = squared_ncc(fixed[number, 0].numpy(), sampled(moving[number, 0].numpy(), u)).mean()
        energy = paper_energy(u, SPACING_MM[len(shape)], np.full(shape, lam), np.full(shape, mu))
        assert min(similarity, energy) > 0.05
        total += (energy - (2 - lam - mu) * similarity) / 2
    assert ours == pytest.approx(total, abs=2e-5)


def test_the_energy_of_the_paper_has_its_closed_form():
    """Dilation by e: div u = 2 e, Σ_ij (∂_i u_j + ∂_j u_i)² = 8 e²; shear: 0 and 8 e²; rotation: nothing."""
    e, lam, mu = 0.1, 0.3, 0.5
    j, i = np.meshgrid(np.arange(12.0), np.arange(10.0), indexing="ij")
    for field, expected in (
        ((e * j, e * i), 2 * mu * e**2 + 2 * lam * e**2),
        ((e * i, e * j), 2 * mu * e**2),
        ((e * j, -e * i), 2 * mu * e**2),
        ((e * i, -e * j), 0.0),
    ):
        displacement = torch.tensor(np.stack(field))[None]
        ours = Objective(PaperScale()).energy_density(displacement, (1.0, 1.0), lam, mu)
        np.testing.assert_allclose(ours.numpy(), expected, atol=1e-12)
        assert paper_energy(np.stack(field), (1.0, 1.0), np.full(j.shape, lam), np.full(j.shape, mu)) == pytest.approx(
            expected, abs=1e-12
        )


@pytest.mark.parametrize("group", ["kernels.hidden", "kernels.weights", "kernels.biases", "flow", "sliders"])
def test_gradients_are_those_of_finite_differences(case, group):
    """Along the gradient itself, with respect to one part of the network at a time or to the sliders."""
    network, fixed, moving, sliders = case
    variables = (
        [sliders]
        if group == "sliders"
        else [weight for name, weight in network.named_parameters() if name.startswith(group)]
    )
    for variable in variables:
        variable.requires_grad_()
    gradients = torch.autograd.grad(loss(network, fixed, moving, sliders), variables)
    length = float(torch.sqrt(sum((gradient**2).sum() for gradient in gradients)))

    def moved_by(step: float) -> float:
        with torch.no_grad():
            for variable, gradient in zip(variables, gradients, strict=True):
                variable += step / length * gradient
            value = float(loss(network, fixed, moving, sliders))
            for variable, gradient in zip(variables, gradients, strict=True):
                variable -= step / length * gradient
        return value

    # The correlation is computed in single precision: a step that changes the loss by about 1e-3.
    step = 1e-3 / length
    assert (moved_by(step) - moved_by(-step)) / (2 * step) == pytest.approx(length, rel=0.01)


def test_resizing_keeps_the_physical_displacement():
    displacement = np.random.default_rng(9).normal(size=(2, 6, 7))
    ours = resize(torch.tensor(displacement)[None], (12, 14))[0].numpy()
    np.testing.assert_allclose(ours, twice_as_fine(displacement), atol=1e-12)
