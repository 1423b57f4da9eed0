"""What the images themselves say about a registered displacement: how precisely they fix it, and where they still pull.

A registration's own regularisation fills places without texture with the strain of a uniform body, and holds all others
back a little. Weighted by the images' precision, without texture nothing is claimed, and their pull takes out, to
first order, what the regularisation has held back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..deformation import central_difference, smoothed
from ..sampling import MovingSampler
from ..solvers.pyramid import Pyramid

HUBER = 2.5  # residuals beyond this many standard deviations count less
MAD_TO_SD = 1.4826
SMALLEST_NOISE = 1e-4  # of the intensity range; images without any noise are drawn


@dataclass(frozen=True, eq=False)
class ImagePull:
    """Per voxel: ``precision`` (D, D, *shape) in 1/mm², ``pull`` (D, *shape) in 1/mm, and where both images are valid.

    Near the displacement u the images' log likelihood of u + d is pull·d - 1/2 d·precision·d, summed over the voxels.
    """

    precision: np.ndarray
    pull: np.ndarray
    valid: np.ndarray


@torch.no_grad()
def image_pull(pyramid: Pyramid, displacement: torch.Tensor) -> ImagePull:
    """For a displacement (1, D, *working shape) in voxels of the working grid, of images that show the same contrast.

    The noise is taken from the images' difference, after the best common gain and offset.
    """
    pair, level = pyramid.pair, pyramid.level(1)
    displacement = displacement.to(level.fixed.device)
    warped, valid = level.sampler(displacement)
    valid = (valid * level.fixed_mask)[0, 0] > 0
    body = valid & (pair.labels[0, 0].to(valid.device) != 0)
    smooth = smoothed(smoothed(pair.moving.to(level.fixed.device)))
    always = torch.ones_like(smooth)
    slopes = torch.cat([MovingSampler(central_difference(smooth, axis) / size, always)(displacement)[0]
                        for axis, size in enumerate(pair.spacing_mm)], dim=1)[0].double()
    fixed, warped = level.fixed[0, 0].double(), warped[0, 0].double()
    gain, offset = _fit(warped[body], fixed[body])
    residual = fixed - gain * warped - offset
    slopes = gain * slopes
    noise = max(MAD_TO_SD * float(residual[body].abs().median()), SMALLEST_NOISE) if bool(body.any()) else 1.0
    weight = valid * torch.clamp(HUBER * noise / residual.abs().clamp(min=1e-12), max=1.0) / noise**2
    return ImagePull((weight * slopes[:, None] * slopes[None]).cpu().numpy(),
                     (weight * residual * slopes).cpu().numpy(), valid.cpu().numpy())


def _fit(x: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
    """Gain and offset of the line y = gain x + offset; gain 1 where x is constant."""
    if x.numel() < 2 or float(x.var()) == 0:
        return 1.0, 0.0
    gain = float(((x - x.mean()) * (y - y.mean())).mean() / x.var(unbiased=False))
    return gain, float(y.mean()) - gain * float(x.mean())
