"""Exact distances between surfaces of voxels, fast where the surfaces lie close to each other as they usually do.

ITK's distance map visits every voxel of the volume, although only the values at the surface voxels are wanted. Here
each of these looks for its nearest partner row by row, nearest rows first; what is still open after a bounded amount of
work (surfaces far apart) is read from ITK's map after all.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import SimpleITK as sitk

WORK_LIMIT = 80_000_000  # looked-up voxels, about a second
NO_SURFACE = 2**14  # voxels along a row; its square times any voxel size exceeds every real distance


def surface(mask_kji: np.ndarray) -> np.ndarray:
    """The surface of a mask: its voxels that have a face neighbor within the array outside of it.

    Args:
        mask_kji: (K, J, I) bool.

    Returns:
        (K, J, I) bool.
    """
    contour = sitk.LabelContour(sitk.GetImageFromArray(mask_kji.astype(np.uint8)), fullyConnected=False)
    return sitk.GetArrayFromImage(contour).astype(bool)


def nearest_surface_mm(from_kji: np.ndarray, to_kji: np.ndarray, spacing_kji_mm: np.ndarray) -> np.ndarray:
    """Distance of every voxel of one mask to the nearest voxel of another.

    Args:
        from_kji: (K, J, I) bool, N voxels of which are set.
        to_kji: (K, J, I) bool, not empty.
        spacing_kji_mm: Voxel sizes along k, j, i.

    Returns:
        (N,) in mm, in the order of `numpy.nonzero`.
    """
    points_kji = np.stack(np.nonzero(from_kji)).astype(np.int32)
    squared_mm2, is_open = _search_rows(points_kji, to_kji, np.asarray(spacing_kji_mm, np.float32))
    distances_mm = np.sqrt(squared_mm2)
    if is_open.any():
        distances_mm[is_open] = _distance_map_mm(to_kji, spacing_kji_mm)[tuple(points_kji[:, is_open])]
    return distances_mm


def _search_rows(
    points_kji: np.ndarray, to_kji: np.ndarray, spacing_kji_mm: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances in mm² from points (3, N) to the nearest voxel of ``to_kji``; which of them are not final yet.

    Within a row the distance is known beforehand, so only rows (k, j) are searched, in the order of their distance. A
    point is done when no further row can be nearer than what it has found.
    """
    rows_k, rows_j, length = to_kji.shape
    no_row = np.full((1, length), NO_SURFACE, np.int16)
    along_row = np.vstack([_voxels_along_row(to_kji).reshape(-1, length), no_row])
    along_row_mm2 = (np.arange(NO_SURFACE + 1, dtype=np.float32) * spacing_kji_mm[2]) ** 2
    best_mm2 = np.full(points_kji.shape[1], np.inf, np.float32)
    searching = np.arange(points_kji.shape[1])
    k, j, i = points_kji
    work = 0
    for row_mm2, offset_k, offset_j in _row_offsets(rows_k, rows_j, spacing_kji_mm):
        is_open = best_mm2[searching] > row_mm2
        if np.count_nonzero(is_open) < 0.8 * is_open.size:  # leaving out a few points is dearer than keeping them
            searching = searching[is_open]
            k, j, i = k[is_open], j[is_open], i[is_open]
        work += searching.size
        if searching.size == 0 or work > WORK_LIMIT:
            return best_mm2, best_mm2 > row_mm2
        row_k, row_j = k + offset_k, j + offset_j
        outside = (row_k < 0) | (row_k >= rows_k) | (row_j < 0) | (row_j >= rows_j)
        row = np.where(outside, rows_k * rows_j, row_k * rows_j + row_j)
        best_mm2[searching] = np.minimum(best_mm2[searching], along_row_mm2[along_row[row, i]] + row_mm2)
    return best_mm2, np.zeros(best_mm2.size, bool)


def _voxels_along_row(to_kji: np.ndarray) -> np.ndarray:
    """Voxels (int16) from each voxel to the nearest one of the mask in its row, ``NO_SURFACE`` if the row has none."""
    index = np.arange(to_kji.shape[2], dtype=np.int16)
    left = np.maximum.accumulate(np.where(to_kji, index, np.int16(-NO_SURFACE)), axis=2)
    right = np.minimum.accumulate(np.where(to_kji, index, np.int16(NO_SURFACE))[..., ::-1], axis=2)[..., ::-1]
    return np.minimum(np.minimum(index - left, right - index), np.int16(NO_SURFACE))


def _row_offsets(rows_k: int, rows_j: int, spacing_kji_mm: np.ndarray) -> Iterator[tuple[np.float32, int, int]]:
    """Squared distance in mm² and offset (k, j) of every row that can be reached, nearest first."""
    offset_k, offset_j = np.meshgrid(np.arange(1 - rows_k, rows_k), np.arange(1 - rows_j, rows_j), indexing="ij")
    row_mm2 = ((offset_k * spacing_kji_mm[0]) ** 2 + (offset_j * spacing_kji_mm[1]) ** 2).ravel().astype(np.float32)
    order = np.argsort(row_mm2, kind="stable")
    yield from zip(row_mm2[order], offset_k.ravel()[order].tolist(), offset_j.ravel()[order].tolist(), strict=True)


def _distance_map_mm(mask_kji: np.ndarray, spacing_kji_mm: np.ndarray) -> np.ndarray:
    """Distance in mm of every voxel to the nearest voxel of a surface (K, J, I)."""
    image = sitk.GetImageFromArray(mask_kji.astype(np.uint8))
    image.SetSpacing(np.asarray(spacing_kji_mm, float)[::-1].tolist())
    distance_map = sitk.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True)
    return np.abs(sitk.GetArrayFromImage(distance_map))
