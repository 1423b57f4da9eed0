"""What slice views show: layers, fade and difference, looked at through Slicer's own slice logic."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from host.scene_builders import count_events, node_ids
from slice_view import COLUMNS, ROWS, SliceView, add_image, add_pair, ramp

from TissueElasticRegistrationLib.scene.display.views import current_layers, restore_layers, show_difference, show_fade
from TissueElasticRegistrationLib.scene.nodes import nodes_of_class


@pytest.fixture
def red(mrml_host, mrml_scene):
    view = SliceView(mrml_host, "Red")
    yield view
    view.close()


@pytest.fixture
def three_views(mrml_host, mrml_scene):
    views = [SliceView(mrml_host, name) for name in ("Red", "Green", "Map+")]
    yield views
    for view in views:
        view.close()


def displayed(volume) -> tuple:
    display = volume.GetDisplayNode()
    return (
        display.GetWindow(),
        display.GetLevel(),
        display.GetAutoWindowLevel(),
        display.GetColorNodeID(),
        display.GetInvertDisplayScalarRange(),
    )


# Fade


@pytest.mark.parametrize(("opacity", "expected"), [(0.0, 0.0), (0.3, 0.3), (1.0, 1.0)])
def test_fade_goes_from_fixed_to_moving(red, mrml_scene, opacity, expected):
    fixed, moving = (
        add_image(mrml_scene, name, np.full((ROWS, COLUMNS), value), 100, 50)
        for name, value in (("exhale", 20), ("inhale", 80))
    )
    show_fade(fixed, moving, opacity)
    assert red.pixels()[..., 0] == pytest.approx(255 * (0.2 + 0.6 * expected), abs=2)


def test_fade_shows_the_pair_in_every_view(three_views, mrml_scene):
    fixed, moving = add_pair(mrml_scene)
    show_fade(fixed, moving, 0.4)
    for view in three_views:
        shown = view.layers
        assert shown.GetBackgroundVolumeID() == fixed.GetID() and shown.GetForegroundVolumeID() == moving.GetID()
        assert shown.GetForegroundOpacity() == 0.4


def test_fade_without_any_view_is_fine(mrml_scene):
    fixed, moving = add_pair(mrml_scene)
    show_fade(fixed, moving, 0.5)
    assert current_layers(mrml_scene) == {}


def test_dragging_the_fade_fires_one_event_for_each_view_and_step(red, mrml_scene):
    fixed, moving = add_pair(mrml_scene)
    show_fade(fixed, moving, 0.4)
    events = count_events(red.layers, vtk.vtkCommand.ModifiedEvent)
    show_fade(fixed, moving, 0.5)
    show_fade(fixed, moving, 0.5)
    assert len(events) == 1


def test_fade_leaves_the_label_layer(red, mrml_scene):
    fixed, moving = add_pair(mrml_scene)
    labels = mrml_scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    red.layers.SetLabelVolumeID(labels.GetID())
    red.layers.SetLabelOpacity(0.7)
    show_fade(fixed, moving, 0.4)
    assert (red.layers.GetLabelVolumeID(), red.layers.GetLabelOpacity()) == (labels.GetID(), 0.7)


def test_fade_of_a_volume_that_is_gone_is_refused_by_name(red, mrml_scene):
    fixed, moving = add_pair(mrml_scene)
    mrml_scene.RemoveNode(moving)
    with pytest.raises(ValueError, match="'inhale' is no longer in the scene"):
        show_fade(fixed, moving, 0.4)


# Layers


def test_layers_are_restored_in_every_view(three_views, mrml_scene):
    fixed, moving = add_pair(mrml_scene)
    other = add_image(mrml_scene, "other", ramp(), 100, 50)
    for number, view in enumerate(three_views):
        view.layers.SetBackgroundVolumeID(other.GetID())
        view.layers.SetForegroundOpacity(0.1 * number)
        view.layers.SetCompositing(slicer.vtkMRMLSliceCompositeNode.Add)
    before = current_layers(mrml_scene)
    show_fade(fixed, moving, 0.4)
    assert current_layers(mrml_scene) != before
    restore_layers(mrml_scene, before)
    assert current_layers(mrml_scene) == before
    assert three_views[2].layers.GetForegroundOpacity() == pytest.approx(0.2)
    assert three_views[2].layers.GetForegroundVolumeID() is None


def test_layers_of_volumes_and_views_that_are_gone_are_left_out(three_views, mrml_scene):
    fixed, moving = add_pair(mrml_scene)
    show_fade(fixed, moving, 0.4)
    before = current_layers(mrml_scene)
    three_views[1].close()
    show_fade(moving, fixed, 0.9)
    mrml_scene.RemoveNode(moving)
    restore_layers(mrml_scene, before)
    shown = three_views[0].layers
    assert (shown.GetBackgroundVolumeID(), shown.GetForegroundVolumeID()) == (fixed.GetID(), None)


def test_layers_remembered_during_a_difference_are_those_before_it(red, mrml_scene):
    show_fade(*add_pair(mrml_scene), 0.4)
    before = current_layers(mrml_scene)
    show_difference(mrml_scene, True)
    assert current_layers(mrml_scene) == before
    restore_layers(mrml_scene, before)
    assert red.layers.GetCompositing() == slicer.vtkMRMLSliceCompositeNode.Alpha
    assert red.layers.GetForegroundOpacity() == 0.4


# Difference


def test_equal_intensities_are_the_same_gray_inside_and_outside_of_the_window(red, mrml_scene):
    show_fade(*add_pair(mrml_scene), 0.4)
    show_difference(mrml_scene, True)
    assert np.unique(red.pixels()[:2, :, :3]).tolist() == [128]


def test_difference_is_bright_where_fixed_is_brighter(red, mrml_scene):
    """10 of a window of 100 are 25 gray values, half of them because the grays have to fit twice into 256."""
    show_fade(*add_pair(mrml_scene), 0.4)
    show_difference(mrml_scene, True)
    inside = red.pixels()[:, 2:5, 0].astype(int)
    np.testing.assert_allclose(inside[2:4], 128 + 13, atol=1)
    np.testing.assert_allclose(inside[4:6], 128 - 38, atol=1)


@pytest.mark.parametrize("automatic", [False, True])
def test_switching_the_difference_off_restores_picture_and_display(red, mrml_scene, automatic):
    fixed, moving = add_pair(mrml_scene)
    moving.GetDisplayNode().SetInvertDisplayScalarRange(True)
    for volume in (fixed, moving):
        volume.GetDisplayNode().SetAutoWindowLevel(automatic)
    show_fade(fixed, moving, 0.4)
    nodes, pixels, displays = node_ids(mrml_scene), red.pixels(), [displayed(fixed), displayed(moving)]
    show_difference(mrml_scene, True)
    assert not np.array_equal(red.pixels(), pixels)
    show_difference(mrml_scene, False)
    assert np.array_equal(red.pixels(), pixels)
    assert [displayed(fixed), displayed(moving)] == displays
    assert node_ids(mrml_scene) == nodes


def test_difference_twice_is_as_once(red, mrml_scene):
    fixed, moving = add_pair(mrml_scene)
    show_fade(fixed, moving, 0.4)
    before = [displayed(fixed), displayed(moving)]
    show_difference(mrml_scene, True)
    nodes, pixels = len(node_ids(mrml_scene)), red.pixels()
    show_difference(mrml_scene, True)
    assert len(node_ids(mrml_scene)) == nodes and np.array_equal(red.pixels(), pixels)
    show_difference(mrml_scene, False)
    assert [displayed(fixed), displayed(moving)] == before


def test_fade_ends_the_difference(red, mrml_scene):
    fixed, moving = add_pair(mrml_scene)
    show_fade(fixed, moving, 0.4)
    nodes, pixels = node_ids(mrml_scene), red.pixels()
    show_difference(mrml_scene, True)
    show_fade(fixed, moving, 0.4)
    assert np.array_equal(red.pixels(), pixels) and node_ids(mrml_scene) == nodes


def test_difference_leaves_views_of_other_volumes(three_views, mrml_scene):
    show_fade(*add_pair(mrml_scene), 0.4)
    other = add_image(mrml_scene, "other", ramp() + 3, 70, 40)
    three_views[1].layers.SetForegroundVolumeID(other.GetID())
    three_views[2].layers.SetForegroundVolumeID(None)
    show_difference(mrml_scene, True)
    subtract = slicer.vtkMRMLSliceCompositeNode.Subtract
    assert [view.layers.GetCompositing() == subtract for view in three_views] == [True, False, False]


def test_difference_without_two_volumes_changes_nothing(red, mrml_scene):
    fixed, _ = add_pair(mrml_scene)
    red.layers.SetBackgroundVolumeID(fixed.GetID())
    nodes, pixels = node_ids(mrml_scene), red.pixels()
    show_difference(mrml_scene, True)
    assert np.array_equal(red.pixels(), pixels) and node_ids(mrml_scene) == nodes


def test_difference_of_a_saved_scene_can_be_switched_off(mrml_host, red, mrml_scene, tmp_path):
    fixed, moving = add_pair(mrml_scene)
    show_fade(fixed, moving, 0.4)
    before = [displayed(fixed)[:2], displayed(moving)[:2]]
    show_difference(mrml_scene, True)
    mrml_host.save(tmp_path / "scene.mrb")
    mrml_host.load(tmp_path / "scene.mrb")
    assert np.unique(red.pixels()[:2, :, :3]).tolist() == [128]
    show_difference(mrml_scene, False)
    fixed, moving = (mrml_scene.GetFirstNodeByName(name) for name in ("exhale", "inhale"))
    assert [displayed(fixed)[:2], displayed(moving)[:2]] == before
    assert displayed(moving)[3] == "vtkMRMLColorTableNodeGrey"
    assert red.layers.GetCompositing() == slicer.vtkMRMLSliceCompositeNode.Alpha
    assert not [
        node for node in nodes_of_class(mrml_scene, "vtkMRMLColorTableNode") if node.GetName().startswith("difference")
    ]


def test_difference_of_a_deleted_volume_can_be_switched_off(red, mrml_scene):
    fixed, moving = add_pair(mrml_scene)
    show_fade(fixed, moving, 0.4)
    before = displayed(fixed)
    show_difference(mrml_scene, True)
    mrml_scene.RemoveNode(moving)
    show_difference(mrml_scene, False)
    assert displayed(fixed) == before
    assert not [
        node for node in nodes_of_class(mrml_scene, "vtkMRMLColorTableNode") if node.GetName().startswith("difference")
    ]


# Closing the scene


def test_difference_does_not_outlive_its_scene(mrml_host, red, mrml_scene):
    """The nodes of views do: the next scene must not be shown with what was remembered in the last one."""
    show_fade(*add_pair(mrml_scene), 0.4)
    show_difference(mrml_scene, True)
    mrml_host.clear()
    assert red.layers.GetCompositing() == slicer.vtkMRMLSliceCompositeNode.Alpha
    red.layers.SetForegroundOpacity(0.9)
    show_difference(mrml_scene, False)
    assert red.layers.GetForegroundOpacity() == 0.9
