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
from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.data.tissues import BACKGROUND_ID, UNSEGMENTED_ID, Tissue
from TissueElasticRegistrationLib.core.physics.tissue_presets import unknown_segments
from TissueElasticRegistrationLib.scene.read import absent_tissues, read_segmentation
from TissueElasticRegistrationLib.scene.vtk_images import image_array
from TissueElasticRegistrationLib.scene.write.tissue_nodes import describe_tissues

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


def test_renamed_and_recolored_segment_keeps_its_id(mrml_scene):
    node = add_organs(mrml_scene)
    node.GetSegmentation().GetSegment("id_rib").SetName("Rippe")
    node.GetSegmentation().GetSegment("id_rib").SetColor(0.25, 0.5, 0.75)
    row = rows_by_id(node)["id_rib"]
    assert row.name == "Rippe" and row.color_rgb == (0.25, 0.5, 0.75)


def test_rows_of_segments_with_one_name_are_told_apart(mrml_scene):
    node = add_organs(mrml_scene)
    for segment_id in ("id_lung", "id_rib"):
        node.GetSegmentation().GetSegment(segment_id).SetName("Left")
    node.GetSegmentation().GetSegment("id_rib").SetTag(
        slicer.vtkSegment.GetTerminologyEntryTagName(), "a~SCT^1^Anatomical Structure~SCT^2^Rib~^^~b~^^~^^"
    )
    names = {key: row.name for key, row in rows_by_id(node).items()}
    assert [names[key] for key in ("id_lung", "id_rib", "id_thing")] == ["Left (id_lung)", "Left (Rib)", "thing"]


def test_color_is_the_one_shown(mrml_scene):
    """A display node may show a segment in another color than its own."""
    node = add_organs(mrml_scene)
    node.GetDisplayNode().SetSegmentOverrideColor("id_rib", 0.1, 0.2, 0.3)
    assert rows_by_id(node)["id_rib"].color_rgb == pytest.approx((0.1, 0.2, 0.3))


def test_segmentation_without_display_has_the_segments_own_colors(mrml_scene):
    node = add_organs(mrml_scene)
    color = node.GetSegmentation().GetSegment("id_rib").GetColor()
    node.SetAndObserveDisplayNodeID(None)
    assert rows_by_id(node)["id_rib"].color_rgb == color


def test_start_weights_follow_names_and_terminology(mrml_scene):
    node = add_organs(mrml_scene)
    node.GetSegmentation().GetSegment("id_thing").SetTag(
        slicer.vtkSegment.GetTerminologyEntryTagName(),
        "Context~SCT^123037004^Anatomical Structure~SCT^64033007^Liver~^^~Anatomic~^^~^^",
    )
    rows = rows_by_id(node)
    weights = [rows[key].start_weight for key in ("id_lung", "id_rib", "id_thing", UNSEGMENTED_ID, BACKGROUND_ID)]
    assert rows["id_thing"].terminology == "Liver"
    assert weights == [0.5, 30.0, 1.0, 0.5, 0.02]


@pytest.fixture
def anatomy_colors(mrml_scene):
    """Slicer's GenericAnatomyColors, as far as these tests need it: the file comes with the application."""
    table = slicer.vtkMRMLColorTableNode()
    table.SetSingletonTag("FileGenericAnatomyColors.txt")
    yield _with_colors(mrml_scene.AddNode(table))
    mrml_scene.RemoveNode(table)


def _with_colors(table):
    table.SetTypeToUser()
    table.SetNumberOfColors(4)
    table.GetLookupTable().SetTableRange(0, 3)
    for entry, name, color in (
        (0, "background", (0, 0, 0)),
        (1, "tissue", (128, 174, 128)),
        (2, "bone", (241, 214, 145)),
        (3, "skin", (177, 122, 101)),
    ):
        table.SetColor(entry, *(part / 255 for part in color), 1.0)
        table.SetColorName(entry, name)
    table.NamesInitialisedOn()
    return table


def imported(scene, colors):
    """A label map with the labels 1 to 3 that Slicer has turned into a segmentation."""
    labels = np.zeros((6, 7, 8), np.uint8)
    for label in (1, 2, 3):
        labels[label, 2:5, 1:6] = label
    volume, node = (scene.AddNewNodeByClass(name) for name in ("vtkMRMLLabelMapVolumeNode", "vtkMRMLSegmentationNode"))
    slicer.util.updateVolumeFromArray(volume, labels)
    volume.CreateDefaultDisplayNodes()
    volume.GetDisplayNode().SetAndObserveColorNodeID(colors.GetID())
    assert slicer.vtkSlicerSegmentationsModuleLogic.ImportLabelmapToSegmentationNode(volume, node, "")
    return node


def names_and_weights(node):
    return {row.name: row.start_weight for row in describe_tissues(node)[:-2]}


def test_names_from_slicers_own_color_table_say_nothing(mrml_scene, anatomy_colors):
    node = imported(mrml_scene, anatomy_colors)
    assert names_and_weights(node) == {"tissue": 1.0, "bone": 1.0, "skin": 1.0}
    assert len(unknown_segments(describe_tissues(node))) == 3


def test_core_is_told_which_names_say_nothing(mrml_scene, anatomy_colors):
    node = imported(mrml_scene, anatomy_colors)
    tissues = read_segmentation(node, Geometry((6, 7, 8), np.eye(4))).tissues
    assert [(tissue.name, tissue.is_named) for tissue in tissues] == [
        ("tissue", False),
        ("bone", False),
        ("skin", False),
    ]


def test_names_from_a_color_table_of_the_user_count(mrml_scene):
    node = imported(mrml_scene, _with_colors(mrml_scene.AddNewNodeByClass("vtkMRMLColorTableNode", "my labels")))
    assert names_and_weights(node)["bone"] == 30.0


def test_segment_that_was_renamed_after_the_import_is_understood(mrml_scene, anatomy_colors):
    node = imported(mrml_scene, anatomy_colors)
    node.GetSegmentation().GetNthSegment(0).SetName("left lung")
    assert names_and_weights(node) == {"left lung": 0.5, "bone": 1.0, "skin": 1.0}


def test_segment_of_the_same_name_in_another_color_was_named_by_somebody(mrml_scene, anatomy_colors):
    node = imported(mrml_scene, anatomy_colors)
    node.GetSegmentation().AddEmptySegment("drawn", "bone", (0.2, 0.3, 0.9))
    weights = {row.id: row.start_weight for row in describe_tissues(node)}
    assert weights["drawn"] == 30.0


def test_terminology_counts_for_a_segment_named_by_a_color_table(mrml_scene, anatomy_colors):
    node = imported(mrml_scene, anatomy_colors)
    node.GetSegmentation().GetNthSegment(1).SetTerminology(
        "Context~SCT^123037004^Anatomical Structure~SCT^39607008^Lung~^^~Anatomic~^^~^^"
    )
    assert names_and_weights(node)["bone"] == 0.5


def test_bone_drawn_with_the_color_of_the_table_counts(mrml_scene, anatomy_colors):
    """The colors of Slicer's terminologies are those of the table; without a label map nothing refers to it."""
    node = mrml_scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.GetSegmentation().AddEmptySegment("drawn", "bone", [part / 255 for part in (241, 214, 145)])
    assert names_and_weights(node) == {"bone": 30.0}


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
    program = (
        f"import sys; sys.path.insert(0, {str(folder.parents[1])!r}); import {modules}; "
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
