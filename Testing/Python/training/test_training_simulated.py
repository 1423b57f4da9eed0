"""Training: simulated motion on real images, and real pairs as the registrar prepares them."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from patient_data import DATA

from TissueElasticRegistrationLib.core.physics.deformation import warp
from training.datasets.project_data import PAIRS, real_pairs, single_volumes
from training.datasets.simulated import RealVolume, Simulator, simulated_folder

real_data = pytest.mark.skipif(not DATA.is_dir(), reason="the patient images are not here")


@pytest.fixture(scope="module")
def volume(tmp_path_factory):
    """A body of two organs in air with structure everywhere, without symmetry, in HU."""
    generator = np.random.default_rng(0)
    k, j, i = np.indices((48, 52, 56))
    body = ((k - 24) / 30) ** 2 + ((j - 25) / 20) ** 2 + ((i - 27) / 24) ** 2 < 1
    labels = np.zeros(body.shape, np.uint8)
    labels[body & (i < 20)] = 7
    labels[body & (np.hypot(j - 30, i - 36) < 7)] = 9
    noise = sitk.GetArrayFromImage(
        sitk.SmoothingRecursiveGaussian(
            sitk.GetImageFromArray(generator.standard_normal(body.shape).astype(np.float32)), 1.5
        )
    )
    hu = np.where(body, 40 + 600 * noise, -1000)
    hu[labels == 7] -= 700
    hu[labels == 9] += 500
    folder = tmp_path_factory.mktemp("volume")
    for name, array in (("image", hu.astype(np.int16)), ("labels", labels)):
        picture = sitk.GetImageFromArray(array)
        picture.SetSpacing((3.0, 3.0, 3.0))
        sitk.WriteImage(picture, str(folder / f"{name}.nii.gz"))
    return RealVolume(folder / "image.nii.gz", folder / "labels.nii.gz", {7: "lung", 9: "bone"}, True)


@pytest.fixture(scope="module")
def pairs(volume):
    simulator = Simulator(volume, 3.0)
    return [simulator.pair(number, (48, 48)) for number in range(4)]


def test_truth_leads_from_the_fixed_to_the_moving_image(pairs):
    for pair in pairs:
        moving = torch.from_numpy(pair.moving)[None, None]
        after = warp(moving, torch.from_numpy(pair.displacement)[None])[0, 0].numpy()
        inside = (pair.fixed_labels > 0) & pair.valid
        assert np.abs(after - pair.fixed)[inside].mean() < 0.6 * np.abs(pair.moving - pair.fixed)[inside].mean()


def test_stiff_tissue_strains_less_than_soft_tissue(volume):
    simulator = Simulator(volume, 3.0)
    bone = 1 + int(np.argmax(simulator._weights[1:]))
    strains = {True: [], False: []}
    for number in range(8):
        pair = simulator.pair(number, (48, 48))
        gradient = np.stack([np.stack(np.gradient(component)) for component in pair.displacement])
        strain = np.linalg.norm(gradient + gradient.swapaxes(0, 1), axis=(0, 1))
        if (pair.fixed_labels == bone).sum() > 20:
            strains[True].append(np.median(strain[pair.fixed_labels == bone]))
            strains[False].append(np.median(strain[(pair.fixed_labels > 0) & (pair.fixed_labels != bone)]))
    assert len(strains[True]) > 2
    assert np.mean(strains[True]) < 0.5 * np.mean(strains[False])


def test_tissue_that_nobody_labeled_is_not_taken_for_air(pairs):
    assert all(len(np.unique(pair.fixed_labels)) >= 3 for pair in pairs)
    for pair in pairs:
        assert pair.fixed[pair.fixed_labels == 0].mean() < 0.1


def test_every_number_shows_another_section_and_motion_and_the_same_one_again(volume, pairs):
    assert len({pair.fixed.tobytes() for pair in pairs}) == len(pairs)
    again = Simulator(volume, 3.0).pair(2, (48, 48))
    assert np.array_equal(again.moving, pairs[2].moving)


def test_a_whole_volume_can_be_moved(volume):
    pair = Simulator(volume, 12.0).pair(0, (12, 16, 16))
    assert pair.shape == (12, 16, 16) and np.abs(pair.displacement).max() > 0.1


def test_pairs_are_stored_in_a_folder_of_their_volume(volume, tmp_path):
    folder = simulated_folder(tmp_path, "mine", volume, (48, 48), 3.0)
    assert folder[1].shape == (48, 48)
    assert folder.path(1).exists() and "mine" in folder.path(1).parent.name


@real_data
@pytest.mark.data
@pytest.mark.parametrize("name", ["thorax", "abdomen", "mr", "brain"])
def test_every_real_volume_can_be_simulated(name):
    volume = single_volumes(DATA)[name]
    pair = Simulator(volume, 6.0 if name in ("thorax", "abdomen") else 3.0).pair(1, (48, 48))
    assert pair.fixed.max() > 0.2 and pair.fixed_labels.max() < 16 and np.abs(pair.displacement).max() > 0.3


@real_data
@pytest.mark.data
def test_real_pairs_come_as_slices_or_as_a_volume():
    case = "cardiac-cine-scd0000101"
    slices = real_pairs(DATA, (case,), 2, 3.0)
    (whole,) = real_pairs(DATA, (case,), 3, 3.0)
    assert len(slices) > 5
    assert sorted(whole.shape)[1:] == sorted(slices[0].shape)  # turned: the thick slices need not come first
    assert all(pair.displacement is None and pair.moving_labels is None for pair in slices)
    assert not np.array_equal(slices[5].fixed, slices[5].moving)


def test_an_unknown_pair_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'unknown-case'"):
        real_pairs(tmp_path, ("unknown-case",), 2)
    assert "lung-4dct-p102" in PAIRS
