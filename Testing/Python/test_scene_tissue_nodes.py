"""Segments as rows of the panel: what they are called, look like, start with, and whether anything is in them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import slicer
import vtk
from host.scene_builders import add_segmentation, add_surface_segmentation, node_ids, oblique_matrix, sphere

from TissueElasticRegistrationLib import scene as scene_package
from TissueElasticRegistrationLib.core.geometry import Geometry
from TissueElasticRegistrationLib.core.tissues import BACKGROUND_ID, UNSEGMENTED_ID, Tissue
from TissueElasticRegistrationLib.scene.read import absent_tissues, read_segmentation
from TissueElasticRegistrationLib.scene.tissue_nodes import describe_tissues
from TissueElasticRegistrationLib.scene.vtk_images import image_array

GRID = Geometry((9, 14, 17), oblique_matrix())


def add_organs(scene):
    masks = {name: np.zeros(GRID.shape_kji, bool) for name in ("lung", "rib", "thing")}
    masks["lung"][1:5, 2:9, 3:10] = True
    masks["rib"][7, 1, 14] = True
    masks["thing"][4:7, 10:13, 2:15] = True
    return add_segmentation(scene, "organs", masks, GRID.ijk_to_ras)


def rows_by_id(node) -> dict:
    return {row.id: row for row in describe_tissues(node)}


def test_rows_are_the_segments_in_order_then_unsegmented_then_background(mrml_scene):
    ids = [row.id for row in describe_tissues(add_organs(mrml_scene))]
    assert ids == ["id_lung", "id_rib", "id_thing", UNSEGMENTED_ID, BACKGROUND_ID]


def test_renamed_and_recoloured_segment_keeps_its_id(mrml_scene):
    node = add_organs(mrml_scene)
    node.GetSegmentation().GetSegment("id_rib").SetName("Rippe")
    node.GetSegmentation().GetSegment("id_rib").SetColor(0.25, 0.5, 0.75)
    row = rows_by_id(node)["id_rib"]
    assert row.name == "Rippe" and row.color_rgb == (0.25, 0.5, 0.75)


def test_colour_is_the_one_shown(mrml_scene):
    """A display node may show a segment in another colour than its own."""
    node = add_organs(mrml_scene)
    node.GetDisplayNode().SetSegmentOverrideColor("id_rib", 0.1, 0.2, 0.3)
    assert rows_by_id(node)["id_rib"].color_rgb == pytest.approx((0.1, 0.2, 0.3))


def test_segmentation_without_display_has_the_segments_own_colours(mrml_scene):
    node = add_organs(mrml_scene)
    color = node.GetSegmentation().GetSegment("id_rib").GetColor()
    node.SetAndObserveDisplayNodeID(None)
    assert rows_by_id(node)["id_rib"].color_rgb == color


def test_start_weights_follow_names_and_terminology(mrml_scene):
    node = add_organs(mrml_scene)
    node.GetSegmentation().GetSegment("id_thing").SetTag(
        slicer.vtkSegment.GetTerminologyEntryTagName(),
        "Context~SCT^123037004^Anatomical Structure~SCT^64033007^Liver~^^~Anatomic~^^~^^")
    rows = rows_by_id(node)
    weights = [rows[key].start_weight for key in ("id_lung", "id_rib", "id_thing", UNSEGMENTED_ID, BACKGROUND_ID)]
    assert rows["id_thing"].terminology == "Liver"
    assert weights == [0.5, 30.0, 1.0, 0.5, 0.02]


def test_rows_have_the_ids_under_which_the_core_knows_the_tissues(mrml_scene):
    node = add_organs(mrml_scene)
    tissues = read_segmentation(node, GRID).tissues
    assert [row.id for row in describe_tissues(node)[:3]] == [tissue.id for tissue in tissues]
    assert Tissue(0, "background").id == BACKGROUND_ID


def test_new_segment_in_the_labelmap_of_another_one_is_empty(mrml_scene):
    """Slicer puts it into the labelmap of the first segment, so it has an extent, but no voxel."""
    node = add_organs(mrml_scene)
    node.GetSegmentation().AddEmptySegment("id_heart", "heart")
    assert {row.id for row in describe_tissues(node) if row.is_empty} == {"id_heart"}


def test_without_looking_for_empty_segments_the_rows_are_the_same_otherwise(mrml_scene):
    node = add_organs(mrml_scene)
    node.GetSegmentation().AddEmptySegment("id_heart", "heart")
    looked, not_looked = describe_tissues(node), describe_tissues(node, find_empty=False)
    assert not_looked == tuple(row._replace(is_empty=False) for row in looked) != looked


def test_erased_segment_is_empty(mrml_scene):
    node = add_organs(mrml_scene)
    node.GetSegmentation().CollapseBinaryLabelmaps(False)
    rib = node.GetSegmentation().GetSegment("id_rib")
    labelmap = rib.GetRepresentation("Binary labelmap")
    voxels = image_array(labelmap)
    voxels[voxels == rib.GetLabelValue()] = 0
    assert {row.id for row in describe_tissues(node) if row.is_empty} == {"id_rib"}


def test_empty_rows_are_those_without_voxels_after_reading(mrml_scene):
    node = add_organs(mrml_scene)
    node.GetSegmentation().AddEmptySegment("id_heart", "heart")
    absent = {tissue.id for tissue in absent_tissues(read_segmentation(node, GRID))}
    assert {row.id for row in describe_tissues(node) if row.is_empty} == absent


def test_surfaces_are_empty_only_without_points(mrml_scene):
    surfaces = {"ball": sphere((1, 2, 3), 5), "none": vtk.vtkPolyData()}
    node = add_surface_segmentation(mrml_scene, "surfaces", surfaces)
    assert {row.id: row.is_empty for row in describe_tissues(node)[:2]} == {"id_ball": False, "id_none": True}


def test_without_segmentation_there_are_no_rows(mrml_scene):
    node = add_organs(mrml_scene)
    mrml_scene.RemoveNode(node)
    assert describe_tissues(None) == describe_tissues(node) == ()


def test_describing_makes_no_node(mrml_scene):
    node = add_organs(mrml_scene)
    before = node_ids(mrml_scene)
    describe_tissues(node)
    assert node_ids(mrml_scene) == before


def test_the_whole_scene_package_is_imported_without_torch():
    """The panel opens before torch is installed; the core it uses must not import torch either."""
    folder = Path(scene_package.__file__).parent
    modules = ", ".join(f"TissueElasticRegistrationLib.scene.{path.stem}" for path in folder.glob("[a-z]*.py"))
    program = (f"import sys; sys.path.insert(0, {str(folder.parents[1])!r}); import {modules}; "
               "assert 'torch' not in sys.modules")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
