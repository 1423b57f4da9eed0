"""Symmetric positive definite matrices whose unknowns come in slabs that only couple with their neighbors.

Stiffness matrices on regular grids are such: a slab is a row of nodes in 2D, a plane of nodes in 3D. Dense blocks of
that size are factorised fast without a library for sparse matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .matrices import inverse, product

Blocks = list[np.ndarray]


@dataclass(frozen=True, eq=False)
class Factors:
    """A factorised matrix: inverses of the Schur complements of the slabs, and the blocks below the diagonal."""

    inverses: Blocks
    lower: Blocks
    slabs: list[slice]

    def solve(self, right: np.ndarray) -> np.ndarray:
        """x with A x = ``right``, (N,) or (N, M)."""
        parts = [right[slab] for slab in self.slabs]
        for k in range(1, len(parts)):
            parts[k] = parts[k] - product(self.lower[k], product(self.inverses[k - 1], parts[k - 1]))
        parts[-1] = product(self.inverses[-1], parts[-1])
        for k in range(len(parts) - 2, -1, -1):
            parts[k] = product(self.inverses[k], parts[k] - product(self.lower[k + 1].T, parts[k + 1]))
        return np.concatenate(parts)


def factorise(diagonal: Sequence[np.ndarray], lower: Sequence[np.ndarray]) -> Factors:
    """Factors of the matrix with these blocks; ``lower[k]`` couples slab k with k - 1, ``lower[0]`` is not used.

    Raises RuntimeError if the matrix is singular.
    """
    inverses: Blocks = []
    for k, block in enumerate(diagonal):
        schur = block if k == 0 else block - product(product(lower[k], inverses[k - 1]), lower[k].T)
        inverses.append(inverse(schur))
    ends = np.cumsum([0, *(len(block) for block in diagonal)])
    return Factors(inverses, list(lower), [slice(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True)])
