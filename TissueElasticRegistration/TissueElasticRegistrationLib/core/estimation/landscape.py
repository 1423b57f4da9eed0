"""How good the registration of each tissue is for every pair of λ and μ that was tried."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Scores closer together than this are equal, for Dice: two equally good registrations with the same parameters, from
# zero or from a neighbor, differ by 0.0003 to 0.003 (2D and 3D phantoms, median by tissue). Ties that go to the start
# value also keep Dice from choosing parameters that only fit noise better: with them the deformation inside the tissues
# is wrong by 0.5 mm instead of 0.7 mm (2D phantoms).
TOLERANCE = 0.002
# λ and μ hardly matter to a tissue if more than half of its scores lie this close to the best one.
INSENSITIVE_RANGE = 0.005


@dataclass(frozen=True, eq=False)
class Landscape:
    """Scores by tissue and grid point. Tissues are addressed by number, grid points by (fractional) indices (λ, μ).

    Attributes:
        lam: Weights λ that were tried, ascending, equally far apart on the slider.
        mu: The same for μ.
        scores: (tissue, λ, μ), higher is better; NaN where nothing has been measured (yet).
        tolerance: Scores closer together than this are equal.
        insensitive_range: A tissue is insensitive if more than half of its scores lie this close to its best one.
    """

    lam: np.ndarray
    mu: np.ndarray
    scores: np.ndarray
    tolerance: float = TOLERANCE
    insensitive_range: float = INSENSITIVE_RANGE

    def best(self, tissue: int, near: tuple[float, float]) -> tuple[int, int] | None:
        """The best grid point of a tissue; of those within ``tolerance`` of the best, the one closest to ``near``.

        Args:
            tissue: Number along the first axis of ``scores``.
            near: Fractional indices (λ, μ).

        Returns:
            Indices (λ, μ); None if nothing is known.
        """
        scores = self.scores[tissue]
        if not np.isfinite(scores).any():
            return None
        a, b = np.nonzero(scores >= np.nanmax(scores) - self.tolerance)  # False for NaN
        distance = np.hypot(a - near[0], b - near[1])
        # Of equally close ones too, the best; rounded, because equal distances may differ in their last bits.
        first = np.lexsort((-scores[a, b], np.round(distance, 6)))[0]
        return int(a[first]), int(b[first])

    def near_best(self, tissue: int) -> np.ndarray:
        """Bool (λ, μ): within ``insensitive_range`` of the best point."""
        scores = self.scores[tissue]
        known = np.isfinite(scores)
        return known & (scores >= scores[known].max() - self.insensitive_range) if known.any() else known

    def is_insensitive(self, tissue: int) -> bool:
        """Whether more than half of the known scores lie within ``insensitive_range`` of the best."""
        known = np.isfinite(self.scores[tissue])
        return bool(2 * self.near_best(tissue).sum() > known.sum())

    def at(self, tissue: int, indices: tuple[float, float]) -> float:
        """The score at fractional indices (λ, μ), bilinear; NaN if one of the grid points around is not known."""
        value = 0.0
        for a, part_a in _neighbors(indices[0], len(self.lam)):
            for b, part_b in _neighbors(indices[1], len(self.mu)):
                value += part_a * part_b * float(self.scores[tissue, a, b])
        return value


def _neighbors(index: float, count: int) -> list[tuple[int, float]]:
    """The one or two indices around a fractional one, and their parts."""
    index = min(max(index, 0.0), count - 1.0)
    lower = int(index)
    part = index - lower
    return [(lower, 1 - part), (lower + 1, part)] if part > 0 else [(lower, 1.0)]
