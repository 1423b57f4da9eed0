"""Class-wise Dice, the score of auto-estimate: which voxels count, where labels are taken from, who has a score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from estimation_case import overlap_of, registrar_of, thorax_registrar, thorax_slice
from synthetic_pairs import (
    FIXED_GRID,
    displaced,
    rigid_lps_transform,
    rigid_ras,
    true_displacement_ras_mm,
    volume_pair,
)

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.data.images import ImagePair, Segmentation
from TissueElasticRegistrationLib.core.data.itk_bridge import displacement_transform, resample_array
from TissueElasticRegistrationLib.core.data.progress import finish
from TissueElasticRegistrationLib.core.data.tissues import Tissue
from TissueElasticRegistrationLib.core.evaluation.metrics import dice


@pytest.mark.parametrize("pair", [thorax_slice, volume_pair])
def test_labels_are_warped_as_the_whole_transform_says(pair: Callable[[], ImagePair]):
    registrar = registrar_of(pair())
    finish(registrar.register(registrar.table_parameters()))
    working, moving, overlap = registrar.working, registrar.pair.moving_segmentation, overlap_of(registrar)
    classes = working.volume(overlap.warp(registrar.solution.displacement)).astype(int)
    transform = displacement_transform(*registrar.displacement_ras_mm())
    wanted = resample_array(moving.labels_kji, moving.geometry, transform, working.geometry, 0, nearest=True)
    assert np.mean(np.array([0, *overlap.labels])[classes] == wanted) > 0.999


@pytest.mark.parametrize(("pair", "tolerance"), [(thorax_slice, 0.001), (volume_pair, 0.05)])
def test_the_score_is_the_overlap_that_a_result_reports(pair: Callable[[], ImagePair], tolerance: float):
    """There it is measured on the fixed image's grid, which for the volume is coarser than the working grid."""
    registrar = registrar_of(pair())
    finish(registrar.register(registrar.table_parameters()))
    overlap = overlap_of(registrar)
    found = overlap.dice(overlap.warp(registrar.solution.displacement))
    rows = [row for row in finish(registrar.result()).tissues if row.tissue.label in overlap.labels]
    assert len(found) == len(rows) >= 3
    assert found == pytest.approx([row.dice_after for row in rows], abs=tolerance)
    assert found.mean() > np.mean([row.dice_before for row in rows]) + 0.02


def test_the_score_contains_the_initial_alignment():
    matrix = rigid_ras((40, -25, 30), (0, 0, 12))
    pair = volume_pair()
    away = replace(pair, moving=displaced(pair.moving, matrix), moving_segmentation=_displaced(pair, matrix))
    together = _score_at_rest(pair, "none")
    assert _score_at_rest(away, rigid_lps_transform(matrix)) == pytest.approx(together, abs=1e-3)
    assert _score_at_rest(away, rigid_lps_transform(np.eye(4))).max() < together.min() - 0.2


def test_the_score_contains_an_initial_alignment_that_is_not_linear():
    geometry = FIXED_GRID.resampled(FIXED_GRID.spacing_kji_mm * 1.5, FIXED_GRID.shape_kji)
    truth = displacement_transform(true_displacement_ras_mm(geometry.voxel_centers_ras_mm()), geometry)
    assert _score_at_rest(volume_pair(), truth).min() > _score_at_rest(volume_pair(), "none").min() + 0.2


def test_padding_does_not_count():
    """The displacement brings labels of the moving image into the padding."""
    registrar = registrar_of(volume_pair())
    working, overlap = registrar.working, overlap_of(registrar)
    shown = working.volume(working.fixed_mask) > 0
    warped = overlap.warp(torch.full((1, 3, *working.labels.shape[2:]), 8.0))
    moving = np.array([0, *overlap.labels])[working.volume(warped).astype(int)]
    assert (moving[~shown] > 0).any()
    fixed = working.volume(working.labels)
    wanted = [dice(fixed[shown], moving[shown], label) for label in overlap.labels]
    assert overlap.dice(warped) == pytest.approx(np.nan_to_num(wanted))


def test_what_is_moved_out_of_the_grid_does_not_overlap():
    registrar = thorax_registrar()
    overlap = overlap_of(registrar)
    shape = registrar.working.labels.shape[2:]
    assert overlap.dice(overlap.warp(torch.full((1, 2, *shape), 100.0))).tolist() == [0] * len(overlap.labels)


def test_tissues_are_the_same_if_their_names_are_whatever_their_labels():
    pair = thorax_slice()
    moving = pair.moving_segmentation
    renamed = replace(
        moving,
        labels_kji=np.where(moving.labels_kji > 0, 40 - moving.labels_kji, 0),
        tissues=tuple(Tissue(40 - t.label, t.name.upper()) for t in moving.tissues),
    )
    scores = []
    for segmentation in (moving, renamed):
        overlap = overlap_of(registrar_of(replace(pair, moving_segmentation=segmentation)))
        shape = thorax_registrar().working.labels.shape[2:]
        scores.append(overlap.dice(overlap.warp(torch.zeros(1, 2, *shape))))
    assert scores[0].tolist() == scores[1].tolist()


def _displaced(pair: ImagePair, matrix_ras: np.ndarray) -> Segmentation:
    moving = pair.moving_segmentation
    return replace(moving, geometry=Geometry(moving.geometry.shape_kji, matrix_ras @ moving.geometry.ijk_to_ras))


def _score_at_rest(pair: ImagePair, initial: sitk.Transform | str) -> np.ndarray:
    registrar = registrar_of(pair, initial=initial)
    overlap = overlap_of(registrar)
    return overlap.dice(overlap.warp(torch.zeros(1, 3, *registrar.working.labels.shape[2:])))
