"""Landmarks beside the image are left out and named; numbers that were meant otherwise are noticed, others are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from synthetic_pairs import CENTER_RAS_MM, FIXED_GRID, MOVING_GRID, true_displacement_ras_mm, volume_pair

from TissueElasticRegistrationLib.core.data.geometry import flip_ras_lps
from TissueElasticRegistrationLib.core.data.images import Landmarks
from TissueElasticRegistrationLib.core.evaluation.landmarks import landmark_errors, landmark_warnings

GRID = FIXED_GRID.padded((1, 1, 1), (1, 1, 1))
FOUND_RAS_MM = 0.9 * true_displacement_ras_mm(GRID.voxel_centers_ras_mm())  # a registration that leaves a tenth
FIXED = CENTER_RAS_MM + np.random.default_rng(4).uniform(-14, 14, (8, 3))
MOVING = FIXED + true_displacement_ras_mm(FIXED) + np.random.default_rng(5).normal(0, 0.3, (8, 3))


def in_indices(points_ras_mm, grid):
    """Voxel indices in the place of LPS mm."""
    return flip_ras_lps(grid.points_ijk(points_ras_mm))


def warnings(fixed, moving, found_ras_mm=FOUND_RAS_MM):
    pair = replace(volume_pair(), landmarks=Landmarks(np.asarray(fixed), np.asarray(moving)))
    return landmark_warnings(pair, found_ras_mm, GRID)


@pytest.mark.parametrize(
    ("fixed", "moving", "reading"),
    [
        (flip_ras_lps(FIXED), flip_ras_lps(MOVING), "with the signs of x and y changed (RAS or LPS)"),
        (flip_ras_lps(FIXED), MOVING, "with the signs of x and y of the fixed points changed (RAS or LPS)"),
        (FIXED, flip_ras_lps(MOVING), "with the signs of x and y of the moving points changed (RAS or LPS)"),
        (MOVING, FIXED, "with fixed and moving points exchanged"),
        (in_indices(FIXED, FIXED_GRID), in_indices(MOVING, MOVING_GRID), "as voxel indices i, j, k instead of mm"),
    ],
)
def test_landmarks_that_were_meant_otherwise_are_noticed(fixed, moving, reading):
    hints = [sentence for sentence in warnings(fixed, moving) if "would fit better" in sentence]
    assert len(hints) == 1 and f"would fit better {reading}: " in hints[0] and "0." in hints[0]


@pytest.mark.parametrize(
    "found_ras_mm",
    [
        pytest.param(FOUND_RAS_MM, id="good registration"),
        pytest.param(0 * FOUND_RAS_MM, id="none"),
        pytest.param(0.3 * FOUND_RAS_MM, id="a third of the way"),
        pytest.param(-0.5 * FOUND_RAS_MM, id="made worse"),
        pytest.param(np.roll(FOUND_RAS_MM, 5, 2) * 1.5, id="elsewhere"),
    ],
)
def test_right_landmarks_are_never_suspected_whatever_the_registration(found_ras_mm):
    assert warnings(FIXED, MOVING, found_ras_mm) == ()
    unmoved = FIXED + np.random.default_rng(6).normal(0, 0.3, (8, 3))
    assert warnings(FIXED, unmoved, found_ras_mm) == warnings(FIXED, FIXED, found_ras_mm) == ()


def test_landmarks_where_the_deformation_is_not_defined_are_named_and_left_out():
    fixed, moving = FIXED.copy(), MOVING.copy()
    fixed[2] = moving[2] = CENTER_RAS_MM + [0, 0, 400]
    fixed[5] = CENTER_RAS_MM + [-300, 0, 0]
    pair = replace(volume_pair(), landmarks=Landmarks(fixed, moving, tuple("abcdefgh")))
    (sentence,) = [text for text in landmark_warnings(pair, FOUND_RAS_MM, GRID) if "outside" in text]
    assert sentence.startswith("2 of 8 landmarks lie outside of the fixed image") and sentence.endswith(": c, f.")
    inside = np.delete(np.arange(8), [2, 5])
    errors = landmark_errors(pair.landmarks, FOUND_RAS_MM, GRID)
    assert errors == landmark_errors(Landmarks(FIXED[inside], MOVING[inside]), FOUND_RAS_MM, GRID) and errors.n == 6


def test_landmarks_that_all_lie_outside_have_no_error():
    pair = replace(volume_pair(), landmarks=Landmarks(FIXED + 500, MOVING + 500))
    assert landmark_errors(pair.landmarks, FOUND_RAS_MM, GRID) is None
    assert "8 of 8 landmarks" in landmark_warnings(pair, FOUND_RAS_MM, GRID)[0]
    assert "1, 2, 3, 4, 5 and 3 more." in landmark_warnings(pair, FOUND_RAS_MM, GRID)[0]
