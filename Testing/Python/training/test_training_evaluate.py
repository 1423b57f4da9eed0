"""Training: the evaluation of packs on phantoms, with models whose answers are known."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from training_files import pack_in

from TissueElasticRegistrationLib.core.models.model_pack import load_pack
from training import evaluate
from training.datasets.pair import TrainingPair
from training.datasets.phantom_pairs import FIRST_TEST, as_training_pair, phantom_pair
from training.evaluate import Model, accuracy, response
from training.phantoms import make_case
from training.validation import endpoint_error_mm

LUNG, SOFT = 1, 4


@pytest.fixture(scope="module")
def phantom():
    return phantom_pair(2, 3, 6.0)


class KnownModel:
    """Stretches each tissue by 0.1 · 10^-s across bands, s being its μ slider; ``stubborn`` ones always by 0.1."""

    def __init__(self, stubborn=()):
        self._stubborn = stubborn

    def table(self):
        return np.full((16, 2), 0.5)

    def displacement(self, pair, sliders):
        strain = 0.1 * 10 ** -sliders[:, 1]
        strain[list(self._stubborn)] = 0.1
        along = np.cumsum(strain[pair.fixed_labels], axis=0)
        return torch.from_numpy(np.stack([along, 0 * along]).astype(np.float32))[None]


@pytest.fixture
def bands():
    """All tissues as bands across the first axis: a stretch along it shears nothing."""
    labels = np.repeat(np.arange(5, dtype=np.uint8), 60)[:, None].repeat(20, 1)
    image = np.zeros(labels.shape, np.float32)
    return TrainingPair(image, image, labels, labels, (3.0, 3.0))


def test_a_slider_that_acts_falls_all_the_way_with_the_squared_ratio_of_its_strains(bands):
    found = response(KnownModel(), [bands], LUNG, 1)
    assert found["falling_share"] == 1
    assert found["ratio"] == pytest.approx(100, rel=0.2)  # the edges of the bands belong to two tissues
    assert found["selectivity"] > 10


def test_a_slider_without_effect_is_found(bands):
    found = response(KnownModel(stubborn=(LUNG,)), [bands], LUNG, 1)
    assert found["ratio"] == pytest.approx(1) and found["selectivity"] == 0


def test_a_slider_that_acts_on_other_tissues_is_found(bands):
    class Misled(KnownModel):
        def displacement(self, pair, sliders):
            moved = sliders.copy()
            moved[SOFT] = sliders[LUNG]
            return super().displacement(pair, moved)

    assert response(Misled(), [bands], LUNG, 1)["selectivity"] < 1.5


def test_a_slider_that_stiffens_downwards_does_not_fall(bands):
    class Reversed(KnownModel):
        def displacement(self, pair, sliders):
            return super().displacement(pair, 1 - sliders)

    assert response(Reversed(), [bands], LUNG, 1)["falling_share"] == 0


def test_accuracy_is_that_of_the_model_at_the_table(phantom, tmp_path):
    model = Model(load_pack(pack_in(tmp_path / "tiny")))
    result = accuracy(model, phantom)
    expected = endpoint_error_mm(phantom, model.displacement(phantom, model.table()))
    assert result.epe_mm == expected
    # An untrained network moves nothing.
    assert expected == pytest.approx(endpoint_error_mm(phantom, torch.zeros(1, 2, *phantom.shape)), rel=1e-2)


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ({}, 16),
        (
            {
                "network": {"conditioning": "hyper", "parameters": 8},
                "tissues": ("background", "lung", "bone", "liver"),
                "rest": ("soft",),
            },
            4,
        ),
        ({"network": {"conditioning": "hyper", "parameters": 2}}, 16),
    ],
)
def test_every_kind_of_pack_can_be_judged(phantom, tmp_path, options, rows):
    model = Model(load_pack(pack_in(tmp_path / "tiny", **options)))
    assert model.table().shape == (rows, 2)
    assert np.isfinite(accuracy(model, phantom).epe_mm)


def test_pairs_of_a_load_are_moved_by_it(tmp_path):
    (found,) = evaluate.unseen_pairs(tmp_path, 2, 12.0, 1, "gravity")
    candidates = [
        as_training_pair(make_case(2, FIRST_TEST + number, load="gravity", spacing_mm=12.0)) for number in range(3)
    ]
    assert any(np.allclose(found.displacement, pair.displacement, atol=3e-3) for pair in candidates)


LUNG_BONE_LIVER = ("background", "lung", "bone", "liver")


@pytest.mark.parametrize(
    ("options", "sliders"),
    [
        ({}, [f"{name} {symbol}" for name in ("lung", "bone", "liver", "soft") for symbol in ("lambda", "mu")]),
        (
            {
                "network": {"conditioning": "hyper", "parameters": 4},
                "regularizer": "diffusion",
                "tissues": LUNG_BONE_LIVER,
            },
            ["lung mu", "bone mu", "liver mu"],
        ),
        ({"network": {"conditioning": "hyper", "parameters": 2}}, []),
    ],
)
def test_the_command_writes_a_row_per_load_and_slider_of_the_model(tmp_path, monkeypatch, capsys, options, sliders):
    output = tmp_path / "numbers.json"
    pack = pack_in(tmp_path / "tiny", **options)
    monkeypatch.setattr(
        sys,
        "argv",
        [
            "evaluate",
            str(pack),
            "--count",
            "1",
            "--spacing-mm",
            "12",
            "--cache",
            str(tmp_path / "cache"),
            "--output",
            str(output),
        ],
    )
    evaluate.main()
    assert set(json.loads(output.read_text())) == {"breathing", "gravity", "compression", *sliders}
    assert "breathing" in capsys.readouterr().out


def test_a_model_is_named_by_its_folder_or_by_its_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pack_in(tmp_path / "tiny")
    assert evaluate.named_pack("tiny").card.name == "tiny"
    assert evaluate.named_pack("universal-2d").card.name == "universal-2d"
    monkeypatch.setattr(sys, "argv", ["evaluate", "nothing", "--cache", str(tmp_path)])
    with pytest.raises(SystemExit):
        evaluate.main()
    assert "Model 'nothing' not found" in capsys.readouterr().err
