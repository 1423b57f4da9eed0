"""The alignment before the deformation: found where the images' frames do not fit, left out where they do."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from synthetic_pairs import (
    displaced,
    displacement_at,
    moved,
    pair_of,
    prepared,
    quick_solver,
    registered,
    rigid_lps_transform,
    rigid_ras,
    slice_case,
    thorax_case,
    volume_pair,
)

from TissueElasticRegistrationLib.core.data.images import ImagePair
from TissueElasticRegistrationLib.core.data.progress import finish
from TissueElasticRegistrationLib.core.registration.registrar import Registrar

# 35 mm and 5 degrees, each in another direction.
SHIFTS_AND_ANGLES = [
    ((20.2, -20.2, 20.2), (2.9, -2.9, 2.9)),
    ((-35, 0, 0), (5, 0, 0)),
    ((0, -35, 0), (0, 0, -5)),
    ((0, 0, -35), (0, 5, 0)),
]


def middle_ras_mm(geometry) -> np.ndarray:
    return geometry.corners_ras_mm().mean(0)


def displaced_thorax(shift_mm, angles_degrees) -> tuple[ImagePair, np.ndarray]:
    """The phantom with another header of its moving image, and the matrix it was displaced by."""
    case = thorax_case()
    matrix = rigid_ras(shift_mm, angles_degrees, middle_ras_mm(case.moving.geometry))
    return ImagePair(case.fixed, displaced(case.moving, matrix), case.fixed_segmentation), matrix


@pytest.fixture(scope="module")
def undisturbed():
    return registered(pair_of(thorax_case()))


@pytest.mark.parametrize(("shift_mm", "angles_degrees"), SHIFTS_AND_ANGLES)
def test_displaced_header_is_found_by_auto(undisturbed, shift_mm, angles_degrees):
    case = thorax_case()
    points = case.fixed.geometry.voxel_centers_ras_mm()[(case.fixed_segmentation.labels_kji > 0) & case.valid]
    expected = points + displacement_at(undisturbed, points)
    pair, matrix = displaced_thorax(shift_mm, angles_degrees)
    result = registered(pair)
    assert result.initial == "rigid"
    error_mm = np.linalg.norm(points + displacement_at(result, points) - moved(expected, matrix), axis=-1)
    # A tenth of a voxel: twelve millimeters each.
    assert error_mm.mean() < 1.2


def test_alignment_is_mentioned_in_the_warnings(undisturbed):
    assert undisturbed.initial == "rigid"
    assert any("rigidly aligned" in warning for warning in undisturbed.warnings)


def test_frames_that_fit_are_not_aligned():
    assert registered(volume_pair(0.5), solver=quick_solver()).initial == "none"


def test_slices_are_never_aligned_automatically():
    assert registered(pair_of(slice_case()), initial="rigid", solver=quick_solver()).initial == "none"


def test_none_leaves_a_displaced_header_alone():
    pair, _ = displaced_thorax((20, 0, 0), (0, 0, 0))
    assert registered(pair, initial="none", solver=quick_solver()).initial == "none"


def test_given_transform_that_undoes_the_displacement_gives_the_same_as_without():
    pair = volume_pair()
    plain = registered(pair, initial="none")
    matrix = rigid_ras((25, -20, 15), (6, -4, 5))
    given = registered(
        ImagePair(pair.fixed, displaced(pair.moving, matrix), pair.fixed_segmentation),
        initial=rigid_lps_transform(matrix),
    )
    points = pair.fixed.geometry.voxel_centers_ras_mm()
    expected = moved(points + displacement_at(plain, points), matrix)
    np.testing.assert_allclose(points + displacement_at(given, points), expected, atol=0.02)


def test_jacobian_leaves_the_initial_alignment_out():
    pair = volume_pair()
    stretch = sitk.AffineTransform(3)
    stretch.Scale(1.3)
    stretch.SetCenter(middle_ras_mm(pair.fixed.geometry) * [-1, -1, 1])
    result = registered(pair, initial=stretch, solver=quick_solver(1, 1))
    assert result.jacobian_kji.mean() == pytest.approx(1.0, abs=0.05)


def test_tissues_are_where_the_fixed_segmentation_says_whatever_the_alignment():
    pair, _ = displaced_thorax((20, 10, 5), (2, 3, 4))
    labels = [prepared(pair, initial=initial).working.labels.numpy() for initial in ("none", "rigid")]
    np.testing.assert_array_equal(*labels)


@pytest.mark.parametrize(
    ("initial", "sentence"),
    [
        ("auto", "'moving' does not overlap with 'fixed' in space."),
        ("none", "'moving' does not overlap with 'fixed' in space."),
        ("rigid", "'moving' and 'fixed' do not overlap enough for a rigid alignment."),
    ],
)
def test_images_that_do_not_overlap_are_refused(initial, sentence):
    pair = volume_pair()
    far = ImagePair(pair.fixed, displaced(pair.moving, rigid_ras((500, 0, 0), (0, 0, 0))), pair.fixed_segmentation)
    with pytest.raises(
        ValueError, match="^'moving' .*'fixed' .*overlap.*[.]$|^'moving' does not overlap with 'fixed' in space[.]$"
    ):
        finish(Registrar(far, initial=initial).prepare())
