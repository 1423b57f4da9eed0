"""One phantom case: a fixed and a moving image, segmentations, the material and the true displacement between them.

Voxel axes of the volumes (the body frame of the other files, turned to how scanners store them):

- 2D, one coronal slice: i from the patient's right to left, j from superior to inferior, k from anterior to posterior,
  so that the picture looks as in radiology;
- 3D, axial slices: i from right to left, j from anterior to posterior, k from inferior to superior.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.data.images import Image, Landmarks, Segmentation
from TissueElasticRegistrationLib.core.data.tissues import Tissue

from .anatomy_2d import draw_anatomy_2d
from .anatomy_3d import draw_anatomy_3d
from .files import write_case
from .imaging import majority, scan, warp_anatomy
from .landmarks import choose_landmarks
from .loads import LOADS
from .motion import simulate_motion
from .subject import TISSUE_NAMES, Anatomy, Canvas, block_mean, draw_parameters, label_fractions

FIELD_OF_VIEW_MM = {2: (384.0, 384.0), 3: (384.0, 256.0, 384.0)}  # down, [back,] left
SPACING_RANGE_MM = {2: (1.0, 12.0), 3: (3.0, 12.0)}
DEFAULT_SPACING_MM = {2: 4.0, 3: 6.0}
CENTER_RAS_MM = (5.0, -20.0, -150.0)
BODY_AXES_RAS = {2: np.array([[0, 0, -1], [-1, 0, 0]]), 3: np.array([[0, 0, -1], [0, -1, 0], [-1, 0, 0]])}
VOXEL_AXES_RAS = {2: np.array([[-1, 0, 0], [0, 0, -1], [0, -1, 0]]), 3: np.array([[-1, 0, 0], [0, -1, 0], [0, 0, 1]])}
OBLIQUE_ANGLES_DEGREES = (20.0, -15.0, 30.0)
SUPERSAMPLING = 2
MARGIN_BELOW_MM = 60.0  # anatomy drawn below the field of view: the moving image may show some of it
BORDER_VOXELS = 0.01  # a point this little outside of the outermost voxel centers still counts as inside
TISSUES = tuple(Tissue(label, name) for label, name in TISSUE_NAMES.items())


@dataclass(frozen=True, eq=False)
class PhantomCase:
    """A pair with known truth: fixed point x corresponds to moving point x + displacement(x). Images are in HU.

    Attributes:
        fixed: Fixed image.
        moving: Moving image.
        fixed_segmentation: Of the fixed image.
        moving_segmentation: Of the moving image.
        lam_kpa: Simulated λ by label (0 is the air around the body).
        mu_kpa: Simulated μ by label.
        displacement_ras_mm: (K, J, I, 3) float32, RAS mm, on the fixed grid, zero out of plane in 2D.
        valid: (K, J, I) booleans, where the corresponding point lies inside the moving image.
    """

    fixed: Image
    moving: Image
    fixed_segmentation: Segmentation
    moving_segmentation: Segmentation
    lam_kpa: dict[int, float]
    mu_kpa: dict[int, float]
    displacement_ras_mm: np.ndarray
    valid: np.ndarray

    def landmarks(self, count: int = 20) -> Landmarks:
        """Points in RAS mm well inside the body, spread over the tissues, with their true counterparts."""
        return choose_landmarks(
            self.fixed_segmentation.labels_kji, self.displacement_ras_mm, self.valid, self.fixed.geometry, count
        )

    def save(self, folder: str | Path) -> None:
        """Write fixed, moving, segmentation and moving_segmentation (.nii.gz) and landmarks.csv (LPS mm)."""
        write_case(
            Path(folder),
            {"fixed": self.fixed, "moving": self.moving},
            {"segmentation": self.fixed_segmentation, "moving_segmentation": self.moving_segmentation},
            self.landmarks(),
        )


def make_case(
    dimension: int, seed: int, *, load: str = "breathing", spacing_mm: float | None = None, oblique: bool = False
) -> PhantomCase:
    """Simulate one subject; the same arguments always give the same case.

    Args:
        dimension: 2 (a coronal slice, plane strain) or 3.
        seed: Of the subject; its anatomy, material and noise depend on nothing else.
        load: One of ``LOADS``.
        spacing_mm: Voxel size, 4 mm in 2D and 6 mm in 3D by default.
        oblique: Turn the patient, and the volumes with it, in space; voxel values stay the same.

    Raises:
        ValueError: An argument is out of range.
        RuntimeError: The motion that was drawn folds or cannot be inverted.
    """
    if dimension not in FIELD_OF_VIEW_MM:
        raise ValueError(f"The dimension must be 2 or 3, not {dimension}.")
    spacing_mm = DEFAULT_SPACING_MM[dimension] if spacing_mm is None else float(spacing_mm)
    _check_arguments(seed, load, spacing_mm, SPACING_RANGE_MM[dimension])
    streams = {
        name: np.random.default_rng([int(seed), dimension, number])
        for number, name in enumerate(("shapes", "textures", "material", "load", "fixed", "moving"))
    }
    canvas = Canvas(tuple(round(size / spacing_mm) for size in FIELD_OF_VIEW_MM[dimension]), spacing_mm)
    anatomy = _draw_anatomy(canvas, streams["shapes"], streams["textures"])
    visible = _visible(anatomy, canvas)
    labels = majority(visible.labels, SUPERSAMPLING)

    lam_kpa, mu_kpa = draw_parameters(streams["material"])
    fractions = label_fractions(visible.labels, SUPERSAMPLING)
    displacement_mm = simulate_motion(
        load, labels, _mixture(lam_kpa, fractions), _mixture(mu_kpa, fractions), canvas, anatomy.frame, streams["load"]
    )

    moving_labels, moving_hu = warp_anatomy(
        anatomy.labels, anatomy.intensity_hu, displacement_mm / spacing_mm, SUPERSAMPLING
    )
    fixed_hu = block_mean(visible.intensity_hu, SUPERSAMPLING)
    geometry = _geometry(canvas, oblique)
    return PhantomCase(
        fixed=Image(_as_volume(scan(fixed_hu, canvas, streams["fixed"])), geometry, "fixed"),
        moving=Image(_as_volume(scan(moving_hu, canvas, streams["moving"])), geometry, "moving"),
        fixed_segmentation=Segmentation(_as_volume(labels), geometry, TISSUES, "fixed segmentation"),
        moving_segmentation=Segmentation(_as_volume(moving_labels), geometry, TISSUES, "moving segmentation"),
        lam_kpa=lam_kpa,
        mu_kpa=mu_kpa,
        displacement_ras_mm=_ras_field(displacement_mm, oblique),
        valid=_as_volume(_stays_inside(displacement_mm / spacing_mm)),
    )


def _check_arguments(seed: int, load: str, spacing_mm: float, spacing_range_mm: tuple[float, float]) -> None:
    if seed != int(seed) or seed < 0:
        raise ValueError(f"The seed must be a whole number of at least 0, not {seed}.")
    if load not in LOADS:
        raise ValueError(f"Unknown load '{load}'; the loads are {', '.join(LOADS)}.")
    smallest, largest = spacing_range_mm
    if not smallest <= spacing_mm <= largest:
        raise ValueError(f"The spacing must be between {smallest:g} and {largest:g} mm, not {spacing_mm:g} mm.")


def _draw_anatomy(canvas: Canvas, shapes: np.random.Generator, textures: np.random.Generator) -> Anatomy:
    """The fixed anatomy, finer than the voxels, and continued below the field of view."""
    fine = canvas.finer(SUPERSAMPLING, rows_below=int(np.ceil(MARGIN_BELOW_MM / canvas.spacing_mm)))
    draw = draw_anatomy_2d if canvas.dimension == 2 else draw_anatomy_3d
    return draw(fine, shapes, textures, FIELD_OF_VIEW_MM[canvas.dimension])


def _visible(anatomy: Anatomy, canvas: Canvas) -> Anatomy:
    rows = slice(canvas.shape[0] * SUPERSAMPLING)
    return Anatomy(anatomy.labels[rows], anatomy.intensity_hu[rows], anatomy.frame)


def _mixture(parameter_kpa: dict[int, float], fractions: np.ndarray) -> np.ndarray:
    """Modulus of every voxel: the mean over the tissues in it."""
    return np.einsum("l,l...->...", np.array([parameter_kpa[label] for label in range(len(fractions))]), fractions)


def _geometry(canvas: Canvas, oblique: bool) -> Geometry:
    shape_kji = (1, *canvas.shape) if canvas.dimension == 2 else canvas.shape
    matrix = np.eye(4)
    matrix[:3, :3] = _turn(oblique) @ VOXEL_AXES_RAS[canvas.dimension].T * canvas.spacing_mm
    matrix[:3, 3] = _turn(oblique) @ CENTER_RAS_MM - matrix[:3, :3] @ ((np.array(shape_kji[::-1]) - 1) / 2)
    return Geometry(shape_kji, matrix)


def _turn(oblique: bool) -> np.ndarray:
    angles = OBLIQUE_ANGLES_DEGREES if oblique else (0.0, 0.0, 0.0)
    return Rotation.from_euler("xyz", angles, degrees=True).as_matrix()


def _as_volume(array: np.ndarray) -> np.ndarray:
    """From the body frame (down, left) or (down, back, left) to (k, j, i)."""
    return np.ascontiguousarray(array[None] if array.ndim == 2 else array[::-1])


def _ras_field(displacement_mm: np.ndarray, oblique: bool) -> np.ndarray:
    """(D, A, B[, C]) along the body axes -> (K, J, I, 3) float32 in RAS mm, same direction of the mapping."""
    axes = _turn(oblique) @ BODY_AXES_RAS[len(displacement_mm)].T
    components = [_as_volume(component) for component in displacement_mm]
    return np.einsum("rd,dkji->kjir", axes, np.stack(components)).astype(np.float32)


def _stays_inside(displacement: np.ndarray) -> np.ndarray:
    """Where x + displacement(x), in voxels, lies between the outermost voxel centers."""
    places = np.indices(displacement.shape[1:]) + displacement
    last = np.array(displacement.shape[1:]).reshape((-1,) + (1,) * (displacement.ndim - 1)) - 1
    return np.all((places >= -BORDER_VOXELS) & (places <= last + BORDER_VOXELS), axis=0)
