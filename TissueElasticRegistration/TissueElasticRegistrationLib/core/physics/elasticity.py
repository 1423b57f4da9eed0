"""Energy of a displacement: linear elastic (Reithmeir et al. 2024, Eq. 1) and diffusion, per voxel and per tissue.

Strain has no unit: displacements in mm, derivatives per mm, along the axes of the grid. The material is isotropic, so
the energy on an oblique grid equals that in patient axes.

Discretization: at each voxel the mean over all 2^D combinations of one-sided differences. Linear fields are exact up to
the border, no checkerboard escapes (central differences would let it), and no direction is preferred (forward
differences alone would; a flipped image would get another result). In closed form, with q_i(a) the mean of the squared
forward and backward differences of a along axis i, and c_i(a) their mean:

    1/4 Σ_ij (∂_i u_j + ∂_j u_i)²  =  Σ_i q_i(u_i) + 1/2 Σ_{i<j} [q_i(u_j) + q_j(u_i) + 2 c_i(u_j) c_j(u_i)]
    (div u)²                      =  Σ_i q_i(u_i) + 2 Σ_{i<j} c_i(u_i) c_j(u_j)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch


def elastic_energy(
    displacement_mm: torch.Tensor, spacing_mm: Sequence[float], lam: torch.Tensor | float, mu: torch.Tensor | float
) -> torch.Tensor:
    """Energy density μ/4 Σ_ij (∂_i u_j + ∂_j u_i)² + λ/2 (div u)² at every voxel.

    Args:
        displacement_mm: (B, D, *shape) in mm along the axes of the grid, channels in the order of the axes (k, j, i).
        spacing_mm: Voxel size per axis, in the same order.
        lam: λ, a number or a tensor that broadcasts to (B, 1, *shape).
        mu: μ, likewise.

    Returns:
        (B, 1, *shape), in the unit of the weights. Zero for translation and infinitesimal rotation.

    Raises:
        ValueError: Channels, axes and spacings differ in number, or a spacing is not positive.
    """
    shear, divergence = strain_invariants(displacement_mm, spacing_mm)
    return mu * shear + 0.5 * lam * divergence


def diffusion_energy(
    displacement_mm: torch.Tensor, spacing_mm: Sequence[float], weight: torch.Tensor | float
) -> torch.Tensor:
    """Energy density weight/2 Σ_ij (∂_i u_j)² (the paper's second regularizer).

    Also penalizes rotation, which is why it is not the default.

    Args:
        displacement_mm: (B, D, *shape) in mm along the axes of the grid, channels in the order of the axes (k, j, i).
        spacing_mm: Voxel size per axis, in the same order.
        weight: A number or a tensor that broadcasts to (B, 1, *shape).

    Returns:
        (B, 1, *shape), in the unit of the weight.

    Raises:
        ValueError: Channels, axes and spacings differ in number, or a spacing is not positive.
    """
    axes = range(_check(displacement_mm, spacing_mm))
    total = sum(_squares(_edges(displacement_mm, axis, spacing_mm[axis]), axis).sum(1, keepdim=True) for axis in axes)
    return 0.5 * weight * total


def strain_invariants(displacement_mm: torch.Tensor, spacing_mm: Sequence[float]) -> tuple[torch.Tensor, torch.Tensor]:
    """The two invariants of the strain that the elastic energy weighs by μ and by λ/2.

    Args:
        displacement_mm: (B, D, *shape) in mm along the axes of the grid, channels in the order of the axes (k, j, i).
        spacing_mm: Voxel size per axis, in the same order.

    Returns:
        1/4 Σ_ij (∂_i u_j + ∂_j u_i)² and (div u)² at every voxel, each (B, 1, *shape), no unit.

    Raises:
        ValueError: Channels, axes and spacings differ in number, or a spacing is not positive.
    """
    dimension = _check(displacement_mm, spacing_mm)
    squares, centers = [], []
    for axis in range(dimension):
        edges = _edges(displacement_mm, axis, spacing_mm[axis])
        squares.append(_squares(edges, axis))
        centers.append(_centers(edges, axis))
    normal = sum(squares[i][:, i] for i in range(dimension))
    shear, divergence = normal, normal
    for i in range(dimension):
        for j in range(i + 1, dimension):
            shear = shear + 0.5 * (squares[i][:, j] + squares[j][:, i]) + centers[i][:, j] * centers[j][:, i]
            divergence = divergence + 2 * centers[i][:, i] * centers[j][:, j]
    return shear.unsqueeze(1), divergence.unsqueeze(1)


def strain_square(displacement: torch.Tensor, spacing_mm: Sequence[float]) -> torch.Tensor:
    """The squared norm of the strain tensor, 1/4 Σ_ij (∂_i u_j + ∂_j u_i)², of a displacement in voxels.

    Args:
        displacement: (B, D, *shape) in voxels, channels in the order of the axes (k, j, i).
        spacing_mm: Voxel size per axis, in the same order.

    Returns:
        (B, 1, *shape), no unit.

    Raises:
        ValueError: Channels, axes and spacings differ in number, or a spacing is not positive.
    """
    size = torch.tensor(spacing_mm, dtype=displacement.dtype, device=displacement.device)
    return strain_invariants(displacement * size.view(1, -1, *[1] * len(spacing_mm)), spacing_mm)[0]


def _edges(field: torch.Tensor, axis: int, spacing: float) -> torch.Tensor:
    """Differences per mm between neighbors along one spatial axis: one element less than voxels there."""
    return torch.diff(field, dim=axis + 2) / spacing


def _squares(edges: torch.Tensor, axis: int) -> torch.Tensor:
    """Mean of the squared differences to both neighbors at each voxel (at the border: to the only one)."""
    return _centers(edges * edges, axis)


def _centers(edges: torch.Tensor, axis: int) -> torch.Tensor:
    """Edge values -> voxel values: mean of the two adjacent edges, at the border the only one, 0 for a single voxel."""
    dim = axis + 2
    count = edges.shape[dim]
    if count == 0:
        shape = list(edges.shape)
        shape[dim] = 1
        return edges.new_zeros(shape)
    first, last = edges.narrow(dim, 0, 1), edges.narrow(dim, count - 1, 1)
    inner = 0.5 * (edges.narrow(dim, 0, count - 1) + edges.narrow(dim, 1, count - 1))
    return torch.cat([first, inner, last], dim)


def _check(displacement_mm: torch.Tensor, spacing_mm: Sequence[float]) -> int:
    """Number of axes D; ValueError if channels or spacings are not D in number or a spacing is not positive."""
    dimension = displacement_mm.dim() - 2
    if displacement_mm.shape[1] != dimension or len(spacing_mm) != dimension:
        raise ValueError(
            f"A displacement (B, D, *shape) with D axes and D spacings is needed, not shape "
            f"{tuple(displacement_mm.shape)} with {len(spacing_mm)} spacings."
        )
    if min(spacing_mm) <= 0:
        raise ValueError(f"The spacing must be positive, not {tuple(spacing_mm)}.")
    return dimension
