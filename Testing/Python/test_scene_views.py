"""What slice views show: layers, fade, difference, grid and Jacobian, looked at through Slicer's own slice logic."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from host.scene_builders import add_linear_transform, add_volume, count_events, node_ids, oblique_matrix, smooth_array

from TissueElasticRegistrationLib.core.geometry import Geometry
from TissueElasticRegistrationLib.scene.grid_transform import write_transform
from TissueElasticRegistrationLib.scene.nodes import nodes_of_class
from TissueElasticRegistrationLib.scene.overlays import (
    remove_jacobian_overlay,
    show_grid,
    show_jacobian_overlay,
    write_jacobian_overlay,
)
from TissueElasticRegistrationLib.scene.views import current_layers, restore_layers, show_difference, show_fade
from TissueElasticRegistrationLib.scene.vtk_images import image_array

COLUMNS, ROWS = 8, 6
GRID = Geometry((10, 15, 18), oblique_matrix())
YELLOW = (255, 230, 0)


class SliceView:
    """The middle slice of small volumes (3 slices of ROWS x COLUMNS voxels of 1 mm), one pixel for each voxel."""

    def __init__(self, host, name: str) -> None:
        before = node_ids(host.scene)
        self.scene = host.scene
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(host.application_logic)
        self.logic.SetMRMLScene(host.scene)
        self.node = self.logic.AddSliceNode(name)
        self.layers = self.logic.GetSliceCompositeNode()
        self.node.SetDimensions(COLUMNS, ROWS, 1)
        self.node.SetFieldOfView(COLUMNS, ROWS, 1)
        # Rows and columns as in the array: x to the right, y upwards, voxel centres on pixel centres.
        centre = [(COLUMNS - 1) / 2, (ROWS - 1) / 2, 1]
        for row, position in enumerate(centre):
            for column in range(3):
                self.node.GetSliceToRAS().SetElement(row, column, float(row == column))
            self.node.GetSliceToRAS().SetElement(row, 3, position + (0.5 if row < 2 else 0))
        self.node.UpdateMatrices()
        self.node_ids = node_ids(host.scene) - before

    def pixels(self) -> np.ndarray:
        """(ROWS, COLUMNS, 4) RGBA of the blended layers."""
        self.logic.UpdatePipeline()
        producer = self.logic.GetImageDataConnection().GetProducer()
        producer.Update()
        return image_array(producer.GetOutputDataObject(0))[0].copy()

    def close(self) -> None:
        """Nodes of views outlive the scene."""
        self.logic.SetMRMLScene(None)
        for node_id in self.node_ids:
            if self.scene.GetNodeByID(node_id) is not None:
                self.scene.RemoveNode(self.scene.GetNodeByID(node_id))


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


def add_image(scene, name: str, plane: np.ndarray, window: float, level: float):
    """Three equal slices with a window and level of their own."""
    node = add_volume(scene, name, np.repeat(plane[None].astype(np.float32), 3, 0))
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAutoWindowLevel(False)
    node.GetDisplayNode().SetWindowLevel(window, level)
    node.GetDisplayNode().SetInterpolate(False)
    return node


def ramp() -> np.ndarray:
    """0, 20 ... 140 along a row: partly below and partly above the window 20 to 120 used here."""
    return np.tile(np.arange(COLUMNS) * 20.0, (ROWS, 1))


def add_pair(scene):
    """Moving is equal in rows 0 and 1, darker by 10 in 2 and 3, brighter by 30 in 4 and 5."""
    moving = ramp()
    moving[2:4] -= 10
    moving[4:6] += 30
    return add_image(scene, "exhale", ramp(), 100, 70), add_image(scene, "inhale", moving, 300, 0)


def displayed(volume) -> tuple:
    display = volume.GetDisplayNode()
    return (display.GetWindow(), display.GetLevel(), display.GetAutoWindowLevel(), display.GetColorNodeID(),
            display.GetInvertDisplayScalarRange())


def add_deformation(scene):
    transform = scene.AddNewNodeByClass("vtkMRMLTransformNode", "T")
    field = np.stack([smooth_array(GRID.shape_kji, 5 + axis, 3) for axis in range(3)], -1)
    write_transform((0.7 * field + [2, -1, 0.5]).astype(np.float32), GRID, transform)
    return transform


# Fade


@pytest.mark.parametrize(("opacity", "expected"), [(0.0, 0.0), (0.3, 0.3), (1.0, 1.0)])
def test_fade_goes_from_fixed_to_moving(red, mrml_scene, opacity, expected):
    fixed, moving = (add_image(mrml_scene, name, np.full((ROWS, COLUMNS), value), 100, 50)
                     for name, value in (("exhale", 20), ("inhale", 80)))
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


def test_equal_intensities_are_the_same_grey_inside_and_outside_of_the_window(red, mrml_scene):
    show_fade(*add_pair(mrml_scene), 0.4)
    show_difference(mrml_scene, True)
    assert np.unique(red.pixels()[:2, :, :3]).tolist() == [128]


def test_difference_is_bright_where_fixed_is_brighter(red, mrml_scene):
    """10 of a window of 100 are 25 grey values, half of them because the greys have to fit twice into 256."""
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
    assert not [node for node in nodes_of_class(mrml_scene, "vtkMRMLColorTableNode")
                if node.GetName().startswith("difference")]


def test_difference_of_a_deleted_volume_can_be_switched_off(red, mrml_scene):
    fixed, moving = add_pair(mrml_scene)
    show_fade(fixed, moving, 0.4)
    before = displayed(fixed)
    show_difference(mrml_scene, True)
    mrml_scene.RemoveNode(moving)
    show_difference(mrml_scene, False)
    assert displayed(fixed) == before
    assert not [node for node in nodes_of_class(mrml_scene, "vtkMRMLColorTableNode")
                if node.GetName().startswith("difference")]


# Deformation grid


def grid_lines(transform, view: SliceView) -> np.ndarray:
    """(N, 3) points of the lines Slicer draws in a view, in RAS mm."""
    lines = vtk.vtkPolyData()
    slicer.vtkSlicerTransformLogic.GetVisualization2d(lines, transform.GetDisplayNode(), view.node, None)
    return np.array([lines.GetPoint(n) for n in range(lines.GetNumberOfPoints())])


def test_grid_lines_are_bent_as_the_moving_image_is(red, mrml_scene):
    """Each grid point is drawn where a point of the moving image at this place is shown, within the slice's plane."""
    transform = add_deformation(mrml_scene)
    show_grid(transform, True, spacing_mm=3.0)
    straight = add_linear_transform(mrml_scene, "straight", np.eye(4))
    show_grid(straight, True, spacing_mm=3.0)
    to_world = vtk.vtkGeneralTransform()
    transform.GetTransformToWorld(to_world)
    rest = grid_lines(straight, red)
    expected = np.array([to_world.TransformPoint(p) for p in rest])
    drawn = grid_lines(transform, red)
    assert len(rest) > 20 and np.abs(drawn - rest)[:, :2].max() > 1
    np.testing.assert_allclose(drawn[:, :2], expected[:, :2], atol=1e-3)
    np.testing.assert_allclose(drawn[:, 2], rest[:, 2], atol=1e-4)


def test_grid_is_on_slice_views_only_and_goes_off(mrml_scene):
    transform = add_deformation(mrml_scene)
    show_grid(transform, True, spacing_mm=3.0)
    display = transform.GetDisplayNode()
    assert display.GetVisibility() and display.GetVisibility2D() and not display.GetVisibility3D()
    assert display.GetVisualizationMode() == display.VIS_MODE_GRID
    show_grid(transform, False)
    assert not display.GetVisibility()


@pytest.mark.parametrize(("shape", "spacing", "expected"), [((133, 285, 440), (0.97, 0.97, 2.5), 20.0),
                                                            ((12, 14, 17), (1.0, 1.3, 2.5), 2.0),
                                                            ((1, 256, 256), (0.5, 0.5, 8.0), 5.0)])
def test_grid_spacing_follows_the_size_of_the_region(mrml_scene, shape, spacing, expected):
    region = add_volume(mrml_scene, "exhale", np.zeros(shape, np.uint8), oblique_matrix(spacing))
    transform = add_deformation(mrml_scene)
    show_grid(transform, True, region=region)
    assert transform.GetDisplayNode().GetGridSpacingMm() == expected


def test_users_grid_spacing_stays_when_the_grid_is_switched_on_again(mrml_scene):
    region = add_volume(mrml_scene, "exhale", np.zeros((20, 20, 20), np.uint8))
    transform = add_deformation(mrml_scene)
    show_grid(transform, True, region=region)
    transform.GetDisplayNode().SetGridSpacingMm(7.0)
    show_grid(transform, False)
    show_grid(transform, True, region=region)
    assert transform.GetDisplayNode().GetGridSpacingMm() == 7.0


def test_grid_makes_one_display_node_once(mrml_scene):
    transform = add_deformation(mrml_scene)
    before = node_ids(mrml_scene)
    for on in (False, True, True, False, True, False):
        show_grid(transform, on, spacing_mm=3.0)
    assert node_ids(mrml_scene) - before == {transform.GetDisplayNode().GetID()}
    assert not transform.GetDisplayNode().GetScalarVisibility()  # else a view makes a colour node when it draws


# Jacobian


def jacobian_plane() -> np.ndarray:
    """The values of interest in the columns of each row: folding, shrinking, unchanged, growing."""
    return np.tile([-1.0, 0.0, 0.001, 0.5, 1.0, 1.5, 2.0, 9.0], (ROWS, 1))


def add_overlay(scene, plane: np.ndarray, transform=None):
    transform = transform or add_linear_transform(scene, "T", np.eye(4))
    jacobian = np.repeat(plane[None], 3, 0)
    return transform, write_jacobian_overlay(jacobian, Geometry(jacobian.shape, np.eye(4)), transform)


def test_jacobian_is_yellow_blue_white_red(red, mrml_scene):
    _, volume = add_overlay(mrml_scene, jacobian_plane())
    show_jacobian_overlay(volume, 1.0)
    volume.GetDisplayNode().SetInterpolate(False)
    folding, zero, nearly, shrinks, unchanged, grows, double, more = red.pixels()[2, :, :3].astype(int)
    assert tuple(folding) == tuple(zero) == YELLOW
    assert nearly[2] > 200 and nearly[0] < 50
    assert shrinks[2] > shrinks[0] + 60 and grows[0] > grows[2] + 60
    assert unchanged.min() >= 254
    assert tuple(double) == tuple(more) and double[0] > 200 and double[2] < 50


def test_jacobian_lies_over_the_background_with_its_opacity(red, mrml_scene):
    fixed, _ = add_pair(mrml_scene)
    red.layers.SetBackgroundVolumeID(fixed.GetID())
    _, volume = add_overlay(mrml_scene, np.ones((ROWS, COLUMNS)))
    plain = red.pixels()[..., 0].astype(float)
    show_jacobian_overlay(volume, 0.4)
    np.testing.assert_allclose(red.pixels()[..., 0], 0.6 * plain + 0.4 * 255, atol=2)


def test_jacobian_lies_where_its_geometry_says(mrml_scene):
    transform = add_linear_transform(mrml_scene, "T", np.eye(4))
    array = smooth_array(GRID.shape_kji, 3)
    volume = write_jacobian_overlay(array, GRID, transform)
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    np.testing.assert_allclose(slicer.util.arrayFromVTKMatrix(matrix), GRID.ijk_to_ras, atol=1e-9)
    np.testing.assert_allclose(slicer.util.arrayFromVolume(volume), array, atol=1e-6)


def test_jacobian_is_rewritten_in_place_and_shown(red, mrml_scene):
    transform, volume = add_overlay(mrml_scene, np.ones((ROWS, COLUMNS)))
    show_jacobian_overlay(volume, 1.0)
    assert red.pixels()[..., :3].min() >= 254
    nodes, scalars = node_ids(mrml_scene), volume.GetImageData().GetPointData().GetScalars()
    events = count_events(volume, vtk.vtkCommand.ModifiedEvent)
    assert add_overlay(mrml_scene, -np.ones((ROWS, COLUMNS)), transform)[1] is volume
    assert volume.GetImageData().GetPointData().GetScalars() is scalars and len(events) == 1
    assert node_ids(mrml_scene) == nodes
    assert np.unique(red.pixels()[..., :3].reshape(-1, 3), axis=0).tolist() == [list(YELLOW)]


def test_jacobian_on_another_grid_uses_the_same_node(red, mrml_scene):
    transform, volume = add_overlay(mrml_scene, np.ones((ROWS, COLUMNS)))
    nodes, array = node_ids(mrml_scene), smooth_array(GRID.shape_kji, 3)
    assert write_jacobian_overlay(array, GRID, transform) is volume and node_ids(mrml_scene) == nodes
    np.testing.assert_allclose(slicer.util.arrayFromVolume(volume), array, atol=1e-6)


def test_users_window_of_the_jacobian_stays(mrml_scene):
    transform, volume = add_overlay(mrml_scene, jacobian_plane())
    volume.GetDisplayNode().SetWindowLevel(0.5, 1.0)
    add_overlay(mrml_scene, jacobian_plane() + 1, transform)
    assert (volume.GetDisplayNode().GetWindow(), volume.GetDisplayNode().GetLevel()) == (0.5, 1.0)


def test_removed_jacobian_leaves_nothing_behind_and_the_background_alone(mrml_host, red, mrml_scene, tmp_path):
    """Also not the storage nodes that saving adds."""
    fixed, _ = add_pair(mrml_scene)
    red.layers.SetBackgroundVolumeID(fixed.GetID())
    transform = add_deformation(mrml_scene)
    mrml_host.save(tmp_path / "before.mrb")
    nodes, pixels = node_ids(mrml_scene), red.pixels()
    _, volume = add_overlay(mrml_scene, jacobian_plane(), transform)
    show_jacobian_overlay(volume, 0.5)
    mrml_host.save(tmp_path / "after.mrb")
    remove_jacobian_overlay(transform)
    assert node_ids(mrml_scene) == nodes
    assert red.layers.GetForegroundVolumeID() is None and np.array_equal(red.pixels(), pixels)
    remove_jacobian_overlay(transform)
    assert node_ids(mrml_scene) == nodes


def test_jacobian_of_a_saved_scene_has_its_colours_and_is_used_again(mrml_host, red, mrml_scene, tmp_path):
    _, volume = add_overlay(mrml_scene, jacobian_plane())
    show_jacobian_overlay(volume, 1.0)
    pixels = red.pixels()
    mrml_host.save(tmp_path / "scene.mrb")
    mrml_host.load(tmp_path / "scene.mrb")
    np.testing.assert_allclose(red.pixels().astype(int), pixels.astype(int), atol=1)
    transform = mrml_scene.GetFirstNodeByName("T")
    before = node_ids(mrml_scene)
    add_overlay(mrml_scene, jacobian_plane(), transform)
    assert node_ids(mrml_scene) == before
    remove_jacobian_overlay(transform)
    assert mrml_scene.GetFirstNodeByName("Jacobian determinant") is None


def test_jacobian_lies_beside_its_transform_in_the_subject_hierarchy(mrml_scene):
    transform = add_deformation(mrml_scene)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(mrml_scene)
    folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "patient")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(transform), folder)
    _, volume = add_overlay(mrml_scene, jacobian_plane(), transform)
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(volume)) == folder


def test_jacobian_that_does_not_fit_is_refused_by_name(mrml_scene):
    transform = add_deformation(mrml_scene)
    before = node_ids(mrml_scene)
    with pytest.raises(ValueError, match="'T' must have the shape"):
        write_jacobian_overlay(np.ones((3, 4, 5)), GRID, transform)
    assert node_ids(mrml_scene) == before


# Closing the scene


def test_closing_the_scene_with_everything_on_leaves_nothing(mrml_host, red, mrml_scene):
    mrml_host.clear()
    before = {node_id.rstrip("0123456789") for node_id in node_ids(mrml_scene)}
    show_fade(*add_pair(mrml_scene), 0.4)
    transform = add_deformation(mrml_scene)
    show_grid(transform, True, spacing_mm=3.0)
    show_difference(mrml_scene, True)
    add_overlay(mrml_scene, jacobian_plane(), transform)
    mrml_host.clear()
    assert {node_id.rstrip("0123456789") for node_id in node_ids(mrml_scene)} == before


def test_difference_does_not_outlive_its_scene(mrml_host, red, mrml_scene):
    """The nodes of views do: the next scene must not be shown with what was remembered in the last one."""
    show_fade(*add_pair(mrml_scene), 0.4)
    show_difference(mrml_scene, True)
    mrml_host.clear()
    assert red.layers.GetCompositing() == slicer.vtkMRMLSliceCompositeNode.Alpha
    red.layers.SetForegroundOpacity(0.9)
    show_difference(mrml_scene, False)
    assert red.layers.GetForegroundOpacity() == 0.9
