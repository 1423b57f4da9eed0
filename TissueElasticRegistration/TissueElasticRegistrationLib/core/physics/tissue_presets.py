"""Start values of λ and μ for common tissues, found by the segment's name or terminology.

The numbers are relative weights that did well on synthetic thoraxes, a 4DCT and cardiac cine MR, and hold as an order
of magnitude elsewhere: they are a start for the sliders, not material constants. Heart muscle is loose because it
contracts by itself: that is no elastic response to a load.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ..data.tissues import BACKGROUND, BACKGROUND_ID, UNSEGMENTED_ID, Lame, Tissue, TissueParameters
from .parameter_scale import LogScale, ParameterScale, rescaled

AIR, FLUID, HEART_MUSCLE, LUNG, UNSEGMENTED, SOFT, LIVER, BONE = 0.02, 0.05, 0.2, 0.5, 0.5, 1.0, 1.0, 30.0

_CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True)
class Preset:
    """The start values of one kind of tissue.

    Attributes:
        label: What the panel calls it.
        weight: Start value of λ and of μ, on the log scale.
        words: By rank, the words that name such a tissue. Of all words in a name those of the lowest rank decide, so
            "rib muscle" is soft (2) and "vertebral body" is bone (3). Whole words, singular: a plural s is removed
            before the comparison, so "rib" matches "Ribs" and not "fibrillin".
        is_offered: Whether the panel offers it for a tissue whose name is not recognized.
    """

    label: str
    weight: float
    words: Mapping[int, str]
    is_offered: bool = True


# In the order of the panel's menu, which also decides within a rank. Neither "tissue" nor "organ" is a word: that every
# segment is.
PRESETS: tuple[Preset, ...] = (
    Preset("Air", AIR, {3: "air gas outside background exterior"}),
    Preset(
        "Fluid",
        FLUID,
        {
            3: "renal calyx",
            5: "blood cavity ventricle atrium lumen bladder gallbladder csf fluid urine effusion ascites lv rv la ra "
            "lvc",
        },
    ),
    Preset("Lung", LUNG, {4: "lung lobe trachea bronchus bronchi airway pulmo"}),
    Preset("Heart muscle", HEART_MUSCLE, {1: "myocardium myocardial"}),
    Preset(
        "Soft tissue",
        SOFT,
        {
            2: "cord marrow muscle wall fat skin tumor tumour nodule gtv ctv artery vein vessel nerve canal disc "
            "ligament tendon",
            6: "soft body trunk torso rest connective parenchyma mass cyst lesion heart aorta cava gland spleen kidney "
            "adrenal pancreas stomach bowel intestine duodenum jejunum ileum colon rectum esophagus oesophagus thyroid "
            "thymus parotid submandibular prostate uterus ovary testis breast placenta brain cerebrum cerebellum "
            "brainstem hippocampus matter eye lens tongue larynx pharynx diaphragm gluteus autochthon iliopsoas psoas",
        },
    ),
    Preset("Liver", LIVER, {5: "liver hepar"}),
    Preset(
        "Bone",
        BONE,
        {
            3: "bone rib vertebra vertebrae vertebral spine sternum clavicle clavicula scapula femur femoral hip "
            "sacrum pelvis ilium ischium pubis acetabulum skull humerus cranium mandible maxilla tibia fibula radius "
            "ulna patella cartilage tooth teeth implant metal coccyx skeleton",
        },
    ),
    Preset("Unsegmented", UNSEGMENTED, {1: "unsegmented"}, is_offered=False),
)
# By rank: weight and words.
_RANKED = sorted(
    ((rank, preset.weight, words.split()) for preset in PRESETS for rank, words in preset.words.items()),
    key=lambda entry: entry[0],
)
NOTHING_UNDERSTOOD = (
    "No segment name identifies its tissue, so all tissues start with the same elasticity; rename the segments, or set "
    "the elasticity of each one."
)
# Whose stiffness counts as 1.
_SOFT_NAMES = ("soft", "soft tissue", "body", "muscle", "unsegmented")
# Words that mean a tissue only beside one of these: a lobe may also be one of the brain, the liver or the thyroid.
_ONLY_BESIDE = {"lobe": {"upper", "middle", "lower", "lung", "pulmonary"}, "renal": {"pelvi"}}


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
    """The segments among ``tissues`` if not one of them is `understood` (see `NOTHING_UNDERSTOOD`), otherwise none."""
    segments = tuple(tissue for tissue in tissues if tissue.id not in (BACKGROUND_ID, UNSEGMENTED_ID))
    return () if any(understood(tissue) for tissue in segments) else segments


def _texts(tissue: Described) -> tuple[str, ...]:
    """The texts that may say which tissue it is: the terminology, and the name unless it came with a color."""
    return (tissue.name, tissue.terminology) if tissue.is_named else (tissue.terminology,)


def _known_weight(*texts: str) -> float | None:
    """The weight of the first group of ``_WORDS`` of which one of the texts has a word; None if there is none."""
    words = {_singular(word) for text in texts for word in re.findall(r"[a-z]+", _CAMEL_CASE.sub(" ", text).lower())}
    for _, weight, names in _RANKED:
        for name in names:
            if _singular(name) in words and (name not in _ONLY_BESIDE or words & _ONLY_BESIDE[name]):
                return weight
    return None


def _singular(word: str) -> str:
    """Without a plural s, which also takes the s of "pelvis": names and texts go through the same mill."""
    return word.removesuffix("s") if len(word) > 3 else word


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
