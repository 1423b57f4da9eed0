"""How a slider position between 0 and 1 becomes a weight of the elastic energy, and what the similarity then weighs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ..data.tissues import Lame, TissueParameters

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class LogScale:
    """Weight 10^(-1.7 + 4 s) for slider s: 0.02 to 200, the same factor per step everywhere; similarity weight 1.

    Not the paper's scale: there, moving a slider from end to end changes the strain energy by about a
    tenth, here 50-fold.

    Attributes:
        name: What files and results call the scale.
        exponent_low: Power of ten at slider 0.
        exponent_high: Power of ten at slider 1.

    Example:
        >>> scale = LogScale()
        >>> round(scale.weight(0.0), 3), round(scale.weight(1.0), 1)
        (0.02, 199.5)
        >>> round(scale.slider(1.0), 3)
        0.425
    """

    name: str = "log"
    exponent_low: float = -1.7
    exponent_high: float = 2.3

    @property
    def lowest(self) -> float:
        """Weight at slider 0."""
        return 10**self.exponent_low

    @property
    def highest(self) -> float:
        """Weight at slider 1."""
        return 10**self.exponent_high

    def weight(self, slider: float) -> float:
        """Weight at a slider position.

        Args:
            slider: Position in [0, 1].

        Raises:
            ValueError: The position lies outside of [0, 1].
        """
        return 10 ** (self.exponent_low + (self.exponent_high - self.exponent_low) * _unit(slider))

    def slider(self, weight: float) -> float:
        """Slider position of a weight, clipped to [0, 1]."""
        if weight <= self.lowest:
            return 0.0
        return min(1.0, (math.log10(weight) - self.exponent_low) / (self.exponent_high - self.exponent_low))

    def similarity_weight(self, lam_map: torch.Tensor, mu_map: torch.Tensor) -> torch.Tensor | float:
        """w_sim(x) = 1: image forces act in every tissue, also in the stiff ones.

        Args:
            lam_map: Λ(x), not used.
            mu_map: Γ(x), not used.
        """
        return 1.0


@dataclass(frozen=True)
class PaperScale:
    """Weight = slider, both in [0, 1], similarity weight 2 - Λ - Γ (Reithmeir et al. 2024, Eq. 1).

    Attributes:
        name: What files and results call the scale.
        lowest: Weight at slider 0.
        highest: Weight at slider 1.
    """

    name: str = "paper"
    lowest: float = 0.0
    highest: float = 1.0

    def weight(self, slider: float) -> float:
        """Weight at a slider position: the same number.

        Args:
            slider: Position in [0, 1].

        Raises:
            ValueError: The position lies outside of [0, 1].
        """
        return _unit(slider)

    def slider(self, weight: float) -> float:
        """Slider position of a weight, clipped to [0, 1]."""
        return min(max(weight, 0.0), 1.0)

    def similarity_weight(self, lam_map: torch.Tensor, mu_map: torch.Tensor) -> torch.Tensor | float:
        """w_sim(x) = 2 - Λ(x) - Γ(x), never negative as both are at most 1.

        Args:
            lam_map: Λ(x), (B, 1, *shape).
            mu_map: Γ(x), (B, 1, *shape).
        """
        return 2.0 - lam_map - mu_map


ParameterScale = LogScale | PaperScale
SCALES: dict[str, ParameterScale] = {"log": LogScale(), "paper": PaperScale()}


def check_parameters(parameters: TissueParameters, scale: ParameterScale, names: dict[int, str]) -> None:
    """Check that all parameters lie within the range of a scale.

    Args:
        parameters: The parameters to check; ``default`` is not checked.
        scale: The scale whose range applies, with a tolerance of a millionth for rounding.
        names: Label -> name, for the message.

    Raises:
        ValueError: Naming the tissue, one of its parameters lies outside.
    """
    tolerance = 1e-6 * scale.highest
    for label, lame in parameters.by_label.items():
        for symbol, value in (("λ", lame.lam), ("μ", lame.mu)):
            if not scale.lowest - tolerance <= value <= scale.highest + tolerance:
                name = names.get(label, label)
                raise ValueError(
                    f"{symbol} = {value:g} of tissue '{name}' is outside the allowed range "
                    f"{scale.lowest:.3g} to {scale.highest:.4g} ({scale.name} scale)."
                )


class SliderPositions(NamedTuple):
    """Where the sliders for λ and μ of one tissue stand: the same on every scale.

    Attributes:
        lam: Of the slider for λ, in [0, 1].
        mu: Of the slider for μ, in [0, 1].
    """

    lam: float
    mu: float

    @classmethod
    def of(cls, lame: Lame, scale: ParameterScale) -> SliderPositions:
        """The positions of weights, clipped to [0, 1].

        Args:
            lame: Weights on ``scale``.
            scale: The scale they are on.
        """
        return cls(scale.slider(lame.lam), scale.slider(lame.mu))

    def weights(self, scale: ParameterScale) -> Lame:
        """The weights at these positions.

        Args:
            scale: The scale they are wanted on.

        Raises:
            ValueError: A position lies outside of [0, 1].
        """
        return Lame(scale.weight(self.lam), scale.weight(self.mu))


def rescaled(lame: Lame, source: ParameterScale, target: ParameterScale) -> Lame:
    """The parameters at the same slider positions on another scale.

    Args:
        lame: Weights on ``source``; beyond its range the end of the range counts.
        source: The scale they come from.
        target: The scale they are wanted on.
    """
    return SliderPositions.of(lame, source).weights(target)


def clipped(lame: Lame, scale: ParameterScale) -> Lame:
    """The nearest parameters within the range of a scale.

    Args:
        lame: Any weights.
        scale: The scale whose range applies.
    """
    return Lame(*(min(max(weight, scale.lowest), scale.highest) for weight in (lame.lam, lame.mu)))


def with_equal_ratio(before: Lame, after: Lame, scale: ParameterScale) -> Lame:
    """The parameters of a tissue after one of its two sliders was moved while λ/μ is held.

    Args:
        before: The parameters before.
        after: The parameters after, in which one weight has moved.
        scale: The scale whose range applies.

    Returns:
        ``after`` with the other weight moved by the same factor. Both stop where the first of them comes to the end of
        the range. Where one weight was 0 there is no ratio to keep.
    """
    if min(before.lam, before.mu) <= 0:
        return clipped(after, scale)
    factor = after.lam / before.lam if after.lam != before.lam else after.mu / before.mu
    lowest, highest = scale.lowest / min(before.lam, before.mu), scale.highest / max(before.lam, before.mu)
    factor = min(max(factor, lowest), highest)
    return clipped(Lame(before.lam * factor, before.mu * factor), scale)


def _unit(slider: float) -> float:
    if not 0 <= slider <= 1:
        raise ValueError(f"Slider position {slider} is outside the allowed range 0 to 1.")
    return float(slider)
