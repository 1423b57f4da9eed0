"""PyTorch: whether it is there, and how the user gets it. It is looked for and installed at first use only."""

from __future__ import annotations

import importlib
import logging
import platform
import re
import sys
from importlib import metadata, util

import slicer
from slicer.i18n import tr as _

# Older ones do not work with numpy 2, which Slicer has.
OLDEST_TORCH = (2, 3)
REQUIREMENT = ">=2.3"

NOT_INSTALLED = _("The registration needs PyTorch, which is not installed.")
TOO_OLD = _("The registration needs PyTorch 2.3 or newer, but {version} is installed.")
INTEL_MAC = _("The registration needs PyTorch 2.3 or newer, which does not exist for Macs with an Intel processor.")
NO_EXTENSION = _("The registration needs PyTorch: install the extension 'PyTorch' with the Extensions Manager, restart "
                 "Slicer, and try again.")
INSTALLATION_FAILED = _("PyTorch could not be installed ({error}); the error log has the details.")
RESTART = _("PyTorch has been updated: please restart Slicer.")
CANNOT_BE_LOADED = _("PyTorch is installed but cannot be loaded ({error}): please install it again with the module "
                     "'PyTorch Utils' of the extension 'PyTorch', and restart Slicer.")


def torch_problem() -> str | None:
    """Why PyTorch cannot be used, in one sentence, or None. Takes no time: torch is not imported for it.

    An installation that is broken shows only when it is imported: see `loading_problem`.
    """
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
    if problem is None or problem == INTEL_MAC or slicer.app.testingEnabled():
        return problem
    was_loaded = "torch" in sys.modules
    try:
        import PyTorchUtils
    except ModuleNotFoundError:
        return NO_EXTENSION
    try:
        installed = PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True,
                                                                  torchVersionRequirement=REQUIREMENT)
    except Exception as error:  # whatever pip, the network or a broken library may raise
        logging.exception("PyTorch could not be installed.")
        return INSTALLATION_FAILED.format(error=_one_line(error))
    if installed is None:  # the user said no
        return problem
    if was_loaded:
        return RESTART
    importlib.invalidate_caches()
    return torch_problem()


def loading_problem(error: BaseException) -> str | None:
    """The sentence for an error of a job that comes from importing a broken PyTorch, None for any other error."""
    if not isinstance(error, ImportError | OSError):
        return None
    words = f"{getattr(error, 'name', None) or ''} {getattr(error, 'path', None) or ''} {error}"
    if not re.search(r"\b(torch|c10|libtorch\w*|torch_\w+)\b", words):
        return None
    return torch_problem() or CANNOT_BE_LOADED.format(error=_one_line(error))


def _torch_version() -> str | None:
    """None: not there. Empty: there, but its version is not known."""
    loaded = sys.modules.get("torch")
    if loaded is not None:
        return str(getattr(loaded, "__version__", ""))
    if util.find_spec("torch") is None:
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
    return lines[0].rstrip(".") if lines else type(error).__name__
