"""Real images with simulated motion: a patient's anatomy, deformed as its tissues would be: the truth is known.

Every label gets a random stiffness around that of its tissue, random smooth forces act, and the elastic problem is
solved as for the phantoms. Where a phantom shows what a program can draw, this shows what a scanner sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from TissueElasticRegistrationLib.core.data.itk_bridge import geometry_of
from TissueElasticRegistrationLib.core.physics.tissue_presets import table_weight
from TissueElasticRegistrationLib.core.preparation.body import outside_body
from TissueElasticRegistrationLib.core.preparation.preprocessing import CT_WINDOW_HU, normalized
from training.phantoms.finite_elements import centers_from_nodes, nodes_from_elements, solve_elasticity
from training.phantoms.imaging import cell_determinants, warp_anatomy
from training.phantoms.subject import Canvas, smooth_noise

from .case_files import CaseFolder
from .pair import TrainingPair
from .volumes import resampled, upright

# Stiffness of soft tissue (weight 1 of the tissue table) in kPa; only ratios matter, motion is scaled afterwards.
SOFT_YOUNG_KPA = 10.0
STIFFNESS_SPREAD = 3.0  # random factor, up and down
POISSON_RANGE = (0.2, 0.46)
HOLDING_KPA_PER_MM2 = 1e-3  # everything is held a little: images end where bodies do not
FORCE_WIDTHS = (0.08, 0.25)  # of random forces, as a share of the image
MOTION_SHARE = (0.02, 0.09)  # 99th percentile of the motion, as a share of the image
MIN_DETERMINANT = 0.15
MAX_NOISE = 0.02
MIN_SIZE = 0.4  # of a slice along each axis, as a share of the wanted size
MIN_TISSUE_SHARE = 0.25  # slices with less than this inside the body are not used
MAX_LABELS = 15
UNSEGMENTED = 100_000


@dataclass(frozen=True)
class RealVolume:
    """A real image with labels.

    Attributes:
        image: Its file.
        labels: The file of its label map.
        names: What the labels are; unlisted ones count as soft tissue.
        ct: Whether the intensities are Hounsfield units.
    """

    image: Path
    labels: Path
    names: Mapping[int, str]
    ct: bool


def simulated_folder(
    cache: str | Path, name: str, volume: RealVolume, shape: Sequence[int], spacing_mm: float
) -> CaseFolder:
    """Simulated pairs of one shape from one volume.

    Args:
        cache: Folder for data that is made once.
        name: Tells the folders of different volumes apart.
        volume: The volume.
        shape: Voxels of the pairs per axis, two or three.
        spacing_mm: Voxel size.
    """
    simulators: list[Simulator] = []

    def make(number: int) -> TrainingPair:
        if not simulators:
            simulators.append(Simulator(volume, spacing_mm))
        return simulators[0].pair(number, shape)

    size = "x".join(map(str, shape))
    return CaseFolder(Path(cache).expanduser() / f"simulated-{name}-{size}-{spacing_mm:g}mm", make)


class Simulator:
    """Pairs from one volume: at every number another slice or section, other stiffness, other forces, other noise.

    Args:
        volume: The volume.
        spacing_mm: Voxel size.
    """

    def __init__(self, volume: RealVolume, spacing_mm: float) -> None:
        spacing = (spacing_mm,) * 3
        volume_image = resampled(sitk.Cast(upright(volume.image), sitk.sitkFloat32), spacing)
        image = sitk.GetArrayFromImage(volume_image)
        labels = sitk.GetArrayFromImage(resampled(upright(volume.labels), spacing, nearest=True)).astype(np.int32)
        # What nobody labeled is air outside of the body and soft tissue inside of it.
        labels[(labels == 0) & ~outside_body(image, geometry_of(volume_image), volume.ct)] = UNSEGMENTED
        window = CT_WINDOW_HU if volume.ct else tuple(np.percentile(image, (0.5, 99.5)))
        self._image = normalized(image, window)
        self._labels, self._weights = _compact(labels, volume.names)
        self._spacing_mm = spacing_mm

    def pair(self, number: int, shape: Sequence[int]) -> TrainingPair:
        """The pair of a number; the same number always gives the same pair.

        Args:
            number: Which pair.
            shape: Voxels per axis, two or three.

        Raises:
            ValueError: In 2D, no slice of the volume shows enough tissue.
        """
        dimension = len(shape)
        generator = np.random.default_rng([number, dimension])
        image, labels = self._section(generator, shape)
        known = TrainingPair(image, image, labels, labels, (self._spacing_mm,) * dimension).fitted(shape)
        image, labels = known.fixed, known.fixed_labels
        displacement = self._motion(generator, labels)
        # Labels and image of the moving side come from the fixed ones, by the inverse.
        moving_labels, moving = warp_anatomy(labels.astype(np.int8), image, displacement, 1)
        noise = generator.uniform(0, MAX_NOISE)
        fixed, moving = (
            np.clip(picture + noise * generator.standard_normal(picture.shape), 0, 1).astype(np.float32)
            for picture in (image, moving)
        )
        return TrainingPair(
            fixed,
            moving,
            labels,
            moving_labels.astype(np.uint8),
            known.spacing_mm,
            displacement.astype(np.float32),
            known.valid,
        )

    def _section(self, generator: np.random.Generator, shape: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """The whole volume, or a random slice across a random axis that shows enough of the body."""
        if len(shape) == 3:
            return self._image, self._labels
        for _ in range(100):
            axis = int(generator.integers(3))
            place = int(generator.integers(self._labels.shape[axis]))
            labels = np.take(self._labels, place, axis)
            large = all(size >= MIN_SIZE * wanted for size, wanted in zip(labels.shape, shape, strict=True))
            if large and np.mean(labels > 0) > MIN_TISSUE_SHARE:
                return np.take(self._image, place, axis), labels
        raise ValueError("No slice of the volume shows enough tissue.")

    def _motion(self, generator: np.random.Generator, labels: np.ndarray) -> np.ndarray:
        """Displacement (D, *shape) in voxels of a body of these labels under random smooth forces."""
        canvas = Canvas(labels.shape, self._spacing_mm)
        lam_kpa, mu_kpa = _stiffness(generator, labels, self._weights)
        size_mm = self._spacing_mm * min(labels.shape)
        forces = (
            np.stack(
                [smooth_noise(generator, canvas, generator.uniform(*FORCE_WIDTHS) * size_mm) for _ in labels.shape],
                axis=-1,
            )
            * (labels > 0)[..., None]
        )
        holding = HOLDING_KPA_PER_MM2 * np.ones(labels.shape)
        forces, springs = (nodes_from_elements(density, labels.ndim, self._spacing_mm) for density in (forces, holding))
        nodal = solve_elasticity(lam_kpa, mu_kpa, self._spacing_mm, forces, _edge_of_grid(labels.shape), springs)
        displacement = np.moveaxis(centers_from_nodes(nodal, labels.ndim), -1, 0) / self._spacing_mm
        size = np.percentile(np.linalg.norm(displacement, axis=0)[labels > 0], 99)
        displacement *= generator.uniform(*MOTION_SHARE) * min(labels.shape) / max(size, 1e-9)
        while cell_determinants(displacement).min() < MIN_DETERMINANT:
            displacement *= 0.9
        return displacement


def _compact(labels: np.ndarray, names: Mapping[int, str]) -> tuple[np.ndarray, np.ndarray]:
    """Labels renumbered without gaps, and the table weight of each; the least frequent ones are joined in the last."""
    values, counts = np.unique(labels[labels > 0], return_counts=True)
    values = values[np.argsort(-counts, kind="stable")]
    compact = np.zeros(labels.shape, np.uint8)
    weights = [table_weight("background")]
    for position, value in enumerate(values.tolist()):
        compact[labels == value] = min(position + 1, MAX_LABELS)
        if position < MAX_LABELS:
            weights.append(table_weight(names.get(value, "")))
    return compact, np.array(weights)


def _stiffness(
    generator: np.random.Generator, labels: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Lamé parameters in kPa of every voxel."""
    young = SOFT_YOUNG_KPA * weights * STIFFNESS_SPREAD ** generator.uniform(-1, 1, len(weights))
    poisson = generator.uniform(*POISSON_RANGE, len(weights))
    poisson[0] = 0.0
    lam_kpa = young * poisson / ((1 + poisson) * (1 - 2 * poisson))
    return lam_kpa[labels], (young / (2 * (1 + poisson)))[labels]


def _edge_of_grid(shape: tuple[int, ...]) -> np.ndarray:
    """Nodes at the border of the image: nothing moves there."""
    held = np.ones(tuple(n + 1 for n in shape), bool)
    held[(slice(1, -1),) * len(shape)] = False
    return held
