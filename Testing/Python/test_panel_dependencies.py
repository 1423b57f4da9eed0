"""Finding and installing PyTorch from the panel."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from importlib import metadata, util
from types import ModuleType

import pytest


@pytest.fixture
def dependencies(slicer_host):
    return importlib.import_module("TissueElasticRegistrationLib.panel.dependencies")


@pytest.fixture
def torch_is(monkeypatch):
    """Sets what is installed and loaded: a version, "" for an unknown one, None for nothing."""
    find_spec = util.find_spec

    def change(installed, loaded=None):
        def version(name):
            if not installed:
                raise metadata.PackageNotFoundError(name)
            return installed

        def find(name, *rest):
            if name != "torch":
                return find_spec(name, *rest)
            return None if installed is None else object()

        monkeypatch.setattr(util, "find_spec", find)
        monkeypatch.setattr(metadata, "version", version)
        monkeypatch.delitem(sys.modules, "torch", raising=False)
        if loaded is not None:
            module = ModuleType("torch")
            module.__version__ = loaded
            monkeypatch.setitem(sys.modules, "torch", module)
    return change


@pytest.fixture
def not_testing(monkeypatch):
    import slicer

    monkeypatch.setattr(type(slicer.app), "testingEnabled", lambda self: False)


@pytest.fixture
def extension(monkeypatch):
    """A PyTorch extension; `answer` is what its installation does."""
    class Extension:
        calls = []
        answer = staticmethod(lambda: None)

    class PyTorchUtilsLogic:
        def installTorch(self, askConfirmation=False, forceComputationBackend=None, torchVersionRequirement=None,
                         torchvisionVersionRequirement=None):
            Extension.calls.append((askConfirmation, torchVersionRequirement))
            return Extension.answer()

    module = ModuleType("PyTorchUtils")
    module.PyTorchUtilsLogic = PyTorchUtilsLogic
    monkeypatch.setitem(sys.modules, "PyTorchUtils", module)
    Extension.calls = []
    return Extension


@pytest.fixture
def intel_mac(monkeypatch):
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")


# --- whether it is there --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2.3.0", "2.3.1+cu121", "2.13.0+cpu", "3.0", "2.5.0a0+gitabc", ""])
def test_torch_that_is_new_enough_is_no_problem(dependencies, torch_is, version):
    torch_is(version)
    assert dependencies.torch_problem() is None


def test_missing_torch_is_named(dependencies, torch_is):
    torch_is(None)
    assert dependencies.torch_problem() == "The registration needs PyTorch, which is not installed."


@pytest.mark.parametrize("version", ["2.2.2", "1.13.1+cu117"])
def test_torch_that_is_too_old_is_named_with_its_version(dependencies, torch_is, version):
    torch_is(version)
    assert "2.3 or newer" in dependencies.torch_problem() and version in dependencies.torch_problem()


def test_version_that_is_loaded_counts_not_the_one_that_is_installed(dependencies, torch_is):
    torch_is("2.6.0", loaded="2.2.0")
    assert "2.2.0" in dependencies.torch_problem()


@pytest.mark.parametrize("version", [None, "2.2.2"])
def test_intel_mac_is_told_that_there_is_no_such_torch(dependencies, torch_is, intel_mac, version):
    torch_is(version)
    assert "Intel" in dependencies.torch_problem()


def test_neither_the_panel_nor_looking_for_torch_imports_it(slicer_host):
    code = """if True:
        import importlib, pkgutil, sys
        from pathlib import Path
        from tempfile import mkdtemp
        from host.slicer_host import start
        host = start(Path(mkdtemp()), with_views=False)
        from TissueElasticRegistrationLib import panel
        for module in pkgutil.iter_modules(panel.__path__, panel.__name__ + "."):
            importlib.import_module(module.name)
        from TissueElasticRegistrationLib.panel.dependencies import torch_problem
        print(torch_problem(), "torch" in sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
    assert done.stdout.split() == ["None", "False"], done.stderr


# --- getting it -----------------------------------------------------------------------------------------------------


def test_nothing_is_asked_when_torch_is_there(dependencies, torch_is, not_testing, extension):
    torch_is("2.6.0")
    assert dependencies.ensure_torch() is None and extension.calls == []


def test_installation_asks_first_and_wants_a_torch_that_is_new_enough(dependencies, torch_is, not_testing, extension):
    torch_is(None)

    def install():
        torch_is("2.6.0", loaded="2.6.0")
        return sys.modules["torch"]

    extension.answer = install
    assert dependencies.ensure_torch() is None
    assert extension.calls == [(True, ">=2.3")]


def test_user_who_declines_is_told_what_is_missing(dependencies, torch_is, not_testing, extension):
    torch_is(None)
    assert dependencies.ensure_torch() == "The registration needs PyTorch, which is not installed."


def test_missing_extension_is_named(dependencies, torch_is, not_testing, monkeypatch):
    torch_is(None)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    assert "extension 'PyTorch'" in dependencies.ensure_torch()


def test_failed_installation_is_told_in_one_line_and_logged(dependencies, torch_is, not_testing, extension, caplog):
    torch_is(None)

    def fail():
        raise RuntimeError("No space left on device.\nTraceback of pip ...")

    extension.answer = fail
    problem = dependencies.ensure_torch()
    assert "(No space left on device)" in problem and "\n" not in problem
    assert "Traceback of pip" in caplog.text


def test_update_of_a_loaded_torch_needs_a_restart(dependencies, torch_is, not_testing, extension):
    torch_is("2.2.0", loaded="2.2.0")
    extension.answer = lambda: sys.modules["torch"]
    assert "restart" in dependencies.ensure_torch()


def test_testing_mode_never_installs(dependencies, torch_is, extension, monkeypatch):
    import slicer

    monkeypatch.setattr(type(slicer.app), "testingEnabled", lambda self: True)
    torch_is(None)
    assert dependencies.ensure_torch() is not None and extension.calls == []


def test_intel_mac_is_not_asked_to_install(dependencies, torch_is, not_testing, extension, intel_mac):
    torch_is(None)
    assert "Intel" in dependencies.ensure_torch() and extension.calls == []


# --- when it cannot be loaded ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [
    ImportError("libtorch_cpu.so: cannot open shared object file: No such file or directory"),
    OSError('[WinError 126] The specified module could not be found. Error loading "C:\\torch\\lib\\c10.dll"'),
    ModuleNotFoundError("No module named 'torch._C'", name="torch._C"),
])
def test_broken_torch_is_told_from_the_error_of_the_job(dependencies, torch_is, error):
    torch_is("2.6.0")
    problem = dependencies.loading_problem(error)
    assert "cannot be loaded" in problem and "\n" not in problem


@pytest.mark.parametrize("error", [ImportError("No module named 'pandas'"), OSError("disk full"),
                                   ValueError("torch does not like this"), RuntimeError("torch out of memory")])
def test_other_errors_are_not_blamed_on_torch(dependencies, torch_is, error):
    torch_is("2.6.0")
    assert dependencies.loading_problem(error) is None
