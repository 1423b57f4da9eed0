"""What a search must not look at."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class HoldOut:
    """Kept out of the search, so that the result can be judged by it.

    tissues: labels of the fixed segmentation; they keep their start values. landmarks: names. What lies in a held-out
    tissue is held out too.
    """

    tissues: frozenset[int] = frozenset()
    landmarks: frozenset[str] = frozenset()

    @classmethod
    def of(cls, tissues: Collection[int] = (), landmarks: Collection[str] = ()) -> HoldOut:
        return cls(frozenset(tissues), frozenset(landmarks))


NOTHING_HELD_OUT = HoldOut()
