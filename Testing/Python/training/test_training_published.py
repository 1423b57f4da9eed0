"""Training: data sets in their published layout, with the preprocessing of the paper, on tiny made files."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk

from training.config import TrainingConfig
from training.datasets.published import ACDC_SHAPE, LUNG_CT, NLST, Recipe, acdc_pairs, learn2reg_pairs
from training.datasets.volumes import resampled, upright
from training.run_data import validation_set

SMALL_NLST = Recipe(NLST.clip, 4.0, (16, 20), coronal=True)
SMALL_LUNG = Recipe(LUNG_CT.clip, 4.0, (16, 12, 20))
RAS = (-1, 0, 0, 0, -1, 0, 0, 0, 1)  # array axes lead to superior, anterior, right: as Learn2Reg stores volumes


def body(shift=0.0, shape_kji=(14, 10, 18)):
    """Intensities that grow upwards, a bright block that is not in the middle of any axis; labels of three classes."""
    k, j, i = np.indices(shape_kji)
    hu = -3000 + 400.0 * k + 30 * i + 5 * j
    labels = np.zeros(shape_kji, np.uint8)
    labels[3:6, :, 2:7], labels[8:11, :, 4:9], labels[3:6, :, 10:14] = 1, 2, 3
    hu[labels == 2] = 3000
    return (hu + shift).astype(np.int16), labels


def write(path, array, spacing=(4.0, 4.0, 4.0), direction=RAS):
    volume = sitk.GetImageFromArray(array)
    volume.SetSpacing(spacing)
    volume.SetDirection(direction)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(volume, str(path))


def write_learn2reg(folder, name="NLST", labels_at="labelsTr", numbers=(1, 2)):
    entries = []
    for number in numbers:
        names = [f"{name}_{number:04d}_{role:04d}.nii.gz" for role in (0, 1)]
        for role, file in enumerate(names):
            hu, labels = body(shift=100 * role + number)
            write(folder / "imagesTr" / file, hu)
            if labels_at == "labelsTr":
                write(folder / labels_at / file, labels)
            elif labels_at == "totalsegmentatorTr":
                write(folder / labels_at / file, np.array([0, 12, 93, 5, 51], np.uint8)[labels])
            elif labels_at == "masks":
                for value, mask in ((1, "lung_upper_lobe_left"), (2, "rib_left_4"), (3, "liver"), (0, "aorta")):
                    write(
                        folder / "totalsegmentatorTr" / file.removesuffix(".nii.gz") / f"{mask}.nii.gz",
                        (labels == value).astype(np.uint8),
                    )
        entries.append({"fixed": f"./imagesTr/{names[0]}", "moving": f"./imagesTr/{names[1]}"})
    content = {"name": name, "training_paired_images": entries, "registration_val": entries[-1:]}
    (folder / f"{name}_dataset.json").write_text(json.dumps(content))


def test_nlst_gives_the_middle_coronal_slice_head_up_with_the_right_side_first(tmp_path):
    write_learn2reg(tmp_path)
    pair = learn2reg_pairs(tmp_path, SMALL_NLST)[0]
    _, labels = body()
    expected = labels[::-1, 5, ::-1]  # rows from superior to inferior, columns from right to left
    assert np.array_equal(pair.fixed_labels[1:15, 1:19], expected)
    assert pair.spacing_mm == (4.0, 4.0) and pair.shape == (16, 20)


def test_intensities_are_clipped_and_scaled_to_0_to_1(tmp_path):
    write_learn2reg(tmp_path)
    pair = learn2reg_pairs(tmp_path, SMALL_NLST)[0]
    assert pair.fixed.min() == 0 and pair.fixed.max() == 1
    inner, hu = pair.fixed[1:15, 1:19], body(1)[0][::-1, 4, ::-1].astype(float)
    assert np.allclose(inner, (np.clip(hu, -980, 1518) + 980) / (1518 + 980), atol=1e-5)


def test_fixed_and_moving_are_those_of_the_list(tmp_path):
    write_learn2reg(tmp_path)
    pair = learn2reg_pairs(tmp_path, SMALL_NLST)[0]
    between = (pair.fixed > 0.05) & (pair.moving < 0.95) & (pair.fixed_labels != 2)
    assert np.allclose((pair.moving - pair.fixed)[between], 100 / 2498, atol=1e-4)  # the moving file is 100 HU brighter


def test_pairs_for_validation_are_not_trained_on(tmp_path):
    write_learn2reg(tmp_path, numbers=(1, 2, 3))
    assert len(learn2reg_pairs(tmp_path, SMALL_NLST)) == 2
    assert len(learn2reg_pairs(tmp_path, SMALL_NLST, "validation")) == 1


def test_lungct_gives_padded_volumes(tmp_path):
    write_learn2reg(tmp_path, "LungCT")
    pair = learn2reg_pairs(tmp_path, SMALL_LUNG)[0]
    assert pair.shape == (16, 12, 20)
    assert np.array_equal(pair.fixed_labels[1:15, 1:11, 1:19], body()[1][:, ::-1, ::-1])
    assert pair.valid[1:15, 1:11, 1:19].all() and pair.valid.sum() == 14 * 10 * 18


@pytest.mark.parametrize("labels_at", ["totalsegmentatorTr", "masks"])
def test_classes_are_merged_from_what_totalsegmentator_writes(tmp_path, labels_at):
    write_learn2reg(tmp_path / "own")
    write_learn2reg(tmp_path / "made", labels_at=labels_at)
    own, made = (learn2reg_pairs(tmp_path / name, SMALL_NLST)[0] for name in ("own", "made"))
    assert np.array_equal(own.fixed_labels, made.fixed_labels)
    assert np.array_equal(own.moving_labels, made.moving_labels)


def test_the_sizes_of_the_paper_are_those_of_the_recipes():
    assert (NLST.clip, NLST.coronal) == ((-980, 1518), True)
    assert (LUNG_CT.clip, LUNG_CT.shape) == ((-980, 600), (192, 128, 192))
    assert ACDC_SHAPE == (128, 128)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "NLST_dataset.json").unlink(), "one file named ..._dataset.json"),
        (lambda folder: (folder / "labelsTr" / "NLST_0001_0001.nii.gz").unlink(), "NLST_0001_0001.*no segmentation"),
        (lambda folder: (folder / "imagesTr" / "NLST_0001_0001.nii.gz").unlink(), "NLST_0001_0001"),
        (lambda folder: (folder / "NLST_dataset.json").write_text("{}"), "lists no pairs for train"),
    ],
)
def test_what_is_missing_is_named(tmp_path, change, message):
    write_learn2reg(tmp_path)
    change(tmp_path)
    with pytest.raises(ValueError, match=message):
        learn2reg_pairs(tmp_path, SMALL_NLST)


def test_an_unknown_split_is_refused(tmp_path):
    write_learn2reg(tmp_path)
    with pytest.raises(ValueError, match="'exam'"):
        learn2reg_pairs(tmp_path, SMALL_NLST, "exam")


# --- ACDC ---


def write_patient(folder, number=1, ed=1, es=7, rows=60, columns=90):
    """A ring of labels away from the middle; the slice in the middle of the stack is brighter than the others."""
    patient = folder / f"patient{number:03d}"
    for frame, radius in ((ed, 14), (es, 10)):
        k, j, i = np.indices((5, rows, columns))
        distance = np.hypot(j - 20, i - 60)
        labels = np.where(distance < radius - 4, 3, np.where(distance < radius, 2, 0)).astype(np.uint8)
        labels[(k < 5) & (np.abs(i - 60 + radius + 3) < 3) & (np.abs(j - 20) < 6)] = 1
        image = (100 * labels + 50 * (k == 2) + i).astype(np.int16)
        for name, array in ((f"frame{frame:02d}", image), (f"frame{frame:02d}_gt", labels)):
            write(patient / f"{patient.name}_{name}.nii.gz", array, (1.8, 1.8, 10.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    (patient / "Info.cfg").write_text(f"ED: {ed}\nES: {es}\nGroup: DCM\nHeight: 170.0\nNbFrame: 30\n")


def test_acdc_gives_middle_slices_with_the_heart_in_their_middle(tmp_path):
    write_patient(tmp_path)
    (pair,) = acdc_pairs(tmp_path)
    assert pair.shape == (128, 128) and pair.spacing_mm == (1.8, 1.8)
    places = np.argwhere(pair.fixed_labels > 0)
    assert np.allclose((places.min(0) + places.max(0)) / 2, 64, atol=1)
    assert set(np.unique(pair.fixed_labels)) == {0, 1, 2, 3}


def test_fixed_is_the_end_of_diastole(tmp_path):
    write_patient(tmp_path, ed=4, es=9)
    (pair,) = acdc_pairs(tmp_path)
    assert np.sum(pair.fixed_labels == 3) > 1.5 * np.sum(pair.moving_labels == 3) > 0


def test_acdc_pixels_are_made_equal_to_1_8_mm(tmp_path):
    write_patient(tmp_path)
    (before,) = acdc_pairs(tmp_path)
    patient = tmp_path / "patient001"
    for path in patient.glob("*.nii.gz"):
        volume = sitk.ReadImage(str(path))
        volume.SetSpacing((3.6, 1.8, 10.0))
        sitk.WriteImage(volume, str(path))
    (after,) = acdc_pairs(tmp_path)
    assert np.sum(after.fixed_labels > 0) == pytest.approx(2 * np.sum(before.fixed_labels > 0), rel=0.05)


def test_patients_are_split_as_in_the_paper(tmp_path):
    for number in range(1, 53):
        (tmp_path / f"patient{number:03d}").mkdir()
    write_patient(tmp_path, 51)
    write_patient(tmp_path, 52)
    assert len(acdc_pairs(tmp_path, "validation")) == 2
    with pytest.raises(ValueError, match="patient001"):
        acdc_pairs(tmp_path)
    with pytest.raises(ValueError, match="no patient folders for test"):
        acdc_pairs(tmp_path, "test")


def test_a_run_can_be_validated_on_published_pairs(tmp_path):
    for number in range(1, 53):
        (tmp_path / "ACDC" / "training" / f"patient{number:03d}").mkdir(parents=True)
    write_patient(tmp_path / "ACDC" / "training", 51)
    (tmp_path / "ACDC" / "training" / "patient052").rmdir()
    config = TrainingConfig(data=str(tmp_path), validate_on="acdc", sources=("acdc",), shape=(128, 128))
    validation = validation_set(config)
    assert [pair.shape for pair in validation.pairs] == [(128, 128)] and validation.judged == (1, 2, 3)


def test_patients_without_info_or_frames_are_named(tmp_path):
    with pytest.raises(ValueError, match="no patient folders"):
        acdc_pairs(tmp_path)
    write_patient(tmp_path)
    (tmp_path / "patient001" / "patient001_frame07_gt.nii.gz").unlink()
    with pytest.raises(ValueError, match="patient001_frame07_gt"):
        acdc_pairs(tmp_path)
    (tmp_path / "patient001" / "Info.cfg").write_text("ED: 1\n")
    with pytest.raises(ValueError, match="ED and ES"):
        acdc_pairs(tmp_path)


# --- volumes ---


def test_resampling_keeps_the_extent_and_the_place_of_things():
    values = np.zeros((12, 16, 20), np.float32)
    values[3:9, 4:12, 10:16] = 1
    volume = sitk.GetImageFromArray(values)
    volume.SetSpacing((1.0, 1.0, 2.0))
    result = resampled(volume, (2.0, 2.0, 2.0))
    assert result.GetSize() == (10, 8, 12)
    inside = sitk.GetArrayFromImage(result) > 0.5
    assert np.array_equal(np.argwhere(inside).min(0), [3, 2, 5])
    assert np.array_equal(np.argwhere(inside).max(0), [8, 5, 7])
    center = result.TransformContinuousIndexToPhysicalPoint([4.5, 3.5, 5.5])
    assert np.allclose(center, volume.TransformContinuousIndexToPhysicalPoint([9.5, 7.5, 5.5]))


def test_upright_turns_any_storage_order_to_the_patient(tmp_path):
    write(tmp_path / "a.nii.gz", body()[0], (2.0, 3.0, 4.0), (0, 1, 0, 0, 0, -1, 1, 0, 0))
    volume = upright(tmp_path / "a.nii.gz")
    assert np.allclose(np.array(volume.GetDirection()).reshape(3, 3), np.eye(3))
    assert sorted(volume.GetSpacing()) == [2.0, 3.0, 4.0]
