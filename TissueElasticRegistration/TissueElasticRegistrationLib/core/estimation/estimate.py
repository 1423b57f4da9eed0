"""The ways to estimate, by name: what the panel, the console and the command line call."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Literal, get_args

from ..data.progress import Job, Progress, part_as_it_is, part_of
from ..data.tissues import TissueParameters
from ..registration.network_solver import NetworkSolver
from ..registration.registrar import Registrar
from ..stiffness.stiffness_job import estimate_shear_modulus_ratio
from .criteria.criterion import ObjectiveName
from .criteria.hold_out import NOTHING_HELD_OUT, HoldOut
from .estimate_result import Estimate, EstimateProgress, TissueEstimate
from .gradient_search import estimate_by_gradient
from .grid_search import estimate_by_grid

Method = Literal["grid", "gradient"]
METHODS: tuple[Method, ...] = get_args(Method)
SEARCHED = 0.7  # part of the work, if the shear modulus ratios follow
STIFFNESS = "shear modulus ratio"


def estimate(
    registrar: Registrar,
    start: TissueParameters,
    method: Method = "grid",
    locked: Collection[int] = (),
    points: int | None = None,
    objective: ObjectiveName = "dice",
    hold_out: HoldOut = NOTHING_HELD_OUT,
    search: NetworkSolver | None = None,
    stiffness: bool = True,
) -> Job[Estimate]:
    """`estimate_by_grid` or `estimate_by_gradient`; ``points`` and ``search`` are the grid's.

    stiffness: whether the shear modulus ratios are estimated afterwards. Before that, the `EstimateProgress` with all
    that was searched is yielded with ``complete`` set. If they cannot be estimated, a warning says why.

    Raises ValueError for an unknown method and like these.
    """
    if method == "grid":
        job = estimate_by_grid(registrar, start, locked, points, objective, hold_out, search)
    elif method == "gradient":
        job = estimate_by_gradient(registrar, start, locked, objective, hold_out)
    else:
        raise ValueError(f"There is no estimate '{method}': choose {' or '.join(METHODS)}.")
    return _with_stiffness(job, registrar) if stiffness else job


def stiffness_alone(registrar: Registrar, start: TissueParameters) -> Job[Estimate]:
    """An estimate without a search: every tissue keeps its values, only the shear modulus ratios are estimated."""
    return _with_stiffness(_nothing_searched(registrar, start), registrar, searched=0.0)


def _nothing_searched(registrar: Registrar, start: TissueParameters) -> Job[Estimate]:
    yield Progress(0.0, STIFFNESS)
    nan = float("nan")
    rows = tuple(
        TissueEstimate(tissue, start[tissue.label], nan, nan, flat=False, votes=False)
        for tissue in registrar.working.tissues
    )
    return Estimate("none", "", None, rows, start, complete=True, seconds=0.0, criterion="")


def _with_stiffness(search: Job[Estimate], registrar: Registrar, searched: float = SEARCHED) -> Job[Estimate]:
    found = yield from part_as_it_is(search, 0.0, searched)
    yield EstimateProgress(searched, STIFFNESS, found)
    try:
        measured = yield from part_of(estimate_shear_modulus_ratio(registrar), searched, 1.0, STIFFNESS)
    except (ValueError, ArithmeticError, RuntimeError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        return replace(found, warnings=(*found.warnings, f"There is no shear modulus ratio: {reason}"))
    return replace(found, shear_modulus_ratio=measured)
