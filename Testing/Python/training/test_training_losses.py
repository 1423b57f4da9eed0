"""Training: the loss is the objective of the solvers, pair by pair."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from training_files import gradient_pair

from TissueElasticRegistrationLib.core.data.tissues import Lame, TissueParameters
from TissueElasticRegistrationLib.core.physics.deformation import inside, integrate, resize, warp
from TissueElasticRegistrationLib.core.physics.objective import Objective
from TissueElasticRegistrationLib.core.physics.parameter_scale import LogScale, PaperScale
from training.datasets.pair import collate
from training.losses import batch_terms, displacement_of, weight_maps

STEPS = 5
OBJECTIVES = {
    "log": Objective(),
    "paper": Objective(scale=PaperScale()),
    "diffusion": Objective(regularizer="diffusion"),
    "paper's diffusion": Objective(PaperScale(), "diffusion"),
}


def random_batch(count=2, spacing_mm=(2.0, 2.0)):
    pairs = [replace(gradient_pair(seed=seed), spacing_mm=spacing_mm) for seed in range(count)]
    valid = np.ones(pairs[0].shape, bool)
    valid[:5] = False  # of one pair only, so that pairs have different numbers of valid voxels
    pairs[0] = replace(pairs[0], valid=valid)
    return collate(pairs, np.random.default_rng(9).random((count, 4, 2)))


def random_velocity(count=2):
    return torch.randn(count, 2, 10, 12, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", OBJECTIVES)
@pytest.mark.parametrize("spacing_mm", [(2.0, 2.0), (1.0, 3.0)])
def test_terms_of_each_pair_are_those_the_solvers_minimize(kind, spacing_mm):
    objective, batch, velocity = OBJECTIVES[kind], random_batch(spacing_mm=spacing_mm), random_velocity()
    terms = batch_terms(objective, velocity, batch, STEPS)
    for number in range(2):
        sliders = batch.sliders[number].tolist()
        parameters = TissueParameters(
            {label: Lame(*[objective.scale.weight(s) for s in pair]) for label, pair in enumerate(sliders)}
        )
        fixed, moving, mask, labels = (
            part[number : number + 1] for part in (batch.fixed, batch.moving, batch.mask, batch.labels)
        )
        displacement = resize(integrate(velocity[number : number + 1], STEPS), (20, 24))
        expected = objective.terms(
            fixed,
            warp(moving, displacement),
            inside(displacement) * mask,
            displacement,
            spacing_mm,
            *parameters.maps(labels[:, None]),
        )
        assert float(terms.similarity[number]) == pytest.approx(float(expected.similarity), rel=1e-5)
        assert float(terms.energy[number]) == pytest.approx(float(expected.energy), rel=1e-5)
        assert float(terms.total[number]) == pytest.approx(float(expected.total), rel=1e-5)


def test_paper_loss_of_equal_images_is_the_correlation_weighed_with_two_minus_both_parameters():
    pair = gradient_pair()
    pair = replace(pair, moving=pair.fixed)
    sliders = np.array([[[0.2, 0.3], [1.0, 1.0], [0.0, 0.0], [0.5, 0.9]]])
    terms = batch_terms(OBJECTIVES["paper"], torch.zeros(1, 2, 10, 12), collate([pair], sliders), STEPS)
    expected = np.choose(pair.fixed_labels, 2 - sliders[0].sum(1)).mean()
    assert float(terms.similarity[0]) == pytest.approx(expected, rel=2e-3)  # the rest is epsilon of the correlation
    assert float(terms.energy[0]) == 0


def test_diffusion_has_one_weight_and_on_the_papers_scale_the_similarity_weighs_twice_what_is_left():
    batch, velocity = random_batch(), random_velocity()
    plain = batch_terms(OBJECTIVES["diffusion"], velocity, batch, STEPS)  # similarity weight 1
    for mu in (0.0, 0.3, 1.0):
        batch.sliders[..., 1] = mu  # λ stays random
        terms = batch_terms(OBJECTIVES["paper's diffusion"], velocity, batch, STEPS)
        assert torch.allclose(terms.similarity, 2 * (1 - mu) * plain.similarity, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("scale", [LogScale(), PaperScale()])
def test_weights_are_those_of_the_scale(scale):
    labels = torch.tensor([[[0, 1], [2, 1]]])
    sliders = torch.tensor([[[0.0, 1.0], [0.25, 0.5], [0.7, 0.1]]])
    lam, mu = weight_maps(scale, labels, sliders)
    for label in range(3):
        here = labels[:, None] == label
        assert lam[here].tolist() == pytest.approx([scale.weight(sliders[0, label, 0].item())] * int(here.sum()))
        assert mu[here].tolist() == pytest.approx([scale.weight(sliders[0, label, 1].item())] * int(here.sum()))


def test_gradient_of_the_loss_agrees_with_finite_differences():
    batch, velocity = random_batch(), 0.3 * random_velocity()
    direction = torch.randn(velocity.shape, generator=torch.Generator().manual_seed(2))

    def loss(distance):
        return batch_terms(OBJECTIVES["log"], velocity + distance * direction, batch, STEPS).total.mean()

    velocity.requires_grad_(True)
    slope = float((torch.autograd.grad(loss(0.0), velocity)[0] * direction).sum())
    small = 1e-3
    with torch.no_grad():
        expected = float(loss(small) - loss(-small)) / (2 * small)
    assert slope == pytest.approx(expected, rel=0.02)


def test_a_velocity_in_half_precision_gives_a_loss_in_float32():
    terms = batch_terms(OBJECTIVES["log"], random_velocity().bfloat16(), random_batch(), STEPS)
    assert terms.total.dtype == torch.float32
    assert displacement_of(random_velocity().bfloat16(), (20, 24), STEPS).dtype == torch.float32


def test_a_batch_is_the_mean_of_its_pairs_however_much_of_them_is_valid():
    batch, velocity = random_batch(), random_velocity()
    together = batch_terms(OBJECTIVES["log"], velocity, batch, STEPS).total
    for number in range(2):
        alone = type(batch)(*[part[number : number + 1] if isinstance(part, torch.Tensor) else part for part in batch])
        single = batch_terms(OBJECTIVES["log"], velocity[number : number + 1], alone, STEPS).total
        assert float(single) == pytest.approx(float(together[number]), rel=1e-5)
