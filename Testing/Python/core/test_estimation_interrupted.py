"""Every search can be dropped at every step, and says the same when it is asked again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import numpy as np
import pytest
import torch
from estimation_case import registrar_of, thorax_slice
from few_steps import take_few_steps
from network_pairs import MAP_2D, pack_of, solver_with

from TissueElasticRegistrationLib.core.data.progress import Job, finish
from TissueElasticRegistrationLib.core.data.tissues import Lame, TissueParameters
from TissueElasticRegistrationLib.core.estimation import gradient_search as gradient
from TissueElasticRegistrationLib.core.estimation import grid_search as grid
from TissueElasticRegistrationLib.core.estimation.estimate_result import Estimate
from TissueElasticRegistrationLib.core.registration.registrar import Registrar

START = TissueParameters({}, default=Lame(0.5, 7.0))  # no place of the grid
Search = Callable[[Registrar], Job[Estimate]]
SEARCHES: dict[str, Search] = {
    "grid": lambda registrar: grid.estimate_by_grid(registrar, START, points=2),
    "gradient": lambda registrar: gradient.estimate_by_gradient(registrar, START, steps=1),
}
EVERY = [(kind, method) for kind in ("direct", "network") for method in SEARCHES]
DROPPED_AT = 5  # places spread over the search


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    take_few_steps(monkeypatch)


@contextmanager
def searching(kind: str) -> Iterator[Registrar]:
    """A registrar; networks that have not been trained are asked all the same."""
    solver = solver_with(pack_of(MAP_2D, voxels=2.0, orientation="any")) if kind == "network" else None
    with (
        mock.patch.object(grid, "network_problem", lambda *arguments: []),
        mock.patch.object(gradient, "network_problem", lambda *arguments: []),
    ):
        yield registrar_of(thorax_slice(), **({"solver": solver} if solver else {}))


def registration(registrar: Registrar) -> np.ndarray:
    finish(registrar.register(START))
    return registrar.displacement_ras_mm()[0].copy()


@pytest.mark.parametrize(("kind", "method"), EVERY)
def test_between_any_two_steps_the_registration_and_torch_are_as_before(kind, method):
    with searching(kind) as registrar:
        before, threads = registration(registrar), torch.get_num_threads()
        solution, count = registrar.solution, 0
        for _ in SEARCHES[method](registrar):
            count += 1
            assert registrar.solution is solution and torch.get_num_threads() == threads and torch.is_grad_enabled()
        assert count > 8 and np.array_equal(registrar.displacement_ras_mm()[0], before)


@pytest.mark.parametrize(("kind", "method"), EVERY)
def test_dropped_anywhere_the_registrar_still_registers_and_searches_as_if_nothing_had_been(kind, method):
    with searching(kind) as registrar:
        before, steps = registration(registrar), sum(1 for _ in SEARCHES[method](registrar))
        wanted = finish(SEARCHES[method](registrar))
        for number in np.linspace(1, steps - 1, DROPPED_AT).astype(int).tolist():
            job = SEARCHES[method](registrar)
            for _ in range(number):
                next(job)
            job.close()
            assert np.array_equal(registration(registrar), before)
        found = finish(SEARCHES[method](registrar))
        assert found.parameters == wanted.parameters and found.warnings == wanted.warnings


@pytest.mark.parametrize(("kind", "method"), EVERY)
def test_two_registrars_find_the_same_to_the_last_bit(kind, method):
    found = []
    for _ in range(2):
        with searching(kind) as registrar:
            found.append(finish(SEARCHES[method](registrar)))
    first, second = found
    assert first.parameters == second.parameters and first.warnings == second.warnings
    for one, other in zip(first.per_tissue, second.per_tissue, strict=True):
        np.testing.assert_array_equal((one.score, one.start_score), (other.score, other.start_score))
    if first.landscape is not None:
        np.testing.assert_array_equal(first.landscape.scores, second.landscape.scores)
