"""The alignment before the deformation: found where the images' frames do not fit, left out where they do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from synthetic_pairs import (
    displaced,
    displacement_at,
    grid,
    intensities,
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

from TissueElasticRegistrationLib.core.data.geometry import Geometry, flip_ras_lps
from TissueElasticRegistrationLib.core.data.images import Image, ImagePair
from TissueElasticRegistrationLib.core.preparation.alignment import initial_alignment

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


def apart(shift_mm) -> ImagePair:
    pair = volume_pair()
    moving = displaced(pair.moving, rigid_ras(shift_mm, (0, 0, 0)))
    return ImagePair(pair.fixed, moving, pair.fixed_segmentation)


def test_images_that_do_not_overlap_are_refused_where_nothing_may_align_them():
    with pytest.raises(ValueError, match="^'moving' does not overlap with 'fixed' in space[.]$"):
        prepared(apart((500, 0, 0)), initial="none")


def cube(count: int, spacing_mm: float, name: str, shift_ras_mm=(0, 0, 0)) -> Image:
    """The formula on an upright cube of voxels, moved afterwards."""
    geometry = grid((count,) * 3, (spacing_mm,) * 3, np.eye(3))
    return displaced(
        Image(intensities(geometry.voxel_centers_ras_mm()), geometry, name), rigid_ras(shift_ras_mm, (0, 0, 0))
    )


def test_overlap_that_is_too_small_is_not_called_none():
    pair = ImagePair(cube(20, 4, "fixed"), cube(20, 4, "moving", (74, -74, 0)), volume_pair().fixed_segmentation)
    with pytest.raises(ValueError, match="^'moving' overlaps with 'fixed' in only 0[.].* % of the smaller one"):
        prepared(pair, initial="none")


def test_small_image_within_a_large_one_is_an_overlap():
    """A prostate of 52 mm in a body of 300 mm: half a percent of its volume."""
    pair = ImagePair(cube(60, 5, "fixed"), cube(20, 2.6, "moving"), volume_pair().fixed_segmentation)
    assert prepared(pair, initial="none").initial.kind == "none"


def with_moving_segmentation(pair: ImagePair, matrix: np.ndarray) -> ImagePair:
    """The moving image and its segmentation moved by a 4x4 matrix in RAS mm."""
    labels = pair.moving_segmentation
    geometry = Geometry(labels.geometry.shape_kji, matrix @ labels.geometry.ijk_to_ras)
    return replace(pair, moving=displaced(pair.moving, matrix), moving_segmentation=replace(labels, geometry=geometry))


APART_OR_TURNED = {
    "another hospital": ((500, -200, 900), (0, 0, 0)),
    "prone": ((0, 30, 0), (0, 0, 180)),
    "feet first": ((40, 0, 300), (180, 0, 0)),
    "on the left side": ((0, 0, 0), (0, 0, 90)),
    "turned back and tilted": ((-100, 20, 0), (12, 190, -8)),
}


@pytest.mark.parametrize("initial", ["auto", "rigid", "segments"])
@pytest.mark.parametrize(("shift_mm", "angles_degrees"), APART_OR_TURNED.values(), ids=APART_OR_TURNED)
def test_scans_that_lie_apart_or_turned_are_brought_together(initial, shift_mm, angles_degrees):
    matrix = rigid_ras(shift_mm, angles_degrees)
    pair = with_moving_segmentation(pair_of(thorax_case()), matrix)
    alignment = initial_alignment(pair, initial)
    assert alignment.kind == ("segments" if initial == "segments" else "rigid")
    points = pair.fixed.geometry.voxel_centers_ras_mm()[pair.fixed_segmentation.labels_kji > 0][::50]
    mapped = np.array([alignment.transform.TransformPoint(point) for point in flip_ras_lps(points).tolist()])
    error_mm = np.linalg.norm(flip_ras_lps(mapped) - moved(points, matrix), axis=-1)
    assert np.median(error_mm) < 12  # of the deformation itself; the voxels have 12 mm


def test_centers_are_a_shift_that_brings_the_centers_of_mass_together():
    matrix = rigid_ras((500, -200, 900), (0, 0, 0))
    pair = with_moving_segmentation(volume_pair(), matrix)
    alignment = initial_alignment(pair, "centers")
    shift = np.array(alignment.transform.TransformPoint((0.0, 0.0, 0.0))) * [-1, -1, 1]
    assert alignment.kind == "centers" and np.linalg.norm(shift - (500, -200, 900)) < 6
    np.testing.assert_array_equal(np.reshape(alignment.transform.Downcast().GetMatrix(), (3, 3)), np.eye(3))


@pytest.mark.parametrize("initial", ["centers", "segments"])
def test_alignment_is_said_in_the_warnings(initial):
    result = registered(volume_pair(), initial=initial, solver=quick_solver(1, 1))
    assert result.initial == initial
    assert any("aligned by their" in warning for warning in result.warnings)


def test_segments_must_correspond():
    pair = volume_pair()
    with pytest.raises(ValueError, match="^An initial alignment by segments needs a segmentation of the moving image"):
        initial_alignment(replace(pair, moving_segmentation=None), "segments")
    others = tuple(replace(tissue, name=f"other {tissue.name}") for tissue in pair.moving_segmentation.tissues)
    with pytest.raises(ValueError, match="have no segment in common"):
        initial_alignment(
            replace(pair, moving_segmentation=replace(pair.moving_segmentation, tissues=others)), "segments"
        )


@pytest.mark.parametrize("scale", [0.01, 1000.0])
def test_alignment_does_not_depend_on_the_unit_of_the_header(scale):
    """Micro-CT, or meters: the same rotation, and the same shift in voxels."""
    pair = volume_pair()
    pair = replace(pair, moving=displaced(pair.moving, rigid_ras((10, -10, 10), (2.9, -2.9, 2.9))))
    found = [initial_alignment(p, "rigid") for p in (pair, scaled(pair, np.diag([scale, scale, scale, 1.0])))]
    corners = flip_ras_lps(pair.fixed.geometry.corners_ras_mm())
    expected = np.array([found[0].transform.TransformPoint(corner) for corner in corners.tolist()])
    mapped = np.array([found[1].transform.TransformPoint(corner) for corner in (scale * corners).tolist()]) / scale
    np.testing.assert_allclose(mapped, expected, atol=2.0)  # less than a voxel: how many steps ITK takes differs


def scaled(pair: ImagePair, matrix: np.ndarray) -> ImagePair:
    """All grids of a pair mapped by a 4x4 matrix."""

    def there(thing):
        return replace(thing, geometry=Geometry(thing.geometry.shape_kji, matrix @ thing.geometry.ijk_to_ras))

    return ImagePair(there(pair.fixed), there(pair.moving), there(pair.fixed_segmentation))


@pytest.mark.parametrize("scale", [0.01, 1000.0])
def test_registration_does_not_depend_on_the_unit_of_the_header(scale):
    pair = volume_pair()
    plain, other = (
        registered(p, initial="none", solver=quick_solver())
        for p in (pair, scaled(pair, np.diag([scale, scale, scale, 1.0])))
    )
    np.testing.assert_allclose(other.displacement_ras_mm / scale, plain.displacement_ras_mm, atol=0.01)


def test_noise_is_not_aligned_automatically():
    pair = volume_pair()
    noise = np.random.default_rng(5).normal(size=pair.moving.array_kji.shape).astype(np.float32)
    matrix = rigid_ras((30, -10, 20), (40, 0, 0))
    moving = displaced(replace(pair.moving, array_kji=noise), matrix)
    assert initial_alignment(replace(pair, moving=moving, moving_segmentation=None), "auto").is_identity


def test_an_orientation_that_fits_as_well_as_another_is_uncertain():
    """Two halves that mirror each other, turned by half: nothing in the image tells which of both is right."""
    index = np.indices((24, 28, 32)).transpose(1, 2, 3, 0) - (np.array([24, 28, 32]) - 1) / 2
    blobs = [((4.0, 5.0, 8.0), 3.0, 1.0), ((-7.0, 4.0, -3.0), 2.5, 0.6)]
    values = sum(
        height * np.exp(-np.sum((index * [1, turn, turn] - place) ** 2, -1) / (2 * width**2))
        for place, width, height in blobs
        for turn in (1, -1)
    )
    body = np.linalg.norm(index / [10, 12, 14], axis=-1) < 1
    values = (1000 * (body + values)).astype(np.float32)
    geometry = Geometry(values.shape, np.diag([3.0, 3.0, 3.0, 1.0]))
    fixed = Image(values, geometry)
    turned = displaced(fixed, rigid_ras((0, 0, 0), (0, 0, 100), middle_ras_mm(geometry)))
    segmentation = volume_pair().fixed_segmentation
    assert initial_alignment(ImagePair(fixed, turned, segmentation), "rigid").is_uncertain
    with pytest.raises(ValueError, match="several orientations"):
        initial_alignment(ImagePair(fixed, turned, segmentation), "auto")
    assert not initial_alignment(volume_pair(), "rigid").is_uncertain
