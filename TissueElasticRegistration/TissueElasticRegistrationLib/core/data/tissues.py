"""Tissues and their Lamé parameters: which label is which tissue, how stiff it is, and the weight maps made from both.

λ and μ are *relative weights* of the elastic energy against the image similarity. Only their ratios have a physical
meaning, never their absolute size (no kPa: a registration cannot identify the scale).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from reprlib import repr as shortened
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

BACKGROUND = 0
# Ids of the two tissues that no segment stands for: air around the body, and what lies inside it without a segment.
BACKGROUND_ID = str(BACKGROUND)
UNSEGMENTED_ID = "unsegmented"


@dataclass(frozen=True)
class Tissue:
    """One tissue of a segmentation.

    Attributes:
        label: Its value in the label array.
        name: What is shown.
        id: What stays the same when the name changes: the segment ID, or else the label.
        terminology: What the segment's terminology entry says in words, or nothing.
        is_named: False if the name came with a color, from a color table, and does not say which tissue it is.
    """

    label: int
    name: str
    id: str = ""
    terminology: str = ""
    is_named: bool = True

    def __post_init__(self) -> None:
        if not self.id:
            object.__setattr__(self, "id", str(self.label))


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
        ValueError: There is none; the message lists the known ones.

    Example:
        >>> find_tissue([Tissue(1, "Lung"), Tissue(2, "Liver")], "liver").label
        2
    """
    tissues = tuple(tissues)
    for tissue in tissues:
        if key == tissue.id or key.casefold() == tissue.name.casefold():
            return tissue
    known = ", ".join(f"'{tissue.name}'" for tissue in tissues)
    raise ValueError(f"Unknown tissue '{key}'; this segmentation has {known}.")
