"""From what is set in the panel or in a console call to the parameters of a registration. Without torch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from reprlib import repr as shortened

from ..data.tissues import Lame, Tissue, TissueParameters, find_tissue, lame_of
from .parameter_scale import LogScale, ParameterScale, SliderPositions


def moved_together(
    positions: Mapping[str, SliderPositions], locked: Collection[str], decades_lam: float, decades_mu: float
) -> dict[str, SliderPositions]:
    """All tissues stiffer or softer at once; sliders stop at their ends.

    Args:
        positions: Tissue id -> positions of its sliders.
        locked: Ids of the tissues that stay as they are.
        decades_lam: On the log scale, λ is multiplied by 10 to this power.
        decades_mu: On the log scale, μ is multiplied by 10 to this power.
    """
    lam, mu = slider_shift(decades_lam), slider_shift(decades_mu)
    return {
        key: place if key in locked else SliderPositions(_within(place.lam + lam), _within(place.mu + mu))
        for key, place in positions.items()
    }


def slider_shift(decades: float) -> float:
    """How far a tissue's slider moves, of its length 1, when its weight on the log scale is times 10^decades."""
    log = LogScale()
    return decades / (log.exponent_high - log.exponent_low)


def weights_at(positions: Mapping[str, SliderPositions], scale: ParameterScale) -> dict[str, Lame]:
    """λ and μ of every tissue.

    Args:
        positions: Tissue id -> positions of its sliders.
        scale: The scale that the weights are wanted on.
    """
    return {key: place.weights(scale) for key, place in positions.items()}


def checked_values(values: object) -> dict[str, Lame]:
    """Values of tissues as a user gives them; which tissues there are does not matter.

    Args:
        values: Id or name of a tissue -> (λ, μ) or `Lame`.

    Raises:
        ValueError: It is something else, or a value is negative or not finite.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"λ and μ must be given as {{tissue: (λ, μ)}}, not {shortened(values)}.")
    for key in values:
        if not isinstance(key, str):
            raise ValueError(f"λ and μ must be given by the name or ID of a tissue, not {shortened(key)}.")
    return {key: lame_of(value, key) for key, value in values.items()}


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
        ignore_unknown: Keys are ids only; skip those that fit no tissue (a segment that is gone, unsegmented tissue
            where there is none).

    Raises:
        ValueError: A key fits no tissue, unless ``ignore_unknown``, or several, or two keys fit one tissue; the
            message lists them. Or like `checked_values`.
    """
    tissues = tuple(tissues)
    by_id = {tissue.id: tissue for tissue in tissues}
    keys: dict[int, str] = {}
    for key, lame in checked_values(values).items():
        if ignore_unknown and key not in by_id:
            continue
        tissue = by_id[key] if ignore_unknown else find_tissue(tissues, key)
        if tissue.label in keys:
            raise ValueError(f"'{keys[tissue.label]}' and '{key}' are the same tissue; give its values once.")
        keys[tissue.label] = key
        parameters = parameters.with_tissue(tissue.label, lame)
    return parameters


def by_id(parameters: TissueParameters, tissues: Iterable[Tissue]) -> dict[str, Lame]:
    """The parameters of each tissue under its id.

    Args:
        parameters: By label.
        tissues: The tissues of the segmentation.
    """
    return {tissue.id: parameters[tissue.label] for tissue in tissues}


def _within(position: float) -> float:
    return min(max(position, 0.0), 1.0)
