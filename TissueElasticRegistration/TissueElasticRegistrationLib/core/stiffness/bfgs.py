"""Minimize a smooth function of a dozen unknowns whose derivatives are known (BFGS), one evaluation at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..data.progress import Job, Progress

MAX_STEP = 1.5  # of any unknown
SUFFICIENT_DECREASE = 1e-4
MIN_STEP_FACTOR = 1e-3

Function = Callable[[np.ndarray], tuple[float, np.ndarray]]


def minimize(function: Function, start: np.ndarray, evaluations: int, tolerance: float) -> Job[np.ndarray]:
    """Find a minimum near ``start``.

    Args:
        function: Returns value and gradient at (N,) unknowns. A value that is not finite counts as a step too far.
        start: (N,), where to begin.
        evaluations: How often the function may be evaluated.
        tolerance: Stop when an accepted step decreases the value by less.

    Yields:
        Progress before each evaluation.

    Returns:
        The best point that was evaluated, (N,).
    """
    point = start.astype(float)
    value, gradient = function(point)
    inverse = np.eye(len(point)) / max(1.0, float(np.abs(gradient).max()))
    used = 1
    while used < evaluations:
        direction = -inverse @ gradient
        if direction @ gradient >= 0:  # rounding has spoiled the estimate of the curvature
            inverse = np.eye(len(point)) / max(1.0, float(np.abs(gradient).max()))
            direction = -inverse @ gradient
        direction *= min(1.0, MAX_STEP / max(float(np.abs(direction).max()), 1e-300))
        factor, moved = 1.0, None
        while moved is None and used < evaluations and factor > MIN_STEP_FACTOR:
            yield Progress(used / evaluations, "fitting elastic equilibrium")
            candidate = point + factor * direction
            candidate_value, candidate_gradient = function(candidate)
            used += 1
            limit = value + SUFFICIENT_DECREASE * factor * float(direction @ gradient)
            if np.isfinite(candidate_value) and candidate_value <= limit:
                moved = candidate
            else:
                factor *= 0.3
        if moved is None:
            break
        step, change, gain = moved - point, candidate_gradient - gradient, value - candidate_value
        point, value, gradient = moved, candidate_value, candidate_gradient
        inverse = _updated(inverse, step, change)
        if gain < tolerance:
            break
    return point


def _updated(inverse: np.ndarray, step: np.ndarray, change: np.ndarray) -> np.ndarray:
    """The estimate of the inverse curvature after one step, left alone where the curvature was not positive."""
    curvature = float(step @ change)
    if curvature <= 1e-10:
        return inverse
    left = np.eye(len(step)) - np.outer(step, change) / curvature
    return left @ inverse @ left.T + np.outer(step, step) / curvature
