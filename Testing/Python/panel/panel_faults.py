"""What the tests of faults in the running panel share: quick jobs, jobs in progress, sentences."""

from __future__ import annotations

import importlib
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import slicer
from few_steps import LIBRARY, take_few_steps
from host.mouse import click, type_value
from panel_case import PanelCase, pause

THREAD = "TissueElasticRegistration"
INPUT_REST_MS = 40  # instead of 400: how long the panel waits before it reads changed inputs again
LOOK_AGAIN_S = 0.15


def make_panel_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that ask neither how good a registration is nor what it looks like. Before the panel is made.

    Fewer steps, less waiting until the panel looks at changed inputs, nothing is drawn.
    """
    slicer.app.setRenderPaused(True)
    take_few_steps(monkeypatch)
    monkeypatch.setattr(library("panel.panel"), "INPUT_REST_MS", INPUT_REST_MS)


def library(name: str):
    """A module of the extension as it is loaded now: another one after a reload."""
    return importlib.import_module(f"{LIBRARY}.{name}")


@contextmanager
def modules_put_back(*packages: str) -> Iterator[None]:
    """What is imported anew inside the block must not be what the other tests of this process use."""

    def is_of_them(name: str) -> bool:
        return name.partition(".")[0] in packages

    loaded = {name: module for name, module in sys.modules.items() if is_of_them(name)}
    yield
    for name in [name for name in sys.modules if is_of_them(name)]:
        del sys.modules[name]
    sys.modules.update(loaded)


def make_preparing_slow(monkeypatch: pytest.MonkeyPatch, seconds: float = 0.15) -> None:
    registrar = library("core.registration.registrar")
    prepare_pair = registrar.prepare_pair

    def slowly(*arguments, **options):
        time.sleep(seconds)
        return prepare_pair(*arguments, **options)

    monkeypatch.setattr(registrar, "prepare_pair", slowly)


def make_steps_slow(monkeypatch: pytest.MonkeyPatch, step_s: float = 0.012) -> None:
    """So that there is time for something to happen while a job runs."""
    solver = library("core.registration.direct_solver").DirectSolver
    descend = solver.descend

    def slowly(self, *arguments, **options):
        job = descend(self, *arguments, **options)
        while True:
            try:
                progress = next(job)
            except StopIteration as end:
                return end.value
            time.sleep(step_s)
            yield progress

    monkeypatch.setattr(solver, "descend", slowly)


def is_sentence(text: str) -> bool:
    """One line that begins like a sentence, ends like one, and shows nothing of the program's inside."""
    inside = r"vtk|MRML|Error\b|Traceback|0x[0-9a-f]+|None|\bNode\b|error log"
    return bool(re.fullmatch(r"['A-Z0-9][^\n]*[.?]", text)) and not re.search(inside, text)


def assert_explained(panel: PanelCase, expected: str) -> None:
    """Apply is off and its tool tip says why; so does the status line if Live is on; nothing runs."""
    tip = panel.ui.applyButton.toolTip
    assert not panel.ui.applyButton.enabled
    assert expected in tip and is_sentence(tip), tip
    assert not panel.ui.estimatePushButton.enabled and panel.ui.estimatePushButton.toolTip == tip
    if panel.parameters.live:
        assert panel.ui.liveStatusLabel.text == tip
    assert panel.activity == "idle"


def assert_live_works(panel: PanelCase) -> None:
    """Live is on, up to date, with the moving volume under a result; moving a slider moves the image again."""
    panel.rest()
    assert panel.parameters.live
    assert panel.ui.liveStatusLabel.text.startswith("Up to date"), panel.ui.liveStatusLabel.text
    assert_slider_moves_image(panel)


def assert_slider_moves_image(panel: PanelCase) -> None:
    before = deformation(panel)
    tissue = panel.tissue_ids[0]
    box = panel.tissue(tissue, "muBox")
    type_value(box, "30" if float(box.text) < 5 else "0.05")
    panel.rest()
    assert panel.ui.liveStatusLabel.text.startswith("Up to date"), panel.ui.liveStatusLabel.text
    assert (deformation(panel) != before).any()


def deformation(panel: PanelCase):
    """A copy of what the moving volume's outermost transform holds."""
    transform = panel.nodes.moving
    while transform.GetParentTransformNode() is not None:
        transform = transform.GetParentTransformNode()
    return slicer.util.arrayFromGridTransform(transform).copy()


def look_again(panel: PanelCase) -> None:
    """Give the panel the time after which it looks at changed inputs, and let it finish what it does then."""
    pause(LOOK_AGAIN_S)
    panel.rest()


def node_classes() -> Counter[str]:
    """How many nodes of each class the scene has."""
    scene = slicer.mrmlScene
    return Counter(scene.GetNthNode(number).GetClassName() for number in range(scene.GetNumberOfNodes()))


def worker_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD]


def begin(panel: PanelCase, what: str) -> None:
    """Be in the middle of something: "prepare" (of Live), "live" (something is shown already), "apply", "estimate"."""
    ui = panel.ui
    if what in ("prepare", "live"):
        click(ui.liveCheckBox)
        panel.wait(lambda: panel.activity == "live")
        panel.wait(lambda: is_preparing(panel) if what == "prepare" else panel.transform is not None)
        assert panel.activity == "live"
    elif what == "apply":
        click(ui.applyButton)
        panel.wait(lambda: ui.progressBar.value > 0)
        assert panel.activity == "apply"
    else:
        if ui.estimateButton.collapsed:
            click(ui.estimateButton)
        click(ui.estimatePushButton)
        panel.wait(lambda: panel.widget.panel.estimate.latest is not None)
        assert panel.activity == "estimate"


def is_preparing(panel: PanelCase) -> bool:
    registrar = panel.control.session.registrar
    return registrar is not None and not registrar.is_prepared


def remove(node: slicer.vtkMRMLNode) -> None:
    slicer.mrmlScene.RemoveNode(node)
