"""What the quantities are called that panel, scene, and report show: each is defined here, and nowhere else.

`Resources/Docs/quantities.md` holds the same table for readers; a test compares them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quantity:
    """One quantity.

    Attributes:
        symbol: Heading where there is little room.
        name: Full name, in plain ASCII; title of its column in the tables of the scene.
        unit: "mm", "%", or nothing.
        meaning: One sentence without its period.
        layout: Format specification of its numbers.
    """

    symbol: str
    name: str
    unit: str
    meaning: str
    layout: str

    @property
    def heading(self) -> str:
        """Symbol and unit, for the head of a column."""
        return f"{self.symbol} {self.unit}".rstrip()

    @property
    def described(self) -> str:
        """The meaning with its unit."""
        return self.meaning + {"mm": ", in mm", "%": ", in percent", "": ""}[self.unit]

    @property
    def before_after(self) -> str:
        """The same, for a column that shows the value before and after registration."""
        return f"{self.described}; before → after registration"


LAMBDA = Quantity(
    "λ", "Lambda", "", "First Lamé parameter, a relative weight without unit: resistance to volume change", ".3g"
)
MU = Quantity("μ", "Mu", "", "Second Lamé parameter, a relative weight without unit: resistance to shape change", ".3g")
POISSON_RATIO = Quantity(
    "ν", "Poisson ratio", "", "Poisson ratio λ / (2 (λ + μ)): 0 is freely compressible, 0.5 is incompressible", ".2f"
)
STIFFNESS = Quantity(
    "Set stiffness",
    "Stiffness as set",
    "",
    "Young's modulus that follows from the chosen λ and μ, relative to soft tissue: an input, not a measurement",
    ".3g",
)
SHEAR_MODULUS_RATIO = Quantity(
    "Shear modulus ratio",
    "Shear modulus ratio",
    "",
    "Experimental: shear modulus relative to the reference tissue, with its 95 % interval, estimated from the "
    "deformation and not from λ and μ; it is not elastography: only ratios, and only where the deformation supports "
    "them",
    ".2g",
)
ENERGY = Quantity("Energy", "Energy", "", "Mean elastic energy density, weights included, without unit", ".3g")
STRAIN = Quantity("Strain", "RMS strain", "", "Root mean square of the norm of the strain tensor, without unit", ".3f")
JACOBIAN = Quantity(
    "Volume change",
    "Jacobian determinant",
    "",
    "Jacobian determinant of the deformation: 1 keeps the volume, less shrinks, more grows, 0 or less folds",
    ".2f",
)
FOLDING = Quantity(
    "Folding",
    "Folding",
    "%",
    "Share of the voxels at which the deformation folds (Jacobian determinant not positive)",
    ".2g",
)
DICE = Quantity("Dice", "Dice", "", "Overlap with the moving segmentation: 0 is none, 1 is complete", ".3f")
HD95 = Quantity(
    "HD95", "HD95", "mm", "95th percentile of the distances between the surfaces in both segmentations", ".2f"
)
SURFACE_DISTANCE = Quantity(
    "Surface distance", "Surface distance", "mm", "Mean distance between the surfaces in both segmentations", ".2f"
)
LANDMARK_ERROR = Quantity(
    "TRE", "Landmark error", "mm", "Target registration error: distance between corresponding landmarks", ".2f"
)
SIMILARITY = Quantity(
    "Similarity",
    "Similarity",
    "",
    "Squared local correlation of the images: 1 is perfect, but a high value alone does not prove that tissues are "
    "matched correctly",
    ".3f",
)
CONFIDENCE = Quantity(
    "Confidence",
    "Confidence",
    "",
    "Share of the tested values of λ and μ that fit clearly worse than the best: near 0, λ and μ have little effect",
    ".2f",
)
FLAT = Quantity(
    "Flat", "Flat", "", "Whether λ and μ have little effect on the fit, so that their values mean little", ""
)

GLOSSARY: tuple[Quantity, ...] = (
    LAMBDA,
    MU,
    POISSON_RATIO,
    STIFFNESS,
    SHEAR_MODULUS_RATIO,
    ENERGY,
    STRAIN,
    JACOBIAN,
    FOLDING,
    DICE,
    HD95,
    SURFACE_DISTANCE,
    LANDMARK_ERROR,
    SIMILARITY,
    CONFIDENCE,
    FLAT,
)
