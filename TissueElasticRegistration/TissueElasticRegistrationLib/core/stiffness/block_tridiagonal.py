"""Symmetric positive definite matrices whose unknowns come in slabs that only couple with their neighbors.

Stiffness matrices on regular grids are such: a slab is a row of nodes in 2D, a plane of nodes in 3D. Dense blocks of
that size are factorized fast without a library for sparse matrices. They are multiplied and inverted with as many
threads as torch is set to use: numpy takes all processors, which takes four times as long on a computer that does
something else as well (2D, two processors).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

Blocks = list[np.ndarray]


@dataclass(frozen=True, eq=False)
class Factors:
    """A factorized matrix: inverses of the Schur complements of the slabs, and the blocks below the diagonal."""

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


def factorize(diagonal: Sequence[np.ndarray], lower: Sequence[np.ndarray]) -> Factors:
    """Factorize a matrix.

    Args:
        diagonal: Its square blocks on the diagonal, one per slab.
        lower: Its blocks below: ``lower[k]`` couples slab k with slab k - 1, ``lower[0]`` is not used.

    Returns:
        Its factors.

    Raises:
        RuntimeError: If the matrix is singular.
    """
    inverses: Blocks = []
    for k, block in enumerate(diagonal):
        schur = block if k == 0 else block - product(product(lower[k], inverses[k - 1]), lower[k].T)
        inverses.append(inverse(schur))
    ends = np.cumsum([0, *(len(block) for block in diagonal)])
    return Factors(inverses, list(lower), [slice(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True)])


def product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """``left @ right``."""
    return (torch.from_numpy(left) @ torch.from_numpy(right)).numpy()


def inverse(matrix: np.ndarray) -> np.ndarray:
    """The inverse; raises torch.linalg.LinAlgError, a RuntimeError, if the matrix is singular."""
    return torch.linalg.inv(torch.from_numpy(matrix)).numpy()


def log_determinant(matrix: np.ndarray) -> float:
    """Logarithm of the absolute value of the determinant."""
    return float(torch.linalg.slogdet(torch.from_numpy(matrix)).logabsdet)


@contextmanager
def denormals_flushed() -> Iterator[None]:
    """Inside, numbers below 1e-307 are zero in this thread.

    The effects of forces fade exponentially, and processors are up to thirty times slower with such numbers.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
