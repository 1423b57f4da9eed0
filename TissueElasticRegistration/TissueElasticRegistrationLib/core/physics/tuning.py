"""From what is set in the panel or in a console call to the parameters of a registration. Without torch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from ..data.tissues import Lame, Tissue, TissueParameters, find_tissue
from .parameter_scale import LogScale, ParameterScale

DIGITS = 12  # of a slider position


def scaled_together(
    values: Mapping[str, Lame], locked: Collection[str], decades_lam: float, decades_mu: float, scale: ParameterScale
) -> dict[str, Lame]:
    """All tissues stiffer or softer at once, within the scale's range.

    Args:
        values: Tissue id -> parameters.
        locked: Ids of the tissues that stay as they are.
        decades_lam: λ is multiplied by 10 to this power.
        decades_mu: μ is multiplied by 10 to this power.
        scale: The scale whose range applies.
    """
    return {
        key: lame
        if key in locked
        else Lame(_within(lame.lam * 10**decades_lam, scale), _within(lame.mu * 10**decades_mu, scale))
        for key, lame in values.items()
    }


def slider_shift(decades: float) -> float:
    """How far a tissue's slider moves, of its length 1, when its weight on the log scale is times 10^decades."""
    log = LogScale()
    return decades / (log.exponent_high - log.exponent_low)


def on_scale(values: Mapping[str, Lame], source: ParameterScale, target: ParameterScale) -> dict[str, Lame]:
    """The values at the same slider positions of another scale; there and back, what was typed is the same again.

    Args:
        values: Tissue id -> weights on ``source``.
        source: The scale they come from.
        target: The scale they are wanted on.
    """
    if source == target:
        return dict(values)
    return {
        key: Lame(*(target.weight(round(source.slider(weight), DIGITS)) for weight in (lame.lam, lame.mu)))
        for key, lame in values.items()
    }


def with_values(
    parameters: TissueParameters,
    tissues: Iterable[Tissue],
    values: Mapping[str, Lame | tuple[float, float]],
    ignore_unknown: bool = False,
) -> TissueParameters:
    """``parameters`` with other values for some tissues.

    Args:
        parameters: The values of all tissues.
        tissues: The tissues of the segmentation.
        values: Id or name of a tissue -> (λ, μ) or `Lame`.
        ignore_unknown: Skip keys that fit no tissue (a segment that is gone, unsegmented tissue where there is none).

    Raises:
        ValueError: A key fits no tissue, unless ``ignore_unknown``; the message lists the known ones. Or a value is
            negative or not finite.
    """
    tissues = tuple(tissues)
    known = {key for tissue in tissues for key in (tissue.id, tissue.name.casefold())}
    for key, value in values.items():
        if ignore_unknown and key not in known and key.casefold() not in known:
            continue
        lame = value if isinstance(value, Lame) else Lame(*value)
        parameters = parameters.with_tissue(find_tissue(tissues, key).label, lame)
    return parameters


def by_id(parameters: TissueParameters, tissues: Iterable[Tissue]) -> dict[str, Lame]:
    """The parameters of each tissue under its id.

    Args:
        parameters: By label.
        tissues: The tissues of the segmentation.
    """
    return {tissue.id: parameters[tissue.label] for tissue in tissues}


def _within(weight: float, scale: ParameterScale) -> float:
    return min(max(weight, scale.lowest), scale.highest)
