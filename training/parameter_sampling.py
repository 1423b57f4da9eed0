"""Which slider positions a network sees while it learns."""

from __future__ import annotations

import numpy as np


def draw_sliders(
    generator: np.random.Generator, batch: int, tissues: int, ends: float = 0.2, equal: float = 0.15
) -> np.ndarray:
    """Positions of λ and μ for every tissue of every pair of one step.

    Args:
        generator: Draws them.
        batch: Number of pairs.
        tissues: Number of tissues.
        ends: Share of all numbers that are exactly 0 or 1, so that the ends of the sliders are learnt as well as the
            middle (as the published code draws them); the others are uniform.
        equal: Share of the steps in which all tissues of a pair have the same two positions, as in a search with one λ
            and one μ for the whole body.

    Returns:
        (batch, tissues, 2) float32 in [0, 1].

    Raises:
        ValueError: A share is not between 0 and 1.
    """
    if not (0 <= ends <= 1 and 0 <= equal <= 1):
        raise ValueError(f"Shares lie between 0 and 1, unlike {ends} and {equal}.")
    shape = (batch, tissues, 2)
    sliders = generator.random(shape)
    at_end = generator.random(shape) < ends
    sliders = np.where(at_end, generator.integers(0, 2, shape), sliders)
    if generator.random() < equal:
        sliders = np.broadcast_to(sliders[:, :1], shape)
    return np.ascontiguousarray(sliders, np.float32)
