"""Random shapes with random contrast: they make a network that knows no particular organ and no particular scanner.

After the idea of SynthMorph (Hoffmann et al., IEEE TMI 2022): labels are the largest of several smooth random fields,
every label gets a random intensity, and the other image shows the same labels after a random smooth deformation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from TissueElasticRegistrationLib.core.physics.deformation import integrate, warp

from .pair import TrainingPair

MIN_LABELS, MAX_LABELS = 3, 12
SPECKLE = 0.08  # of the intensity range: structure inside of a label, the same in both images
INTEGRATION_STEPS = 6


@dataclass(frozen=True)
class ShapeSettings:
    """Sizes as a share of the smaller side of the image, and how often contrasts differ.

    Attributes:
        coarsest: Largest size of a shape.
        finest: Smallest size of a shape.
        largest_motion: Of the displacement.
        other_contrast: Share of the pairs whose images have two unrelated contrasts.
    """

    coarsest: float = 0.4
    finest: float = 0.06
    largest_motion: float = 0.1
    other_contrast: float = 0.15


def shape_pair(
    generator: np.random.Generator, shape: Sequence[int], settings: ShapeSettings | None = None
) -> TrainingPair:
    """One pair of isotropic voxels with known displacement; the same generator state gives the same pair.

    Args:
        generator: Draws the pair.
        shape: Voxels per axis.
        settings: None for the defaults.
    """
    settings = settings or ShapeSettings()
    torch_generator = torch.Generator().manual_seed(int(generator.integers(2**62)))
    shape, side = tuple(shape), min(shape)

    def field(size: float, channels: int = 1) -> torch.Tensor:
        return smooth_field(torch_generator, channels, shape, size * side)

    count = int(generator.integers(MIN_LABELS, MAX_LABELS + 1))
    size = settings.finest * (settings.coarsest / settings.finest) ** generator.random()
    moving_labels = (field(size, count) + 0.3 * field(settings.finest, count)).argmax(1, keepdim=True)
    velocity = torch.cat([field(settings.coarsest * generator.uniform(0.5, 1)) for _ in shape], 1)
    velocity *= settings.largest_motion * side * generator.random() / velocity.abs().max()
    displacement = integrate(velocity, INTEGRATION_STEPS)

    anatomy = _paint(generator, moving_labels, count) + SPECKLE * field(settings.finest / 2) * generator.random()
    other = anatomy
    if generator.random() < settings.other_contrast:
        other = _paint(generator, moving_labels, count) + SPECKLE * field(settings.finest / 2) * generator.random()
    fixed = warp(anatomy, displacement)
    fixed_labels = warp(moving_labels.float(), displacement, mode="nearest")
    return TrainingPair(
        fixed=_scan(generator, torch_generator, fixed),
        moving=_scan(generator, torch_generator, other),
        fixed_labels=_numpy(fixed_labels).astype(np.uint8),
        moving_labels=_numpy(moving_labels).astype(np.uint8),
        spacing_mm=(1.0,) * len(shape),
        displacement=displacement[0].numpy(),
    )


def smooth_field(generator: torch.Generator, channels: int, shape: Sequence[int], size: float) -> torch.Tensor:
    """A random field of about unit variance.

    Args:
        generator: Draws it.
        channels: How many fields.
        shape: Voxels per axis.
        size: Number of voxels over which it is smooth.

    Returns:
        (1, channels, *shape).
    """
    coarse = [max(2, round(n / max(size, 1.0)) + 1) for n in shape]
    noise = torch.randn(1, channels, *coarse, generator=generator)
    mode = "bicubic" if len(shape) == 2 else "trilinear"
    return F.interpolate(noise, size=tuple(shape), mode=mode, align_corners=True)


def _paint(generator: np.random.Generator, labels: torch.Tensor, count: int) -> torch.Tensor:
    """Every label in one random gray, (1, 1, *shape) on [0, 1]."""
    grays = torch.from_numpy(generator.permutation(np.linspace(0, 1, count) ** generator.uniform(0.6, 1.7)))
    return grays.float()[labels]


def _scan(generator: np.random.Generator, torch_generator: torch.Generator, clean: torch.Tensor) -> np.ndarray:
    """What a scanner adds: bias, noise; scaled to [0, 1]."""
    bias = smooth_field(torch_generator, 1, clean.shape[2:], min(clean.shape[2:]) / 2)
    image = clean * (1 + 0.05 * bias)
    image = image + generator.uniform(0.002, 0.03) * torch.randn(clean.shape, generator=torch_generator)
    low, high = torch.quantile(image.flatten(), torch.tensor([0.005, 0.995]))
    return _numpy(((image - low) / (high - low)).clamp(0, 1))


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor[0, 0].numpy()
