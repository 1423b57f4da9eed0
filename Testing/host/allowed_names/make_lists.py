"""Writes the lists of what PythonQt shows of the classes of CTK and Slicer, read from their C++ headers.

    python Testing/host/allowed_names/make_lists.py CTK_CHECKOUT CTK_COMMIT SLICER_CHECKOUT SLICER_COMMIT

ctk.json, qmrml.json and application.json hold the classes below and their bases. PythonQt shows properties, signals,
public slots, public Q_INVOKABLE methods, declared enumerations, and what the decorators add; nothing else.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

CLASSES = [
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
    "qMRMLCheckableNodeComboBox",
    "qMRMLNodeComboBox",
    "qMRMLPlotView",
    "qMRMLPlotWidget",
    "qMRMLRangeWidget",
    "qMRMLSegmentSelectorWidget",
    "qMRMLSegmentsTableView",
    "qMRMLSliceControllerWidget",
    "qMRMLSliceView",
    "qMRMLSliceWidget",
    "qMRMLSliderWidget",
    "qMRMLSpinBox",
    "qMRMLTableView",
    "qMRMLTableWidget",
    "qMRMLThreeDView",
    "qMRMLThreeDWidget",
    "qMRMLWidget",
    "qSlicerApplication",
    "qSlicerCoreIOManager",
    "qSlicerIOManager",
    "qSlicerLayoutManager",
    "qSlicerLoadableModule",
    "qSlicerModuleFactoryManager",
    "qSlicerModuleManager",
    "qSlicerScriptedLoadableModule",
    "qSlicerScriptedLoadableModuleWidget",
    "qSlicerWidget",
]
CTK, SLICER = "https://github.com/commontk/CTK", "https://github.com/Slicer/Slicer"
LISTS = {
    "ctk": ("ctk.json", CTK),
    "qMRML": ("qmrml.json", SLICER),
    "qSlicer": ("application.json", SLICER),
}  # by prefix

SECTION = re.compile(r"^\s*(public|protected|private)?\s*(slots|Q_SLOTS|signals|Q_SIGNALS)?\s*:\s*$")
PROPERTY = re.compile(r"Q_PROPERTY\(\s*([\w:<>*, ]+?[\s*&])(\w+)\s+READ")
ENUM = re.compile(r"Q_(?:ENUMS?|FLAGS?)\(([\w\s]+)\)")
FLAGS = re.compile(r"Q_DECLARE_FLAGS\((\w+),\s*(\w+)\)")
METHOD = re.compile(r"(?:^|[\s*&])(\w+)\((.*)\)\s*(?:const)?\s*(?:override|final|=\s*0)?\s*$", re.DOTALL)


def main(ctk_checkout: str, ctk_commit: str, slicer_checkout: str, slicer_commit: str) -> None:
    headers = [path for folder in (ctk_checkout, slicer_checkout) for path in sorted(Path(folder).rglob("*.h"))]
    classes = read_classes({path.stem: path for path in headers})
    for path in headers:
        if path.stem.endswith("PythonQtDecorators"):
            add_decorators(path.read_text(), classes)
    for prefix, (file_name, repository) in LISTS.items():
        content = {
            "repository": repository,
            "commit": ctk_commit if repository == CTK else slicer_commit,
            "classes": {name: classes[name] for name in sorted(classes) if name.startswith(prefix)},
        }
        Path(__file__).with_name(file_name).write_text(_json(content))


def read_classes(headers: dict[str, Path]) -> dict[str, dict]:
    """The entries of CLASSES and of all their bases that have a header."""
    classes: dict[str, dict] = {}
    wanted = list(CLASSES)
    while wanted:
        name = wanted.pop()
        if name not in classes and name in headers:
            classes[name] = read_class(name, headers[name].read_text())
            wanted.append(classes[name]["base"])
    return classes


def _json(content: dict) -> str:
    """Indented, but each list on one line."""
    text = json.dumps(content, indent=1)
    return re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda m: "[" + re.sub(r"\s*\n\s*", " ", m.group(1)) + "]", text) + "\n"


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


def add_decorators(header: str, classes: dict[str, dict]) -> None:
    """Decorators are slots that take the object first, and static_Class_name for static functions."""
    body = _without_comments(header)
    for kind, statement in _statements(body[body.find("{") :]):
        for signature in _signatures(re.sub(r"=[^,)]*", "", statement)) if kind == "slots" else ():
            name, _, rest = signature.partition("(")
            parameters = rest[:-1].split(",")
            static = re.fullmatch(r"static_([A-Za-z]+)_(\w+)", name)
            owner = static.group(1) if static else parameters.pop(0).rstrip("*")
            if owner in classes:
                classes[owner]["invokables"].append(f"{static.group(2) if static else name}({','.join(parameters)})")


def _without_comments(text: str) -> str:
    """Without comments and preprocessor lines; of conditional code all branches stay."""
    text = re.sub(r"(?<!:)//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)
    return re.sub(r"^\s*#.*$", "", text.replace("\\\n", " "), flags=re.MULTILINE)


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
