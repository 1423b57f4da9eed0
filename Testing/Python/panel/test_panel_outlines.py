"""Outlines and paused volume rendering, from the first picture of Live until the user goes on to something else."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
from display_state import saved
from host.mouse import choose, click, hold, let_go, move_to
from host.scene_builders import node_ids
from panel_case import NAME, add_phantom, pause, phantom
from scipy.ndimage import map_coordinates, maximum_filter, minimum_filter

INNER_VOXELS = 5  # size of the neighborhood that is one tissue
GRAY_STEPS = 3.0


@pytest.fixture
def live(quick_panel, panel):
    """Live shows a result; ``live.before``: what a scene file said about the segmentations before."""
    panel.nodes.segmentation.GetDisplayNode().SetSliceIntersectionThickness(5)
    panel.choose_inputs()
    panel.before = saved(slicer.mrmlScene)
    panel.switch_live_on()
    come_to_rest(panel)
    assert saved(slicer.mrmlScene) != panel.before
    return panel


def come_to_rest(panel) -> None:
    """Until the moving segments are shown again, too."""
    panel.rest()
    pause(0.5)


def add_volume_rendering(volume) -> slicer.vtkMRMLVolumeRenderingDisplayNode:
    display = slicer.mrmlScene.AddNode(slicer.vtkMRMLGPURayCastVolumeRenderingDisplayNode())
    volume.AddAndObserveDisplayNodeID(display.GetID())
    display.SetVisibility(True)
    return display


def inner_points(points_ras_mm: np.ndarray) -> np.ndarray:
    """Which points are well inside of a tissue of the fixed image."""
    labels_kji, geometry = phantom().fixed_segmentation.labels_kji, phantom().fixed.geometry
    plane = labels_kji[0]
    inner = (maximum_filter(plane, INNER_VOXELS) == minimum_filter(plane, INNER_VOXELS)) & (plane > 0)
    to_ijk = np.linalg.inv(geometry.ijk_to_ras)
    ijk = points_ras_mm @ to_ijk[:3, :3].T + to_ijk[:3, 3]
    return map_coordinates(inner.astype(float), [ijk[:, 1], ijk[:, 0]], order=0) > 0


def shown_colors(panel) -> set[tuple[int, ...]]:
    return set(map(tuple, panel.pixels().reshape(-1, 3).tolist()))


def test_live_shows_the_image_within_the_segments_and_their_color_at_the_border(panel):
    for landmarks in panel.nodes[4:]:
        landmarks.GetDisplayNode().SetVisibility(False)
    panel.choose_inputs()
    points, colors = panel.probe()
    inner = inner_points(points)
    assert np.mean(np.ptp(colors[inner], axis=-1) > GRAY_STEPS) > 0.97
    panel.switch_live_on()
    come_to_rest(panel)
    points, colors = panel.probe()
    assert np.mean(np.ptp(colors[inner_points(points)], axis=-1) <= GRAY_STEPS) > 0.97  # moved borders are no further
    segmentation = panel.nodes.segmentation.GetSegmentation()
    for segment_id in segmentation.GetSegmentIDs():
        color = tuple(int(255 * part + 0.5) for part in segmentation.GetSegment(segment_id).GetColor())
        assert min(max(abs(a - b) for a, b in zip(color, shown, strict=True)) for shown in shown_colors(panel)) <= 1


def leave(panel):
    panel.host.leave_module()


def choose_another_pair(panel):
    before = node_ids(slicer.mrmlScene)
    add_phantom(slicer.mrmlScene, "other ", seed=6)
    choose(panel.ui.movingSelector, "other moving")
    panel.rest()
    for node_id in node_ids(slicer.mrmlScene) - before:
        slicer.mrmlScene.RemoveNode(slicer.mrmlScene.GetNodeByID(node_id))


def switch_off(panel):
    click(panel.ui.liveCheckBox)
    click(panel.ui.outlinesCheckBox)
    panel.rest()


def remove_the_result(panel):
    click(panel.ui.liveCheckBox)
    slicer.mrmlScene.RemoveNode(panel.transform)
    panel.rest()


@pytest.mark.parametrize("end", [leave, choose_another_pair, switch_off, remove_the_result])
def test_the_users_own_display_comes_back(live, end):
    end(live)
    assert saved(slicer.mrmlScene) == live.before


def test_outlines_are_there_again_when_the_module_is_entered_again(live):
    outlined = saved(slicer.mrmlScene)
    leave(live)
    live.host.enter_module(NAME)
    come_to_rest(live)
    assert saved(slicer.mrmlScene) == outlined


def test_moving_segments_follow_before_and_after(live):
    moving = live.nodes.moving_segmentation
    assert moving.GetParentTransformNode() is live.transform is not None
    click(live.ui.deformedCheckBox)
    live.rest()
    assert moving.GetParentTransformNode() is None
    click(live.ui.deformedCheckBox)
    live.rest()
    assert moving.GetParentTransformNode() is live.transform is not None


def test_moving_segments_are_hidden_while_a_slider_is_dragged(live):
    display, slider = live.nodes.moving_segmentation.GetDisplayNode(), live.tissue("id_liver", "mu")
    hold(slider)
    shown = []
    for place in (0.7, 0.8, 0.9):
        move_to(slider, place)
        pause(0.02)
        shown.append(display.GetVisibility())
    let_go(slider, 0.9)
    assert not any(shown)
    come_to_rest(live)
    assert display.GetVisibility()


def test_moving_segments_stay_while_the_deformation_settles(live):
    display, shown = live.nodes.moving_segmentation.GetDisplayNode(), []
    tag = live.transform.AddObserver(
        slicer.vtkMRMLTransformableNode.TransformModifiedEvent, lambda *_: shown.append(display.GetVisibility())
    )
    live.tissue("id_liver", "mu").value += 200
    come_to_rest(live)
    live.transform.RemoveObserver(tag)
    assert shown and all(shown)


def test_apply_shows_outlines(quick_panel, panel):
    panel.choose_inputs()
    click(panel.ui.applyButton)
    panel.rest()
    assert not panel.nodes.segmentation.GetDisplayNode().GetVisibility2DFill()


def test_a_saved_scene_is_put_right_where_the_module_is_never_opened(live, tmp_path):
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    leave(live)
    slicer.mrmlScene.Clear()
    live.widget.removeObservers()
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    assert slicer.mrmlScene.GetFirstNodeByName("fixed tissues").GetDisplayNode().GetVisibility2DFill()


def test_a_result_that_is_only_chosen_changes_nothing(live):
    leave(live)
    before = saved(slicer.mrmlScene)
    live.host.reload_module(NAME)
    live.rest()
    assert saved(slicer.mrmlScene) == before


def test_a_scene_that_is_saved_meanwhile_is_loaded_with_the_users_own_display(live, tmp_path):
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear()
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    live.rest()
    displays = [
        slicer.mrmlScene.GetFirstNodeByName(node).GetDisplayNode() for node in ("fixed tissues", "moving tissues")
    ]
    assert [display.GetVisibility2DFill() for display in displays] == [True, True]
    assert [display.GetSliceIntersectionThickness() for display in displays] == [5, 1]


@pytest.mark.parametrize("end", [leave, lambda panel: click(panel.ui.liveCheckBox), choose_another_pair])
def test_volume_rendering_of_the_moving_volume_pauses_while_live_is_on(quick_panel, panel, end):
    moving, fixed = add_volume_rendering(panel.nodes.moving), add_volume_rendering(panel.nodes.fixed)
    panel.choose_inputs()
    assert moving.GetVisibility() and not panel.ui.displayProblemLabel.text
    panel.switch_live_on()
    assert (moving.GetVisibility(), fixed.GetVisibility()) == (0, 1)
    assert "volume rendering of 'moving' is paused" in panel.ui.displayProblemLabel.text
    end(panel)
    panel.rest()
    assert moving.GetVisibility() and not panel.ui.displayProblemLabel.text


def test_volume_rendering_that_the_user_switches_on_again_stays_on(quick_panel, panel):
    display = add_volume_rendering(panel.nodes.moving)
    panel.choose_inputs()
    panel.switch_live_on()
    display.SetVisibility(True)
    panel.tissue("id_liver", "mu").value += 20
    panel.rest()
    assert display.GetVisibility() and not panel.ui.displayProblemLabel.text


def test_volume_rendering_that_was_off_stays_off(quick_panel, panel):
    display = add_volume_rendering(panel.nodes.moving)
    display.SetVisibility(False)
    panel.choose_inputs()
    panel.switch_live_on()
    assert not panel.ui.displayProblemLabel.text
    click(panel.ui.liveCheckBox)
    panel.rest()
    assert not display.GetVisibility()
