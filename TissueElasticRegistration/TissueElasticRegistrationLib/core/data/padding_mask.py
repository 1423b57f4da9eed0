"""Padding: voxels that a scanner or a program has filled in because nothing was measured there.

Such as the corners outside of a CT's circular field of view, empty slices, and what is left over where a volume was
turned. A scan also has constant regions that are no padding: air that was clipped at -1024 HU, the 0 around a brain
without its skull. Only evidence that air cannot give counts, see `_is_padding`.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import SimpleITK as sitk

AIR_HU = (
    -1100.0,
    -900.0,
)  # of a CT; its noise is clipped or symmetric, so no larger region has a constant value outside
MIN_SHARE = 0.001  # of the voxels: less is chance
MIN_BACKGROUND = 0.1  # of the voxels near padding: dark ones, which prove that the image itself has a background
BACKGROUND_DISTANCE = 3  # voxels from padding: the soft edge of an organ is thinner
DARK_PART = 0.05  # of the range of intensities
MAX_CROSSING = 0.002  # of the chords: scanners bend the edges of their field of view a little
DECISION_VOXELS = 500_000
CHORDS = 300  # points between which chords are drawn


def padding_mask(array_kji: np.ndarray) -> np.ndarray | None:
    """Where an image is padding: regions of one value, or far below air, that contain a corner of the array.

    Args:
        array_kji: (K, J, I) finite intensities.

    Returns:
        (K, J, I) bool, None if there is none.
    """
    found = None
    every = [_spread(n, DECISION_VOXELS / array_kji.size) for n in array_kji.shape]
    thinned = array_kji[np.ix_(*every)]
    for value in np.unique([array_kji[corner] for corner in _corners(array_kji.shape)]):
        if _is_padding(value, _region(thinned, value), thinned):
            region = _region(array_kji, value)
            found = region if found is None else found | region
    return found


def holes(missing_kji: np.ndarray) -> int:
    """How many voxels of a mask are enclosed by others, that is, not connected to the border of the array.

    Args:
        missing_kji: (K, J, I) bool.
    """
    flat = [(0, 0) if n == 1 else (1, 1) for n in missing_kji.shape]
    framed = np.pad(missing_kji, flat, constant_values=True)
    return int(np.count_nonzero(framed & ~_connected(framed, [(0, 0, 0)])))


def _is_padding(value: np.generic, region: np.ndarray, array: np.ndarray) -> bool:
    """Whether a constant region was never measured.

    It was not if its value lies below air in CT; if it is negative and nothing else is (MR); or if what it leaves over
    is convex, as the box, the turned box and the cylinder of a field of view are, and either shows some background of
    its own, or is a CT whose air has another value. The outline of a body is none of these: it is not convex, or it
    lies where the constant begins.
    """
    rest = array[~region]
    if region.mean() < MIN_SHARE or rest.size == 0:
        return False
    if value < AIR_HU[0] or value < 0 <= rest.min():
        return True
    low, high = np.percentile(rest, (1, 99))
    if not _leaves_convex(region):
        return False
    if low <= AIR_HU[1] < value:
        return True
    dark = max(low, float(value) + DARK_PART * (high - low))
    return bool(value <= low and np.mean(array[_near(region)] <= dark) >= MIN_BACKGROUND)


def _near(region: np.ndarray) -> np.ndarray:
    """Voxels at ``BACKGROUND_DISTANCE`` from a region, or the farthest ones if all are closer."""
    for _ in range(BACKGROUND_DISTANCE + 1):
        grown = _dilated(region)
        ring, region = grown & ~region, grown
        if grown.all():
            break
    return ring


def _region(array: np.ndarray, value: np.generic) -> np.ndarray:
    """Voxels of one value connected to the corners that have it; below air all values are one (an edge may be soft)."""
    same = array < AIR_HU[0] if value < AIR_HU[0] else array == value
    return _connected(same, [corner for corner in _corners(array.shape) if same[corner]])


def _connected(mask: np.ndarray, seeds_kji: list[tuple[int, ...]]) -> np.ndarray:
    seeds_ijk = [tuple(int(index) for index in seed[::-1]) for seed in seeds_kji]
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    return sitk.GetArrayFromImage(sitk.ConnectedThreshold(image, seeds_ijk, 1, 1)).astype(bool)


def _leaves_convex(region: np.ndarray) -> bool:
    """Whether everything outside of a region is convex: chords between points of its rim do not cross the region.

    Only the middle of a chord is looked at, and the region's own surface does not count.
    """
    rim = np.argwhere(_dilated(region) & ~region)
    rim = rim[:: max(1, len(rim) // CHORDS)]
    middles = ((rim[:, None] + rim[None]) // 2).reshape(-1, 3)
    inner = ~_dilated(~region)
    return bool(inner[tuple(middles.T)].mean() <= MAX_CROSSING)


def _dilated(mask: np.ndarray) -> np.ndarray:
    """The mask and its face neighbors."""
    grown = mask.copy()
    for axis in range(mask.ndim):
        target, source = np.moveaxis(grown, axis, 0), np.moveaxis(mask, axis, 0)
        target[1:] |= source[:-1]
        target[:-1] |= source[1:]
    return grown


def _corners(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    return list(product(*[sorted({0, n - 1}) for n in shape]))


def _spread(length: int, share: float) -> np.ndarray:
    """Indices of about the cube root of a share of an axis, both ends among them."""
    step = max(1, int(np.ceil((1 / share) ** (1 / 3))))
    return np.unique([*range(0, length, step), length - 1])
