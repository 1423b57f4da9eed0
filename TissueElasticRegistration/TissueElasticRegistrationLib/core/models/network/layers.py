"""Convolutions whose kernels are given: learned ones, or those that a hypernetwork makes for every sample."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

SLOPE = 0.2  # of the leaky rectifier, as in VoxelMorph
KERNEL = 3


class Kernel(NamedTuple):
    """The kernel of a convolution: the same for all samples (N = 1), or one per sample.

    Attributes:
        weight: (N, out, in, *3).
        bias: (N, out), or None.
    """

    weight: torch.Tensor
    bias: torch.Tensor | None

    def of_inputs(self, first: int, count: int, bias: bool) -> Kernel:
        """The part that acts on some of the input channels.

        Args:
            first: The first of these channels.
            count: How many they are.
            bias: Whether the part has the bias.
        """
        return Kernel(self.weight.narrow(2, first, count), self.bias if bias else None)


def convolve(x: torch.Tensor, kernel: Kernel) -> torch.Tensor:
    """A convolution, zeros outside.

    Args:
        x: (B, in, *shape).
        kernel: What it is convolved with.

    Returns:
        (B, out, *shape).
    """
    conv = F.conv2d if x.dim() == 4 else F.conv3d
    weight, bias = kernel
    if len(weight) == 1:
        return conv(x, weight[0], None if bias is None else bias[0], padding=KERNEL // 2)
    samples, out = weight.shape[:2]
    x = x.expand(samples, *x.shape[1:])
    y = conv(
        x.reshape(1, -1, *x.shape[2:]),
        weight.reshape(-1, *weight.shape[2:]),
        None if bias is None else bias.reshape(-1),
        padding=KERNEL // 2,
        groups=samples,
    )
    return y.view(samples, out, *x.shape[2:])


def convolve_upsampled(x: torch.Tensor, kernel: Kernel) -> torch.Tensor:
    """`convolve` with every voxel repeated along every axis first.

    In volumes, where no gradient is needed, without making the large tensor in between: neighbors of equal value share
    one weight, so each corner of the fine cells is a convolution of ``x`` with 2^D instead of 3^D weights.

    Args:
        x: (B, in, *shape).
        kernel: What it is convolved with.

    Returns:
        (B, out, *twice the shape).
    """
    if torch.is_grad_enabled() or x.dim() == 4 or len(kernel.weight) > 1:
        return convolve(F.interpolate(x, scale_factor=2, mode="nearest"), kernel)
    shape = x.shape[2:]
    fine = x.new_empty(len(x), kernel.weight.shape[1], *[2 * size for size in shape])
    bias = None if kernel.bias is None else kernel.bias[0]
    for corner in itertools.product((0, 1), repeat=len(shape)):
        padded = F.conv3d(x, _corner_weight(kernel.weight[0], corner), bias, padding=1)
        inner = [slice(side, side + size) for side, size in zip(corner, shape, strict=True)]
        fine[(..., *[slice(side, None, 2) for side in corner])] = padded[(..., *inner)]
    return fine


def _corner_weight(weight: torch.Tensor, corner: tuple[int, ...]) -> torch.Tensor:
    """(out, in, *3) -> (out, in, *2): along each axis, the weights that meet the same coarse voxel are added."""
    for axis, side in enumerate(corner, start=2):
        before, middle, after = weight.unbind(axis)
        pair = (before + middle, after) if side else (before, middle + after)
        weight = torch.stack(pair, axis)
    return weight


def max_pooled(x: torch.Tensor) -> torch.Tensor:
    """The largest of 2 voxels per axis."""
    return (F.max_pool2d if x.dim() == 4 else F.max_pool3d)(x, 2)


def arranged(x: torch.Tensor) -> torch.Tensor:
    """The same values in the memory layout of fast convolutions: slices with the channels of a voxel side by side."""
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x.contiguous()


def activated(x: torch.Tensor) -> torch.Tensor:
    """Leaky rectifier, in place: fresh memory for large volumes costs more than the arithmetic."""
    return F.leaky_relu_(x, SLOPE)


def he_deviation(inputs: int, dimension: int) -> float:
    """Standard deviation of the weights that keeps the size of activations through a convolution (He et al. 2015).

    Args:
        inputs: Number of input channels.
        dimension: 2 or 3.
    """
    return math.sqrt(2 / (1 + SLOPE**2) / (inputs * KERNEL**dimension))


class LearnedKernels(nn.Module):
    """One kernel per layer.

    Args:
        shapes: (out, in) of each.
        dimension: 2 or 3.
    """

    def __init__(self, shapes: Sequence[tuple[int, int]], dimension: int) -> None:
        super().__init__()
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for out, inputs in shapes:
            weight = torch.randn(out, inputs, *[KERNEL] * dimension) * he_deviation(inputs, dimension)
            self.weights.append(nn.Parameter(weight))
            self.biases.append(nn.Parameter(torch.zeros(out)))

    def forward(self) -> list[Kernel]:
        """The kernels, N = 1 each."""
        return [Kernel(weight[None], bias[None]) for weight, bias in zip(self.weights, self.biases, strict=True)]


class HyperKernels(nn.Module):
    """A hypernetwork: a vector of sliders -> every kernel, by one linear map per kernel and per bias.

    The constant part of each map starts as an ordinary kernel, the part that the sliders change adds as much variance.
    Hidden layers are leaky: with plain rectifiers all 16 of the last one died in training, and the sliders with them.

    Args:
        shapes: (out, in) of each kernel.
        dimension: 2 or 3.
        parameters: Number of sliders.
        widths: Of the hidden layers.
    """

    def __init__(
        self, shapes: Sequence[tuple[int, int]], dimension: int, parameters: int, widths: Sequence[int]
    ) -> None:
        super().__init__()
        self.dimension, self.shapes = dimension, tuple(shapes)
        self.hidden = nn.ModuleList(nn.Linear(n, m) for n, m in zip((parameters, *widths), widths, strict=False))
        self.weights, self.biases = nn.ModuleList(), nn.ModuleList()
        for out, inputs in shapes:
            weight, bias = nn.Linear(widths[-1], out * inputs * KERNEL**dimension), nn.Linear(widths[-1], out)
            deviation = he_deviation(inputs, dimension)
            nn.init.normal_(weight.weight, 0, deviation / math.sqrt(widths[-1]))
            nn.init.normal_(weight.bias, 0, deviation)
            nn.init.zeros_(bias.weight)
            nn.init.zeros_(bias.bias)
            self.weights.append(weight)
            self.biases.append(bias)

    def forward(self, sliders: torch.Tensor) -> list[Kernel]:
        """The kernels for given sliders.

        Args:
            sliders: (N, parameters) in [0, 1].
        """
        code = 2 * sliders - 1
        for layer in self.hidden:
            code = F.leaky_relu(layer(code), SLOPE)
        return [
            Kernel(weight(code).view(-1, *shape, *[KERNEL] * self.dimension), bias(code))
            for weight, bias, shape in zip(self.weights, self.biases, self.shapes, strict=True)
        ]

    @torch.no_grad()
    def begin_with(self, kernels: Sequence[Kernel]) -> None:
        """Make these kernels whatever the sliders are: their influence is yet to be learnt.

        Args:
            kernels: One for each shape, weights (1, out, in, *3).
        """
        for weight, bias, kernel in zip(self.weights, self.biases, kernels, strict=True):
            for head, values in ((weight, kernel.weight), (bias, kernel.bias)):
                head.weight.zero_()
                head.bias.copy_(values.flatten())
