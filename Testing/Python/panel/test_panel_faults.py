"""Wrong inputs in the running panel: each is explained in one sentence where one looks for it, and is left again."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
import vtk
from host.mouse import choose, click, type_value
from host.scene_builders import add_bend, add_linear_transform, put_under
from panel_case import add_phantom, pause
from panel_faults import (
    assert_explained,
    assert_live_works,
    begin,
    deformation,
    is_sentence,
    look_again,
    make_steps_slow,
    remove,
)
from vtk.util.numpy_support import vtk_to_numpy

SHIFT = np.array([[1.0, 0, 0, 4], [0, 1, 0, 0], [0, 0, 1, -3], [0, 0, 0, 1]])


pytestmark = pytest.mark.usefixtures("quick_panel")


@pytest.fixture
def ready(panel):
    """The panel with all inputs chosen."""
    panel.choose_inputs(number=4)
    assert panel.ui.applyButton.enabled
    return panel


@pytest.fixture
def live(ready):
    """The panel that follows the sliders and has come to rest."""
    ready.switch_live_on()
    assert_live_works(ready)
    return ready


def empty(segmentation, segment_id: str):
    """Remove all voxels of a segment; returns what puts them back."""
    image = segmentation.GetBinaryLabelmapInternalRepresentation(segment_id)
    scalars = vtk_to_numpy(image.GetPointData().GetScalars())
    voxels = scalars.copy()

    def write(values):
        scalars[:] = values
        image.GetPointData().GetScalars().Modified()
        image.Modified()
        segmentation.GetSegmentation().InvokeEvent(slicer.vtkSegmentation.SourceRepresentationModified)

    write(0)
    return lambda: write(voxels)


# --- wrong from the start -------------------------------------------------------------------------------------------


def test_an_empty_scene_asks_for_its_inputs(panel):
    slicer.mrmlScene.Clear()
    pause(0.2)
    assert_explained(panel, "Choose a fixed volume, a moving volume and a segmentation of the fixed volume.")
    click(panel.ui.liveCheckBox)
    pause(0.2)
    assert_explained(panel, "Choose a fixed volume")


def test_the_same_volume_twice(ready):
    click(ready.ui.liveCheckBox)
    ready.rest()
    choose(ready.ui.movingSelector, "fixed")
    ready.rest()
    assert_explained(ready, "'fixed' is selected as both fixed and moving volume")
    choose(ready.ui.movingSelector, "moving")
    assert_live_works(ready)


def test_a_segmentation_of_another_patient(ready):
    other = add_phantom(slicer.mrmlScene, "other ", seed=6)
    far = add_linear_transform(
        slicer.mrmlScene, "far", np.array([[1.0, 0, 0, 2000], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    )
    put_under(other.segmentation, far)
    choose(ready.ui.segmentationSelector, "other fixed tissues")
    ready.rest()
    assert_explained(ready, "The segmentation 'other fixed tissues' does not overlap with the volume 'fixed'")


def test_volumes_without_display_nodes(panel):
    for volume in panel.nodes[:2]:
        remove(volume.GetDisplayNode())
    panel.choose_inputs(number=4)
    panel.switch_live_on()
    assert_live_works(panel)
    for name in ("gridCheckBox", "jacobianCheckBox", "jacobianCheckBox", "differenceCheckBox", "deformedCheckBox"):
        click(getattr(panel.ui, name))
        panel.rest()
    click(panel.ui.flickerButton)
    pause(1.2)
    click(panel.ui.applyButton)
    panel.rest()
    assert panel.ui.statusLabel.text.startswith("Registered")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(np.nan, "every voxel is NaN"), (np.inf, "not finite numbers"), (7.0, "the image is constant")],
)
def test_voxels_that_cannot_be_registered(ready, value, expected):
    voxels = slicer.util.arrayFromVolume(ready.nodes.moving).copy()
    slicer.util.updateVolumeFromArray(ready.nodes.moving, np.full(voxels.shape, value, np.float32))
    ready.switch_live_on()
    click(ready.ui.applyButton)
    ready.rest()
    for label in (ready.ui.liveStatusLabel, ready.ui.statusLabel):
        assert label.text.startswith("moving: ") and expected in label.text
    slicer.util.updateVolumeFromArray(ready.nodes.moving, voxels)
    look_again(ready)
    assert_live_works(ready)


def test_sixty_segments(panel):
    segmentation = panel.nodes.segmentation
    source = segmentation.GetSegmentation().GetNthSegment(0)
    for number in range(60 - segmentation.GetSegmentation().GetNumberOfSegments()):
        copy = slicer.vtkSegment()
        copy.DeepCopy(source)
        copy.SetName(f"copy {number}")
        segmentation.GetSegmentation().AddSegment(copy, f"copy_{number}")
    panel.choose_inputs(number=4)
    panel.switch_live_on()
    assert panel.ui.liveStatusLabel.text.startswith("Up to date")
    assert len(panel.tissue_ids) == 62


# --- transforms on the inputs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make", [lambda scene: add_linear_transform(scene, "shift", SHIFT), add_bend], ids=["linear", "bent"]
)
def test_a_transform_on_the_moving_volume_is_part_of_the_input(ready, make):
    put_under(ready.nodes.moving, make(slicer.mrmlScene))
    put_under(ready.nodes.moving_segmentation, ready.nodes.moving.GetParentTransformNode())
    inner = ready.nodes.moving.GetParentTransformNode()
    ready.switch_live_on()
    assert_live_works(ready)
    assert ready.nodes.moving.GetParentTransformNode() is inner
    assert inner.GetParentTransformNode() is not None


def test_fixed_and_moving_under_the_same_transform(ready):
    both = add_linear_transform(slicer.mrmlScene, "both", SHIFT)
    click(ready.ui.liveCheckBox)
    ready.rest()
    for node in ready.nodes[:4]:
        put_under(node, both)
    ready.widget.panel.parameters_changed()
    look_again(ready)
    assert_explained(ready, "are both under the transform 'both'")
    for node in ready.nodes[:3:2]:
        node.SetAndObserveTransformNodeID(None)
    look_again(ready)
    assert_live_works(ready)


# --- while live -----------------------------------------------------------------------------------------------------


def test_a_segment_that_is_emptied_and_restored_while_live(live):
    restore = empty(live.nodes.segmentation, "id_liver")
    look_again(live)
    assert "empty" in live.tissue("id_liver", "summary").text
    assert_live_works(live)
    assert "liver" in live.ui.hintsLabel.text
    restore()
    look_again(live)
    assert "empty" not in live.tissue("id_liver", "summary").text
    assert_live_works(live)


def test_all_segments_deleted_while_live_and_one_added_again(live):
    segmentation = live.nodes.segmentation.GetSegmentation()
    first = slicer.vtkSegment()
    first.DeepCopy(segmentation.GetNthSegment(0))
    segmentation.RemoveAllSegments()
    look_again(live)
    assert_explained(live, "The segmentation 'fixed tissues' has no segments.")
    segmentation.AddSegment(first, "again")
    look_again(live)
    assert_live_works(live)


@pytest.mark.parametrize("name", ["fixed", "moving", "segmentation"])
@pytest.mark.parametrize("resting", [True, False], ids=["resting", "running"])
def test_an_input_is_deleted_while_live(ready, monkeypatch, name, resting):
    if resting:
        ready.switch_live_on()
    else:
        make_steps_slow(monkeypatch)
        begin(ready, "live")
    remove(getattr(ready.nodes, name))
    look_again(ready)
    assert_explained(ready, "Choose a ")


def test_the_result_transform_is_deleted_while_a_slider_is_followed(ready, monkeypatch):
    make_steps_slow(monkeypatch)
    begin(ready, "live")
    remove(ready.transform)
    look_again(ready)
    assert_live_works(ready)


def test_the_result_transform_is_deleted_while_nothing_moves(live):
    remove(live.transform)
    look_again(live)
    type_value(live.tissue("id_liver", "muBox"), "40")
    assert_live_works(live)


def test_the_chosen_output_transform_is_deleted_while_live(ready, monkeypatch):
    chosen = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "chosen")
    ready.parameters.outputTransform = chosen
    make_steps_slow(monkeypatch)
    begin(ready, "live")
    assert ready.transform is chosen
    remove(chosen)
    look_again(ready)
    assert_live_works(ready)


@pytest.mark.parametrize("with_what", ["linear", "array"])
def test_the_result_transform_is_edited_while_live(live, with_what):
    transform = live.transform
    if with_what == "linear":
        transform.SetAndObserveTransformToParent(vtk.vtkTransform())
    else:
        slicer.util.arrayFromGridTransform(transform)[:] = 100.0
        transform.GetTransformFromParent().Modified()
    look_again(live)
    type_value(live.tissue("id_liver", "muBox"), "40")
    live.rest()
    assert_live_works(live)
    assert np.abs(deformation(live)).max() < 50


def test_what_cannot_be_drawn_is_explained_beside_its_switch(live):
    live.transform.Inverse()
    click(live.ui.jacobianCheckBox)
    pause(0.1)
    assert "contains no displacement grid" in live.ui.displayProblemLabel.text
    type_value(live.tissue("id_liver", "muBox"), "40")
    live.rest()
    click(live.ui.jacobianCheckBox)
    pause(0.1)
    assert live.ui.displayProblemLabel.text == ""


def test_another_modules_transform_is_put_on_the_moving_volume_while_live(live):
    live.nodes.moving.SetAndObserveTransformNodeID(None)
    shift = add_linear_transform(slicer.mrmlScene, "shift", SHIFT)
    put_under(live.nodes.moving, shift)
    look_again(live)
    assert_live_works(live)
    assert live.nodes.moving.GetParentTransformNode() is shift
    assert shift.GetParentTransformNode() is not None


def test_the_result_transform_is_put_under_another_one_while_live(live):
    other = add_linear_transform(slicer.mrmlScene, "other", SHIFT)
    put_under(live.transform, other)
    type_value(live.tissue("id_liver", "muBox"), "40")
    live.rest()
    text = live.ui.liveStatusLabel.text
    assert "is under the transform 'other'" in text and is_sentence(text)
    live.transform.SetAndObserveTransformNodeID(None)
    type_value(live.tissue("id_liver", "muBox"), "4")
    assert_live_works(live)


def test_the_moving_voxels_are_replaced_while_live(live):
    before = deformation(live)
    array = slicer.util.arrayFromVolume(live.nodes.moving)
    slicer.util.updateVolumeFromArray(live.nodes.moving, np.roll(array, 2, axis=2))
    look_again(live)
    assert np.abs(deformation(live) - before).max() > 1.0
    assert_live_works(live)


def test_the_moving_volume_loses_its_voxels_while_live(live):
    image = live.nodes.moving.GetImageData()
    live.nodes.moving.SetAndObserveImageData(None)
    look_again(live)
    assert_explained(live, "The moving volume 'moving' is empty.")
    live.nodes.moving.SetAndObserveImageData(image)
    look_again(live)
    assert_live_works(live)


def test_segments_are_renamed_and_deleted_while_live(live):
    segmentation = live.nodes.segmentation.GetSegmentation()
    segmentation.GetSegment("id_liver").SetName("Leber")
    segmentation.RemoveSegment(segmentation.GetNthSegmentID(0))
    look_again(live)
    assert_live_works(live)


def test_another_segmentation_is_chosen_while_live(live):
    add_phantom(slicer.mrmlScene, "other ")
    choose(live.ui.segmentationSelector, "other fixed tissues")
    assert_live_works(live)


def test_what_was_set_for_a_deleted_segmentation_does_not_pass_to_another_one(live):
    add_phantom(slicer.mrmlScene, "other ")
    start = live.tissue("id_bone", "muBox").text
    type_value(live.tissue("id_bone", "muBox"), "0.3")
    live.rest()
    remove(live.nodes.segmentation)
    look_again(live)
    choose(live.ui.segmentationSelector, "other fixed tissues")
    live.rest()
    assert live.tissue("id_bone", "muBox").text == start


def test_an_unknown_model_is_named_and_can_be_left(ready):
    ready.parameters.model = "thorax pack"
    pause(0.2)
    assert_explained(ready, "The model 'thorax pack' is not installed")
    ready.open("modelButton")
    assert ready.ui.modelSelector.currentText == "thorax pack (not installed)"
    choose(ready.ui.modelSelector, "Direct solver")
    pause(0.2)
    assert ready.ui.applyButton.enabled
