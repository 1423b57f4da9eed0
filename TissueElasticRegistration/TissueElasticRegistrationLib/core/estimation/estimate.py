"""The ways to estimate λ and μ, by name, for the panel, the console and the command line."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, get_args

from ..data.progress import Job
from ..data.tissues import TissueParameters
from ..registration.network_solver import NetworkSolver
from ..registration.registrar import Registrar
from .criteria.hold_out import NOTHING_HELD_OUT, HoldOut
from .estimate_result import Estimate
from .gradient_search import estimate_by_gradient
from .grid_search import estimate_by_grid

Method = Literal["grid", "gradient"]
METHODS: tuple[Method, ...] = get_args(Method)


def estimate(
    registrar: Registrar,
    start: TissueParameters,
    method: Method = "grid",
    locked: Collection[int] = (),
    points: int | None = None,
    objective: str = "dice",
    hold_out: HoldOut = NOTHING_HELD_OUT,
    grid_solver: NetworkSolver | None = None,
) -> Job[Estimate]:
    """`estimate_by_grid` or `estimate_by_gradient`.

    Args:
        registrar: Prepared; its own registration stays what it is.
        start: The values now, by label.
        method: "grid" or "gradient".
        locked: Labels of tissues that keep their values.
        points: Of the grid, for each slider.
        objective: Key in `CRITERIA` of what is judged by.
        hold_out: What must not be used.
        grid_solver: Of the grid: whose network scores the grid points, if it is another one than the registrar's.

    Yields:
        Progress, and `EstimateProgress` when more is known.

    Returns:
        The estimate.

    Raises:
        ValueError: For an unknown method, and like the two functions.
        RuntimeError: Like the two functions.
    """
    if method == "grid":
        return estimate_by_grid(registrar, start, locked, points, objective, hold_out, grid_solver)
    if method == "gradient":
        return estimate_by_gradient(registrar, start, locked, objective, hold_out)
    raise ValueError(f"Unknown method '{method}'; choose {' or '.join(METHODS)}.")
