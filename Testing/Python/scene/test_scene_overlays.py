"""Deformation grid and Jacobian over the slices, looked at through Slicer's own slice logic."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from host.scene_builders import add_linear_transform, add_volume, count_events, node_ids, oblique_matrix, smooth_array
from slice_view import COLUMNS, ROWS, SliceView, add_pair

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.reporting.pictures import BLUE, FOLDED, RED, WHITE
from TissueElasticRegistrationLib.scene.display.overlays import (
    remove_jacobian_overlay,
    show_grid,
    show_jacobian_overlay,
    write_jacobian_overlay,
)
from TissueElasticRegistrationLib.scene.display.views import show_difference, show_fade
from TissueElasticRegistrationLib.scene.write.grid_transform import write_transform

GRID = Geometry((10, 15, 18), oblique_matrix())


@pytest.fixture
def red(mrml_host, mrml_scene):
    view = SliceView(mrml_host, "Red")
    yield view
    view.close()


def add_deformation(scene):
    transform = scene.AddNewNodeByClass("vtkMRMLTransformNode", "T")
    field = np.stack([smooth_array(GRID.shape_kji, 5 + axis, 3) for axis in range(3)], -1)
    write_transform((0.7 * field + [2, -1, 0.5]).astype(np.float32), GRID, transform)
    return transform


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


@pytest.mark.parametrize(
    ("shape", "spacing", "expected"),
    [
        ((133, 285, 440), (0.97, 0.97, 2.5), 20.0),
        ((12, 14, 17), (1.0, 1.3, 2.5), 2.0),
        ((1, 256, 256), (0.5, 0.5, 8.0), 5.0),
    ],
)
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
    assert not transform.GetDisplayNode().GetScalarVisibility()  # else a view makes a color node when it draws


# Jacobian


def jacobian_plane() -> np.ndarray:
    """The values of interest in the columns of each row: folding, shrinking, unchanged, growing."""
    return np.tile([-1.0, 0.0, 0.001, 0.5, 1.0, 1.5, 2.0, 9.0], (ROWS, 1))


def add_overlay(scene, plane: np.ndarray, transform=None):
    transform = transform or add_linear_transform(scene, "T", np.eye(4))
    jacobian = np.repeat(plane[None], 3, 0)
    return transform, write_jacobian_overlay(jacobian, Geometry(jacobian.shape, np.eye(4)), transform)


def test_jacobian_is_magenta_blue_white_red(red, mrml_scene):
    _, volume = add_overlay(mrml_scene, jacobian_plane())
    show_jacobian_overlay(volume, 1.0)
    volume.GetDisplayNode().SetInterpolate(False)
    folding, zero, nearly, shrinks, unchanged, grows, double, more = red.pixels()[2, :, :3].astype(int)
    assert tuple(folding) == tuple(zero) == FOLDED
    assert np.abs(nearly - BLUE).max() <= 3
    assert shrinks[2] > shrinks[0] + 60 and grows[0] > grows[2] + 60
    assert np.abs(unchanged - WHITE).max() <= 1
    assert tuple(double) == tuple(more) == RED


def test_jacobian_lies_over_the_background_with_its_opacity(red, mrml_scene):
    fixed, _ = add_pair(mrml_scene)
    red.layers.SetBackgroundVolumeID(fixed.GetID())
    _, volume = add_overlay(mrml_scene, np.ones((ROWS, COLUMNS)))
    plain = red.pixels()[..., 0].astype(float)
    show_jacobian_overlay(volume, 0.4)
    np.testing.assert_allclose(red.pixels()[..., 0], 0.6 * plain + 0.4 * WHITE[0], atol=2)


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
    assert red.pixels()[..., :3].min() >= min(WHITE) - 1
    nodes, scalars = node_ids(mrml_scene), volume.GetImageData().GetPointData().GetScalars()
    events = count_events(volume, vtk.vtkCommand.ModifiedEvent)
    assert add_overlay(mrml_scene, -np.ones((ROWS, COLUMNS)), transform)[1] is volume
    assert volume.GetImageData().GetPointData().GetScalars() is scalars and len(events) == 1
    assert node_ids(mrml_scene) == nodes
    assert np.unique(red.pixels()[..., :3].reshape(-1, 3), axis=0).tolist() == [list(FOLDED)]


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


def test_jacobian_of_a_saved_scene_has_its_colors_and_is_used_again(mrml_host, red, mrml_scene, tmp_path):
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
