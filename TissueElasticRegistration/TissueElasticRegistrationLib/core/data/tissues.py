"""Tissues and their Lamé parameters: which label is which tissue, how stiff it is, and the weight maps made from both.

λ and μ are *relative weights* of the elastic energy against the image similarity. Only their ratios have a physical
meaning, never their absolute size (no kPa: a registration cannot identify the scale).
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from reprlib import repr as shortened
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch

BACKGROUND = 0
# Ids and names of the two tissues that no segment stands for: air around the body, and what lies inside it without a
# segment.
BACKGROUND_ID = str(BACKGROUND)
UNSEGMENTED_ID = "unsegmented"
BACKGROUND_NAME, UNSEGMENTED_NAME = "background", "unsegmented"
LISTED_NAMES = 8  # in one sentence


@dataclass(frozen=True)
class Tissue:
    """One tissue of a segmentation.

    Attributes:
        label: Its value in the label array.
        name: What is shown: another one than that of every other tissue of its segmentation (see `distinct_names`).
        id: What stays the same when the name changes: the segment ID, or else the label.
        terminology: What the segment's terminology entry says in words, or nothing.
        is_named: False if the name came with a color, from a color table, and does not say which tissue it is.
        shared_name: What its segment is called if other segments are called the same, or nothing.
    """

    label: int
    name: str
    id: str = ""
    terminology: str = ""
    is_named: bool = True
    shared_name: str = ""

    def __post_init__(self) -> None:
        if not self.id:
            object.__setattr__(self, "id", str(self.label))

    @property
    def segment_name(self) -> str:
        """What its segment is called; other segments may be called the same."""
        return self.shared_name or self.name


@dataclass(frozen=True)
class Lame:
    """Lamé parameters of one tissue as relative weights (no unit).

    Attributes:
        lam: λ, resists a change of volume.
        mu: μ, resists every change of shape.

    Raises:
        ValueError: One of them is no number, negative or not finite.

    Example:
        >>> tissue = Lame(lam=2.0, mu=0.5)
        >>> tissue.poisson_ratio, tissue.stiffness
        (0.4, 1.4)
    """

    lam: float
    mu: float

    def __post_init__(self) -> None:
        for symbol, value in (("λ", self.lam), ("μ", self.mu)):
            if not isinstance(value, Real) or not 0 <= value < float("inf"):
                raise ValueError(f"{symbol} = {value} is not allowed: it must be a finite number of at least 0.")

    @property
    def poisson_ratio(self) -> float:
        """ν = λ / (2 (λ + μ)): 0 for freely compressible, 0.5 for incompressible tissue; NaN without any stiffness."""
        return self.lam / (2 * (self.lam + self.mu)) if self.lam + self.mu > 0 else float("nan")

    @property
    def stiffness(self) -> float:
        """Young's modulus μ (3λ + 2μ) / (λ + μ) in the unit of the weights; compare tissues by its ratio."""
        return self.mu * (3 * self.lam + 2 * self.mu) / (self.lam + self.mu) if self.lam + self.mu > 0 else 0.0


def lame_of(value: object, name: str) -> Lame:
    """λ and μ as a user gives them.

    Args:
        value: `Lame`, or a pair of numbers.
        name: Of the tissue, for messages.

    Raises:
        ValueError: Naming the tissue: it is neither, or a number is negative or not finite.
    """
    if isinstance(value, Lame):
        return value
    pair = tuple(value) if isinstance(value, Iterable) else ()
    if len(pair) != 2 or not all(isinstance(number, Real) for number in pair):
        raise ValueError(f"The tissue '{name}' needs two numbers, (λ, μ), not {shortened(value)}.")
    try:
        return Lame(*map(float, pair))
    except OverflowError as error:
        raise ValueError(f"The tissue '{name}' cannot have λ or μ as large as {shortened(max(pair))}.") from error
    except ValueError as error:
        raise ValueError(f"Tissue '{name}': {error}") from error


@dataclass(frozen=True)
class TissueParameters:
    """λ and μ for every label of a segmentation.

    Attributes:
        by_label: Parameters of single labels.
        default: Those of labels that are not listed.

    Example:
        >>> parameters = TissueParameters({1: Lame(0.5, 0.5)}).with_tissue(2, Lame(30.0, 30.0))
        >>> parameters[2], parameters[7]
        (Lame(lam=30.0, mu=30.0), Lame(lam=1.0, mu=1.0))
    """

    by_label: Mapping[int, Lame] = field(default_factory=dict)
    default: Lame = Lame(1.0, 1.0)

    def __getitem__(self, label: int) -> Lame:
        """Parameters of a label, ``default`` if it is not listed."""
        return self.by_label.get(label, self.default)

    def with_tissue(self, label: int, lame: Lame) -> TissueParameters:
        """A copy in which one tissue has other parameters.

        Args:
            label: Of the tissue.
            lame: Its new parameters.
        """
        return TissueParameters({**self.by_label, label: lame}, self.default)

    def maps(self, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The paper's maps Λ(x) and Γ(x): λ and μ at every voxel.

        Args:
            labels: Integers of any shape.

        Returns:
            λ and μ, two float32 tensors of the shape and on the device of ``labels``.
        """
        import torch  # here, so that a scene can be read and described without torch

        size = int(labels.max()) + 1
        table = torch.tensor(
            [(self[label].lam, self[label].mu) for label in range(size)], dtype=torch.float32, device=labels.device
        )
        index = labels.long()
        return table[:, 0][index], table[:, 1][index]


def find_tissue(tissues: Iterable[Tissue], key: str) -> Tissue:
    """The tissue with this id or name (names ignore case).

    Args:
        tissues: Where to look.
        key: The id or the name.

    Raises:
        ValueError: There is none, or the key fits several; the message lists them.

    Example:
        >>> find_tissue([Tissue(1, "Lung"), Tissue(2, "Liver")], "liver").label
        2
    """
    tissues = tuple(tissues)
    name = comparable(key)
    found = [
        tissue
        for tissue in tissues
        if key == tissue.id or name in (comparable(tissue.name), comparable(tissue.segment_name))
    ]
    if len(found) == 1:
        return found[0]
    if found:
        fits = " and ".join(f"'{tissue.name}' (ID '{tissue.id}')" for tissue in found)
        raise ValueError(f"'{key}' fits several tissues, {fits}; use an ID or a name that fits only one of them.")
    known = ", ".join(f"'{tissue.name}'" for tissue in tissues)
    raise ValueError(f"Unknown tissue '{key}'; this segmentation has {known}.")


def with_distinct_names(tissues: Sequence[Tissue]) -> tuple[Tissue, ...]:
    """Tissues under their `distinct_names`.

    Args:
        tissues: Of one segmentation.
    """
    return tuple(
        tissue if tissue.name == name else replace(tissue, name=name, shared_name=tissue.name)
        for tissue, name in zip(tissues, distinct_names(tissues), strict=True)
    )


class Identified(Protocol):
    """A tissue of the core or a row of the panel.

    Attributes:
        id: Segment ID or label.
        name: What is shown.
        terminology: What the segment's terminology entry says in words, or nothing.
    """

    id: str
    name: str
    terminology: str


def distinct_names(tissues: Sequence[Identified]) -> tuple[str, ...]:
    """The names of tissues, those that several of them have completed by the terminology or else by the ID.

    A segment that is called like one of the two tissues without a segment counts as having a name that is taken.

    Args:
        tissues: Of one segmentation.

    Example:
        >>> distinct_names([Tissue(1, "Left", "a", "Lung"), Tissue(2, "Left", "b"), Tissue(3, "bone", "c")])
        ('Left (Lung)', 'Left (b)', 'bone')
    """
    segments = [tissue for tissue in tissues if tissue.id not in (BACKGROUND_ID, UNSEGMENTED_ID)]
    names = Counter([*(comparable(tissue.name) for tissue in segments), BACKGROUND_NAME, UNSEGMENTED_NAME])
    described = Counter((comparable(tissue.name), tissue.terminology) for tissue in tissues)

    def distinct(tissue: Identified) -> str:
        if tissue not in segments or names[comparable(tissue.name)] == 1:
            return tissue.name
        is_told = tissue.terminology and described[comparable(tissue.name), tissue.terminology] == 1
        return f"{tissue.name} ({tissue.terminology if is_told else tissue.id})"

    return tuple(distinct(tissue) for tissue in tissues)


def comparable(name: str) -> str:
    """A name as it is compared with others: without differences of case, of spaces, and of the encoding of accents.

    Args:
        name: What a user or a program has called a segment.

    Example:
        >>> comparable(" Left  LUNG ") == comparable("left lung")
        True
    """
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def listed_names(names: Iterable[str]) -> str:
    """Names for a sentence, in quotation marks; many of them are only counted.

    Args:
        names: Of tissues.

    Example:
        >>> listed_names(["lung", "bone"])
        "'lung', 'bone'"
    """
    names = tuple(names)
    more = len(names) - LISTED_NAMES
    text = ", ".join(f"'{name}'" for name in names[:LISTED_NAMES])
    return f"{text} and {more} more" if more > 0 else text
