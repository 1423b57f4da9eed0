"""Air around the body: an elliptic thorax, cropped so that its lungs are open at one end, on a couch."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from scipy import ndimage

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.preparation.body import outside_body

SHAPE = (9, 44, 60)
SPACING = np.array([4.0, 5.0, 4.0])
CENTER_MM = np.array([85.0, 112.0])
AIR, LUNG, FAT, SOFT, BONE, COUCH = -1000, -820, -100, 40, 600, 100
MR = {AIR: 4, LUNG: 12, FAT: 240, SOFT: 120, BONE: 30}


def grid_of(image_kji):
    return Geometry(image_kji.shape, np.diag([*SPACING[::-1], 1.0]))


GRID = Geometry(SHAPE, np.diag([*SPACING[::-1], 1.0]))


def ellipse(center_mm, radii_mm):
    """(K, J, I) bool, the same in every slice."""
    j, i = (np.arange(n) * h for n, h in zip(SHAPE[1:], SPACING[1:], strict=True))
    plane = ((j[:, None] - center_mm[0]) / radii_mm[0]) ** 2 + ((i - center_mm[1]) / radii_mm[1]) ** 2 <= 1
    return np.broadcast_to(plane, SHAPE)


BODY = ellipse(CENTER_MM, (60.0, 85.0))
ARMS = ellipse((22.0, 16.0), (14.0, 14.0)) | ellipse((24.0, 214.0), (12.0, 12.0))


def thorax(couch=False):
    """HU: fat around muscle, a bone, two lungs of different size that reach the first slice but not the last two."""
    image = np.full(SHAPE, AIR, float)
    image[BODY] = FAT
    image[ellipse(CENTER_MM, (52.0, 77.0))] = SOFT
    for center, radii in (((80.0, 75.0), (35.0, 25.0)), ((82.0, 150.0), (30.0, 22.0))):
        image[:-2][ellipse(center, radii)[:-2]] = LUNG
    image[ellipse((125.0, 112.0), (8.0, 10.0))] = BONE
    if couch:
        image[:, 36:38, 5:55] = COUCH
    return image


def as_mr(image):
    return np.vectorize(MR.get)(image).astype(float)


def noisy(image, size):
    return image + np.random.default_rng(0).normal(0, size, image.shape)


def is_outline(found, expected):
    """Whether every slice of ``found`` is ``expected`` to within one voxel at its surface."""
    around = np.zeros((3, 3, 3), bool)
    around[1] = True
    smallest = ndimage.binary_erosion(expected, around, border_value=1)
    return bool(np.all(found >= smallest) and np.all(found <= ndimage.binary_dilation(expected, around)))


IMAGES = {"ct": (noisy(thorax(), 20.0), True), "mr": (np.abs(noisy(as_mr(thorax()), 4.0)), False)}
every_image = pytest.mark.parametrize(("image", "ct"), IMAGES.values(), ids=IMAGES)


@every_image
def test_outside_is_what_lies_around_the_body(image, ct):
    outside = outside_body(image, GRID, ct)
    assert outside.dtype == bool and outside.shape == SHAPE
    assert is_outline(~outside, BODY)


@every_image
def test_lungs_belong_to_the_body_though_the_volume_cuts_them_open(image, ct):
    outside = outside_body(image, GRID, ct)
    assert not outside[thorax() == LUNG].any()


def test_couch_is_not_the_body():
    outside = outside_body(noisy(thorax(couch=True), 20.0), GRID, True)
    assert outside[:, 36:38, 5:55].all() and is_outline(~outside, BODY)


def test_small_gap_of_the_surface_is_closed_but_a_wide_one_is_not():
    """A cut from the air into the left lung, 10 mm and 50 mm wide."""
    for width, part_of_body in ((2, True), (10, False)):
        image = thorax()
        image[:, 15 : 15 + width, 2:20] = AIR
        outside = outside_body(image, GRID, True)
        assert bool(outside[0][image[0] == LUNG].any()) is not part_of_body


def test_surface_is_closed_within_slices_only():
    """A wide notch of two slices stays open: thick slices say nothing about what lies between them."""
    image = thorax()
    image[4:6, 17:29, :14] = AIR
    assert outside_body(image, GRID, True)[4:6, 20:26, :12].all()


@pytest.mark.parametrize("slices", [slice(0, 1), slice(8, 9)], ids=["with lungs", "without"])
def test_single_slice_is_a_volume_like_any_other(slices):
    outside = outside_body(thorax()[slices], grid_of(thorax()[slices]), True)
    assert outside.shape == (1, *SHAPE[1:]) and is_outline(~outside, BODY[slices])


@pytest.mark.parametrize(("side", "ct"), [(2, True), (2, False), (1, True)])
def test_body_may_touch_the_edge_of_the_image(side, ct):
    """A small field of view: the arms, or the back, lie outside of the image; lungs are not open to the air there."""
    image = thorax() if ct else as_mr(thorax())
    cut = (slice(None), slice(None), slice(10, 50)) if side == 2 else (slice(None), slice(8, None))
    outside = outside_body(image[cut], grid_of(image[cut]), ct)
    assert is_outline(~outside, BODY[cut])


@pytest.mark.parametrize("axes", list(permutations(range(3))), ids=str)
@pytest.mark.parametrize("flips", list(product((False, True), repeat=3)), ids=str)
def test_body_is_the_same_in_any_storage_order(axes, flips):
    """The 48 orders in which a scan may be stored: axial slices along any axis, each axis in either direction."""
    image = noisy(arms_beside(thorax(couch=True)), 20.0)
    flipped = [axis for axis in range(3) if flips[axis]]

    def stored(array):
        return np.flip(array.transpose(axes), flipped)

    matrix = np.eye(4)
    for new_axis, old_axis in enumerate(axes):  # array axis k, j, i is column 2, 1, 0 of the matrix
        step = np.eye(3)[2 - old_axis] * SPACING[old_axis]
        if flips[new_axis]:
            matrix[:3, 3] += step * (SHAPE[old_axis] - 1)
            step = -step
        matrix[:3, 2 - new_axis] = step
    geometry = Geometry(stored(image).shape, matrix)
    assert np.array_equal(outside_body(stored(image), geometry, True), stored(outside_body(image, GRID, True)))


def arms_beside(image):
    """With an arm on each side of the trunk."""
    image[ARMS] = SOFT
    return image


@pytest.mark.parametrize("ct", [True, False], ids=["ct", "mr"])
def test_arms_are_parts_of_the_body_and_a_couch_is_not(ct):
    image = arms_beside(thorax(couch=ct))
    outside = outside_body(noisy(image, 20.0) if ct else np.abs(noisy(as_mr(image), 4.0)), GRID, ct)
    assert outside[:, 36:38, 5:55].all()
    assert is_outline(~outside, BODY | ARMS) if ct else not outside[ARMS].any()


def test_two_legs_of_different_size_are_one_body():
    legs = np.full(SHAPE, AIR, float)
    both = ellipse((100.0, 60.0), (45.0, 40.0)) | ellipse((95.0, 175.0), (30.0, 34.0))
    legs[both] = SOFT
    assert is_outline(~outside_body(noisy(legs, 20.0), GRID, True), both)


@pytest.mark.parametrize("scale", [0.001, 0.01, 100.0, 1000.0])
def test_body_does_not_depend_on_the_unit_of_the_header(scale):
    """Micro-CT, and lengths in meters: the closing has a size for patients, in the voxels of whatever is no patient."""
    image = thorax(couch=True)
    image[:, 15:17, 2:20] = AIR  # 10 mm wide: to be closed
    scaled = Geometry(SHAPE, np.diag([*(scale * SPACING[::-1]), 1.0]))
    assert np.array_equal(outside_body(image, scaled, True), outside_body(image, GRID, True))


def test_image_is_left_unchanged():
    image = thorax()
    outside_body(image, GRID, True)
    assert np.array_equal(image, thorax())
