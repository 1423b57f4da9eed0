"""Deformations on a regular grid: warp, integrate, compose, invert, Jacobian.

Everywhere: ``displacement`` is (B, D, *shape), D = 2 or 3, in voxels of its own grid, channels in the order of the
array axes (k, j, i); voxel x of the fixed image corresponds to position x + u(x) of the moving image.

Grids of different resolution are cell-centered (``align_corners=False``): a voxel of a grid coarser by f covers f
voxels, so displacements scale by exactly f, flips commute with everything, and an axis of one voxel is no special case.

Shapes are not checked here: arguments that do not fit each other end in PyTorch's RuntimeError.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

INTEGRATION_STEPS = 6
INVERSION_TOLERANCE = 1e-4


def warp(image: torch.Tensor, displacement: torch.Tensor, mode: str = "bilinear") -> torch.Tensor:
    """An image sampled at the displaced voxels, image(x + u(x)); border values continue outside.

    Args:
        image: (B, C, *shape) floating point, on the grid that the displacement leads into.
        displacement: (B, D, *shape) in voxels.
        mode: "bilinear" (linear in every dimension) or "nearest" (labels).

    Returns:
        (B, C, *shape) on the grid of the displacement, differentiable by both arguments if linear.

    Raises:
        RuntimeError: Batch size, dimension or type of the two differ (PyTorch's own).
        ValueError: There is no such mode (PyTorch's own).
    """
    return F.grid_sample(image, sampling_grid(displacement), mode=mode, padding_mode="border", align_corners=False)


def sampling_grid(displacement: torch.Tensor) -> torch.Tensor:
    """Normalized positions x + u(x) for PyTorch's `grid_sample`.

    Args:
        displacement: (B, D, *shape) in voxels, channels k, j, i.

    Returns:
        (B, *shape, D), -1 and 1 being the outer voxel edges, last dimension in i, j, k order.
    """
    shape = displacement.shape[2:]
    axes = []
    for axis, size in enumerate(shape):
        index = torch.arange(size, device=displacement.device, dtype=displacement.dtype)
        view = [1] * len(shape)
        view[axis] = size
        center = ((2 * index + 1) / size - 1).view(view)
        axes.append(displacement[:, axis] * (2 / size) + center)
    return torch.stack(axes[::-1], -1)


def inside(displacement: torch.Tensor) -> torch.Tensor:
    """Whether x + u(x) lies within the voxels of the grid (outer voxel edges included).

    Args:
        displacement: (B, D, *shape) in voxels.

    Returns:
        (B, 1, *shape) of 0 and 1, in the type of the displacement.
    """
    return (sampling_grid(displacement).abs().amax(-1) <= 1).unsqueeze(1).to(displacement.dtype)


def compose(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """One deformation after another: the displacement of x -> y + second(y) with y = x + first(x).

    Args:
        first: (B, D, *shape) in voxels.
        second: (B, D, *shape) in voxels of the same grid, its border values continued outside.
    """
    return first + warp(second, first)


def integrate(velocity: torch.Tensor, steps: int = INTEGRATION_STEPS) -> torch.Tensor:
    """Displacement after unit time of a stationary velocity, by scaling and squaring (Arsigny et al. 2006).

    Args:
        velocity: (B, D, *shape) in voxels per unit time.
        steps: Number of squarings, so 2^steps small steps: the first displacement is velocity / 2^steps.

    Returns:
        (B, D, *shape) in voxels.
    """
    displacement = velocity / 2**steps
    for _ in range(steps):
        displacement = compose(displacement, displacement)
    return displacement


def invert(displacement: torch.Tensor, iterations: int = 60) -> torch.Tensor:
    """Displacement v with x = y + v(y) for y = x + u(x), to 1e-4 voxels; meaningless where u folds.

    Damped fixed-point iteration: the undamped one diverges where the deformation doubles a length, this one where it
    makes it four times as long.

    Args:
        displacement: (B, D, *shape) in voxels.
        iterations: At most so many; then the last iterate is returned, without an error.

    Returns:
        (B, D, *shape) in voxels of the same grid.
    """
    inverse = -displacement
    for _ in range(iterations):
        error = inverse + warp(displacement, inverse)
        if error.abs().max() < INVERSION_TOLERANCE:
            break
        inverse = inverse - 0.5 * error
    return inverse


def resize(field: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """A displacement or velocity on another grid over the same extent, its values in voxels of that grid.

    Args:
        field: (B, D, *old shape) in voxels of the old grid.
        shape: Number of voxels of the new grid along its D axes.

    Returns:
        (B, D, *shape), linearly interpolated; ``field`` itself if the shape is already that.

    Raises:
        ValueError: ``shape`` has another number of axes than the field.
    """
    old = field.shape[2:]
    shape = tuple(shape)
    if tuple(old) == shape:
        return field
    mode = "bilinear" if len(shape) == 2 else "trilinear"
    scale = torch.tensor([new / n for new, n in zip(shape, old, strict=True)], dtype=field.dtype, device=field.device)
    return F.interpolate(field, size=shape, mode=mode, align_corners=False) * scale.view(1, -1, *[1] * len(shape))


def average_pooled(
    x: torch.Tensor, window: int | Sequence[int], stride: int | None = None, padding: int | Sequence[int] = 0
) -> torch.Tensor:
    """Means over windows of voxels, by default side by side: what a grid coarser by ``window`` sees.

    Args:
        x: (B, C, *shape).
        window: Voxels per axis, or the same for all axes.
        stride: Voxels from one window to the next; None for the window itself.
        padding: Zeros added at both ends of an axis, per axis or the same for all.

    Returns:
        (B, C, *shape of the coarser grid); ``x`` itself for windows of one voxel.
    """
    if (window if isinstance(window, int) else max(window)) == 1:
        return x
    return (F.avg_pool2d if x.dim() == 4 else F.avg_pool3d)(x, window, stride, padding)


def smoothed(field: torch.Tensor) -> torch.Tensor:
    """Binomial filter (1 2 1)/4 along every spatial axis, with border values continued.

    Args:
        field: (B, C, *shape), any number of axes.
    """
    for dim in range(2, field.dim()):
        count = field.shape[dim]
        if count > 1:
            before = torch.cat([field.narrow(dim, 0, 1), field.narrow(dim, 0, count - 1)], dim)
            after = torch.cat([field.narrow(dim, 1, count - 1), field.narrow(dim, count - 1, 1)], dim)
            field = 0.5 * field + 0.25 * (before + after)
    return field


def jacobian_determinant(displacement: torch.Tensor) -> torch.Tensor:
    """det(I + ∂u/∂x) by central differences, one-sided at the border.

    Args:
        displacement: (B, D, *shape) in voxels.

    Returns:
        (B, *shape), no unit: 1 keeps the volume, below 1 shrinks from fixed to moving, at or below 0
        the deformation folds.
    """
    return _determinant([central_difference(displacement, axis) for axis in range(displacement.shape[1])])


def folding(displacement: torch.Tensor) -> torch.Tensor:
    """Voxels at which the deformation folds, strict.

    A voxel counts if the determinant is not positive for any of the 2^D combinations of forward and backward
    differences, that is in any corner of the adjacent cells; central differences alone would miss most folds.

    Args:
        displacement: (B, D, *shape) in voxels.

    Returns:
        (B, *shape) bool.
    """
    dimension = displacement.shape[1]
    sides = [_one_sided(displacement, axis) for axis in range(dimension)]
    folded = None
    for corner in range(2**dimension):
        bad = _determinant([sides[axis][corner >> axis & 1] for axis in range(dimension)]) <= 0
        folded = bad if folded is None else folded | bad
    return folded


def _one_sided(field: torch.Tensor, axis: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Backward and forward difference along one axis, full shape; at the border both are the only one there is."""
    dim = axis + 2
    edges = torch.diff(field, dim=dim)
    if edges.shape[dim] == 0:
        return torch.zeros_like(field), torch.zeros_like(field)
    backward = torch.cat([edges.narrow(dim, 0, 1), edges], dim)
    forward = torch.cat([edges, edges.narrow(dim, edges.shape[dim] - 1, 1)], dim)
    return backward, forward


def central_difference(field: torch.Tensor, axis: int) -> torch.Tensor:
    """Derivative per voxel along one spatial axis.

    Args:
        field: (B, C, *shape).
        axis: Which of the spatial axes, from 0.

    Returns:
        (B, C, *shape): one-sided at the border, 0 where the axis has a single voxel.
    """
    backward, forward = _one_sided(field, axis)
    return 0.5 * (backward + forward)


def _determinant(derivatives: list[torch.Tensor]) -> torch.Tensor:
    """Determinant of I + ∂u from derivatives[axis][:, component], written out (a batched det is far slower)."""
    d = [
        [derivatives[j][:, i] + (1.0 if i == j else 0.0) for j in range(len(derivatives))]
        for i in range(len(derivatives))
    ]
    if len(d) == 2:
        return d[0][0] * d[1][1] - d[0][1] * d[1][0]
    return (
        d[0][0] * (d[1][1] * d[2][2] - d[1][2] * d[2][1])
        - d[0][1] * (d[1][0] * d[2][2] - d[1][2] * d[2][0])
        + d[0][2] * (d[1][0] * d[2][1] - d[1][1] * d[2][0])
    )
