"""What counts as never measured, and that nothing of it reaches the registration."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from patient_data import DATA
from synthetic_pairs import FIXED_GRID, displacement_at, grid, prepared, quick_solver, registered, volume_pair

from TissueElasticRegistrationLib.core.data.images import Image, ImagePair
from TissueElasticRegistrationLib.core.files.image_files import read_image
from TissueElasticRegistrationLib.core.preparation.preprocessing import intensity_windows, is_ct

SHAPE = (8, 40, 44)
GRID = grid(SHAPE, (3.0, 2.0, 2.0), np.eye(3))
SLICE, ROW, COLUMN = np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij")
CIRCLE = np.hypot(ROW - 19.5, COLUMN - 22.0) > 19
TURNED = np.abs((ROW - 20) * 0.8 + (COLUMN - 22) * 0.6) > 15
BODY = ((ROW - 21) / 13.0) ** 2 + ((COLUMN - 20) / 15.0) ** 2 + 0.3 * np.sin(COLUMN / 4.0) <= 1
SLICES = (SLICE < 2) | (SLICE > 6)
FRAME = (ROW < 3) | (COLUMN > 40)


def ct(clipped=-1024):
    """HU: a body with a lung in noisy air."""
    values = np.where(BODY, 40.0, -1000.0) + np.random.default_rng(1).normal(0, 15, SHAPE)
    values[BODY & (np.hypot(ROW - 20, COLUMN - 15) < 6)] -= 800
    return np.maximum(np.rint(values), clipped).astype(np.int16)


def soft_ct():
    """HU: soft tissue in fat, no air at all."""
    return np.rint(np.where(BODY, 50, -90) + np.random.default_rng(2).normal(0, 12, SHAPE)).astype(np.int16)


def mr():
    """Magnitudes: a body in the noise of air."""
    noise = np.random.default_rng(3).normal(0, 6, (2, *SHAPE))
    return np.rint(np.hypot(np.where(BODY, 300 + 3 * COLUMN, 0) + noise[0], noise[1]) + 1).astype(np.int16)


def padded(values, where, value):
    return np.where(where, value, values)


PADDED = {
    "circle, -3024, CT": (ct, CIRCLE, -3024),
    "circle, -2048, CT": (ct, CIRCLE, -2048),
    "circle, -2000, CT": (ct, CIRCLE, -2000),
    "circle, -32768, CT": (ct, CIRCLE, -32768),
    "circle, -3024, soft tissue": (soft_ct, CIRCLE, -3024),
    "circle, -1024, air of its own": (ct, CIRCLE, -1024),
    "slices of 0 HU": (ct, SLICES, 0),
    "frame of 0 HU": (ct, FRAME, 0),
    "turned box, 0 HU": (ct, TURNED, 0),
    "circle, -1024, MR": (mr, CIRCLE, -1024),
    "circle, 0, MR": (mr, CIRCLE, 0),
    "slices of 0, MR": (mr, SLICES, 0),
    "turned box, 0, MR": (mr, TURNED, 0),
}


@pytest.mark.parametrize(("image", "where", "value"), PADDED.values(), ids=PADDED)
def test_padding_is_found(image, where, value):
    found = Image(padded(image(), where, value), GRID).padding_kji
    assert found is not None
    # Air that happens to have the value of padding may touch it.
    assert found[where].all() and (found & ~where).mean() < 0.01


NOT_PADDED = {
    "nothing": ct(),
    "air clipped at -1024": ct(-995),
    "air is one value": padded(ct(), ~BODY, -1024),
    "air is one value, low": padded(ct(), ~BODY, -1000),
    "skull-stripped brain": padded(mr(), ~BODY, 0),
    "one odd voxel": padded(ct(), (SLICE == 0) & (ROW == 0) & (COLUMN == 0), -3024),
    "MR": mr(),
}


@pytest.mark.parametrize("values", NOT_PADDED.values(), ids=NOT_PADDED)
def test_air_of_one_value_is_not_padding(values):
    assert Image(values, GRID).padding_kji is None


def test_single_slice_has_padding_too():
    image = Image(padded(ct(), CIRCLE, -3024)[3:4], grid((1, *SHAPE[1:]), (3.0, 2.0, 2.0), np.eye(3)))
    np.testing.assert_array_equal(image.padding_kji, CIRCLE[3:4])


def test_padding_is_the_same_in_any_storage_order():
    values = padded(ct(), CIRCLE, -2048)
    for axes in ((1, 0, 2), (2, 1, 0)):
        stored = np.flip(values.transpose(axes), 1)
        other = Image(stored, grid(stored.shape, (2.0, 2.0, 2.0), np.eye(3)))
        np.testing.assert_array_equal(other.padding_kji, np.flip(CIRCLE.transpose(axes), 1))


def test_nan_is_padding_and_a_few_holes_are_allowed():
    values = padded(ct().astype(np.float32), CIRCLE, np.nan)
    values[4, 20, 20] = np.nan
    image = Image(values, GRID)
    np.testing.assert_array_equal(image.padding_kji, np.isnan(values))
    assert np.all(np.isfinite(image.array_kji)) and image.lowest == np.nanmin(values)


def test_nan_inside_is_refused():
    values = padded(ct().astype(np.float32), np.hypot(ROW - 20, COLUMN - 20) < 6, np.nan)
    values[0], values[-1] = 40.5, 41.5
    with pytest.raises(
        ValueError, match=r"^scan: .* % of the values inside the image are not numbers \(NaN\); at most 1"
    ):
        Image(values, GRID, "scan")


def test_windows_and_modality_do_not_see_padding():
    plain, circle = (Image(values, GRID) for values in (soft_ct(), padded(soft_ct(), CIRCLE, -3024)))
    assert not is_ct(circle) and not is_ct(plain)
    np.testing.assert_allclose(*intensity_windows(circle, plain), atol=15)
    assert is_ct(Image(padded(ct(), CIRCLE, -3024), GRID))


def with_circle(image: Image, value: float, radius_mm: float) -> Image:
    """``image`` outside of a cylinder about its middle replaced by a value."""
    j, i = (np.arange(n) - (n - 1) / 2 for n in image.geometry.shape_kji[1:])
    away = np.hypot(j[:, None] * image.geometry.spacing_kji_mm[1], i * image.geometry.spacing_kji_mm[2]) > radius_mm
    return Image(np.where(away, value, image.array_kji).astype(np.float32), image.geometry, image.name)


def hounsfield(pair: ImagePair) -> ImagePair:
    """The formula's intensities as soft tissue in a CT."""
    images = [Image((i.array_kji - 300) / 2 + 40, i.geometry, i.name) for i in (pair.fixed, pair.moving)]
    return ImagePair(*images, pair.fixed_segmentation, pair.moving_segmentation)


@pytest.mark.parametrize("value", [-3024, -2048, np.nan])
def test_masks_leave_padding_of_either_image_out(value):
    pair = hounsfield(volume_pair())
    pair = ImagePair(with_circle(pair.fixed, value, 36), with_circle(pair.moving, value, 38), pair.fixed_segmentation)
    working = prepared(pair, initial="none").working
    for mask, image in ((working.fixed_mask, working.fixed), (working.moving_mask, working.moving)):
        assert 0.5 < float(mask.mean()) < 0.95
        assert float(image[mask > 0].min()) < 0.05  # the window begins at the darkest tissue


def test_circle_in_one_image_changes_the_registration_little():
    pair = hounsfield(volume_pair())
    body = FIXED_GRID.voxel_centers_ras_mm()[pair.fixed_segmentation.labels_kji > 0]
    padded_pair = ImagePair(with_circle(pair.fixed, -3024, 36), pair.moving, pair.fixed_segmentation)
    plain, circle = (displacement_at(registered(p, initial="none"), body) for p in (pair, padded_pair))
    assert np.linalg.norm(plain - circle, axis=-1).mean() < 0.5  # voxels of 2.6 to 4.5 mm


def test_warped_image_is_valid_only_where_it_was_measured():
    pair = hounsfield(volume_pair())
    pair = ImagePair(pair.fixed, with_circle(pair.moving, -3024, 30), pair.fixed_segmentation)
    result = registered(pair, initial="none", solver=quick_solver(1, 1))
    covered = result.warped.array_kji[result.valid_kji]
    assert 0.2 < result.valid_kji.mean() < 0.8 and np.mean(covered > -500) > 0.9
    assert any("is covered by the moving image" in warning for warning in result.warnings)


def test_overlap_is_also_measured_where_both_images_have_values():
    """A circle that cuts the moving body off: what lies outside of it is no error of the registration."""
    pair = hounsfield(volume_pair())
    moving = with_circle(pair.moving, -3024, 24)
    labels = replace(
        pair.moving_segmentation, labels_kji=np.where(moving.padding_kji, 0, pair.moving_segmentation.labels_kji)
    )
    pair = ImagePair(pair.fixed, moving, pair.fixed_segmentation, labels)
    soft = next(
        row for row in registered(pair, initial="none", solver=quick_solver(1, 1)).tissues if row.tissue.label == 1
    )
    assert soft.dice_common_after > soft.dice_after + 0.1 and soft.hd95_mm_common_after < soft.hd95_mm_after


@pytest.mark.data
@pytest.mark.parametrize(
    ("file", "share"),
    [
        ("lung-ct-followup/baseline_ct", 0.013),
        ("lung-ct-followup/followup_ct", 0.034),
        ("brain-tumor-05/pre_t1", 0.2),
        ("brain-mr-voxelmorph/t1", None),
        ("cardiac-cine-scd0000101/es", None),
        ("ct-abdomen-totalseg/ct", None),
        ("ct-thorax-4dlung-p103/ct", None),
        ("mr-abdomen-totalseg/mr", None),
    ],
)
def test_padding_of_scans(file, share):
    path = DATA / f"{file}.nii.gz"
    if not path.is_file():
        pytest.skip(f"no patient images at {path}")
    found = read_image(path).padding_kji
    assert (found is None) if share is None else found.mean() == pytest.approx(share, abs=0.005)
