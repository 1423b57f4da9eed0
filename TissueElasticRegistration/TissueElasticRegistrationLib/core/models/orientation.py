"""The order and direction of array axes in which a network sees every image, and its answer turned back.

Grids are only permuted and flipped, never resampled: an oblique image is brought to the nearest anatomical axes.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch

from ..data.geometry import Geometry

_DIRECTIONS_RAS = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}
# Pictures as radiologists look at them, by the axis across the slices: rows downwards, then columns to the right.
_RADIOLOGICAL = {"R": "IP", "A": "IL", "S": "PL"}


@dataclass(frozen=True)
class AxisOrder:
    """How arrays are turned.

    Attributes:
        axes: For each axis of the turned array the axis it was.
        flipped: For each axis of the turned array whether it runs the other way.
    """

    axes: tuple[int, ...]
    flipped: tuple[bool, ...]

    def turned(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, *shape) of any values that have no direction."""
        x = x.permute(0, 1, *[axis + 2 for axis in self.axes])
        return x.flip(self._flipped_dims()).contiguous()

    def vectors_back(self, vectors: torch.Tensor) -> torch.Tensor:
        """Vectors of the turned grid as they were before turning.

        Args:
            vectors: (B, D, *shape), channels in the order of the turned axes.
        """
        sign = torch.tensor(
            [-1.0 if flip else 1.0 for flip in self.flipped], dtype=vectors.dtype, device=vectors.device
        )
        vectors = vectors.flip(self._flipped_dims()) * sign.view(1, -1, *[1] * len(self.axes))
        place = [self.axes.index(axis) for axis in range(len(self.axes))]
        return vectors[:, place].permute(0, 1, *[axis + 2 for axis in place]).contiguous()

    def _flipped_dims(self) -> list[int]:
        return [axis + 2 for axis, flip in enumerate(self.flipped) if flip]


def axis_order(geometry: Geometry, directions: str, dimension: int) -> AxisOrder:
    """How to turn the arrays of a grid so that their axes run in given directions.

    Args:
        geometry: The grid, (K, J, I).
        directions: Three letters such as "SPL" for volumes; "radiological" for slices, how their plane is looked at;
            "any": nothing is turned.
        dimension: 3 for the whole array, 2 for its slices (J, I).
    """
    axes = (geometry.ijk_to_ras[:3, :3] / geometry.spacing_ijk_mm).T[::-1]  # unit vectors of k, j, i
    if directions == "any":
        return AxisOrder(tuple(range(dimension)), (False,) * dimension)
    if directions == "radiological":
        across = "RAS"[_assignment(axes, "RAS").index(0)]
        return _order(axes[1:], _RADIOLOGICAL[across])
    return _order(axes, directions)


def _order(axes: np.ndarray, directions: str) -> AxisOrder:
    found = _assignment(axes, directions)
    wanted = np.array([_DIRECTIONS_RAS[letter] for letter in directions])
    return AxisOrder(
        found, tuple(bool(axes[axis] @ direction < 0) for axis, direction in zip(found, wanted, strict=True))
    )


def _assignment(axes: np.ndarray, directions: str) -> tuple[int, ...]:
    """For each direction its own axis, such that all together are as parallel as possible."""
    parallel = np.abs(np.array([_DIRECTIONS_RAS[letter] for letter in directions]) @ axes.T)
    return max(
        itertools.permutations(range(len(axes))),
        key=lambda order: sum(parallel[row, axis] for row, axis in enumerate(order)),
    )
