"""Pairs that show different things, or the same with another contrast, are noticed; same ones are not spoken of."""

from __future__ import annotations

import numpy as np
import pytest
from patient_data import DATA
from synthetic_pairs import displaced, pair_of, prepared, rigid_ras, slice_case, thorax_case, volume_pair

from TissueElasticRegistrationLib.core.data.images import Image, ImagePair, Segmentation
from TissueElasticRegistrationLib.core.data.tissues import Tissue
from TissueElasticRegistrationLib.core.files.image_files import read_image
from TissueElasticRegistrationLib.core.preparation.resemblance import (
    OTHER_CONTRAST,
    POOR,
    mutual_information,
    rising_share,
    shared_information,
)

RANDOM = np.random.default_rng(4)
VALUES = RANDOM.random(20_000)


@pytest.mark.parametrize(
    ("function", "share"),
    [
        (lambda x: x**3, 1.0),
        (lambda x: np.round(4 * x), 1.0),
        (lambda x: 1 - x, 0.0),
        # The best rising function is constant up to sqrt(1/8), where it meets the mean so far.
        (lambda x: np.abs(x - 0.25), 0.963),
    ],
)
def test_rising_share_of_functions(function, share):
    assert rising_share(VALUES, function(VALUES)) == pytest.approx(share, abs=0.01)


def test_information_of_an_image_about_itself_is_its_entropy():
    four = np.floor(4 * VALUES) / 4
    assert mutual_information(four, four) == pytest.approx(np.log(4), abs=0.01)
    assert shared_information(four, 1 - four) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("count", [600, 5_000, 200_000])
def test_independent_images_share_hardly_anything_however_few_voxels(count):
    assert shared_information(RANDOM.random(count), RANDOM.random(count)) < 0.06


def remapped(image: Image, function) -> Image:
    low, high = np.percentile(image.array_kji, (0.5, 99.5))
    values = np.clip((image.array_kji - low) / (high - low), 0, 1)
    return Image((1000 * function(values)).astype(np.float32), image.geometry, image.name)


def notes(pair: ImagePair, **options) -> tuple[str, ...]:
    return prepared(pair, **options).notes


SAME = {"as it is": lambda x: x, "gamma 0.5": lambda x: x**0.5, "gamma 2": lambda x: x**2, "darker": lambda x: 0.3 * x}
OTHER = {
    "inverted": lambda x: 1 - x,
    "inverted in the body": lambda x: np.where(x > 0.08, 1.08 - x, x),
    "unlike the median": lambda x: np.abs(x - np.median(x[x > 0.1])),
}
PAIRS = {
    "formula": volume_pair,
    "thorax": lambda: pair_of(thorax_case()),
    "slice": lambda: pair_of(slice_case(spacing_mm=4.0)),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize("function", SAME.values(), ids=SAME)
def test_the_same_contrast_is_not_spoken_of(pair, function):
    pair = pair()
    assert notes(ImagePair(pair.fixed, remapped(pair.moving, function), pair.fixed_segmentation)) == ()


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize("function", OTHER.values(), ids=OTHER)
def test_another_contrast_is_said(pair, function):
    pair = pair()
    assert notes(ImagePair(pair.fixed, remapped(pair.moving, function), pair.fixed_segmentation)) == (OTHER_CONTRAST,)


def test_noise_resembles_nothing():
    pair = volume_pair()
    noise = Image(RANDOM.normal(size=pair.moving.array_kji.shape), pair.moving.geometry, "moving")
    assert notes(ImagePair(pair.fixed, noise, pair.fixed_segmentation), initial="none") == (POOR,)


def test_images_that_lie_wrongly_are_said_to_resemble_each_other_poorly():
    pair = pair_of(thorax_case())
    turned = displaced(pair.moving, rigid_ras((0, 0, 0), (0, 90, 0), pair.moving.geometry.corners_ras_mm().mean(0)))
    assert POOR in notes(ImagePair(pair.fixed, turned, pair.fixed_segmentation), initial="none")


def scan(name: str) -> Image:
    path = DATA / f"{name}.nii.gz"
    if not path.is_file():
        pytest.skip(f"no patient images at {path}")
    return read_image(path)


def of_scans(fixed: Image, moving: Image) -> ImagePair:
    middle = np.zeros(fixed.geometry.shape_kji, np.uint8)
    middle[tuple(slice(n // 3, 2 * n // 3) for n in middle.shape)] = 1
    return ImagePair(fixed, moving, Segmentation(middle, fixed.geometry, (Tissue(1, "middle"),)))


@pytest.mark.data
@pytest.mark.parametrize(
    ("fixed", "moving"),
    [
        ("cardiac-cine-scd0000101/ed", "cardiac-cine-scd0000101/es"),
        ("brain-tumor-05/pre_t1", "brain-tumor-05/post_t1"),
        ("lung-ct-followup/baseline_ct", "lung-ct-followup/followup_ct"),
    ],
)
def test_scans_of_one_kind(fixed, moving):
    fixed, moving = scan(fixed), scan(moving)
    assert notes(of_scans(fixed, moving), finest_mm=3.0) == ()
    assert notes(of_scans(fixed, remapped(moving, OTHER["unlike the median"])), finest_mm=3.0) == (OTHER_CONTRAST,)


@pytest.mark.data
@pytest.mark.parametrize(
    ("fixed", "moving"),
    [
        ("ct-abdomen-totalseg/ct", "mr-abdomen-totalseg/mr"),
        ("ct-thorax-4dlung-p103/ct", "ct-abdomen-totalseg/ct"),
        ("brain-mr-voxelmorph/t1", "ct-abdomen-totalseg/ct"),
    ],
)
def test_scans_of_different_patients(fixed, moving):
    assert notes(of_scans(scan(fixed), scan(moving)), initial="centers", finest_mm=3.0) == (POOR,)
