"""How often something that changes all the time is told."""

from __future__ import annotations

import time

# A text that changes makes Qt lay out its surroundings: not for every step of a job or move of the mouse.
TELL_EVERY_S = 0.2


class Pace:
    """At most once in ``every_s`` seconds."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._last_s = 0.0

    def is_due(self) -> bool:
        """Whether it is time again; if so, the time begins anew."""
        now = time.perf_counter()
        due = now - self._last_s >= self._every_s
        if due:
            self._last_s = now
        return due
