"""The interface of solvers: what both have, and that a new one is one class with these members."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from network_pairs import MAP_2D, pack_of, slice_pair
from synthetic_pairs import prepared, quick_solver, volume_pair

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.data.images import Image, ImagePair
from TissueElasticRegistrationLib.core.data.progress import Frame, finish
from TissueElasticRegistrationLib.core.data.tissues import Lame
from TissueElasticRegistrationLib.core.registration import solver as solver_module
from TissueElasticRegistrationLib.core.registration.direct_solver import DirectSolver
from TissueElasticRegistrationLib.core.registration.network_solver import NetworkSolver
from TissueElasticRegistrationLib.core.registration.solver import Solver, solver_for

MEMBERS = {name: member for name, member in vars(Solver).items() if not name.startswith("_")}
METHODS = [name for name, member in MEMBERS.items() if inspect.isfunction(member)]


class Translation:
    """A solver that moves everything by one vector, whatever the parameters are."""

    name = "translation"
    network = None

    def __init__(self, velocity_voxels: tuple[float, ...]) -> None:
        self.refiner = quick_solver()
        self.objective = self.refiner.objective
        self.velocity_voxels = velocity_voxels

    def prepare(self, pyramid):
        pyramid.level(1)

    def solve(self, pyramid, parameters, start=None, stages=(), start_objective=None):
        if start is None:
            shape = pyramid.level(1).velocity_shape
            start = torch.tensor(self.velocity_voxels).view(1, -1, *[1] * len(shape)).expand(1, -1, *shape)
        return (yield from self.refiner.solve(pyramid, parameters, start, stages or (), start_objective))

    def refinement(self, steps, dimension):
        return self.refiner.refinement(steps, dimension)

    def usual_refinement(self, dimension):
        return 0


SOLVERS = {
    "direct": DirectSolver,
    "network": lambda: NetworkSolver(pack_of(MAP_2D)),
    "translation": lambda: Translation((0.5, -1.0)),
}


@pytest.mark.parametrize("make", SOLVERS.values(), ids=SOLVERS)
def test_every_solver_has_the_members_of_the_interface(make):
    solver = make()
    assert [name for name in MEMBERS if not hasattr(solver, name)] == []
    for name in METHODS:
        wanted, found = (list(inspect.signature(getattr(one, name)).parameters) for one in (Solver, solver))
        assert found == wanted[1:], name  # without self


def test_what_a_solver_consists_of_is_told_without_asking_for_its_class():
    direct, network = (SOLVERS[name]() for name in ("direct", "network"))
    assert direct.refiner is direct and direct.network is None
    assert isinstance(network.refiner, DirectSolver) and network.network is network
    assert not isinstance(network, DirectSolver)


def test_the_settings_of_a_refiner_are_those_of_every_further_step():
    refiner = quick_solver(3, 2)
    registrar = prepared(slice_pair(), solver=NetworkSolver(pack_of(MAP_2D), refiner), initial="none")
    pyramid, parameters = registrar.pyramid, registrar.table_parameters()
    zero = torch.zeros(1, 2, *pyramid.level(1).velocity_shape)
    assert finish(registrar.solver.solve(pyramid, parameters, zero)).objective_values.steps == 5


# --- A third solver -------------------------------------------------------------------------------------------------


def fixed_moved_by(shift_ras_mm: np.ndarray, pair: ImagePair) -> ImagePair:
    """The fixed image of a pair, and as moving image the same at another place."""
    matrix = pair.fixed.geometry.ijk_to_ras.copy()
    matrix[:3, 3] += shift_ras_mm
    moving = Image(pair.fixed.array_kji, Geometry(pair.fixed.geometry.shape_kji, matrix), "moving")
    return ImagePair(pair.fixed, moving, pair.fixed_segmentation)


@pytest.mark.parametrize(("pair", "voxels"), [(slice_pair, (0.5, -1.0)), (volume_pair, (0.25, -0.5, 1.0))])
def test_a_new_solver_registers_in_a_registrar(pair, voxels):
    """A velocity of v voxels of its grid, half as fine as the images, moves the images by 2 v voxels."""
    registrar = prepared(pair(), solver=Translation(voxels), initial="none")
    shift_kji = [2 * v if pooled else v for v, pooled in zip(voxels, registrar.working.pooled_axes, strict=True)]
    shift_kji = [*[0] * (3 - len(voxels)), *shift_kji]
    shift_ras_mm = registrar.working.geometry.ijk_to_ras[:3, :3] @ shift_kji[::-1]
    registrar = prepared(fixed_moved_by(shift_ras_mm, pair()), solver=Translation(voxels), initial="none")
    finish(registrar.register(registrar.table_parameters()))
    result = finish(registrar.result())
    wanted = np.broadcast_to(shift_ras_mm, result.displacement_ras_mm.shape)
    np.testing.assert_allclose(result.displacement_ras_mm, wanted, atol=1e-3)
    assert result.objective_values.steps == 0
    assert result.warped.geometry == pair().fixed.geometry


def test_a_registration_of_a_new_solver_can_be_refined():
    registrar = prepared(slice_pair(), solver=Translation((0.5, -1.0)), initial="none")
    parameters = registrar.table_parameters()
    finish(registrar.register(parameters))
    before = registrar.solution.objective_values.objective_after
    finish(registrar.refine(parameters, 10))
    assert registrar.solution.objective_values.objective_after < before - 0.01


def test_a_registration_of_a_new_solver_is_followed_live():
    registrar = prepared(slice_pair(), solver=Translation((0.5, -1.0)), initial="none")
    parameters = registrar.table_parameters()
    finish(registrar.register(parameters))
    registered = registrar.displacement_ras_mm()[0]
    soft = parameters.with_tissue(1, Lame(0.1, 0.1))
    frames = [[one for one in registrar.live(each) if isinstance(one, Frame)] for each in (parameters, soft)]
    assert len(frames[0]) == 1 and len(frames[1]) > 1
    shift_ras_mm = registered.reshape(-1, 3)[0]
    np.testing.assert_allclose(frames[0][0].displacement_ras_mm.reshape(-1, 3)[0], shift_ras_mm, atol=1e-3)
    assert np.abs(frames[1][-1].displacement_ras_mm - shift_ras_mm).max() > 1.0


def test_a_new_solver_gets_a_name_by_one_entry(monkeypatch):
    monkeypatch.setitem(solver_module.SOLVERS, "translation", lambda: Translation((1.0, 0.0)))
    assert solver_for("translation").name == "translation"
    assert solver_for("direct").name == "direct"
    assert solver_for("universal-2d").network is not None
