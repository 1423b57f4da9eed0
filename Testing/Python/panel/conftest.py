"""The module of this extension on the host, as real users find it or with quick registrations."""

from __future__ import annotations

import sys

import pytest

LIBRARY = "TissueElasticRegistrationLib"


@pytest.fixture(autouse=True)
def library_as_it_was():
    """Whoever reloads the module leaves another library behind, whose classes are not those of other tests."""

    def loaded() -> dict:
        return {name: module for name, module in sys.modules.items() if name.partition(".")[0] == LIBRARY}

    before = loaded()
    yield
    if any(sys.modules.get(name) is not module for name, module in before.items()):
        for name in loaded():
            del sys.modules[name]
        sys.modules.update(before)


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
    """Folders of good synthetic models; see `panel_models.save_all`."""
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
    monkeypatch.setattr(library("core.models.model_card"), "MODELS_FOLDER", folder)
    return folder
