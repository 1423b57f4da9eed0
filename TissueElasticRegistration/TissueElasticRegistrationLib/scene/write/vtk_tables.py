"""Columns as the table a table node holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import vtk


def vtk_table(columns: Mapping[str, Iterable[str | float]]) -> vtk.vtkTable:
    """Columns as the table a table node holds.

    Args:
        columns: Title -> values, in the order wanted.

    Returns:
        Text as vtkStringArray, numbers (NaN included) as vtkDoubleArray.
    """
    table = vtk.vtkTable()
    for name, values in columns.items():
        values = list(values)
        array = vtk.vtkStringArray() if values and isinstance(values[0], str) else vtk.vtkDoubleArray()
        array.SetName(name)
        for value in values:
            array.InsertNextValue(value)
        table.AddColumn(array)
    return table
