"""What a registration is made from: images, a segmentation of the fixed one, and landmarks, as arrays with geometry."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .geometry import Geometry
from .padding_mask import holes, padding_mask
from .tissue_pairing import TissuePairing, pair_tissues
from .tissues import BACKGROUND, Tissue, listed_names

MIN_VOXELS_PER_AXIS = 4
LARGEST_VALUE, LEAST_RANGE = 1e37, 1e-30  # beyond these, numbers in single precision overflow or are 0
MAX_NAN_INSIDE = 0.01  # of the other voxels; NaN that is connected to the border is padding, however much
CT_WINDOW_HU = (-980.0, 700.0)  # what becomes 0 and 1 where both images are CTs


@dataclass(frozen=True, eq=False)
class Image:
    """A scalar volume; a single slice, stored along any axis, is a 2D image.

    Attributes:
        array_kji: (K, J, I) intensities in any numeric type; NaN is replaced by the lowest value.
        geometry: Where the voxels lie.
        name: What messages call the image.
        nan_kji: (K, J, I) bool, where the intensities were NaN; None if there were none.

    Raises:
        ValueError: Naming the image: it is not one finite, non-constant scalar volume that fits its geometry, has fewer
            than ``MIN_VOXELS_PER_AXIS`` voxels along more than one axis, values that single precision cannot hold, or
            is NaN in more than ``MAX_NAN_INSIDE`` of its inside.
    """

    array_kji: np.ndarray
    geometry: Geometry
    name: str = "image"
    nan_kji: np.ndarray | None = None

    def __post_init__(self) -> None:
        array = self.array_kji
        if array.ndim != 3 or array.shape != self.geometry.shape_kji:
            raise ValueError(
                f"{self.name}: expected one scalar volume of shape {self.geometry.shape_kji}, "
                f"not an array of shape {array.shape}."
            )
        if sorted(array.shape)[1] < MIN_VOXELS_PER_AXIS:
            raise ValueError(
                f"{self.name}: at least {MIN_VOXELS_PER_AXIS} voxels are needed in each row and column of a slice, "
                f"not {' x '.join(map(str, array.shape[::-1]))} voxels."
            )
        if np.isnan(array.min()):
            self._replace_nan()
        lowest, highest = self.lowest, self.array_kji.max()
        if not (np.isfinite(lowest) and np.isfinite(highest)):
            raise ValueError(f"{self.name}: the image contains values that are not finite numbers (infinity).")
        if lowest == highest:
            raise ValueError(
                f"{self.name}: the image is constant (every voxel is {lowest}); there is nothing to register."
            )
        extent = max(abs(float(lowest)), abs(float(highest))), float(highest) - float(lowest)
        if extent[0] > LARGEST_VALUE or extent[1] < LEAST_RANGE:
            raise ValueError(
                f"{self.name}: the values from {lowest:g} to {highest:g} are too large or too close together to be "
                "registered in single precision."
            )

    def _replace_nan(self) -> None:
        missing = np.isnan(self.array_kji)
        present = int(missing.size - np.count_nonzero(missing))
        if present == 0:
            raise ValueError(f"{self.name}: every voxel is NaN; there is nothing to register.")
        inside = holes(missing)
        if inside > MAX_NAN_INSIDE * present:
            raise ValueError(
                f"{self.name}: {100 * inside / present:.3g} % of the values inside the image are not numbers (NaN); "
                f"at most {100 * MAX_NAN_INSIDE:g} % may be."
            )
        filled = np.where(missing, np.nanmin(self.array_kji), self.array_kji)
        object.__setattr__(self, "array_kji", filled)
        object.__setattr__(self, "nan_kji", missing)

    @cached_property
    def lowest(self) -> np.generic:
        """The lowest value, that of padding included: what is written where there is no image."""
        return self.array_kji.min()

    @cached_property
    def padding_kji(self) -> np.ndarray | None:
        """(K, J, I) bool, where nothing was measured: NaN, or else as `padding_mask` says; None if that is nowhere."""
        return padding_mask(self.array_kji) if self.nan_kji is None else self.nan_kji

    def measured(self, step: int = 1) -> np.ndarray:
        """The values that are no padding.

        Args:
            step: Only every ``step``-th column.

        Returns:
            Any shape, a view where there is no padding.
        """
        values = self.array_kji[..., ::step]
        return values if self.padding_kji is None else values[~self.padding_kji[..., ::step]]

    @cached_property
    def bulk_range(self) -> tuple[float, float]:
        """1st and 99th percentile of every fourth column without padding."""
        low, high = np.percentile(self.measured(4), (1, 99))
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
