"""The finite elements behind shear modulus ratios: matrices, solver, marginal likelihood and how it is maximized."""

from __future__ import annotations

import numpy as np
import pytest

from TissueElasticRegistrationLib.core.data.progress import finish
from TissueElasticRegistrationLib.core.stiffness.bfgs import minimize
from TissueElasticRegistrationLib.core.stiffness.block_tridiagonal import factorize
from TissueElasticRegistrationLib.core.stiffness.body_forces import unknown_forces
from TissueElasticRegistrationLib.core.stiffness.finite_elements import NO_TISSUE, FiniteElementBody
from TissueElasticRegistrationLib.core.stiffness.marginal_likelihood import MarginalLikelihood, Measurement

SPACING_MM = {2: (2.0, 3.5), 3: (2.0, 5.0, 3.0)}
FACTORS = {2: (2, 1), 3: (2, 1, 3)}
SHAPES = {2: (16, 9), 3: (12, 7, 20)}


def two_tissues(dimension: int) -> FiniteElementBody:
    """Tissue 0 above tissue 1, a piece of something else in a corner, all inside."""
    numbers = np.zeros(SHAPES[dimension], int)
    numbers[SHAPES[dimension][0] // 2 :] = 1
    numbers[(slice(0, 5),) * dimension] = NO_TISSUE
    return FiniteElementBody(numbers, np.ones(numbers.shape, bool), SPACING_MM[dimension], FACTORS[dimension])


def random_field(body: FiniteElementBody, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((len(body.free), body.dimension))


MODULI = np.array([[2.0, 0.7], [1.0, 3.0]])


@pytest.mark.parametrize("sizes", [(3, 4, 2, 5), (6,)])
def test_slabs_are_solved_like_the_whole_matrix(sizes):
    ends = np.cumsum([0, *sizes])
    factor = np.tril(np.random.default_rng(1).standard_normal((ends[-1], ends[-1]))) + 4 * np.eye(ends[-1])
    slab = np.repeat(np.arange(len(sizes)), sizes)
    factor[slab[:, None] - slab[None] > 1] = 0
    matrix = factor @ factor.T
    parts = [slice(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True)]
    lower = [matrix[here, parts[k - 1]] if k else np.zeros((sizes[0], 0)) for k, here in enumerate(parts)]
    right = np.random.default_rng(2).standard_normal((ends[-1], 3))
    found = factorize([matrix[here, here] for here in parts], lower).solve(right)
    np.testing.assert_allclose(matrix @ found, right, atol=1e-9)


@pytest.mark.parametrize("dimension", [2, 3])
def test_a_homogeneous_body_is_in_equilibrium_under_any_linear_displacement(dimension):
    numbers = np.zeros(SHAPES[dimension], int)
    body = FiniteElementBody(numbers, np.ones(numbers.shape, bool), SPACING_MM[dimension], FACTORS[dimension])
    slopes = np.random.default_rng(0).standard_normal((dimension, dimension))
    forces = body.internal_forces(np.array([[2.0], [1.0]]), body.positions_mm() @ slopes.T)
    size = np.abs(body.internal_forces(np.array([[2.0], [1.0]]), random_field(body, 3))).max()
    assert np.abs(forces).max() < 1e-9 * size and len(forces) == body.unknowns > 0


@pytest.mark.parametrize("dimension", [2, 3])
def test_the_work_of_every_modulus_adds_up_to_that_of_the_forces(dimension):
    body = two_tissues(dimension)
    displacement, virtual = random_field(body, 1), np.random.default_rng(2).standard_normal(body.unknowns)
    works = body.work_gradient(MODULI, body.nodal_values(virtual), displacement)
    assert np.sum(works) == pytest.approx(virtual @ body.internal_forces(MODULI, displacement))
    assert np.abs(works).min() > 0


@pytest.mark.parametrize("dimension", [2, 3])
def test_the_factorized_body_takes_the_forces_back(dimension):
    body = two_tissues(dimension)
    values = np.random.default_rng(4).standard_normal(body.unknowns)
    forces = body.internal_forces(MODULI, body.nodal_values(values))
    np.testing.assert_allclose(body.factorized_stiffness(MODULI).solve(forces), values, atol=1e-8)


@pytest.mark.parametrize("dimension", [2, 3])
def test_traces_are_sums_of_works(dimension):
    body = two_tissues(dimension)
    left, right = np.random.default_rng(5).standard_normal((2, body.unknowns, 3))
    expected = sum(
        body.work_gradient(MODULI, body.nodal_values(left[:, m]), body.nodal_values(right[:, m])) for m in range(3)
    )
    np.testing.assert_allclose(body.trace_gradient(MODULI, left, right), expected, rtol=1e-8)


@pytest.mark.parametrize("dimension", [2, 3])
def test_nodes_at_the_rim_are_prescribed(dimension):
    body = two_tissues(dimension)
    free = body.free.reshape(body.shape)
    assert free[(slice(1, -1),) * dimension].any()
    for axis in range(dimension):
        assert not np.take(free, (0, -1), axis=axis).any()


@pytest.mark.parametrize("dimension", [2, 3])
def test_the_probability_has_the_derivatives_it_says(dimension):
    body = two_tissues(dimension)
    generator = np.random.default_rng(6)
    roots = generator.standard_normal((len(body.free), dimension, dimension))
    measurement = Measurement(random_field(body, 7), roots @ np.swapaxes(roots, 1, 2), 0.1 * random_field(body, 8))
    likelihood = MarginalLikelihood(body, measurement, *unknown_forces(body))
    point = 0.3 * generator.standard_normal(likelihood.size) + np.array([0.0] * 5 + [-1.0, -2.0])
    _, slope = likelihood.value(point)
    for number in range(likelihood.size):
        step = np.zeros(likelihood.size)
        step[number] = 1e-4
        change = (likelihood.value(point + step)[0] - likelihood.value(point - step)[0]) / 2e-4
        assert slope[number] == pytest.approx(change, rel=1e-3, abs=1e-3), number


def test_the_true_moduli_are_more_probable_than_others():
    body = two_tissues(2)
    generator = np.random.default_rng(9)
    prescribed = np.where(body.free[:, None], 0.0, random_field(body, 10))
    forces, groups = unknown_forces(body)
    loads = 0.01 * forces @ generator.standard_normal(forces.shape[1])
    moved = body.factorized_stiffness(MODULI).solve(loads - body.internal_forces(MODULI, prescribed))
    precision = np.broadcast_to(np.eye(2) / 0.01**2, (len(body.free), 2, 2))
    likelihood = MarginalLikelihood(
        body,
        Measurement(body.nodal_values(moved, prescribed), precision, np.zeros((len(body.free), 2))),
        forces,
        groups,
    )
    true = np.concatenate([np.log(MODULI).ravel(), [0.0, np.log(0.01), np.log(0.01)]])
    for number in range(4):
        for off in (-0.7, 0.7):
            other = true.copy()
            other[number] += off
            assert likelihood.value(other)[0] > likelihood.value(true)[0] + 3


def test_minimize_finds_the_bottom_of_a_bent_valley_and_keeps_out_of_what_is_not_finite():
    def valley(x):
        if x[0] > 1.6:
            return np.inf, np.zeros(2)
        bend = x[1] - x[0] ** 2
        return 20 * bend**2 + (1 - x[0]) ** 2, np.array([-80 * bend * x[0] - 2 * (1 - x[0]), 40 * bend])

    found = finish(minimize(valley, np.array([-1.2, 1.0]), 120, 1e-12))
    np.testing.assert_allclose(found, [1, 1], atol=1e-3)


def test_minimize_asks_no_more_than_allowed():
    asked = []

    def bowl(x):
        asked.append(x)
        return float(np.cosh(x).sum()), np.sinh(x)

    finish(minimize(bowl, np.full(3, 5.0), 4, 0.0))
    assert len(asked) == 4
