"""Slicer is built with Qt 5.15 or Qt 6. What only Qt 6 has is hidden from code outside the host."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

_LISTS = json.loads((Path(__file__).with_name("hidden_names") / "qt6_only.json").read_text())

QT6_ONLY_GLOBALS = frozenset(_LISTS["globals"])


@cache
def qt6_only(kind: type) -> frozenset[str]:
    """Names of a class, inherited ones included, that Qt 5.15 does not have."""
    return frozenset(name for base in kind.__mro__ for name in _LISTS["classes"].get(base.__name__, ()))
