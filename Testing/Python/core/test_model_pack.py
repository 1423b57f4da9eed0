"""Model packs: what was saved comes back, what does not fit is refused in one sentence, nothing in them is executed."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from dataclasses import replace

import pytest
import torch
from networks import awake, images, model_card

from TissueElasticRegistrationLib.__main__ import main
from TissueElasticRegistrationLib.core.models.model_card import CARD, MODELS_FOLDER, WEIGHTS
from TissueElasticRegistrationLib.core.models.model_pack import find_pack, list_packs, load_pack, save_pack
from TissueElasticRegistrationLib.core.models.network import NetworkConfig

TINY = {"encoder": (4, 4), "decoder": (4, 4), "final": (4,), "hyper_widths": (4,)}
MAP = NetworkConfig(2, **TINY)
ADAPTIVE = NetworkConfig(2, "hyper", 8, **TINY)
CLASSES = ("background", "lung", "bone", "liver")


@pytest.fixture
def folder(tmp_path):
    """A good pack."""
    save_pack(tmp_path / "adaptive", awake(ADAPTIVE), model_card(ADAPTIVE, tissues=CLASSES, name="adaptive"))
    return tmp_path / "adaptive"


def refusal(folder) -> str:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        load_pack(folder)
    text = str(error.value)
    assert text.startswith(f"Model pack '{folder.name}': ")
    assert text.endswith(".") and "\n" not in text
    return text


def change_card(folder, **changes) -> None:
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    for name, value in changes.items():
        where, *_, last = [card, *name.split("__")]
        for part in name.split("__")[:-1]:
            where = where[part]
        where[last] = value
    (folder / CARD).write_text(json.dumps(card), encoding="utf-8")


def replace_weights(folder, data: bytes) -> None:
    """Other weights, and a card that vouches for them."""
    (folder / WEIGHTS).write_bytes(data)
    change_card(folder, sha256=hashlib.sha256(data).hexdigest())


def saved(value) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


# --- There and back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [MAP, NetworkConfig(3, map_layer="tissue", pooled_input=True, **TINY)])
def test_a_saved_model_comes_back_as_it_was(tmp_path, config):
    network = awake(config)
    card = save_pack(tmp_path / "model", network, model_card(config, metrics={"dice": 0.97}, rest=("fat",)))
    pack = load_pack(tmp_path / "model")
    assert pack.card == card
    assert pack.network.config == config
    assert all(torch.equal(weight, network.state_dict()[name]) for name, weight in pack.network.state_dict().items())
    assert not pack.network.training
    assert not any(weight.requires_grad for weight in pack.network.parameters())


def test_a_loaded_hypernetwork_gives_what_the_saved_one_gave(folder):
    vector, pair = torch.rand(1, 8), images(1, (20, 24))
    with torch.inference_mode():
        assert torch.equal(load_pack(folder).network(*pair, vector), awake(ADAPTIVE)(*pair, vector))


def test_equal_weights_give_equal_files(tmp_path):
    for name in ("a", "b"):
        save_pack(tmp_path / name, awake(MAP), model_card(MAP))
    assert (tmp_path / "a" / WEIGHTS).read_bytes() == (tmp_path / "b" / WEIGHTS).read_bytes()
    assert (tmp_path / "a" / CARD).read_bytes() == (tmp_path / "b" / CARD).read_bytes()


def test_loading_uses_no_random_numbers(folder):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    load_pack(folder)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_card_says_what_follows_from_the_network(folder):
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    assert card["dimension"] == 2
    assert card["conditioning"] == "hyper"
    assert card["padding_multiple"] == 4
    assert card["scale"]["lowest"] == pytest.approx(0.02, rel=0.01)
    assert card["sha256"] == hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()


def test_a_model_cannot_be_saved_with_a_card_of_another_network(tmp_path):
    with pytest.raises(ValueError, match="does not match the card"):
        save_pack(tmp_path, awake(MAP), model_card(replace(MAP, integration_steps=5)))


def test_a_model_cannot_be_saved_with_weights_that_are_no_numbers(tmp_path):
    network = awake(MAP)
    with torch.no_grad():
        network.flow.bias[0] = float("nan")
    with pytest.raises(ValueError, match="not finite"):
        save_pack(tmp_path, network, model_card(MAP))
    assert not list(tmp_path.iterdir())


# --- Refused --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0.0, 0.3, 0.5, 0.999])
def test_a_flipped_byte_is_refused(folder, place):
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[int(place * len(data))] ^= 1
    (folder / WEIGHTS).write_bytes(data)
    assert "does not match its card" in refusal(folder)


@pytest.mark.parametrize("name", [CARD, WEIGHTS])
def test_a_missing_file_is_refused(folder, name):
    (folder / name).unlink()
    assert f"{name} is missing" in refusal(folder)


class Payload:
    """What a malicious pickle would do: run a function when it is read."""

    def __init__(self, path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize(
    "make",
    [saved, pickle.dumps, lambda payload: saved({"flow.weight": payload})],
    ids=["torch", "plain pickle", "inside a dictionary"],
)
def test_nothing_in_a_pack_is_executed(folder, tmp_path, make):
    replace_weights(folder, make(Payload(tmp_path / "executed")))
    assert "does not contain network weights" in refusal(folder)
    assert not (tmp_path / "executed").exists()


def test_the_payload_of_the_test_above_would_act(tmp_path):
    torch.load(io.BytesIO(saved(Payload(tmp_path / "executed"))), weights_only=False)
    assert (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "data", [b"", b"not a file of torch", saved(awake(MAP).state_dict())[:-500]], ids=["empty", "text", "cut off"]
)
def test_a_file_without_weights_is_refused(folder, data):
    replace_weights(folder, data)
    assert "does not contain network weights" in refusal(folder)


def other_weights(change):
    weights = dict(awake(ADAPTIVE).state_dict())
    change(weights)
    return saved(weights)


@pytest.mark.parametrize(
    "data",
    [
        saved([torch.zeros(3)]),
        saved(awake(MAP).state_dict()),
        other_weights(lambda weights: weights.pop("flow.bias")),
        other_weights(lambda weights: weights.update(more=torch.zeros(1))),
        other_weights(lambda weights: weights.update({"flow.bias": torch.zeros(3)})),
        other_weights(lambda weights: weights.update({"flow.bias": torch.zeros(2).half()})),
        other_weights(lambda weights: weights.update({"flow.bias": torch.zeros(2).to_sparse()})),
        other_weights(lambda weights: weights.update({"flow.bias": torch.tensor([0.0, float("inf")])})),
        other_weights(lambda weights: weights.update({"flow.bias": 0.0})),
    ],
    ids=[
        "a list",
        "another network's",
        "too few",
        "too many",
        "other shape",
        "half precision",
        "sparse",
        "infinite",
        "a number",
    ],
)
def test_weights_that_do_not_fit_the_card_are_refused(folder, data):
    replace_weights(folder, data)
    assert "do not match the network described in the card" in refusal(folder)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"schema": 3}, "version 3"),
        (
            {"tissues": ["background", "lung", "bone", "liver", "spleen"]},
            "has 8 parameters, but its tissues require 10",
        ),
        ({"tissues": ["background", "lung", "bone", "Lung"]}, "its tissues require"),
        ({"tissues": []}, "its tissues require 2"),
        ({"regularizer": "bending"}, "regularizer 'bending'"),
        ({"orientation": "LPS"}, "orientation 'LPS'"),
        ({"orientation": "SPL"}, "not valid in 2 dimensions"),
        ({"scale__name": "linear"}, "scale 'linear'"),
        ({"scale__highest": 10.0}, "contradict"),
        ({"dimension": 3}, "contradict"),
        ({"network__dimension": 3}, ""),
        ({"network__conditioning": "map"}, "accepts any tissues"),
        ({"network__encoder": [4, 4, 4]}, "equally many levels"),
        ({"network__encoder": [100000, 4]}, "too large"),
        ({"network__encoder": ["4", 4]}, "not a valid model card"),
        ({"network__layers": 3}, "not a valid model card"),
        ({"network": []}, "not a valid model card"),
        ({"spacing_mm": [0, 4]}, "not a valid range"),
        ({"spacing_mm": "4"}, "not a valid model card"),
        ({"intensity_window_hu": [-1000, 400]}, "CT intensities that are not supported"),
        ({"metrics": {"dice": float("nan")}}, "finite numbers"),
        ({"name": "../elsewhere"}, "name without /"),
        ({"name": 3}, "not a valid model card"),
        ({"command": "rm"}, "not supported"),
        ({"sha256": "0" * 64}, "does not match its card"),
        ({"sha256": None}, "not a valid model card"),
    ],
)
def test_a_wrong_card_is_refused(folder, changes, sentence):
    change_card(folder, **changes)
    assert sentence in refusal(folder)


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"null", b"\xff\xfe", b"{" * 99, b"[" * 200_000, b"1" * 2_000_000])
def test_a_file_that_is_no_card_is_refused(folder, text):
    (folder / CARD).write_bytes(text)
    refusal(folder)


def test_any_map_model_lists_no_tissues():
    with pytest.raises(ValueError, match="accepts any tissues"):
        model_card(MAP, tissues=("lung",))


# --- Lists ----------------------------------------------------------------------------------------------------------


def test_all_packs_of_a_folder_are_listed_with_their_faults(folder):
    save_pack(folder.parent / "broken", awake(MAP), model_card(MAP, name="broken"))
    (folder.parent / "broken" / WEIGHTS).write_bytes(b"")
    (folder.parent / "no pack").mkdir()
    good, broken = list_packs(folder.parent)
    assert (good.card.name, good.problem) == ("adaptive", "")
    assert broken.card is None
    assert "SHA-256" in broken.problem
    assert list_packs(folder.parent / "nowhere") == []


def test_a_pack_is_found_by_its_name(folder):
    assert find_pack("adaptive", folder.parent).card.tissues == CLASSES
    for name in ("universal", "../adaptive", ".", "", str(folder)):
        with pytest.raises(ValueError, match="Model .* not found; installed models are adaptive"):
            find_pack(name, folder.parent)


def test_the_command_lists_models(folder, capsys):
    (folder.parent / "broken").mkdir()
    (folder.parent / "broken" / CARD).write_text("{}")
    assert main(["models", "--folder", str(folder.parent)]) == 0
    headings, row, problem = capsys.readouterr().out.splitlines()
    assert headings.split()[:3] == ["name", "version", "images"]
    assert row.split()[:4] == ["adaptive", "1", "2D", "hyper"]
    assert "lung, bone, liver" in row
    assert problem == "Model pack 'broken': card.json is not a valid model card."


def test_the_command_says_when_there_is_nothing_to_list(tmp_path, capsys):
    assert main(["models", "--folder", str(tmp_path)]) == 0
    assert "No models found" in capsys.readouterr().out
    assert main(["models", "--folder", str(tmp_path / "nowhere")]) == 2
    assert "folder not found" in capsys.readouterr().err


def test_every_shipped_pack_is_good_small_and_named_as_its_folder():
    for entry in list_packs(MODELS_FOLDER):
        assert entry.card is not None, entry.problem
        assert entry.card.name == entry.folder.name
        assert sum(file.stat().st_size for file in entry.folder.iterdir()) <= 10_000_000
