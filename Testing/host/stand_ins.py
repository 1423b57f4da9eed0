"""Widgets of CTK and Slicer made again in Python; outside the host they have the names of the C++ headers only.

The names are in allowed_names/*.json, written by allowed_names/make_lists.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from .qt_binding import QtCore, QtGui, QtWidgets
from .qt_members import QT_MEMBERS
from .signals import normalized

LISTS = Path(__file__).with_name("allowed_names")

classes: dict[str, type] = {}  # every stand-in by its name

_NOT_FOR_OTHERS = {"stand_in_facts", "staticMetaObject"}
_EVERY_OBJECT_HAS = {"className", "connect", "delete", "disconnect", "name"}  # besides the names of its Qt class


class StandInFacts(NamedTuple):
    """Attribute `stand_in_facts` of every stand-in."""

    visible_names: frozenset[str]
    signals: dict[str, str]  # C++ signature: attribute of the Python class, in order of declaration
    slots: frozenset[str]  # C++ signatures
    qt_base: type


@cache
def allowed_names() -> dict[str, dict]:
    """{class: {"base", "properties": {name: type}, "enums", "signals", "slots", "invokables"}}, C++ signatures."""
    return {
        name: entry for path in LISTS.glob("*.json") for name, entry in json.loads(path.read_text())["classes"].items()
    }


def lineage(class_name: str) -> list[dict]:
    """The entries of a class and those of its bases that are not Qt's, the class itself first.

    Raises KeyError if the class is in no list.
    """
    every = allowed_names()
    entries = [every[class_name]]
    while entries[-1]["base"] in every:
        entries.append(every[entries[-1]["base"]])
    return entries


def qt_base(class_name: str) -> type:
    """The class of Qt that a class of CTK or Slicer is derived from."""
    name = lineage(class_name)[-1]["base"]
    return next((getattr(m, name) for m in (QtWidgets, QtGui, QtCore) if hasattr(m, name)), QtWidgets.QWidget)


def names_of(entry: dict) -> set[str]:
    """Everything of one class, without its bases, that PythonQt shows."""
    methods = [*entry["signals"], *entry["slots"], *entry["invokables"]]
    return {*entry["properties"], *entry["enums"], *(method.partition("(")[0] for method in methods)}


def stand_in(**overloads: str) -> Callable[[type], type]:
    """Class decorator: register a stand-in and restrict what outside code sees of it.

    overloads: where C++ has several signals of one name, private attribute of the Python class = C++ signature.
    Raises TypeError if the class makes a name public that the C++ class does not have.
    """

    def restrict(kind: type) -> type:
        entries = lineage(kind.__name__)
        own = set().union(*map(names_of, entries))
        base = qt_base(kind.__name__)
        unknown = {name for name in public_names(kind) if name not in own and not hasattr(base, name)}
        if unknown:
            raise TypeError(f"{kind.__name__} has no public {', '.join(sorted(unknown))} in Slicer")
        kind.stand_in_facts = StandInFacts(
            visible_names=frozenset(own | set(dir(base)) | QT_MEMBERS[base].properties | _EVERY_OBJECT_HAS),
            signals=_signal_attributes(kind, entries, overloads),
            slots=frozenset(slot for entry in entries for slot in entry["slots"]),
            qt_base=base,
        )
        classes[kind.__name__] = kind
        return kind

    return restrict


def public_names(kind: type) -> list[str]:
    """What the Python class itself defines for others."""
    return [name for name in vars(kind) if not name.startswith("_") and name not in _NOT_FOR_OTHERS]


def _signal_attributes(kind: type, entries: list[dict], overloads: dict[str, str]) -> dict[str, str]:
    chosen = {normalized(signature): attribute for attribute, signature in overloads.items()}
    for base in kind.__mro__[1:]:
        if "stand_in_facts" in vars(base):
            chosen = base.stand_in_facts.signals | chosen
    found = {}
    for signature in (signature for entry in entries for signature in entry["signals"]):
        attribute = chosen.get(signature, signature.partition("(")[0])
        if isinstance(getattr(kind, attribute, None), QtCore.Signal):
            found[signature] = attribute
    return found
