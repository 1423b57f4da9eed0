"""The alignment that comes before any deformation: none, given, rigid, or rigid only where the frames do not fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import SimpleITK as sitk

from ..data.geometry import Geometry, flip_ras_lps
from ..data.images import Image, ImagePair
from ..data.itk_bridge import sitk_volume
from .preprocessing import intensity_windows, normalized, resampled_image

Mode = Literal["auto", "none", "rigid"]

COARSE_VOXELS = 150_000
HISTOGRAM_BINS = 32
# A rigid alignment is worth it when it moves something far enough and makes the images clearly more alike: a smaller
# offset is the deformation's own work, and an accepted one would be part of every result.
MIN_MOTION_MM = 3.0
MIN_GAIN = 0.15


@dataclass(frozen=True, eq=False)
class InitialAlignment:
    """The map that is applied before any deformation.

    Attributes:
        transform: From fixed LPS mm to moving LPS mm.
        kind: "none", "rigid" or "given".
    """

    transform: sitk.Transform
    kind: str

    @property
    def is_identity(self) -> bool:
        """Whether there is nothing to apply."""
        return self.kind == "none"


NO_ALIGNMENT = InitialAlignment(sitk.Transform(3, sitk.sitkIdentity), "none")


def initial_alignment(pair: ImagePair, wanted: Mode | sitk.Transform) -> InitialAlignment:
    """The alignment to start from. Single slices are never aligned automatically (their plane is the user's choice).

    Args:
        pair: The images to align.
        wanted: A transform from fixed LPS mm to moving LPS mm; or "none"; or "rigid"; or "auto", which is rigid if that
            moves a corner by more than ``MIN_MOTION_MM`` and raises the mutual information by more than the part
            ``MIN_GAIN``, and none otherwise.

    Raises:
        ValueError: A rigid alignment is wanted and the images do not overlap enough for it.
    """
    if isinstance(wanted, sitk.Transform):
        return InitialAlignment(wanted, "given")
    if wanted == "none" or pair.fixed.geometry.is_slice:
        return NO_ALIGNMENT
    try:
        rigid = rigid_alignment(pair.fixed, pair.moving)
    except RuntimeError as error:  # no overlap, at the start or on the way
        if wanted == "rigid":
            raise ValueError(
                f"'{pair.moving.name}' and '{pair.fixed.name}' do not overlap enough for a rigid alignment."
            ) from error
        return NO_ALIGNMENT
    if wanted == "rigid" or (rigid.motion_mm > MIN_MOTION_MM and rigid.gain > MIN_GAIN):
        return InitialAlignment(rigid.transform, "rigid")
    return NO_ALIGNMENT


@dataclass(frozen=True, eq=False)
class RigidAlignment:
    """A rigid alignment and what it is worth.

    Attributes:
        transform: From fixed LPS mm to moving LPS mm.
        motion_mm: How far it moves the most distant corner of the fixed volume.
        gain: Relative increase of the mutual information over no alignment.
    """

    transform: sitk.Transform
    motion_mm: float
    gain: float


def rigid_alignment(fixed: Image, moving: Image) -> RigidAlignment:
    """Rigid alignment by mutual information on coarse images; deterministic (all voxels, one thread).

    Args:
        fixed: The image that stays.
        moving: The image that is aligned to it.

    Raises:
        RuntimeError: ITK's own: the images do not overlap, at the start or on the way.
    """
    windows = intensity_windows(fixed, moving)
    fixed_coarse, moving_coarse = _coarse(fixed, windows[0]), _coarse(moving, windows[1])
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetMetricAsMattesMutualInformation(HISTOGRAM_BINS)
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=4.0, minStep=0.01, numberOfIterations=120, relaxationFactor=0.6
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([2, 1])
    method.SetSmoothingSigmasPerLevel([1.0, 0.0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOff()
    start = sitk.Euler3DTransform()
    start.SetCenter(_center_lps_mm(fixed.geometry))
    best = sitk.Euler3DTransform(start)
    method.SetInitialTransform(best, inPlace=True)
    method.Execute(fixed_coarse, moving_coarse)
    # ITK's sums differ in the last bits between equal runs; a nanometer is dropped so that the results do not.
    best.SetParameters([round(value, 9) for value in best.GetParameters()])
    information = [-_metric_value(method, fixed_coarse, moving_coarse, transform) for transform in (start, best)]
    corners = flip_ras_lps(fixed.geometry.corners_ras_mm())
    moved = np.array([best.TransformPoint(corner) for corner in corners.tolist()])
    return RigidAlignment(
        best, float(np.linalg.norm(moved - corners, axis=1).max()), information[1] / max(information[0], 1e-6) - 1
    )


def _metric_value(
    method: sitk.ImageRegistrationMethod, fixed: sitk.Image, moving: sitk.Image, transform: sitk.Transform
) -> float:
    method.SetInitialTransform(transform, inPlace=False)
    return method.MetricEvaluate(fixed, moving)


def _coarse(image: Image, window: tuple[float, float]) -> sitk.Image:
    """The image with about ``COARSE_VOXELS`` voxels, never finer than it is, on [0, 1]."""
    spacing = image.geometry.spacing_kji_mm
    extent = spacing * np.array(image.geometry.shape_kji)
    size = (extent.prod() / COARSE_VOXELS) ** (1 / 3)
    new_spacing = np.maximum(spacing, size)
    shape = np.maximum(1, np.ceil(extent / new_spacing - 1e-3)).astype(int)
    grid = image.geometry.resampled(new_spacing, shape)
    return sitk_volume(normalized(resampled_image(image, grid), window), grid)


def _center_lps_mm(geometry: Geometry) -> list[float]:
    return flip_ras_lps(geometry.corners_ras_mm().mean(0)).tolist()
