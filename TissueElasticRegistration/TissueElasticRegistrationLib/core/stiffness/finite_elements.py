"""Linear elasticity of the body on a coarse grid, for λ and μ of every tissue (Galerkin, Q1 elements).

The test functions (virtual fields) are the hat functions of the nodes inside the body: zero at its rim, so tractions
there do not enter; the measured displacement at the rim, and in tissues that are not modeled, is prescribed.
Nodes are the centers of blocks of voxels. Derivatives are only taken of the hat functions, never of voxel values.

Borders between tissues run through elements. Within one, tissues lie beside each other under about the same stress,
so their compliances add up: the modulus of an element is the harmonic mean. Adding stiffnesses instead makes every
border too stiff, and the estimate for the tissue behind it too soft (a sheared bar of layers, ratio 4: 24 % too soft
with 16 nodes in a layer, 42 % with eight; with the harmonic mean both are exact).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from .block_tridiagonal import Factors, factorize
from .block_tridiagonal import product as matrix_product

NO_TISSUE = -1
GAUSS = (0.5 - 0.5 / 3**0.5, 0.5 + 0.5 / 3**0.5)
MAX_UNMODELED_SHARE = 0.5  # a node with more tissue around it that is not modeled is prescribed


class FiniteElementBody:
    """The body as finite elements: internal forces of a displacement at the free nodes, and their inverse.

    Displacements and forces are (nodes, D), D components along the axes of the grid in mm; ``free`` marks the nodes
    inside the body; vectors of free unknowns are (F,) with F = D * number of free nodes. Moduli are (2, T): λ and μ of
    the T modeled tissues.
    """

    def __init__(
        self, tissue_numbers: np.ndarray, inside: np.ndarray, spacing_mm: Sequence[float], factors: Sequence[int]
    ) -> None:
        """Divide the body into elements.

        Args:
            tissue_numbers: Number of the tissue of every voxel, 0 to T - 1, or NO_TISSUE.
            inside: Whether each voxel belongs to the body.
            spacing_mm: Size of a voxel along each axis.
            factors: Voxels per node along each axis.
        """
        self.dimension = tissue_numbers.ndim
        self.factors = tuple(factors)
        self.count = int(tissue_numbers.max()) + 1
        self._voxel_shape = tissue_numbers.shape
        self.shape = tuple(n // f for n, f in zip(tissue_numbers.shape, factors, strict=True))
        self.size_mm = np.array([size * f for size, f in zip(spacing_mm, factors, strict=True)])
        self._cells = self._cell_values(np.where(inside, tissue_numbers, NO_TISSUE))
        in_body = self._cell_values(inside).all(axis=1)
        self._elements = self._element_nodes()
        self._shares = np.stack([(self._cells == number).mean(axis=1) for number in range(self.count)])  # (T, E)
        self._filled = self._shares.sum(axis=0)  # the share of every element that is modeled
        self._unit = self._unit_matrices()
        self.free = self._free_nodes(in_body)
        self.node_volumes_mm = self._node_volumes()
        self._index()

    @property
    def unknowns(self) -> int:
        """F, the number of free unknowns."""
        return int(self.free.sum()) * self.dimension

    def node_means(self, values: np.ndarray) -> np.ndarray:
        """Means over the blocks of voxels: (C, *voxel shape) -> (nodes, C)."""
        for axis, (n, f) in enumerate(zip(self.shape, self.factors, strict=True), start=1):
            values = np.take(values, range(n * f), axis=axis)
            values = values.reshape(*values.shape[:axis], n, f, *values.shape[axis + 1 :]).mean(axis=axis + 1)
        return np.moveaxis(values.reshape(len(values), -1), 0, -1)

    def voxel_values(self, values: np.ndarray) -> np.ndarray:
        """(nodes, C) -> (C, *voxel shape), linear between nodes, constant beyond the outer ones."""
        values = np.moveaxis(values.reshape(*self.shape, -1), -1, 0)
        for axis, (n, f, voxels) in enumerate(zip(self.shape, self.factors, self._voxel_shape, strict=True), start=1):
            position = np.clip((np.arange(voxels) + 0.5) / f - 0.5, 0, n - 1)
            low = np.minimum(position.astype(int), max(n - 2, 0))
            share = (position - low).reshape(-1, *[1] * (self.dimension - axis))
            high = np.minimum(low + 1, n - 1)
            values = (1 - share) * np.take(values, low, axis=axis) + share * np.take(values, high, axis=axis)
        return values

    def factorized_stiffness(self, moduli: np.ndarray) -> Factors:
        """The stiffness matrix of the free nodes for these moduli, factorized."""
        matrices = self._element_matrices(moduli).ravel()[self._kept]
        flat = np.bincount(self._entries, matrices, self._ends[-1])
        blocks = [
            flat[a:b].reshape(shape)
            for a, b, shape in zip(self._ends[:-1], self._ends[1:], self._block_shapes, strict=True)
        ]
        return factorize(blocks[::2], blocks[1::2])

    def internal_forces(self, moduli: np.ndarray, displacement_mm: np.ndarray) -> np.ndarray:
        """Internal forces (F,) of a displacement (nodes, D)."""
        local = self._gathered(displacement_mm)
        per_element = np.einsum("eab,eb->ea", self._element_matrices(moduli), local)
        return np.bincount(self._unknown_of, per_element.ravel(), self.unknowns + 1)[:-1]

    def work_gradient(self, moduli: np.ndarray, virtual_mm: np.ndarray, displacement_mm: np.ndarray) -> np.ndarray:
        """(2, T): derivatives by log moduli of the work of a displacement's stress on a virtual field, (nodes, D) each.

        They add up to that work.
        """
        first, second = self._gathered(virtual_mm), self._gathered(displacement_mm)
        return self._by_tissue(moduli, first[:, :, None] * second[:, None, :])

    def trace_gradient(self, moduli: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """(2, T): derivatives by log moduli of trace(left' A right) with the stiffness matrix A; (F, M) each."""
        parts = []
        for k, slab in enumerate(self._slabs):
            parts.append(matrix_product(left[slab], right[slab].T).ravel())
            if k > 0:
                before = self._slabs[k - 1]
                parts.append(
                    (matrix_product(left[slab], right[before].T) + matrix_product(right[slab], left[before].T)).ravel()
                )
            else:
                parts.append(np.zeros(0))
        products = np.zeros(self._kept.shape)
        products[self._kept] = np.concatenate(parts)[self._entries]
        return self._by_tissue(moduli, products.reshape(len(self._elements), self._width, self._width))

    def nodal_values(self, free_values: np.ndarray, prescribed: np.ndarray | None = None) -> np.ndarray:
        """(nodes, D) with ``free_values`` (F,) at the free nodes, and ``prescribed`` or zero elsewhere."""
        values = np.zeros((len(self.free), self.dimension)) if prescribed is None else prescribed.copy()
        values[self.free] = free_values.reshape(-1, self.dimension)
        return values

    def positions_mm(self) -> np.ndarray:
        """Positions (nodes, D) of all nodes."""
        return np.indices(self.shape).reshape(self.dimension, -1).T * self.size_mm

    def _cell_values(self, values: np.ndarray) -> np.ndarray:
        """(E, Q) voxel values in the elements between the nodes."""
        slices, split = [], []
        for axis, (n, f) in enumerate(zip(self.shape, self.factors, strict=True)):
            if f % 2:  # halves of voxels belong to different elements
                values = np.repeat(values, 2, axis=axis)
            cells = f if f % 2 == 0 else 2 * f
            slices.append(slice(cells // 2, cells // 2 + cells * (n - 1)))
            split += [n - 1, cells]
        values = values[tuple(slices)].reshape(split)
        values = np.moveaxis(values, range(1, 2 * self.dimension, 2), range(self.dimension, 2 * self.dimension))
        return values.reshape(int(np.prod(split[::2])), -1)

    def _element_nodes(self) -> np.ndarray:
        numbers = np.arange(int(np.prod(self.shape))).reshape(self.shape)
        windows = [
            numbers[tuple(slice(offset, n - 1 + offset) for offset, n in zip(corner, self.shape, strict=True))]
            for corner in self._corners()
        ]
        return np.stack(windows, axis=-1).reshape(-1, 2**self.dimension)

    def _corners(self) -> list[tuple[int, ...]]:
        return list(product((0, 1), repeat=self.dimension))

    def _unit_matrices(self) -> np.ndarray:
        """(2, width, width): the matrix of an element for λ = 1 and for μ = 1."""
        corners = np.array(self._corners())
        found = np.zeros((2, *[self.dimension * len(corners)] * 2))
        for point in product(GAUSS, repeat=self.dimension):
            weights = np.where(corners == 1, point, 1 - np.array(point))
            slopes = np.where(corners == 1, 1.0, -1.0) / self.size_mm
            gradients = np.stack(
                [slopes[:, axis] * np.prod(np.delete(weights, axis, axis=1), axis=1) for axis in range(self.dimension)],
                axis=1,
            )
            symmetric = np.einsum("na,ma,cd->ncmd", gradients, gradients, np.eye(self.dimension))
            symmetric += np.einsum("nd,mc->ncmd", gradients, gradients)
            found += np.stack([np.outer(gradients.ravel(), gradients.ravel()), symmetric.reshape(found[0].shape)])
        return found * float(np.prod(self.size_mm)) / len(GAUSS) ** self.dimension

    def _free_nodes(self, in_body: np.ndarray) -> np.ndarray:
        touching = np.bincount(self._elements.ravel(), minlength=int(np.prod(self.shape)))
        corners = self._elements.shape[1]
        inside = np.bincount(self._elements.ravel(), np.repeat(in_body, corners), len(touching))
        unmodeled = (self._cells == NO_TISSUE).mean(axis=1)
        unmodeled = np.bincount(self._elements.ravel(), np.repeat(unmodeled, corners), len(touching)) / corners
        return (touching == corners) & (inside == corners) & (unmodeled < MAX_UNMODELED_SHARE)

    def _node_volumes(self) -> np.ndarray:
        """(nodes, T) volume of every tissue around each node."""
        corners = self._elements.shape[1]
        share = self._shares * float(np.prod(self.size_mm)) / corners
        return np.stack(
            [np.bincount(self._elements.ravel(), np.repeat(part, corners), len(self.free)) for part in share], axis=1
        )

    def _index(self) -> None:
        """Where every entry of every element's matrix goes among the blocks of the slabs."""
        dimension, corners = self.dimension, self._elements.shape[1]
        self._width = dimension * corners
        unknowns = np.full(len(self.free), -1)
        unknowns[self.free] = np.arange(int(self.free.sum()))
        local = unknowns[self._elements]
        local = np.where(local[..., None] >= 0, local[..., None] * dimension + np.arange(dimension), -1)
        local = local.reshape(len(self._elements), self._width)
        self._unknown_of = np.where(local >= 0, local, self.unknowns).ravel()
        slab_of_node = np.argwhere(self.free.reshape(self.shape))[:, 0]
        present, slab_of_node = np.unique(slab_of_node, return_inverse=True)
        sizes = np.bincount(slab_of_node, minlength=len(present)) * dimension
        begins = np.concatenate([[0], np.cumsum(sizes)])
        self._slabs = [slice(a, b) for a, b in zip(begins[:-1], begins[1:], strict=True)]
        self._block_shapes, lengths = [], []
        for k, size in enumerate(sizes):
            self._block_shapes += [(size, size), (size, sizes[k - 1] if k else 0)]
            lengths += [size * size, size * (sizes[k - 1] if k else 0)]
        self._ends = np.concatenate([[0], np.cumsum(lengths)])
        slab = np.append(np.repeat(slab_of_node, dimension), -9)[local]
        row, column = np.broadcast_arrays(local[:, :, None], local[:, None, :])
        row_slab, column_slab = np.broadcast_arrays(slab[:, :, None], slab[:, None, :])
        kept = (row >= 0) & (column >= 0) & (column_slab <= row_slab)
        row, column, row_slab, column_slab = row[kept], column[kept], row_slab[kept], column_slab[kept]
        within = (row - begins[row_slab]) * sizes[column_slab] + column - begins[column_slab]
        self._entries = self._ends[2 * row_slab + (column_slab < row_slab)] + within
        self._kept = kept.ravel()

    def _element_moduli(self, moduli: np.ndarray) -> np.ndarray:
        """(2, E): harmonic means over the modeled tissues, times their share."""
        compliance = (1 / moduli) @ self._shares
        return np.divide(self._filled**2, compliance, out=np.zeros_like(compliance), where=compliance > 0)

    def _element_matrices(self, moduli: np.ndarray) -> np.ndarray:
        """(E, width, width)."""
        per_element = matrix_product(self._element_moduli(moduli).T, self._unit.reshape(2, -1))
        return per_element.reshape(-1, self._width, self._width)

    def _by_tissue(self, moduli: np.ndarray, products: np.ndarray) -> np.ndarray:
        """(2, T): derivatives by log moduli of products (E, width, width) times the matrices of all elements."""
        work = matrix_product(self._unit.reshape(2, -1), products.reshape(len(products), -1).T)
        slope = (
            np.divide(self._element_moduli(moduli), self._filled, out=np.zeros_like(work), where=self._filled > 0) ** 2
        )
        return (work * slope) @ self._shares.T / moduli

    def _gathered(self, values: np.ndarray) -> np.ndarray:
        return values[self._elements].reshape(len(self._elements), -1)
