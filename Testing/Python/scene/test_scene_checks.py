"""Whether nodes can be registered: each fault is found and named, sound nodes pass, and what passes can be read."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from host.scene_builders import (
    add_bend,
    add_linear_transform,
    add_markups,
    add_segmentation,
    add_surface_segmentation,
    add_volume,
    node_ids,
    oblique_matrix,
    put_under,
    smooth_array,
    sphere,
)

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.preparation.alignment import MODES
from TissueElasticRegistrationLib.panel.choices import Alignment
from TissueElasticRegistrationLib.scene.checks import input_hints, input_problem, objective_problem
from TissueElasticRegistrationLib.scene.nodes import InputNodes, link_transform
from TissueElasticRegistrationLib.scene.options import ALIGNMENTS
from TissueElasticRegistrationLib.scene.read import read_pair
from TissueElasticRegistrationLib.scene.segments import BINARY_LABELMAP, oriented_image

FIXED = Geometry((9, 14, 17), oblique_matrix())
MOVING = Geometry((11, 16, 15), oblique_matrix((1.1, 1.2, 2.0), (-19, 15, 30), (15, -30, 45)))
FAR = np.array([[1, 0, 0, 150], [0, 1, 0, -60], [0, 0, 1, 20], [0, 0, 0, 1.0]])


def masks(shape) -> dict[str, np.ndarray]:
    result = {name: np.zeros(shape, bool) for name in ("lung", "bone")}
    result["lung"][2:6, 3:9, 3:10] = True
    result["bone"][6:9, 8:13, 5:14] = True
    return result


def add_inputs(scene) -> InputNodes:
    """Everything a registration may have, on different grids; nothing wrong with it."""
    points = FIXED.points_ras_mm(np.array([[3, 4, 5], [9, 8, 2], [4, 11, 7]]))
    return InputNodes(
        add_volume(scene, "exhale", smooth_array(FIXED.shape_kji, 1), FIXED.ijk_to_ras),
        add_volume(scene, "inhale", smooth_array(MOVING.shape_kji, 2), MOVING.ijk_to_ras),
        add_segmentation(scene, "organs", masks(FIXED.shape_kji), FIXED.ijk_to_ras),
        add_segmentation(scene, "organs inhale", masks(MOVING.shape_kji), MOVING.ijk_to_ras),
        add_markups(scene, "F", points),
        add_markups(scene, "M", points + 1),
    )


def shifted(geometry: Geometry) -> np.ndarray:
    return FAR @ geometry.ijk_to_ras


# Nothing wrong


@pytest.mark.parametrize("without", [(), ("moving_segmentation",), ("fixed_landmarks", "moving_landmarks")])
def test_sound_nodes_have_no_problem(mrml_scene, without):
    assert input_problem(add_inputs(mrml_scene)._replace(**dict.fromkeys(without))) is None


def test_moving_nodes_under_parents_of_their_own_are_no_problem(mrml_scene):
    inputs = add_inputs(mrml_scene)
    for node in (inputs.moving, inputs.moving_segmentation, inputs.moving_landmarks):
        put_under(node, add_bend(mrml_scene))
    put_under(inputs.fixed, add_linear_transform(mrml_scene, "shift", np.eye(4)))
    assert input_problem(inputs) is None


def test_moving_nodes_under_their_own_result_are_no_problem(mrml_scene):
    """Not even if the result is nonsense and moves them far away: it is no part of the input."""
    inputs, result = add_inputs(mrml_scene), add_linear_transform(mrml_scene, "result", FAR)
    link_transform(result, inputs.fixed, inputs.moving)
    for node in (inputs.moving, inputs.moving_segmentation, inputs.moving_landmarks):
        put_under(node, result)
    assert input_problem(inputs) is None


def test_moving_volume_brought_to_the_fixed_one_by_a_transform_is_no_problem(mrml_scene):
    inputs = add_inputs(mrml_scene)
    inputs = inputs._replace(
        moving=add_volume(mrml_scene, "away", smooth_array(MOVING.shape_kji, 2), shifted(MOVING)),
        moving_segmentation=None,
    )
    put_under(inputs.moving, add_linear_transform(mrml_scene, "back", np.linalg.inv(FAR)))
    assert input_problem(inputs) is None


def test_new_transform_node_without_content_counts_as_identity(mrml_scene):
    inputs, bend = add_inputs(mrml_scene), add_bend(mrml_scene)
    bend.SetAndObserveTransformNodeID(mrml_scene.AddNewNodeByClass("vtkMRMLTransformNode", "new").GetID())
    put_under(inputs.moving, bend)
    assert input_problem(inputs) is None


def test_segmentation_of_surfaces_is_no_problem(mrml_scene):
    center = FIXED.points_ras_mm(np.array([8, 6, 4]))
    surfaces = add_surface_segmentation(mrml_scene, "surfaces", {"ball": sphere(center, 5)})
    assert input_problem(add_inputs(mrml_scene)._replace(segmentation=surfaces)) is None


def test_two_single_slices_are_no_problem(mrml_scene):
    volumes = [
        add_volume(mrml_scene, name, smooth_array((1, 20, 24), seed), oblique_matrix())
        for name, seed in (("exhale", 1), ("inhale", 2))
    ]
    mask = np.zeros((1, 20, 24), bool)
    mask[0, 3:12, 5:9] = True
    segmentation = add_segmentation(mrml_scene, "organs", {"lung": mask}, oblique_matrix())
    assert input_problem(InputNodes(*volumes, segmentation)) is None


def test_looking_changes_nothing_in_the_scene(mrml_scene):
    inputs = add_inputs(mrml_scene)
    put_under(inputs.moving, add_bend(mrml_scene))
    before = node_ids(mrml_scene)
    input_problem(inputs)
    input_hints(inputs)
    assert node_ids(mrml_scene) == before


# Missing nodes


def test_nothing_chosen_says_what_to_choose(mrml_scene):
    assert input_problem(InputNodes(None, None, None)) == (
        "Choose a fixed volume, a moving volume and a segmentation of the fixed volume."
    )


@pytest.mark.parametrize(
    ("field", "what"),
    [
        ("fixed", "a fixed volume"),
        ("moving", "a moving volume"),
        ("segmentation", "a segmentation of the fixed volume"),
    ],
)
def test_the_one_missing_node_is_asked_for(mrml_scene, field, what):
    assert input_problem(add_inputs(mrml_scene)._replace(**{field: None})) == f"Choose {what}."


@pytest.mark.parametrize("field", InputNodes._fields)
def test_node_that_left_the_scene_is_named(mrml_scene, field):
    inputs = add_inputs(mrml_scene)
    node = getattr(inputs, field)
    mrml_scene.RemoveNode(node)
    assert f"'{node.GetName()}' is no longer in the scene" in input_problem(inputs)


@pytest.mark.parametrize("field", InputNodes._fields)
def test_node_of_another_kind_is_named(mrml_scene, field):
    table = mrml_scene.AddNewNodeByClass("vtkMRMLTableNode", "numbers")
    assert "'numbers' is a Table" in input_problem(add_inputs(mrml_scene)._replace(**{field: table}))


def test_closed_scene_raises_nothing(mrml_host, mrml_scene):
    inputs = add_inputs(mrml_scene)
    mrml_host.clear()
    assert "no longer in the scene" in input_problem(inputs)
    assert input_hints(inputs) == ()


# Volumes


def test_same_volume_twice_is_named(mrml_scene):
    inputs = add_inputs(mrml_scene)
    problem = input_problem(inputs._replace(moving=inputs.fixed, moving_segmentation=None))
    assert "'exhale' is selected as both fixed and moving volume" in problem


def test_volume_without_image_is_named(mrml_scene):
    empty = mrml_scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "nothing in it")
    assert "moving volume 'nothing in it' is empty" in input_problem(add_inputs(mrml_scene)._replace(moving=empty))


def test_color_volume_is_named(mrml_scene):
    colors = mrml_scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "colors")
    slicer.util.updateVolumeFromArray(colors, np.random.default_rng(0).normal(size=(*FIXED.shape_kji, 3)))
    assert "'colors' has 3 components per voxel" in input_problem(add_inputs(mrml_scene)._replace(fixed=colors))


@pytest.mark.parametrize("single", ["fixed", "moving"])
def test_single_slice_with_a_volume_is_named(mrml_scene, single):
    inputs = add_inputs(mrml_scene)
    plane = add_volume(mrml_scene, "plane", smooth_array((1, 14, 17), 1), oblique_matrix())
    problem = input_problem(inputs._replace(**{single: plane}))
    other = "inhale" if single == "fixed" else "exhale"
    assert f"'plane' is a single slice and '{other}' is not" in problem


def test_volume_of_a_few_rows_is_named(mrml_scene):
    flat = add_volume(mrml_scene, "flat", smooth_array((2, 3, 17), 1), oblique_matrix())
    assert "'flat' has fewer than 4 rows" in input_problem(add_inputs(mrml_scene)._replace(moving=flat))


def test_volume_pressed_flat_by_a_transform_is_named(mrml_scene):
    inputs = add_inputs(mrml_scene)
    put_under(inputs.moving, add_linear_transform(mrml_scene, "press", np.diag([1, 1, 0, 1.0])))
    assert "volume 'inhale' is singular" in input_problem(inputs)


def test_volumes_apart_can_be_aligned_but_it_is_said(mrml_scene):
    inputs = add_inputs(mrml_scene)
    for node in (inputs.moving, inputs.moving_segmentation):
        put_under(node, add_linear_transform(mrml_scene, "away", FAR))
    assert input_problem(inputs) is None
    assert any("'inhale' and 'exhale' do not overlap" in hint for hint in input_hints(inputs))


def test_transform_with_nan_above_a_volume_is_named(mrml_scene):
    inputs = add_inputs(mrml_scene)
    broken = np.eye(4)
    broken[1, 3] = np.nan
    put_under(inputs.moving, add_linear_transform(mrml_scene, "broken", broken))
    assert "A transform above 'inhale' contains values that are not finite" in input_problem(inputs)


# Segmentations


def test_segmentation_without_segments_is_named(mrml_scene):
    empty = mrml_scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "new one")
    assert "'new one' has no segments" in input_problem(add_inputs(mrml_scene)._replace(segmentation=empty))


def test_segmentation_of_new_segments_only_is_named(mrml_scene):
    node = mrml_scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "new one")
    node.GetSegmentation().AddEmptySegment("id_lung", "lung")
    assert "'new one' is empty" in input_problem(add_inputs(mrml_scene)._replace(segmentation=node))


@pytest.mark.parametrize(
    ("field", "geometry", "volume"), [("segmentation", FIXED, "exhale"), ("moving_segmentation", MOVING, "inhale")]
)
def test_segmentation_of_another_patient_is_named(mrml_scene, field, geometry, volume):
    other = add_segmentation(mrml_scene, "somebody else", masks(geometry.shape_kji), shifted(geometry))
    problem = input_problem(add_inputs(mrml_scene)._replace(**{field: other}))
    assert f"'somebody else' does not overlap with the volume '{volume}'" in problem


def test_segmentation_moved_away_by_its_parent_is_named(mrml_scene):
    inputs = add_inputs(mrml_scene)
    put_under(inputs.segmentation, add_linear_transform(mrml_scene, "away", FAR))
    assert "'organs' does not overlap with the volume 'exhale'" in input_problem(inputs)


def test_one_segmentation_for_both_volumes_is_named(mrml_scene):
    inputs = add_inputs(mrml_scene)
    problem = input_problem(inputs._replace(moving_segmentation=inputs.segmentation))
    assert "'organs' is selected as both fixed and moving segmentation" in problem


# Landmarks


@pytest.mark.parametrize(
    ("missing", "name", "other"), [("moving_landmarks", "F", "moving"), ("fixed_landmarks", "M", "fixed")]
)
def test_landmarks_of_one_volume_only_are_named(mrml_scene, missing, name, other):
    problem = input_problem(add_inputs(mrml_scene)._replace(**{missing: None}))
    assert f"'{name}' have no counterpart; choose landmarks in the {other} volume as well" in problem


def test_landmarks_of_different_length_are_named(mrml_scene):
    inputs = add_inputs(mrml_scene)
    inputs.moving_landmarks.RemoveNthControlPoint(0)
    assert "'F' and 'M' do not correspond: they have 3 and 2 defined points" in input_problem(inputs)


def test_equally_many_landmarks_of_which_other_ones_are_defined_are_named(mrml_scene):
    inputs = add_inputs(mrml_scene)
    inputs.fixed_landmarks.UnsetNthControlPointPosition(0)
    inputs.moving_landmarks.UnsetNthControlPointPosition(1)
    assert "'F' and 'M' do not correspond" in input_problem(inputs)


def test_landmarks_without_points_are_named(mrml_scene):
    lists = [add_markups(mrml_scene, name, []) for name in ("no points", "none either")]
    problem = input_problem(add_inputs(mrml_scene)._replace(fixed_landmarks=lists[0], moving_landmarks=lists[1]))
    assert "'no points' have no defined points" in problem


def test_one_list_of_landmarks_for_both_volumes_is_named(mrml_scene):
    inputs = add_inputs(mrml_scene)
    problem = input_problem(inputs._replace(moving_landmarks=inputs.fixed_landmarks))
    assert "'F' is selected as both fixed and moving landmarks" in problem


# Parent transforms


@pytest.mark.parametrize(
    ("fixed_field", "moving_field"), [("fixed", "moving"), ("segmentation", "moving"), ("fixed", "moving_segmentation")]
)
def test_common_parent_of_fixed_and_moving_is_named(mrml_scene, fixed_field, moving_field):
    inputs, patient = add_inputs(mrml_scene), add_linear_transform(mrml_scene, "patient", np.eye(4))
    bend = add_bend(mrml_scene)
    bend.SetAndObserveTransformNodeID(patient.GetID())
    put_under(getattr(inputs, fixed_field), patient)
    put_under(getattr(inputs, moving_field), bend)
    problem = input_problem(inputs)
    assert "both under the transform 'patient'" in problem
    assert all(f"'{getattr(inputs, field).GetName()}'" in problem for field in (fixed_field, moving_field))


# Hints


def test_sound_nodes_have_no_hints(mrml_scene):
    assert input_hints(add_inputs(mrml_scene)) == ()


def test_empty_segments_are_a_hint(mrml_scene):
    inputs = add_inputs(mrml_scene)
    inputs.segmentation.GetSegmentation().AddEmptySegment("id_heart", "heart")
    hints = input_hints(inputs)
    assert len(hints) == 1 and "'organs' has empty segments: heart." in hints[0]
    assert read_pair(*inputs) is not None


def test_no_moving_segmentation_is_a_hint(mrml_scene):
    hints = input_hints(add_inputs(mrml_scene)._replace(moving_segmentation=None))
    assert len(hints) == 1 and "Dice and surface distance cannot" in hints[0]


def test_little_overlap_is_a_hint(mrml_scene):
    inputs = add_inputs(mrml_scene)
    offset = np.eye(4)
    offset[:3, 3] = [12, -8, 14]
    for node in (inputs.moving, inputs.moving_segmentation):
        put_under(node, add_linear_transform(mrml_scene, "offset", offset))
    assert any("'inhale' and 'exhale' overlap by only" in hint for hint in input_hints(inputs))


def test_where_there_is_a_problem_there_are_no_hints(mrml_scene):
    assert input_hints(InputNodes(None, None, None)) == ()


# Agreement with reading, and speed


@pytest.mark.parametrize("under", ["nothing", "linear", "bend"])
def test_nodes_without_a_problem_can_be_read(mrml_scene, under):
    inputs = add_inputs(mrml_scene)
    if under != "nothing":
        parent = add_bend(mrml_scene) if under == "bend" else add_linear_transform(mrml_scene, "up", FAR)
        back = add_linear_transform(mrml_scene, "down", np.eye(4) if under == "bend" else np.linalg.inv(FAR))
        parent.SetAndObserveTransformNodeID(back.GetID())
        for node in (inputs.moving, inputs.moving_segmentation, inputs.moving_landmarks):
            put_under(node, parent)
    assert input_problem(inputs) is None
    assert read_pair(*inputs).moving_segmentation is not None


def clinical_inputs(scene: slicer.vtkMRMLScene) -> InputNodes:
    """Two CT volumes with twenty segments each, the moving ones under a deformation."""
    shape, matrix = (133, 285, 440), np.diag([0.97, 0.97, 2.5, 1.0])
    image = np.zeros(shape, np.int16)
    image[0, 0, 0] = 1
    segmentations = []
    for name in ("organs", "organs inhale"):
        node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
        labels = np.zeros(shape, np.uint8)
        for label in range(1, 21):
            labels[6 * label : 6 * label + 5, 20:240, 30:400] = label
        add_shared_segments(node, labels, matrix)
        segmentations.append(node)
    volumes = [add_volume(scene, name, image, matrix) for name in ("exhale", "inhale")]
    inputs = InputNodes(*volumes, *segmentations)
    put_under(inputs.moving, add_bend(scene))
    return inputs


def test_inputs_of_clinical_size_can_be_used(mrml_scene):
    assert input_problem(clinical_inputs(mrml_scene)) is None


def add_shared_segments(node, labels_kji: np.ndarray, matrix) -> None:
    """Segments 1..N of one common labelmap, as Slicer stores them."""
    labelmap = oriented_image(labels_kji, matrix)
    for label in range(1, int(labels_kji.max()) + 1):
        segment = slicer.vtkSegment()
        segment.SetLabelValue(label)
        segment.AddRepresentation(BINARY_LABELMAP, labelmap)
        node.GetSegmentation().AddSegment(segment, f"id_{label}")


def test_what_an_estimate_judges_by_has_to_be_there():
    """Only whether something is chosen; whether it can be used is the registration's question."""
    nothing, labels, points = InputNodes(1, 2, 3), InputNodes(1, 2, 3, 4), InputNodes(1, 2, 3, None, 5, 6)
    able = {
        objective: [objective_problem(objective, inputs) is None for inputs in (nothing, labels, points)]
        for objective in ("dice", "landmarks", "similarity")
    }
    assert able == {"dice": [False, True, False], "landmarks": [False, False, True], "similarity": [True] * 3}
    assert objective_problem("landmarks", points._replace(moving_landmarks=None)).endswith(".")


def test_panel_and_console_offer_every_alignment_of_the_core():
    assert ALIGNMENTS == MODES and tuple(choice.value for choice in Alignment) == MODES
    assert len({choice.label() for choice in Alignment}) == len(MODES)
