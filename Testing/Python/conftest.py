"""Fixtures shared by all tests."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

HAS_SLICER = find_spec("slicer") is not None
HAS_QT = find_spec("PySide6") is not None
collect_ignore_glob = [] if HAS_SLICER else ["test_scene_*.py"]
collect_ignore_glob += [] if HAS_SLICER and HAS_QT else ["test_host_*.py", "test_panel_*.py"]


def pytest_report_header():
    lines = [] if HAS_SLICER else ["left out: test_scene_*.py, they need the pip package slicer-core"]
    if not (HAS_SLICER and HAS_QT):
        lines.append(
            "left out: test_host_*.py and test_panel_*.py, they need the pip packages slicer-core and "
            "PySide6_Essentials"
        )
    return lines


def pytest_collection_modifyitems(items):
    """Tests with the whole application come last: its views stay in the scene until the process ends."""
    items.sort(key=lambda item: "slicer_host" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def mrml_host(tmp_path_factory):
    """Slicer's scene and logics, set up once per process; skipped where slicer-core is not installed."""
    pytest.importorskip("slicer", reason="needs the pip package slicer-core")
    from host.mrml import MrmlHost

    host = MrmlHost(tmp_path_factory.mktemp("slicer"))
    yield host
    host.close()


@pytest.fixture
def mrml_scene(mrml_host, monkeypatch):
    """The scene, empty. What the code under test is not to use is not there, though another test may have set it."""
    import slicer

    mrml_host.clear()
    with monkeypatch.context() as hidden:
        for name in ("app", "modules", "mrmlScene"):
            hidden.delattr(slicer, name, raising=False)
        yield mrml_host.scene
    mrml_host.clear()


@pytest.fixture(scope="session")
def slicer_host(mrml_host, tmp_path_factory):
    """Slicer without its application, set up once per process, on the scene of `mrml_host`."""
    if not HAS_QT:
        pytest.skip("needs the pip package PySide6_Essentials")
    from host.slicer_host import start

    host = start(tmp_path_factory.mktemp("application"), mrml=mrml_host)
    yield host
    host.close()


@pytest.fixture
def fresh_host(slicer_host):
    """The application as after its start. The test fails if there is an exception in a slot that nobody caught."""
    slicer_host.slot_errors.clear()
    yield slicer_host
    errors = slicer_host.reset()
    assert not errors, "\n".join(errors)


@pytest.fixture
def panel(fresh_host):
    """The module of this extension, opened in a window beside the views, with a phantom in the scene."""
    if fresh_host.views is None:
        pytest.skip("there is no OpenGL")
    from panel_case import PanelCase

    return PanelCase(fresh_host)


@pytest.fixture
def quick_panel(fresh_host, monkeypatch):
    """Panels that register quickly and draw nothing; see `panel_faults.make_panel_quick`. Before `panel`."""
    import slicer
    from panel_faults import make_panel_quick

    make_panel_quick(monkeypatch)
    yield
    slicer.app.setRenderPaused(False)


@pytest.fixture(scope="session")
def model_packs(mrml_host, tmp_path_factory):
    """Folders of good made-up models; see `panel_models.save_all`."""
    from panel_models import save_all

    folder = tmp_path_factory.mktemp("models")
    save_all(folder)
    return folder


@pytest.fixture
def installed(quick_panel, monkeypatch, model_packs, tmp_path):
    """A folder for the models of the module, with copies of `model_packs`; the panel is quick. Before `panel`."""
    import shutil

    from panel_faults import library

    folder = tmp_path / "Models"
    shutil.copytree(model_packs, folder)
    monkeypatch.setattr(library("core.model_card"), "MODELS_FOLDER", folder)
    return folder
