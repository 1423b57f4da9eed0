"""λ and μ at an end of their range: a search that ends there was stopped by the range, not by what the images say."""

from __future__ import annotations

from collections.abc import Iterable

from ..data.tissues import Lame, Tissue, TissueParameters
from .parameter_scale import ParameterScale
from .tissue_presets import from_table, start_weight

AT_END = 0.005  # of the length of a slider


def range_warnings(
    parameters: TissueParameters, tissues: Iterable[Tissue], scale: ParameterScale, has_lambda: bool = True
) -> tuple[str, ...]:
    """One sentence naming the tissues whose λ or μ lies at an end of its range.

    An end at which the start value of the tissue lies (air) does not count.

    Args:
        parameters: λ and μ of every tissue.
        tissues: Which tissues to look at.
        scale: The scale whose range applies.
        has_lambda: False for a regularizer on which λ has no effect.

    Returns:
        The sentence, or nothing if there are no such tissues.
    """
    names = [
        tissue.name
        for tissue in tissues
        if _is_at_end(parameters[tissue.label], from_table(start_weight(tissue), scale), scale, has_lambda)
    ]
    if not names:
        return ()
    symbols = "λ or μ" if has_lambda else "μ"
    return (f"{symbols} of {', '.join(names)} is at the limit of its allowed range; the images may not determine it.",)


def _is_at_end(lame: Lame, start: Lame, scale: ParameterScale, has_lambda: bool) -> bool:
    pairs = [(lame.mu, start.mu), *([(lame.lam, start.lam)] if has_lambda else [])]
    return any(_end(weight, scale) not in (None, _end(before, scale)) for weight, before in pairs)


def _end(weight: float, scale: ParameterScale) -> int | None:
    """The end of the slider (0 or 1) at which a weight lies; None for in between."""
    slider = scale.slider(weight)
    return round(slider) if min(slider, 1 - slider) <= AT_END else None
