"""Parameter nodes of scenes that other versions have saved, older and newer ones, brought up to date before use."""

from __future__ import annotations

from enum import Enum
from typing import Any, get_args, get_origin, get_type_hints

import slicer
import slicer.util
from slicer.parameterNodeWrapper import WithinRange

from ..core.physics.parameter_scale import LogScale
from .parameter_node import TissueElasticRegistrationParameterNode

POSITION = WithinRange(0.0, 1.0)  # of a slider


def migrate(node: slicer.vtkMRMLScriptedModuleNode) -> None:
    """Bring a node up to date, before it is wrapped; nothing happens to one of this version.

    Settings that cannot be understood, such as a choice that only a newer version has, get their start values: the
    wrapper would raise an error at every change of the node.
    """
    with slicer.util.NodeModify(node):
        _weights_to_positions(node)
        unreadable = [name for name, kind in _kinds().items() if not _is_readable(node, name, kind)]
        if unreadable:
            fresh = slicer.vtkMRMLScriptedModuleNode()
            TissueElasticRegistrationParameterNode(fresh)
            for name in unreadable:
                stored = name if fresh.HasParameter(name) else f"{name}.len"
                node.SetParameter(stored, fresh.GetParameter(stored))


def migrate_imported(node: slicer.vtkMRMLScriptedModuleNode, event: str) -> None:
    """Observer of a node: a scene that is loaded writes into the node that is there, before anybody can ask for it."""
    if node.GetScene() is not None and node.GetScene().IsImporting():
        migrate(node)


def _weights_to_positions(node: slicer.vtkMRMLScriptedModuleNode) -> None:
    """Where the positions of the sliders are stored now, tissueLambda and tissueMu held weights on the log scale.

    The wrapper stores a dictionary as ``name.len``, ``name.0.0`` (its first key), ``name.0.1`` (the value) and so on.
    """
    for before, now in (("tissueLambda", "lambdaPositions"), ("tissueMu", "muPositions")):
        for name in [name for name in node.GetParameterNames() if name.startswith(f"{before}.")]:
            text = node.GetParameter(name)
            is_weight = name.split(".")[2:] == ["1"] and _number(float, text) is not None
            node.SetParameter(name.replace(before, now), str(LogScale().slider(float(text))) if is_weight else text)
            node.UnsetParameter(name)


def _kinds() -> dict[str, Any]:
    """The types of all settings, with the ranges of numbers."""
    return get_type_hints(TissueElasticRegistrationParameterNode, include_extras=True)


def _is_readable(node: slicer.vtkMRMLScriptedModuleNode, name: str, kind: Any) -> bool:
    """Whether the wrapper can read a setting, and may keep the value. One that is not there gets its start value."""
    if get_origin(kind) is dict:
        _key_kind, value_kind = get_args(kind)
        count = _number(int, node.GetParameter(f"{name}.len") or "0")
        if count is None or count > len(node.GetParameterNames()):
            return False
        return all(_fits(node.GetParameter(f"{name}.{n}.1"), value_kind, [POSITION]) for n in range(count))
    if not node.HasParameter(name):
        return True
    plain, *ranges = get_args(kind) or (kind,)
    return _fits(node.GetParameter(name), plain, ranges)


def _fits(text: str, kind: type, ranges: list[WithinRange]) -> bool:
    if issubclass(kind, Enum):
        return text in kind.__members__
    if kind not in (int, float):
        return True
    value = _number(kind, text)
    try:
        for allowed in ranges:
            allowed.validate(value)
    except (TypeError, ValueError):
        return False
    return value is not None


def _number(kind: type, text: str) -> float | None:
    try:
        return kind(text)
    except ValueError:
        return None
