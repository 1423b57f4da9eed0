"""When a slider rests, and when there is something new to show."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from ..data.tissues import TissueParameters

Wanted = Callable[[], TissueParameters]  # what is wanted at this moment; the same object as long as nothing changes

# A slider that has not moved for so long rests.
REST_S = 0.5
# When to show, while a slider moves: after so much work of this thread that each frame shows something new, or after
# less where drawing and other work take most of the time between two frames. When it rests, the work between two frames
# takes at least as long as all else. After MAX_INTERVAL_S in any case: a graphics card works unseen.
MOVING_WORK_S, MIN_MOVING_WORK_S, MOVING_INTERVAL_S = 0.04, 0.015, 0.1
SETTLING_WORK_S = 0.1
MAX_INTERVAL_S = 0.25


class ParameterWatch:
    """The parameters that are wanted now, and whether they still change.

    Args:
        wanted: Says which ones are wanted at the moment.
    """

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self.parameters = wanted()
        self._changed_s = -math.inf

    def have_changed(self) -> bool:
        """Whether they differ from those at the last call."""
        before, self.parameters = self.parameters, self._wanted()
        changed = self.parameters is not before and self.parameters != before
        if changed:
            self._changed_s = time.perf_counter()
        return changed

    @property
    def at_rest(self) -> bool:
        """Whether they have not changed for a while."""
        return time.perf_counter() - self._changed_s >= REST_S


class FrameClock:
    """Says when there has been enough work since the last frame to be worth another one."""

    def __init__(self) -> None:
        self._restart()

    def is_due(self, settling: bool) -> bool:
        """True once for each frame.

        Args:
            settling: Whether the slider rests.
        """
        work_s, interval_s = time.thread_time() - self._work_s, time.perf_counter() - self._time_s
        if settling:
            due = work_s >= max(SETTLING_WORK_S, interval_s - work_s)
        else:
            due = work_s >= (MIN_MOVING_WORK_S if interval_s >= MOVING_INTERVAL_S else MOVING_WORK_S)
        due = due or interval_s >= MAX_INTERVAL_S
        if due:
            self._restart()
        return due

    def _restart(self) -> None:
        self._work_s, self._time_s = time.thread_time(), time.perf_counter()
