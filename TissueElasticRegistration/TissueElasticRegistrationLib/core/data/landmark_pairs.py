"""Which point of the moving image shows what a point of the fixed one shows: two lists of points as landmarks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .images import Landmarks


def counterparts(fixed_labels: Sequence[str | None], moving_labels: Sequence[str | None]) -> list[tuple[int, int]]:
    """Places of corresponding points in two lists.

    Points are paired by label where the labels are unique in both lists and the same in both, and by order otherwise:
    labels that repeat are no names, and Slicer names new points after their list (F-1, M-1).

    Args:
        fixed_labels: Labels of the points of the fixed image, None for a point without position.
        moving_labels: Those of the moving image.

    Returns:
        The place in the fixed list and that in the moving list of each pair, in the order of the fixed list.

    Raises:
        ValueError: A point has a position in one list only, or the labels contradict the order and do not suffice. The
            message is the end of a sentence.

    Example:
        >>> counterparts(["apex", "carina"], ["carina", "apex"]), counterparts(["F-1", "F-2"], ["M-1", "M-2"])
        ([(0, 1), (1, 0)], [(0, 0), (1, 1)])
    """
    fixed, moving = _defined(fixed_labels), _defined(moving_labels)
    place = {label: number for number, label in moving.items()}
    labels = list(fixed.values())
    unique = len(set(labels)) == len(labels) and len(place) == len(moving)
    if unique and place.keys() == set(labels):
        return [(number, place[label]) for number, label in fixed.items()]
    if fixed.keys() != moving.keys():
        raise ValueError(
            f"they have {len(fixed)} and {len(moving)} defined points, and each point must be defined in both"
        )
    crossed = [label for number, label in fixed.items() if place.get(label, number) != number]
    if unique and crossed:
        raise ValueError(f"'{crossed[0]}' is at different places in the two lists, and not all labels are in both")
    return [(number, number) for number in fixed]


def landmarks_of_lists(
    fixed_ras_mm: np.ndarray,
    fixed_labels: Sequence[str | None],
    moving_ras_mm: np.ndarray,
    moving_labels: Sequence[str | None],
) -> Landmarks:
    """Two lists of points as landmarks, paired as in `counterparts`.

    Args:
        fixed_ras_mm: (N, 3) in RAS mm, in the fixed image; those without a label are not used.
        fixed_labels: One for each of them; they become the names if they are unique.
        moving_ras_mm: (M, 3) in RAS mm, in the moving image.
        moving_labels: One for each of them.

    Raises:
        ValueError: As in `counterparts`.
    """
    pairs = counterparts(fixed_labels, moving_labels)
    fixed, moving = ([pair[side] for pair in pairs] for side in (0, 1))
    labels = tuple(fixed_labels[number] for number in fixed)
    names = labels if len(set(labels)) == len(labels) else ()  # a name stands for one landmark
    return Landmarks(np.asarray(fixed_ras_mm)[fixed], np.asarray(moving_ras_mm)[moving], names)


def _defined(labels: Sequence[str | None]) -> dict[int, str]:
    return {number: label for number, label in enumerate(labels) if label is not None}
