"""The metrics of a registration as a table: one row for each tissue, units and meanings kept with the columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import slicer
import vtk

from ...core.data.result import RegistrationResult, TissueResult
from .vtk_tables import vtk_table


class _Column(NamedTuple):
    name: str
    unit: str
    meaning: str
    value: Callable[[TissueResult], str | float]


COLUMNS = (
    _Column("Tissue", "", "Name of the segment", lambda row: row.tissue.name),
    _Column("Segment ID", "", "ID of the segment in the fixed image's segmentation", lambda row: row.tissue.id),
    _Column("Lambda", "", "First Lamé parameter, relative weight", lambda row: row.parameters.lam),
    _Column("Mu", "", "Second Lamé parameter (shear), relative weight", lambda row: row.parameters.mu),
    _Column("Poisson ratio", "", "0 freely compressible, 0.5 incompressible", lambda row: row.parameters.poisson_ratio),
    _Column(
        "Stiffness as set",
        "",
        "Young's modulus that follows from the λ and μ that were used, relative to soft tissue; set, not measured",
        lambda row: row.relative_stiffness,
    ),
    _Column("Energy", "", "Mean elastic energy density, weights included", lambda row: row.energy),
    _Column("RMS strain", "", "Root mean square of the strain tensor's norm", lambda row: row.strain_rms),
    _Column(
        "Folding", "%", "Voxels whose Jacobian determinant is not positive", lambda row: row.negative_jacobian_percent
    ),
    _Column("Dice before", "", "Overlap with the moving segmentation", lambda row: row.dice_before),
    _Column("Dice after", "", "Overlap with the warped segmentation", lambda row: row.dice_after),
    _Column("HD95 before", "mm", "95th percentile of the surface distance", lambda row: row.hd95_mm_before),
    _Column("HD95 after", "mm", "95th percentile of the surface distance", lambda row: row.hd95_mm_after),
    _Column("Surface distance before", "mm", "Mean surface distance", lambda row: row.surface_distance_mm_before),
    _Column("Surface distance after", "mm", "Mean surface distance", lambda row: row.surface_distance_mm_after),
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
