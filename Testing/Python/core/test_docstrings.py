"""Docstrings: everything public has one, arguments and errors are listed in Google style, and the examples are true."""

from __future__ import annotations

import ast
import doctest
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import TissueElasticRegistrationLib

LIBRARY = Path(TissueElasticRegistrationLib.__file__).parent
CHECKED = ("core", "scene", "commands")
# Still in prose; to be emptied.
LATER = (
    "core/estimation/",
    "core/reporting/estimate_summary.py",
    "core/reporting/report_estimate.py",
    "core/stiffness/",
    "scene/console.py",
    "scene/session.py",
)
FILES = [
    path.relative_to(LIBRARY).as_posix()
    for package in CHECKED
    for path in sorted((LIBRARY / package).rglob("*.py"))
    if path.stat().st_size
]
FINISHED = [file for file in FILES if not file.startswith(LATER)]
Definition = ast.ClassDef | ast.FunctionDef


def definitions(file: str) -> Iterator[tuple[str, Definition]]:
    """Public classes, functions and methods with the line where they begin."""
    module = ast.parse((LIBRARY / file).read_text(encoding="utf-8"))
    classes = [node for node in module.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
    for node in [*module.body, *(method for owner in classes for method in owner.body)]:
        if isinstance(node, Definition) and (not node.name.startswith("_") or node.name == "__call__"):
            yield f"{file}:{node.lineno} {node.name}", node


def arguments(function: ast.FunctionDef) -> list[str]:
    """Names of the arguments without self and cls."""
    names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
    return [name for name in names if name not in ("self", "cls")]


def fields(node: ast.ClassDef) -> list[str]:
    """Public fields of a dataclass or a named tuple."""
    if "dataclass" not in " ".join(map(ast.unparse, node.decorator_list)) and "NamedTuple" not in map(
        ast.unparse, node.bases
    ):
        return []
    names = [entry.target.id for entry in node.body if isinstance(entry, ast.AnnAssign)]
    return [name for name in names if not name.startswith("_")]


def raises_value_error(node: ast.AST) -> bool:
    """Whether a function says ``raise ValueError(...)`` itself."""
    raised = [entry.exc for entry in ast.walk(node) if isinstance(entry, ast.Raise) and entry.exc is not None]
    return any(isinstance(error, ast.Call) and ast.unparse(error.func) == "ValueError" for error in raised)


def section(docstring: str, title: str) -> str:
    """The lines of a section without its title; "" if there is none."""
    lines = iter(docstring.splitlines())
    if title not in lines:
        return ""
    content = []
    for line in lines:
        if line and not line.startswith(" "):
            break
        content.append(line)
    return "\n".join(content)


def unlisted(names: list[str], content: str) -> list[str]:
    """Those of the names that have no entry of their own in a section."""
    return [name for name in names if f"\n    {name}: " not in f"\n{content}"]


@pytest.mark.parametrize("file", FINISHED)
def test_everything_public_has_a_docstring(file):
    assert ast.get_docstring(ast.parse((LIBRARY / file).read_text(encoding="utf-8"))), f"{file} has no docstring"
    assert [where for where, node in definitions(file) if not ast.get_docstring(node)] == []


@pytest.mark.parametrize("file", FINISHED)
def test_two_arguments_or_more_are_listed_one_by_one(file):
    for where, node in definitions(file):
        if isinstance(node, ast.FunctionDef) and len(names := arguments(node)) > 1:
            assert unlisted(names, section(ast.get_docstring(node), "Args:")) == [], where


@pytest.mark.parametrize("file", FINISHED)
def test_fields_are_listed_one_by_one(file):
    for where, node in definitions(file):
        if isinstance(node, ast.ClassDef):
            assert unlisted(fields(node), section(ast.get_docstring(node), "Attributes:")) == [], where


@pytest.mark.parametrize("file", FINISHED)
def test_a_value_error_of_its_own_is_said(file):
    for where, node in definitions(file):
        bodies = (
            [node]
            if isinstance(node, ast.FunctionDef)
            else [
                method for method in node.body if isinstance(method, ast.FunctionDef) and method.name.startswith("__")
            ]
        )
        if any(map(raises_value_error, bodies)):
            assert "    ValueError: " in section(ast.get_docstring(node), "Raises:"), where


@pytest.mark.parametrize("file", [file for file in FILES if ">>> " in (LIBRARY / file).read_text(encoding="utf-8")])
def test_examples_are_true(file):
    module = importlib.import_module("TissueElasticRegistrationLib." + file.removesuffix(".py").replace("/", "."))
    assert doctest.testmod(module).failed == 0


def test_sections_are_found():
    text = "Sum.\n\nArgs:\n    a: One.\n    b: Two,\n        on two lines.\n\nReturns:\n    c: Three."
    assert unlisted(["a", "b", "c"], section(text, "Args:")) == ["c"]
    assert section(text, "Raises:") == ""
