"""Minimize a smooth function of a dozen unknowns whose derivatives are known (BFGS), one evaluation at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..data.progress import Job, Progress

LONGEST_STEP = 1.5  # of any unknown
SUFFICIENT = 1e-4
SHORTEST_FACTOR = 1e-3

Function = Callable[[np.ndarray], tuple[float, np.ndarray]]


def minimize(function: Function, start: np.ndarray, evaluations: int, tolerance: float) -> Job[np.ndarray]:
    """The best place found. Stops when an accepted step gains less than ``tolerance``, or after ``evaluations``.

    A value that is not finite counts as a step too far.
    """
    place = start.astype(float)
    value, slope = function(place)
    inverse = np.eye(len(place)) / max(1.0, float(np.abs(slope).max()))
    used = 1
    while used < evaluations:
        direction = -inverse @ slope
        if direction @ slope >= 0:  # rounding has spoilt the estimate of the curvature
            inverse = np.eye(len(place)) / max(1.0, float(np.abs(slope).max()))
            direction = -inverse @ slope
        direction *= min(1.0, LONGEST_STEP / max(float(np.abs(direction).max()), 1e-300))
        factor, moved = 1.0, None
        while moved is None and used < evaluations and factor > SHORTEST_FACTOR:
            yield Progress(used / evaluations, "comparing with elastic equilibrium")
            candidate = place + factor * direction
            found, found_slope = function(candidate)
            used += 1
            if np.isfinite(found) and found <= value + SUFFICIENT * factor * float(direction @ slope):
                moved = candidate
            else:
                factor *= 0.3
        if moved is None:
            break
        step, change, gain = moved - place, found_slope - slope, value - found
        place, value, slope = moved, found, found_slope
        inverse = _updated(inverse, step, change)
        if gain < tolerance:
            break
    return place


def _updated(inverse: np.ndarray, step: np.ndarray, change: np.ndarray) -> np.ndarray:
    """The estimate of the inverse curvature after one step, left alone where the curvature was not positive."""
    curvature = float(step @ change)
    if curvature <= 1e-10:
        return inverse
    left = np.eye(len(step)) - np.outer(step, change) / curvature
    return left @ inverse @ left.T + np.outer(step, step) / curvature
