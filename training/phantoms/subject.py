"""What is drawn for one subject whatever the dimension: places, grids, textures and tissue parameters.

The body frame: array axes point down (towards the feet), back (3D only) and left (of the patient), in mm from the
upper front right corner of the field of view. Intensities in HU.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

AIR, LUNG, BONE, LIVER, SOFT = range(5)
TISSUE_NAMES = {LUNG: "lung", BONE: "bone", LIVER: "liver", SOFT: "soft"}
AIR_HU = -1000.0
YOUNG_RANGE_KPA = {AIR: (0.02, 0.02), LUNG: (0.5, 10.0), BONE: (300.0, 3000.0), LIVER: (1.5, 50.0), SOFT: (5.0, 20.0)}
POISSON_RANGE = {AIR: (0.0, 0.0), LUNG: (0.20, 0.42), BONE: (0.3, 0.3), LIVER: (0.40, 0.48), SOFT: (0.38, 0.46)}


@dataclass(frozen=True)
class BodyFrame:
    """Where the parts of one subject are, in mm along the axes of the body frame (depths are used in 3D only).

    Attributes:
        midline_mm: Of the body, along left.
        half_width_mm: Half the width of the body.
        shoulder_mm: Of the shoulders, along down.
        lung_top_mm: Upper end of the lungs.
        right_dome_mm: Right dome of the diaphragm.
        left_dome_mm: Left dome of the diaphragm.
        middle_depth_mm: Middle of the body, along back.
        half_depth_mm: Half the depth of the body.
        spine_depth_mm: Of the spine, along back.
    """

    midline_mm: float
    half_width_mm: float
    shoulder_mm: float
    lung_top_mm: float
    right_dome_mm: float
    left_dome_mm: float
    middle_depth_mm: float = 0.0
    half_depth_mm: float = 0.0
    spine_depth_mm: float = 0.0


@dataclass(frozen=True)
class Canvas:
    """A grid of square or cubic cells in the body frame on which anatomy is drawn.

    Attributes:
        shape: Cells along down, [back,] left.
        spacing_mm: Side of a cell.
    """

    shape: tuple[int, ...]
    spacing_mm: float

    @property
    def dimension(self) -> int:
        """2 or 3."""
        return len(self.shape)

    def centers_mm(self) -> tuple[np.ndarray, ...]:
        """Cell centers along each axis, shaped to broadcast against each other (down, [back,] left)."""
        return tuple(
            np.meshgrid(*[(np.arange(n) + 0.5) * self.spacing_mm for n in self.shape], indexing="ij", sparse=True)
        )

    def finer(self, factor: int, rows_below: int = 0) -> Canvas:
        """More cells along every axis.

        Args:
            factor: So many times more.
            rows_below: Coarse rows more at the lower end.
        """
        rows = (self.shape[0] + rows_below) * factor
        return Canvas((rows, *[n * factor for n in self.shape[1:]]), self.spacing_mm / factor)


@dataclass(frozen=True, eq=False)
class Anatomy:
    """One subject drawn on a canvas.

    Attributes:
        labels: int8 of the canvas shape.
        intensity_hu: float32 of the canvas shape.
        frame: Where its parts are.
    """

    labels: np.ndarray
    intensity_hu: np.ndarray
    frame: BodyFrame


def smooth_noise(generator: np.random.Generator, canvas: Canvas, width_mm: float) -> np.ndarray:
    """Gaussian random field of unit variance.

    Args:
        generator: Draws it.
        canvas: Its grid.
        width_mm: Sigma of the Gaussian kernel that sets its correlation.
    """
    noise = gaussian_filter(generator.standard_normal(canvas.shape, dtype=np.float32), width_mm / canvas.spacing_mm)
    return noise / noise.std()


def draw_parameters(generator: np.random.Generator) -> tuple[dict[int, float], dict[int, float]]:
    """Lamé parameters (lambda, mu) in kPa of every label: E log-uniform, Poisson's ratio uniform in their ranges."""
    lam_kpa, mu_kpa = {}, {}
    for label, (softest, stiffest) in YOUNG_RANGE_KPA.items():
        young = float(np.exp(generator.uniform(np.log(softest), np.log(stiffest))))
        poisson = float(generator.uniform(*POISSON_RANGE[label]))
        lam_kpa[label] = young * poisson / ((1 + poisson) * (1 - 2 * poisson))
        mu_kpa[label] = young / (2 * (1 + poisson))
    return lam_kpa, mu_kpa


def block_mean(values: np.ndarray, factor: int) -> np.ndarray:
    """Mean over blocks of cells along every axis.

    Args:
        values: On the fine grid.
        factor: Cells of a block along every axis.
    """
    for axis in range(values.ndim):
        shape = values.shape
        split = shape[:axis] + (shape[axis] // factor, factor) + shape[axis + 1 :]
        values = values.reshape(split).mean(axis=axis + 1)
    return values


def label_fractions(labels: np.ndarray, factor: int) -> np.ndarray:
    """Share of every label in blocks of cells.

    Args:
        labels: On the fine grid.
        factor: Cells of a block along every axis.

    Returns:
        (5, ...) float32, sums to 1.
    """
    return np.stack([block_mean((labels == label).astype(np.float32), factor) for label in range(SOFT + 1)])
