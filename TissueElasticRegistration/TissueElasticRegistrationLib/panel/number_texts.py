"""How the panel writes weights and ratios."""

from __future__ import annotations

from ..core.parameter_scale import LogScale, ParameterScale
from ..core.tuning import slider_shift


def weight_text(weight: float) -> str:
    """A weight with three significant digits, but at most three decimals, so that it fits into its box."""
    return f"{weight:.3g}" if weight >= 0.1 else f"{weight:.3f}".rstrip("0").rstrip(".")


def ratio_text(ratio: float) -> str:
    """A ratio with three significant digits, large ones without exponent."""
    return f"{ratio:.3g}" if ratio < 1000 else f"{ratio:.0f}"


def together_text(decades: float, scale: ParameterScale) -> str:
    """What a slider for all tissues does to their weights: a factor, or what is added where zero is a weight."""
    if isinstance(scale, LogScale):
        return f"× {10**decades:.3g}"
    return f"{slider_shift(decades):+.2f}"


def stiffness_text(ratio: float) -> str:
    """A ratio that is known roughly: one digit, from 1 on two."""
    if ratio >= 10:
        return f"{ratio:.0f}"
    return f"{ratio:.1f}" if ratio >= 0.95 else f"{ratio:.1g}"
