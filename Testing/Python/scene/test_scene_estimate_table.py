"""The table of an estimate in the scene: one row for each tissue."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import slicer
from host.scene_builders import add_segmentation, node_ids

from TissueElasticRegistrationLib.core.data.tissues import BACKGROUND_ID, Lame, Tissue, TissueParameters
from TissueElasticRegistrationLib.core.estimation.estimate_result import Estimate, TissueEstimate
from TissueElasticRegistrationLib.core.estimation.landscape import Landscape
from TissueElasticRegistrationLib.scene.write.estimate_nodes import write_estimate
from TissueElasticRegistrationLib.scene.write.estimate_rows import COLUMNS, estimate_rows

LUNG, RIBS, LIVER, SOFT = (
    Tissue(label, name, f"id_{name}") for label, name in enumerate(("lung", "ribs", "liver", "soft"), start=1)
)
AIR = Tissue(0, "background", BACKGROUND_ID)


def estimate(**changes) -> Estimate:
    """Liver is held out."""
    scores = np.array([[0.5, 0.6, 0.9], [0.7, 0.899, 0.8]])
    rows = [TissueEstimate(AIR, Lame(0.02, 0.02), np.nan, np.nan, False, False)]
    rows += [
        TissueEstimate(tissue, Lame(2.0, 0.5), 0.9, 0.8, False, tissue is not LIVER, (0, 2))
        for tissue in (LUNG, RIBS, LIVER, SOFT)
    ]
    weights = np.array([0.02, 2.0, 200.0])
    landscape = Landscape(weights[:2], weights, np.stack([np.full((2, 3), np.nan), *[scores] * 4]))
    found = Estimate(
        "grid",
        landscape,
        tuple(rows),
        TissueParameters(),
        True,
        1.0,
        held_out=(LIVER,),
    )
    return dataclasses.replace(found, **changes)


@pytest.fixture
def owner(mrml_scene):
    return mrml_scene.AddNewNodeByClass("vtkMRMLTransformNode", "result")


def texts(table, name: str) -> list[str]:
    column = [table.GetColumnName(number) for number in range(table.GetNumberOfColumns())].index(name)
    return [table.GetCellText(row, column) for row in range(table.GetNumberOfRows())]


def numbers(table, name: str) -> list[float]:
    return slicer.util.arrayFromTableColumn(table, name).tolist()


def test_every_tissue_but_the_background_has_a_row(owner):
    table = write_estimate(estimate(), None, owner)
    assert texts(table, "Tissue") == ["lung", "ribs", "liver", "soft"]
    assert texts(table, "Use") == ["estimated", "estimated", "held out", "estimated"]
    assert numbers(table, "Lambda") == [2.0] * 4 and numbers(table, "Mu") == [0.5] * 4
    assert numbers(table, "Poisson ratio") == pytest.approx([0.4] * 4)


def test_confidence_is_the_share_of_worse_values_for_those_that_were_searched():
    rows = {row.tissue.name: row for row in estimate_rows(estimate())}
    assert rows["lung"].confidence == pytest.approx(4 / 6)  # two of six lie within 0.005 of the best
    assert np.isnan(rows["liver"].confidence) and rows["liver"].held_out


def test_every_column_says_what_it_means(owner):
    table = write_estimate(estimate(), None, owner)
    meanings = {column.name: table.GetColumnDescription(column.name) for column in COLUMNS}
    assert all(meanings.values())
    assert table.GetLocked()


def test_a_second_estimate_uses_the_same_table(mrml_scene, owner):
    first = write_estimate(estimate(), None, owner)
    before = node_ids(mrml_scene)
    assert write_estimate(estimate(held_out=()), None, owner) is first
    assert node_ids(mrml_scene) == before


def test_an_estimate_without_landscape_takes_the_earlier_one_away(mrml_scene, owner):
    tissues = add_segmentation(mrml_scene, "organs", {"lung": np.ones((4, 5, 6), bool)}, np.eye(4))
    empty = node_ids(mrml_scene)
    table = write_estimate(estimate(landscape=None), tissues, owner)
    alone = node_ids(mrml_scene)
    assert alone - empty == {table.GetID()}
    write_estimate(estimate(), tissues, owner)
    assert mrml_scene.GetNumberOfNodesByClass("vtkMRMLPlotSeriesNode") == 8
    write_estimate(estimate(landscape=None), tissues, owner)
    assert node_ids(mrml_scene) == alone
    assert np.isnan(numbers(table, "Confidence")).all()
