"""Which tissue of one segmentation is which of another: by name, by ID, by terminology, or by label, never by half."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass

from .tissues import BACKGROUND, Tissue, comparable, listed_names

# What Slicer calls a segment that nobody has named, and labels: "Segment_2" is whatever was drawn second.
_AUTOMATIC = re.compile(r"(segment|label|region|structure)?[\W_\d]*", re.IGNORECASE)


@dataclass(frozen=True)
class TissuePairing:
    """The counterparts in two segmentations.

    Attributes:
        counterparts: Label in the moving segmentation -> label of the same tissue in the fixed one.
        notes: One sentence each on pairs that were not made by their names, and on names that do not tell.
    """

    counterparts: dict[int, int]
    notes: tuple[str, ...] = ()


def pair_tissues(fixed: Iterable[Tissue], moving: Iterable[Tissue]) -> TissuePairing:
    """Find the counterparts of two segmentations.

    A name that one tissue alone has on each side decides; this is what the user sees. Among tissues of the same name
    the terminology decides, then the ID. An ID also pairs tissues of different names, unless it is an automatic one
    (``Segment_2``), and so does a terminology that one tissue alone has on each side. Labels pair only if nothing else
    pairs anything, one segmentation has numbers for names, and all labels of one of them are labels of the other.

    Args:
        fixed: Tissues of the fixed segmentation; background does not count.
        moving: Tissues of the moving segmentation.

    Example:
        >>> pair_tissues([Tissue(1, "Lung"), Tissue(2, "bone")], [Tissue(1, "Bone"), Tissue(2, "lung")]).counterparts
        {2: 1, 1: 2}
    """
    search = _Search(
        [tissue for tissue in fixed if tissue.label != BACKGROUND],
        [tissue for tissue in moving if tissue.label != BACKGROUND],
    )
    search.pair_unique(lambda tissue: comparable(tissue.segment_name), among_all=True)
    search.pair_unique(lambda tissue: tissue.terminology and (comparable(tissue.segment_name), tissue.terminology))
    search.pair_unique(lambda tissue: "" if _is_automatic(tissue.id) else tissue.id, reason="the ID is the same")
    search.pair_namesakes()
    search.pair_unique(lambda tissue: tissue.terminology, among_all=True, reason="the terminology is the same")
    search.pair_labels()
    return TissuePairing(search.counterparts, tuple(search.notes))


class _Search:
    """What is paired so far, and what is left."""

    def __init__(self, fixed: list[Tissue], moving: list[Tissue]) -> None:
        self._fixed, self._moving = fixed, moving
        self.counterparts: dict[int, int] = {}
        self.notes: list[str] = []

    def pair_unique(self, key: Callable[[Tissue], Hashable], among_all: bool = False, reason: str = "") -> None:
        """Pair those left that alone have the same ``key`` on their side, among all or among those left.

        reason: what to say of tissues whose names differ.
        """
        fixed, moving = self._left()
        own = _groups(self._fixed if among_all else fixed, key)
        other = _groups(self._moving if among_all else moving, key)
        for value, tissues in own.items():
            if len(tissues) == len(other.get(value, ())) == 1:
                one, counterpart = tissues[0], other[value][0]
                if one in fixed and counterpart in moving and not (reason and _contradict(one, counterpart)):
                    self._pair(one, counterpart, reason)

    def pair_namesakes(self) -> None:
        """Pair those of the same name by their IDs, if both sides have the same IDs and nothing contradicts."""
        fixed, moving = (_groups(side, lambda tissue: comparable(tissue.segment_name)) for side in self._left())
        for name in fixed.keys() & moving.keys():
            by_id = {tissue.id: tissue for tissue in moving[name]}
            pairs = [(tissue, by_id[tissue.id]) for tissue in fixed[name] if tissue.id in by_id]
            if len(pairs) == len(fixed[name]) == len(moving[name]) and not any(_contradict(*pair) for pair in pairs):
                for pair in pairs:
                    self._pair(*pair)
            else:
                self.notes.append(
                    f"The segments called '{fixed[name][0].segment_name}' are not compared with each other: neither "
                    "their IDs nor their terminology tell which of them belong together."
                )

    def pair_labels(self) -> None:
        """Pair equal labels if nothing is paired yet and one side has only numbers for names."""
        fixed, moving = ({tissue.label: tissue for tissue in side} for side in (self._fixed, self._moving))
        nameless = any(all(_is_automatic(tissue.name) for tissue in side.values()) for side in (fixed, moving))
        if self.counterparts or not nameless or not (fixed.keys() <= moving.keys() or moving.keys() <= fixed.keys()):
            return
        labels = sorted(fixed.keys() & moving.keys())
        for label in labels:
            self._pair(fixed[label], moving[label])
        pairs = listed_names(f"{fixed[label].name} = {moving[label].name}" for label in labels)
        self.notes.append(
            f"The two segmentations have no name in common, so equal label values count as the same tissue ({pairs}); "
            "check that they are."
        )

    def _left(self) -> tuple[list[Tissue], list[Tissue]]:
        paired = set(self.counterparts.values())
        return (
            [tissue for tissue in self._fixed if tissue.label not in paired],
            [tissue for tissue in self._moving if tissue.label not in self.counterparts],
        )

    def _pair(self, fixed: Tissue, moving: Tissue, reason: str = "") -> None:
        self.counterparts[moving.label] = fixed.label
        if reason and comparable(fixed.segment_name) != comparable(moving.segment_name):
            self.notes.append(f"'{fixed.name}' is compared with '{moving.name}' because {reason}.")


def _groups(tissues: Iterable[Tissue], key: Callable[[Tissue], Hashable]) -> dict[Hashable, list[Tissue]]:
    """Tissues by key, without those that have none."""
    groups: dict[Hashable, list[Tissue]] = {}
    for tissue in tissues:
        if key(tissue):
            groups.setdefault(key(tissue), []).append(tissue)
    return groups


def _is_automatic(name: str) -> bool:
    return _AUTOMATIC.fullmatch(name) is not None


def _contradict(one: Tissue, other: Tissue) -> bool:
    """Whether both are described, and differently."""
    return bool(one.terminology and other.terminology and one.terminology != other.terminology)
