"""An estimate as a table, one row for each tissue: what the panel shows and what is kept in the scene."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import slicer
import slicer.util

from ...core.data import glossary
from ...core.data.glossary import Quantity
from ...core.data.tissues import BACKGROUND_ID, Lame, Tissue
from .vtk_tables import vtk_table

if TYPE_CHECKING:
    from ...core.estimation.estimate_result import Estimate

UNKNOWN = float("nan")


class EstimateRow(NamedTuple):
    """What an estimate says about one tissue.

    Attributes:
        tissue: Which tissue.
        lame: Its λ and μ.
        is_estimated: Whether ``lame`` comes from the search.
        held_out: Whether the search was not to look at the tissue.
        insensitive: Whether λ and μ hardly change the score.
        score: What the search judged by, at these λ and μ.
        start_score: The same at the values before the search.
        confidence: Share of the values tried that are worse, NaN where that is not known.
    """

    tissue: Tissue
    lame: Lame
    is_estimated: bool
    held_out: bool
    insensitive: bool
    score: float
    start_score: float
    confidence: float


def estimate_rows(estimate: Estimate) -> tuple[EstimateRow, ...]:
    """Every tissue but the background, in the order of the estimate.

    Args:
        estimate: Finished or not.
    """
    from ...core.reporting.estimate_summary import confidence

    held_out = {tissue.id for tissue in estimate.held_out}
    return tuple(
        EstimateRow(
            row.tissue,
            row.lame,
            row.is_estimated,
            row.tissue.id in held_out,
            row.insensitive,
            row.score,
            row.start_score,
            confidence(estimate, number) if row.is_estimated else UNKNOWN,
        )
        for number, row in enumerate(estimate.per_tissue)
        if row.tissue.id != BACKGROUND_ID
    )


class _Column(NamedTuple):
    name: str
    meaning: str
    value: Callable[[EstimateRow], str | float]


def _column(quantity: Quantity, value: Callable[[EstimateRow], str | float]) -> _Column:
    return _Column(quantity.name, quantity.meaning, value)


COLUMNS = (
    _Column("Tissue", "Name of the segment", lambda row: row.tissue.name),
    _Column("Segment ID", "ID of the segment in the fixed segmentation", lambda row: row.tissue.id),
    _Column("Use", "Whether λ and μ of the tissue were estimated", lambda row: _use(row)),
    _column(glossary.LAMBDA, lambda row: row.lame.lam),
    _column(glossary.MU, lambda row: row.lame.mu),
    _column(glossary.POISSON_RATIO, lambda row: row.lame.poisson_ratio),
    _column(glossary.CONFIDENCE, lambda row: row.confidence),
    _column(glossary.FLAT, lambda row: "yes" if row.insensitive and row.is_estimated else "no"),
    _Column("Score", "Criterion of the search with these λ and μ", lambda row: row.score),
    _Column("Score before", "Criterion of the search with the values before it", lambda row: row.start_score),
)


def fill_estimate_table(node: slicer.vtkMRMLTableNode, estimate: Estimate) -> None:
    """Replace the table of a node; results are for reading, so the node is locked.

    Args:
        node: The node to fill.
        estimate: The estimate to show.
    """
    rows = estimate_rows(estimate)
    with slicer.util.NodeModify(node):
        node.SetAndObserveTable(vtk_table({column.name: [column.value(row) for row in rows] for column in COLUMNS}))
        for column in COLUMNS:
            node.SetColumnDescription(column.name, column.meaning)
        node.SetUseColumnTitleAsColumnHeader(True)
        node.SetLocked(True)


def _use(row: EstimateRow) -> str:
    if row.held_out:
        return "held out"
    return "estimated" if row.is_estimated else "kept"
