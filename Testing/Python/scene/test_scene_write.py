"""Arrays to nodes: all outputs are complete, re-used, and written completely or not at all."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import slicer.util
import vtk
from host.scene_builders import (
    add_linear_transform,
    add_segmentation,
    add_volume,
    count_events,
    node_ids,
    oblique_matrix,
    put_under,
    smooth_array,
)

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.data.images import Image, Segmentation
from TissueElasticRegistrationLib.core.data.result import ObjectiveValues, RegistrationResult, TissueResult
from TissueElasticRegistrationLib.core.data.tissues import Lame
from TissueElasticRegistrationLib.scene.nodes import InputNodes, OutputNodes, results_of_pair
from TissueElasticRegistrationLib.scene.read import read_pair
from TissueElasticRegistrationLib.scene.write import results as write
from TissueElasticRegistrationLib.scene.write.grid_transform import read_transform
from TissueElasticRegistrationLib.scene.write.results import write_results

FIXED = Geometry((10, 15, 18), oblique_matrix())
MOVING = Geometry((14, 20, 21), oblique_matrix((1.1, 1.2, 2.0), (-24, 11, 28), (15, -30, 45)))
TURN = oblique_matrix((1, 1, 1), (12, -7, 5), (10, 25, -15))
SHEAR = np.array([[1, 0.3, 0.2, 4], [0, 1.2, 0, -3], [0, 0.1, 0.9, 2], [0, 0, 0, 1.0]])


def displacement(geometry: Geometry, seed: int) -> np.ndarray:
    """Smooth field (K, J, I, 3) in RAS mm."""
    field = np.stack([smooth_array(geometry.shape_kji, seed + axis, 3) for axis in range(3)], -1)
    return (0.7 * field + [2, -1, 0.5]).astype(np.float32)


def masks(shape) -> dict[str, np.ndarray]:
    result = {name: np.zeros(shape, bool) for name in ("lung", "bone")}
    result["lung"][2:6, 3:9, 3:10] = True
    result["bone"][6:9, 8:13, 5:14] = True
    return result


def add_inputs(scene) -> InputNodes:
    return InputNodes(
        add_volume(scene, "exhale", (100 * smooth_array(FIXED.shape_kji, 1)).astype(np.int16), FIXED.ijk_to_ras),
        add_volume(scene, "inhale", (100 * smooth_array(MOVING.shape_kji, 2)).astype(np.int16), MOVING.ijk_to_ras),
        add_segmentation(scene, "organs", masks(FIXED.shape_kji), FIXED.ijk_to_ras),
        add_segmentation(scene, "organs inhale", masks(MOVING.shape_kji), MOVING.ijk_to_ras),
    )


def result_for(inputs: InputNodes, seed: int = 5) -> RegistrationResult:
    """A result as a registrar would return it, without a registration: shifted numbers, right geometries."""
    pair = read_pair(*inputs)
    geometry = pair.fixed.geometry
    working = geometry.padded((2, 3, 4), (4, 3, 2))
    warped_segmentation = None
    if pair.moving_segmentation is not None:
        labels = np.roll(pair.fixed_segmentation.labels_kji, 1, 2)
        warped_segmentation = Segmentation(labels, geometry, pair.moving_segmentation.tissues, "warped")
    nan = float("nan")
    return RegistrationResult(
        displacement_ras_mm=displacement(working, seed),
        geometry=working,
        jacobian_kji=np.ones(working.shape_kji),
        valid_kji=np.ones(geometry.shape_kji, bool),
        warped=Image(100 * smooth_array(geometry.shape_kji, seed), geometry, "warped"),
        warped_segmentation=warped_segmentation,
        initial="none",
        tissues=tuple(
            TissueResult(t, Lame(0.5 * t.label, 0.25), 1.5, 0.01, 0.02, 0.0, 0.8, 0.9, 3.0, nan)
            for t in pair.fixed_segmentation.tissues
        ),
        similarity_before=0.5,
        similarity_after=0.9,
        negative_jacobian_percent=0.0,
        landmark_errors=None,
        objective_values=ObjectiveValues(-0.5, -0.8, 0.5, 0.9, 0.1, 0.97, 10),
        seconds={},
        warnings=(),
    )


def write_new(scene) -> tuple[InputNodes, RegistrationResult, OutputNodes]:
    inputs = add_inputs(scene)
    result = result_for(inputs)
    return inputs, result, write_results(inputs, result)


def test_warped_volume_lies_on_the_fixed_grid(mrml_scene):
    inputs, result, outputs = write_new(mrml_scene)
    assert np.array_equal(slicer.util.arrayFromVolume(outputs.warped_volume), result.warped.array_kji)
    assert np.array_equal(matrix_of(outputs.warped_volume), matrix_of(inputs.fixed))


def matrix_of(volume) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def test_warped_outputs_share_the_fixed_volumes_parent_transform(mrml_scene):
    inputs = add_inputs(mrml_scene)
    put_under(inputs.fixed, add_linear_transform(mrml_scene, "turn", TURN))
    put_under(inputs.segmentation, inputs.fixed.GetParentTransformNode())
    outputs = write_results(inputs, result_for(inputs))
    assert np.array_equal(matrix_of(outputs.warped_volume), matrix_of(inputs.fixed))
    for node in (outputs.warped_volume, outputs.warped_segmentation):
        assert node.GetParentTransformNode() is inputs.fixed.GetParentTransformNode()


def test_warped_segments_are_read_back_where_the_result_has_them(mrml_scene):
    inputs = add_inputs(mrml_scene)
    put_under(inputs.fixed, add_linear_transform(mrml_scene, "turn", TURN))
    put_under(inputs.segmentation, inputs.fixed.GetParentTransformNode())
    result = result_for(inputs)
    outputs = write_results(inputs, result)
    again = read_pair(inputs.fixed, inputs.moving, outputs.warped_segmentation).fixed_segmentation
    assert np.array_equal(again.labels_kji, result.warped_segmentation.labels_kji)


def test_outputs_for_a_sheared_fixed_volume_lie_in_the_world(mrml_scene):
    inputs = add_inputs(mrml_scene)
    put_under(inputs.fixed, add_linear_transform(mrml_scene, "shear", SHEAR))
    put_under(inputs.segmentation, inputs.fixed.GetParentTransformNode())
    result = result_for(inputs)
    outputs = write_results(inputs, result)
    assert outputs.warped_volume.GetParentTransformNode() is None
    np.testing.assert_allclose(matrix_of(outputs.warped_volume), result.warped.geometry.ijk_to_ras, atol=1e-9)


def test_transform_is_in_world_coordinates_and_refers_to_the_pair(mrml_scene):
    inputs, result, outputs = write_new(mrml_scene)
    assert read_transform(outputs.transform)[1].agrees_with(result.geometry)
    assert outputs.transform.GetNodeReference("spatialRegistrationFixed") is inputs.fixed
    assert outputs.transform.GetNodeReference("spatialRegistrationMoving") is inputs.moving


def test_warped_segments_keep_id_name_color_and_tags(mrml_scene):
    inputs = add_inputs(mrml_scene)
    original = inputs.moving_segmentation.GetSegmentation().GetSegment("id_bone")
    original.SetName("Bone")
    original.SetTag("note", "left side")
    outputs = write_results(inputs, result_for(inputs))
    segmentation = outputs.warped_segmentation.GetSegmentation()
    assert [segmentation.GetNthSegmentID(n) for n in range(2)] == ["id_lung", "id_bone"]
    copy, note = segmentation.GetSegment("id_bone"), vtk.reference("")
    copy.GetTag("note", note)
    assert (copy.GetName(), copy.GetColor(), str(note)) == ("Bone", original.GetColor(), "left side")


def test_warped_segments_can_be_shown_in_3d(mrml_scene):
    outputs = write_new(mrml_scene)[2]
    assert outputs.warped_segmentation.CreateClosedSurfaceRepresentation()


def test_new_warped_volume_has_the_moving_volumes_window_and_level(mrml_scene):
    inputs = add_inputs(mrml_scene)
    inputs.moving.CreateDefaultDisplayNodes()
    inputs.moving.GetDisplayNode().SetAutoWindowLevel(False)
    inputs.moving.GetDisplayNode().SetWindowLevel(321, 45)
    display = write_results(inputs, result_for(inputs)).warped_volume.GetDisplayNode()
    assert (display.GetWindow(), display.GetLevel(), display.GetAutoWindowLevel()) == (321, 45, 0)


def test_metrics_table_has_a_row_for_each_tissue(mrml_scene):
    table = write_new(mrml_scene)[2].metrics_table
    assert [table.GetCellText(row, 0) for row in range(table.GetNumberOfRows())] == ["lung", "bone"]
    np.testing.assert_allclose(slicer.util.arrayFromTableColumn(table, "Lambda"), [0.5, 1.0])
    np.testing.assert_allclose(slicer.util.arrayFromTableColumn(table, "Dice after"), [0.9, 0.9])
    assert np.isnan(slicer.util.arrayFromTableColumn(table, "HD95 after")).all()
    assert table.GetColumnUnitLabel("HD95 after") == "mm"


def test_metrics_table_calls_stiffness_that_was_set_by_another_name_than_estimated_stiffness(mrml_scene):
    table = write_new(mrml_scene)[2].metrics_table
    names = [table.GetColumnName(number) for number in range(table.GetNumberOfColumns())]
    assert "Stiffness as set" in names and "Shear modulus ratio" not in names
    assert "not a measurement" in table.GetColumnDescription("Stiffness as set")


def test_metrics_table_survives_saving(mrml_host, mrml_scene, tmp_path):
    write_new(mrml_scene)
    mrml_host.save(tmp_path / "scene.mrb")
    mrml_host.load(tmp_path / "scene.mrb")
    table = mrml_scene.GetFirstNodeByName("inhale to exhale metrics")
    np.testing.assert_allclose(slicer.util.arrayFromTableColumn(table, "Lambda"), [0.5, 1.0])
    assert table.GetCellText(1, 0) == "bone" and table.GetColumnUnitLabel("HD95 after") == "mm"


def test_without_moving_segmentation_there_is_no_warped_one(mrml_scene):
    inputs = add_inputs(mrml_scene)._replace(moving_segmentation=None)
    outputs = write_results(inputs, result_for(inputs))
    assert outputs.warped_segmentation is None
    assert mrml_scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 2


# Second run


def test_second_run_uses_the_same_nodes(mrml_scene):
    inputs, _, first = write_new(mrml_scene)
    before = node_ids(mrml_scene)
    second = write_results(inputs, result_for(inputs, seed=50))
    assert [node.GetID() for node in second] == [node.GetID() for node in first]
    assert node_ids(mrml_scene) == before
    assert np.array_equal(read_transform(second.transform)[0], result_for(inputs, seed=50).displacement_ras_mm)


def test_second_run_after_loading_the_scene_uses_the_same_nodes(mrml_host, mrml_scene, tmp_path):
    write_new(mrml_scene)
    mrml_host.save(tmp_path / "scene.mrb")
    mrml_host.load(tmp_path / "scene.mrb")
    inputs = InputNodes(
        *(mrml_scene.GetFirstNodeByName(name) for name in ("exhale", "inhale", "organs", "organs inhale"))
    )
    before = node_ids(mrml_scene)
    write_results(inputs, result_for(inputs, seed=50))
    assert node_ids(mrml_scene) == before


def test_second_run_fires_one_transform_event(mrml_scene):
    inputs, _, outputs = write_new(mrml_scene)
    events = count_events(outputs.transform, slicer.vtkMRMLTransformableNode.TransformModifiedEvent)
    write_results(inputs, result_for(inputs, seed=50))
    assert len(events) == 1


def test_new_segmentation_is_drawn_as_outlines(mrml_scene):
    display = write_new(mrml_scene)[2].warped_segmentation.GetDisplayNode()
    assert display.GetVisibility2DOutline() and not display.GetVisibility2DFill()


def test_second_run_keeps_what_the_user_changed_in_the_display(mrml_scene):
    inputs, _, outputs = write_new(mrml_scene)
    outputs.warped_segmentation.GetDisplayNode().SetVisibility2DFill(True)
    outputs.warped_volume.GetDisplayNode().SetAutoWindowLevel(False)
    outputs.warped_volume.GetDisplayNode().SetWindowLevel(77, 7)
    outputs.warped_segmentation.GetDisplayNode().SetSegmentOpacity3D("id_bone", 0.25)
    outputs.warped_segmentation.GetDisplayNode().SetSegmentVisibility("id_lung", False)
    write_results(inputs, result_for(inputs, seed=50))
    display = outputs.warped_segmentation.GetDisplayNode()
    assert outputs.warped_volume.GetDisplayNode().GetWindow() == 77
    assert display.GetSegmentOpacity3D("id_bone") == 0.25 and not display.GetSegmentVisibility("id_lung")
    assert display.GetVisibility2DFill()


def test_second_run_refreshes_surfaces_shown_in_3d(mrml_scene):
    inputs, result, outputs = write_new(mrml_scene)
    outputs.warped_segmentation.CreateClosedSurfaceRepresentation()
    before = surface_bounds(outputs.warped_segmentation)
    labels = np.roll(result.warped_segmentation.labels_kji, 2, 1)
    moved = dataclasses.replace(result.warped_segmentation, labels_kji=labels)
    write_results(inputs, dataclasses.replace(result, warped_segmentation=moved))
    assert np.abs(surface_bounds(outputs.warped_segmentation) - before).max() > 1


def surface_bounds(segmentation_node) -> np.ndarray:
    surface = vtk.vtkPolyData()
    assert segmentation_node.GetClosedSurfaceRepresentation("id_bone", surface)
    return np.array(surface.GetBounds())


def test_only_a_deleted_output_is_made_again(mrml_scene):
    inputs, result, first = write_new(mrml_scene)
    mrml_scene.RemoveNode(first.warped_volume)
    second = write_results(inputs, result)
    assert second.warped_volume is not None and second.warped_volume.GetScene() is mrml_scene
    assert [second.transform, *second[2:]] == [first.transform, *first[2:]]


def test_new_transform_node_keeps_the_former_results(mrml_scene):
    inputs, result, first = write_new(mrml_scene)
    second = write_results(inputs, result, OutputNodes(mrml_scene.AddNewNodeByClass("vtkMRMLTransformNode", "uniform")))
    assert not set(first) & set(second)


def test_given_nodes_are_used(mrml_scene):
    inputs = add_inputs(mrml_scene)
    volume = mrml_scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "mine")
    assert write_results(inputs, result_for(inputs), OutputNodes(warped_volume=volume)).warped_volume is volume


# Surroundings


def test_outputs_lie_beside_the_fixed_volume_in_the_subject_hierarchy(mrml_scene):
    inputs = add_inputs(mrml_scene)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(mrml_scene)
    folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "patient")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(inputs.fixed), folder)
    for node in write_results(inputs, result_for(inputs)):
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == folder


def test_scene_without_subject_hierarchy_is_fine(mrml_scene):
    mrml_scene.RemoveNode(mrml_scene.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode"))
    assert all(node is not None for node in write_new(mrml_scene)[2])


def test_only_the_four_outputs_and_their_displays_are_added(mrml_scene):
    inputs = add_inputs(mrml_scene)
    result = result_for(inputs)
    before = node_ids(mrml_scene)
    outputs = write_results(inputs, result)
    displays = {outputs.warped_volume.GetDisplayNode().GetID(), outputs.warped_segmentation.GetDisplayNode().GetID()}
    assert node_ids(mrml_scene) - before == {node.GetID() for node in outputs} | displays


@pytest.mark.parametrize("step", ["write_volume", "write_segments", "write_metrics", "link_outputs"])
def test_failure_midway_leaves_no_new_node(mrml_scene, monkeypatch, step):
    inputs = add_inputs(mrml_scene)
    result = result_for(inputs)
    before = node_ids(mrml_scene)

    def fail(*_):
        raise RuntimeError("disk on fire")

    monkeypatch.setattr(write, step, fail)
    with pytest.raises(RuntimeError, match="disk on fire"):
        write_results(inputs, result)
    assert node_ids(mrml_scene) == before


def test_result_that_does_not_fit_changes_no_output(mrml_scene):
    inputs, result, outputs = write_new(mrml_scene)
    broken = dataclasses.replace(
        result_for(inputs, seed=50), displacement_ras_mm=np.full_like(result.displacement_ras_mm, np.nan)
    )
    with pytest.raises(ValueError, match="not finite"):
        write_results(inputs, broken)
    assert np.array_equal(slicer.util.arrayFromVolume(outputs.warped_volume), result.warped.array_kji)
    assert np.array_equal(read_transform(outputs.transform)[0], result.displacement_ras_mm)


def test_input_as_output_is_refused_by_name(mrml_scene):
    inputs = add_inputs(mrml_scene)
    with pytest.raises(ValueError, match="'inhale' is an input of the registration"):
        write_results(inputs, result_for(inputs), OutputNodes(warped_volume=inputs.moving))


def test_output_of_the_wrong_kind_is_refused_by_name(mrml_scene):
    inputs = add_inputs(mrml_scene)
    with pytest.raises(ValueError, match="'exhale' is a Volume, not a transform"):
        write_results(inputs, result_for(inputs), OutputNodes(transform=inputs.fixed))


def test_refused_transform_node_is_not_taken_for_a_result(mrml_scene):
    inputs = add_inputs(mrml_scene)
    rigid = add_linear_transform(mrml_scene, "rigid", TURN)
    with pytest.raises(ValueError, match="'rigid' is a LinearTransform"):
        write_results(inputs, result_for(inputs), OutputNodes(transform=rigid))
    assert results_of_pair(inputs.fixed, inputs.moving) == []


def test_input_that_left_the_scene_is_refused_by_name(mrml_scene):
    inputs = add_inputs(mrml_scene)
    result = result_for(inputs)
    mrml_scene.RemoveNode(inputs.moving)
    with pytest.raises(ValueError, match="'inhale' is no longer in the scene"):
        write_results(inputs, result)


def test_segment_removed_during_the_registration_is_refused_by_name(mrml_scene):
    inputs = add_inputs(mrml_scene)
    result = result_for(inputs)
    inputs.moving_segmentation.GetSegmentation().RemoveSegment("id_bone")
    with pytest.raises(ValueError, match="'organs inhale' no longer has the segment 'id_bone'"):
        write_results(inputs, result)
