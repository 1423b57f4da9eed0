"""The grid a registration works on: isotropic where the data is, thick slices kept as they are, padded for pooling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..data.geometry import Geometry

VOXEL_BUDGET_3D = 2_000_000
VOXEL_BUDGET_2D = 384 * 384
# Slices this many times thicker than the working voxel are neither resampled nor pooled across.
THICK_SLICE_RATIO = 2.0
PADDING_MULTIPLE = 16


@dataclass(frozen=True, eq=False)
class WorkingGrid:
    """``inner`` covers the fixed image, ``geometry`` is ``inner`` padded so that every pooled axis can be halved
    often.
    """

    inner: Geometry
    before_kji: tuple[int, ...]
    after_kji: tuple[int, ...]
    pooled_kji: tuple[bool, ...]

    @property
    def geometry(self) -> Geometry:
        return self.inner.padded(self.before_kji, self.after_kji)

    @property
    def is_slice(self) -> bool:
        return self.inner.shape_kji[0] == 1

    @property
    def spacing_mm(self) -> tuple[float, ...]:
        """Voxel size along the axes of the tensors: k, j, i, or j, i for a single slice."""
        return tuple(self.inner.spacing_kji_mm[1 if self.is_slice else 0 :].tolist())

    @property
    def pooled_axes(self) -> tuple[bool, ...]:
        """Which axes of the tensors may be pooled."""
        return self.pooled_kji[1 if self.is_slice else 0 :]

    def pad(self, array_kji: np.ndarray) -> np.ndarray:
        """An array on ``inner`` continued with its border values to ``geometry``."""
        return np.pad(array_kji, list(zip(self.before_kji, self.after_kji, strict=True)), mode="edge")


def working_grid(fixed: Geometry, finest_mm: float | None = None) -> WorkingGrid:
    """The working grid of a fixed image, never finer than its finest axis, ``finest_mm`` or the voxel budget."""
    spacing = fixed.spacing_kji_mm
    extent = spacing * np.array(fixed.shape_kji)
    single = fixed.shape_kji[0] == 1
    size = max(spacing[1:].min(), finest_mm or 0.0)
    while True:
        thick = np.array([single, False, False]) | (spacing > THICK_SLICE_RATIO * size)
        new_spacing = np.where(thick, spacing, np.maximum(spacing if single else size, size))
        # A thin volume stays a volume: one slice would mean a 2D registration.
        shape = np.maximum(np.minimum(fixed.shape_kji, 2), np.ceil(extent / new_spacing - 1e-3)).astype(int)
        if shape.prod() <= (VOXEL_BUDGET_2D if single else VOXEL_BUDGET_3D):
            break
        size *= 1.02
    pooled = ~thick & (shape >= PADDING_MULTIPLE)
    missing = np.where(pooled, -shape % PADDING_MULTIPLE, 0)
    before = missing // 2
    return WorkingGrid(
        fixed.resampled(new_spacing, shape),
        tuple(before.tolist()),
        tuple((missing - before).tolist()),
        tuple(pooled.tolist()),
    )
