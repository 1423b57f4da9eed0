"""The alignment that comes before any deformation: none, given, rigid, by centers or segments, or only where needed."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import SimpleITK as sitk

from ..data.geometry import Geometry, flip_ras_lps
from ..data.images import Image, ImagePair
from ..data.itk_bridge import sitk_volume
from .preprocessing import intensity_windows, normalized, resampled_image
from .resemblance import POOR_INFORMATION, mutual_information, shared_information
from .segment_alignment import segment_alignment
from .turns import turns

Mode = Literal["auto", "none", "rigid", "centers", "segments"]
MODES: tuple[str, ...] = get_args(Mode)

COARSE_VOXELS = 150_000
HISTOGRAM_BINS = 32
STEP_MM = 4.0  # in patients, see `Geometry.patient_mm`; so are the other lengths
# A rigid alignment is worth it when it moves something far enough and makes the images clearly more alike: a smaller
# offset is the deformation's own work, and an accepted one would be part of every result.
MIN_MOTION_MM = 3.0
MIN_GAIN = 0.15
# Another start is only taken if its end is clearly better: where scans fit, the answer must not depend on chance.
MIN_GAIN_OF_START = 0.1
# From so many starts it is searched quickly, from so many different ends better, from so many of these fully.
STARTS_TRIED, ENDS_TRIED, FULLY_TRIED = 24, 12, 3
# Other starts are looked at where the images share less information than this after the first one (see `resemblance`):
# synthetic scans that were right shared 0.36 to 0.84 of it, and those that were wrong 0.16 to 0.73.
GOOD_INFORMATION = 0.5
DIFFERENT_DEGREES = 25.0
# An alignment is uncertain if another one, turned by so much, reaches so much of its information.
RIVAL_DEGREES, RIVAL_INFORMATION = 60.0, 0.93
MIN_SHRUNK_VOXELS = 8
# Voxels of the coarse images that become one, along each axis.
LEVELS, FEWER_LEVELS, QUICK_LEVELS = (2, 1), (2,), (4,)


@dataclass(frozen=True, eq=False)
class InitialAlignment:
    """The map that is applied before any deformation.

    Attributes:
        transform: From fixed LPS mm to moving LPS mm.
        kind: "none", "rigid", "centers", "segments" or "given".
        is_uncertain: Whether the moving image fits about as well in quite another orientation.
    """

    transform: sitk.Transform
    kind: str
    is_uncertain: bool = False

    @property
    def is_identity(self) -> bool:
        """Whether there is nothing to apply."""
        return self.kind == "none"


NO_ALIGNMENT = InitialAlignment(sitk.Transform(3, sitk.sitkIdentity), "none")


def initial_alignment(pair: ImagePair, wanted: Mode | sitk.Transform) -> InitialAlignment:
    """The alignment to start from. Single slices are never aligned automatically (their plane is the user's choice).

    Args:
        pair: The images to align.
        wanted: A transform from fixed LPS mm to moving LPS mm; or "none"; or "centers", a shift that brings the centers
            of mass together; or "segments" (see `segment_alignment`); or "rigid"; or "auto", which is rigid if that
            moves a corner by more than ``MIN_MOTION_MM``, raises the mutual information by more than the part
            ``MIN_GAIN``, and makes the images resemble each other at all, and none otherwise.

    Raises:
        ValueError: A rigid alignment is wanted and the images do not overlap enough for it, or one by segments, and
            there are none that correspond; or an automatic one would have to turn the patient, and it is uncertain how.
    """
    if isinstance(wanted, sitk.Transform):
        return InitialAlignment(wanted, "given")
    if wanted == "none" or pair.fixed.geometry.is_slice:
        return NO_ALIGNMENT
    if wanted == "segments":
        return InitialAlignment(segment_alignment(pair), "segments")
    if wanted == "centers":
        return InitialAlignment(_CoarsePair(pair.fixed, pair.moving).centered(), "centers")
    rigid = rigid_alignment(pair.fixed, pair.moving)
    if wanted == "rigid" and rigid is None:
        raise ValueError(f"'{pair.moving.name}' and '{pair.fixed.name}' do not overlap enough for a rigid alignment.")
    if rigid is None:
        return NO_ALIGNMENT
    far = rigid.motion_mm > MIN_MOTION_MM * pair.fixed.geometry.patient_mm
    if wanted == "rigid" or (far and rigid.gain > MIN_GAIN and rigid.information > POOR_INFORMATION):
        if wanted == "auto" and rigid.is_uncertain and rigid.is_turned:
            raise ValueError(
                f"'{pair.moving.name}' has to be turned to fit '{pair.fixed.name}', and several orientations fit about "
                "equally well: choose the initial alignment 'rigid' (the best of them), 'segments' or 'none', or give "
                "a transform."
            )
        return InitialAlignment(rigid.transform, "rigid", rigid.is_uncertain)
    return replace(NO_ALIGNMENT, is_uncertain=rigid.is_uncertain)


@dataclass(frozen=True, eq=False)
class RigidAlignment:
    """A rigid alignment and what it is worth.

    Attributes:
        transform: From fixed LPS mm to moving LPS mm.
        motion_mm: How far it moves the most distant corner of the fixed volume.
        gain: Relative increase of the mutual information over no alignment; infinite if the images lie apart.
        information: What the images share within their overlap, 0 to 1 (see `shared_information`).
        is_uncertain: Whether quite another orientation fits about as well.
    """

    transform: sitk.Transform
    motion_mm: float
    gain: float
    information: float
    is_uncertain: bool

    @property
    def is_turned(self) -> bool:
        """Whether the patient lies in another way in the two scans."""
        return _degrees_between(self.transform, sitk.Transform(3, sitk.sitkIdentity)) > RIVAL_DEGREES


def rigid_alignment(fixed: Image, moving: Image) -> RigidAlignment | None:
    """Rigid alignment by mutual information on coarse images; deterministic (all voxels, one thread).

    Starts from where the images lie. Where that ends with images that share little, other starts are tried: the centers
    of mass brought together and the moving image turned in every way (scans from two devices, a patient who lay prone,
    or feet first).

    Args:
        fixed: The image that stays.
        moving: The image that is aligned to it.

    Returns:
        None if the images do not overlap, at the start or on the way, wherever it starts.
    """
    pair = _CoarsePair(fixed, moving)
    best, others = pair.optimized(), []
    if best is None or pair.shared_information(best) < GOOD_INFORMATION:
        reached = 0.0 if best is None else pair.information(best)
        others = _other_alignments(pair)
        if others and pair.information(others[0]) > (1 + MIN_GAIN_OF_START) * reached:
            best = others[0]
    if best is None:
        return None
    corners = flip_ras_lps(fixed.geometry.corners_ras_mm())
    moved = np.array([best.TransformPoint(corner) for corner in corners.tolist()])
    motion_mm = float(np.linalg.norm(moved - corners, axis=1).max())
    return RigidAlignment(
        best, motion_mm, pair.gain(best), pair.shared_information(best), pair.is_uncertain(best, others)
    )


def _other_alignments(pair: _CoarsePair) -> list[sitk.Transform]:
    """What is reached where the centers of mass are brought together and the moving image is turned, best first."""
    starts = _best_first(pair.coarser(), pair.starts())[:STARTS_TRIED]
    different = []
    for end in _reached(pair, starts, QUICK_LEVELS):
        if all(_degrees_between(end, other) > DIFFERENT_DEGREES for other in different):
            different.append(end)
    better = _reached(pair, different[:ENDS_TRIED], FEWER_LEVELS)
    return _reached(pair, better[:FULLY_TRIED], LEVELS)


def _reached(pair: _CoarsePair, starts: list[sitk.Transform], levels: tuple[int, ...]) -> list[sitk.Transform]:
    ends = (pair.optimized(start, levels) for start in starts)
    return _best_first(pair, [end for end in ends if end is not None])


def _best_first(pair: _CoarsePair, transforms: list[sitk.Transform]) -> list[sitk.Transform]:
    order = np.argsort([-pair.information(transform) for transform in transforms], kind="stable")
    return [transforms[index] for index in order]


class _CoarsePair:
    """Both images with few voxels, and what is needed to align them rigidly."""

    def __init__(self, fixed: Image, moving: Image) -> None:
        windows = intensity_windows(fixed, moving)
        self._unit_mm = fixed.geometry.patient_mm
        self._center = _center_lps_mm(fixed.geometry)
        self._fixed, self._moving = _coarse(fixed, windows[0]), _coarse(moving, windows[1])

    def optimized(self, start: sitk.Transform | None = None, levels: tuple[int, ...] = LEVELS) -> sitk.Transform | None:
        """The alignment that is reached from a start (None: where the images lie); None if they do not overlap."""
        best = sitk.Euler3DTransform()
        best.SetCenter(self._center)
        method = self._metric()
        if start is not None:
            method.SetMovingInitialTransform(start)
        method.SetOptimizerAsRegularStepGradientDescent(
            learningRate=STEP_MM * self._unit_mm,
            minStep=0.01 * self._unit_mm,
            numberOfIterations=120,
            relaxationFactor=0.6,
        )
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetShrinkFactorsPerLevel(levels)
        method.SetSmoothingSigmasPerLevel([level / 2 if level > 1 else 0.0 for level in levels])
        method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOff()
        method.SetInitialTransform(best, inPlace=True)
        try:
            method.Execute(self._fixed, self._moving)
        except RuntimeError:  # no overlap, at the start or on the way
            return None
        # ITK's sums differ in the last bits between equal runs; a nanometer is dropped so that the results do not.
        best.SetParameters([round(value, 9) for value in best.GetParameters()])
        return best if start is None else _chained(best, start)

    def gain(self, transform: sitk.Transform) -> float:
        """Relative increase of the mutual information within the overlap."""
        none = sitk.Euler3DTransform()
        none.SetCenter(self._center)
        try:
            information = [-self._metric_value(which) for which in (none, transform)]
        except RuntimeError:
            return float("inf")
        return information[1] / max(information[0], 1e-6) - 1

    def information(self, transform: sitk.Transform) -> float:
        """Mutual information over all of the fixed image, so that a small overlap is no advantage."""
        there = sitk.Resample(self._moving, self._fixed, transform, sitk.sitkLinear, 0.0)
        return mutual_information(sitk.GetArrayViewFromImage(self._fixed), sitk.GetArrayViewFromImage(there))

    def shared_information(self, transform: sitk.Transform) -> float:
        """What the images share within their overlap, 0 to 1."""
        there = sitk.Resample(self._moving, self._fixed, transform, sitk.sitkLinear, -1.0)
        values = sitk.GetArrayViewFromImage(there)
        return shared_information(sitk.GetArrayViewFromImage(self._fixed)[values >= 0], values[values >= 0])

    def is_uncertain(self, best: sitk.Transform, others: list[sitk.Transform]) -> bool:
        """Whether one of the other alignments is turned against the best one and fits about as well."""
        rivals = [other for other in others if _degrees_between(other, best) > RIVAL_DEGREES]
        return any(self.information(rival) > RIVAL_INFORMATION * self.information(best) for rival in rivals)

    def coarser(self) -> _CoarsePair:
        """The same with an eighth of the voxels: enough to tell which turns are worth a try."""
        pair = copy.copy(self)
        pair._fixed, pair._moving = (
            sitk.BinShrink(image, [2 if n >= MIN_SHRUNK_VOXELS else 1 for n in image.GetSize()])
            for image in (self._fixed, self._moving)
        )
        return pair

    def centered(self, turn: np.ndarray | None = None) -> sitk.Transform:
        """The centers of mass brought together, the moving image turned by a 3x3 matrix."""
        fixed, moving = _center_of_mass_lps_mm(self._fixed), _center_of_mass_lps_mm(self._moving)
        turn = np.eye(3) if turn is None else turn
        transform = sitk.AffineTransform(3)
        transform.SetMatrix(turn.ravel().tolist())
        transform.SetTranslation((moving - turn @ fixed).tolist())
        return transform

    def starts(self) -> list[sitk.Transform]:
        """The centers brought together, the moving image turned in every way."""
        return [self.centered(turn) for turn in turns()]

    def _metric(self) -> sitk.ImageRegistrationMethod:
        method = sitk.ImageRegistrationMethod()
        method.SetNumberOfThreads(1)
        method.SetMetricAsMattesMutualInformation(HISTOGRAM_BINS)
        method.SetMetricSamplingStrategy(method.NONE)
        method.SetInterpolator(sitk.sitkLinear)
        return method

    def _metric_value(self, transform: sitk.Transform) -> float:
        method = self._metric()
        method.SetInitialTransform(transform, inPlace=False)
        return method.MetricEvaluate(self._fixed, self._moving)


def _coarse(image: Image, window: tuple[float, float]) -> sitk.Image:
    """The image with about ``COARSE_VOXELS`` voxels, never finer than it is, on [0, 1]; padding is as dark as air."""
    spacing = image.geometry.spacing_kji_mm
    extent = spacing * np.array(image.geometry.shape_kji)
    size = (extent.prod() / COARSE_VOXELS) ** (1 / 3)
    new_spacing = np.maximum(spacing, size)
    shape = np.maximum(1, np.ceil(extent / new_spacing - 1e-3)).astype(int)
    grid = image.geometry.resampled(new_spacing, shape)
    return sitk_volume(normalized(resampled_image(image, grid), window), grid)


def _chained(first: sitk.Transform, second: sitk.Transform) -> sitk.AffineTransform:
    """Two linear transforms, one after the other, as one."""
    transform = sitk.AffineTransform(3)
    transform.SetMatrix((_matrix(second) @ _matrix(first)).ravel().tolist())
    transform.SetTranslation(second.TransformPoint(first.TransformPoint((0.0, 0.0, 0.0))))
    return transform


def _matrix(linear: sitk.Transform) -> np.ndarray:
    """The 3x3 matrix of a linear transform."""
    origin, *ends = (np.array(linear.TransformPoint(point)) for point in [(0.0,) * 3, *np.eye(3).tolist()])
    return np.stack([end - origin for end in ends], 1)


def _degrees_between(first: sitk.Transform, second: sitk.Transform) -> float:
    """The angle of the rotation that turns one linear transform into the other."""
    turn = _matrix(first).T @ _matrix(second)
    return float(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))))


def _center_of_mass_lps_mm(coarse: sitk.Image) -> np.ndarray:
    """The middle of what is brighter than air."""
    weights = sitk.GetArrayViewFromImage(coarse)
    indices_kji = np.indices(weights.shape).reshape(3, -1)
    middle_kji = indices_kji @ weights.ravel() / max(float(weights.sum()), 1e-6)
    return np.array(coarse.TransformContinuousIndexToPhysicalPoint(middle_kji[::-1].tolist()))


def _center_lps_mm(geometry: Geometry) -> list[float]:
    return flip_ras_lps(geometry.corners_ras_mm().mean(0)).tolist()
