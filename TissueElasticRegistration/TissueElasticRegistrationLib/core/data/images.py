"""What a registration is made from: images, a segmentation of the fixed one, and landmarks, as arrays with geometry."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .geometry import Geometry
from .tissue_pairing import TissuePairing, pair_tissues
from .tissues import BACKGROUND, Tissue, listed_names

MIN_VOXELS_PER_AXIS = 4
CT_WINDOW_HU = (-980.0, 700.0)  # what becomes 0 and 1 where both images are CTs


@dataclass(frozen=True, eq=False)
class Image:
    """A scalar volume; a single slice (K = 1) is a 2D image.

    Attributes:
        array_kji: (K, J, I) intensities in any numeric type.
        geometry: Where the voxels lie.
        name: What messages call the image.

    Raises:
        ValueError: Naming the image: it is not one finite, non-constant scalar volume that fits its geometry, or has
            fewer than ``MIN_VOXELS_PER_AXIS`` rows or columns.
    """

    array_kji: np.ndarray
    geometry: Geometry
    name: str = "image"

    def __post_init__(self) -> None:
        array = self.array_kji
        if array.ndim != 3 or array.shape != self.geometry.shape_kji:
            raise ValueError(
                f"{self.name}: expected one scalar volume of shape {self.geometry.shape_kji}, "
                f"not an array of shape {array.shape}."
            )
        if min(array.shape[1:]) < MIN_VOXELS_PER_AXIS:
            raise ValueError(
                f"{self.name}: at least {MIN_VOXELS_PER_AXIS} voxels are needed in each row and "
                f"column, not {array.shape[1:]}."
            )
        lowest, highest = self.lowest, array.max()
        if not (np.isfinite(lowest) and np.isfinite(highest)):
            raise ValueError(f"{self.name}: the image contains values that are not finite numbers (NaN or infinity).")
        if lowest == highest:
            raise ValueError(
                f"{self.name}: the image is constant (every voxel is {lowest}); there is nothing to register."
            )

    @cached_property
    def lowest(self) -> np.generic:
        """The lowest value: what is outside of the image."""
        return self.array_kji.min()

    @cached_property
    def bulk_range(self) -> tuple[float, float]:
        """1st and 99th percentile of every fourth column."""
        low, high = np.percentile(self.array_kji[..., ::4], (1, 99))
        return float(low), float(high)


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The labels of one image.

    Attributes:
        labels_kji: (K, J, I) integers, 0 is background, every other value is the label of one of ``tissues``.
        geometry: Where the voxels lie.
        tissues: What the labels mean; background is listed only if it was named.
        name: What messages call the segmentation.
        may_be_empty: Whether background alone is allowed, as for a segmentation that was warped out of the
            field of view.
        notes: What the user should know about how it was read, one sentence each.

    Raises:
        ValueError: Naming the segmentation: it is empty (unless it ``may_be_empty``), does not fit its geometry, is not
            of integers or holds an unlisted value.
    """

    labels_kji: np.ndarray
    geometry: Geometry
    tissues: tuple[Tissue, ...]
    name: str = "segmentation"
    may_be_empty: bool = False
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        labels = self.labels_kji
        if labels.ndim != 3 or labels.shape != self.geometry.shape_kji:
            raise ValueError(f"{self.name}: expected labels of shape {self.geometry.shape_kji}, not {labels.shape}.")
        if not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(f"{self.name}: labels must be whole numbers, not {labels.dtype}.")
        if not self.present_labels and not self.may_be_empty:
            raise ValueError(f"{self.name}: the segmentation is empty.")
        unknown = sorted(self.present_labels - {tissue.label for tissue in self.tissues})
        if unknown:
            raise ValueError(f"{self.name}: label values {unknown} are not assigned to a tissue.")

    @cached_property
    def present_labels(self) -> frozenset[int]:
        """The labels that at least one voxel has, without background."""
        return frozenset(np.unique(self.labels_kji).tolist()) - {BACKGROUND}

    @property
    def present_tissues(self) -> tuple[Tissue, ...]:
        """The tissues that at least one voxel has, without background."""
        return tuple(tissue for tissue in self.tissues if tissue.label in self.present_labels)


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Corresponding points: row n of both arrays shows the same anatomy.

    Attributes:
        fixed_ras_mm: (N, 3) in RAS mm, in the fixed image.
        moving_ras_mm: (N, 3) in RAS mm, in the moving image.
        names: One name per row, or none.

    Raises:
        ValueError: The lists differ in length, are not of points, or hold coordinates that are not finite.

    Example:
        >>> Landmarks(np.zeros((3, 3)), np.ones((3, 3))).all_names
        ('1', '2', '3')
    """

    fixed_ras_mm: np.ndarray
    moving_ras_mm: np.ndarray
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.fixed_ras_mm.shape != self.moving_ras_mm.shape or self.fixed_ras_mm.shape[1:] != (3,):
            raise ValueError(
                f"Landmarks must be two equally long lists of points (N, 3), not "
                f"{self.fixed_ras_mm.shape} and {self.moving_ras_mm.shape}."
            )
        if not (np.all(np.isfinite(self.fixed_ras_mm)) and np.all(np.isfinite(self.moving_ras_mm))):
            raise ValueError("Landmarks must have finite coordinates.")

    @property
    def all_names(self) -> tuple[str, ...]:
        """``names``, or their numbers from 1 on."""
        return self.names or tuple(str(number + 1) for number in range(len(self.fixed_ras_mm)))

    @property
    def every_second(self) -> tuple[str, ...]:
        """Names of every second landmark: the half that is kept to check what the other half has chosen."""
        return self.all_names[1::2]


@dataclass(frozen=True, eq=False)
class ImagePair:
    """Everything a registration needs, in one physical space (parent transforms applied).

    Attributes:
        fixed: The image that stays where it is.
        moving: The image that is deformed.
        fixed_segmentation: Decides which tissue is where.
        moving_segmentation: No registration uses it: for evaluation, and to estimate λ and μ by overlap.
        landmarks: No registration uses them: for evaluation, and to estimate λ and μ by their distance.
    """

    fixed: Image
    moving: Image
    fixed_segmentation: Segmentation
    moving_segmentation: Segmentation | None = None
    landmarks: Landmarks | None = None

    @cached_property
    def pairing(self) -> TissuePairing:
        """Which tissue of the moving segmentation is which of the fixed one."""
        moving = () if self.moving_segmentation is None else self.moving_segmentation.tissues
        return pair_tissues(self.fixed_segmentation.tissues, moving)

    @cached_property
    def matched_moving_segmentation(self) -> Segmentation | None:
        """The moving segmentation with the labels of the fixed one; what has no counterpart has labels above these."""
        if self.moving_segmentation is None:
            return None
        free = 1 + max((tissue.label for tissue in self.fixed_segmentation.tissues), default=0)
        new_label = {BACKGROUND: BACKGROUND}
        for tissue in self.moving_segmentation.tissues:
            if tissue.label == BACKGROUND:
                continue
            label = self.pairing.counterparts.get(tissue.label)
            if label is None:
                label, free = free, free + 1
            new_label[tissue.label] = label
        return _renumbered(self.moving_segmentation, new_label)

    @property
    def segmentation_notes(self) -> tuple[str, ...]:
        """What the user should know about the segmentations: how they were read, paired, and what is in only one."""
        fixed, moving = self.fixed_segmentation, self.matched_moving_segmentation
        if moving is None:
            return fixed.notes
        alone = (
            ("moving", _names_of(fixed, fixed.present_labels - moving.present_labels)),
            ("fixed", _names_of(moving, moving.present_labels - fixed.present_labels)),
        )
        lonely = tuple(
            f"The {other} segmentation has no counterpart of {names}, so there is no overlap to measure."
            for other, names in alone
            if names
        )
        return tuple(dict.fromkeys((*fixed.notes, *moving.notes, *self.pairing.notes, *lonely)))


def _names_of(segmentation: Segmentation, labels: frozenset[int]) -> str:
    return listed_names(tissue.name for tissue in segmentation.tissues if tissue.label in labels)


def _renumbered(segmentation: Segmentation, new_label: dict[int, int]) -> Segmentation:
    """A copy with other labels, or the segmentation itself where they stay."""
    if all(old == new for old, new in new_label.items()):
        return segmentation
    highest = max(int(segmentation.labels_kji.max()), *new_label)
    table = np.zeros(1 + highest, label_type(max(new_label.values())))
    for old, new in new_label.items():
        table[old] = new
    tissues = tuple(replace(tissue, label=new_label[tissue.label]) for tissue in segmentation.tissues)
    return replace(segmentation, labels_kji=table[segmentation.labels_kji], tissues=tissues)


def label_type(highest: int) -> type:
    """The integer type of a label map with labels up to ``highest``."""
    return np.uint8 if highest < 2**8 else np.int32
