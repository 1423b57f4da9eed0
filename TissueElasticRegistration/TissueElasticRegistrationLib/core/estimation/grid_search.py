"""The paper's search (Reithmeir et al. 2024, section 2.2): register with every λ and μ of a grid, the same everywhere
in the image, and take for each tissue the λ and μ with the best score of its own labels.

With a network each registration is one pass of its decoder. Without one, the registrations are quick ones at a coarser
level, each starting from the result of its neighbor. What is best per tissue is then registered at full resolution and
compared with the start values (`candidates`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import partial

import torch

from ..data.limits import check_grid_points
from ..data.progress import Job, Progress, part_as_it_is, part_of
from ..data.tissues import Lame, TissueParameters
from ..physics.deformation import integrate, resize
from ..registration.network_solver import NetworkSolver
from ..registration.registrar import Registrar
from ..registration.threads import with_threads
from .candidates import select_candidate
from .coarse_registration import CoarseRegistration
from .criteria.hold_out import NOTHING_HELD_OUT, HoldOut
from .estimate_result import Estimate, EstimateProgress
from .grid_scores import GridScores
from .task import failures_of, make_task

POINTS_DIRECT, POINTS_NETWORK = 5, 11
GRID_PART = 0.6  # part of the work: before the candidates are registered


def estimate_by_grid(
    registrar: Registrar,
    start: TissueParameters,
    locked: Collection[int] = (),
    points: int | None = None,
    objective: str = "dice",
    hold_out: HoldOut = NOTHING_HELD_OUT,
    grid_solver: NetworkSolver | None = None,
) -> Job[Estimate]:
    """Search λ and μ on a grid of ``points`` x ``points`` slider positions, ends included.

    Args:
        registrar: Prepared; its own registration stays what it is.
        start: The values now, by label; kept by tissues that are not estimated, and unless others are better.
        locked: Labels of tissues that keep their values.
        points: None for 11 with a network and 5 without.
        objective: Key in `CRITERIA` of what is judged by.
        hold_out: What must not be used.
        grid_solver: Whose network scores the grid points, if it is another one than the registrar's: the paper's
            global one for its spatially adaptive one.

    Yields:
        `EstimateProgress` after each grid point (with a network: each row), Progress between; may be dropped at any
        step.

    Returns:
        The estimate.

    Raises:
        ValueError: At once, like `check_grid_points`. At the first steps, if the registrar is not prepared, the pair
            lacks what the criterion needs, every tissue is locked, or ``grid_solver`` has another scale or regularizer
            than the registrar.
        RuntimeError: If nothing could be registered.
    """
    if points is not None:
        check_grid_points(points)
    job = registrar.falling_back(lambda: _search(registrar, start, locked, points, objective, hold_out, grid_solver))
    return with_threads(job, registrar.threads)


def _search(
    registrar: Registrar,
    start: TissueParameters,
    locked: Collection[int],
    points: int | None,
    objective: str,
    hold_out: HoldOut,
    grid_solver: NetworkSolver | None,
) -> Job[Estimate]:
    task = yield from make_task(registrar, start, locked, objective, hold_out)
    network = _network(registrar, grid_solver)
    notes = [] if network is None else network_problem(network, registrar)
    if network is not None and not notes:
        grid_scores = GridScores(task, points or POINTS_NETWORK)
        scoring = _score_by_network(network, registrar, grid_scores)
    else:
        grid_scores = GridScores(task, points or POINTS_DIRECT, notes)
        scoring = _score_by_direct_solver(registrar, grid_scores)
    yield from part_as_it_is(scoring, 0.0, GRID_PART)
    grid_scores.require_known()
    job = select_candidate(task, grid_scores.estimate().parameters)
    parameters, reasons = yield from part_of(job, GRID_PART, 1.0)
    grid_scores.select(parameters)
    grid_scores.notes += reasons
    estimate = grid_scores.estimate(complete=True)
    yield EstimateProgress(1.0, "done", estimate)
    return estimate


def _network(registrar: Registrar, grid_solver: NetworkSolver | None) -> NetworkSolver | None:
    if grid_solver is None:
        return registrar.solver.network
    wanted, offered = registrar.solver.objective, grid_solver.objective
    if (offered.scale, offered.regularizer) != (wanted.scale, wanted.regularizer):
        raise ValueError(
            f"The model '{grid_solver.pack.card.name}' cannot search for this registration: it was trained "
            f"with the {offered.regularizer} regularizer on the {offered.scale.name} scale."
        )
    return grid_solver


@torch.no_grad()
def network_problem(solver: NetworkSolver, registrar: Registrar) -> list[str]:
    """Why a network cannot score the grid: its deformation is worse than none. One sentence, or none."""
    pyramid, scale = registrar.pyramid, registrar.solver.objective.scale
    middle = TissueParameters({}, default=Lame(scale.weight(0.5), scale.weight(0.5)))
    velocity, maps = solver.answer(pyramid, middle), pyramid.parameter_maps(middle)
    if bool(velocity.isfinite().all()) and not solver.refiner.is_worse(
        pyramid, velocity, torch.zeros_like(velocity), maps
    ):
        return []
    return [
        f"The predictions of the model '{solver.pack.card.name}' are worse than no deformation for this image pair, so "
        "the direct solver was used for the search."
    ]


def _score_by_network(solver: NetworkSolver, registrar: Registrar, grid_scores: GridScores) -> Job[None]:
    """Score every grid point by one pass of the network's decoder."""
    pyramid = registrar.pyramid
    integration_steps = solver.refiner.settings(pyramid.pair.dimension).integration_steps
    grid_points = [(a, b) for b in range(grid_scores.shape[1]) for a in range(grid_scores.shape[0])]
    for number, point in enumerate(grid_points, start=1):
        with failures_of(partial(grid_scores.record_failure, point)), torch.no_grad():
            velocity = solver.answer(pyramid, TissueParameters({}, default=grid_scores.lame(point)))
            if not bool(velocity.isfinite().all()):
                raise ArithmeticError("The deformation has values that are not finite.")
            displacement = resize(integrate(velocity, integration_steps), pyramid.pair.labels.shape[2:])
            grid_scores.record(point, grid_scores.task.criterion.scores(displacement))
        fraction, text = number / len(grid_points), grid_scores.text(point, number)
        is_row = number % grid_scores.shape[0] == 0
        yield EstimateProgress(fraction, text, grid_scores.estimate()) if is_row else Progress(fraction, text)


def _score_by_direct_solver(registrar: Registrar, grid_scores: GridScores) -> Job[None]:
    """Score every grid point by a quick registration that starts from its neighbor's."""
    registrations = CoarseRegistration(registrar.solver, registrar.pyramid)
    grid_points = list(_snake(grid_scores.shape))
    step_count = registrations.steps(True) + (len(grid_points) - 1) * registrations.steps(False)
    velocity, fraction = None, 0.0
    for number, point in enumerate(grid_points, start=1):
        text = grid_scores.text(point, number)
        end = min(1.0, fraction + registrations.steps(velocity is None) / step_count)
        with failures_of(partial(grid_scores.record_failure, point)):
            found = yield from part_of(registrations.register(grid_scores.lame(point), velocity), fraction, end, text)
            grid_scores.record(point, grid_scores.task.criterion.scores(registrations.displacement(found)))
            velocity = found
        fraction = end
        yield EstimateProgress(fraction, text, grid_scores.estimate())


def _snake(shape: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Indices (λ, μ), each next to the one before, from soft to stiff.

    In this direction few steps do: a deformation that was hardly held back is soon calmed, but one that stiffness held
    back has a way to go (2D phantoms, 15 steps: the points chosen are worse by 0.0004 in Dice from soft to stiff, and
    by 0.0013 from stiff to soft).
    """
    for b in range(shape[1]):
        along = range(shape[0]) if b % 2 == 0 else reversed(range(shape[0]))
        for a in along:
            yield a, b
