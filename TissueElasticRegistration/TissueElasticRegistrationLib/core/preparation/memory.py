"""What a registration needs of the computer's memory, said before it begins."""

from __future__ import annotations

import numpy as np

from ..data.images import ImagePair
from .working_grid import working_grid

# Measured on the CPU with the direct solver (Testing/benchmarks/large_pair.py): PyTorch and SimpleITK themselves, what
# each voxel of the working grid needs for images, masks, levels, the unknown and its derivatives, and a copy of the
# larger image in single precision.
PROGRAM_GB, WORKING_VOXEL_BYTES, COPY_BYTES = 0.5, 850, 4
WORTH_SAYING_GB = 2.0


def needed_memory_gb(pair: ImagePair, finest_mm: float | None = None) -> float:
    """About how many GB the program will use at most.

    Args:
        pair: The images and segmentations, which are in memory already and count.
        finest_mm: As in `working_grid`.
    """
    arrays = [pair.fixed.array_kji, pair.moving.array_kji, pair.fixed_segmentation.labels_kji]
    if pair.moving_segmentation is not None:
        arrays.append(pair.moving_segmentation.labels_kji)
    voxels = int(np.prod(working_grid(pair.fixed.geometry, finest_mm).geometry.shape_kji, dtype=np.int64))
    copy = COPY_BYTES * max(array.size for array in arrays)
    return PROGRAM_GB + (sum(array.nbytes for array in arrays) + copy + WORKING_VOXEL_BYTES * voxels) / 1e9


def memory_text(pair: ImagePair, finest_mm: float | None = None) -> str:
    """What to say about it; "" where it is little.

    Args:
        pair: See `needed_memory_gb`.
        finest_mm: As in `working_grid`.
    """
    needed = needed_memory_gb(pair, finest_mm)
    return f"about {needed:.1f} GB of memory needed" if needed > WORTH_SAYING_GB else ""
