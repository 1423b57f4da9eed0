"""Writes qt6_only.json: names of Qt 6.8 that Qt 5.15 does not have, so that tests refuse what half of all Slicers lack.

    pip download --no-deps types-PySide2==5.15.2.1.8, unpack the wheel, then
    PYTHONPATH=Testing python Testing/host/hidden_names/make_list.py FOLDER/PySide2-stubs

Compared are the classes of QtCore, QtGui and QtWidgets that are QObjects, and what the modules themselves hold. A few
rarely used names are in the list because only the Python bindings of Qt 5.15 lack them.
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

from host.qt_binding import QtCore, QtGui, QtWidgets

MODULES = (QtCore, QtGui, QtWidgets)
# Names that are missing in the stubs but not in Qt 5.15.
IN_QT5_ALL_THE_SAME = {
    "exec",
    "itemDelegateForIndex",
    "permissions",
    "platformFunction",
    "splitCommand",
    "takeRow",
    "TakeRowResult",
}
# Virtual methods: PySide6 looks for overrides of them in the same way as code outside looks for names.
VIRTUAL = {
    "clearItemData",
    "closeEvent",
    "initStyleOptionForIndex",
    "initViewItemOption",
    "multiData",
    "paintEvent",
    "resolveInterface",
    "skipData",
}


def main(stubs_folder: str) -> None:
    stubs = [(Path(stubs_folder) / f"{module.__name__.split('.')[1]}.pyi").read_text() for module in MODULES]
    definitions = [node for stub in stubs for node in ast.parse(stub).body]
    classes = {node.name: node for node in definitions if isinstance(node, ast.ClassDef)}
    globals_in_qt5 = {name for node in definitions for name in names_defined_by(node)}
    content = {
        "source": f"PySide6 {QtCore.__version__} compared with types-PySide2 5.15.2.1.8",
        "globals": sorted({name for m in MODULES for name in dir(m) if is_public(name)} - globals_in_qt5),
        "classes": {},
    }
    for kind in sorted(qobject_classes(), key=lambda kind: kind.__name__):
        if kind.__name__ in classes:
            known = names_in_class(kind.__name__, classes) | IN_QT5_ALL_THE_SAME | VIRTUAL
            new = sorted(name for name in vars(kind) if is_public(name) and name not in known)
            content["classes"].update({kind.__name__: new} if new else {})
    Path(__file__).with_name("qt6_only.json").write_text(json.dumps(content, indent=1) + "\n")


def qobject_classes() -> set[type]:
    every = (getattr(module, name) for module in MODULES for name in dir(module))
    return {value for value in every if isinstance(value, type) and issubclass(value, QtCore.QObject)}


def is_public(name: str) -> bool:
    return not name.startswith("_") and "." not in name


def names_in_class(class_name: str, classes: dict[str, ast.ClassDef]) -> set[str]:
    """With those of the bases."""
    if class_name not in classes:
        return set()
    node = classes[class_name]
    bases = [base.id if isinstance(base, ast.Name) else base.attr for base in node.bases]
    own = {name for statement in node.body for name in names_defined_by(statement)}
    return own.union(*(names_in_class(base, classes) for base in bases))


def names_defined_by(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, ast.AnnAssign):
        return [node.target.id]
    return []


if __name__ == "__main__":
    main(sys.argv[1])
