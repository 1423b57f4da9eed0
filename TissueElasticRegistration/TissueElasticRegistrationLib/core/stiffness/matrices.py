"""Products and inverses of large matrices, computed with as many threads as torch was told to use.

numpy takes all processors and cannot be told otherwise: for matrices of this size, on a computer that does something
else as well, that takes four times as long (2D, two processors).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """``left @ right``."""
    return (torch.from_numpy(left) @ torch.from_numpy(right)).numpy()


def inverse(matrix: np.ndarray) -> np.ndarray:
    """Raises torch.linalg.LinAlgError, a RuntimeError, if the matrix is singular."""
    return torch.linalg.inv(torch.from_numpy(matrix)).numpy()


def log_determinant(matrix: np.ndarray) -> float:
    """Of the absolute value of the determinant."""
    return float(torch.linalg.slogdet(torch.from_numpy(matrix)).logabsdet)


@contextmanager
def tiny_is_zero() -> Iterator[None]:
    """Inside, numbers below 1e-307 are zero in this thread.

    The effects of forces fade exponentially, and processors are up to thirty times slower with such numbers.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
