"""What a registration returns: the deformation, the warped images and an honest account of how it went. Plain
values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .geometry import Geometry
from .images import Image, Segmentation
from .tissues import Lame, Tissue


@dataclass(frozen=True)
class TissueResult:
    """How one tissue was treated and what happened to it. Not a number where something could not be measured."""

    tissue: Tissue
    parameters: Lame
    relative_stiffness: float  # Young's modulus relative to soft tissue, as it follows from the parameters
    energy: float  # mean elastic energy density in the tissue, weights included, no unit
    strain_rms: float  # root mean square of the strain tensor's norm, no unit
    negative_jacobian_percent: float  # strict: any corner of the adjacent cells
    dice_before: float = float("nan")
    dice_after: float = float("nan")
    hd95_mm_before: float = float("nan")
    hd95_mm_after: float = float("nan")
    surface_distance_mm_before: float = float("nan")
    surface_distance_mm_after: float = float("nan")


@dataclass(frozen=True)
class LandmarkErrors:
    """Target registration error in mm, over all landmarks."""

    before_mean: float
    after_mean: float
    before_max: float
    after_max: float
    n: int


@dataclass(frozen=True)
class ObjectiveValues:
    """The objective J = -similarity + energy at the start (no deformation) and at the end, on the full working grid."""

    objective_before: float
    objective_after: float
    similarity_before: float
    similarity_after: float
    energy_after: float
    steps: int


@dataclass(frozen=True, eq=False)
class RegistrationResult:
    """Result of one registration. All geometries are in the physical space of the inputs.

    displacement_ras_mm: (K, J, I, 3) float32, RAS mm, on ``geometry`` (the working grid, which covers the fixed image
    with
        a margin): fixed point x corresponds to moving point x + d(x). Contains the initial alignment.
    jacobian_kji: (K, J, I) determinant of the deformation *without* the initial alignment, on ``geometry``.
    warped: moving image on the fixed image's grid, ``valid_kji`` (bool, same grid) where it really comes from the
    moving
        image; elsewhere it holds the lowest value of the moving image.
    warped_segmentation: moving segmentation on the fixed image's grid, if there was one.
    initial: how the images were brought together first: "none", "rigid" or "given".
    """

    displacement_ras_mm: np.ndarray
    geometry: Geometry
    jacobian_kji: np.ndarray
    warped: Image
    valid_kji: np.ndarray
    warped_segmentation: Segmentation | None
    initial: str
    tissues: tuple[TissueResult, ...]
    similarity_before: float
    similarity_after: float
    negative_jacobian_percent: float
    landmark_errors: LandmarkErrors | None
    objective_values: ObjectiveValues
    seconds: dict[str, float]
    warnings: tuple[str, ...] = ()
