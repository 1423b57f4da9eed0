"""What a user chooses besides nodes: how to register, how to estimate, and all of it together as one request."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from numbers import Real
from reprlib import repr as shortened

from ..core.data.limits import check_grid_points
from ..core.data.tissues import Lame
from ..core.estimation.criteria.criterion import CRITERIA
from ..core.models.model_card import DIRECT
from .nodes import InputNodes, OutputNodes

Values = Mapping[str, Lame | tuple[float, float]]  # (λ, μ) by segment name or ID
ALIGNMENTS = ("auto", "none", "rigid", "centers", "segments")
LARGEST_VOXEL_MM = 1000
EVERY_SECOND = "half"  # of the landmarks


@dataclass(frozen=True)
class RegistrationOptions:
    """How a pair is registered; a change needs a new preparation. See `core.registration.registrar.Registrar`.

    Attributes:
        initial: Alignment done first: "auto", "none", "rigid", "centers" or "segments".
        device: "auto", "cpu" or "cuda".
        finest_mm: Smallest voxel of the registration in mm; 0 for as fine as images and voxel budget allow.
        model: "direct" (no network), the name of an installed model, or the path of the folder of one; whether there
            is such a model is seen when the pair is prepared.

    Raises:
        ValueError: For an unknown alignment, a size that is no number from 0 to ``LARGEST_VOXEL_MM``, and a model that
            is no text.
    """

    initial: str = "auto"
    device: str = "auto"
    finest_mm: float = 0.0
    model: str = DIRECT

    def __post_init__(self) -> None:
        if self.initial not in ALIGNMENTS:
            raise ValueError(f"Unknown alignment '{self.initial}'; choose one of {', '.join(ALIGNMENTS)}.")
        if not isinstance(self.finest_mm, Real) or not 0 <= self.finest_mm <= LARGEST_VOXEL_MM:
            raise ValueError(
                f"The finest voxel size must be from 0 to {LARGEST_VOXEL_MM} mm, not {shortened(self.finest_mm)}."
            )
        if not isinstance(self.model, str) or not self.model:
            raise ValueError(f"The model must be a name or the path of a folder, not {shortened(self.model)}.")


@dataclass(frozen=True)
class EstimationOptions:
    """How λ and μ are searched; see `core.estimation.estimate.estimate`.

    Attributes:
        method: "grid", or "gradient" for many tissues.
        criterion: "dice" (overlap, needs a moving segmentation), "landmarks", or "similarity" (inside the tissues).
        points: Positions of each slider that the grid tries; None for 11 with a model and 5 without.
        locked: Names or IDs of segments that keep their values.
        hold_out: Names or IDs of segments that the search does not use, as an independent check.
        hold_out_landmarks: Names of landmarks that the search does not use, or "half" for every second one.

    Raises:
        ValueError: For an unknown criterion, a number of points like `check_grid_points`, and names that are no texts.
    """

    method: str = "grid"
    criterion: str = "dice"
    points: int | None = None
    locked: Collection[str] = ()
    hold_out: Collection[str] = ()
    hold_out_landmarks: Collection[str] = ()

    def __post_init__(self) -> None:
        if self.criterion not in tuple(CRITERIA):
            raise ValueError(f"Unknown criterion {shortened(self.criterion)}; choose one of {', '.join(CRITERIA)}.")
        if self.points is not None:
            check_grid_points(self.points)
        for field in ("locked", "hold_out", "hold_out_landmarks"):
            names = getattr(self, field)
            is_half = field == "hold_out_landmarks" and names == EVERY_SECOND
            is_list = isinstance(names, Collection) and not isinstance(names, str)
            if not is_half and not (is_list and all(isinstance(name, str) for name in names)):
                raise ValueError(f"{field} must be a list of names, not {shortened(names)}.")


@dataclass(frozen=True)
class Request:
    """Everything one run depends on.

    Attributes:
        inputs: The nodes of the pair.
        values: (λ, μ) by segment ID, on the scale of the model.
        options: How to register.
        outputs: Where to write.
        refine_steps: As in `PairSession.register`.
        jacobian: Whether live results come with their Jacobian determinant.
        estimation: How to search, if λ and μ are estimated.
    """

    inputs: InputNodes
    values: Values
    options: RegistrationOptions = RegistrationOptions()
    outputs: OutputNodes = OutputNodes()
    refine_steps: int | None = None
    jacobian: bool = False
    estimation: EstimationOptions = EstimationOptions()

    def looks_like(self, other: Request | None) -> bool:
        """Whether following either of them shows the same."""
        return other is not None and (self.inputs, self.values, self.options, self.outputs, self.jacobian) == (
            other.inputs,
            other.values,
            other.options,
            other.outputs,
            other.jacobian,
        )
