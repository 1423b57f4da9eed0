"""Can a model register a pair? Answered from its card, the grid and the names of the tissues: without torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from ..data.geometry import Geometry
from ..data.tissues import BACKGROUND_ID, UNSEGMENTED_ID
from ..preparation.working_grid import working_grid
from .model_card import ModelCard


class Named(Protocol):
    """A tissue, or what the panel knows of one."""

    id: str
    name: str


def fit_problem(card: ModelCard, fixed: Geometry, finest_mm: float | None, tissues: Iterable[Named]) -> str | None:
    """Why a model cannot register a pair, in one sentence; None if it can.

    Args:
        card: Of the model.
        fixed: Grid of the fixed image.
        finest_mm: As in `working_grid`.
        tissues: Of the fixed image.
    """
    try:
        goes_slice_by_slice(card, working_grid(fixed, finest_mm).pooled_axes)
        classes(card, tissues)
    except ValueError as problem:
        return str(problem)
    return None


def goes_slice_by_slice(card: ModelCard, pooled_axes: tuple[bool, ...]) -> bool:
    """Whether a 2D model registers a stack of thick slices.

    Args:
        card: Of the model.
        pooled_axes: For each axis of the working pair (2 for a single slice) whether it may be averaged along.

    Raises:
        ValueError: If such images are nothing for the model.
    """
    if card.dimension == len(pooled_axes):
        return False
    if card.dimension == 2 and not pooled_axes[0] and all(pooled_axes[1:]):
        return True
    kinds = {2: "single slices and stacks of thick slices", 3: "volumes"}
    raise ValueError(f"The model '{card.name}' supports {kinds[card.dimension]} only.")


def classes(card: ModelCard, tissues: Iterable[Named]) -> tuple[int, ...]:
    """For each tissue its place in the card's list: all the first one for models that have no list.

    Args:
        card: Of the model.
        tissues: Of the pair.

    Raises:
        ValueError: For a tissue that the model does not know.
    """
    places = {name.casefold(): place for place, name in enumerate(card.tissues)}
    places.update({name.casefold(): 0 for name in card.rest})
    found = []
    for tissue in tissues:
        known = not card.tissues or tissue.id in (BACKGROUND_ID, UNSEGMENTED_ID)
        place = 0 if known else places.get(tissue.name.casefold())
        if place is None:
            raise ValueError(
                f"The model '{card.name}' supports only the tissues {', '.join(card.tissues)}, not '{tissue.name}'."
            )
        found.append(place)
    return tuple(found)
