"""The table of shear modulus ratios in the scene: numbers only where the deformation supports them."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from host.scene_builders import node_ids

from TissueElasticRegistrationLib.core.data.tissues import Tissue
from TissueElasticRegistrationLib.core.stiffness.shear_modulus_ratio import ShearModulusRatios, TissueModulusRatio
from TissueElasticRegistrationLib.scene.write.stiffness_table import MEANINGS, write_shear_modulus_ratios

LUNG, RIBS, SOFT = (Tissue(label, name, f"id_{name}") for label, name in enumerate(("lung", "ribs", "soft"), start=1))
REASON = "It deforms too little."
RATIOS = ShearModulusRatios(
    (
        TissueModulusRatio(LUNG, 0.4, 0.2, 0.9, True, -0.9, 2.0),
        TissueModulusRatio(RIBS, 3.0, 1.0, np.inf, False, 1.0, 2.0, REASON),
        TissueModulusRatio(SOFT, 1.0, 1.0, 1.0, True, 0.0, 2.0),
    ),
    SOFT,
    3.0,
)


@pytest.fixture
def owner(mrml_scene):
    return mrml_scene.AddNewNodeByClass("vtkMRMLTransformNode", "result")


def texts(table, name: str) -> list[str]:
    column = list(MEANINGS).index(name)
    return [table.GetCellText(row, column) for row in range(table.GetNumberOfRows())]


def test_a_ratio_has_its_interval_and_is_empty_where_it_is_not_supported(owner):
    table = write_shear_modulus_ratios(RATIOS, owner)
    columns = [slicer.util.arrayFromTableColumn(table, name) for name in ("Shear modulus ratio", "Low", "High")]
    np.testing.assert_array_equal(columns, [[0.4, np.nan, 1], [0.2, np.nan, 1], [0.9, np.nan, 1]])
    assert texts(table, "Segment ID") == ["id_lung", "id_ribs", "id_soft"]
    assert texts(table, "Remark") == ["", REASON, "reference"]


def test_every_column_says_what_it_means_and_the_table_is_for_reading(owner):
    table = write_shear_modulus_ratios(RATIOS, owner)
    assert all(table.GetColumnDescription(name) for name in MEANINGS) and table.GetLocked()


def test_writing_again_uses_the_same_table(mrml_scene, owner):
    first = write_shear_modulus_ratios(RATIOS, owner)
    before = node_ids(mrml_scene)
    assert write_shear_modulus_ratios(RATIOS, owner) is first and node_ids(mrml_scene) == before
