"""The moving image sampled at displaced positions, with the derivative a solver needs.

The derivative of linear interpolation jumps at voxel centers, and a solver that starts at zero displacement sits
exactly there: the one-sided value that `grid_sample` returns then biases it towards one end of every axis, and a
flipped image gets another result. At the start the central-difference gradient of the image is used instead, which
knows no direction; away from the voxel centers the exact derivative is the better one (about half the bone error
on thorax phantoms).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from .deformation import central_difference, sampling_grid

# Linear interpolation between a valid and an invalid voxel stays below this.
FULLY_VALID = 0.999


class MovingSampler:
    """Samples one moving image and its validity at displaced positions.

    Args:
        image: (1, 1, *shape) floating point.
        mask: (1, 1, *shape), 1 where the image is valid, 0 elsewhere.
    """

    def __init__(self, image: torch.Tensor, mask: torch.Tensor) -> None:
        self._image = image
        self._mask = None if bool(mask.min() > 0) else mask
        self._gradients: torch.Tensor | None = None

    def __call__(self, displacement: torch.Tensor, symmetric: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        """The image at x + u(x), border values continued outside.

        Args:
            displacement: (1, D, *shape) in voxels, channels k, j, i.
            symmetric: Derivative by central differences instead of the exact one, for displacements at or
                very near zero.

        Returns:
            The warped image, differentiable by the displacement, and its validity of 0 and 1, both (1, 1, *shape).
            Valid is what comes from inside the moving image and entirely from its valid voxels.
        """
        grid = sampling_grid(displacement)
        if symmetric:
            warped = _SymmetricSample.apply(grid, self._image, self._all_gradients())
        else:
            warped = _sample(self._image, grid)
        with torch.no_grad():
            valid = (grid.abs().amax(-1) <= 1).unsqueeze(1)
            if self._mask is not None:
                valid = valid & (_sample(self._mask, grid) > FULLY_VALID)
        return warped, valid.to(warped.dtype)

    def _all_gradients(self) -> torch.Tensor:
        """Derivative of the image by the normalized coordinates of `grid_sample`, channels in i, j, k order."""
        if self._gradients is None:
            shape = self._image.shape[2:]
            self._gradients = torch.cat(
                [central_difference(self._image, axis) * (shape[axis] / 2) for axis in reversed(range(len(shape)))], 1
            )
        return self._gradients


class _SymmetricSample(torch.autograd.Function):
    """Linear interpolation; its derivative is the central-difference gradient of the image, interpolated."""

    @staticmethod
    def forward(ctx, grid, image, gradients):
        ctx.save_for_backward(grid, gradients)
        return _sample(image, grid)

    @staticmethod
    def backward(ctx, grad_warped):
        grid, gradients = ctx.saved_tensors
        return (grad_warped * _sample(gradients, grid)).movedim(1, -1), None, None


def _sample(image: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    return F.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)
