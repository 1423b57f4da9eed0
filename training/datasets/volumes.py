"""Files as upright volumes of equal voxels: array axes lead to superior, posterior and left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from TissueElasticRegistrationLib.core.files.image_files import read_volume

# The values of TotalSegmentator's multi-label files (version 2) that make up the classes of the paper.
TOTALSEGMENTATOR = {"lung": range(10, 15), "bone": (*range(26, 51), *range(92, 117)), "liver": (5,)}
# Its folders of one mask per structure, in any version: how the names of the files begin.
MASK_NAMES = {"lung": ("lung_",), "bone": ("vertebrae_", "rib_", "sternum"), "liver": ("liver",)}


def upright(path: str | Path) -> sitk.Image:
    """A volume with its axes permuted and flipped to the patient's (LPS); nothing is resampled."""
    return sitk.DICOMOrient(read_volume(path), "LPS")


def resampled(volume: sitk.Image, spacing_mm: Iterable[float], nearest: bool = False) -> sitk.Image:
    """A volume with other voxels over the same extent; an average where they become larger.

    Args:
        volume: 3D.
        spacing_mm: Of the new voxels, in i, j, k order.
        nearest: Nearest neighbor instead of linear interpolation.
    """
    spacing_mm = np.array(list(spacing_mm), float)
    old_mm, size = np.array(volume.GetSpacing()), np.array(volume.GetSize())
    extent_mm = old_mm * size
    new_size = np.maximum(1, np.rint(extent_mm / spacing_mm)).astype(int)
    if not nearest:
        widths_mm = np.where(spacing_mm > 1.2 * old_mm, 0.4 * spacing_mm, 0)
        if widths_mm.any():
            volume = sitk.DiscreteGaussian(sitk.Cast(volume, sitk.sitkFloat32), np.maximum(widths_mm, 1e-3) ** 2)
    direction = np.array(volume.GetDirection()).reshape(3, 3)
    shift_mm = direction @ (0.5 * extent_mm - 0.5 * old_mm - (0.5 * new_size - 0.5) * spacing_mm)
    values = sitk.GetArrayViewFromImage(volume)
    return sitk.Resample(
        volume,
        new_size.tolist(),
        sitk.Transform(),
        sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear,
        (np.array(volume.GetOrigin()) + shift_mm).tolist(),
        spacing_mm.tolist(),
        volume.GetDirection(),
        float(values.min()),
        volume.GetPixelID(),
    )


def merged_labels(labels: np.ndarray, groups: Mapping[str, Iterable[int]]) -> np.ndarray:
    """Groups of label values as one label each.

    Args:
        labels: Any shape.
        groups: Name -> values.

    Returns:
        uint8: 1, 2 ... for the groups in their order, 0 for all other values.
    """
    merged = np.zeros(labels.shape, np.uint8)
    for number, values in enumerate(groups.values(), start=1):
        merged[np.isin(labels, list(values))] = number
    return merged


def labels_of_masks(folder: Path, names: Mapping[str, tuple[str, ...]] = MASK_NAMES) -> sitk.Image:
    """TotalSegmentator's folder of masks as one label volume, upright.

    Args:
        folder: Where the masks are.
        names: Class -> how the names of its files begin.

    Returns:
        Labels 1, 2 ... in the order of ``names``.

    Raises:
        ValueError: No file in the folder begins with one of the names.
    """
    merged = None
    for number, beginnings in enumerate(names.values(), start=1):
        for path in sorted(folder.glob("*.nii*")):
            if path.name.startswith(beginnings):
                mask = sitk.Cast(upright(path) > 0, sitk.sitkUInt8)
                mask = mask * number
                merged = mask if merged is None else sitk.Maximum(merged, mask)
    if merged is None:
        raise ValueError(f"{folder}: no masks of {', '.join(names)}.")
    return merged


def normalized_by_range(array: np.ndarray) -> np.ndarray:
    """Scaled so that the smallest value is 0 and the largest 1, float32."""
    low, high = float(array.min()), float(array.max())
    return ((array - low) / max(high - low, 1e-6)).astype(np.float32)
