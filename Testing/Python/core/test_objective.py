"""What a registration minimizes: the signs of its terms, the scales' weights, units, windows in mm."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from TissueElasticRegistrationLib.core.physics.objective import Objective, ObjectiveTerms
from TissueElasticRegistrationLib.core.physics.parameter_scale import LogScale, PaperScale
from TissueElasticRegistrationLib.core.physics.regularizers import REGULARIZERS, Regularizer
from TissueElasticRegistrationLib.core.physics.similarity import local_ncc

SHAPES = {2: (12, 15), 3: (6, 9, 11)}
SPACING = (3.0, 1.5, 0.8)
DIMENSIONS = [2, 3]


def textured(shape, seed=0):
    values = gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 1.0)
    return torch.tensor(0.5 + 0.2 * values / values.std(), dtype=torch.float32)[None, None]


def stretch(shape, axis, strain):
    """Displacement in voxels that stretches one axis by ``strain``, in any unit."""
    field = torch.zeros(1, len(shape), *shape)
    field[0, axis] = strain * torch.tensor(np.indices(shape)[axis])
    return field


def setting(dimension, lam=0.3, mu=0.6):
    """fixed, warped, mask, displacement, spacing, Λ, Γ."""
    shape = SHAPES[dimension]
    mask = torch.ones(1, 1, *shape)
    mask[..., :2] = 0
    return (
        textured(shape, 1),
        textured(shape, 2),
        mask,
        stretch(shape, 0, 0.1),
        SPACING[:dimension],
        torch.full((1, 1, *shape), lam),
        torch.full((1, 1, *shape), mu),
    )


# ---- signs and sums -----------------------------------------------------------------------------


def test_total_is_the_energy_minus_the_similarity():
    assert ObjectiveTerms(torch.tensor(0.75), torch.tensor(0.5)).total == -0.25


@pytest.mark.parametrize("scale", [LogScale(), PaperScale()], ids=["log", "paper"])
@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_images_that_match_lower_the_objective(dimension, scale):
    fixed, warped, *rest = setting(dimension)
    objective = Objective(scale)
    matching, different = objective.terms(fixed, fixed, *rest), objective.terms(fixed, warped, *rest)
    assert matching.similarity > different.similarity > 0 and matching.total < different.total
    assert matching.energy == different.energy


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_deforming_raises_the_objective_and_zero_displacement_has_no_energy(dimension):
    fixed, warped, mask, displacement, *rest = setting(dimension)
    still = Objective().terms(fixed, warped, mask, torch.zeros_like(displacement), *rest)
    deformed = Objective().terms(fixed, warped, mask, displacement, *rest)
    assert still.energy == 0 and deformed.energy > 0 and deformed.total > still.total


@pytest.mark.parametrize("regularizer", ["elastic", "diffusion"])
@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_terms_are_means_of_their_densities(dimension, regularizer):
    fixed, warped, mask, displacement, spacing, lam, mu = setting(dimension)
    mu = mu * textured(SHAPES[dimension], 4)
    objective = Objective(regularizer=regularizer)
    terms = objective.terms(fixed, warped, mask, displacement, spacing, lam, mu)
    correlation, region = local_ncc(fixed, warped, mask, objective.windows(spacing))
    assert terms.similarity.item() == pytest.approx(correlation[region > 0].mean().item(), rel=1e-5)
    density = objective.energy_density(displacement, spacing, lam, mu)
    assert terms.energy.item() == pytest.approx(density.mean().item(), rel=1e-6)
    assert density.shape == (1, 1, *SHAPES[dimension])


def test_weight_acts_on_the_energy_alone():
    once, twice = (Objective().terms(*setting(3), weight=weight) for weight in (1.0, 2.0))
    assert twice.similarity == once.similarity
    assert twice.energy.item() == pytest.approx(2 * once.energy.item())


def test_gradient_reaches_the_warped_image_and_the_displacement():
    fixed, warped, mask, displacement, *rest = setting(3)
    warped.requires_grad_()
    displacement.requires_grad_()
    Objective().terms(fixed, warped, mask, displacement, *rest).total.backward()
    assert warped.grad.abs().max() > 0 and displacement.grad.abs().max() > 0


def test_nothing_in_common_has_no_similarity():
    fixed, warped, mask, *rest = setting(2)
    assert Objective().terms(fixed, warped, torch.zeros_like(mask), *rest).similarity == 0


# ---- scales -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lam", "mu", "factor"), [(0.0, 0.0, 2.0), (0.25, 0.5, 1.25), (1.0, 1.0, 0.0)])
def test_paper_scale_weighs_the_similarity_by_2_minus_lambda_minus_mu(lam, mu, factor):
    plain = Objective(LogScale()).terms(*setting(2, lam, mu))
    paper = Objective(PaperScale()).terms(*setting(2, lam, mu))
    assert paper.similarity.item() == pytest.approx(factor * plain.similarity.item(), abs=1e-7)
    assert paper.energy == plain.energy


def test_paper_scale_weighs_each_voxel_by_its_own_tissue():
    fixed, warped, mask, displacement, spacing, lam, mu = setting(2)
    lam[..., 6:] = 1.0
    mu[..., 6:] = 1.0
    objective = Objective(PaperScale())
    correlation, region = local_ncc(fixed, warped, mask, objective.windows(spacing))
    soft = (2 - 0.3 - 0.6) * correlation[..., :6].sum() / region.sum()
    terms = objective.terms(fixed, warped, mask, displacement, spacing, lam, mu)
    assert terms.similarity.item() == pytest.approx(soft.item(), rel=1e-5)


# ---- energy -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dimension", "axis"), [(2, 0), (2, 1), (3, 0), (3, 1), (3, 2)])
def test_displacement_in_voxels_becomes_strain_whatever_the_voxel_size(dimension, axis):
    density = Objective().energy_density(stretch(SHAPES[dimension], axis, 0.1), SPACING[:dimension], 3.0, 2.0)
    np.testing.assert_allclose(density, np.full(density.shape, (2.0 + 3.0 / 2) * 0.01), rtol=1e-5)


def test_shear_in_voxels_counts_by_its_mm():
    field = torch.zeros(1, 2, *SHAPES[2])
    field[0, 0] = 0.1 * torch.tensor(np.indices(SHAPES[2])[1])
    density = Objective().energy_density(field, (3.0, 1.5), 0.0, 1.0)
    np.testing.assert_allclose(density, np.full(density.shape, (0.1 * 3.0 / 1.5) ** 2 / 2), rtol=1e-5)


def test_diffusion_takes_mu_as_its_weight_and_leaves_lambda_out():
    objective, field = Objective(regularizer="diffusion"), stretch(SHAPES[3], 1, 0.1)
    density = objective.energy_density(field, SPACING, 3.0, 2.0)
    np.testing.assert_allclose(density, np.full(density.shape, 2.0 / 2 * 0.01), rtol=1e-5)
    torch.testing.assert_close(objective.energy_density(field, SPACING, 77.0, 2.0), density)


# ---- windows ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "spacing", "expected"),
    [
        (9, (1.0, 1.0, 1.0), (9, 9, 9)),
        (9, (2.5, 2.5), (9, 9)),
        (9, (3.0, 1.0, 1.0), (3, 9, 9)),
        (9, (1.8, 1.0, 1.0), (5, 9, 9)),
        (9, (8.0, 1.0, 1.0), (3, 9, 9)),
        (5, (1.0, 1.7, 1.0), (5, 3, 5)),
        (9, (1.0, 1.3, 4.0), (9, 7, 3)),
    ],
)
def test_windows_have_about_the_same_mm_everywhere_and_at_least_three_voxels(window, spacing, expected):
    assert Objective(window=window).windows(spacing) == expected


def test_thick_slices_are_compared_within_few_slices():
    fixed, warped, mask, displacement, _, lam, mu = setting(3)
    spacing = (5.0, 1.0, 1.0)
    terms = Objective().terms(fixed, warped, mask, displacement, spacing, lam, mu)
    correlation, region = local_ncc(fixed, warped, mask, (3, 9, 9))
    assert terms.similarity.item() == pytest.approx((correlation.sum() / region.sum()).item(), rel=1e-5)


def test_an_entry_in_the_list_is_all_that_a_new_regularizer_needs(monkeypatch):
    def size(displacement_mm, spacing_mm, lam, mu):
        return mu * displacement_mm.square().sum(1, keepdim=True)

    monkeypatch.setitem(REGULARIZERS, "size", Regularizer(has_lambda=False, energy=size))
    objective, displacement = Objective(regularizer="size"), torch.full((1, 2, 5, 4), 0.5)
    density = objective.energy_density(displacement, (2.0, 3.0), 7.0, 10.0)
    assert density.flatten().tolist() == pytest.approx([10 * (1.0**2 + 1.5**2)] * 20)
    assert not objective.has_lambda
