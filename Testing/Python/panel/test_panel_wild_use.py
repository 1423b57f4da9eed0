"""Many random actions during running jobs: no exception, no node, no thread and no Python object is left behind.

PANEL_ACTIONS=2000 and PANEL_SEEDS=1,2,3 in the environment ask for more actions, and for other ones. What the process
grows by is measured by Testing/benchmarks/limits.py.
"""

from __future__ import annotations

import gc
import logging
import os
import tracemalloc
from pathlib import Path

import pytest
import slicer
from host.qt_binding import QtCore
from panel_actions import Actions
from panel_case import NAME, pause
from panel_faults import (
    LIBRARY,
    library,
    make_panel_quick,
    make_steps_slow,
    modules_put_back,
    node_classes,
    worker_threads,
)
from panel_models import MAP_3D, damage_weights, save, save_paper, save_universal

ACTIONS = int(os.environ.get("PANEL_ACTIONS", "200"))
SEEDS = [int(seed) for seed in os.environ.get("PANEL_SEEDS", "1").split(",")]
STEP_S = 0.004
# 0.1 to 0.2 MB in 50 actions, nearly all of it PySide's own. One pair of images with its levels is 1 MB.
MAX_KEPT_MB = 2.0


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_models(folder)
    return folder


def save_models(folder: Path) -> None:
    """Models of all kinds, and some that cannot be used."""
    save_universal(folder / "universal")
    save_paper(folder / "paper")
    save_paper(folder / "diffusion", "diffusion")
    save(folder / "volumes", MAP_3D)
    save_universal(folder / "damaged")
    damage_weights(folder / "damaged")


@pytest.fixture(autouse=True)
def quick(fresh_host, monkeypatch, models):
    prepare(monkeypatch, models)
    with modules_put_back(LIBRARY):
        yield
    tracemalloc.stop()
    slicer.app.setRenderPaused(False)


def prepare(monkeypatch, models: Path) -> None:
    """Before the panel is made and after each reload."""
    monkeypatch.setattr(library("core.models.model_card"), "MODELS_FOLDER", models)
    make_panel_quick(monkeypatch)
    make_steps_slow(monkeypatch, STEP_S)


def nodes_after_closing() -> dict[str, int]:
    slicer.mrmlScene.Clear(False)
    pause(0.3)
    for _ in range(3):
        QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.DeferredDelete)
        gc.collect()
    return node_classes()


@pytest.mark.parametrize("seed", SEEDS)
def test_random_actions_leave_nothing_behind(panel, seed, models, tmp_path, monkeypatch, caplog):
    empty = nodes_after_closing()
    actions = Actions(panel, seed, tmp_path, lambda: prepare(monkeypatch, models))

    def check() -> None:
        errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
        errors += [repr(error[1]) for error in panel.host.slot_errors]
        assert not errors, f"seed {seed}: {errors} after " + ", ".join(actions.done[-15:])

    def do(number: int, without: str = "") -> None:
        actions.start_again()
        actions.do(number, check, without)
        assert nodes_after_closing() == empty

    do(3 * ACTIONS // 4)
    tracemalloc.start()
    do(ACTIONS // 4, without="reload")  # Slicer keeps the widgets of a module that was reloaded
    kept_mb = tracemalloc.get_traced_memory()[0] / 1e6
    tracemalloc.stop()
    assert kept_mb < MAX_KEPT_MB
    assert set(actions.while_running) == {"idle", "live", "apply", "estimate"}
    panel.host.unload_module(NAME)
    pause(0.3)
    assert not worker_threads()
