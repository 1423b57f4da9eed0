"""Training: pairs on disk, phantoms, random shapes and augmentation keep images, labels and truth together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from training_files import gradient_pair

from TissueElasticRegistrationLib.core.data.images import ImagePair
from TissueElasticRegistrationLib.core.physics.deformation import warp
from TissueElasticRegistrationLib.core.preparation.preprocessing import prepare_pair
from training.augmentation import NO_AUGMENTATION, AugmentationSettings, augmented
from training.datasets import phantom_pairs
from training.datasets.case_files import CaseFolder
from training.datasets.pair import collate
from training.datasets.phantom_pairs import as_training_pair, phantom_folder, phantom_pair
from training.datasets.shapes import shape_pair
from training.phantoms import make_case

ALL_SPATIAL = replace(NO_AUGMENTATION, flips=0.5, transposes=1, swaps=0.5, views=1)
ALL_GRAY = replace(NO_AUGMENTATION, gammas=1, curves=1, inversions=0.5, noises=1)


@pytest.fixture(scope="module")
def phantom():
    return phantom_pair(2, 4, 8.0)


@pytest.fixture(scope="module")
def cases():
    """One phantom of each dimension, by dimension."""
    return {2: make_case(2, 4, spacing_mm=6.0), 3: make_case(3, 4, spacing_mm=12.0)}


def moved(pair, image):
    """The moving image (or labels) at the corresponding points of the fixed one."""
    tensor = torch.from_numpy(np.asarray(image, np.float32))[None, None]
    mode = "nearest" if image.dtype == np.uint8 else "bilinear"
    return warp(tensor, torch.from_numpy(pair.displacement)[None], mode)[0, 0].numpy()


# --- pairs ---


@pytest.mark.parametrize("dimension", [2, 3])
def test_truth_of_a_phantom_makes_its_images_alike(cases, dimension):
    pair = as_training_pair(cases[dimension])
    where = pair.valid & (pair.fixed_labels > 0)
    after = np.abs(pair.fixed - moved(pair, pair.moving))[where].mean()
    assert after < 0.7 * np.abs(pair.fixed - pair.moving)[where].mean()
    agreeing = (moved(pair, pair.moving_labels) == pair.fixed_labels)[where].mean()
    assert agreeing > (pair.moving_labels == pair.fixed_labels)[where].mean() + 0.03


@pytest.mark.parametrize("dimension", [2, 3])
def test_a_phantom_is_to_training_what_it_is_to_the_registrar(cases, dimension):
    case = cases[dimension]
    pair = as_training_pair(case)
    prepared = prepare_pair(
        ImagePair(case.fixed, case.moving, case.fixed_segmentation), sitk.Transform(3, sitk.sitkIdentity)
    )
    inner = tuple(
        slice((new - old) // 2, (new - old) // 2 + old)
        for new, old in zip(prepared.fixed.shape[2:], pair.shape, strict=True)
    )
    for name in ("fixed", "moving"):
        assert np.allclose(getattr(prepared, name)[0, 0].numpy()[inner], getattr(pair, name), atol=1e-6)
    assert pair.spacing_mm == pytest.approx(prepared.spacing_mm)


def test_neighboring_numbers_have_different_loads_and_subjects():
    one, two = phantom_pair(2, 6, 12.0), phantom_pair(2, 7, 12.0)
    assert not np.array_equal(one.fixed_labels, two.fixed_labels)


def test_a_subject_whose_motion_cannot_be_inverted_is_replaced(monkeypatch):
    def unlucky(dimension, seed, **options):
        if seed == 5:
            raise RuntimeError("The displacement has no inverse at 5 points.")
        return make_case(dimension, seed, **options)

    monkeypatch.setattr(phantom_pairs, "make_case", unlucky)
    assert phantom_pair(2, 5, 12.0).fixed.shape == (32, 32)


def test_swapping_exchanges_images_and_labels_and_drops_the_truth(phantom):
    swapped = phantom.swapped()
    assert np.array_equal(swapped.fixed, phantom.moving) and np.array_equal(swapped.moving, phantom.fixed)
    assert np.array_equal(swapped.fixed_labels, phantom.moving_labels)
    assert swapped.displacement is None


def test_fitting_pads_around_the_middle_and_marks_the_padding_invalid(phantom):
    larger = phantom.fitted((60, 54))
    assert np.array_equal(larger.fixed[6:54, 3:51], phantom.fixed)
    assert np.array_equal(larger.displacement[:, 6:54, 3:51], phantom.displacement)
    assert not larger.valid[:6].any() and not larger.valid[:, 51:].any()
    assert np.array_equal(larger.valid[6:54, 3:51], phantom.valid)
    assert np.array_equal(larger.fitted((48, 48)).moving, phantom.moving)


def test_a_batch_of_different_shapes_or_proportions_is_refused():
    sliders = np.zeros((2, 4, 2))
    with pytest.raises(ValueError, match="different shapes"):
        collate([gradient_pair(), gradient_pair((20, 20))], sliders)
    with pytest.raises(ValueError, match="different proportions"):
        collate([gradient_pair(), replace(gradient_pair(), spacing_mm=(1.0, 2.0))], sliders)


# --- pairs on disk ---


def test_a_stored_pair_is_read_back(phantom, tmp_path):
    stored = CaseFolder(tmp_path, lambda number: phantom)[3]
    for name in ("fixed", "moving"):
        assert np.allclose(getattr(stored, name), getattr(phantom, name), atol=1e-5)
        assert getattr(stored, name).dtype == np.float32
    for name in ("fixed_labels", "moving_labels", "valid"):
        assert np.array_equal(getattr(stored, name), getattr(phantom, name))
    assert np.allclose(stored.displacement, phantom.displacement, atol=3e-3)
    assert stored.spacing_mm == phantom.spacing_mm


def test_a_stored_pair_without_truth_or_labels_is_read_back(phantom, tmp_path):
    bare = replace(phantom, displacement=None, moving_labels=None, valid=None)
    stored = CaseFolder(tmp_path, lambda number: bare)[0]
    assert stored.displacement is None and stored.moving_labels is None and stored.valid is None


def test_a_pair_is_made_once_and_the_same_whether_or_not_it_was_stored(phantom, tmp_path):
    made = []
    folder = CaseFolder(tmp_path, lambda number: made.append(number) or phantom)
    fresh = folder[1]
    again = CaseFolder(tmp_path, lambda number: made.append(number) or phantom)[1]
    assert made == [1]
    assert np.array_equal(fresh.fixed, again.fixed)


def test_a_file_appears_under_its_name_only_when_it_is_complete(phantom, tmp_path, monkeypatch):
    folder = CaseFolder(tmp_path, lambda number: phantom)
    monkeypatch.setattr(np, "savez", lambda file, **arrays: file.write(b"half") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        folder.fill(range(1))
    assert not folder.path(0).exists()


def test_phantoms_can_be_made_by_another_process(tmp_path):
    process = phantom_pairs.fill_in_background(tmp_path, 2, 12.0, 2)
    assert process.wait(120) == 0
    folder = phantom_folder(tmp_path, 2, 12.0)
    assert folder.path(0).exists() and folder.path(1).exists()


# --- random shapes ---


@pytest.mark.parametrize("shape", [(48, 40), (20, 24, 28)])
def test_truth_of_random_shapes_makes_images_and_labels_alike(shape):
    pairs = [shape_pair(np.random.default_rng(seed), shape) for seed in range(6)]
    before = np.mean([(pair.fixed_labels != pair.moving_labels).mean() for pair in pairs])
    after = np.mean([(pair.fixed_labels != moved(pair, pair.moving_labels)).mean() for pair in pairs])
    assert after == 0 < before
    assert all(pair.fixed.shape == shape and pair.displacement.shape == (len(shape), *shape) for pair in pairs)


def test_random_shapes_differ_in_contrast_and_number_of_labels():
    pairs = [shape_pair(np.random.default_rng(seed), (48, 40)) for seed in range(20)]
    assert len({int(pair.fixed_labels.max()) for pair in pairs}) > 4
    first_gray = [pair.fixed[pair.fixed_labels == 1].mean() for pair in pairs if (pair.fixed_labels == 1).any()]
    assert np.std(first_gray) > 0.15


def test_equal_random_numbers_give_equal_shapes():
    one, two = (shape_pair(np.random.default_rng(5), (32, 32)) for _ in range(2))
    assert np.array_equal(one.fixed, two.fixed) and np.array_equal(one.displacement, two.displacement)


# --- augmentation ---


def marked_pair(shape=(24, 24)):
    """Images that say themselves which pixel came from where: labels are read off the intensities."""
    generator = np.random.default_rng(2)
    labels = generator.integers(0, 4, (2, *shape)).astype(np.uint8)
    blocks = np.kron(labels[:, ::6, ::6], np.ones((1, 6, 6), np.uint8))
    return replace(
        gradient_pair(shape),
        fixed=blocks[0] / np.float32(3),
        moving=blocks[1] / np.float32(3),
        fixed_labels=blocks[0],
        moving_labels=blocks[1],
    )


@pytest.mark.parametrize("seed", range(8))
def test_labels_follow_their_image_through_every_turn(seed):
    pair = augmented(marked_pair(), np.random.default_rng(seed), ALL_SPATIAL)
    for image, labels in ((pair.fixed, pair.fixed_labels), (pair.moving, pair.moving_labels)):
        assert np.mean(np.rint(3 * image) == labels) > 0.85  # interpolation blurs the edges of the blocks
        assert np.ptp(labels) > 0


def test_fixed_and_moving_are_turned_alike():
    same = replace(marked_pair(), moving=marked_pair().fixed, moving_labels=marked_pair().fixed_labels)
    for seed in range(8):
        pair = augmented(same, np.random.default_rng(seed), ALL_SPATIAL)
        assert np.array_equal(pair.fixed, pair.moving)
        assert np.array_equal(pair.fixed_labels, pair.moving_labels)


def test_all_eight_orientations_of_a_square_occur():
    pair = marked_pair()
    expected = {
        np.ascontiguousarray(np.rot90(turned, k)).tobytes() for turned in (pair.fixed, pair.fixed.T) for k in range(4)
    }
    settings = replace(NO_AUGMENTATION, flips=0.5, transposes=0.8)
    seen = {augmented(pair, np.random.default_rng(seed), settings).fixed.tobytes() for seed in range(100)}
    assert seen == expected


def test_thick_slices_are_not_exchanged_with_other_axes():
    pair = replace(marked_pair(), spacing_mm=(1.0, 4.0))
    settings = replace(NO_AUGMENTATION, transposes=1)
    for seed in range(5):
        assert np.array_equal(augmented(pair, np.random.default_rng(seed), settings).fixed, pair.fixed)


def test_a_view_from_outside_of_the_image_is_not_valid():
    pair = replace(marked_pair(), valid=None)
    shares = [
        augmented(pair, np.random.default_rng(seed), replace(NO_AUGMENTATION, views=1)).valid.mean()
        for seed in range(20)
    ]
    assert min(shares) < 0.8 and max(shares) == 1


@pytest.mark.parametrize("seed", range(4))
def test_other_grays_stay_between_0_and_1_and_leave_labels_alone(seed):
    before = gradient_pair()
    after = augmented(before, np.random.default_rng(seed), ALL_GRAY)
    assert np.array_equal(after.fixed_labels, before.fixed_labels)
    assert after.fixed.min() >= 0 and after.fixed.max() <= 1 and after.fixed.dtype == np.float32
    assert not np.allclose(after.fixed, before.fixed, atol=0.02)


def test_inversion_turns_both_images_into_their_negatives():
    before = gradient_pair()
    after = augmented(before, np.random.default_rng(0), replace(NO_AUGMENTATION, inversions=1))
    assert np.allclose(after.fixed, 1 - before.fixed) and np.allclose(after.moving, 1 - before.moving)


def test_the_truth_is_dropped_as_it_no_longer_fits(phantom):
    assert augmented(phantom, np.random.default_rng(0), AugmentationSettings()).displacement is None
