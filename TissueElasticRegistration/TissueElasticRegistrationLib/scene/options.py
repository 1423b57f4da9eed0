"""What a user chooses besides nodes: how to register, how to estimate, and all of it together as one request."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ..core.data.tissues import Lame
from ..core.models.model_card import DIRECT
from .nodes import InputNodes, OutputNodes

Values = Mapping[str, Lame | tuple[float, float]]  # (λ, μ) by segment name or ID
ALIGNMENTS = ("auto", "none", "rigid", "centers", "segments")
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
        ValueError: For an unknown alignment and for sizes below 0.
    """

    initial: str = "auto"
    device: str = "auto"
    finest_mm: float = 0.0
    model: str = DIRECT

    def __post_init__(self) -> None:
        if self.initial not in ALIGNMENTS:
            raise ValueError(f"Unknown alignment '{self.initial}'; choose one of {', '.join(ALIGNMENTS)}.")
        if not self.finest_mm >= 0:
            raise ValueError(f"The finest voxel size must be 0 or more, not {self.finest_mm:g} mm.")


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
    """

    method: str = "grid"
    criterion: str = "dice"
    points: int | None = None
    locked: Collection[str] = ()
    hold_out: Collection[str] = ()
    hold_out_landmarks: Collection[str] = ()


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
