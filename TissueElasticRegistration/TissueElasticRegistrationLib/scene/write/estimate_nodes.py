"""An estimate in the scene: a row for each tissue, every score as a table, the best score at each weight as a chart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import slicer
import slicer.util

from ..nodes import PREFIX
from ..owned_nodes import make_owned_node, remove_owned_node, remove_with_parts
from .estimate_rows import fill_estimate_table
from .tissue_nodes import UNSEGMENTED_COLOR, describe_tissues
from .vtk_tables import vtk_table

if TYPE_CHECKING:
    from ...core.estimation.estimate_result import Estimate
    from ...core.estimation.landscape import Landscape

SUMMARY = "estimate"
TABLE, PROFILES, CHART, SERIES = "landscape", "landscapeProfiles", "landscapeChart", PREFIX + "landscapeSeries"
LAMBDA, MU = "Lambda", "Mu"
UNKNOWN_COLOR = UNSEGMENTED_COLOR  # of tissues that are no segments any more
SYMBOLS = {LAMBDA: "λ", MU: "μ"}


class LandscapeNodes(NamedTuple):
    """The nodes of a landscape.

    Attributes:
        table: One row for each tissue, λ and μ.
        profiles: What the series of the chart are drawn from.
        chart: The best score at each weight.
    """

    table: slicer.vtkMRMLTableNode
    profiles: slicer.vtkMRMLTableNode
    chart: slicer.vtkMRMLPlotChartNode


def write_estimate(
    estimate: Estimate,
    segmentation: slicer.vtkMRMLSegmentationNode | None,
    owner: slicer.vtkMRMLNode,
    beside: slicer.vtkMRMLNode | None = None,
) -> slicer.vtkMRMLTableNode:
    """Write the table of an estimate and, if it has one, its landscape.

    The landscape of an earlier estimate goes when the new one has none.

    Args:
        estimate: The estimate to write.
        segmentation: Gives the colors.
        owner: The result transform or the parameter node, which refers to the nodes.
        beside: Where the nodes go in the subject hierarchy, beside the owner if None.

    Returns:
        The table.
    """
    table = make_owned_node(owner, SUMMARY, "vtkMRMLTableNode", "parameter estimate", beside or owner)
    fill_estimate_table(table, estimate)
    write_landscape(estimate, segmentation, owner, beside)
    return table


def write_landscape(
    estimate: Estimate,
    segmentation: slicer.vtkMRMLSegmentationNode | None,
    owner: slicer.vtkMRMLNode,
    beside: slicer.vtkMRMLNode | None = None,
) -> LandscapeNodes | None:
    """Write an estimate's landscape into nodes that ``owner`` refers to; they are made once and then overwritten.

    What has no score (yet) is left out. For each tissue the chart has two series over the weight, on a logarithmic
    axis: the best score over all μ at each λ (solid) and over all λ at each μ (dashed).

    Args:
        estimate: The estimate to write.
        segmentation: Gives the colors.
        owner: The result transform or the parameter node.
        beside: Where the nodes go in the subject hierarchy, beside the owner if None.

    Returns:
        None, and nodes of an earlier one are removed, for an estimate without a landscape.
    """
    if estimate.landscape is None:
        _remove_landscape(owner)
        return None
    colors = {row.id: row.color_rgb for row in describe_tissues(segmentation, find_empty=False)}
    curves = [
        _Curves(row.tissue.id, row.tissue.name, colors.get(row.tissue.id, UNKNOWN_COLOR), np.asarray(scores))
        for row, scores in zip(estimate.per_tissue, estimate.landscape.scores, strict=True)
        if np.isfinite(scores).any()
    ]
    beside = beside or owner
    table = make_owned_node(owner, TABLE, "vtkMRMLTableNode", "parameter landscape", beside)
    _fill(table, _scores(estimate.landscape, curves), estimate.criterion_name)
    profiles = make_owned_node(owner, PROFILES, "vtkMRMLTableNode", "parameter landscape profiles", beside)
    _fill(profiles, _profiles(estimate.landscape, curves), estimate.criterion_name)
    chart = make_owned_node(owner, CHART, "vtkMRMLPlotChartNode", "parameter landscape", beside)
    series = _write_series(owner, profiles, curves)
    with slicer.util.NodeModify(chart):
        if not chart.GetXAxisTitle():
            _describe(chart, estimate.criterion_name)
        chart.RemoveAllPlotSeriesNodeIDs()
        for node in series:
            chart.AddAndObservePlotSeriesNodeID(node.GetID())
    return LandscapeNodes(table, profiles, chart)


def _remove_landscape(owner: slicer.vtkMRMLNode) -> None:
    for role in (CHART, PROFILES, TABLE):
        remove_owned_node(owner, role)
    _write_series(owner, None, ())


class _Curves(NamedTuple):
    """One tissue with scores (λ, μ), NaN where there is none."""

    id: str
    name: str
    color_rgb: tuple[float, float, float]
    scores: np.ndarray

    def column(self, name: str) -> str:
        """By ID, because two segments may have the same name."""
        return f"{self.id} {name}"


def _scores(landscape: Landscape, curves: Sequence[_Curves]) -> dict[str, list]:
    """The columns of the table with all scores."""
    rows = [
        (tissue.name, tissue.id, float(landscape.lam[i]), float(landscape.mu[j]), float(tissue.scores[i, j]))
        for tissue in curves
        for i, j in np.argwhere(np.isfinite(tissue.scores))
    ]
    names = ("Tissue", "Segment ID", LAMBDA, MU, "Score")
    return {name: [row[n] for row in rows] for n, name in enumerate(names)}


def _profiles(landscape: Landscape, curves: Sequence[_Curves]) -> dict[str, list]:
    """Weights and best scores; the shorter of the two axes repeats its last point, which draws nothing."""
    length = max(len(landscape.lam), len(landscape.mu))
    columns = {LAMBDA: _filled_up(landscape.lam, length), MU: _filled_up(landscape.mu, length)}
    for tissue in curves:
        known = np.where(np.isfinite(tissue.scores), tissue.scores, -np.inf)
        for name, axis in ((LAMBDA, 1), (MU, 0)):
            best = known.max(axis)
            columns[tissue.column(name)] = _filled_up(np.where(np.isfinite(best), best, np.nan), length)
    return columns


def _filled_up(values: Sequence[float], length: int) -> list[float]:
    values = [float(value) for value in values]
    return values + values[-1:] * (length - len(values))


def _fill(node: slicer.vtkMRMLTableNode, columns: dict[str, list], score_name: str) -> None:
    with slicer.util.NodeModify(node):
        node.SetAndObserveTable(vtk_table(columns))
        for name in columns:
            meaning = "relative weight" if name in (LAMBDA, MU) else score_name
            node.SetColumnDescription(name, "" if name in ("Tissue", "Segment ID") else meaning)
        node.SetUseColumnTitleAsColumnHeader(True)
        node.SetLocked(True)


def _write_series(
    owner: slicer.vtkMRMLNode, profiles: slicer.vtkMRMLTableNode | None, curves: Sequence[_Curves]
) -> list[slicer.vtkMRMLPlotSeriesNode]:
    """Two series for each tissue, λ and μ in turn; those of an earlier landscape are used again or removed."""
    wanted = [(tissue, name) for tissue in curves for name in (LAMBDA, MU)]
    old = [owner.GetNthNodeReference(SERIES, n) for n in range(owner.GetNumberOfNodeReferences(SERIES))]
    old = [node for node in old if node is not None]
    for node in old[len(wanted) :]:
        remove_with_parts(node)
    series = old[: len(wanted)]
    while len(series) < len(wanted):
        series.append(_new_series(owner.GetScene()))
    owner.RemoveNodeReferenceIDs(SERIES)
    for n, (node, (tissue, name)) in enumerate(zip(series, wanted, strict=True)):
        owner.SetNthNodeReferenceID(SERIES, n, node.GetID())
        with slicer.util.NodeModify(node):
            node.SetName(f"{tissue.name} {SYMBOLS[name]}")
            node.SetAndObserveTableNodeID(profiles.GetID())
            node.SetXColumnName(name)
            node.SetYColumnName(tissue.column(name))
            node.SetColor(tissue.color_rgb)
            node.SetLineStyle(node.LineStyleSolid if name == LAMBDA else node.LineStyleDash)
    return series


def _new_series(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLPlotSeriesNode:
    node = scene.AddNewNodeByClass("vtkMRMLPlotSeriesNode")
    node.SetPlotType(node.PlotTypeScatter)
    node.SetMarkerStyle(node.MarkerStyleCircle)
    return node


def _describe(chart: slicer.vtkMRMLPlotChartNode, score_name: str) -> None:
    """Once: the user may change it."""
    chart.SetTitle(f"Best {score_name} at each weight")
    chart.SetXAxisTitle("weight (solid: λ, dashed: μ)")
    chart.SetYAxisTitle(score_name)
    chart.SetXAxisLogScale(True)
