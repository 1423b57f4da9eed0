"""Running Qt's event loop in tests the way Slicer runs it, and measuring how long it is blocked."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from .qt_binding import QtCore, application

UNTIL_INTERVAL_MS = 20


def run_loop(until: Callable[[], bool] | None = None, timeout_s: float = 5.0, keep_gil: bool = True) -> bool:
    """Run the event loop until `until()` is true or time is up; True if it was `until` that ended it.

    keep_gil: keep Python's global lock while the loop is idle, as Slicer does, so that Python threads stand still
    unless something in the main thread waits for them. PySide6 would let them run. `until` is asked every 20 ms from
    a timer, which lets threads take a step as any Python code in a timer does. What it raises is raised here.
    """
    application()
    reached: list[bool | BaseException] = []

    def check() -> None:
        try:
            if until():
                reached.append(True)
        except BaseException as error:  # Ctrl-C too
            reached.append(error)
        if reached:
            QtCore.QCoreApplication.exit()

    poll, end = QtCore.QTimer(), QtCore.QTimer()
    if until is not None:
        poll.timeout.connect(check)
        poll.start(UNTIL_INTERVAL_MS)
    end.setSingleShot(True)
    end.timeout.connect(QtCore.QCoreApplication.exit)  # quit would close all windows first
    end.start(round(timeout_s * 1000))
    exec_keeping_gil = _exec_keeping_gil() if keep_gil else None
    (exec_keeping_gil or QtCore.QCoreApplication.exec)()
    poll.stop()
    end.stop()
    if reached and isinstance(reached[0], BaseException):
        raise reached[0]
    return bool(reached)


def keeps_gil() -> bool:
    """Whether run_loop(keep_gil=True) can do it here: Linux and macOS, where the function is found by its symbol."""
    return _exec_keeping_gil() is not None


@cache
def _exec_keeping_gil() -> Callable[[], int] | None:
    """QCoreApplication::exec() called through ctypes.PyDLL, which does not release the global lock."""
    root = Path(QtCore.__file__).parent
    for pattern in ("Qt/lib/libQt6Core.so.6", "Qt/lib/QtCore.framework/Versions/A/QtCore"):
        library = root / pattern
        if library.exists():
            return getattr(ctypes.PyDLL(str(library)), "_ZN16QCoreApplication4execEv", None)
    return None


class Blocking(NamedTuple):
    """How long the event loop did nothing else, beyond the interval of the watching timer; in ms."""

    longest_ms: float
    percentile_95_ms: float
    ticks: int


class LoopWatch:
    """Measures blocking of the event loop with a timer: `with LoopWatch() as watch: run_loop(...)`, watch.result().

    Each tick lets Python threads take a step, about 100 in a second at 10 ms where an idle Slicer would allow one.
    """

    def __init__(self, interval_ms: int = 10) -> None:
        self._interval_ms = interval_ms
        self._times_s: list[float] = []
        self._timer = QtCore.QTimer()
        self._timer.setTimerType(QtCore.Qt.PreciseTimer)
        self._timer.timeout.connect(lambda: self._times_s.append(time.perf_counter()))

    def __enter__(self) -> LoopWatch:
        application()
        self._times_s = [time.perf_counter()]
        self._timer.start(self._interval_ms)
        return self

    def __exit__(self, *error) -> None:
        self._timer.stop()
        self._times_s.append(time.perf_counter())  # what blocks until the end counts too

    def result(self) -> Blocking:
        pairs = zip(self._times_s, self._times_s[1:], strict=False)
        waits_ms = sorted(max(0.0, (after - before) * 1000 - self._interval_ms) for before, after in pairs)
        return Blocking(waits_ms[-1], waits_ms[round(0.95 * (len(waits_ms) - 1))], len(waits_ms) - 1)
