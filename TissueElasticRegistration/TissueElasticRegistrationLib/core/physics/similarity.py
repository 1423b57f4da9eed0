"""Local normalized cross-correlation (LNCC), squared, inside a validity mask.

Images are expected on [0, 1]. ``EPSILON`` then keeps windows that hold only noise (air, blank padding) at a correlation
near 0 instead of letting their noise be registered, and constant windows at 0 instead of NaN.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

EPSILON = 3e-6
WINDOW = 9
# A window that lies mostly outside of the mask has too few voxels for a correlation.
MIN_WINDOW_SHARE = 0.25


def local_ncc(
    fixed: torch.Tensor, warped: torch.Tensor, mask: torch.Tensor | None = None, window: int | tuple[int, ...] = WINDOW
) -> tuple[torch.Tensor, torch.Tensor]:
    """Squared local correlation of two images and the region in which it is defined.

    Computed in float32 whatever the input, as half precision cancels catastrophically in E[x²] - E[x]².

    Args:
        fixed: (B, 1, *shape) float32 on [0, 1], 2D or 3D; receives no gradient.
        warped: (B, 1, *shape) float32 on [0, 1]; the only argument that receives a gradient.
        mask: (B, 1, *shape), 1 where both images are valid, 0 elsewhere (outside of the moving image); None: all valid.
        window: Odd number of voxels per axis (k, j, i order), or one number for all axes.

    Returns:
        The correlation, (B, 1, *shape) in [0, 1], 0 outside of the region; and the region, (B, 1, *shape) of 0 and 1.

    Raises:
        ValueError: The images differ in shape, or a window is not odd and positive for every axis.
    """
    if fixed.shape != warped.shape:
        raise ValueError(f"The images to compare have different shapes: {tuple(fixed.shape)}, {tuple(warped.shape)}.")
    windows = _windows(window, fixed.dim() - 2)
    mask = torch.ones_like(fixed, dtype=torch.float32) if mask is None else mask.float()
    correlation = _LocalNCC.apply(fixed.float(), warped.float(), mask, windows)
    with torch.no_grad():
        share = box_sum(mask, windows) / box_sum(torch.ones_like(mask), windows)
        region = mask * (share >= MIN_WINDOW_SHARE)
    return correlation * region, region


def masked_mean(values: torch.Tensor, region: torch.Tensor) -> torch.Tensor:
    """Mean over a region; 0 for an empty region.

    Args:
        values: (B, 1, *shape), already 0 outside of the region.
        region: (B, 1, *shape) of 0 and 1.

    Returns:
        A scalar tensor.
    """
    return values.sum() / region.sum().clamp_min(1.0)


def box_sum(x: torch.Tensor, windows: tuple[int, ...]) -> torch.Tensor:
    """Sum over a centered box, zeros outside.

    Running sums by doubling (1, 2, 4, 8 ... neighbors): a few vectorized additions per axis, without the rounding drift
    of a cumulative sum.

    Args:
        x: (B, C, *shape).
        windows: Voxels of the box per spatial axis, odd.

    Returns:
        (B, C, *shape).
    """
    for axis, width in enumerate(windows, start=2):
        if width > 1:
            x = _running_sum(x, width, axis)
    return x


def _running_sum(x: torch.Tensor, width: int, axis: int) -> torch.Tensor:
    """Sum over ``width`` neighbors along one axis, centered, zeros outside."""
    length = x.shape[axis]
    radius = width // 2
    padding = [0, 0] * (x.dim() - 1 - axis) + [radius, radius]
    block, block_width = F.pad(x, padding), 1
    total, covered = None, 0
    while True:
        if width & block_width:
            part = block.narrow(axis, covered, length)
            total = part if total is None else total + part
            covered += block_width
        if covered == width:
            return total
        size = block.shape[axis] - block_width
        block = block.narrow(axis, 0, size) + block.narrow(axis, block_width, size)
        block_width *= 2


class _LocalNCC(torch.autograd.Function):
    """Forward and analytic backward of c² / (v_f v_w + ε): three box sums back instead of a taped graph of ten."""

    @staticmethod
    def forward(ctx, fixed, warped, mask, windows):
        count = box_sum(mask, windows).clamp_min(1.0)
        # Shifted towards zero mean first: the variances are then differences of small numbers.
        shift = 0.5
        f, w = (fixed - shift) * mask, (warped - shift) * mask
        sums = box_sum(torch.cat([f, w, f * f, w * w, f * w], 1), windows) / count
        mean_f, mean_w, ff, ww, fw = sums.split(1, 1)
        variance_f = (ff - mean_f * mean_f).clamp_min_(0)
        variance_w = (ww - mean_w * mean_w).clamp_min_(0)
        covariance = fw - mean_f * mean_w
        scale = 1 / (variance_f * variance_w + EPSILON)
        ctx.save_for_backward(f, w, mask, count, mean_f, mean_w, variance_f, covariance, scale)
        ctx.windows = windows
        return covariance * covariance * scale

    @staticmethod
    def backward(ctx, grad):
        f, w, mask, count, mean_f, mean_w, variance_f, covariance, scale = ctx.saved_tensors
        by_covariance = 2 * grad * covariance * scale / count
        by_variance = -grad * (covariance * scale) ** 2 * variance_f / count
        parts = torch.cat([by_covariance, by_variance, by_covariance * mean_f + 2 * by_variance * mean_w], 1)
        a, b, c = box_sum(parts, ctx.windows).split(1, 1)
        return None, mask * (f * a + 2 * w * b - c), None, None


def _windows(window: int | tuple[int, ...], dimension: int) -> tuple[int, ...]:
    """The window per axis; ValueError unless it is one odd positive number for each of ``dimension`` axes."""
    windows = (window,) * dimension if isinstance(window, int) else tuple(window)
    if len(windows) != dimension or any(width < 1 or width % 2 == 0 for width in windows):
        raise ValueError(f"The window must be {dimension} odd positive numbers, not {windows}.")
    return windows
