"""How the panel writes weights and ratios, and reads what is typed."""

from __future__ import annotations

import math

from ...core.physics.parameter_scale import LogScale, ParameterScale
from ...core.physics.tuning import slider_shift

MAX_WEIGHT = "0.888"
MAX_RATIO = "0.0888"


def weight_text(weight: float) -> str:
    """A weight with three significant digits, but at most three decimals, so that it fits into its field."""
    return f"{weight:.3g}" if weight >= 0.1 else f"{weight:.3f}".rstrip("0").rstrip(".")


def typed_number(text: str) -> float | None:
    """The number in a text with a decimal point or comma; None if there is no finite one."""
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def ratio_text(ratio: float) -> str:
    """A ratio with three significant digits, but at most four decimals and six characters."""
    if ratio < 0.1:
        return f"{ratio:.4f}".rstrip("0").rstrip(".")
    if ratio < 999.5:
        return f"{ratio:.3g}"
    return f"{ratio:.0f}" if ratio < 1e5 else f"{ratio:.0e}"


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
