"""Progress of long work on a terminal or in a log."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from .terminal import printable

TERMINAL_INTERVAL_S = 0.1
LOG_INTERVAL_S = 4.0
FIRST_LOG_AFTER_S = 1.0
TICK_S = 1.0
WIDTH = 78  # of a terminal: what is rewritten must not wrap


class ProgressLine:
    """One line on stderr that is rewritten on a terminal, and a line every few seconds elsewhere.

    Call it with stage, fraction and text: ``progress("register", 0.3, "level 1/4")``.

    Args:
        stream: Where to write; None: stderr.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._interval = TERMINAL_INTERVAL_S if self._terminal else LOG_INTERVAL_S
        self._last = time.monotonic() - self._interval + (0 if self._terminal else FIRST_LOG_AFTER_S)
        self._open = False

    def __call__(self, stage: str, fraction: float, text: str) -> None:
        """Show a step, unless the one before is too recent; the last step of a stage is always shown.

        Args:
            stage: What is being done, in a word.
            fraction: How much of the stage is done, in [0, 1].
            text: What is going on.
        """
        self._show(f"{stage} {100 * fraction:3.0f} %  {text}", fraction >= 1)

    def close(self) -> None:
        """Wipe an unfinished line off the terminal, so that a message of an error stands alone."""
        if self._open:
            print(f"\r{'':<{WIDTH}}\r", end="", file=self._stream, flush=True)
            self._open = False

    @contextmanager
    def busy(self, stage: str, text: str) -> Iterator[None]:
        """For a block that cannot tell how far it is: shows the seconds it has taken so far.

        Args:
            stage: What is being done, in a word.
            text: What is going on.
        """
        began, ended = time.monotonic(), threading.Event()

        def tick() -> None:
            while not ended.wait(TICK_S):
                self._show(f"{stage} {time.monotonic() - began:3.0f} s  {text}", False)

        ticker = threading.Thread(target=tick, daemon=True)
        ticker.start()
        try:
            yield
        finally:
            ended.set()
            ticker.join()
        self._show(f"{stage} {time.monotonic() - began:3.0f} s  {text}: done", True)

    def _show(self, line: str, is_last: bool) -> None:
        now = time.monotonic()
        if now - self._last < self._interval and not is_last:
            return
        self._last = now
        line = printable(line)
        if self._terminal:
            shown = line if is_last or len(line) <= WIDTH else line[: WIDTH - 1] + "…"
            print(f"\r{shown:<{WIDTH}}", end="\n" if is_last else "", file=self._stream, flush=True)
            self._open = not is_last
        else:
            print(line, file=self._stream, flush=True)
