"""Writes ctk.json and qmrml.json: what PythonQt shows of the widgets of CTK and Slicer, read from their C++ headers.

    python Testing/host/allowed_names/make_lists.py CTK_CHECKOUT CTK_COMMIT SLICER_CHECKOUT SLICER_COMMIT

PythonQt shows properties, signals, public slots, public Q_INVOKABLE methods and declared enumerations, nothing else.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

CTK_CLASSES = [
    "ctkCheckBox",
    "ctkCheckablePushButton",
    "ctkCollapsibleButton",
    "ctkCollapsibleGroupBox",
    "ctkColorPickerButton",
    "ctkComboBox",
    "ctkDirectoryButton",
    "ctkDoubleRangeSlider",
    "ctkDoubleSlider",
    "ctkDoubleSpinBox",
    "ctkFittedTextBrowser",
    "ctkMenuButton",
    "ctkMessageBox",
    "ctkPathLineEdit",
    "ctkPushButton",
    "ctkRangeWidget",
    "ctkSliderWidget",
    "ctkVTKChartView",
]
SLICER_CLASSES = [
    "qMRMLCheckableNodeComboBox",
    "qMRMLNodeComboBox",
    "qMRMLPlotView",
    "qMRMLRangeWidget",
    "qMRMLSegmentSelectorWidget",
    "qMRMLSegmentsTableView",
    "qMRMLSliderWidget",
    "qMRMLSpinBox",
    "qMRMLTableView",
    "qMRMLWidget",
    "qSlicerAbstractModuleWidget",
    "qSlicerScriptedLoadableModuleWidget",
    "qSlicerWidget",
]
SOURCES = {
    "ctk.json": ("https://github.com/commontk/CTK", CTK_CLASSES),
    "qmrml.json": ("https://github.com/Slicer/Slicer", SLICER_CLASSES),
}

SECTION = re.compile(r"^\s*(public|protected|private)?\s*(slots|Q_SLOTS|signals|Q_SIGNALS)?\s*:\s*$")
PROPERTY = re.compile(r"Q_PROPERTY\(\s*([\w:<>*, ]+?[\s*&])(\w+)\s+READ")
ENUM = re.compile(r"Q_(?:ENUMS?|FLAGS?)\(([\w\s]+)\)")
FLAGS = re.compile(r"Q_DECLARE_FLAGS\((\w+),\s*(\w+)\)")
METHOD = re.compile(r"(?:^|[\s*&])(\w+)\((.*)\)\s*(?:const)?\s*(?:override|final|=\s*0)?\s*$", re.DOTALL)


def main(ctk_checkout: str, ctk_commit: str, slicer_checkout: str, slicer_commit: str) -> None:
    checkouts = {"ctk.json": (ctk_checkout, ctk_commit), "qmrml.json": (slicer_checkout, slicer_commit)}
    for file_name, (repository, class_names) in SOURCES.items():
        checkout, commit = checkouts[file_name]
        headers = {path.stem: path for path in Path(checkout).rglob("*.h")}
        classes = {name: read_class(name, headers[name].read_text()) for name in sorted(class_names)}
        content = {"repository": repository, "commit": commit, "classes": classes}
        Path(__file__).with_name(file_name).write_text(json.dumps(content, indent=1) + "\n")


def read_class(name: str, header: str) -> dict:
    """The entry of one class. Raises ValueError if the header does not declare it."""
    text = _without_comments(header)
    start = re.search(rf"class\s+(?:\w+\s+)?{name}\s*:\s*public\s+(\w+)[^{{;]*{{", text)
    if start is None:
        raise ValueError(f"the header does not declare class {name}")
    body = _until_closing_brace(text[start.end() :])
    entry = {"base": start.group(1), "properties": _properties(body), "enums": _enums(body)}
    methods = {"signals": [], "slots": [], "invokables": []}
    for kind, statement in _statements(body):
        target = "invokables" if kind == "public" and "Q_INVOKABLE" in statement else kind
        if target in methods:
            methods[target] += [s for s in _signatures(statement) if s not in methods[target]]
    return entry | methods


def _without_comments(text: str) -> str:
    text = re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)
    return re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)


def _until_closing_brace(text: str) -> str:
    depth = 1
    for position, character in enumerate(text):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth == 0:
            return text[:position]
    raise ValueError("the class has no end")


def _properties(body: str) -> dict[str, str]:
    return {name: " ".join(kind.split()) for kind, name in PROPERTY.findall(body)}


def _enums(body: str) -> list[str]:
    """Names of declared enumerations and of their values."""
    flags = dict(FLAGS.findall(body))
    found: list[str] = []
    for declared in " ".join(ENUM.findall(body)).split():
        found.append(declared)
        enum = flags.get(declared, declared)
        values = re.search(rf"enum\s+{enum}\s*{{([^}}]*)}}", body)
        if values:
            found += [value.partition("=")[0].strip() for value in values.group(1).split(",") if value.strip()]
    return list(dict.fromkeys(found))


def _statements(body: str) -> Iterator[tuple[str, str]]:
    """(public, slots, signals or hidden; one declaration) for everything declared outside inner braces."""
    kind = "hidden"
    for chunk in re.split(r"(;)|(\{)|(\})|(^[^\n;{}]*:[ \t]*$)", body, flags=re.MULTILINE):
        section = SECTION.match(chunk or "")
        if section and (section.group(1) or section.group(2)):
            kind = _section_kind(section)
        elif chunk and "(" in chunk:
            yield kind, " ".join(chunk.split())


def _section_kind(section: re.Match) -> str:
    access, group = section.groups()
    if group in ("signals", "Q_SIGNALS"):
        return "signals"
    if access != "public":
        return "hidden"
    return "slots" if group else "public"


def _signatures(statement: str) -> Iterator[str]:
    """'void add(const QString& name = "", int n = 0)' -> add(QString,int), add(QString) and add(), as moc does."""
    for macro in ("Q_INVOKABLE", "inline", "virtual", "static", "explicit"):
        statement = re.sub(rf"\b{macro}\b", "", statement)
    found = METHOD.search(re.sub(r"\bQ_\w+\([^)]*\)", "", statement))
    if found is None:
        return
    name, parameters = found.group(1), _split_parameters(found.group(2))
    required = sum("=" not in parameter for parameter in parameters)
    for count in range(len(parameters), required - 1, -1):
        yield f"{name}({','.join(_type_of(parameter) for parameter in parameters[:count])})"


def _split_parameters(text: str) -> list[str]:
    parameters, depth = [""], 0
    for character in text:
        depth += {"<": 1, "(": 1, ">": -1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parameters.append("")
        else:
            parameters[-1] += character
    return [parameter.strip() for parameter in parameters if parameter.strip()]


def _type_of(parameter: str) -> str:
    """'const QString& name = ""' -> QString; normalised as Qt does it."""
    declaration = parameter.partition("=")[0].strip()
    constant_reference = re.fullmatch(r"const\s+(.+?)\s*&\s*\w*", declaration)
    if constant_reference:
        return constant_reference.group(1).replace(" ", "")
    without_name = re.sub(r"(?<=[\s*&>])\w+$", "", declaration).strip()
    return (without_name or declaration).replace(" ", "")


if __name__ == "__main__":
    main(*sys.argv[1:])
