"""Shear modulus ratios in the scene: a table with one row per tissue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import slicer
import slicer.util

from ...core.data import glossary
from ..owned_nodes import make_owned_node
from .vtk_tables import vtk_table

if TYPE_CHECKING:
    from ...core.stiffness.shear_modulus_ratio import ShearModulusRatios

ROLE = "shearModulusRatios"
MEANINGS = {
    "Tissue": "Name of the segment",
    "Segment ID": "ID of the segment in the fixed segmentation",
    glossary.SHEAR_MODULUS_RATIO.name: glossary.SHEAR_MODULUS_RATIO.meaning,
    "Low": "Lower end of its 95 % interval",
    "High": "Upper end of its 95 % interval",
    "Remark": "The reference tissue, or why there is no shear modulus ratio",
}


def write_shear_modulus_ratios(
    ratios: ShearModulusRatios, owner: slicer.vtkMRMLNode, beside: slicer.vtkMRMLNode | None = None
) -> slicer.vtkMRMLTableNode:
    """Write the ratios into the owner's table, which is made once and then overwritten.

    Args:
        ratios: What was estimated; values are written only where the deformation supports them.
        owner: Node that refers to the table, such as the parameter node.
        beside: Where a new table goes in the subject hierarchy; beside the owner if None.

    Returns:
        The table; it is for reading, so it is locked.
    """
    table = make_owned_node(owner, ROLE, "vtkMRMLTableNode", "shear modulus ratios", beside or owner)
    rows = []
    for row in ratios.per_tissue:
        if row.tissue == ratios.reference:
            values, remark = (1.0, 1.0, 1.0), "reference"
        else:
            values = (row.mu, row.low, row.high) if row.supported else (float("nan"),) * 3
            remark = row.reason
        rows.append((row.tissue.name, row.tissue.id, *values, remark))
    with slicer.util.NodeModify(table):
        table.SetAndObserveTable(vtk_table(dict(zip(MEANINGS, zip(*rows, strict=True), strict=True))))
        for name, meaning in MEANINGS.items():
            table.SetColumnDescription(name, meaning)
        table.SetUseColumnTitleAsColumnHeader(True)
        table.SetLocked(True)
    return table
