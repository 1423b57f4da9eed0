"""Score and Fisher information of a registered displacement: what the images alone determine, and how precisely.

A registration's own regularization fills regions without texture with the strain of a uniform body, and reduces all
other deformation a little. Weighted by the Fisher information, regions without texture count nothing, and the score
restores, to first order, what the regularization has suppressed.

Scanners shade: the same tissue is brighter here than there, and differently in the other image. In tissue of little
texture that would outweigh the texture, so only differences from the local mean count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..physics.deformation import average_pooled, central_difference, smoothed
from ..physics.sampling import MovingSampler
from ..preparation.pyramid import Pyramid

HUBER_SD = 2.5  # residuals beyond this many standard deviations count less
MAD_TO_SD = 1.4826
MIN_NOISE = 1e-4  # of the intensity range; images without any noise are synthetic
SHADING_VOXELS = 9  # width of the window of the local mean


@dataclass(frozen=True, eq=False)
class ImageInformation:
    """Score and Fisher information of a displacement u, per voxel.

    The log likelihood of u + d is score·d - 1/2 d·fisher_information·d, summed over the voxels, for small d.

    fisher_information: (D, D, *shape) in 1/mm². score: (D, *shape) in 1/mm. valid: (*shape), where both images are
    valid. correlation: of the fixed and the warped image in the body, 0 if there is none.
    """

    fisher_information: np.ndarray
    score: np.ndarray
    valid: np.ndarray
    correlation: float = 1.0


@torch.no_grad()
def image_information(pyramid: Pyramid, displacement: np.ndarray) -> ImageInformation:
    """Score and Fisher information of a displacement, for images that show the same contrast.

    The noise is taken from the images' difference, after the best common gain and without shading.

    Args:
        pyramid: The prepared images.
        displacement: (D, *working shape) in voxels of the working grid, fixed to moving.

    Returns:
        Both, on the working grid.
    """
    pair, level = pyramid.pair, pyramid.level(1)
    placed = torch.from_numpy(displacement)[None].to(level.fixed)
    warped, valid = level.sampler(placed)
    valid = (valid * level.fixed_mask)[0, 0] > 0
    body = valid & (pair.labels[0, 0].to(valid.device) != 0)
    smooth = smoothed(smoothed(pair.moving.to(level.fixed.device)))
    always = torch.ones_like(smooth)
    slopes = torch.cat(
        [
            MovingSampler(central_difference(smooth, axis) / size, always)(placed)[0]
            for axis, size in enumerate(pair.spacing_mm)
        ],
        dim=1,
    )[0].double()
    fixed, warped = level.fixed[0, 0].double(), warped[0, 0].double()
    gain, offset, correlation = _fit(warped[body], fixed[body])
    residual, slopes = fixed - gain * warped - offset, gain * slopes
    outliers = _huber(residual, _noise(residual, body)) * body
    residual, slopes = residual - _local_mean(residual[None], outliers)[0], slopes - _local_mean(slopes, outliers)
    noise = _noise(residual, body)
    weight = body * _huber(residual, noise) / noise**2
    return ImageInformation(
        (weight * slopes[:, None] * slopes[None]).cpu().numpy(),
        (weight * residual * slopes).cpu().numpy(),
        valid.cpu().numpy(),
        correlation,
    )


def _fit(x: torch.Tensor, y: torch.Tensor) -> tuple[float, float, float]:
    """Gain and offset of the line y = gain x + offset, and the correlation; 1, their difference and 0 for constants."""
    if x.numel() < 2 or float(x.var()) == 0 or float(y.var()) == 0:
        return 1.0, 0.0, 0.0
    covariance = float(((x - x.mean()) * (y - y.mean())).mean())
    gain = covariance / float(x.var(unbiased=False))
    return (
        gain,
        float(y.mean()) - gain * float(x.mean()),
        covariance / float(x.std(unbiased=False) * y.std(unbiased=False)),
    )


def _noise(residual: torch.Tensor, body: torch.Tensor) -> float:
    return max(MAD_TO_SD * float(residual[body].abs().median()), MIN_NOISE) if bool(body.any()) else 1.0


def _huber(residual: torch.Tensor, noise: float) -> torch.Tensor:
    return torch.clamp(HUBER_SD * noise / residual.abs().clamp(min=1e-12), max=1.0)


def _local_mean(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Weighted means of (C, *shape) over a window around every voxel."""
    sums = torch.cat([weight[None] * values, weight[None]])[None]
    for axis in range(weight.dim()):  # one axis after the other: in 3D a tenth of the work
        window, padding = [1] * weight.dim(), [0] * weight.dim()
        window[axis], padding[axis] = SHADING_VOXELS, SHADING_VOXELS // 2
        sums = average_pooled(sums, window, stride=1, padding=padding)
    return sums[0, :-1] / sums[0, -1].clamp(min=1e-6)
