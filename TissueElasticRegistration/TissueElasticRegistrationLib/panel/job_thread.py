"""One thread that steps one job at a time, the newest wins. Without Qt: `worker.JobRunner` brings the news to the GUI.

The thread lives on between jobs: cuDNN, for one, plans anew for every thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

# The job keeps the interpreter at least so long between two waits that end early, or its own news would starve it.
MIN_SHARE_S = 0.01


@dataclass(frozen=True)
class Finished:
    """The job came to its end."""

    result: Any


@dataclass(frozen=True)
class Failed:
    """The job raised this."""

    error: BaseException


class JobThread:
    """Runs ``next(job)`` again and again in one daemon thread, which starts at first use.

    All methods are for one owner, the main thread, and return at once, except `wait` and `close`. A job that is
    replaced or dropped is closed in the worker thread, after the step it is in; nothing of it can be taken any more.
    """

    def __init__(self, name: str = "jobs") -> None:
        self._name = name
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()  # guards everything below
        self._news = threading.Event()
        self._job: Generator | None = None  # the one whose news are wanted
        self._dropped: list[Generator] = []
        self._cleanup_errors: list[BaseException] = []
        self._items: dict[type, Any] = {}  # newest item of every kind, in order of arrival
        self._end: Finished | Failed | None = None
        self._in_step = self._closing = False
        self._taken_s = 0.0

    def start(self, job: Generator) -> None:
        """Run this job instead of whatever runs now."""
        with self._changed:
            self._replace(job)
            self._closing = False
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def drop(self) -> None:
        """Stop the job that runs now, if any."""
        with self._changed:
            self._replace(None)

    @property
    def idle(self) -> bool:
        """True when there is nothing to run and nothing left to close."""
        with self._changed:
            return self._thread is None or not (self._job or self._dropped or self._in_step)

    def wait(self, timeout_s: float) -> None:
        """Give the interpreter to the thread until there is news, for at most this time."""
        self._news.wait(timeout_s)

    def take(self) -> list[Any]:
        """What the job yielded since the last call, and last its `Finished` or `Failed`.

        Of each kind (class) of items only the newest, in order of arrival: what a job shows now and then is not lost to
        the progress it reports all the time.
        """
        with self._changed:
            self._news.clear()
            self._taken_s = time.perf_counter()
            taken = [*self._items.values(), *([self._end] if self._end else [])]
            self._items, self._end = {}, None
            return taken

    def take_cleanup_errors(self) -> list[BaseException]:
        """What dropped jobs raised while they were closed, since the last call."""
        with self._changed:
            errors, self._cleanup_errors = self._cleanup_errors, []
            return errors

    def close(self, timeout_s: float = 2.0) -> bool:
        """Drop the job and end the thread; False if it did not come to an end in this time (it will after its step).

        A later `start` works again.
        """
        with self._changed:
            self._replace(None)
            self._closing = True
            thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
        return self._thread is None

    def _replace(self, job: Generator | None) -> None:
        if self._job is not None:
            self._dropped.append(self._job)
        self._job, self._items, self._end = job, {}, None
        self._news.clear()
        self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._in_step = False
                while not (self._job or self._dropped or self._closing):
                    self._news.set()  # idle now: nobody needs to wait
                    self._changed.wait()
                if not (self._job or self._dropped):
                    self._thread = None
                    self._news.set()
                    return
                self._in_step = True
                dropped, self._dropped = self._dropped, []
                job = self._job
            self._close_jobs(dropped)
            if job is not None:
                self._step(job)

    def _step(self, job: Generator) -> None:
        try:
            item, end = next(job), None
        except StopIteration as stop:
            item, end = None, Finished(stop.value)
        except BaseException as error:  # goes to the owner; the thread must outlive any job
            item, end = None, Failed(error)
        with self._changed:
            if self._job is not job:
                return
            if end is None:
                self._items.pop(type(item), None)
                self._items[type(item)] = item
            else:
                self._end, self._job = end, None
            if end is not None or time.perf_counter() - self._taken_s >= MIN_SHARE_S:
                self._news.set()

    def _close_jobs(self, jobs: list[Generator]) -> None:
        for job in jobs:
            try:
                job.close()
            except BaseException as error:  # as above
                with self._changed:
                    self._cleanup_errors.append(error)
