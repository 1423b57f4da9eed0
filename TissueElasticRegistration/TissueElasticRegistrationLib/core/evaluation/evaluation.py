"""From the solver's displacement to the result: field in mm, warped images, and measurements for every tissue."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import SimpleITK as sitk
import torch

from ..data.geometry import Geometry, flip_ras_lps
from ..data.images import Image, ImagePair, Segmentation
from ..data.itk_bridge import displacement_transform, resample_array
from ..data.progress import Job, Progress
from ..data.result import ObjectiveValues, RegistrationResult, TissueResult
from ..data.tissues import BACKGROUND, TissueParameters
from ..physics.deformation import folding, jacobian_determinant
from ..physics.elasticity import strain_square
from ..physics.objective import Objective
from ..physics.tissue_presets import soft_stiffness
from ..preparation.alignment import InitialAlignment
from ..preparation.preprocessing import WorkingPair, field_of_view
from .landmarks import landmark_errors, landmark_warnings
from .metrics import dice, percent, surface_distances
from .reliability import reasons_against

# One voxel more on every side: ITK's field ends at the outer voxel edges, and beyond it nothing would move.
MARGIN_VOXELS = 1
FEW_VOXELS = 50
HOW_ALIGNED = {
    "rigid": "rigidly aligned",
    "centers": "aligned by their centers of mass",
    "segments": "rigidly aligned by their segments",
}


def evaluate(
    pair: ImagePair,
    working: WorkingPair,
    initial: InitialAlignment,
    displacement: torch.Tensor,
    objective_values: ObjectiveValues,
    parameters: TissueParameters,
    objective: Objective,
    seconds: dict[str, float],
) -> Job[RegistrationResult]:
    """Everything a `RegistrationResult` holds, as a job.

    Args:
        pair: The images that were registered.
        working: The same on the working grid.
        initial: The alignment that came first.
        displacement: (1, D, *working shape), voxels of the working grid, fixed to moving, without
            the initial alignment.
        objective_values: Values of the objective before and after.
        parameters: λ and μ that were used.
        objective: The objective that was minimized.
        seconds: How long the parts before took; "evaluate" is added.

    Yields:
        `Progress` between the slow parts.

    Returns:
        The result.
    """
    began = time.perf_counter()
    yield Progress(0.0, "computing the displacement")
    displacement_ras_mm, geometry = total_displacement_ras_mm(working.geometry, initial, displacement)
    transform = displacement_transform(displacement_ras_mm, geometry)
    yield Progress(0.1, "warping the image")
    warped, valid = _warped(pair.moving, transform, pair.fixed.geometry)
    yield Progress(0.4, "tissues")
    folded = working.volume(folding(displacement))
    tissues = _tissues(working, displacement, folded, parameters, objective)
    warped_segmentation = None
    if pair.moving_segmentation is not None:
        yield Progress(0.5, "warping the segmentation")
        moving = pair.matched_moving_segmentation
        warped_segmentation = _on_fixed(moving, transform, pair.fixed.geometry)
        before = _on_fixed(moving, sitk.Transform(3, sitk.sitkIdentity), pair.fixed.geometry)
        common = _without_padding(valid, pair.fixed)
        for number, tissue in enumerate(tissues):
            yield Progress(0.6 + 0.4 * number / len(tissues), f"measuring the overlap of {tissue.tissue.name}")
            tissue = _with_overlap(tissue, pair.fixed_segmentation, moving, before, warped_segmentation)
            tissues[number] = _with_common_overlap(tissue, pair.fixed_segmentation, warped_segmentation, common)
    visible = working.volume(working.fixed_mask) > 0
    errors = landmark_errors(pair.landmarks, displacement_ras_mm, geometry)
    covered_share, strain_rms = _body(working, displacement)
    return RegistrationResult(
        displacement_ras_mm=displacement_ras_mm,
        geometry=geometry,
        jacobian_kji=padded_array(working.volume(jacobian_determinant(displacement))),
        warped=warped,
        valid_kji=valid,
        warped_segmentation=warped_segmentation,
        initial=initial.kind,
        tissues=tuple(tissues),
        similarity_before=objective_values.similarity_before,
        similarity_after=objective_values.similarity_after,
        negative_jacobian_percent=percent(folded, visible),
        landmark_errors=errors,
        objective_values=objective_values,
        seconds={**seconds, "evaluate": time.perf_counter() - began},
        warnings=(
            *_warnings(pair, working, initial, valid),
            *landmark_warnings(pair, displacement_ras_mm, geometry),
        ),
        unreliable=reasons_against(objective_values, covered_share, strain_rms, tissues, errors, initial.is_uncertain),
    )


def total_displacement_ras_mm(
    geometry: Geometry, initial: InitialAlignment, displacement: torch.Tensor
) -> tuple[np.ndarray, Geometry]:
    """The whole mapping as a displacement in mm, initial alignment included, on a grid that is wider by a margin.

    Args:
        geometry: The working grid, or a coarser one.
        initial: The alignment that came first.
        displacement: (1, D, *shape) in voxels of ``geometry``, fixed to moving, without the initial alignment; on the
            grid of a single slice D = 2.

    Returns:
        (K, J, I, 3) float32 in RAS mm, fixed point x to moving point x + d(x), and the padded grid it lies on.
    """
    field = displacement[0].detach().cpu().numpy()
    if len(field) == 2:
        field = np.concatenate([np.zeros_like(field[:1]), field])[:, None]
    margin = [(MARGIN_VOXELS, MARGIN_VOXELS)] * 3
    geometry = geometry.padded(*np.transpose(margin))
    displacement_ras_mm = geometry.displacement_ras_mm(np.pad(field, [(0, 0), *margin], mode="edge"))
    if initial.is_identity:
        return displacement_ras_mm, geometry
    whole = sitk.CompositeTransform([initial.transform, displacement_transform(displacement_ras_mm, geometry)])
    field_lps = sitk.TransformToDisplacementField(
        whole,
        sitk.sitkVectorFloat32,
        geometry.shape_kji[::-1],
        geometry.origin_lps_mm.tolist(),
        geometry.spacing_ijk_mm.tolist(),
        geometry.direction_lps.ravel().tolist(),
    )
    return flip_ras_lps(sitk.GetArrayFromImage(field_lps)), geometry


def _warped(moving: Image, transform: sitk.Transform, fixed: Geometry) -> tuple[Image, np.ndarray]:
    """The moving image on the fixed grid and where it really comes from the moving image."""
    values = resample_array(moving.array_kji, moving.geometry, transform, fixed, moving.lowest)
    return Image(values, fixed, f"{moving.name} warped"), field_of_view(moving, fixed, transform)


def _on_fixed(segmentation: Segmentation, transform: sitk.Transform, fixed: Geometry) -> Segmentation:
    labels = resample_array(segmentation.labels_kji, segmentation.geometry, transform, fixed, BACKGROUND, nearest=True)
    # A segmentation warped out of the fixed field of view is a result, not an input error.
    return Segmentation(labels, fixed, segmentation.tissues, f"{segmentation.name} warped", may_be_empty=True)


def _body(working: WorkingPair, displacement: torch.Tensor) -> tuple[float, float]:
    """How much of the fixed body is inside the moving image, and the strain there (see `reasons_against`)."""
    body = (working.volume(working.fixed_mask) > 0) & (working.volume(working.labels) != BACKGROUND)
    covered = body & (working.volume(working.moving_mask) > 0)
    if not covered.any():
        return 0.0, 0.0
    square = working.volume(strain_square(displacement, working.spacing_mm))
    return float(covered.sum() / body.sum()), float(np.sqrt(square[covered].mean()))


def _tissues(
    working: WorkingPair,
    displacement: torch.Tensor,
    folded: np.ndarray,
    parameters: TissueParameters,
    objective: Objective,
) -> list[TissueResult]:
    """Energy, strain and folding of every tissue within the fixed image, NaN for those without a voxel there."""
    lam, mu = parameters.maps(working.labels)
    energy = working.volume(objective.energy_density(displacement, working.spacing_mm, lam, mu))
    square = working.volume(strain_square(displacement, working.spacing_mm))
    labels = working.volume(working.labels)
    visible = working.volume(working.fixed_mask) > 0
    soft = soft_stiffness(((tissue.name, parameters[tissue.label]) for tissue in working.tissues), objective.scale)
    rows = []
    for tissue in working.tissues:
        region = visible & (labels == tissue.label)
        lame, present = parameters[tissue.label], bool(region.any())
        rows.append(
            TissueResult(
                tissue,
                lame,
                lame.stiffness / soft if soft > 0 else float("nan"),
                float(energy[region].mean()) if present else float("nan"),
                float(np.sqrt(square[region].mean())) if present else float("nan"),
                percent(folded, region) if present else float("nan"),
            )
        )
    return rows


def _with_overlap(
    row: TissueResult, fixed: Segmentation, moving: Segmentation, before: Segmentation, after: Segmentation
) -> TissueResult:
    """``row`` with Dice and surface distances of its label; not a number if either input does not have it."""
    label = row.tissue.label
    if label == BACKGROUND or not (np.any(fixed.labels_kji == label) and np.any(moving.labels_kji == label)):
        return row
    measured = {}
    for when, labels_kji in (("before", before.labels_kji), ("after", after.labels_kji)):
        overlap = dice(fixed.labels_kji, labels_kji, label)
        # Both inputs have the tissue: gone from the fixed field of view means no overlap, not "absent".
        measured[f"dice_{when}"] = 0.0 if np.isnan(overlap) else overlap
        hd95_mm, mean_mm = surface_distances(fixed.labels_kji, labels_kji, label, fixed.geometry)
        measured[f"hd95_mm_{when}"], measured[f"surface_distance_mm_{when}"] = hd95_mm, mean_mm
    return replace(row, **measured)


def _with_common_overlap(
    row: TissueResult, fixed: Segmentation, after: Segmentation, common: np.ndarray
) -> TissueResult:
    """``row`` with the measures after registration of what both images show; those of all where that is all."""
    if np.isnan(row.dice_after) or common.all():
        return replace(row, dice_common_after=row.dice_after, hd95_mm_common_after=row.hd95_mm_after)
    label = row.tissue.label
    return replace(
        row,
        dice_common_after=dice(fixed.labels_kji[common], after.labels_kji[common], label),
        hd95_mm_common_after=surface_distances(fixed.labels_kji, after.labels_kji, label, fixed.geometry, common)[0],
    )


def _without_padding(valid: np.ndarray, fixed: Image) -> np.ndarray:
    """Where the warped image comes from the moving one, and the fixed image has values."""
    return valid if fixed.padding_kji is None else valid & ~fixed.padding_kji


def _warnings(pair: ImagePair, working: WorkingPair, initial: InitialAlignment, valid: np.ndarray) -> tuple[str, ...]:
    """What the user should know about the images and the working grid, one sentence each."""
    found = []
    if initial.kind in HOW_ALIGNED:
        found.append(f"The images were {HOW_ALIGNED[initial.kind]} first; the alignment is included in every output.")
    padding = pair.fixed.padding_kji
    covered = (valid if padding is None else valid[~padding]).mean()
    if covered < 0.9:
        found.append(f"Only {100 * covered:.0f} % of the fixed image is covered by the moving image.")
    counts = np.bincount(working.labels.numpy().ravel(), minlength=1)
    for tissue in working.tissues:
        count = int(counts[tissue.label]) if tissue.label < len(counts) else 0
        if tissue.label != BACKGROUND and count < FEW_VOXELS:
            found.append(
                f"'{tissue.name}' covers only {count} voxels of the registration grid; its parameters have "
                "little effect."
            )
    return (*found, *pair.segmentation_notes)


def padded_array(array_kji: np.ndarray) -> np.ndarray:
    """An array of the working grid (or a coarser one) on the grid of the total displacement.

    Args:
        array_kji: (K, J, I); its border values are continued.
    """
    return np.pad(array_kji, MARGIN_VOXELS, mode="edge")
