"""One pair to learn from, and a batch of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch


@dataclass(frozen=True, eq=False)
class TrainingPair:
    """A fixed and a moving image on one grid, as the registrar hands them to a network.

    Attributes:
        fixed: (*shape) float32 on [0, 1], 2D or 3D.
        moving: (*shape) float32 on [0, 1].
        fixed_labels: (*shape) uint8, the tissues whose sliders are drawn, 0 is the background.
        moving_labels: (*shape) uint8, the same structures in the moving image, None if unknown.
        spacing_mm: Voxel size per axis.
        displacement: (D, *shape) float32 in voxels, fixed point x corresponds to moving point x + displacement(x);
            None if unknown.
        valid: (*shape) booleans, where the fixed image has values and, if the displacement is known, a counterpart in
            the moving image; None: everywhere.
    """

    fixed: np.ndarray
    moving: np.ndarray
    fixed_labels: np.ndarray
    moving_labels: np.ndarray | None
    spacing_mm: tuple[float, ...]
    displacement: np.ndarray | None = None
    valid: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of voxels per axis."""
        return self.fixed.shape

    def swapped(self) -> TrainingPair:
        """Fixed and moving exchanged. The true displacement is not inverted but dropped.

        Raises:
            ValueError: The moving image has no labels.
        """
        if self.moving_labels is None:
            raise ValueError("A pair without labels of the moving image cannot be swapped.")
        return replace(
            self,
            fixed=self.moving,
            moving=self.fixed,
            fixed_labels=self.moving_labels,
            moving_labels=self.fixed_labels,
            displacement=None,
            valid=None,
        )

    def merged(self, tissues: int | None) -> TrainingPair:
        """Labels above a number become background.

        Args:
            tissues: The number; None keeps all.
        """
        if tissues is None:
            return self
        fixed, moving = (
            None if labels is None else np.where(labels > tissues, 0, labels).astype(np.uint8)
            for labels in (self.fixed_labels, self.moving_labels)
        )
        return replace(self, fixed_labels=fixed, moving_labels=moving)

    def fitted(self, shape: Sequence[int]) -> TrainingPair:
        """Cropped or padded around its center to another shape. Padding repeats the border and is not valid.

        Args:
            shape: Voxels wanted per axis.
        """
        shape = tuple(shape)
        if shape == self.shape:
            return self
        valid = np.ones(self.shape, bool) if self.valid is None else self.valid
        displacement = self.displacement
        if displacement is not None:
            displacement = np.stack([_fit(component, shape) for component in displacement])
        moving_labels = None if self.moving_labels is None else _fit(self.moving_labels, shape)
        return replace(
            self,
            fixed=_fit(self.fixed, shape),
            moving=_fit(self.moving, shape),
            fixed_labels=_fit(self.fixed_labels, shape),
            moving_labels=moving_labels,
            displacement=displacement,
            valid=_fit(valid, shape, "constant"),
        )


class Batch(NamedTuple):
    """Pairs of one shape.

    Attributes:
        fixed: (B, 1, *shape) float32 on [0, 1].
        moving: (B, 1, *shape) float32 on [0, 1].
        labels: (B, *shape) int64.
        mask: (B, 1, *shape) float32, 1 where a pair is valid.
        sliders: (B, C, 2) positions of λ and μ of every tissue in [0, 1].
        spacing: Voxel size per axis relative to the smallest; an absolute size has no influence on an
            energy of strains.
        number: Of the step.
    """

    fixed: torch.Tensor
    moving: torch.Tensor
    labels: torch.Tensor
    mask: torch.Tensor
    sliders: torch.Tensor
    spacing: tuple[float, ...]
    number: int


def collate(pairs: Sequence[TrainingPair], sliders: np.ndarray, number: int = 0) -> Batch:
    """Stack pairs.

    Args:
        pairs: B pairs of one shape.
        sliders: (B, C, 2) positions in [0, 1].
        number: Of the step.

    Raises:
        ValueError: The shapes of the pairs or the proportions of their voxels differ.
    """
    if len({pair.shape for pair in pairs}) > 1:
        raise ValueError(f"Pairs of one batch have different shapes: {sorted({pair.shape for pair in pairs})}.")
    spacings = [relative_spacing(pair.spacing_mm) for pair in pairs]
    if not np.allclose(spacings, spacings[0], rtol=0.02):
        raise ValueError(f"Pairs of one batch have voxels of different proportions: {sorted(set(spacings))}.")
    masks = [np.ones(pair.shape, bool) if pair.valid is None else pair.valid for pair in pairs]
    return Batch(
        _stack([pair.fixed for pair in pairs])[:, None].float(),
        _stack([pair.moving for pair in pairs])[:, None].float(),
        _stack([pair.fixed_labels for pair in pairs]).long(),
        _stack(masks)[:, None].float(),
        torch.from_numpy(np.asarray(sliders, np.float32)),
        spacings[0],
        number,
    )


def relative_spacing(spacing_mm: Sequence[float]) -> tuple[float, ...]:
    """Voxel size per axis, in units of the smallest."""
    return tuple(size / min(spacing_mm) for size in spacing_mm)


def _stack(arrays: Sequence[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(arrays))


def _fit(array: np.ndarray, shape: tuple[int, ...], mode: str = "edge") -> np.ndarray:
    missing = [max(new - old, 0) for new, old in zip(shape, array.shape, strict=True)]
    array = np.pad(array, [(m // 2, m - m // 2) for m in missing], mode=mode)
    starts = [(old - new) // 2 for new, old in zip(shape, array.shape, strict=True)]
    return array[tuple(slice(start, start + new) for start, new in zip(starts, shape, strict=True))]
