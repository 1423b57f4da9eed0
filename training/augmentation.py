"""Change a training pair so that a network depends neither on the scanner nor on how the patient lay in it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F

from .datasets.pair import TrainingPair

KNOTS = 8  # of a random gray curve
CURVE_RESOLUTION = 256


@dataclass(frozen=True)
class AugmentationSettings:
    """Shares of the pairs that are changed in a way, and by how much.

    Attributes:
        flips: Chance that an axis is flipped.
        transposes: Share of the pairs whose axes are exchanged, if all are equally long and of equal voxels.
        swaps: Share of the pairs whose fixed and moving image are exchanged.
        inversions: Share of the pairs in which dark and bright are exchanged.
        gammas: Share of the pairs whose intensities are raised to a power.
        gamma: Largest exponent, its inverse the smallest.
        curves: Share of the pairs whose intensities go through a random curve.
        unlike: Share of the pairs whose fixed image alone is inverted.
        noises: Share of the pairs with noise.
        noise: Largest standard deviation of it; intensities lie on [0, 1].
        views: Share of the pairs that are magnified, turned and shifted.
        zoom: Largest magnification, its inverse the smallest, which also stands for other voxel sizes.
        turn: Largest angle in degrees.
    """

    flips: float = 0.5
    transposes: float = 0.3
    swaps: float = 0.5
    inversions: float = 0.2
    gammas: float = 0.4
    gamma: float = 2.5
    curves: float = 0.1
    unlike: float = 0.05
    noises: float = 0.3
    noise: float = 0.03
    views: float = 0.3
    zoom: float = 1.5
    turn: float = 20.0


NO_AUGMENTATION = AugmentationSettings(
    flips=0, transposes=0, swaps=0, inversions=0, gammas=0, curves=0, unlike=0, noises=0, views=0
)


def augmented(pair: TrainingPair, generator: np.random.Generator, settings: AugmentationSettings) -> TrainingPair:
    """A changed copy of a pair. The true displacement is dropped: training does not look at it.

    Args:
        pair: The pair to change.
        generator: Draws what is changed.
        settings: How often and by how much.
    """
    pair = replace(pair, displacement=None)
    if pair.moving_labels is not None and generator.random() < settings.swaps:
        pair = pair.swapped()
    pair = _flipped(pair, generator, settings)
    if generator.random() < settings.views:
        pair = _viewed(pair, generator, settings)
    return _recolored(pair, generator, settings)


def _flipped(pair: TrainingPair, generator: np.random.Generator, settings: AugmentationSettings) -> TrainingPair:
    axes = [axis for axis in range(len(pair.shape)) if generator.random() < settings.flips]
    if axes:
        pair = _each_array(pair, lambda array: np.flip(array, axes))
    exchangeable = len(set(pair.shape)) == 1 and np.ptp(pair.spacing_mm) < 0.01 * min(pair.spacing_mm)
    if exchangeable and generator.random() < settings.transposes:
        order = generator.permutation(len(pair.shape))
        pair = _each_array(pair, lambda array: np.transpose(array, order))
    return pair


def _each_array(pair: TrainingPair, change) -> TrainingPair:
    """The same change of every array of a pair."""
    names = ("fixed", "moving", "fixed_labels", "moving_labels", "valid")
    arrays = {name: getattr(pair, name) for name in names}
    return replace(
        pair, **{name: np.ascontiguousarray(change(array)) for name, array in arrays.items() if array is not None}
    )


def _viewed(pair: TrainingPair, generator: np.random.Generator, settings: AugmentationSettings) -> TrainingPair:
    """Both images magnified, turned and shifted alike. What comes from outside of the field of view is not valid."""
    dimension = len(pair.shape)
    scale = np.exp(-generator.uniform(-1, 1) * np.log(settings.zoom))
    first, second = (0, 1) if dimension == 2 else generator.choice(dimension, 2, replace=False)
    angle = np.deg2rad(generator.uniform(-settings.turn, settings.turn))
    turn = np.eye(dimension)
    turn[first, first] = turn[second, second] = np.cos(angle)
    turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
    # Axes in the order of the array here, reversed for grid_sample; in mm so that thick slices turn correctly.
    size_mm = np.array(pair.shape) * pair.spacing_mm
    matrix = scale * turn * size_mm / size_mm[:, None]
    shift = generator.uniform(-1, 1, dimension) * max(0.0, 1 - scale)
    theta = np.hstack([matrix[::-1, ::-1], shift[::-1, None]]).astype(np.float32)
    grid = F.affine_grid(torch.from_numpy(np.ascontiguousarray(theta))[None], [1, 1, *pair.shape], align_corners=False)
    inside = (grid.abs().amax(-1) <= 1)[0].numpy()

    def sampled(array: np.ndarray, mode: str) -> np.ndarray:
        tensor = torch.from_numpy(np.ascontiguousarray(array, np.float32))[None, None]
        return F.grid_sample(tensor, grid, mode, "border", align_corners=False)[0, 0].numpy()

    labels = {
        name: sampled(getattr(pair, name), "nearest").astype(np.uint8)
        for name in ("fixed_labels", "moving_labels")
        if getattr(pair, name) is not None
    }
    valid = inside if pair.valid is None else inside & (sampled(pair.valid, "nearest") > 0.5)
    return replace(
        pair, fixed=sampled(pair.fixed, "bilinear"), moving=sampled(pair.moving, "bilinear"), valid=valid, **labels
    )


def _recolored(pair: TrainingPair, generator: np.random.Generator, settings: AugmentationSettings) -> TrainingPair:
    fixed, moving = pair.fixed, pair.moving
    if generator.random() < settings.gammas:
        exponent = np.exp(generator.uniform(-1, 1) * np.log(settings.gamma))
        fixed, moving = fixed**exponent, moving**exponent
    if generator.random() < settings.curves:
        curve = _random_curve(generator)
        fixed, moving = curve[_steps(fixed)], curve[_steps(moving)]
    if generator.random() < settings.inversions:
        fixed, moving = 1 - fixed, 1 - moving
    if generator.random() < settings.unlike:
        fixed = 1 - fixed
    if generator.random() < settings.noises:
        size = generator.random() * settings.noise
        fixed, moving = (
            np.clip(image + size * generator.standard_normal(image.shape), 0, 1) for image in (fixed, moving)
        )
    return replace(pair, fixed=fixed.astype(np.float32), moving=moving.astype(np.float32))


def _random_curve(generator: np.random.Generator) -> np.ndarray:
    """A gray curve through random knots, neither rising nor falling as a whole, over the full range."""
    knots = generator.random(KNOTS)
    knots = (knots - knots.min()) / np.ptp(knots)
    return np.interp(np.linspace(0, KNOTS - 1, CURVE_RESOLUTION), np.arange(KNOTS), knots).astype(np.float32)


def _steps(image: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(image * (CURVE_RESOLUTION - 1)), 0, CURVE_RESOLUTION - 1).astype(np.intp)
