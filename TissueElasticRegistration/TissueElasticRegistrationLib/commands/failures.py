"""What ends a command: errors that are no fault of the program, each told in a sentence, and signals."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .terminal import one_line

# Besides ValueError, which says what is wrong with an input.
FAILURES = (ArithmeticError, ImportError, MemoryError, OSError, RuntimeError)
NO_MEMORY = "There is not enough memory for these images."
MEMORY_WORDS = (
    "allocate memory",
    "out of memory",
    "bad_alloc",
    "failed to map segment",
)  # of torch, ITK and the system
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # Ctrl-C; a batch system, `timeout` or a container; a closed terminal


def failure_sentence(error: Exception) -> str:
    """What to tell of an error.

    Args:
        error: A ValueError or one of ``FAILURES``.
    """
    if isinstance(error, MemoryError) or any(words in str(error).lower() for words in MEMORY_WORDS):
        return NO_MEMORY
    if isinstance(error, OSError) and error.strerror:
        return one_line(f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}.")
    return one_line(error) or type(error).__name__


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt at the first signal that asks the process to end; later ones cannot disturb the ending.

    Signals that are ignored stay so, as with ``nohup``.
    """

    def interrupt(*_: object) -> None:
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    can_listen = threading.current_thread() is threading.main_thread()
    numbers = [getattr(signal, name) for name in SIGNALS if can_listen and hasattr(signal, name)]
    before = {n: signal.getsignal(n) for n in numbers if signal.getsignal(n) not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
