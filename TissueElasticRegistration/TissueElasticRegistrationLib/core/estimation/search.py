"""The ways to estimate, by name: what the panel, the console and the command line call."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, get_args

from ..progress import Job
from ..registrar import Registrar
from ..solvers.network import NetworkSolver
from ..tissues import TissueParameters
from .criterion import NOTHING_HELD_OUT, HoldOut, ObjectiveName
from .gradient import estimate_by_gradient
from .grid import estimate_by_grid
from .result import Estimate

Method = Literal["grid", "gradient"]
METHODS: tuple[Method, ...] = get_args(Method)


def estimate(registrar: Registrar, start: TissueParameters, method: Method = "grid", locked: Collection[int] = (),
             points: int | None = None, objective: ObjectiveName = "dice", hold_out: HoldOut = NOTHING_HELD_OUT,
             search: NetworkSolver | None = None) -> Job[Estimate]:
    """`estimate_by_grid` or `estimate_by_gradient`; ``points`` and ``search`` are the grid's.

    Raises ValueError for an unknown method and like these.
    """
    if method == "grid":
        return estimate_by_grid(registrar, start, locked, points, objective, hold_out, search)
    if method != "gradient":
        raise ValueError(f"There is no estimate '{method}': choose {' or '.join(METHODS)}.")
    return estimate_by_gradient(registrar, start, locked, objective, hold_out)
