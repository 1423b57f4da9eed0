"""Segments that may overlap as one label array."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from .images import label_type
from .tissues import Tissue, listed_names

CONTAINED = 0.95  # of a segment's voxels


class MergedSegments(NamedTuple):
    """What `merge_segments` returns.

    Attributes:
        labels_kji: (K, J, I) integers, 0 for background.
        given_way: Label of a segment that contains others -> labels of these.
        covered: Labels of segments of which others have left no voxel.
    """

    labels_kji: np.ndarray
    given_way: dict[int, tuple[int, ...]]
    covered: tuple[int, ...]

    def notes(self, tissues: Sequence[Tissue]) -> tuple[str, ...]:
        """What the user should know about overlapping segments, one sentence each.

        Args:
            tissues: Of the labels.
        """
        names = {tissue.label: tissue.name for tissue in tissues}
        ways = tuple(
            f"'{names[label]}' contains {listed_names(names[other] for other in others)} and is only what lies around."
            for label, others in self.given_way.items()
        )
        if not self.covered:
            return ways
        covered = listed_names(names[label] for label in self.covered)
        return (*ways, f"Segments that come later in the list cover all voxels of {covered}.")


def merge_segments(
    segments: Iterable[tuple[np.ndarray, int] | None], shape_kji: tuple[int, int, int]
) -> MergedSegments:
    """One label per voxel: where segments overlap, a segment gives way to those it contains; else the later one wins.

    Args:
        segments: For labels 1, 2, ... the array (K, J, I) in which the segment is and its value there; None for a
            segment without voxels.
        shape_kji: Of the arrays.

    Example:
        >>> body, lung = np.array([[[1, 1, 1, 1]]]), np.array([[[0, 1, 0, 0]]])
        >>> merge_segments([(lung, 1), (body, 1)], (1, 1, 4)).labels_kji.tolist()
        [[[2, 1, 2, 2]]]
    """
    segments = tuple(segments)
    labels_kji = np.zeros(shape_kji, label_type(len(segments)))
    visible = np.zeros(1 + len(segments), np.int64)
    given_way, own = {}, []
    for label, place in enumerate(segments, start=1):
        if place is None:
            continue
        layer_kji, value = place
        mask = layer_kji == value
        below = np.bincount(labels_kji[mask], minlength=len(visible))
        size, below[0] = below.sum(), 0
        contained = np.flatnonzero((below > 0) & (below >= CONTAINED * visible) & (size > visible))
        if contained.size:
            mask &= ~np.isin(labels_kji, contained)
            given_way[label] = tuple(contained.tolist())
            size -= below[contained].sum()
            below[contained] = 0
        labels_kji[mask] = label
        visible -= below
        visible[label] = size
        if size:
            own.append(label)
    covered = tuple(label for label in own if not visible[label])
    return MergedSegments(labels_kji, given_way, covered)
