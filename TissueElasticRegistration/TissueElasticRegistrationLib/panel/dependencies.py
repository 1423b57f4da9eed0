"""PyTorch: whether it is there, and how the user gets it. It is looked for and installed at first use only."""

from __future__ import annotations

import importlib
import logging
import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata, util
from traceback import walk_tb

import slicer

# Older ones do not work with numpy 2, which Slicer has.
OLDEST_TORCH = (2, 3)
REQUIREMENT = ">=2.3"
# The one that belongs to torch 2.3. PyTorchUtils installs torchvision too, and without a limit pip may take one from
# years ago that asks for no certain torch (fepegar/SlicerPyTorch issue 18); newer ones bring the torch they fit.
TORCHVISION_REQUIREMENT = ">=0.18"

NOT_INSTALLED = "Registration requires PyTorch, which is not installed."
TOO_OLD = "Registration requires PyTorch 2.3 or newer; version {version} is installed."
INTEL_MAC = "Registration requires PyTorch 2.3 or newer, which is not available for Macs with an Intel processor."
NO_EXTENSION = (
    "Registration requires PyTorch: install the extension 'PyTorch' with the Extensions Manager, restart "
    "Slicer, and try again."
)
INSTALLATION_FAILED = "PyTorch could not be installed ({error}); see the error log for details."
RESTART = "PyTorch was updated; restart Slicer."
CANNOT_BE_LOADED = (
    "PyTorch is installed but cannot be loaded ({error}): uninstall it in the module 'PyTorch Utils', "
    "restart Slicer, and install it there again. If this does not help, reinstall Slicer."
)
FAILED_BEFORE = "a previous attempt failed in this session"


def torch_problem() -> str | None:
    """Why PyTorch cannot be used, in one sentence, or None. Takes no time: torch is not imported for it.

    An installation that is broken shows only when it is imported: see `loading_problem`. From then on it is a problem
    here too, until Slicer is restarted: importing torch again can end in a crash (pytorch/pytorch issue 194172).
    """
    if _failed_before():
        return CANNOT_BE_LOADED.format(error=FAILED_BEFORE)
    return _version_problem()


def _failed_before() -> bool:
    """A module whose import fails is taken from `sys.modules`, but not what it has imported so far."""
    return "torch._C" in sys.modules and "torch" not in sys.modules


def _version_problem() -> str | None:
    version = _torch_version()
    if version is not None and (not version or _is_new_enough(version)):
        return None
    if platform.system() == "Darwin" and platform.machine() == "x86_64":
        return INTEL_MAC
    return NOT_INSTALLED if version is None else TOO_OLD.format(version=version)


def ensure_torch() -> str | None:
    """Have PyTorch, asking the user and installing it if necessary; the problem in one sentence, or None.

    Installing takes minutes and needs the extension PyTorch. In testing mode nothing is asked and nothing installed.
    """
    problem = torch_problem()
    if problem is None or problem == INTEL_MAC or _failed_before() or slicer.app.testingEnabled():
        return problem
    was_loaded = "torch" in sys.modules
    try:
        import PyTorchUtils
    except ModuleNotFoundError:
        return NO_EXTENSION
    try:
        installed = PyTorchUtils.PyTorchUtilsLogic().installTorch(
            askConfirmation=True,
            torchVersionRequirement=REQUIREMENT,
            torchvisionVersionRequirement=TORCHVISION_REQUIREMENT,
        )
    except Exception as error:  # whatever pip, the network or a broken library may raise
        logging.exception("PyTorch could not be installed.")
        importlib.invalidate_caches()
        # It imports what it has installed.
        broken = None if _version_problem() else loading_problem(error)
        return broken or INSTALLATION_FAILED.format(error=_one_line(error))
    if installed is None:  # the user said no
        return problem
    if was_loaded:
        return RESTART
    importlib.invalidate_caches()
    return torch_problem()


def loading_problem(error: BaseException) -> str | None:
    """The sentence for an error that comes from importing a broken PyTorch, None for any other error.

    What the error says does not matter: a broken installation fails with whatever happens to be missing.
    """
    for raised in _chain(error):
        if _is_from_importing_torch(raised):
            return _version_problem() or CANNOT_BE_LOADED.format(error=_one_line(raised))
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and those that it was raised from, as a traceback shows them."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _is_from_importing_torch(error: BaseException) -> bool:
    """Torch, or a part of it, was not found; or it was while a module of torch was being executed, that is imported.

    A function of torch that fails later has no such module in its traceback.
    """
    if not isinstance(error, Exception) or isinstance(error, MemoryError):
        return False
    if isinstance(error, ImportError) and _is_of_torch(error.name):
        return True
    return any(
        frame.f_code.co_name == "<module>" and _is_of_torch(frame.f_globals.get("__name__"))
        for frame, _line in walk_tb(error.__traceback__)
    )


def _is_of_torch(module: str | None) -> bool:
    return module is not None and module.partition(".")[0] == "torch"


def _torch_version() -> str | None:
    """None: not there. Empty: there, but its version is not known."""
    version = getattr(sys.modules.get("torch"), "__version__", None)
    if version is not None:
        return str(version)
    found = util.find_spec("torch")
    if found is None or found.origin is None:  # a folder without __init__.py is what an uninstallation has left
        return None
    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return ""


def _is_new_enough(version: str) -> bool:
    numbers = re.match(r"(\d+)\.(\d+)", version)
    return numbers is None or tuple(map(int, numbers.groups())) >= OLDEST_TORCH


def _one_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".:") if lines else type(error).__name__
