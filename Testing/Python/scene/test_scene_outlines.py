"""Segments as outlines while a result is shown, and the user's own display settings afterwards."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from display_state import saved
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
from TissueElasticRegistrationLib.scene.display.outlines import (
    FIXED_PIXELS,
    MOVING_PIXELS,
    hide_outlines,
    show_outlines,
)
from TissueElasticRegistrationLib.scene.input_fingerprint import state_of
from TissueElasticRegistrationLib.scene.nodes import InputNodes
from TissueElasticRegistrationLib.scene.read import read_pair
from TissueElasticRegistrationLib.scene.transform_hierarchy import is_under, take_off
from TissueElasticRegistrationLib.scene.write.live_transform import show_displacement

SHAPE = (6, 9, 11)
GRID = Geometry(SHAPE, oblique_matrix())
BONE_COLOR, LIVER_COLOR = (0.9, 0.8, 0.1), (0.2, 0.1, 0.7)


@pytest.fixture
def inputs(mrml_scene):
    """A pair with a result; both segmentations have a bone and a liver, the moving one in other colors and order."""
    fixed, moving = (
        add_volume(mrml_scene, name, smooth_array(SHAPE, seed), GRID.ijk_to_ras)
        for seed, name in enumerate(("fixed", "moving"))
    )
    bone, liver = smooth_array(SHAPE, 5) > 1, smooth_array(SHAPE, 6) > 1
    masks = {"F": {"bone": bone, "liver": liver}, "M": {"Liver": liver, "Bone": bone, "cyst": bone}}
    inputs = InputNodes(
        fixed, moving, *(add_segmentation(mrml_scene, name, masks[name], GRID.ijk_to_ras) for name in masks)
    )
    segmentation = inputs.segmentation.GetSegmentation()
    segmentation.GetSegment("id_bone").SetColor(*BONE_COLOR)
    segmentation.GetSegment("id_liver").SetColor(*LIVER_COLOR)
    show(inputs)
    return inputs


def show(inputs, seed: int = 8):
    """A result of the pair, made or changed."""
    field = np.stack([smooth_array(SHAPE, seed + axis) for axis in range(3)], -1).astype(np.float32)
    return show_displacement(inputs, field, GRID)


def displays(inputs) -> list:
    return [node.GetDisplayNode() for node in inputs[2:4]]


# What is shown


def test_fixed_segments_are_thick_and_moving_ones_thin_outlines(inputs):
    show_outlines(inputs)
    for display, pixels in zip(displays(inputs), (FIXED_PIXELS, MOVING_PIXELS), strict=True):
        assert display.GetVisibility2DOutline() and not display.GetVisibility2DFill()
        assert display.GetSliceIntersectionThickness() == pixels
    assert FIXED_PIXELS > MOVING_PIXELS


def test_moving_segments_have_the_colors_of_the_fixed_ones_of_the_same_name(inputs):
    moving = inputs.moving_segmentation
    own = {name: tuple(moving.GetSegmentation().GetSegment(f"id_{name}").GetColor()) for name in ("Bone", "cyst")}
    show_outlines(inputs)
    shown = {name: tuple(moving.GetDisplayNode().GetSegmentColor(f"id_{name}")) for name in ("Bone", "Liver", "cyst")}
    assert shown == {"Bone": BONE_COLOR, "Liver": LIVER_COLOR, "cyst": own["cyst"]}
    assert tuple(moving.GetSegmentation().GetSegment("id_Bone").GetColor()) == own["Bone"]


def test_hidden_fixed_segments_appear_in_slices_only(inputs):
    display = inputs.segmentation.GetDisplayNode()
    display.SetVisibility(False)
    before = saved(inputs.fixed.GetScene())
    show_outlines(inputs)
    assert display.GetVisibility() and display.GetVisibility2D() and not display.GetVisibility3D()
    hide_outlines(inputs.fixed.GetScene())
    assert saved(inputs.fixed.GetScene()) == before


def test_hidden_moving_segments_stay_as_they_are(inputs):
    inputs.moving_segmentation.GetDisplayNode().SetVisibility(False)
    changes = count_events(inputs.moving_segmentation.GetDisplayNode(), vtk.vtkCommand.ModifiedEvent)
    show_outlines(inputs)
    assert not changes
    assert inputs.moving_segmentation.GetParentTransformNode() is None


def test_without_a_result_nothing_changes(inputs):
    scene = inputs.fixed.GetScene()
    scene.RemoveNode(inputs.moving.GetParentTransformNode())
    before = saved(scene)
    show_outlines(inputs)
    assert saved(scene) == before


def test_a_second_call_changes_nothing(inputs):
    show_outlines(inputs)
    events = [count_events(display, vtk.vtkCommand.ModifiedEvent) for display in displays(inputs)]
    moved = count_events(inputs.moving_segmentation, slicer.vtkMRMLTransformableNode.TransformModifiedEvent)
    show_outlines(inputs)
    assert events == [[], []] and not moved


def test_a_segmentation_without_display_gets_none(inputs):
    scene = inputs.fixed.GetScene()
    for display in displays(inputs):
        scene.RemoveNode(display)
    before = node_ids(scene)
    show_outlines(inputs)
    hide_outlines(scene)
    assert node_ids(scene) == before


def test_a_segmentation_chosen_for_both_volumes_is_shown_as_the_fixed_one(inputs):
    show_outlines(inputs._replace(moving_segmentation=inputs.segmentation))
    assert inputs.segmentation.GetDisplayNode().GetSliceIntersectionThickness() == FIXED_PIXELS
    assert inputs.segmentation.GetParentTransformNode() is None


# Where the moving segments are


def test_moving_segments_are_where_the_moving_volume_is(inputs):
    show_outlines(inputs)
    result = inputs.moving.GetParentTransformNode()
    assert inputs.moving_segmentation.GetParentTransformNode() is result
    take_off(inputs.moving, result)
    show_outlines(inputs)
    assert inputs.moving_segmentation.GetParentTransformNode() is None


def test_their_own_transforms_come_before_the_result_and_stay(inputs):
    turn = add_linear_transform(inputs.fixed.GetScene(), "turn", oblique_matrix((1, 1, 1), (0, 0, 0), (2, 3, 4)))
    put_under(inputs.moving_segmentation, turn)
    show_outlines(inputs)
    result = inputs.moving.GetParentTransformNode()
    assert (inputs.moving_segmentation.GetParentTransformNode(), turn.GetParentTransformNode()) == (turn, result)
    hide_outlines(inputs.fixed.GetScene())
    assert (inputs.moving_segmentation.GetParentTransformNode(), turn.GetParentTransformNode()) == (turn, None)


def test_segments_that_the_user_has_put_under_the_result_stay_there(inputs):
    result = inputs.moving.GetParentTransformNode()
    put_under(inputs.moving_segmentation, result)
    show_outlines(inputs)
    hide_outlines(inputs.fixed.GetScene())
    assert is_under(inputs.moving_segmentation, result)


def test_they_are_no_other_input_for_a_registration(inputs):
    before, labels_kji = state_of(inputs), read_pair(*inputs).moving_segmentation.labels_kji
    show_outlines(inputs)
    assert inputs.moving_segmentation.GetParentTransformNode() is not None
    assert state_of(inputs) == before
    np.testing.assert_array_equal(read_pair(*inputs).moving_segmentation.labels_kji, labels_kji)


# What comes back


def test_everything_is_saved_afterwards_as_before(inputs):
    scene = inputs.fixed.GetScene()
    for number, display in enumerate(displays(inputs)):
        display.SetSliceIntersectionThickness(4 + number)
        display.SetOpacity2DFill(0.3)
        display.SetVisibility2DOutline(False)
    inputs.moving_segmentation.GetDisplayNode().SetSegmentOverrideColor("id_Bone", 0.1, 0.2, 0.3)
    before = saved(scene)
    show_outlines(inputs)
    assert saved(scene) != before
    hide_outlines(scene)
    assert saved(scene) == before


def test_hidden_while_moving_they_come_back_as_they_were(inputs):
    scene, display = inputs.fixed.GetScene(), inputs.moving_segmentation.GetDisplayNode()
    before = saved(scene)
    show_outlines(inputs, at_rest=False)
    assert not display.GetVisibility() and inputs.moving_segmentation.GetParentTransformNode() is not None
    show_outlines(inputs)
    assert display.GetVisibility()
    show_outlines(inputs, at_rest=False)
    hide_outlines(scene)
    assert saved(scene) == before


def test_what_the_user_changes_meanwhile_stays(inputs):
    for display in displays(inputs):
        display.SetSliceIntersectionThickness(4)
    show_outlines(inputs)
    fixed, moving = displays(inputs)
    fixed.SetVisibility2DFill(True)
    fixed.SetVisibility2DFill(False)
    fixed.SetVisibility2DOutline(False)
    moving.SetSliceIntersectionThickness(7)
    moving.SetSegmentOverrideColor("id_Bone", 0.1, 0.2, 0.3)
    show_outlines(inputs)
    hide_outlines(inputs.fixed.GetScene())
    assert (fixed.GetVisibility2DOutline(), fixed.GetSliceIntersectionThickness()) == (False, 4)
    assert moving.GetSliceIntersectionThickness() == 7 and moving.GetVisibility2DFill()
    assert tuple(moving.GetSegmentOverrideColor("id_Bone")) == (0.1, 0.2, 0.3)
    assert tuple(moving.GetSegmentOverrideColor("id_Liver")) == (-1, -1, -1)


def test_a_segmentation_that_is_chosen_no_longer_comes_back(inputs):
    scene = inputs.fixed.GetScene()
    before = saved(scene)
    show_outlines(inputs)
    show_outlines(inputs._replace(segmentation=None, moving_segmentation=None))
    assert saved(scene) == before


def test_nodes_and_segments_may_be_gone(inputs):
    show_outlines(inputs)
    scene = inputs.fixed.GetScene()
    inputs.moving_segmentation.GetSegmentation().RemoveSegment("id_Bone")
    scene.RemoveNode(inputs.moving.GetParentTransformNode())
    scene.RemoveNode(inputs.segmentation)
    show_outlines(inputs)
    assert inputs.moving_segmentation.GetDisplayNode().GetVisibility2DFill()
    assert inputs.moving_segmentation.GetParentTransformNode() is None


def test_a_scene_that_was_saved_with_outlines_has_the_users_own_display_after_loading(mrml_host, inputs, tmp_path):
    scene = inputs.fixed.GetScene()
    inputs.segmentation.GetDisplayNode().SetVisibility(False)
    for display in displays(inputs):
        display.SetSliceIntersectionThickness(4)
    show_outlines(inputs)
    mrml_host.save(tmp_path / "scene.mrb")
    mrml_host.load(tmp_path / "scene.mrb")
    hide_outlines(scene)
    fixed, moving = (scene.GetFirstNodeByName(name) for name in "FM")
    assert not fixed.GetDisplayNode().GetVisibility() and fixed.GetDisplayNode().GetVisibility3D()
    for display in (fixed.GetDisplayNode(), moving.GetDisplayNode()):
        assert display.GetVisibility2DFill() and display.GetSliceIntersectionThickness() == 4
    assert tuple(moving.GetDisplayNode().GetSegmentOverrideColor("id_Bone")) == (-1, -1, -1)
    assert moving.GetParentTransformNode() is None
    assert scene.GetFirstNodeByName("moving").GetParentTransformNode() is not None
