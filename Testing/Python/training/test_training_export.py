"""Training: what a run exports is a valid pack that gives the same velocities, and judging is done on known truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training_files import gradient_pair, needs_fabric

from TissueElasticRegistrationLib.core.models.model_pack import load_pack
from training.config import TrainingConfig
from training.datasets.phantom_pairs import phantom_pair
from training.validation import Validation, endpoint_error_mm, mean_dice, picture, validate

LUNG_BONE_LIVER = (1, 2, 3)


@pytest.fixture(scope="module")
def phantom():
    return phantom_pair(2, 3, 6.0)


def sliders_for(pairs):
    return np.full((len(pairs), 5, 2), 0.4, np.float32)


def answering(displacement):
    """A network that always gives one velocity."""
    return lambda fixed, moving, labels, sliders: displacement


def validation_of(pair):
    return Validation([pair], sliders_for([pair]), sliders_for([pair]), LUNG_BONE_LIVER)


def test_the_true_displacement_has_no_error_and_the_best_overlap(phantom):
    truth = torch.from_numpy(phantom.displacement)[None]
    assert endpoint_error_mm(phantom, truth) == 0
    assert mean_dice(phantom, truth, LUNG_BONE_LIVER) > mean_dice(phantom, 0 * truth, LUNG_BONE_LIVER) + 0.02


def test_the_endpoint_error_is_in_mm_and_inside_the_body(phantom):
    wrong = torch.from_numpy(phantom.displacement)[None].clone()
    wrong[:, 0] += 0.5  # voxels of 6 mm
    assert endpoint_error_mm(phantom, wrong) == pytest.approx(3.0, rel=1e-5)
    wrong = torch.from_numpy(np.where(phantom.fixed_labels > 0, phantom.displacement, 99))[None]
    assert endpoint_error_mm(phantom, wrong) == 0


def test_scores_without_truth_or_labels_are_not_numbers(phantom):
    bare = replace(phantom, displacement=None, moving_labels=None)
    scores = validate(answering(torch.zeros(1, 2, 32, 32)), TrainingConfig().objective(), validation_of(bare), 4)
    assert np.isnan(scores.epe_mm) and np.isnan(scores.dice) and np.isfinite(scores.objective)


def test_validation_prefers_a_network_that_knows_the_truth(phantom):
    objective = TrainingConfig().objective()
    truth = torch.nn.functional.interpolate(torch.from_numpy(phantom.displacement)[None], size=(32, 32)) / 2
    scores, lazy = (
        validate(answering(velocity), objective, validation_of(phantom), 4) for velocity in (truth, 0 * truth)
    )
    assert scores.similarity > lazy.similarity and scores.epe_mm < lazy.epe_mm and scores.dice > lazy.dice
    assert lazy.folding_percent == 0


def test_the_response_is_how_far_sliders_move_the_body_in_mm(phantom):
    def network(fixed, moving, labels, sliders):
        return torch.ones(1, 2, *phantom.shape) * sliders[0, 0, 0]  # constant velocities are displacements

    away = Validation([phantom], sliders_for([phantom]), sliders_for([phantom]) + 0.5, LUNG_BONE_LIVER)
    objective = TrainingConfig().objective()
    assert validate(network, objective, away, 4).response_mm == pytest.approx(0.5 * np.sqrt(2) * 6.0, rel=1e-4)
    assert validate(network, objective, validation_of(phantom), 4).response_mm == 0


def test_a_picture_shows_five_views_of_each_pair():
    pairs = [gradient_pair(seed=seed) for seed in range(6)]
    validation = Validation(pairs, sliders_for(pairs), sliders_for(pairs))
    drawn = picture(answering(torch.zeros(1, 2, 10, 12)), validation, 4)
    assert drawn.shape == (4 * 20, 5 * 24, 3) and drawn.dtype == np.uint8
    assert np.array_equal(drawn[:20, :24, 0], np.rint(255 * pairs[0].fixed))


@pytest.mark.parametrize(
    "options",
    [{}, {"conditioning": "hyper", "tissues": ("lung", "bone", "liver")}, {"conditioning": "hyper", "adaptive": False}],
)
def test_a_run_exports_a_pack_that_answers_as_the_trained_network(tmp_path_factory, options):
    needs_fabric()
    from training.train import train

    output = tmp_path_factory.mktemp("run")
    config = TrainingConfig(
        name="tiny",
        output=str(output),
        cache=str(tmp_path_factory.getbasetemp() / "phantoms"),
        shape=(32, 32),
        spacing_mm=12.0,
        phantoms=2,
        steps=2,
        batch=2,
        validate_every=1,
        validation_pairs=1,
        accelerator="cpu",
        background=False,
        **options,
    )
    lines = []
    state = train(config, lines.append)
    pack = load_pack(Path(output) / "tiny")
    assert pack.card.name == "tiny" and pack.card.scale == "log" and pack.card.dimension == 2
    assert f"{2 - state.waited} of 2 steps of 2 pairs" in pack.card.training
    assert pack.card.tissues == (("background", "lung", "bone", "liver") if config.tissues else ())
    if state.waited == 0:
        trained, loaded = state.model.module.network.state_dict(), pack.network.state_dict()
        assert all(torch.equal(trained[name], loaded[name]) for name in loaded)
