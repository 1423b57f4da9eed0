"""The Python packages of Slicer that slicer-core has not: stand-ins, or the real ones of a checkout.

Environment variable SLICER_SOURCE: a checkout of Slicer. Its ScriptedLoadableModule.py, i18n.py and
parameterNodeWrapper are then used instead of the stand-ins; the rest of the host stays the same.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import slicer
import slicer.util

from . import parameter_node_wrapper, scripted_loadable_module

NAMES = ("slicer.ScriptedLoadableModule", "slicer.i18n", "slicer.parameterNodeWrapper")


def source_folder() -> Path | None:
    """The folder of the real packages, None without SLICER_SOURCE. Raises ValueError if that is not a checkout."""
    checkout = os.environ.get("SLICER_SOURCE")
    if not checkout:
        return None
    folder = Path(checkout) / "Base" / "Python" / "slicer"
    if not (folder / "ScriptedLoadableModule.py").is_file():
        raise ValueError(f"SLICER_SOURCE={checkout} is not a checkout of Slicer.")
    return folder


def install() -> None:
    folder = source_folder()
    if folder is None:
        modules = scripted_loadable_module.modules()
        modules["slicer.parameterNodeWrapper"] = parameter_node_wrapper.as_module()
        sys.modules.update(modules)
    else:
        slicer.__path__.append(str(folder))  # now and not earlier: slicer-core imports all it finds there at its start
        modules = {name: importlib.import_module(name) for name in NAMES}
    for name, module in modules.items():
        setattr(slicer, name.partition(".")[2], module)


def hide_short_cuts() -> None:
    """slicer-core puts every function of ``slicer.util`` into ``slicer`` too. Slicer does not, so neither do we."""
    for name in slicer.util.__all__:
        if getattr(slicer, name, None) is getattr(slicer.util, name):
            delattr(slicer, name)
