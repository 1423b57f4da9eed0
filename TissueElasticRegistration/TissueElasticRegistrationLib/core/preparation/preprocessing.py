"""Everything sliders cannot change: both images on one working grid, normalized, and labeled with tissues."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
import torch

from ..data.geometry import USUAL_AXES, Geometry
from ..data.images import CT_WINDOW_HU, Image, ImagePair, Segmentation
from ..data.itk_bridge import geometry_of, resample_array, sitk_volume
from ..data.tissues import BACKGROUND, BACKGROUND_NAME, UNSEGMENTED_ID, UNSEGMENTED_NAME, Tissue
from .body import outside_body
from .working_grid import WorkingGrid, working_grid

CT_LOWEST_HU = -500.0
PERCENTILES = (0.5, 99.5)
MIN_OVERLAP = 0.01  # of the smaller image


@dataclass(frozen=True, eq=False)
class WorkingPair:
    """An image pair on its working grid.

    Tensors are (1, 1, *shape), *shape without the slice axis for single slices.

    Attributes:
        fixed: Fixed image, float32 on [0, 1].
        moving: Moving image, float32 on [0, 1], already aligned by the initial transform.
        fixed_mask: 1 where the fixed image has values, else 0.
        moving_mask: 1 where the moving image has values, else 0. Padding is no value (see `Image.padding_kji`).
        labels: int32, labels of ``tissues``.
        tissues: The tissues there are, background first.
        spacing_mm: Voxel size per axis of the tensors.
        pooled_axes: Per axis of the tensors, whether it may be averaged over (thick slices may not).
        geometry: The padded working grid in space.
    """

    fixed: torch.Tensor
    moving: torch.Tensor
    fixed_mask: torch.Tensor
    moving_mask: torch.Tensor
    labels: torch.Tensor
    tissues: tuple[Tissue, ...]
    spacing_mm: tuple[float, ...]
    pooled_axes: tuple[bool, ...]
    geometry: Geometry

    @property
    def dimension(self) -> int:
        """2 for single slices, 3 for volumes."""
        return len(self.spacing_mm)

    def volume(self, tensor: torch.Tensor) -> np.ndarray:
        """A tensor of this grid as an array (K, J, I).

        Args:
            tensor: (1, *shape) or (1, 1, *shape), on any device.
        """
        return tensor.detach().cpu().numpy().reshape(self.geometry.shape_kji)


@dataclass(frozen=True, eq=False)
class PreparedFixed:
    """What `prepare_pair` needs of the fixed image; no initial alignment changes it.

    Attributes:
        grid: The working grid.
        values: (K, J, I) float32 on ``grid.inner``, intensities of the image.
        labels: (K, J, I) int32 on ``grid.inner``.
        tissues: What the labels mean, background first.
    """

    grid: WorkingGrid
    values: np.ndarray
    labels: np.ndarray
    tissues: tuple[Tissue, ...]


def prepare_fixed(pair: ImagePair, finest_mm: float | None = None) -> PreparedFixed:
    """Resample and label the fixed image.

    Args:
        pair: The images; only the fixed one and its segmentation are looked at.
        finest_mm: Smallest voxel of the working grid; None: as fine as the image and the voxel budget allow.
    """
    grid = working_grid(pair.fixed.geometry, finest_mm)
    values = resampled_image(pair.fixed, grid.inner)
    return PreparedFixed(grid, values, *tissue_labels(pair.fixed_segmentation, values, grid.inner, is_ct(pair.fixed)))


def prepare_pair(
    pair: ImagePair, initial: sitk.Transform, finest_mm: float | None = None, fixed: PreparedFixed | None = None
) -> WorkingPair:
    """Resample, normalize and label an image pair.

    Args:
        pair: The images.
        initial: Linear or non-linear map from fixed LPS mm to moving LPS mm, applied first.
        finest_mm: Smallest voxel of the working grid; None: as fine as the image and the voxel budget allow.
        fixed: What `prepare_fixed` has made, which takes a while; None: it is made here, for ``finest_mm``.

    Raises:
        ValueError: The images do not overlap, or hardly, or one is a single slice and the other a volume.
    """
    if pair.fixed.geometry.is_slice != pair.moving.geometry.is_slice:
        raise ValueError(f"'{pair.fixed.name}' and '{pair.moving.name}' must both be volumes or both be single slices.")
    fixed = fixed or prepare_fixed(pair, finest_mm)
    grid = fixed.grid
    fixed_mask = field_of_view(pair.fixed, grid.geometry, _identity()).astype(np.float32)
    moving_mask = field_of_view(pair.moving, grid.geometry, initial).astype(np.float32)
    _check_overlap(pair, fixed_mask, moving_mask, grid.geometry)
    moving = resampled_image(pair.moving, grid.geometry, initial)
    windows = intensity_windows(pair.fixed, pair.moving)
    return WorkingPair(
        fixed=_tensor(normalized(grid.pad(fixed.values), windows[0])),
        moving=_tensor(normalized(moving, windows[1])),
        fixed_mask=_tensor(fixed_mask),
        moving_mask=_tensor(moving_mask),
        labels=_tensor(grid.pad(fixed.labels)),
        tissues=fixed.tissues,
        spacing_mm=grid.spacing_mm,
        pooled_axes=grid.pooled_axes,
        geometry=grid.geometry,
    )


def _check_overlap(pair: ImagePair, fixed_mask: np.ndarray, moving_mask: np.ndarray, grid: Geometry) -> None:
    """Raise ValueError if nothing, or nearly nothing of the smaller image, lies in both."""
    names = f"'{pair.moving.name}' {{}} '{pair.fixed.name}'"
    common = np.count_nonzero((fixed_mask > 0) & (moving_mask > 0))
    if common == 0:
        raise ValueError(f"{names.format('does not overlap with')} in space.")
    moving = pair.moving.geometry
    voxels_of_moving = np.prod(moving.shape_kji) * np.prod(moving.spacing_kji_mm / grid.spacing_kji_mm)
    part = common / min(np.count_nonzero(fixed_mask), voxels_of_moving)
    if part < MIN_OVERLAP:
        raise ValueError(
            f"{names.format('overlaps with')} in only {100 * part:.2g} % of the smaller one; at least "
            f"{100 * MIN_OVERLAP:g} % is needed."
        )


def intensity_windows(fixed: Image, moving: Image) -> tuple[tuple[float, float], tuple[float, float]]:
    """The intensities that become 0 and 1: one HU window for two CTs, percentiles of each image otherwise.

    Args:
        fixed: Fixed image.
        moving: Moving image.

    Returns:
        The window of the fixed and that of the moving image, (lowest, highest) each.
    """
    if is_ct(fixed) and is_ct(moving):
        return CT_WINDOW_HU, CT_WINDOW_HU
    return _percentile_window(fixed), _percentile_window(moving)


def is_ct(image: Image) -> bool:
    """Whether the values look like Hounsfield units: air far below zero, something above it."""
    low, high = image.bulk_range
    return bool(low <= CT_LOWEST_HU and high > -100)


def normalized(array: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Intensities clipped to a window and scaled to [0, 1].

    Args:
        array: Any shape.
        window: What becomes 0 and what becomes 1.

    Returns:
        float32 of the same shape.
    """
    low, high = window
    return np.clip((array - low) / (high - low), 0, 1).astype(np.float32)


def resampled_image(image: Image, geometry: Geometry, transform: sitk.Transform | None = None) -> np.ndarray:
    """An image on another grid: averaged over voxels that become one, then interpolated linearly.

    Args:
        image: The image to resample.
        geometry: The grid wanted.
        transform: From LPS mm of ``geometry`` to LPS mm of the image; None for identity.

    Returns:
        (K, J, I) float32; outside of the image and in its padding the lowest value that is none.
    """
    grid, lowest = image.geometry, image.measured().min()
    values = image.array_kji if image.padding_kji is None else np.where(image.padding_kji, lowest, image.array_kji)
    ratio = geometry.spacing_along(grid) / grid.spacing_kji_mm
    shrink = [int(max(1, min(np.floor(r + 1e-3), n))) for r, n in zip(ratio, grid.shape_kji, strict=True)]
    if max(shrink) > 1:
        # What is left over by the averaging is dropped at the same side of the patient, however the file is stored.
        turn = grid.turn_like(USUAL_AXES)
        values, grid, shrink = turn.applied_to(values), grid.turned(turn), [shrink[axis] for axis in turn.axes_kji]
        averaged = sitk.BinShrink(sitk.Cast(sitk_volume(values, grid), sitk.sitkFloat32), shrink[::-1])
        values, grid = sitk.GetArrayFromImage(averaged), geometry_of(averaged)
    return resample_array(
        values.astype(np.float32, copy=False), grid, transform or _identity(), geometry, float(lowest)
    )


def field_of_view(image: Image, target: Geometry, transform: sitk.Transform) -> np.ndarray:
    """Where a transform leads to voxels of an image that were measured.

    Args:
        image: The image to hit.
        target: The grid of the result.
        transform: From ``target`` to the image, LPS mm.

    Returns:
        (K, J, I) bool on ``target``: inside of the image and not in its padding.
    """
    padding = image.padding_kji
    measured = np.ones(image.geometry.shape_kji, np.uint8) if padding is None else (~padding).astype(np.uint8)
    return resample_array(measured, image.geometry, transform, target, 0, nearest=True).astype(bool)


def tissue_labels(
    segmentation: Segmentation, fixed: np.ndarray, geometry: Geometry, ct: bool
) -> tuple[np.ndarray, tuple[Tissue, ...]]:
    """The tissue of every voxel of a grid.

    Unsegmented voxels outside of the body stay background; those inside become the tissue "unsegmented", unless the
    user has named the background and so decided what it is.

    Args:
        segmentation: Of the fixed image, on any grid.
        fixed: (K, J, I) intensities of the fixed image on ``geometry``.
        geometry: The grid of the result.
        ct: Whether the fixed image is a CT (see `outside_body`).

    Returns:
        Labels (K, J, I) int32 on ``geometry`` and the tissues they stand for, background first.
    """
    labels = resample_array(
        segmentation.labels_kji.astype(np.int32), segmentation.geometry, _identity(), geometry, BACKGROUND, nearest=True
    )
    listed = [tissue for tissue in segmentation.tissues if tissue.label != BACKGROUND]
    named = [tissue for tissue in segmentation.tissues if tissue.label == BACKGROUND]
    background = labels == BACKGROUND
    if named or not background.any():
        return labels, (*named, *listed)
    tissues = [Tissue(BACKGROUND, BACKGROUND_NAME), *listed]
    unsegmented = background & ~outside_body(fixed, geometry, ct)
    if unsegmented.any():
        label = max(tissue.label for tissue in tissues) + 1
        labels[unsegmented] = label
        tissues.append(Tissue(label, UNSEGMENTED_NAME, UNSEGMENTED_ID))
    return labels, tuple(tissues)


def _percentile_window(image: Image) -> tuple[float, float]:
    values = image.measured()
    low, high = np.percentile(values, PERCENTILES)
    if high <= low:
        low, high = values.min(), values.max()
    if high <= low:
        raise ValueError(f"{image.name}: the image is constant apart from padding; there is nothing to register.")
    return float(low), float(high)


def _identity() -> sitk.Transform:
    return sitk.Transform(3, sitk.sitkIdentity)


def _tensor(array_kji: np.ndarray) -> torch.Tensor:
    array = array_kji[0] if array_kji.shape[0] == 1 else array_kji
    return torch.from_numpy(np.ascontiguousarray(array))[None, None]
