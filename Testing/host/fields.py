"""Qt properties that only hold a value."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from .qt_binding import QtCore

_numbers = count()


def field(kind: type | str, default: object, on_change: Callable | None = None) -> QtCore.Property:
    """A property of type `kind`. on_change(self) is called after a new value has been set."""
    key = f"_field_{next(_numbers)}"

    def read(self) -> object:
        return self.__dict__.get(key, default)

    def write(self, value: object) -> None:
        changed = read(self) != value
        self.__dict__[key] = value
        if changed and on_change is not None:
            on_change(self)

    return QtCore.Property(kind, read, write)
