"""Counts that a user asks for. What is no count is refused, and so is what would take days."""

from __future__ import annotations

from numbers import Integral

MIN_GRID_POINTS, MAX_GRID_POINTS = 2, 50  # of λ and of μ; a grid search registers their product
MAX_REFINE_STEPS = 1000
MAX_SEED = 2**63 - 1


def check_grid_points(points: int) -> None:
    """Check the number of values of λ and of μ that a grid search tries.

    Raises:
        ValueError: It is no whole number, or out of range.
    """
    _check("The number of grid points", points, MIN_GRID_POINTS, MAX_GRID_POINTS)


def check_refine_steps(steps: int) -> None:
    """Check the number of further steps at full resolution.

    Raises:
        ValueError: It is no whole number, or out of range.
    """
    _check("The number of refinement steps", steps, 0, MAX_REFINE_STEPS)


def check_seed(seed: int) -> None:
    """Check the seed of random numbers.

    Raises:
        ValueError: It is no whole number, or out of range.
    """
    _check("The seed", seed, 0, MAX_SEED)


def _check(what: str, value: object, lowest: int, highest: int) -> None:
    if not isinstance(value, Integral) or not lowest <= value <= highest:
        raise ValueError(f"{what} must be a whole number from {lowest} to {highest}, not {value!r}.")
