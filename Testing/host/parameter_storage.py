"""How typed values are kept in a vtkMRMLScriptedModuleNode: the storage format of Slicer's parameter node wrapper.

A scene saved with the stand-in opens with Slicer's wrapper and the other way round. One class for each kind of type,
chosen by `make_storage`. What Slicer refuses raises the same exceptions here: ValueError for a value out of
range, TypeError for a value of the wrong type.
"""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import slicer
import slicer.util

from .observed_containers import ObservedDict, ObservedList
from .parameter_validators import Validator


class Storage:
    """Reads and writes the values of one type under a name that the caller chooses."""

    validators = ()  # from the annotation; checked before each write

    def accepts(self, kind: type) -> bool:
        """Whether a union gives a value of this very type to this member."""
        raise NotImplementedError

    def default(self):
        raise NotImplementedError

    def check(self, value) -> None:
        for validator in self.validators:
            validator.validate(value)

    def contains(self, node, name: str) -> bool:
        return node.HasParameter(name)

    def write(self, node, name: str, value) -> None:
        raise NotImplementedError

    def read(self, node, name: str):
        raise NotImplementedError

    def remove(self, node, name: str) -> None:
        node.UnsetParameter(name)


def _require(value, accepted: tuple[type, ...]) -> None:
    if value is not None and not isinstance(value, accepted):
        raise TypeError(f"{value!r} is of type {type(value).__name__}, not {accepted[-1].__name__}.")


@dataclass
class TextStorage(Storage):
    """Numbers, texts and truth values: one parameter each."""

    accepted: tuple[type, ...]
    default_value: object
    decode: Callable[[str], object]
    union_types: tuple[type, ...]

    def accepts(self, kind):
        return kind in self.union_types

    def default(self):
        return self.default_value

    def check(self, value):
        if value is None:
            raise ValueError("The value must not be None.")
        _require(value, self.accepted)
        super().check(value)

    def write(self, node, name, value):
        self.check(value)
        node.SetParameter(name, str(value))

    def read(self, node, name):
        return self.decode(node.GetParameter(name))


@dataclass
class EnumStorage(Storage):
    """The name of the member of the enumeration."""

    kind: type[enum.Enum]

    def accepts(self, kind):
        return issubclass(kind, enum.Enum)

    def default(self):
        return next(iter(self.kind))

    def check(self, value):
        _require(value, (self.kind,))
        super().check(value)

    def write(self, node, name, value):
        self.check(value)
        node.SetParameter(name, value.name)

    def read(self, node, name):
        text = node.GetParameter(name)
        if text not in self.kind.__members__:
            raise ValueError(f"{text!r} is not a name in {self.kind.__name__}.")
        return self.kind[text]


@dataclass
class NodeStorage(Storage):
    """A reference with the parameter's name as role, and an empty parameter that says that a value was set."""

    node_class: type

    def accepts(self, kind):
        return issubclass(kind, slicer.vtkMRMLNode)

    def default(self):
        return None

    def check(self, value):
        _require(value, (self.node_class,))
        super().check(value)

    def write(self, node, name, value):
        self.check(value)
        node.SetParameter(name, "")
        node.SetNodeReferenceID(name, None if value is None else value.GetID())

    def read(self, node, name):
        return node.GetNodeReference(name)

    def remove(self, node, name):
        super().remove(node, name)
        node.RemoveNodeReferenceIDs(name)


class NoneStorage(Storage):
    """The None of ``X | None``."""

    def accepts(self, kind):
        return kind is types.NoneType

    def default(self):
        return {}  # as in Slicer: a union that begins with None has no valid default

    def check(self, value):
        if value is not None:
            raise ValueError("The value must be None.")

    def write(self, node, name, value):
        self.check(value)
        node.SetParameter(name, "True")

    def read(self, node, name):
        return None


@dataclass
class UnionStorage(Storage):
    """The value under the number of the member that took it: ``name.0`` or ``name.1`` ..."""

    members: list[Storage]

    def accepts(self, kind):
        return False

    def default(self):
        optional = len(self.members) == 2 and isinstance(self.members[1], NoneStorage)
        return None if optional else self.members[0].default()

    def contains(self, node, name):
        return any(member.contains(node, f"{name}.{n}") for n, member in enumerate(self.members))

    def write(self, node, name, value):
        self.check(value)
        number = self._member_for(value)
        with slicer.util.NodeModify(node):
            self.remove(node, name)
            self.members[number].write(node, f"{name}.{number}", value)

    def read(self, node, name):
        for number, member in enumerate(self.members):
            if member.contains(node, f"{name}.{number}"):
                return member.read(node, f"{name}.{number}")
        raise KeyError(f"There is no value with the name {name}.")

    def remove(self, node, name):
        with slicer.util.NodeModify(node):
            for number, member in enumerate(self.members):
                member.remove(node, f"{name}.{number}")

    def _member_for(self, value) -> int:
        problem = TypeError(f"{value!r} of type {type(value).__name__} fits none of the types.")
        for number, member in enumerate(self.members):
            if member.accepts(type(value)):
                try:
                    member.check(value)
                    return number
                except (TypeError, ValueError) as error:
                    problem = error
        raise problem


@dataclass
class TupleStorage(Storage):
    """``name.0``, ``name.1`` ...; also the entries of dictionaries."""

    members: list[Storage]

    def accepts(self, kind):
        return False  # as in Slicer: a union never recognizes a tuple

    def default(self):
        return tuple(member.default() for member in self.members)

    def contains(self, node, name):
        return self.members[0].contains(node, f"{name}.0")

    def write(self, node, name, value):
        self.check(value)
        values = tuple(value)
        if len(values) != len(self.members):
            raise ValueError(f"{len(self.members)} values are needed, not {len(values)}.")
        with slicer.util.NodeModify(node):
            for number, (member, item) in enumerate(zip(self.members, values, strict=True)):
                member.write(node, f"{name}.{number}", item)

    def read(self, node, name):
        return tuple(member.read(node, f"{name}.{number}") for number, member in enumerate(self.members))

    def remove(self, node, name):
        with slicer.util.NodeModify(node):
            for number, member in enumerate(self.members):
                member.remove(node, f"{name}.{number}")


@dataclass
class ListStorage(Storage):
    """``name.len`` and the items under ``name.0`` ..."""

    item: Storage

    def accepts(self, kind):
        return kind is list

    def default(self):
        return []

    def contains(self, node, name):
        return node.HasParameter(f"{name}.len")

    def write(self, node, name, value):
        self.check(value)
        count = len(value)
        with slicer.util.NodeModify(node):
            before = list(self.read(node, name)) if self.contains(node, name) else None
            try:
                for number, item in enumerate(value):
                    self.item.write(node, f"{name}.{number}", item)
            except Exception:
                if before is None:
                    self.remove(node, name)
                else:
                    self.write(node, name, before)
                raise
            node.SetParameter(f"{name}.len", str(count))
            for number in range(count, len(before or ())):
                self.item.remove(node, f"{name}.{number}")

    def read(self, node, name):
        count = int(node.GetParameter(f"{name}.len") or 0)
        items = [self.item.read(node, f"{name}.{number}") for number in range(count)]
        return ObservedList(items, partial(self.write, node, name), partial(self.read, node, name))

    def remove(self, node, name):
        with slicer.util.NodeModify(node):
            for number in range(int(node.GetParameter(f"{name}.len") or 0)):
                self.item.remove(node, f"{name}.{number}")
            super().remove(node, f"{name}.len")


@dataclass
class DictStorage(Storage):
    """A list of pairs, in the order of the dictionary."""

    pairs: ListStorage

    def accepts(self, kind):
        return kind is dict

    def default(self):
        return {}

    def contains(self, node, name):
        return self.pairs.contains(node, name)

    def write(self, node, name, value):
        self.check(value)
        self.pairs.write(node, name, value.items())

    def read(self, node, name):
        items = dict(self.pairs.read(node, name))
        return ObservedDict(items, partial(self.write, node, name), partial(self.read, node, name))

    def remove(self, node, name):
        self.pairs.remove(node, name)


def make_storage(annotation) -> Storage:
    """The storage for a type, possibly ``Annotated`` with validators. Raises Exception for unknown types."""
    kind, *details = typing.get_args(typing.Annotated[annotation, None])
    storage = _storage_for(kind)
    storage.validators = [detail for detail in details if isinstance(detail, Validator)]
    return storage


def _storage_for(kind) -> Storage:
    origin, members = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return UnionStorage([make_storage(member) for member in members])
    if origin is list:
        return ListStorage(make_storage(members[0]))
    if origin is dict:
        return DictStorage(ListStorage(TupleStorage([make_storage(member) for member in members])))
    if origin is tuple:
        return TupleStorage([make_storage(member) for member in members])
    if kind is types.NoneType:
        return NoneStorage()
    if kind is int:
        return TextStorage((int,), 0, int, union_types=(int, float))
    if kind is float:
        return TextStorage((int, float), 0, float, union_types=(int, float))
    if kind is str:
        return TextStorage((str,), "", str, union_types=(str,))
    if kind is bool:
        return TextStorage((bool,), False, "True".__eq__, union_types=(bool,))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return EnumStorage(kind)
    if isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode):
        return NodeStorage(kind)
    raise Exception(f"There is no way to keep values of type {kind} (the stand-in knows fewer types than Slicer does).")
