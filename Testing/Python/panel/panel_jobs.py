"""Jobs for tests of the panel's worker, and patience with its thread."""

from __future__ import annotations

import threading
import time

from TissueElasticRegistrationLib.core.data.progress import Progress

PATIENCE_S = 5.0


def until(condition) -> None:
    """Wait for the other thread; the test fails if it takes too long."""
    end = time.perf_counter() + PATIENCE_S
    while not condition():
        assert time.perf_counter() < end, "waited in vain"
        time.sleep(0.001)


def endless(log: list | None = None):
    """A job that never ends, and tells when and in which thread it was closed."""
    try:
        while True:
            time.sleep(0.001)
            yield Progress(0.0, "endless")
    finally:
        if log is not None:
            log.append(threading.current_thread())


def gated(gate: threading.Event, log: list):
    """A job whose first step lasts until the gate opens."""
    try:
        log.append("began")
        gate.wait(PATIENCE_S)
        yield Progress(0.5, "through the gate")
        log.append("second step")
        yield Progress(1.0, "too far")
    finally:
        log.append("closed")


def short(result: object = "result"):
    yield Progress(0.5, "half")
    return result
