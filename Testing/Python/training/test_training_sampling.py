"""Training: which slider positions are drawn, and which pairs at which step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from training_files import gradient_pair

from training.augmentation import NO_AUGMENTATION, AugmentationSettings
from training.datasets.sources import Sampling, TrainingSet, from_list, mixed
from training.parameter_sampling import draw_sliders

SAMPLING = Sampling(shape=(20, 24), batch=4, seed=3, augmentation=AugmentationSettings())


def many_sliders(**options):
    generator = np.random.default_rng(0)
    return np.stack([draw_sliders(generator, 4, 5, **options) for _ in range(2000)])


def test_a_fifth_of_the_positions_is_at_the_ends_half_of_them_at_each():
    sliders = many_sliders(equal=0)
    assert np.mean(sliders == 0) == pytest.approx(0.1, abs=0.005)
    assert np.mean(sliders == 1) == pytest.approx(0.1, abs=0.005)


def test_all_other_positions_are_uniform():
    sliders = many_sliders(equal=0)
    counts, _ = np.histogram(sliders[(sliders > 0) & (sliders < 1)], 10, (0, 1))
    assert counts.min() > 0.95 * counts.max()


def test_in_the_wanted_share_of_steps_all_tissues_are_equal():
    equal = np.all(many_sliders(equal=0.15) == many_sliders(equal=0.15)[:, :, :1], axis=(1, 2, 3))
    assert equal.mean() == pytest.approx(0.15, abs=0.02)


def test_equal_tissues_still_differ_between_pairs_and_between_lambda_and_mu():
    sliders = draw_sliders(np.random.default_rng(1), 4, 5, ends=0, equal=1)
    assert np.all(sliders == sliders[:, :1])
    assert len(np.unique(sliders[:, 0])) == 8


def test_shares_outside_of_0_to_1_are_refused():
    with pytest.raises(ValueError, match="1.5"):
        draw_sliders(np.random.default_rng(0), 1, 1, ends=1.5)


def batch_of(world, rank, step=7, sampling=SAMPLING):
    pairs = [gradient_pair(seed=seed) for seed in range(6)]
    return TrainingSet(from_list(pairs), sampling, 100, rank, world)[step]


def test_the_parts_of_all_processes_are_the_batch_of_one():
    whole, parts = batch_of(1, 0), [batch_of(2, rank) for rank in range(2)]
    for name in ("fixed", "moving", "labels", "mask", "sliders"):
        together = torch.empty_like(getattr(whole, name))
        together[0::2], together[1::2] = getattr(parts[0], name), getattr(parts[1], name)
        assert torch.equal(getattr(whole, name), together), name


def test_a_step_gives_the_same_batch_every_time_and_another_than_the_next():
    assert torch.equal(batch_of(1, 0).fixed, batch_of(1, 0).fixed)
    assert not torch.equal(batch_of(1, 0).fixed, batch_of(1, 0, step=8).fixed)


def test_another_seed_gives_another_batch():
    other = batch_of(1, 0, sampling=replace(SAMPLING, seed=4))
    assert not torch.equal(other.fixed, batch_of(1, 0).fixed)
    assert not torch.equal(other.sliders, batch_of(1, 0).sliders)


def test_a_batch_that_cannot_be_shared_evenly_is_refused():
    with pytest.raises(ValueError, match="4 pairs cannot be shared by 3"):
        batch_of(3, 0)


def test_labels_above_the_tissues_of_a_model_become_background():
    batch = batch_of(1, 0, sampling=replace(SAMPLING, tissues=2, augmentation=NO_AUGMENTATION))
    assert set(batch.labels.unique().tolist()) == {0, 1, 2}
    assert batch.sliders.shape == (4, 3, 2)


def test_a_model_without_tissues_learns_equal_sliders_only():
    batch = batch_of(1, 0, sampling=replace(SAMPLING, adaptive=False))
    assert torch.equal(batch.sliders, batch.sliders[:, :1].expand_as(batch.sliders))


def test_sources_are_drawn_in_the_wanted_proportion():
    source = mixed({"one": lambda generator, step: 1, "two": lambda generator, step: 2}, {"one": 0.3, "two": 0.7})
    generator = np.random.default_rng(0)
    assert np.mean([source(generator, 0) == 1 for _ in range(4000)]) == pytest.approx(0.3, abs=0.02)


def test_an_unknown_source_is_refused_by_name():
    with pytest.raises(ValueError, match="'magic'"):
        mixed({"one": None}, {"magic": 1.0})
