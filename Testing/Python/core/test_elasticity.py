"""Elastic and diffusion energy: closed forms on every kind of grid, an independent sum, invariances, gradients."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
import torch
from oblique_data import oblique_geometry

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.data.tissues import Lame, TissueParameters
from TissueElasticRegistrationLib.core.physics.elasticity import diffusion_energy, elastic_energy, strain_invariants

SHAPES = {2: (6, 9), 3: (4, 6, 7)}
SPACINGS = {"isotropic": (2.0, 2.0, 2.0), "anisotropic": (3.1, 1.3, 0.8)}
GRIDS = [*SPACINGS, "oblique"]
DIMENSIONS = [2, 3]
LAM, MU = 0.7, 1.9
E = 0.1
BOTH = [lambda u, h: elastic_energy(u, h, LAM, MU), lambda u, h: diffusion_energy(u, h, MU)]


def unit(dimension, row, column):
    matrix = np.zeros((dimension, dimension))
    matrix[row, column] = 1.0
    return matrix


def homogeneous_strains(dimension):
    """name -> (gradient matrix G with u = G x, Σ ε_ij², (div u)²), the last two worked out by hand for strain E."""
    fields = {
        "translation": (np.zeros((dimension, dimension)), 0.0, 0.0),
        "dilation": (E * np.eye(dimension), dimension * E**2, (dimension * E) ** 2),
    }
    for i in range(dimension):
        fields[f"stretch {i}"] = E * unit(dimension, i, i), E**2, E**2
    for i, j in permutations(range(dimension), 2):
        fields[f"simple shear {i}{j}"] = E * unit(dimension, i, j), E**2 / 2, 0.0
        if i < j:
            across = unit(dimension, i, j)
            fields[f"rotation {i}{j}"] = E * (across - across.T), 0.0, 0.0
            fields[f"pure shear {i}{j}"] = E * (across + across.T), 2 * E**2, 0.0
            fields[f"isochoric stretch {i}{j}"] = E * (unit(dimension, i, i) - unit(dimension, j, j)), 2 * E**2, 0.0
    return fields


CASES = [(dimension, name) for dimension in DIMENSIONS for name in homogeneous_strains(dimension)]


def on_axis_aligned_grid(gradient, spacing):
    """u = t + G x in mm on a grid along the axes, as (1, D, *shape) in mm."""
    dimension = len(gradient)
    positions = np.stack(
        np.meshgrid(
            *[(np.arange(n) - n / 2) * h for n, h in zip(SHAPES[dimension], spacing, strict=True)], indexing="ij"
        )
    )
    field = np.einsum("ab,b...->a...", gradient, positions) + np.arange(1, dimension + 1).reshape(-1, *[1] * dimension)
    return torch.tensor(field[None], dtype=torch.float32)


def ras_gradient(gradient, geometry: Geometry):
    """The same strain in patient space: along R, A, S in 3D, in 2D along a frame turned by 0.5 rad within the slice."""
    if len(gradient) == 3:
        return gradient
    i, j, _ = (geometry.ijk_to_ras[:3, :3] / geometry.spacing_ijk_mm).T
    frame = np.stack([np.cos(0.5) * i + np.sin(0.5) * j, np.cos(0.5) * j - np.sin(0.5) * i], 1)
    return frame @ gradient @ frame.T


def on_oblique_grid(gradient):
    """u = t + G x in RAS mm on an oblique anisotropic grid, through the core's conversions, and the spacing."""
    dimension = len(gradient)
    geometry = oblique_geometry((1, *SHAPES[2]) if dimension == 2 else SHAPES[3])
    spacing = geometry.spacing_kji_mm
    positions = geometry.voxel_centers_ras_mm() - geometry.corners_ras_mm().mean(0)
    field_ras = positions @ ras_gradient(gradient, geometry).T
    if dimension == 3:
        field_ras = field_ras + [1.0, -2.0, 0.5]
    field = geometry.displacement_grid(field_ras) * spacing.reshape(3, 1, 1, 1)
    if dimension == 2:
        field, spacing = field[1:, 0], spacing[1:]
    return torch.tensor(field[None], dtype=torch.float32), spacing.tolist()


def field_and_spacing(gradient, grid):
    if grid == "oblique":
        return on_oblique_grid(gradient)
    spacing = SPACINGS[grid][: len(gradient)]
    return on_axis_aligned_grid(gradient, spacing), spacing


def assert_everywhere(energy, expected):
    """``expected`` at every voxel, borders included; relative to the energy of strain E where it is 0."""
    np.testing.assert_allclose(energy, np.full(energy.shape, expected), rtol=1e-5, atol=1e-5 * E**2)


def random_field(dimension, seed=0, shape=None, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, dimension, *(shape or SHAPES[dimension]), generator=generator, dtype=dtype)


# ---- closed forms -------------------------------------------------------------------------------


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize(("dimension", "name"), CASES)
def test_homogeneous_strain_has_its_closed_form_at_every_voxel(dimension, name, grid):
    gradient, squared_strain, squared_divergence = homogeneous_strains(dimension)[name]
    field, spacing = field_and_spacing(gradient, grid)
    energy = elastic_energy(field, spacing, LAM, MU)
    assert energy.shape == (1, 1, *SHAPES[dimension])
    assert_everywhere(energy, MU * squared_strain + LAM / 2 * squared_divergence)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize(
    ("name", "mu_term", "lam_term"),
    [
        ("translation", 0, 0),
        ("rotation 01", 0, 0),
        ("isochoric stretch 01", 0.02, 0),
        ("dilation", 0.02, 0.02),
        ("pure shear 01", 0.02, 0),
    ],
)
def test_terms_that_the_published_code_confuses(name, mu_term, lam_term, grid):
    """That code pairs the derivative along the last axis with the first component: .02 for rotation, 0 for stretch."""
    field, spacing = field_and_spacing(homogeneous_strains(2)[name][0], grid)
    assert_everywhere(elastic_energy(field, spacing, 0, 1), mu_term)
    assert_everywhere(elastic_energy(field, spacing, 1, 0), lam_term)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_any_linear_field_on_an_oblique_grid_has_the_energy_of_its_gradient_in_patient_space(dimension):
    gradient = np.random.default_rng(dimension).normal(0, E, (dimension, dimension))
    strain = (gradient + gradient.T) / 2
    field, spacing = on_oblique_grid(gradient)
    assert_everywhere(
        elastic_energy(field, spacing, LAM, MU), MU * np.sum(strain**2) + LAM / 2 * np.trace(gradient) ** 2
    )


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_diffusion_has_half_the_squared_gradient(dimension, grid):
    gradient = np.random.default_rng(dimension).normal(0, E, (dimension, dimension))
    field, spacing = field_and_spacing(gradient, grid)
    assert_everywhere(diffusion_energy(field, spacing, MU), MU / 2 * np.sum(gradient**2))


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_diffusion_penalizes_rotation_but_not_translation(dimension):
    fields = homogeneous_strains(dimension)
    rotation, spacing = field_and_spacing(fields["rotation 01"][0], "anisotropic")
    assert_everywhere(diffusion_energy(rotation, spacing, MU), MU * E**2)
    translation, spacing = field_and_spacing(fields["translation"][0], "anisotropic")
    assert_everywhere(diffusion_energy(translation, spacing, MU), 0)


# ---- against an independent sum -----------------------------------------------------------------


def gradients_at(field, spacing, voxel):
    """The gradient matrices [component, axis] of all 2^D choices of neighbors; beyond the border the other one."""
    dimension = len(spacing)
    for sides in product((-1, 1), repeat=dimension):
        gradient = np.zeros((dimension, dimension))
        for axis, side in enumerate(sides):
            if not 0 <= voxel[axis] + side < field.shape[axis + 1]:
                side = -side
            neighbor = list(voxel)
            neighbor[axis] += side
            difference = field[(slice(None), *neighbor)] - field[(slice(None), *voxel)]
            gradient[:, axis] = difference / (side * spacing[axis])
        yield gradient


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_curved_field_has_the_mean_energy_of_all_one_sided_differences(dimension):
    generator = np.random.default_rng(dimension)
    shape, spacing = (4, 5, 3)[:dimension], (3.1, 1.3, 0.8)[:dimension]
    positions = np.stack(np.meshgrid(*[np.arange(n) * h for n, h in zip(shape, spacing, strict=True)], indexing="ij"))
    quadratic = generator.normal(0, 0.05, (dimension,) * 3)
    field = np.einsum("abc,b...,c...->a...", quadratic, positions, positions)
    elastic, diffusion = np.zeros(shape), np.zeros(shape)
    for voxel in np.ndindex(shape):
        choices = list(gradients_at(field, spacing, voxel))
        elastic[voxel] = np.mean([MU / 4 * np.sum((g + g.T) ** 2) + LAM / 2 * np.trace(g) ** 2 for g in choices])
        diffusion[voxel] = np.mean([MU / 2 * np.sum(g**2) for g in choices])
    tensor = torch.tensor(field[None])
    np.testing.assert_allclose(elastic_energy(tensor, spacing, LAM, MU)[0, 0], elastic, rtol=1e-10)
    np.testing.assert_allclose(diffusion_energy(tensor, spacing, MU)[0, 0], diffusion, rtol=1e-10)


@pytest.mark.parametrize("energy", BOTH, ids=["elastic", "diffusion"])
@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_gradient_equals_finite_differences(dimension, energy):
    field = random_field(dimension, shape=(3, 4, 2)[:dimension], dtype=torch.float64).requires_grad_()
    spacing = (3.1, 1.3, 0.8)[:dimension]
    assert torch.autograd.gradcheck(lambda u: energy(u, spacing), field, eps=1e-6, atol=1e-7)


# ---- invariances --------------------------------------------------------------------------------


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_flipped_field_has_the_flipped_energy(dimension):
    field, spacing = random_field(dimension), SPACINGS["anisotropic"][:dimension]
    energy = elastic_energy(field, spacing, LAM, MU)
    for axis in range(dimension):
        mirrored = field.flip(axis + 2)
        mirrored[:, axis] *= -1
        torch.testing.assert_close(elastic_energy(mirrored, spacing, LAM, MU), energy.flip(axis + 2))


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_transposed_field_has_the_transposed_energy(dimension):
    field, spacing = random_field(dimension), SPACINGS["anisotropic"][:dimension]
    energy = elastic_energy(field, spacing, LAM, MU)
    for order in permutations(range(dimension)):
        turned = field[:, list(order)].permute(0, 1, *[axis + 2 for axis in order])
        torch.testing.assert_close(
            elastic_energy(turned, [spacing[axis] for axis in order], LAM, MU),
            energy.permute(0, 1, *[axis + 2 for axis in order]),
        )


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_checkerboard_costs_energy_at_every_voxel(dimension):
    """Central differences would see nothing of it."""
    parity = torch.tensor(np.indices(SHAPES[dimension]).sum(0) % 2)
    for component in range(dimension):
        field = torch.zeros(1, dimension, *SHAPES[dimension])
        field[0, component] = parity
        for lam, mu in ((1, 0), (0, 1)):
            assert elastic_energy(field, [1.0] * dimension, lam, mu).min() >= 0.5


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_energy_is_linear_in_both_parameters(dimension):
    field, spacing = random_field(dimension), SPACINGS["anisotropic"][:dimension]
    shear, divergence = strain_invariants(field, spacing)
    torch.testing.assert_close(elastic_energy(field, spacing, 0, 3), 3 * shear)
    torch.testing.assert_close(elastic_energy(field, spacing, 3, 0), 1.5 * divergence)
    torch.testing.assert_close(elastic_energy(field, spacing, LAM, MU), MU * shear + LAM / 2 * divergence)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_energy_falls_with_the_square_of_the_voxel_size(dimension):
    field, spacing = random_field(dimension), SPACINGS["anisotropic"][:dimension]
    torch.testing.assert_close(
        elastic_energy(field, [3 * h for h in spacing], LAM, MU), elastic_energy(field, spacing, LAM, MU) / 9
    )


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_energy_in_mm_is_that_of_the_same_strain_in_any_unit(dimension):
    field, spacing = random_field(dimension), SPACINGS["anisotropic"][:dimension]
    torch.testing.assert_close(
        elastic_energy(field / 10, [h / 10 for h in spacing], LAM, MU), elastic_energy(field, spacing, LAM, MU)
    )


# ---- tissues, batches, borders ------------------------------------------------------------------


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_each_voxel_has_the_energy_of_its_own_tissue(dimension):
    field, spacing = random_field(dimension), SPACINGS["anisotropic"][:dimension]
    materials = {0: Lame(0.3, 0.1), 2: Lame(4.0, 30.0)}
    labels = 2 * (torch.arange(field[0, 0].numel()).reshape(1, 1, *SHAPES[dimension]) % 5 < 2)
    energy = elastic_energy(field, spacing, *TissueParameters(materials).maps(labels))
    for label, lame in materials.items():
        alone = elastic_energy(field, spacing, lame.lam, lame.mu)
        torch.testing.assert_close(energy[labels == label], alone[labels == label])


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_energy_of_two_tissues_is_the_sum_of_the_parts(dimension):
    field, spacing = random_field(dimension), SPACINGS["anisotropic"][:dimension]
    inside = (torch.arange(field[0, 0].numel()).reshape(1, 1, *SHAPES[dimension]) % 3 == 0).float()
    soft, stiff = (0.3 * inside, 0.1 * inside), (4 * (1 - inside), 30 * (1 - inside))
    together = elastic_energy(field, spacing, soft[0] + stiff[0], soft[1] + stiff[1])
    torch.testing.assert_close(together, elastic_energy(field, spacing, *soft) + elastic_energy(field, spacing, *stiff))


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_batch_of_two_equals_two_batches_of_one(dimension):
    spacing = SPACINGS["anisotropic"][:dimension]
    fields = [random_field(dimension, seed) for seed in (1, 2)]
    maps = [random_field(dimension, seed)[:, :1].abs() for seed in (3, 4)]
    together = elastic_energy(torch.cat(fields), spacing, torch.cat(maps), 2 * torch.cat(maps))
    for index in range(2):
        alone = elastic_energy(fields[index], spacing, maps[index], 2 * maps[index])
        torch.testing.assert_close(together[index : index + 1], alone)


def test_volume_of_one_slice_has_the_energy_of_the_slice():
    flat = random_field(2)
    volume = torch.zeros(1, 3, 1, *SHAPES[2])
    volume[:, 1:, 0] = flat
    torch.testing.assert_close(
        elastic_energy(volume, (5.0, 1.3, 0.8), LAM, MU)[:, :, 0], elastic_energy(flat, (1.3, 0.8), LAM, MU)
    )


# ---- refused input ------------------------------------------------------------------------------


@pytest.mark.parametrize("energy", BOTH, ids=["elastic", "diffusion"])
@pytest.mark.parametrize(
    ("shape", "spacing", "message"),
    [
        ((1, 3, 6, 9), (1.0, 1.0), "not shape"),
        ((1, 2, 4, 6, 7), (1.0, 1.0, 1.0), "not shape"),
        ((1, 4, 6, 2), (1.0, 1.0), "not shape"),
        ((1, 2, 6, 9), (1.0, 1.0, 1.0), "3 spacings"),
        ((1, 3, 4, 6, 7), (1.0, 1.0), "2 spacings"),
        ((1, 2, 6, 9), (1.0, 0.0), "positive"),
        ((1, 2, 6, 9), (-1.0, 1.0), "positive"),
    ],
    ids=["3 of 2", "2 of 3", "channels last", "spacing too many", "spacing too few", "zero", "negative"],
)
def test_displacement_and_spacing_that_do_not_belong_together_are_refused(energy, shape, spacing, message):
    with pytest.raises(ValueError, match=message):
        energy(torch.zeros(shape), spacing)
