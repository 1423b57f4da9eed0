"""Start values of λ and μ for common tissues, found by the segment's name or terminology.

The numbers are relative weights that did well on synthetic thoraxes, a 4DCT and cardiac cine MR, and hold as an order
of magnitude elsewhere: they are a start for the sliders, not material constants. Heart muscle is loose because it
contracts by itself: that is no elastic response to a load.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from ..data.tissues import BACKGROUND, BACKGROUND_ID, UNSEGMENTED_ID, Lame, Tissue, TissueParameters, listed_names
from .parameter_scale import LogScale, ParameterScale, rescaled

AIR, FLUID, HEART_MUSCLE, LUNG, UNSEGMENTED, SOFT, LIVER, BONE = 0.02, 0.05, 0.2, 0.5, 0.5, 1.0, 1.0, 30.0

_CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])")
_LETTERS = str.maketrans({"ß": "ss", "æ": "ae", "œ": "oe"})  # the ones that do not consist of a letter and an accent
_ARTICLE = re.compile(r"\bde la\b")  # "la" is the left atrium otherwise


@dataclass(frozen=True)
class Preset:
    """The start values of one kind of tissue.

    Attributes:
        label: What the panel calls it, and the key of its words in ``tissue_words.json``.
        weight: Start value of λ and of μ, on the log scale.
        is_offered: Whether the panel offers it for a tissue whose name is not recognized.
    """

    label: str
    weight: float
    is_offered: bool = True


# In the order of the panel's menu, which also decides within a rank.
PRESETS: tuple[Preset, ...] = (
    Preset("Air", AIR),
    Preset("Fluid", FLUID),
    Preset("Lung", LUNG),
    Preset("Heart muscle", HEART_MUSCLE),
    Preset("Soft tissue", SOFT),
    Preset("Liver", LIVER),
    Preset("Bone", BONE),
    Preset("Unsegmented", UNSEGMENTED, is_offered=False),
)
NOTHING_UNDERSTOOD = (
    "No segment name identifies its tissue, so all tissues start with the same elasticity; rename the segments, or set "
    "the elasticity of each one."
)
_NO_SEGMENTS = (BACKGROUND_ID, UNSEGMENTED_ID)
# Whose stiffness counts as 1.
_SOFT_NAMES = ("soft", "soft tissue", "body", "muscle", "unsegmented")


class Described(Protocol):
    """What may say which tissue it is: a tissue of the core or a row of the panel.

    Attributes:
        id: Segment ID or label.
        name: What is shown.
        terminology: What the segment's terminology entry says in words, or nothing.
        is_named: False if the name came with a color and says nothing.
    """

    id: str
    name: str
    terminology: str
    is_named: bool


AnyTissue = TypeVar("AnyTissue", bound=Described)


def table_weight(*texts: str) -> float:
    """The start weight (for λ and for μ) of a tissue that texts describe; 1 if unknown.

    Args:
        *texts: Its name, its terminology or both; whole words count, in any case, singular or plural.

    Example:
        >>> table_weight("Ribs"), table_weight("Segment_1", "Lung"), table_weight("Segment_1")
        (30.0, 0.5, 1.0)
    """
    weight = _known_weight(*texts)
    return SOFT if weight is None else weight


def start_weight(tissue: Described) -> float:
    """The start weight (for λ and for μ) of a tissue; 1 if it is not `understood`."""
    return table_weight(*_texts(tissue))


def understood(tissue: Described) -> bool:
    """Whether its name or terminology says which tissue it is, so that its start weight means something."""
    return _known_weight(*_texts(tissue)) is not None


def unknown_segments(tissues: Iterable[AnyTissue]) -> tuple[AnyTissue, ...]:
    """The segments among ``tissues`` that are not `understood` (see `names_warning`)."""
    return tuple(tissue for tissue in tissues if tissue.id not in _NO_SEGMENTS and not understood(tissue))


def names_warning(tissues: Iterable[Described], chosen: Collection[str] = ()) -> str:
    """One sentence if tissues start with the values of soft tissue because their names say nothing, otherwise "".

    Args:
        tissues: All tissues that have a voxel.
        chosen: Ids of those whose values do not come from their names.

    Example:
        >>> names_warning([Tissue(1, "lung"), Tissue(2, "structure 12")])[:80]
        "Some segment names do not identify a tissue, which then starts as soft tissue: '"
    """
    segments = tuple(tissue for tissue in tissues if tissue.id not in _NO_SEGMENTS)
    unknown = unknown_segments(segments)
    unset = [tissue.name for tissue in unknown if tissue.id not in chosen]
    if not unset:
        return ""
    if len(unknown) == len(segments):
        return NOTHING_UNDERSTOOD
    return (
        f"Some segment names do not identify a tissue, which then starts as soft tissue: {listed_names(unset)}; rename "
        "these segments, or set their elasticity."
    )


def _texts(tissue: Described) -> tuple[str, ...]:
    """The texts that may say which tissue it is: the terminology, and the name unless it came with a color."""
    return (tissue.name, tissue.terminology) if tissue.is_named else (tissue.terminology,)


def _known_weight(*texts: str) -> float | None:
    """The weight of the word of the lowest rank that one of the texts has; None if none of them is known."""
    words = {word for text in texts for word in _words(text)}
    known = [_VOCABULARY[word] for word in words & _VOCABULARY.keys()]
    ranked = [(one.rank, one.order, one.weight) for one in known if not one.beside or words & one.beside]
    return min(ranked)[-1] if ranked else None


class Word(NamedTuple):
    """A word that names a tissue. Of all words in a name the one of the lowest rank decides.

    So "rib muscle" is soft (2) and "vertebral body" is bone (3).

    Attributes:
        rank: From 1.
        order: Place in `PRESETS`, which decides among equal ranks.
        weight: Start value of λ and of μ, on the log scale.
        beside: Words of which the name needs one as well: a lobe may also be one of the brain or the thyroid.
    """

    rank: int
    order: int
    weight: float
    beside: frozenset[str]


def vocabulary() -> dict[str, Word]:
    """All words that are understood: English, Latin as tools write it, German, French, Spanish, Italian.

    Left out are "tissue" and "organ", which every segment is, parts of the body (head, chest), and words that mean
    something else in another language or without their accent, such as "côte". Later additions have ranks behind the
    first six, so that no name has ever changed its start value.
    """
    content = json.loads((Path(__file__).parent / "tissue_words.json").read_text(encoding="utf-8"))
    beside = {word: frozenset(_words(others)) for word, others in content["only_beside"].items()}
    return {
        _singular(word): Word(int(rank), order, preset.weight, beside.get(word, frozenset()))
        for order, preset in enumerate(PRESETS)
        for rank, languages in content["words"][preset.label].items()
        for text in languages.values()
        for word in text.split()
    }


def _words(text: str) -> list[str]:
    """The words of a name: camelCase and underscores split, without accents, capitals, digits and a plural s."""
    plain = "".join(
        letter
        for letter in unicodedata.normalize("NFKD", text.translate(_LETTERS))
        if not unicodedata.combining(letter)
    )
    lower = _ARTICLE.sub(" ", _CAMEL_CASE.sub(" ", plain).lower().replace("_", " "))
    return [_singular(word) for word in re.findall(r"[a-z]+", lower)]


def _singular(word: str) -> str:
    """Without a plural s, which also takes the s of "pelvis": names and texts go through the same mill."""
    return word.removesuffix("s") if len(word) > 3 else word


_VOCABULARY = vocabulary()


def table_parameters(tissues: Iterable[Tissue], scale: ParameterScale) -> TissueParameters:
    """Start values for every tissue (λ = μ, so ν = 0.25).

    Air 0.02, fluid 0.05, heart muscle 0.2, lung 0.5, soft tissue and liver 1, bone 30, and 0.5 for what lies inside the
    body without a segment.

    Args:
        tissues: The tissues of a segmentation; background counts as air unless it is one of them.
        scale: Where the weights are wanted: on the paper's scale those at the same slider positions.
    """
    weights = {tissue.label: start_weight(tissue) for tissue in tissues}
    weights.setdefault(BACKGROUND, AIR)
    return TissueParameters({label: from_table(weight, scale) for label, weight in weights.items()})


def from_table(weight: float, scale: ParameterScale) -> Lame:
    """λ = μ = a weight of the table, on another scale at the same slider position.

    Args:
        weight: On the log scale.
        scale: Where it is wanted.
    """
    log = LogScale()
    return Lame(weight, weight) if scale.name == log.name else rescaled(Lame(weight, weight), log, scale)


def soft_stiffness(tissues: Iterable[tuple[str, Lame]], scale: ParameterScale) -> float:
    """Stiffness of the body's soft tissue as it is set now, or as the table would set it if there is none.

    Stiffness has no absolute size; all are given relative to this one.

    Args:
        tissues: Name and parameters of each.
        scale: The scale of the parameters.

    Returns:
        Young's modulus in the unit of the weights.
    """
    for name, lame in tissues:
        if name.casefold() in _SOFT_NAMES:
            return lame.stiffness
    return from_table(SOFT, scale).stiffness
