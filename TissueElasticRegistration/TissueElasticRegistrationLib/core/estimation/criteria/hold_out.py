"""What a search must not use."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class HoldOut:
    """Kept out of the search, so that the result can be judged by it.

    Attributes:
        tissues: Labels of the fixed segmentation; these tissues keep their start values.
        landmarks: Names. Those that lie in a held-out tissue are held out too.
    """

    tissues: frozenset[int] = frozenset()
    landmarks: frozenset[str] = frozenset()

    @classmethod
    def of(cls, tissues: Collection[int] = (), landmarks: Collection[str] = ()) -> HoldOut:
        return cls(frozenset(tissues), frozenset(landmarks))


NOTHING_HELD_OUT = HoldOut()
