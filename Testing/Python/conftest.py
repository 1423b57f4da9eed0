"""Fixtures shared by the tests of several layers."""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest

# Several processes run tests side by side, one for each core. torch reads this when it is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

HAS_SLICER = find_spec("slicer") is not None
HAS_QT = find_spec("PySide6") is not None
# What the folders need; they are left out where it is not installed.
NEEDS = {"scene": HAS_SLICER, "host": HAS_SLICER and HAS_QT, "panel": HAS_SLICER and HAS_QT}
collect_ignore = [folder for folder, is_there in NEEDS.items() if not is_there]


def pytest_report_header():
    if collect_ignore:
        return f"left out: {', '.join(collect_ignore)}; they need the pip packages slicer-core and PySide6_Essentials"
    return None


def pytest_collection_modifyitems(items):
    """Files with the whole application come last: its views stay in the scene until the process ends.

    Of these the demonstration is first, as it is for users: in an application in which nothing has happened yet.
    """
    last = {item.path for item in items if "slicer_host" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: (item.path in last, item.path in last and item.path.parent.name != "project"))


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
