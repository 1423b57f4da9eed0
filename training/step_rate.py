"""How far a run is, how fast, and how long it will still take."""

from __future__ import annotations

import time
from collections.abc import Callable


class ProgressLine:
    """How far a run is, made when it starts or resumes.

    Args:
        first_step: Where it starts.
        steps: Where it ends.
        clock: Gives seconds.
    """

    def __init__(self, first_step: int, steps: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._first, self._steps, self._clock = first_step, steps, clock
        self._started = clock()

    def at(self, step: int, objective: float) -> str:
        """One line for the state after a step; the rate is that of this run, not of those it goes on from.

        Args:
            step: Steps done.
            objective: J of the last one.
        """
        elapsed = max(self._clock() - self._started, 1e-9)
        rate = (step - self._first) / elapsed
        left = duration((self._steps - step) / rate) if rate > 0 else "?"
        return (
            f"step {step}/{self._steps} ({100 * step / self._steps:.1f} %)  J = {objective:.4f}  "
            f"{rate:.2f} steps/s  {left} left"
        )


def duration(seconds: float) -> str:
    """In words, to two units: 59 s, 12 min 3 s, 2 h 5 min."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
