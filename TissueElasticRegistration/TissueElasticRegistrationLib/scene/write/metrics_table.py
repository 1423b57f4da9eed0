"""The metrics of a registration as a table: one row for each tissue, units and meanings kept with the columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import slicer
import vtk

from ...core.data import glossary
from ...core.data.glossary import Quantity
from ...core.data.result import RegistrationResult, TissueResult
from .vtk_tables import vtk_table


class _Column(NamedTuple):
    name: str
    unit: str
    meaning: str
    value: Callable[[TissueResult], str | float]


def _column(quantity: Quantity, value: Callable[[TissueResult], float], when: str = "") -> _Column:
    """when: " before" or " after" the registration, for what is measured at both times."""
    return _Column(quantity.name + when, quantity.unit, quantity.meaning, value)


COLUMNS = (
    _Column("Tissue", "", "Name of the segment", lambda row: row.tissue.name),
    _Column("Segment ID", "", "ID of the segment in the fixed segmentation", lambda row: row.tissue.id),
    _column(glossary.LAMBDA, lambda row: row.parameters.lam),
    _column(glossary.MU, lambda row: row.parameters.mu),
    _column(glossary.POISSON_RATIO, lambda row: row.parameters.poisson_ratio),
    _column(glossary.STIFFNESS, lambda row: row.relative_stiffness),
    _column(glossary.ENERGY, lambda row: row.energy),
    _column(glossary.STRAIN, lambda row: row.strain_rms),
    _column(glossary.FOLDING, lambda row: row.negative_jacobian_percent),
    _column(glossary.DICE, lambda row: row.dice_before, " before"),
    _column(glossary.DICE, lambda row: row.dice_after, " after"),
    _column(glossary.HD95, lambda row: row.hd95_mm_before, " before"),
    _column(glossary.HD95, lambda row: row.hd95_mm_after, " after"),
    _column(glossary.SURFACE_DISTANCE, lambda row: row.surface_distance_mm_before, " before"),
    _column(glossary.SURFACE_DISTANCE, lambda row: row.surface_distance_mm_after, " after"),
)


def metrics_table(result: RegistrationResult) -> vtk.vtkTable:
    """The metrics of a registration, one row for each tissue.

    Args:
        result: The registration.

    Returns:
        Text as vtkStringArray, numbers as vtkDoubleArray, NaN where not measured.
    """
    return vtk_table({column.name: [column.value(row) for row in result.tissues] for column in COLUMNS})


def write_metrics(table: vtk.vtkTable, node: slicer.vtkMRMLTableNode) -> None:
    """Replace the table of a node; results are for reading, so the node is locked.

    Args:
        table: What `metrics_table` has made.
        node: The node to fill.
    """
    node.SetAndObserveTable(table)
    for column in COLUMNS:
        node.SetColumnUnitLabel(column.name, column.unit)
        node.SetColumnDescription(column.name, column.meaning)
    node.SetUseColumnTitleAsColumnHeader(True)
    node.SetLocked(True)
