"""Plugin of pytest for `make test-versions`: the tests that need no Slicer, with the packages of a certain Slicer.

What belongs to Slicer and its window cannot be imported, so `conftest.py` leaves out what needs it, as it does where it
is not installed. Training is left out too: it does not run in Slicer.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest

for package in ("slicer", "vtk", "vtkmodules", "PySide6"):
    sys.modules[package] = None


def pytest_addoption(parser):
    parser.addoption("--versions", type=Path, required=True, metavar="FILE", help="lines such as numpy==2.0.2")


def pytest_configure(config):
    for name, wanted in wanted_versions(config):
        found = import_module(name).__version__
        if found != wanted:
            raise pytest.UsageError(f"{name} {wanted} is to be tested, but {found} is imported")


def pytest_report_header(config):
    return "with " + ", ".join(f"{name} {version}" for name, version in wanted_versions(config))


def pytest_ignore_collect(collection_path):
    return True if collection_path.name == "training" else None


def wanted_versions(config) -> list[list[str]]:
    lines = config.getoption("versions").read_text().splitlines()
    return [line.split("==") for line in lines if not line.startswith("#")]
