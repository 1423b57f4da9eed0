"""Lists and dictionaries that are written back to the parameter node with every change, as Slicer's are.

They can do no more than Slicer's: `get` and `pop` of a dictionary take no default, lists cannot be added or multiplied,
neither is a `list` or `dict`. Each change of an item is a change of the node.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, MutableSequence


class ObservedList(MutableSequence):
    def __init__(self, items: list, save: Callable, load: Callable[[], ObservedList]) -> None:
        self._items = items
        self._save = save
        self._load = load

    def _change(self, method: str, *arguments, **options):
        result = getattr(self._items, method)(*arguments, **options)
        try:
            self._save(self._items)
        finally:
            self._items = self._load()._items  # refused values are gone again
        return result

    def __repr__(self):
        return f"ObservedList({self._items})"

    def __eq__(self, other):
        return self._items == (other._items if isinstance(other, ObservedList) else other)

    def __len__(self):
        return len(self._items)

    def __getitem__(self, index):
        return self._items[index]

    def __setitem__(self, index, item):
        self._change("__setitem__", index, item)

    def __delitem__(self, index):
        self._change("__delitem__", index)

    def __iadd__(self, other):
        self._change("__iadd__", other)
        return self

    def __imul__(self, other):
        self._change("__imul__", other)
        return self

    def __add__(self, other):
        raise NotImplementedError("Lists of a parameter node cannot be added; += is possible.")

    __radd__ = __mul__ = __rmul__ = __add__

    def insert(self, index, item):
        self._change("insert", index, item)

    def append(self, item):
        self._change("append", item)

    def extend(self, other):
        self._change("extend", other)

    def remove(self, item):
        self._change("remove", item)

    def pop(self, index=-1):
        return self._change("pop", index)

    def clear(self):
        self._change("clear")

    def sort(self, *, key=None, reverse=False):
        self._change("sort", key=key, reverse=reverse)

    def reverse(self):
        self._change("reverse")


class ObservedDict(MutableMapping):
    def __init__(self, items: dict, save: Callable, load: Callable[[], ObservedDict]) -> None:
        self._items = items
        self._save = save
        self._load = load

    def _change(self, method: str, *arguments):
        result = getattr(self._items, method)(*arguments)
        try:
            self._save(self._items)
        finally:
            self._items = self._load()._items
        return result

    def __repr__(self):
        return f"ObservedDict({self._items})"

    def __eq__(self, other):
        return self._items == (other._items if isinstance(other, ObservedDict) else other)

    def __len__(self):
        return len(self._items)

    def __iter__(self):
        return iter(self._items)

    def __getitem__(self, key):
        return self._items[key]

    def __setitem__(self, key, value):
        self._change("__setitem__", key, value)

    def __delitem__(self, key):
        self._change("__delitem__", key)

    def keys(self):
        return self._items.keys()

    def values(self):
        return self._items.values()

    def items(self):
        return self._items.items()

    def get(self, key):
        return self._items.get(key)

    def pop(self, key):
        return self._change("pop", key)

    def popitem(self):
        return self._change("popitem")

    def clear(self):
        self._change("clear")
