"""Training: pairs of one's own, named by a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from TissueElasticRegistrationLib.core.data.images import ImagePair
from TissueElasticRegistrationLib.core.files.image_files import read_image
from TissueElasticRegistrationLib.core.files.segmentation_files import read_segmentation
from TissueElasticRegistrationLib.core.preparation.preprocessing import prepare_pair
from training.config import TrainingConfig
from training.datasets.own_pairs import own_pairs
from training.run_data import spacings_mm, training_set, validation_set

SHAPE = (6, 30, 26)
TABLE = (
    "fixed, moving, segmentation, split\n{0}/a.nii.gz, {0}/b.nii.gz, {0}/tissues.nii.gz, train\n"
    "{1}/a.nii.gz, {1}/b.nii.gz, {1}/tissues.nii.gz, validation\n"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two patients: noise in a body of two tissues, 2 mm in plane; the second has an organ 6 for 2."""
    folder = tmp_path_factory.mktemp("own")
    for seed, patient in enumerate(("one", "two")):
        (folder / patient).mkdir()
        generator = np.random.default_rng(seed)
        labels = np.zeros(SHAPE, np.uint8)
        labels[:, 3:27, 2:24], labels[:, 8:20, 5:12] = 1, 2 + 4 * seed
        for name, array in (
            ("a", 500 * generator.random(SHAPE)),
            ("b", 500 * generator.random(SHAPE)),
            ("tissues", labels),
        ):
            picture = sitk.GetImageFromArray(array if name == "tissues" else array.astype(np.int16))
            picture.SetSpacing((2.0, 2.0, 2.5))
            sitk.WriteImage(picture, str(folder / patient / f"{name}.nii.gz"))
    (folder / "pairs.csv").write_text(TABLE.format("one", "two"), encoding="utf-8")
    return folder


def test_a_volume_is_what_the_registrar_prepares(folder):
    (pair,) = own_pairs(folder, "train", 3, 2.0)
    files = [folder / "one" / f"{name}.nii.gz" for name in ("a", "b", "tissues")]
    fixed, moving = map(read_image, files[:2])
    wanted = prepare_pair(
        ImagePair(fixed, moving, read_segmentation(files[2], fixed)), sitk.Transform(3, sitk.sitkIdentity), 2.0
    )
    for name, tensor in (("fixed", wanted.fixed), ("moving", wanted.moving), ("fixed_labels", wanted.labels)):
        assert np.array_equal(getattr(pair, name), wanted.volume(tensor))
    assert pair.spacing_mm == wanted.spacing_mm and pair.displacement is None


def test_slices_are_those_of_the_volume_that_show_the_body(folder):
    (volume,), slices = own_pairs(folder, "train", 3, 2.0), own_pairs(folder, "train", 2, 2.0)
    shown = [k for k in range(volume.shape[0]) if np.mean(volume.fixed_labels[k] > 0) > 0.2]
    assert len(slices) == len(shown) >= 6
    assert all(np.array_equal(piece.fixed, volume.fixed[k]) for piece, k in zip(slices, shown, strict=True))


@pytest.mark.parametrize(("dimension", "orientation"), [(2, "RAS"), (2, "PLS"), (3, "RAI"), (3, "SRA")])
def test_images_stored_in_another_orientation_are_turned_alike(folder, tmp_path, dimension, orientation):
    for name in ("a", "b", "tissues"):
        turned = sitk.DICOMOrient(sitk.ReadImage(str(folder / "one" / f"{name}.nii.gz")), orientation)
        sitk.WriteImage(turned, str(tmp_path / f"{name}.nii.gz"))
    as_stored, turned = (
        own_pairs(place, "train", dimension, 2.0) for place in (folder, table(tmp_path, TABLE.format(".", ".")))
    )
    assert len(as_stored) == len(turned)
    for one, other in zip(as_stored, turned, strict=True):
        assert np.array_equal(one.fixed_labels % 3, other.fixed_labels % 3)  # the body found around them may differ
        assert one.spacing_mm == other.spacing_mm
        assert np.allclose(one.moving, other.moving, atol=1e-5)


def test_each_split_has_its_own_patients(folder):
    organs = {
        split: {2, 6} & set(np.unique(own_pairs(folder, split, 3)[0].fixed_labels).tolist())
        for split in ("train", "validation")
    }
    assert organs == {"train": {2}, "validation": {6}}


def test_a_run_learns_from_one_split_and_is_judged_by_the_other(folder):
    config = TrainingConfig(
        sources=("own",),
        validate_on="own",
        data=str(folder),
        shape=(48, 64),
        spacing_mm=2.0,
        validation_pairs=3,
        augment=False,
        batch=1,
    )
    assert 2 in training_set(config)[0].labels and 6 not in training_set(config)[0].labels
    judged = validation_set(config)
    assert 2 <= len(judged.pairs) <= 3 and all(6 in pair.fixed_labels for pair in judged.pairs)
    assert judged.pairs[0].shape == (48, 64)


def table(tmp_path, text):
    (tmp_path / "pairs.csv").write_text(text, encoding="utf-8")
    return tmp_path


def test_a_missing_or_faulty_table_is_told_in_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="there is no such table of pairs"):
        own_pairs(tmp_path, "train", 2)
    with pytest.raises(ValueError, match="has no column segmentation; it needs fixed, moving"):
        own_pairs(table(tmp_path, "fixed,moving,split\n"), "train", 2)
    with pytest.raises(ValueError, match="names no pairs for train"):
        own_pairs(table(tmp_path, "fixed,moving,segmentation,split\na,b,c,validation\n"), "train", 2)
    with pytest.raises(ValueError, match="train or validation, not 'test'"):
        own_pairs(table(tmp_path, "fixed,moving,segmentation,split\na,b,c,test\n"), "train", 2)


def test_more_tissues_than_can_be_learnt_from_are_refused_by_name(folder, tmp_path):
    source = sitk.ReadImage(str(folder / "one" / "tissues.nii.gz"))
    for name in ("a", "b"):
        (tmp_path / f"{name}.nii.gz").write_bytes((folder / "one" / f"{name}.nii.gz").read_bytes())
    sitk.WriteImage(source * 10, str(tmp_path / "tissues.nii.gz"))
    with pytest.raises(ValueError, match="tissues.nii.gz: labels up to 15.*not 2[01]. Merge some tissues."):
        own_pairs(table(tmp_path, TABLE.format(".", ".")), "train", 2)


def test_voxels_a_run_learns_from_are_those_of_its_sources():
    assert spacings_mm(TrainingConfig(sources=("own", "phantoms"), spacing_mm=3.0)) == (3.0, 3.0)
    assert spacings_mm(TrainingConfig(sources=("nlst", "phantoms"), spacing_mm=4.0)) == (1.5, 4.0)
