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

from ..data.progress import Job, Progress, part_as_it_is, part_of
from ..data.tissues import Lame, TissueParameters
from ..physics.deformation import integrate, resize
from ..registration.network_solver import NetworkSolver
from ..registration.registrar import Registrar
from ..registration.threads import with_threads
from .candidates import select_candidate
from .coarse_registration import UniformRegistrations
from .criteria.hold_out import NOTHING_HELD_OUT, HoldOut
from .estimate_result import Estimate, EstimateProgress
from .grid_scores import Tally
from .task import asked, failures_of

FEWEST_POINTS = 2
POINTS_DIRECT, POINTS_NETWORK = 5, 11
SWEPT = 0.6  # part of the work: before the candidates are registered


def estimate_by_grid(
    registrar: Registrar,
    start: TissueParameters,
    locked: Collection[int] = (),
    points: int | None = None,
    objective: str = "dice",
    hold_out: HoldOut = NOTHING_HELD_OUT,
    search: NetworkSolver | None = None,
) -> Job[Estimate]:
    """Search λ and μ on a grid of ``points`` x ``points`` slider positions, ends included.

    Args:
        registrar: Prepared; its own registration stays what it is.
        start: The values now, by label; kept by tissues that are not estimated, and unless others are better.
        locked: Labels of tissues that keep their values.
        points: None for 11 with a network and 5 without.
        objective: Key in `CRITERIA` of what is judged by.
        hold_out: What must not be used.
        search: Whose network scores the grid points, if it is another one than the registrar's: the paper's
            global one for its spatially adaptive one.

    Yields:
        `EstimateProgress` after each grid point (with a network: each row), Progress between; may be dropped at any
        step.

    Returns:
        The estimate.

    Raises:
        ValueError: At the first steps, if the registrar is not prepared, the pair lacks what the criterion needs, every
            tissue is locked, or ``search`` has another scale or regularizer than the registrar.
        RuntimeError: If nothing could be registered.
    """
    if points is not None and points < FEWEST_POINTS:
        raise ValueError(f"The grid needs at least {FEWEST_POINTS} points for λ and for μ, not {points}.")
    job = registrar.falling_back(lambda: _search(registrar, start, locked, points, objective, hold_out, search))
    return with_threads(job, registrar.threads)


def _search(
    registrar: Registrar,
    start: TissueParameters,
    locked: Collection[int],
    points: int | None,
    objective: str,
    hold_out: HoldOut,
    search: NetworkSolver | None,
) -> Job[Estimate]:
    question = yield from asked(registrar, start, locked, objective, hold_out)
    network = _network(registrar, search)
    notes = [] if network is None else network_problem(network, registrar)
    if network is not None and not notes:
        tally = Tally(question, points or POINTS_NETWORK)
        sweep = _sweep_by_network(network, registrar, tally)
    else:
        tally = Tally(question, points or POINTS_DIRECT, notes)
        sweep = _sweep_by_direct_solver(registrar, tally)
    yield from part_as_it_is(sweep, 0.0, SWEPT)
    tally.require_known()
    job = select_candidate(question, tally.estimate().parameters)
    parameters, reasons = yield from part_of(job, SWEPT, 1.0)
    tally.take(parameters)
    tally.notes += reasons
    estimate = tally.estimate(complete=True)
    yield EstimateProgress(1.0, "done", estimate)
    return estimate


def _network(registrar: Registrar, search: NetworkSolver | None) -> NetworkSolver | None:
    if search is None:
        return registrar.solver.network
    wanted, offered = registrar.solver.objective, search.objective
    if (offered.scale, offered.regularizer) != (wanted.scale, wanted.regularizer):
        raise ValueError(
            f"The model '{search.pack.card.name}' cannot search for this registration: it was trained "
            f"with the {offered.regularizer} regularizer on the {offered.scale.name} scale."
        )
    return search


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
        f"The answers of the model '{solver.pack.card.name}' are worse than no deformation for this pair: the "
        "direct solver searched instead."
    ]


def _sweep_by_network(solver: NetworkSolver, registrar: Registrar, tally: Tally) -> Job[None]:
    """Score every grid point by one pass of the network's decoder."""
    pyramid = registrar.pyramid
    integration_steps = solver.refiner.settings(pyramid.pair.dimension).integration_steps
    places = [(a, b) for b in range(tally.shape[1]) for a in range(tally.shape[0])]
    for number, place in enumerate(places, start=1):
        with failures_of(partial(tally.failed, place)), torch.no_grad():
            velocity = solver.answer(pyramid, TissueParameters({}, default=tally.lame(place)))
            if not bool(velocity.isfinite().all()):
                raise ArithmeticError("The deformation has values that are not finite.")
            displacement = resize(integrate(velocity, integration_steps), pyramid.pair.labels.shape[2:])
            tally.put(place, tally.question.criterion.scores(displacement))
        fraction, text = number / len(places), tally.text(place, number)
        is_row = number % tally.shape[0] == 0
        yield EstimateProgress(fraction, text, tally.estimate()) if is_row else Progress(fraction, text)


def _sweep_by_direct_solver(registrar: Registrar, tally: Tally) -> Job[None]:
    """Score every grid point by a quick registration that starts from its neighbor's."""
    registrations = UniformRegistrations(registrar.solver, registrar.pyramid)
    places = list(_snake(tally.shape))
    step_count = registrations.steps(True) + (len(places) - 1) * registrations.steps(False)
    velocity, fraction = None, 0.0
    for number, place in enumerate(places, start=1):
        text = tally.text(place, number)
        end = min(1.0, fraction + registrations.steps(velocity is None) / step_count)
        with failures_of(partial(tally.failed, place)):
            found = yield from part_of(registrations.register(tally.lame(place), velocity), fraction, end, text)
            tally.put(place, tally.question.criterion.scores(registrations.displacement(found)))
            velocity = found
        fraction = end
        yield EstimateProgress(fraction, text, tally.estimate())


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
