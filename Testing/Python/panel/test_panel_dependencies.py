"""Finding and installing PyTorch from the panel."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from importlib import metadata, util
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest
from panel_faults import is_sentence, modules_put_back


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
            return None if installed is None else ModuleSpec("torch", None, origin="torch/__init__.py")

        monkeypatch.setattr(util, "find_spec", find)
        monkeypatch.setattr(metadata, "version", version)
        for name in ("torch", "torch._C"):
            monkeypatch.delitem(sys.modules, name, raising=False)
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
        def installTorch(
            self,
            askConfirmation=False,
            forceComputationBackend=None,
            torchVersionRequirement=None,
            torchvisionVersionRequirement=None,
        ):
            Extension.calls.append((askConfirmation, torchVersionRequirement, torchvisionVersionRequirement))
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
    assert dependencies.torch_problem() == "Registration requires PyTorch, which is not installed."


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


def test_folder_that_an_uninstallation_has_left_is_no_torch(dependencies, fake_torch, monkeypatch):
    (fake_torch / "torch" / "lib").mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(fake_torch)])
    assert dependencies.torch_problem() == "Registration requires PyTorch, which is not installed."


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
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert done.stdout.split() == ["None", "False"], done.stderr


# --- getting it -----------------------------------------------------------------------------------------------------


def test_nothing_is_asked_when_torch_is_there(dependencies, torch_is, not_testing, extension):
    torch_is("2.6.0")
    assert dependencies.ensure_torch() is None and extension.calls == []


def test_installation_asks_first_and_wants_versions_that_fit(dependencies, torch_is, not_testing, extension):
    torch_is(None)

    def install():
        torch_is("2.6.0", loaded="2.6.0")
        return sys.modules["torch"]

    extension.answer = install
    assert dependencies.ensure_torch() is None
    assert extension.calls == [(True, ">=2.3", ">=0.18")]


def test_user_who_declines_is_told_what_is_missing(dependencies, torch_is, not_testing, extension):
    torch_is(None)
    assert dependencies.ensure_torch() == "Registration requires PyTorch, which is not installed."


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


class Hiding:
    """Finds nothing, not even the package that is named, which is installed."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == self.package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def error_of(statement: str) -> Exception:
    with pytest.raises(Exception) as caught:
        exec(compile(statement, "job.py", "exec"), {"__name__": "TissueElasticRegistrationLib.job"})
    return caught.value


@pytest.fixture
def fake_torch(tmp_path, monkeypatch):
    """A folder where modules are found first, and nothing of torch is loaded."""
    with modules_put_back("torch"):
        for name in [name for name in sys.modules if name.partition(".")[0] == "torch"]:
            del sys.modules[name]
        monkeypatch.syspath_prepend(tmp_path)
        yield tmp_path


@pytest.fixture
def broken_torch(fake_torch):
    """Makes a torch of which a module that is imported with it, torch.functional, has the given text."""

    def write(functional: str):
        (fake_torch / "torch").mkdir()
        (fake_torch / "torch" / "__init__.py").write_text("from . import functional")
        (fake_torch / "torch" / "functional.py").write_text(functional)
        importlib.invalidate_caches()

    return write


@pytest.mark.parametrize("missing", ["typing_extensions", "sympy", "torchgen"])  # what others have met
def test_torch_that_lacks_another_package_is_broken(dependencies, broken_torch, monkeypatch, missing):
    monkeypatch.delitem(sys.modules, missing, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Hiding(missing), *sys.meta_path])
    broken_torch(f"import {missing}")
    problem = dependencies.loading_problem(error_of("import torch"))
    assert problem.startswith(f"PyTorch is installed but cannot be loaded (No module named '{missing}'): uninstall it ")
    assert is_sentence(problem)


@pytest.mark.parametrize(
    "functional",
    [
        "raise ImportError('DLL load failed while importing _C: The specified module could not be found.', name='_C')",
        "raise OSError('[WinError 126] The specified module could not be found. Error loading c10.dll')",
        "import ctypes\nctypes.CDLL('libc10-is-not-there.so')",
        "from torch._C import *",
        "import torch\ntorch.Tensor",  # partially initialized
        "_C",
        "raise RuntimeError('function _has_torch_function already has a docstring')",
        "raise ImportError('Failed to load PyTorch C extensions:\\n    It appears that') from None",
        "def half_of_a_fi",
        "try:\n    import sympy_is_not_there\nexcept ImportError as error:\n    raise RuntimeError('none') from error",
    ],
    ids=[
        "extension",
        "library_on_windows",
        "library",
        "no_extension",
        "attribute",
        "name",
        "second_import",
        "lines",
        "damaged_file",
        "another_error",
    ],
)
def test_whatever_torch_raises_while_it_is_imported_means_that_it_is_broken(dependencies, broken_torch, functional):
    broken_torch(functional)
    problem = dependencies.loading_problem(error_of("import torch"))
    assert problem.startswith("PyTorch is installed but cannot be loaded (") and "\n" not in problem


def test_error_that_was_raised_from_that_of_torch_tells_the_reason(dependencies, broken_torch):
    broken_torch("import sympy_is_not_there")
    error = error_of("try:\n    import torch\nexcept ImportError as why:\n    raise RuntimeError('no model') from why")
    assert "(No module named 'sympy_is_not_there')" in dependencies.loading_problem(error)


def test_part_of_torch_that_is_loaded_later_may_be_broken_too(dependencies, fake_torch):
    (fake_torch / "torch").mkdir()
    (fake_torch / "torch" / "__init__.py").write_text("def compile():\n    import torch.fx")
    (fake_torch / "torch" / "fx.py").write_text("import sympy_is_not_there")
    assert "sympy_is_not_there" in dependencies.loading_problem(error_of("import torch\ntorch.compile()"))


def test_part_of_torch_that_is_missing_is_told(dependencies, fake_torch):
    (fake_torch / "torch").mkdir()
    (fake_torch / "torch" / "__init__.py").write_text("")
    assert "'torch.nn'" in dependencies.loading_problem(error_of("import torch.nn"))


def test_torch_that_is_gone_when_a_job_wants_it_is_not_installed(dependencies, torch_is, monkeypatch):
    torch_is(None)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert dependencies.loading_problem(error_of("import torch")) == dependencies.NOT_INSTALLED


@pytest.mark.parametrize(
    "statement",
    [
        "import pandas_is_not_there",
        "import pandas_is_not_there.torch",
        "open('/is/not/there/torch/libtorch.so')",
        "raise ImportError('libtorch_cpu.so: cannot open shared object file')",
        "raise ValueError('torch does not like this')",
        "import torch\ntorch.load('/is/not/there.pt')",
        "import torch\ntorch.zeros(1)[2]",
        "import torch\ntorch.nothing_like_this",
        "import torch\ntorch.zeros(2) @ torch.zeros(3)",
    ],
)
def test_other_errors_are_not_blamed_on_torch(dependencies, statement):
    assert dependencies.loading_problem(error_of(statement)) is None


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_what_has_nothing_to_do_with_the_installation_is_not_blamed_on_it(dependencies, broken_torch, error):
    broken_torch(f"raise {error.__name__}")
    with pytest.raises(error) as caught:
        import torch  # noqa: F401
    assert dependencies.loading_problem(caught.value) is None


def test_real_torch_that_lacks_a_package_is_told_and_not_imported_again(slicer_host):
    """Importing it once more is what ends in a crash: pytorch/pytorch issue 194172."""
    code = """if True:
        import sys
        from pathlib import Path
        from tempfile import mkdtemp
        from host.slicer_host import start
        host = start(Path(mkdtemp()), with_views=False)
        from TissueElasticRegistrationLib.panel.dependencies import loading_problem, torch_problem
        sys.modules["torchgen"] = None
        print(torch_problem())
        try:
            import TissueElasticRegistrationLib.core.registration.registrar
        except ImportError as error:
            print(loading_problem(error))
        print(torch_problem())
    """
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    before, told, afterwards = done.stdout.splitlines()
    beginning = "PyTorch is installed but cannot be loaded ("
    assert before == "None" and told.startswith(beginning + "import of torchgen halted"), done.stderr
    assert afterwards.startswith(beginning + "a previous attempt failed in this session): uninstall")


def test_broken_torch_is_not_installed_over_in_the_same_session(
    dependencies, torch_is, not_testing, extension, monkeypatch
):
    torch_is("2.6.0")
    monkeypatch.setitem(sys.modules, "torch._C", ModuleType("torch._C"))  # what a failed import leaves
    assert "a previous attempt failed in this session" in dependencies.ensure_torch() and extension.calls == []


def test_fresh_installation_that_cannot_be_loaded_is_told_as_such(
    dependencies, torch_is, not_testing, extension, broken_torch
):
    torch_is(None)

    def install():
        torch_is("2.6.0")
        broken_torch("import torchgen_is_not_there")
        return importlib.import_module("torch")

    extension.answer = install
    problem = dependencies.ensure_torch()
    assert "cannot be loaded (No module named 'torchgen_is_not_there')" in problem
