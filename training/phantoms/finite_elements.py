"""Linear elasticity on a regular grid with Q1 elements: plane strain in 2D, hexahedra in 3D.

An element is a voxel, nodes are the voxel corners. Element arrays have shape (A, B[, C]), nodal ones one more along
every axis, and vectors carry their components in axis order last: (A+1, B+1[, C+1], D). Lengths in mm, moduli in kPa,
so nodal forces are in kPa mm^(D-1), which for plane strain is per mm of thickness.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import LinearOperator, cg, eigsh, spsolve

RELATIVE_RESIDUAL = 1e-4  # measured: below 0.001 mm at a motion of 30 mm
MAX_ITERATIONS = 400


def element_corners(dimension: int) -> list[tuple[int, ...]]:
    """Offsets of the 2^D nodes of an element, in the order used for the rows of element matrices."""
    return list(product((0, 1), repeat=dimension))


def shape_gradients(point: np.ndarray, spacing_mm: float) -> np.ndarray:
    """Gradients of the nodal shape functions.

    Args:
        point: (D,) element coordinates from 0 to 1.
        spacing_mm: Side of the element.

    Returns:
        (2^D, D) in 1/mm.
    """
    corners = np.array(element_corners(len(point)))
    factors = np.where(corners == 1, point, 1 - point)
    slopes = np.where(corners == 1, 1.0, -1.0) / spacing_mm
    others = [np.prod(np.delete(factors, axis, axis=1), axis=1) for axis in range(len(point))]
    return slopes * np.stack(others, axis=1)


def element_stiffness(dimension: int, spacing_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Stiffness matrices of one element for (λ = 1, μ = 0) and (λ = 0, μ = 1).

    Rows and columns are node-major: all components of the first corner, then of the second, and so on.

    Args:
        dimension: D, 2 or 3.
        spacing_mm: Side of the element.

    Returns:
        Two matrices (D 2^D, D 2^D).
    """
    gauss = (0.5 - 0.5 / np.sqrt(3), 0.5 + 0.5 / np.sqrt(3))
    weight = (spacing_mm / 2) ** dimension
    size = dimension * 2**dimension
    for_lambda, for_mu = np.zeros((size, size)), np.zeros((size, size))
    for point in product(gauss, repeat=dimension):
        gradients = shape_gradients(np.array(point), spacing_mm)
        divergence = gradients.reshape(-1)
        same = np.einsum("na,ma->nm", gradients, gradients)
        crossed = np.einsum("nb,ma->namb", gradients, gradients)
        symmetric = np.einsum("nm,ab->namb", same, np.eye(dimension)) + crossed
        for_lambda += weight * np.outer(divergence, divergence)
        for_mu += weight * symmetric.reshape(size, size)
    return for_lambda, for_mu


def internal_forces(
    displacement_mm: np.ndarray, lam_kpa: np.ndarray, mu_kpa: np.ndarray, spacing_mm: float
) -> np.ndarray:
    """Stiffness matrix times displacement, element by element.

    Args:
        displacement_mm: Nodal, (A+1, B+1[, C+1], D).
        lam_kpa: λ per element, (A, B[, C]).
        mu_kpa: μ per element.
        spacing_mm: Side of an element.

    Returns:
        Nodal forces of the shape of the displacement.
    """
    dimension = lam_kpa.ndim
    for_lambda, for_mu = element_stiffness(dimension, spacing_mm)
    windows = [_window(corner, lam_kpa.shape) for corner in element_corners(dimension)]
    local = np.concatenate([displacement_mm[window] for window in windows], axis=-1)
    local = lam_kpa[..., None] * (local @ for_lambda) + mu_kpa[..., None] * (local @ for_mu)
    forces = np.zeros_like(displacement_mm, dtype=np.float64)
    for number, window in enumerate(windows):
        forces[window] += local[..., number * dimension : (number + 1) * dimension]
    return forces


def strain_energy(displacement_mm: np.ndarray, lam_kpa: np.ndarray, mu_kpa: np.ndarray, spacing_mm: float) -> float:
    """Elastic energy of a nodal displacement, half u K u.

    Args:
        displacement_mm: Nodal, (A+1, B+1[, C+1], D).
        lam_kpa: λ per element, (A, B[, C]).
        mu_kpa: μ per element.
        spacing_mm: Side of an element.

    Returns:
        In kPa mm^D.
    """
    return 0.5 * float(np.sum(displacement_mm * internal_forces(displacement_mm, lam_kpa, mu_kpa, spacing_mm)))


def nodes_from_elements(per_element: np.ndarray, dimension: int, spacing_mm: float) -> np.ndarray:
    """Spread a density per element over its corner nodes: integral of density times shape function.

    Args:
        per_element: (A, B[, C], ...).
        dimension: 2 or 3.
        spacing_mm: Side of an element.

    Returns:
        (A+1, B+1[, C+1], ...).
    """
    shape = per_element.shape[:dimension]
    nodal = np.zeros(tuple(n + 1 for n in shape) + per_element.shape[dimension:])
    share = per_element * (spacing_mm / 2) ** dimension
    for corner in element_corners(dimension):
        nodal[_window(corner, shape)] += share
    return nodal


def centers_from_nodes(nodal: np.ndarray, dimension: int) -> np.ndarray:
    """Values of the Q1 interpolation at the element centers (the mean of the corner nodes).

    Args:
        nodal: (A+1, B+1[, C+1], ...).
        dimension: 2 or 3.

    Returns:
        (A, B[, C], ...).
    """
    shape = tuple(n - 1 for n in nodal.shape[:dimension])
    corners = element_corners(dimension)
    return sum(nodal[_window(corner, shape)] for corner in corners) / len(corners)


def solve_elasticity(
    lam_kpa: np.ndarray,
    mu_kpa: np.ndarray,
    spacing_mm: float,
    forces: np.ndarray,
    held: np.ndarray,
    springs: np.ndarray | None = None,
    held_displacement_mm: np.ndarray | None = None,
) -> np.ndarray:
    """Nodal displacement in equilibrium with nodal forces.

    Args:
        lam_kpa: λ per element, (A, B[, C]).
        mu_kpa: μ per element.
        spacing_mm: Side of an element.
        forces: Nodal, (A+1, B+1[, C+1], D).
        held: Booleans per node; those nodes keep ``held_displacement_mm``.
        springs: Stiffness per node, the same for all components, that pulls the node back to its place.
        held_displacement_mm: Of the shape of the forces; zero by default.

    Returns:
        (A+1, B+1[, C+1], D) in mm.

    Raises:
        ValueError: A material is not positive definite, or nothing holds the body.
    """
    dimension = lam_kpa.ndim
    if mu_kpa.min() <= 0 or lam_kpa.min() < 0:
        raise ValueError(f"mu must be above 0 and lambda at least 0, not {mu_kpa.min()} and {lam_kpa.min()} kPa.")
    if springs is None:
        springs = np.zeros(held.shape)
    if not held.any() and not springs.any():
        raise ValueError("The body can move freely: hold at least some nodes or give some springs.")
    result = np.zeros(forces.shape)
    if held_displacement_mm is not None:
        result[held] = held_displacement_mm[held]
    remaining = forces - internal_forces(result, lam_kpa, mu_kpa, spacing_mm)
    matrix = _free_stiffness(lam_kpa, mu_kpa, spacing_mm, ~held, springs)
    solve = _solve_directly if dimension == 2 else _solve_multigrid
    result[~held] = solve(matrix, remaining[~held], np.argwhere(~held) * spacing_mm)
    return result


def _window(corner: tuple[int, ...], shape: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(offset, offset + n) for offset, n in zip(corner, shape, strict=True))


def _free_stiffness(
    lam_kpa: np.ndarray, mu_kpa: np.ndarray, spacing_mm: float, free: np.ndarray, springs: np.ndarray
) -> sparse.bsr_matrix:
    """Stiffness of the free nodes in D x D blocks, C order of the nodes.

    The grid is regular, so every node couples with the same 3^D neighbors: one array of blocks per neighbor.
    """
    dimension = lam_kpa.ndim
    numbers = np.full(tuple(n + 2 for n in free.shape), -1, np.int32)  # one ring of absent nodes around the grid
    numbers[(slice(1, -1),) * dimension][free] = np.arange(free.sum(), dtype=np.int32)
    neighbors = list(product((-1, 0, 1), repeat=dimension))
    moduli_kpa = np.stack([lam_kpa, mu_kpa], axis=-1)
    blocks = np.empty((int(free.sum()), len(neighbors), dimension, dimension))
    columns = np.empty(blocks.shape[:2], np.int32)
    for position, neighbor in enumerate(neighbors):
        coupling = _coupling(moduli_kpa, spacing_mm, neighbor)
        if not any(neighbor):
            coupling += springs[..., None, None] * np.eye(dimension)
        blocks[:, position] = coupling[free]
        shifted = tuple(slice(1 + step, 1 + step + n) for step, n in zip(neighbor, free.shape, strict=True))
        columns[:, position] = numbers[shifted][free]
    present = columns >= 0
    row_ends = np.concatenate([[0], np.cumsum(present.sum(axis=1))]).astype(np.int32)
    size = dimension * len(blocks)
    return sparse.bsr_matrix((blocks[present], columns[present], row_ends), shape=(size, size))


def _coupling(moduli_kpa: np.ndarray, spacing_mm: float, neighbor: tuple[int, ...]) -> np.ndarray:
    """(A+1, B+1[, C+1], D, D) stiffness blocks between every node and its neighbor at that offset.

    moduli_kpa: (A, B[, C], 2) lambda and mu.
    """
    dimension, shape = moduli_kpa.ndim - 1, moduli_kpa.shape[:-1]
    corners = element_corners(dimension)
    unit = np.stack(element_stiffness(dimension, spacing_mm))
    unit = unit.reshape(2, len(corners), dimension, len(corners), dimension)
    coupling = np.zeros(tuple(n + 1 for n in shape) + (dimension**2,))
    for row, corner in enumerate(corners):
        other = tuple(place + step for place, step in zip(corner, neighbor, strict=True))
        if other in corners:
            coupling[_window(corner, shape)] += moduli_kpa @ unit[:, row, :, corners.index(other)].reshape(2, -1)
    return coupling.reshape(coupling.shape[:-1] + (dimension, dimension))


def _solve_directly(matrix: sparse.bsr_matrix, forces: np.ndarray, _positions_mm: np.ndarray) -> np.ndarray:
    return spsolve(matrix.tocsc(), forces.reshape(-1), permc_spec="MMD_AT_PLUS_A").reshape(forces.shape)


def _solve_multigrid(matrix: sparse.bsr_matrix, forces: np.ndarray, positions_mm: np.ndarray) -> np.ndarray:
    """Conjugate gradients, preconditioned by smoothed aggregation that knows the rigid motions.

    Bone is 100 000 times stiffer than air. Scaling the matrix to a unit diagonal takes that contrast out of the
    smoother, so that Chebyshev polynomials do, which cost 10 times less here than block Gauss-Seidel sweeps.
    """
    scale = 1 / np.sqrt(matrix.diagonal())
    scaled = _scaled(matrix, scale.reshape(-1, matrix.blocksize[0]))
    preconditioner = _preconditioner(scaled, _rigid_motions(positions_mm) / scale[:, None])
    solution, stopped = cg(
        scaled, forces.reshape(-1) * scale, rtol=RELATIVE_RESIDUAL, maxiter=MAX_ITERATIONS, M=preconditioner
    )
    if stopped:
        raise RuntimeError(f"The elastic solution did not converge in {MAX_ITERATIONS} iterations.")
    return (solution * scale).reshape(forces.shape)


def _scaled(matrix: sparse.bsr_matrix, scale: np.ndarray) -> sparse.bsr_matrix:
    """Rows and columns times ``scale`` (nodes, D)."""
    rows = np.repeat(np.arange(len(scale)), np.diff(matrix.indptr))
    blocks = matrix.data * scale[rows][:, :, None]
    blocks *= scale[matrix.indices][:, None, :]
    return sparse.bsr_matrix((blocks, matrix.indices, matrix.indptr), shape=matrix.shape)


def _preconditioner(matrix: sparse.bsr_matrix, rigid_motions: np.ndarray) -> LinearOperator:
    """One V-cycle of smoothed aggregation. Its random start vectors are replaced, so that results are reproducible."""
    import pyamg  # only the 3D phantoms need it

    hierarchy = pyamg.smoothed_aggregation_solver(
        matrix,
        B=rigid_motions,
        improve_candidates=None,
        smooth=("jacobi", {"weighting": "local"}),
        presmoother=None,
        postsmoother=None,
        max_coarse=300,
    )
    for level in hierarchy.levels[:-1]:
        start = np.random.default_rng(0).standard_normal(level.A.shape[0])
        level.A.rho = float(eigsh(level.A, k=1, v0=start, ncv=10, tol=0.05, return_eigenvectors=False)[0])
    smoother = ("chebyshev", {"degree": 2})
    pyamg.relaxation.smoothing.change_smoothers(hierarchy, smoother, smoother)
    return hierarchy.aspreconditioner()


def _rigid_motions(positions_mm: np.ndarray) -> np.ndarray:
    """(3 N, 6) translations and linearized rotations of N points, rotations scaled to the size of translations."""
    centered = positions_mm - positions_mm.mean(axis=0)
    centered = centered / np.abs(centered).max()
    modes = np.zeros((len(centered), 3, 6))
    for axis in range(3):
        one, two = (axis + 1) % 3, (axis + 2) % 3
        modes[:, axis, axis] = 1
        modes[:, one, 3 + axis] = -centered[:, two]
        modes[:, two, 3 + axis] = centered[:, one]
    return modes.reshape(-1, 6)
