"""What a registration returns, in plain values: the deformation, the warped images and an account of how it went."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .geometry import Geometry
from .images import Image, Segmentation
from .tissues import Lame, Tissue


@dataclass(frozen=True)
class TissueResult:
    """How one tissue was treated and what happened to it; NaN where something could not be measured.

    Attributes:
        tissue: Which tissue.
        parameters: λ and μ it was registered with.
        relative_stiffness: Young's modulus relative to soft tissue, as it follows from the parameters.
        energy: Mean elastic energy density in the tissue, weights included, no unit.
        strain_rms: Root mean square of the strain tensor's norm, no unit.
        negative_jacobian_percent: Voxels of the tissue where the deformation folds; strict: in any corner of
            the adjacent cells.
        dice_before: Overlap with the moving segmentation as it lies.
        dice_after: Overlap with the warped moving segmentation.
        hd95_mm_before: 95 % Hausdorff distance to the moving segmentation as it lies.
        hd95_mm_after: 95 % Hausdorff distance to the warped moving segmentation.
        surface_distance_mm_before: Mean surface distance to the moving segmentation as it lies.
        surface_distance_mm_after: Mean surface distance to the warped moving segmentation.
        dice_common_after: As ``dice_after``, but only where both images have values: what one scan does not show is
            no error of the registration.
        hd95_mm_common_after: As ``hd95_mm_after``, likewise.
    """

    tissue: Tissue
    parameters: Lame
    relative_stiffness: float
    energy: float
    strain_rms: float
    negative_jacobian_percent: float
    dice_before: float = float("nan")
    dice_after: float = float("nan")
    hd95_mm_before: float = float("nan")
    hd95_mm_after: float = float("nan")
    surface_distance_mm_before: float = float("nan")
    surface_distance_mm_after: float = float("nan")
    dice_common_after: float = float("nan")
    hd95_mm_common_after: float = float("nan")


@dataclass(frozen=True)
class LandmarkErrors:
    """Target registration error in mm, over all landmarks.

    Attributes:
        before_mean: Mean distance without registration.
        after_mean: Mean distance with registration.
        before_max: Largest distance without registration.
        after_max: Largest distance with registration.
        n: Number of landmarks.
    """

    before_mean: float
    after_mean: float
    before_max: float
    after_max: float
    n: int


@dataclass(frozen=True)
class ObjectiveValues:
    """The objective J = -similarity + energy at the start (no deformation) and at the end, on the full working grid.

    Attributes:
        objective_before: J without deformation.
        objective_after: J at the end.
        similarity_before: Weighted mean local correlation without deformation.
        similarity_after: Weighted mean local correlation at the end.
        energy_after: Mean energy density at the end (that of no deformation is 0).
        kept_share: How many of the voxels that both images cover without deformation are still covered, 0 to 1.
        steps: How many steps the solver has taken.
    """

    objective_before: float
    objective_after: float
    similarity_before: float
    similarity_after: float
    energy_after: float
    kept_share: float
    steps: int


@dataclass(frozen=True, eq=False)
class RegistrationResult:
    """Result of one registration; all geometries are in the physical space of the inputs.

    Attributes:
        displacement_ras_mm: (K, J, I, 3) float32, RAS mm, on ``geometry``: fixed point x corresponds to moving point x
            + d(x). Contains the initial alignment.
        geometry: The working grid with a margin; it covers the fixed image.
        jacobian_kji: (K, J, I) determinant of the deformation *without* the initial alignment, on ``geometry``.
        warped: Moving image on the fixed image's grid; its lowest value where nothing comes from the moving image.
        valid_kji: (K, J, I) bool on the fixed image's grid: where ``warped`` really comes from the moving image.
        warped_segmentation: Moving segmentation on the fixed image's grid, if there was one.
        initial: How the images were brought together first: "none", "rigid", "centers", "segments" or "given".
        tissues: One entry per tissue of the working grid.
        similarity_before: Weighted mean local correlation without deformation.
        similarity_after: Weighted mean local correlation at the end.
        negative_jacobian_percent: Voxels within the fixed image where the deformation folds.
        landmark_errors: Of the landmarks of the pair, if it has any.
        objective_values: What the solver has minimized.
        seconds: How long each part took, by the name of the part.
        warnings: Sentences for the user.
        unreliable: Why the result must not be relied on, one sentence each; empty if nothing speaks against it.
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
    unreliable: tuple[str, ...] = ()
