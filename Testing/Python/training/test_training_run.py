"""Training: a run learns, resumes to the same result, shares its work between processes, and stops when told to."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from training_files import needs_fabric

needs_fabric()

from TissueElasticRegistrationLib.core.models.model_pack import load_pack  # noqa: E402
from training import checkpoints  # noqa: E402
from training.config import TrainingConfig, from_dict, parse_arguments  # noqa: E402
from training.history import read_history  # noqa: E402
from training.losses import batch_terms  # noqa: E402
from training.run_data import phantoms_in_background, training_set, validation_set  # noqa: E402
from training.step_rate import ProgressLine, duration  # noqa: E402
from training.train import learning_rate, train  # noqa: E402
from training.trainee import Trainee, slider_vector  # noqa: E402


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def tiny(cache, tmp_path):
    """Settings of a run of seconds; `tiny(steps=...)` changes some."""

    def make(output="run", **changes):
        settings = {
            "output": str(tmp_path / output),
            "cache": str(cache),
            "shape": (32, 32),
            "spacing_mm": 12.0,
            "phantoms": 6,
            "first_phantoms": 3,
            "steps_per_phantom": 2,
            "steps": 12,
            "batch": 2,
            "warm_up": 2,
            "validation_pairs": 2,
            "validate_every": 6,
            "log_every": 1,
            "picture_every": 1,
            "seed": 5,
            "accelerator": "cpu",
            "integration_steps": 4,
            "background": False,
        }
        return TrainingConfig(**{**settings, **changes})

    return make


def run(config):
    lines = []
    return train(config, lines.append), lines


def kill_at(config, step):
    """Interrupt a run before it can store what it has learnt in ``step``."""

    def interrupt(line):
        if line.startswith(f"step {step}/"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, interrupt)


def weights(state):
    return torch.cat([tensor.flatten() for tensor in state.model.module.state_dict().values()])


def curve(config):
    return np.array(read_history(Path(config.output)))


def test_a_short_run_on_two_pairs_lowers_their_objective(tiny):
    config = tiny(
        sources=("phantoms",),
        phantoms=2,
        first_phantoms=2,
        augment=False,
        steps=80,
        ends=0,
        equal=1,
        learning_rate=3e-3,
        validate_every=1000,
    )
    state, _ = run(config)
    objectives = curve(config)[:, 1]
    assert state.step == 80
    assert objectives[-20:].mean() < objectives[:20].mean() - 0.03


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"conditioning": "hyper", "tissues": ("lung", "bone", "liver")},
        {"conditioning": "hyper", "adaptive": False, "regularizer": "diffusion"},
        {"scale": "paper", "half_resolution": False},
    ],
)
def test_every_kind_of_model_can_be_trained(tiny, options):
    config = tiny(steps=2, validate_every=2, **options)
    state, _ = run(config)
    assert np.isfinite(curve(config)[:, 1]).all() and np.isfinite(state.best)


def test_a_volume_model_with_tissues_can_be_trained(tiny):
    config = tiny(
        dimension=3,
        shape=(16, 16, 16),
        map_layer="tissue",
        pooled_input=True,
        sources=("shapes",),
        steps=2,
        validation_pairs=1,
    )
    assert np.isfinite(curve_after(config)).all()


def curve_after(config):
    run(config)
    return curve(config)[:, 1]


def test_a_run_that_was_killed_ends_exactly_like_an_uninterrupted_one(tiny):
    whole, broken = tiny("whole"), tiny("broken", checkpoint_minutes=0)
    expected, _ = run(whole)
    kill_at(broken, 8)
    state, lines = run(broken)
    assert lines[0] == "Resumed after 7 steps."
    assert torch.equal(weights(state), weights(expected))
    assert (state.best, state.waited) == (expected.best, expected.waited)
    assert np.array_equal(curve(broken), curve(whole))


def test_two_equal_runs_are_equal_and_another_seed_gives_another(tiny):
    one, two, other = (run(tiny(name, steps=3, seed=seed))[0] for name, seed in (("a", 5), ("b", 5), ("c", 6)))
    assert torch.equal(weights(one), weights(two))
    assert not torch.equal(weights(one), weights(other))


def test_a_run_with_other_settings_does_not_go_on_from_a_checkpoint(tiny):
    run(tiny(steps=1))
    with pytest.raises(ValueError, match="other settings .*batch"):
        run(tiny(steps=2, batch=4))


def test_a_run_begins_anew_when_it_should_not_resume(tiny):
    run(tiny(steps=2))
    state, lines = run(tiny(steps=3, resume=False))
    assert state.step == 3 and not any("Resumed" in line for line in lines)


def test_training_ends_when_validation_gets_no_better(tiny):
    config = tiny(steps=50, validate_every=2, patience=3, learning_rate=1e-12)
    state, _ = run(config)
    assert state.waited == 3 and state.step < 20


def test_the_best_weights_are_kept(tiny):
    config = tiny(steps=4, validate_every=1)
    state, _ = run(config)
    best = torch.load(Path(config.output) / checkpoints.BEST, weights_only=True)
    assert best["best"] == state.best and best["step"] == 4 - state.waited


def test_phantoms_are_made_in_the_background_until_training_ends(tiny, tmp_path):
    config = tiny(cache=str(tmp_path / "cache"), background=True, phantoms=5000, steps=1)
    with phantoms_in_background(config):
        wait_for(lambda: len(list((tmp_path / "cache").rglob("*.npz"))) > 2)
    made = len(list((tmp_path / "cache").rglob("*.npz")))
    time.sleep(0.5)
    assert len(list((tmp_path / "cache").rglob("*.npz"))) == made < 5000


def wait_for(condition, timeout_s=300.0):
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_pictures_of_validation_pairs_and_a_log_are_written(tiny):
    config = tiny()
    run(config)
    pictures = sorted((Path(config.output) / "pictures").glob("*.png"))
    assert [path.name for path in pictures] == ["0000006.png", "0000012.png"]
    assert pictures[0].read_bytes()[:4] == b"\x89PNG"
    assert list((Path(config.output) / "log").glob("events*"))


def test_gradients_of_two_processes_average_to_those_of_one_with_the_same_global_batch(tiny):
    """Why two processes train like one; that they do is measured by Testing/benchmarks/two_processes.py."""
    config = tiny(batch=4, first_phantoms=6)

    def gradient(rank, world):
        torch.manual_seed(config.seed)
        trainee = Trainee(config.network())
        torch.nn.init.normal_(trainee.network.flow.weight, 0, 0.1)
        batch = training_set(config, rank, world)[3]
        velocity = trainee(batch.fixed, batch.moving, batch.labels, batch.sliders)
        batch_terms(config.objective(), velocity, batch, config.integration_steps).total.mean().backward()
        return torch.cat([parameter.grad.flatten() for parameter in trainee.parameters()])

    alone, first, second = gradient(0, 1), gradient(0, 2), gradient(1, 2)
    assert (first - second).norm() > 0.1 * alone.norm()  # there is something to average
    assert (0.5 * (first + second) - alone).norm() < 1e-4 * alone.norm()


# --- beginning with a finished model ---


@pytest.fixture
def pack(tiny):
    """Folder of the pack that a run of two steps has made."""
    config = tiny("earlier", name="earlier", steps=2, seed=11)
    run(config)
    return Path(config.output) / "earlier"


def test_a_run_can_begin_with_the_weights_of_a_finished_pack(tiny, pack):
    config = tiny(start_from=str(pack), steps=1, learning_rate=1e-12)
    state, _ = run(config)
    stored = load_pack(pack).network.state_dict()
    assert all(
        torch.allclose(weight, stored[name], atol=1e-9)
        for name, weight in state.model.module.network.state_dict().items()
    )
    assert "Initialized with the weights of earlier." in load_pack(Path(config.output) / config.name).card.training


def test_a_finished_pack_of_another_architecture_is_refused_with_what_differs(tiny, pack):
    with pytest.raises(ValueError, match="the model 'earlier', .*: map_layer conv instead of tissue.$"):
        run(tiny(start_from=str(pack), map_layer="tissue"))


def test_a_hypernetwork_for_other_tissues_begins_with_the_kernels_of_the_finished_one(tiny):
    hyper = {"conditioning": "hyper", "scale": "paper"}
    earlier = tiny("earlier", name="earlier", steps=2, adaptive=False, **hyper)
    run(earlier)
    state, _ = run(
        tiny(start_from=f"{earlier.output}/earlier", tissues=("lung", "bone"), steps=1, learning_rate=1e-12, **hyper)
    )
    images = torch.rand(2, 1, 1, 32, 32)
    with torch.no_grad():
        expected = load_pack(Path(earlier.output) / "earlier").network(*images, torch.full((1, 2), 0.5))
        for sliders in torch.rand(2, 1, 6):
            assert torch.allclose(state.model.module.network(*images, sliders), expected, atol=1e-6)
    assert expected.abs().max() > 1e-6


def test_a_resumed_run_goes_on_from_its_checkpoint_and_not_from_the_pack_it_began_with(tiny, pack):
    whole, broken = (tiny(name, start_from=str(pack), steps=4, checkpoint_minutes=0) for name in ("whole", "broken"))
    expected, _ = run(whole)
    kill_at(broken, 3)
    state, _ = run(broken)
    assert torch.equal(weights(state), weights(expected))


# --- configuration, schedule, progress ---


def test_the_command_line_gives_the_configuration():
    config = parse_arguments(
        [
            "--steps",
            "7",
            "--shape",
            "32",
            "48",
            "--no-augment",
            "--tissues",
            "lung",
            "bone",
            "--conditioning",
            "hyper",
            "--sources",
            "phantoms=3",
            "shapes=1",
        ]
    )
    assert config == TrainingConfig(
        steps=7,
        shape=(32, 48),
        augment=False,
        tissues=("lung", "bone"),
        conditioning="hyper",
        sources=("phantoms=3", "shapes=1"),
    )
    assert config.shares() == {"phantoms": 0.75, "shapes": 0.25}


def test_a_configuration_survives_being_stored():
    config = TrainingConfig(shape=(32, 48))
    stored = {
        name: list(value) if isinstance(value, tuple) else value for name, value in dataclasses.asdict(config).items()
    }
    assert from_dict(stored) == config


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({"adaptive": False}, 2),
        ({"adaptive": False, "regularizer": "diffusion"}, 1),
        ({"tissues": ("a", "b", "c")}, 8),
        ({"tissues": ("a", "b", "c"), "regularizer": "diffusion"}, 4),
    ],
)
def test_a_hypernetwork_gets_as_many_numbers_as_in_the_paper(options, parameters):
    assert TrainingConfig(conditioning="hyper", **options).network().parameters == parameters


def test_the_vector_holds_lambda_of_all_tissues_then_mu():
    sliders = torch.tensor([[[0.1, 0.5], [0.2, 0.6], [0.3, 0.7]]])
    assert torch.equal(slider_vector(sliders, 6), torch.tensor([[0.1, 0.2, 0.3, 0.5, 0.6, 0.7]]))
    assert torch.equal(slider_vector(sliders, 3), torch.tensor([[0.5, 0.6, 0.7]]))
    assert torch.equal(slider_vector(sliders, 2), torch.tensor([[0.1, 0.5]]))
    assert torch.equal(slider_vector(sliders, 1), torch.tensor([[0.5]]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (32,)}, "shape of 2 numbers"),
        ({"conditioning": "hyper"}, "names of the tissues"),
        ({"sources": ("phantoms=much",)}, "name=share"),
        ({"sources": ()}, "At least one source"),
        ({"steps": 0}, "At least one step"),
    ],
)
def test_impossible_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**options)


def test_the_learning_rate_grows_stays_and_falls():
    config = TrainingConfig(steps=1000, warm_up=10, decay_from=0.6, learning_rate=1.0)
    rates = [learning_rate(config, step) for step in range(1000)]
    assert rates[0] == pytest.approx(0.1) and rates[9:600] == pytest.approx([1.0] * 591)
    assert np.all(np.diff(rates[600:]) < 0) and rates[-1] == pytest.approx(0.02, abs=1e-3)


def test_progress_tells_rate_and_time_left():
    clock = iter([100.0, 150.0]).__next__
    line = ProgressLine(1000, 11_000, clock).at(1500, -0.25)
    assert line == "step 1500/11000 (13.6 %)  J = -0.2500  10.00 steps/s  15 min 50 s left"


@pytest.mark.parametrize(("seconds", "text"), [(59.4, "59 s"), (723, "12 min 3 s"), (7500, "2 h 5 min")])
def test_durations_are_told_in_two_units(seconds, text):
    assert duration(seconds) == text


def test_validation_begins_with_the_sliders_of_the_tissue_table(tiny):
    validation = validation_set(tiny())
    scale = TrainingConfig().objective().scale
    weights_of = [scale.weight(float(slider)) for slider in validation.sliders[0, :5, 1]]
    assert weights_of == pytest.approx([0.02, 0.5, 30, 1, 1], rel=1e-4)  # air, lung, bone, liver, soft
    assert validation.judged == (1, 2, 3)


def test_gradients_reach_every_weight(tiny):
    trainee = Trainee(tiny().network())
    torch.nn.init.normal_(trainee.network.flow.weight, 0, 0.1)  # at its start it lets nothing through
    velocity = trainee(
        torch.rand(1, 1, 32, 32), torch.rand(1, 1, 32, 32), torch.randint(0, 3, (1, 32, 32)), torch.rand(1, 3, 2)
    )
    velocity.square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in trainee.parameters())
