"""Long work beside the user interface: a job runs in a thread, its news arrive in the main thread."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import qt

from .job_thread import Failed, Finished, JobThread

# Slicer holds the Python interpreter while its event loop idles: a thread gets it only when the main thread gives it
# away, so the main thread spends its time with waiting here. With the 5 to 15 ms it takes to get the interpreter back
# from Python code, the event loop still turns 30 times a second.
WAIT_S = 0.015
# Not 0: such timers wait until the event loop has nothing else to do, which may be never while a slider is dragged.
TICK_MS = 1


@dataclass(frozen=True)
class _Callbacks:
    on_progress: Callable[[Any], None] | None
    on_done: Callable[[Any], None] | None
    on_error: Callable[[BaseException], None] | None

    def deliver(self, item: Any) -> None:
        if isinstance(item, Finished):
            callback, value = self.on_done, item.result
        elif isinstance(item, Failed):
            callback, value = self.on_error, item.error
        else:
            callback, value = self.on_progress, item
        if callback is not None:
            callback(value)


class JobRunner:
    """Runs one job at a time, the newest wins; every callback comes in the main thread.

    A job is a generator that yields progress after each bounded step, see `core.data.progress`; it runs in a worker
    thread and must touch neither Qt nor MRML. All methods are for the main thread.
    """

    def __init__(self, thread: JobThread | None = None) -> None:
        self._thread = thread or JobThread("TissueElasticRegistration")
        self._timer = qt.QTimer()
        self._timer.setInterval(TICK_MS)
        self._timer.connect("timeout()", self._tick)
        self._callbacks: _Callbacks | None = None
        self._arrived: deque[Any] = deque()

    @property
    def busy(self) -> bool:
        """True from `start` until the job is done, has failed or was canceled."""
        return self._callbacks is not None

    @property
    def idle(self) -> bool:
        """Whether the thread has nothing to run and nothing left to close."""
        return self._thread.idle

    @property
    def listening(self) -> bool:
        """Whether the main thread still looks for news."""
        return self._timer.isActive()

    def start(
        self,
        job: Generator,
        on_progress: Callable[[Any], None] | None = None,
        on_done: Callable[[Any], None] | None = None,
        on_error: Callable[[BaseException], None] | None = None,
    ) -> None:
        """Run ``job`` instead of the one that runs now, which is closed after its current step and heard of no more.

        on_progress gets what the job yields, of each kind (class) of items the newest since it was last called;
        on_done what the job returns; on_error what it raises (without on_error, that is logged). Exceptions of the
        callbacks are not handled here.
        """
        self._arrived.clear()
        self._callbacks = _Callbacks(on_progress, on_done, on_error or _log)
        self._thread.start(job)
        self._timer.start()

    def cancel(self) -> None:
        """Stop the job, without any further callback. Its current step still ends in the background."""
        self._arrived.clear()
        self._callbacks = None
        self._thread.drop()

    def close(self, timeout_s: float = 2.0) -> bool:
        """Cancel and end the thread, waiting at most this long; False if its current step took longer.

        For scene close, module reload and application exit. `start` works again afterwards.
        """
        self.cancel()
        self._timer.stop()
        ended = self._thread.close(timeout_s)
        self._log_cleanup_errors()
        return ended

    def _tick(self) -> None:
        idle = self.idle  # asked before the last news are taken, not after
        if not idle and not self._arrived:
            self._thread.wait(WAIT_S)
        self._arrived.extend(self._thread.take())
        if idle and not self._arrived:
            self._timer.stop()
        self._log_cleanup_errors()
        while self._arrived:  # a callback may start another job or raise: what is left comes with the next tick
            item, callbacks = self._arrived.popleft(), self._callbacks
            if isinstance(item, (Finished, Failed)):
                self._callbacks = None
            callbacks.deliver(item)

    def _log_cleanup_errors(self) -> None:
        for error in self._thread.take_cleanup_errors():
            logging.error("A canceled job failed while it was closed.", exc_info=error)


def _log(error: BaseException) -> None:
    logging.error("A job failed.", exc_info=error)
