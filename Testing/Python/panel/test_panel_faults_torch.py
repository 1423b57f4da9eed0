"""What the panel says when there is nothing to compute with: no PyTorch, a broken one, no graphics card, no memory."""

from __future__ import annotations

import importlib.abc
import sys
from importlib.machinery import PathFinder

import pytest
import slicer
import torch
from host.mouse import choose, click
from panel_case import pause
from panel_faults import LIBRARY, assert_live_works, is_sentence, modules_put_back

from TissueElasticRegistrationLib.core.preparation.pyramid import Pyramid
from TissueElasticRegistrationLib.core.registration import registrar
from TissueElasticRegistrationLib.core.registration.devices import DeviceChoice
from TissueElasticRegistrationLib.core.registration.direct_solver import DirectSolver

pytestmark = pytest.mark.usefixtures("quick_panel")


@pytest.fixture
def ready(panel):
    panel.choose_inputs(number=4)
    return panel


class HidingTorch(importlib.abc.MetaPathFinder):
    """The finder of files, which does not find torch."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        return None if name.partition(".")[0] == "torch" else PathFinder.find_spec(name, path, target)


@pytest.fixture
def just_started():
    """Nothing of torch and of the extension is loaded, as in a Slicer that has just been started."""
    with modules_put_back("torch", LIBRARY):
        for name in [name for name in sys.modules if name.partition(".")[0] in ("torch", LIBRARY)]:
            del sys.modules[name]
        yield


@pytest.fixture
def no_torch(just_started, monkeypatch):
    finders = [HidingTorch if finder is PathFinder else finder for finder in sys.meta_path]
    monkeypatch.setattr(sys, "meta_path", finders)


@pytest.fixture
def broken_torch(just_started, monkeypatch, tmp_path, request):
    """A torch that is found but fails to load, with the error that is the parameter."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(f"raise {request.param}")
    monkeypatch.syspath_prepend(tmp_path)


def click_on_live(panel):
    click(panel.ui.liveCheckBox)
    panel.rest()
    pause(0.1)


# --- PyTorch --------------------------------------------------------------------------------------------------------


def test_without_torch_the_panel_opens_and_live_says_what_is_missing(no_torch, panel):
    panel.choose_inputs(number=4)
    click_on_live(panel)
    assert panel.ui.liveStatusLabel.text == "Registration requires PyTorch, which is not installed."
    assert not panel.ui.liveCheckBox.checked and not panel.parameters.live
    assert "torch" not in sys.modules


@pytest.mark.parametrize(
    ("button", "label"), [("applyButton", "statusLabel"), ("estimatePushButton", "estimateStatusLabel")]
)
def test_without_torch_apply_and_estimate_say_what_is_missing(no_torch, panel, button, label):
    panel.choose_inputs(number=4)
    panel.open("estimateButton")
    click(getattr(panel.ui, button))
    panel.rest()
    assert getattr(panel.ui, label).text == "Registration requires PyTorch, which is not installed."
    assert getattr(panel.ui, button).enabled


def test_without_torch_and_without_its_extension_the_user_is_told_where_to_get_it(no_torch, panel, monkeypatch):
    monkeypatch.setattr(type(slicer.app), "testingEnabled", lambda self: False)
    panel.choose_inputs(number=4)
    click_on_live(panel)
    assert "install the extension 'PyTorch' with the Extensions Manager" in panel.ui.liveStatusLabel.text
    assert is_sentence(panel.ui.liveStatusLabel.text)


def test_without_torch_a_scene_that_was_saved_with_live_on_is_loaded(no_torch, panel, tmp_path):
    panel.choose_inputs(number=4)
    panel.parameters.live = True
    panel.parameters.muPositions["id_liver"] = 0.75
    slicer.util.saveScene(str(tmp_path / "case.mrb"))
    slicer.mrmlScene.Clear()
    slicer.util.loadScene(str(tmp_path / "case.mrb"))
    pause(0.2)
    assert panel.tissue("id_liver", "muBox").text == "20"
    assert panel.ui.liveStatusLabel.text == "Registration requires PyTorch, which is not installed."
    for name in ("gridCheckBox", "jacobianCheckBox", "differenceCheckBox", "deformedCheckBox"):
        click(getattr(panel.ui, name))
        pause(0.05)
    assert "torch" not in sys.modules


BROKEN = [
    "OSError('libtorch_cpu.so: cannot open shared object file: No such file or directory')",
    "ImportError('DLL load failed while importing torch_python: not found', name='torch._C')",
    'ModuleNotFoundError("No module named \'torchgen\'", name="torchgen")',
]


@pytest.mark.parametrize("broken_torch", BROKEN, indirect=True, ids=["library", "import", "other package"])
@pytest.mark.parametrize("what", ["live", "apply", "estimate"])
def test_a_torch_that_cannot_be_loaded_is_diagnosed(broken_torch, panel, what):
    panel.choose_inputs(number=4)
    panel.open("estimateButton")
    button, label = {
        "live": ("liveCheckBox", "liveStatusLabel"),
        "apply": ("applyButton", "statusLabel"),
        "estimate": ("estimatePushButton", "estimateStatusLabel"),
    }[what]
    click(getattr(panel.ui, button))
    panel.rest()
    text = getattr(panel.ui, label).text
    assert text.startswith("PyTorch is installed but cannot be loaded (") and is_sentence(text)


# --- graphics card --------------------------------------------------------------------------------------------------


def test_a_graphics_card_that_is_chosen_and_not_there(ready, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    ready.open("modelButton")
    choose(ready.ui.deviceSelector, "GPU (CUDA)")
    click_on_live(ready)
    assert ready.ui.liveStatusLabel.text.startswith("The GPU cannot be used: ")
    assert is_sentence(ready.ui.liveStatusLabel.text)
    click(ready.ui.applyButton)
    ready.rest()
    assert ready.ui.statusLabel.text.startswith("The GPU cannot be used: ")
    choose(ready.ui.deviceSelector, "CPU")
    assert_live_works(ready)
    assert ready.ui.deviceReasonLabel.text == "Using the CPU, as selected."


@pytest.fixture
def full_card(ready, monkeypatch):
    """The first step runs out of the graphics card's memory."""
    descend, control, tries = DirectSolver.descend, ready.control, []

    def once_too_much(self, *arguments, **options):
        tries.append(1)
        if len(tries) == 1:
            # Only the name of it: no hardware is needed.
            control.session.registrar._pyramid.device = torch.device("cuda")
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return (yield from descend(self, *arguments, **options))

    monkeypatch.setattr(DirectSolver, "descend", once_too_much)
    return ready


def test_a_card_that_is_too_small_for_the_images_is_replaced_by_the_cpu(ready, monkeypatch):
    build = Pyramid._build

    def on_cpu_only(self, factor):
        if self.device.type == "cuda":
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return build(self, factor)

    monkeypatch.setattr(registrar, "choose_device", lambda wanted: DeviceChoice(torch.device("cuda"), "It computes."))
    monkeypatch.setattr(Pyramid, "_build", on_cpu_only)
    click_on_live(ready)
    assert "Not enough GPU memory" in ready.ui.liveStatusLabel.text
    assert "Not enough GPU memory" in ready.ui.deviceReasonLabel.text
    assert_live_works(ready)


def test_live_falls_back_to_the_cpu_and_says_so(full_card):
    click_on_live(full_card)
    assert "Not enough GPU memory" in full_card.ui.liveStatusLabel.text
    assert_live_works(full_card)


def test_apply_falls_back_to_the_cpu_and_says_so(full_card):
    click(full_card.ui.applyButton)
    full_card.rest()
    assert full_card.ui.statusLabel.text.startswith("Registered")
    assert "Not enough GPU memory" in full_card.ui.qualityLabel.text


def test_estimate_falls_back_to_the_cpu_and_says_so(full_card):
    full_card.parameters.gridPoints = 3
    full_card.open("estimateButton")
    click(full_card.ui.estimatePushButton)
    full_card.rest()
    assert full_card.ui.estimateStatusLabel.text.startswith("Estimated")
    assert "Not enough GPU memory" in full_card.ui.estimateStatusLabel.text


def test_a_full_main_memory_is_said_in_one_line(ready, monkeypatch):
    def too_much(self, *arguments, **options):
        raise MemoryError("cannot allocate 20 GiB")
        yield

    monkeypatch.setattr(DirectSolver, "descend", too_much)
    click_on_live(ready)
    text = ready.ui.liveStatusLabel.text
    assert "cannot allocate 20 GiB" in text and "\n" not in text
    assert ready.activity == "idle" and ready.ui.applyButton.enabled
