"""The main job on patient images, in short; the full measurements are in Testing/benchmarks."""

from __future__ import annotations

import pytest
from patient_data import DATA

from TissueElasticRegistrationLib.core.data.images import ImagePair
from TissueElasticRegistrationLib.core.data.progress import finish
from TissueElasticRegistrationLib.core.data.result import RegistrationResult
from TissueElasticRegistrationLib.core.files.image_files import read_image
from TissueElasticRegistrationLib.core.files.landmark_files import read_landmarks
from TissueElasticRegistrationLib.core.files.segmentation_files import read_segmentation
from TissueElasticRegistrationLib.core.registration.registrar import Registrar

LUNG, CARDIAC = DATA / "lung-4dct-p102", DATA / "cardiac-cine-scd0000301"

pytestmark = pytest.mark.data


def registered(pair: ImagePair, finest_mm: float) -> RegistrationResult:
    registrar = Registrar(pair, finest_mm=finest_mm, threads=1)
    finish(registrar.prepare())
    finish(registrar.register(registrar.table_parameters()))
    return finish(registrar.result())


@pytest.fixture(scope="module")
def lung() -> RegistrationResult:
    """The 4DCT pair on a coarse working grid, exhale fixed."""
    if not LUNG.is_dir():
        pytest.skip(f"no patient images at {LUNG}")
    fixed = read_image(LUNG / "exhale_phase50_ct.nii.gz")
    moving = read_image(LUNG / "inhale_phase00_ct.nii.gz")
    segmentation = read_segmentation(LUNG / "exhale_phase50_tissue.nii.gz", fixed, {1: "lung", 2: "soft", 3: "bone"})
    landmarks = read_landmarks(LUNG / "landmarks_fixed_exhale.csv")
    return registered(ImagePair(fixed, moving, segmentation, landmarks=landmarks), finest_mm=6.0)


@pytest.fixture(scope="module")
def cardiac() -> RegistrationResult:
    """The smallest cardiac pair on a coarse working grid, end-diastole fixed."""
    if not CARDIAC.is_dir():
        pytest.skip(f"no patient images at {CARDIAC}")
    fixed, moving = read_image(CARDIAC / "ed.nii.gz"), read_image(CARDIAC / "es.nii.gz")
    names = {1: "cavity", 2: "myocardium"}
    fixed_labels = read_segmentation(CARDIAC / "ed_labels.nii.gz", fixed, names)
    moving_labels = read_segmentation(CARDIAC / "es_labels.nii.gz", moving, names)
    return registered(ImagePair(fixed, moving, fixed_labels, moving_labels), finest_mm=2.0)


def test_lung_landmarks_come_much_closer(lung):
    assert lung.landmark_errors.before_mean == pytest.approx(3.38, abs=0.01)
    assert lung.landmark_errors.after_mean < 2.0


def test_lung_frames_of_one_scanner_need_no_alignment(lung):
    assert lung.initial == "none"


def test_lung_bone_strains_least(lung):
    strains = {row.tissue.name: row.strain_rms for row in lung.tissues}
    assert strains["bone"] < strains["soft"] < strains["lung"]


def test_heart_cavity_overlaps_much_better(cardiac):
    cavity = next(row for row in cardiac.tissues if row.tissue.name == "cavity")
    assert cavity.dice_before == pytest.approx(0.867, abs=0.002)
    assert cavity.dice_after > 0.9


@pytest.mark.parametrize("case", ["lung", "cardiac"])
def test_hardly_anything_folds(case, request):
    assert request.getfixturevalue(case).negative_jacobian_percent < 0.05
