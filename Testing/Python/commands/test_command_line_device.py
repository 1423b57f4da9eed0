"""``--device``: what the registration is asked to compute on, and what ``result.json`` says of it. Needs no GPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from synthetic_pairs import slice_case

from TissueElasticRegistrationLib.__main__ import main
from TissueElasticRegistrationLib.commands import checked_options
from TissueElasticRegistrationLib.core.preparation.pyramid import Pyramid
from TissueElasticRegistrationLib.core.registration import registrar
from TissueElasticRegistrationLib.core.registration.devices import DeviceChoice
from TissueElasticRegistrationLib.core.registration.registrar import CARD_TOO_SMALL

FILES = ("fixed", "moving", "segmentation")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A slice, and a list for ``batch`` that names it."""
    place = tmp_path_factory.mktemp("device")
    slice_case().save(place)
    (place / "pairs.csv").write_text(",".join(FILES) + "\n" + ",".join(f"{name}.nii.gz" for name in FILES) + "\n")
    return place


@pytest.fixture(params=["register", "batch"])
def run(request, folder, tmp_path):
    """A function that runs one of the two commands with more options and returns its exit code and ``result.json``."""
    words, output = [str(folder / "pairs.csv")], tmp_path / "out" / "subject-001"
    if request.param == "register":
        words = [word for name in FILES for word in (f"--{name}", str(folder / f"{name}.nii.gz"))]
        output = tmp_path / "out"

    def command(*options: str) -> tuple[int, dict | None]:
        code = main([request.param, *words, *options, "--output", str(tmp_path / "out")])
        file = output / "result.json"
        return code, json.loads(file.read_text(encoding="utf-8")) if file.exists() else None

    return command


@pytest.fixture
def card(monkeypatch) -> list[str]:
    """A graphics card by name, which computes on the CPU; the list tells what the registrar was asked for."""
    asked = []

    def choose(wanted: str = "auto") -> DeviceChoice:
        asked.append(wanted)
        return DeviceChoice(torch.device("cpu" if wanted == "cpu" else "cuda"), "It was chosen.")

    monkeypatch.setattr(checked_options, "choose_device", lambda wanted: None)
    monkeypatch.setattr(registrar, "choose_device", choose)
    monkeypatch.setattr(registrar, "Pyramid", lambda working, device: Pyramid(working, "cpu"))
    return asked


@pytest.mark.parametrize(
    ("options", "wanted", "used"),
    [((), "auto", "cuda"), (("--device", "cpu"), "cpu", "cpu"), (("--device", "cuda"), "cuda", "cuda")],
)
def test_the_device_reaches_the_registration_and_the_result(run, card, options, wanted, used):
    code, result = run(*options)
    assert (code, card, result["device"]) == (0, [wanted], used)


def test_the_result_names_the_cpu_when_the_card_was_too_small(run, card, monkeypatch):
    level = Pyramid.level

    def on_cpu_only(self, factor):
        if self.device.type == "cuda":
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return level(self, factor)

    monkeypatch.setattr(registrar, "Pyramid", Pyramid)
    monkeypatch.setattr(Pyramid, "level", on_cpu_only)
    code, result = run()
    assert (code, result["device"]) == (0, "cpu")
    assert CARD_TOO_SMALL in result["warnings"]


def test_cuda_is_refused_in_one_sentence_where_there_is_none(run, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, result = run("--device", "cuda")
    assert (code, result) == (2, None)
    message = capsys.readouterr().err
    assert message.startswith("error: --device cuda: The GPU cannot be used: ") and message.count("\n") == 1
