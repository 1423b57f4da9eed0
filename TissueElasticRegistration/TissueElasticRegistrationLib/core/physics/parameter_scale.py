"""How a slider position between 0 and 1 becomes a weight of the elastic energy, and what the similarity then weighs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..data.tissues import Lame, TissueParameters

if TYPE_CHECKING:
    import torch

# What λ and μ weigh: "elastic" both, "diffusion" has one weight, which is kept as μ.
Regularizer = Literal["elastic", "diffusion"]


@dataclass(frozen=True)
class LogScale:
    """Weight 10^(-1.7 + 4 s) for slider s: 0.02 to 200, the same factor per step everywhere; similarity weight 1.

    Not the paper's scale: there, moving a slider from end to end changes the strain energy by about a tenth, here
    50-fold.
    """

    name: str = "log"
    exponent_low: float = -1.7
    exponent_high: float = 2.3

    @property
    def lowest(self) -> float:
        return 10**self.exponent_low

    @property
    def highest(self) -> float:
        return 10**self.exponent_high

    def weight(self, slider: float) -> float:
        """Weight at slider position ``slider`` in [0, 1]."""
        return 10 ** (self.exponent_low + (self.exponent_high - self.exponent_low) * _unit(slider))

    def slider(self, weight: float) -> float:
        """Slider position of a weight, clipped to [0, 1]."""
        if weight <= self.lowest:
            return 0.0
        return min(1.0, (math.log10(weight) - self.exponent_low) / (self.exponent_high - self.exponent_low))

    def similarity_weight(self, lam_map: torch.Tensor, mu_map: torch.Tensor) -> torch.Tensor | float:
        """w_sim(x) = 1: image forces act in every tissue, also in the stiff ones."""
        return 1.0


@dataclass(frozen=True)
class PaperScale:
    """Weight = slider, both in [0, 1], similarity weight 2 - Λ - Γ (Reithmeir et al. 2024, Eq. 1)."""

    name: str = "paper"
    lowest: float = 0.0
    highest: float = 1.0

    def weight(self, slider: float) -> float:
        """Weight at slider position ``slider`` in [0, 1]: the same number."""
        return _unit(slider)

    def slider(self, weight: float) -> float:
        """Slider position of a weight, clipped to [0, 1]."""
        return min(max(weight, 0.0), 1.0)

    def similarity_weight(self, lam_map: torch.Tensor, mu_map: torch.Tensor) -> torch.Tensor | float:
        """w_sim(x) = 2 - Λ(x) - Γ(x), never negative as both are at most 1."""
        return 2.0 - lam_map - mu_map


ParameterScale = LogScale | PaperScale
SCALES: dict[str, ParameterScale] = {"log": LogScale(), "paper": PaperScale()}


def check_parameters(parameters: TissueParameters, scale: ParameterScale, names: dict[int, str]) -> None:
    """Raise ValueError naming the tissue if one of its parameters lies outside of the range of ``scale``."""
    tolerance = 1e-6 * scale.highest
    for label, lame in parameters.by_label.items():
        for symbol, value in (("λ", lame.lam), ("μ", lame.mu)):
            if not scale.lowest - tolerance <= value <= scale.highest + tolerance:
                name = names.get(label, label)
                raise ValueError(
                    f"{symbol} = {value:g} of tissue '{name}' is outside of the allowed range "
                    f"{scale.lowest:.3g} to {scale.highest:.4g} ({scale.name} scale)."
                )


def rescaled(lame: Lame, source: ParameterScale, target: ParameterScale) -> Lame:
    """The parameters at the same slider positions on another scale."""
    return Lame(target.weight(source.slider(lame.lam)), target.weight(source.slider(lame.mu)))


def clipped(lame: Lame, scale: ParameterScale) -> Lame:
    """The nearest parameters within the range of ``scale``."""
    return Lame(*(min(max(weight, scale.lowest), scale.highest) for weight in (lame.lam, lame.mu)))


def with_equal_ratio(before: Lame, after: Lame, scale: ParameterScale) -> Lame:
    """``after``, in which one weight has moved, with the other moved by the same factor: λ/μ as it was ``before``.

    Both stop where the first of them comes to the end of the range. Where one weight is 0 there is no ratio to keep.
    """
    if min(before.lam, before.mu) <= 0:
        return clipped(after, scale)
    factor = after.lam / before.lam if after.lam != before.lam else after.mu / before.mu
    lowest, highest = scale.lowest / min(before.lam, before.mu), scale.highest / max(before.lam, before.mu)
    factor = min(max(factor, lowest), highest)
    return clipped(Lame(before.lam * factor, before.mu * factor), scale)


def _unit(slider: float) -> float:
    if not 0 <= slider <= 1:
        raise ValueError(f"Slider position {slider} is outside of the allowed range 0 to 1.")
    return float(slider)
