"""The grid a registration works on: isotropic where the data is, thick slices kept as they are, padded for pooling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..data.geometry import USUAL_AXES, Geometry

VOXEL_BUDGET_3D = 2_000_000
VOXEL_BUDGET_2D = 384 * 384
# Slices this many times thicker than the working voxel are neither resampled nor pooled across.
THICK_SLICE_RATIO = 2.0
PADDING_MULTIPLE = 16


@dataclass(frozen=True, eq=False)
class WorkingGrid:
    """The grid of a registration: that of the fixed image at working resolution, padded for pooling.

    Attributes:
        inner: Covers the fixed image.
        before_kji: Number of voxels added before the first one along k, j, i.
        after_kji: Number of voxels added behind the last one along k, j, i.
        pooled_kji: Which axes may be pooled; thick slices and very short axes may not.
    """

    inner: Geometry
    before_kji: tuple[int, ...]
    after_kji: tuple[int, ...]
    pooled_kji: tuple[bool, ...]

    @property
    def geometry(self) -> Geometry:
        """``inner`` padded so that every pooled axis can be halved four times."""
        return self.inner.padded(self.before_kji, self.after_kji)

    @property
    def is_slice(self) -> bool:
        """Whether the fixed image is a single slice, so that the tensors are 2D."""
        return self.inner.is_slice

    @property
    def spacing_mm(self) -> tuple[float, ...]:
        """Voxel size along the axes of the tensors: k, j, i, or j, i for a single slice."""
        return tuple(self.inner.spacing_kji_mm[1 if self.is_slice else 0 :].tolist())

    @property
    def pooled_axes(self) -> tuple[bool, ...]:
        """Which axes of the tensors may be pooled."""
        return self.pooled_kji[1 if self.is_slice else 0 :]

    def pad(self, array_kji: np.ndarray) -> np.ndarray:
        """An array continued with its border values to ``geometry``.

        Args:
            array_kji: (K, J, I) on ``inner``.
        """
        return np.pad(array_kji, list(zip(self.before_kji, self.after_kji, strict=True)), mode="edge")


def working_grid(fixed: Geometry, finest_mm: float | None = None) -> WorkingGrid:
    """The working grid of a fixed image.

    Isotropic where the data is: voxels as fine as the finest in-plane axis, never finer than ``finest_mm``, and
    coarser in steps of 2 % until their number is within the budget (about 6 % fewer voxels of a volume at each step,
    so that little of the budget is left unused). Slices more than twice as thick as that stay as they are, and are
    not pooled across.

    The pooled axes are padded to multiples of 16: the coarsest level of the solver has voxels eight times as large, and
    the velocity half of its voxels. Axes of fewer than 16 voxels are left alone.

    Args:
        fixed: Grid of the fixed image.
        finest_mm: Smallest voxel allowed; None: as fine as the image and the voxel budget allow.

    Returns:
        A grid with the axes and the center of the fixed image, covering all of it; that of a single slice has K = 1.
    """
    fixed = fixed.with_slice_axis_first()
    spacing = fixed.spacing_kji_mm
    extent = spacing * np.array(fixed.shape_kji)
    single = fixed.is_slice
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
    # The odd voxel always lies on the same side of the patient, or a flipped file would be registered on another grid.
    turn = fixed.turn_like(USUAL_AXES)
    is_reversed = np.array(turn.reversed_kji)[np.argsort(turn.axes_kji)]
    before = np.where(is_reversed, missing - missing // 2, missing // 2)
    return WorkingGrid(
        fixed.resampled(new_spacing, shape),
        tuple(before.tolist()),
        tuple((missing - before).tolist()),
        tuple(pooled.tolist()),
    )
