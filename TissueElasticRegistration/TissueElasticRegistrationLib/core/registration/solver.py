"""The interface of a solver, and which solver belongs to the name of a model.

A new solver is one class with the members of `Solver`, and an entry in `SOLVERS` if it is to have a name. It makes a
velocity in its own way; ``refiner.solve(pyramid, parameters, velocity, stages=())`` turns that into a `Solution`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch

from ..data.progress import Job
from ..data.tissues import TissueParameters
from ..models.model_card import DIRECT, pack_folder
from ..models.model_pack import load_pack
from ..physics.objective import Objective
from ..preparation.pyramid import Pyramid
from .direct_solver import DirectSolver
from .network_solver import NetworkSolver
from .solution import Solution, Stage


class Solver(Protocol):
    """Finds the deformation of a working pair for given λ and μ.

    Everywhere: a velocity is (1, D, *shape) in voxels of its own grid, D = 2 for single slices and 3 for volumes,
    channels in the order of the array axes (k, j, i). Integrated, it maps fixed to moving: voxel x of the fixed image
    corresponds to position x + u(x) of the moving one. The grids are those of a `Pyramid`, whose levels say what
    shapes their velocities have; the initial alignment is no part of it.
    """

    @property
    def name(self) -> str:
        """What result.json calls the solver."""

    @property
    def objective(self) -> Objective:
        """What is minimized, and on which scale λ and μ are given."""

    @property
    def refiner(self) -> DirectSolver:
        """Takes optimizer steps on `objective` from any velocity of this solver.

        Live registration and the estimate of λ and μ go on from it; it also says how a velocity is integrated.
        """

    @property
    def network(self) -> NetworkSolver | None:
        """The trained network that the solver asks for a velocity without any step; None if there is none."""

    def prepare(self, pyramid: Pyramid) -> None:
        """Make what registrations of the pair need and no parameter can change.

        Args:
            pyramid: The working pair.

        Raises:
            ValueError: If the solver cannot register this pair.
        """

    def solve(
        self,
        pyramid: Pyramid,
        parameters: TissueParameters,
        start: torch.Tensor | None = None,
        stages: tuple[Stage, ...] | None = None,
        start_objective: float | None = None,
    ) -> Job[Solution]:
        """Register, one bounded step at a time; may be dropped at any step.

        Args:
            pyramid: The working pair.
            parameters: λ and μ of every tissue, weights on the scale of `objective`.
            start: Velocity of an earlier solution of the same pair, at any resolution; None to register from nothing.
            stages: Optimizer steps, from the start or from what the solver finds without any; None for the usual ones.
            start_objective: J of the start for these parameters at full resolution, if it is known already.

        Yields:
            Progress, its fractions not decreasing from 0 to 1.

        Returns:
            The solution at full resolution. With a start and stages, its J is never higher than that of the start.

        Raises:
            ArithmeticError: If the objective is not finite any more.
        """

    def refinement(self, steps: int, dimension: int) -> tuple[Stage, ...]:
        """Stages with which `solve` improves one of the solver's own registrations.

        Args:
            steps: Number of steps at full resolution.
            dimension: 2 for single slices, 3 for volumes.
        """

    def usual_refinement(self, dimension: int) -> int:
        """Steps for `refinement` that a registration from nothing needs if nobody says how many; 0 if it is complete.

        Args:
            dimension: 2 for single slices, 3 for volumes.
        """


# Solvers that need no model, by the name under which the panel, the console and the command line offer them.
SOLVERS: dict[str, Callable[[], Solver]] = {DIRECT: DirectSolver}


def solver_for(model: str) -> Solver:
    """The solver for a name of `SOLVERS`, the name of an installed model, or the path of a model's folder.

    Args:
        model: A name; a text with / or \\ is a path.

    Raises:
        ValueError: With one sentence if there is no such model or it cannot be used.
    """
    return SOLVERS[model]() if model in SOLVERS else NetworkSolver(load_pack(pack_folder(model)))
