"""Images of any size for a network that halves its grid several times, and its velocity back on the images' grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Padding:
    """How a grid is continued at both ends of every axis.

    Attributes:
        shape: Of the images.
        before: Voxels added at the beginning of each axis, multiples of 2, so that cells are not cut.
        after: Voxels added at the end of each axis.
        cell: Image voxels per velocity voxel.
    """

    shape: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    cell: int

    @classmethod
    def to_multiple(cls, shape: Sequence[int], multiple: int, cell: int) -> Padding:
        """As little as needed, about the same on both sides.

        Args:
            shape: Of the images.
            multiple: Sizes become multiples of this.
            cell: Image voxels per velocity voxel.
        """
        missing = [-size % multiple for size in shape]
        before = [m // 4 * 2 for m in missing]
        return cls(tuple(shape), tuple(before), tuple(m - b for m, b in zip(missing, before, strict=True)), cell)

    def padded(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, *shape) of any type, continued with its border values."""
        for dim, (size, before, after) in enumerate(zip(self.shape, self.before, self.after, strict=True), start=2):
            if before + after:
                index = torch.arange(-before, size + after, device=x.device).clamp(0, size - 1)
                x = x.index_select(dim, index)
        return x

    def velocity(self, velocity: torch.Tensor) -> torch.Tensor:
        """The part of a velocity that lies on the images' grid.

        Along an axis of odd size its cells are a little larger than the network's: linear interpolation there.

        Args:
            velocity: (B, D, *padded velocity shape).

        Returns:
            (B, D, *shape // cell) in voxels of that grid.
        """
        for axis, (size, before) in enumerate(zip(self.shape, self.before, strict=True)):
            start = before // self.cell
            if size % self.cell == 0:
                velocity = velocity.narrow(axis + 2, start, size // self.cell)
            else:
                velocity = self._stretched(velocity.narrow(axis + 2, start, size // self.cell + 1), axis)
        return velocity

    def _stretched(self, velocity: torch.Tensor, axis: int) -> torch.Tensor:
        size, dim = self.shape[axis], axis + 2
        cells = max(1, size // self.cell)
        width = size / (cells * self.cell)  # of a new cell, in old ones
        center = (torch.arange(cells, device=velocity.device, dtype=velocity.dtype) + 0.5) * width - 0.5
        center = center.clamp(0, velocity.shape[dim] - 1)
        left = center.floor().long().clamp(max=max(0, velocity.shape[dim] - 2))
        right = (left + 1).clamp(max=velocity.shape[dim] - 1)
        part = (center - left).view([-1 if d == dim else 1 for d in range(velocity.dim())])
        values = velocity.index_select(dim, left) * (1 - part) + velocity.index_select(dim, right) * part
        scale = torch.ones(velocity.shape[1], device=velocity.device, dtype=velocity.dtype)
        scale[axis] = 1 / width
        return values * scale.view(1, -1, *[1] * len(self.shape))
