"""Fixtures shared by all tests."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

HAS_SLICER = find_spec("slicer") is not None
collect_ignore_glob = [] if HAS_SLICER else ["test_scene_*.py"]


def pytest_report_header():
    return [] if HAS_SLICER else "left out: test_scene_*.py, they need the pip package slicer-core"


@pytest.fixture(scope="session")
def mrml_host(tmp_path_factory):
    """Slicer's scene and logics, set up once per process; skipped where slicer-core is not installed."""
    pytest.importorskip("slicer", reason="needs the pip package slicer-core")
    from host.mrml import MrmlHost

    host = MrmlHost(tmp_path_factory.mktemp("slicer"))
    yield host
    host.close()


@pytest.fixture
def mrml_scene(mrml_host):
    """The scene, empty."""
    mrml_host.clear()
    yield mrml_host.scene
    mrml_host.clear()
