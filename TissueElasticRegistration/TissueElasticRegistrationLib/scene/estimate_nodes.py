"""The landscape of an estimate in the scene: every score as a table, the best score at each weight as a chart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import slicer
import slicer.util

from .made_nodes import make_owned_node, remove_with_parts
from .nodes import PREFIX
from .tables import vtk_table
from .tissue_nodes import SegmentInfo

if TYPE_CHECKING:
    from ..core.estimation.landscape import Landscape

TABLE, PROFILES, CHART, SERIES = "landscape", "landscapeProfiles", "landscapeChart", PREFIX + "landscapeSeries"
LAMBDA, MU = "Lambda", "Mu"
SYMBOLS = {LAMBDA: "λ", MU: "μ"}


class LandscapeNodes(NamedTuple):
    """table: one row for each tissue, λ and μ. profiles: what the series of the chart are drawn from."""

    table: slicer.vtkMRMLTableNode
    profiles: slicer.vtkMRMLTableNode
    chart: slicer.vtkMRMLPlotChartNode


def write_landscape(landscape: Landscape, tissues: Sequence[SegmentInfo], owner: slicer.vtkMRMLNode,
                    score_name: str = "score", beside: slicer.vtkMRMLNode | None = None) -> LandscapeNodes:
    """Write a landscape into nodes that ``owner`` refers to; they are made once and overwritten when run again.

    tissues: name, id and colour for each entry along the first axis of ``landscape.scores``. Scores that are not
    finite (not computed yet) are left out of the table. For each tissue the chart has two series over the weight, on a
    logarithmic axis: the best score over all μ at each λ (solid) and over all λ at each μ (dashed).
    owner: the result transform or the parameter node. beside: where the nodes go in the subject hierarchy, beside the
    owner if None.

    Raises ValueError if there are not as many tissues as scores.
    """
    if len(tissues) != len(landscape.scores):
        raise ValueError(f"There are scores for {len(landscape.scores)} tissues, but {len(tissues)} tissues.")
    beside = beside or owner
    table = make_owned_node(owner, TABLE, "vtkMRMLTableNode", "stiffness landscape", beside)
    _fill(table, _scores(landscape, tissues), score_name)
    profiles = make_owned_node(owner, PROFILES, "vtkMRMLTableNode", "stiffness landscape profiles", beside)
    _fill(profiles, _profiles(landscape, tissues), score_name)
    chart = make_owned_node(owner, CHART, "vtkMRMLPlotChartNode", "stiffness landscape", beside)
    series = _write_series(owner, profiles, tissues)
    with slicer.util.NodeModify(chart):
        if not chart.GetXAxisTitle():
            _describe(chart, score_name)
        chart.RemoveAllPlotSeriesNodeIDs()
        for node in series:
            chart.AddAndObservePlotSeriesNodeID(node.GetID())
    return LandscapeNodes(table, profiles, chart)


def _scores(landscape: Landscape, tissues: Sequence[SegmentInfo]) -> dict[str, list]:
    """The columns of the table with all scores."""
    rows = [(tissue.name, tissue.id, float(lam), float(mu), float(scores[i, j]))
            for tissue, scores in zip(tissues, np.asarray(landscape.scores), strict=True)
            for i, lam in enumerate(landscape.lam) for j, mu in enumerate(landscape.mu) if np.isfinite(scores[i, j])]
    names = ("Tissue", "Segment ID", LAMBDA, MU, "Score")
    return {name: [row[n] for row in rows] for n, name in enumerate(names)}


def _profiles(landscape: Landscape, tissues: Sequence[SegmentInfo]) -> dict[str, list]:
    """Weights and best scores; the shorter of the two axes repeats its last point, which draws nothing."""
    length = max(len(landscape.lam), len(landscape.mu))
    columns = {LAMBDA: _filled_up(landscape.lam, length), MU: _filled_up(landscape.mu, length)}
    for tissue, scores in zip(tissues, np.asarray(landscape.scores, float), strict=True):
        known = np.where(np.isfinite(scores), scores, -np.inf)
        for name, axis in ((LAMBDA, 1), (MU, 0)):
            best = known.max(axis)
            columns[_column(tissue, name)] = _filled_up(np.where(np.isfinite(best), best, np.nan), length)
    return columns


def _filled_up(values: Sequence[float], length: int) -> list[float]:
    values = [float(value) for value in values]
    return values + values[-1:] * (length - len(values))


def _column(tissue: SegmentInfo, name: str) -> str:
    """By ID, because two segments may have the same name."""
    return f"{tissue.id} {name}"


def _fill(node: slicer.vtkMRMLTableNode, columns: dict[str, list], score_name: str) -> None:
    with slicer.util.NodeModify(node):
        node.SetAndObserveTable(vtk_table(columns))
        for name in columns:
            meaning = "relative weight" if name in (LAMBDA, MU) else score_name
            node.SetColumnDescription(name, "" if name in ("Tissue", "Segment ID") else meaning)
        node.SetUseColumnTitleAsColumnHeader(True)
        node.SetLocked(True)


def _write_series(owner: slicer.vtkMRMLNode, profiles: slicer.vtkMRMLTableNode,
                  tissues: Sequence[SegmentInfo]) -> list[slicer.vtkMRMLPlotSeriesNode]:
    """Two series for each tissue, λ and μ in turn; those of an earlier landscape are used again or removed."""
    wanted = [(tissue, name) for tissue in tissues for name in (LAMBDA, MU)]
    old = [owner.GetNthNodeReference(SERIES, n) for n in range(owner.GetNumberOfNodeReferences(SERIES))]
    old = [node for node in old if node is not None]
    for node in old[len(wanted):]:
        remove_with_parts(node)
    series = old[:len(wanted)]
    while len(series) < len(wanted):
        series.append(_new_series(owner.GetScene(), dashed=len(series) % 2 == 1))
    owner.RemoveNodeReferenceIDs(SERIES)
    for n, (node, (tissue, name)) in enumerate(zip(series, wanted, strict=True)):
        owner.SetNthNodeReferenceID(SERIES, n, node.GetID())
        with slicer.util.NodeModify(node):
            node.SetName(f"{tissue.name} {SYMBOLS[name]}")
            node.SetAndObserveTableNodeID(profiles.GetID())
            node.SetXColumnName(name)
            node.SetYColumnName(_column(tissue, name))
            node.SetColor(tissue.color_rgb)
    return series


def _new_series(scene: slicer.vtkMRMLScene, dashed: bool) -> slicer.vtkMRMLPlotSeriesNode:
    node = scene.AddNewNodeByClass("vtkMRMLPlotSeriesNode")
    node.SetPlotType(node.PlotTypeScatter)
    node.SetMarkerStyle(node.MarkerStyleCircle)
    node.SetLineStyle(node.LineStyleDash if dashed else node.LineStyleSolid)
    return node


def _describe(chart: slicer.vtkMRMLPlotChartNode, score_name: str) -> None:
    """Once: the user may change it."""
    chart.SetTitle(f"Best {score_name} at each weight")
    chart.SetXAxisTitle("weight (solid: λ, dashed: μ)")
    chart.SetYAxisTitle(score_name)
    chart.SetXAxisLogScale(True)
