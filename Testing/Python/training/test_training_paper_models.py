"""Training: the comparison of the paper's four models, with models whose best parameters are known."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from training_files import paper_packs

from training import compare_paper_models as comparison
from training.compare_paper_models import Search, paired_difference, register, scores, search, sorted_models
from training.datasets.phantom_pairs import phantom_pair

LUNG, BONE, LIVER = 1, 2, 3
# Where the models below register each tissue without error.
BEST = {LUNG: (0.5, 0.0), BONE: (1.0, 1.0), LIVER: (0.0, 0.5)}


@pytest.fixture(scope="module")
def phantom():
    return phantom_pair(2, 3, 6.0)


class KnownModel:
    """Moves each tissue by its true displacement, shifted by two voxels for a parameter that is not the best."""

    def __init__(self, regularizer="elastic", adaptive=False):
        self.card = SimpleNamespace(has_lambda=regularizer == "elastic")
        self._adaptive = adaptive
        self.asked = []

    def displacement(self, pair, sliders):
        self.asked.append(sliders)
        answer = pair.displacement.copy()
        for label, best in BEST.items():
            own = sliders[label if self._adaptive else 0]
            answer[0][pair.fixed_labels == label] += 2 * np.abs(own - np.array(best)).sum()
        return torch.from_numpy(answer.astype(np.float32))[None]


def test_each_tissue_of_each_pair_gets_the_parameters_that_register_it_best(phantom):
    searched = search(KnownModel(), [phantom], points=3)
    assert np.array_equal(searched.for_tissues(0), [BEST[LUNG], BEST[BONE], BEST[LIVER]])


def test_an_elastic_search_has_two_axes_and_a_diffusion_search_one():
    assert np.array_equal(search(KnownModel(), [], points=3).places[[1, 3, 8]], [(0, 0.5), (0.5, 0), (1, 1)])
    assert np.array_equal(search(KnownModel("diffusion"), [], points=3).places[:, 1], [0, 0.5, 1])


def test_the_global_place_is_the_best_for_all_pairs_and_not_for_most():
    dice = np.array([[0.9, 0.8], [0.9, 0.8], [0.1, 0.8]])[..., None].repeat(3, 2)
    searched = Search(np.array([(0.0, 0.0), (1.0, 1.0)]), dice)
    assert searched.for_all().tolist() == [1, 1]
    assert [searched.for_pair(number).tolist() for number in range(3)] == [[0, 0], [0, 0], [1, 1]]


def test_the_adaptive_model_gets_the_rest_of_the_body_first_and_then_its_tissues(phantom):
    whole, adaptive = KnownModel(), KnownModel(adaptive=True)
    searched = search(whole, [phantom], points=3)
    rows = register(searched, whole, adaptive, [phantom])
    tissues = [BEST[LUNG], BEST[BONE], BEST[LIVER]]
    assert np.array_equal(adaptive.asked[0], [searched.for_pair(0), *tissues])
    assert np.array_equal(adaptive.asked[1], [(0, 0), *tissues])
    assert rows["sas"][0].epe_mm == pytest.approx(0, abs=1e-5) and rows["sas"][0].dice > rows["g"][0].dice


def test_scores_are_those_of_the_truth_and_get_worse_away_from_it(phantom):
    truth = torch.from_numpy(phantom.displacement)[None]
    right, wrong = scores(phantom, truth), scores(phantom, 0 * truth)
    assert right.epe_mm == 0 and right.dice == pytest.approx(np.mean(right.class_dice))
    assert right.dice > wrong.dice and right.hd95_mm < wrong.hd95_mm
    assert wrong.jacobian_deviation == 0 < right.jacobian_deviation and right.folding_percent == 0


def test_distances_are_in_mm_of_both_axes(phantom):
    square = np.zeros((20, 30), np.uint8)
    for label, start in ((LUNG, 2), (BONE, 8), (LIVER, 14)):
        square[start : start + 4, 5:15] = label
    pair = replace(
        phantom,
        fixed=0.1 * square,
        moving=0.1 * square,
        fixed_labels=square,
        moving_labels=square,
        spacing_mm=(2.0, 5.0),
        displacement=None,
        valid=None,
    )
    along_rows = torch.zeros(1, 2, 20, 30)
    along_rows[:, 1] = 3
    assert scores(pair, along_rows).hd95_mm == pytest.approx(15)


def test_a_paired_difference_has_students_interval():
    mean, low, high = paired_difference([2.0, 4.0, 6.0, 8.0], [1.0, 2.0, 3.0, 4.0])
    assert mean == 2.5
    assert (low, high) == pytest.approx((2.5 - 2.054, 2.5 + 2.054), abs=1e-3)  # t(3) = 3.182, deviation 1.291


@pytest.fixture(scope="module")
def packs(tmp_path_factory):
    found = paper_packs(tmp_path_factory.mktemp("packs"))
    return [found[name] for name in ("elas-sas", "diff-g", "elas-g", "diff-sas")]


def test_models_are_told_apart_by_their_cards(packs):
    assert set(sorted_models(packs)) == {"elas-sas", "diff-g", "elas-g", "diff-sas"}
    with pytest.raises(ValueError, match="not only elas-sas, diff-g"):
        sorted_models(packs[:2])


def test_the_command_writes_every_model_with_differences_and_parameters(packs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        sys,
        "argv",
        [
            "",
            *packs,
            "--count",
            "2",
            "--points",
            "2",
            "--spacing-mm",
            "12",
            "--cache",
            str(tmp_path),
            "--output",
            str(tmp_path / "report.json"),
        ],
    )
    comparison.main()
    report = json.loads((tmp_path / "report.json").read_text())
    assert [len(row) for row in report["scores"].values()] == [2] * 9
    mean, low, high = report["differences"]["elas-sas minus elas-g"]["dice"]
    assert low <= mean <= high
    own = [score["dice"] for score in report["scores"]["elas-g, best of each pair"]]
    assert np.all(np.array(own) >= [score["dice"] for score in report["scores"]["elas-g"]])
    assert np.shape(report["parameters"]["elas"]["for tissues"]) == (2, 3, 2)
    assert "elas-sas minus elas-g" in capsys.readouterr().out
