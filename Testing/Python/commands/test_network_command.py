"""The command ``register`` with a model pack."""

from __future__ import annotations

import json

import pytest
from networks import awake, model_card
from synthetic_pairs import slice_case

from TissueElasticRegistrationLib.__main__ import main
from TissueElasticRegistrationLib.core.models.model_pack import CARD, save_pack
from TissueElasticRegistrationLib.core.models.network import NetworkConfig

CONFIG = NetworkConfig(2, encoder=(8, 8), decoder=(8, 8), final=(8,))


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("slice")
    slice_case().save(folder)
    return {name: str(folder / f"{name}.nii.gz") for name in ("fixed", "moving", "segmentation")}


@pytest.fixture
def pack(tmp_path):
    """A model that deforms wildly: the direct solver replaces it."""
    folder = tmp_path / "models" / "wild"
    card = save_pack(folder, awake(CONFIG, voxels=30.0), model_card(CONFIG, name="wild", version="0.3"))
    return folder, card


def run(files, model, output, *more) -> int:
    options = [text for name, value in files.items() for text in (f"--{name}", value)]
    return main(["register", *options, "--model", str(model), "--output", str(output), *more])


def test_the_result_names_the_model_and_what_became_of_its_answer(files, pack, tmp_path):
    folder, card = pack
    assert run(files, folder, tmp_path / "out", "--refine", "2") == 0
    result = json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))
    assert result["model"] == {"name": "wild", "version": "0.3", "sha256": card.sha256}
    assert result["solver"] == "network+direct"
    assert any("worse than no deformation" in warning for warning in result["warnings"])
    assert "worse than no deformation" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert result["similarity"]["after"] > result["similarity"]["before"]


def test_the_answer_of_a_model_is_refined_unless_told_otherwise(files, pack, tmp_path):
    results = []
    for name, more in (("usual", ()), ("forty", ("--refine", "40")), ("none", ("--refine", "0"))):
        assert run(files, pack[0], tmp_path / name, *more) == 0
        results.append(json.loads((tmp_path / name / "result.json").read_text(encoding="utf-8")))
    assert results[0]["similarity"] == results[1]["similarity"]
    assert results[2]["seconds"]["refine"] == 0 < results[0]["seconds"]["refine"]


def test_a_bad_pack_is_bad_input(files, pack, tmp_path, capsys):
    folder, _ = pack
    (folder / CARD).write_text("{}")
    assert run(files, folder, tmp_path / "out") == 2
    assert capsys.readouterr().err.strip().endswith("Model pack 'wild': card.json is not a valid model card.")
    assert not (tmp_path / "out").exists()


def test_a_model_for_other_images_is_bad_input(files, tmp_path, capsys):
    config = NetworkConfig(3, encoder=(8, 8), decoder=(8, 8), final=(8,))
    save_pack(tmp_path / "volumes", awake(config), model_card(config, name="volumes"))
    assert run(files, tmp_path / "volumes", tmp_path / "out") == 2
    assert "The model 'volumes' supports volumes only" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
