"""A displacement in a transform node: it agrees with SimpleITK both ways, is updated in place and survives saving."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import slicer.util
import vtk
from host.scene_builders import (
    add_linear_transform,
    add_markups,
    add_volume,
    count_events,
    oblique_matrix,
    put_under,
    smooth_array,
    world_points,
)

from TissueElasticRegistrationLib.core.data.geometry import Geometry, flip_ras_lps
from TissueElasticRegistrationLib.core.data.images import Image
from TissueElasticRegistrationLib.core.data.itk_bridge import displacement_transform, resample
from TissueElasticRegistrationLib.scene.vtk_images import image_array
from TissueElasticRegistrationLib.scene.write.grid_transform import read_transform, write_transform

FIXED = Geometry((10, 15, 18), oblique_matrix())
WORKING = FIXED.padded((2, 3, 4), (4, 3, 2))
MOVING = Geometry((14, 20, 21), oblique_matrix((1.1, 1.2, 2.0), (-24, 11, 28), (15, -30, 45)))


def displacement(geometry: Geometry = WORKING, seed: int = 5, amplitude_mm: float = 0.7) -> np.ndarray:
    """Smooth field (K, J, I, 3) in RAS mm that does not fold, with a different mean along each axis."""
    field = np.stack([smooth_array(geometry.shape_kji, seed + axis, 3) for axis in range(3)], -1)
    return (amplitude_mm * field + [2, -1, 0.5]).astype(np.float32)


def new_transform(scene, name: str = "T"):
    return scene.AddNewNodeByClass("vtkMRMLTransformNode", name)


def points_inside(geometry: Geometry, n: int = 40) -> np.ndarray:
    """(n, 3) random RAS positions within the grid, away from its border."""
    upper = np.array(geometry.shape_kji[::-1]) - 1
    return geometry.points_ras_mm(np.random.default_rng(3).uniform(0.15, 0.85, (n, 3)) * upper)


def itk_transformed(transform: sitk.Transform, points_ras: np.ndarray) -> np.ndarray:
    return flip_ras_lps(np.array([transform.TransformPoint(p.tolist()) for p in flip_ras_lps(points_ras)]))


def test_from_parent_maps_points_where_simpleitk_does(mrml_scene):
    node = new_transform(mrml_scene)
    write_transform(displacement(), WORKING, node)
    from_world = vtk.vtkGeneralTransform()
    node.GetTransformFromWorld(from_world)
    points = points_inside(WORKING)
    mapped = np.array([from_world.TransformPoint(p) for p in points])
    expected = itk_transformed(displacement_transform(displacement(), WORKING), points)
    np.testing.assert_allclose(mapped, expected, atol=1e-5)


def test_markups_under_the_node_appear_at_the_inverse(mrml_scene):
    """A moving point x + d(x) put under the node is shown at the fixed point x."""
    node, points = new_transform(mrml_scene), points_inside(FIXED)
    write_transform(displacement(), WORKING, node)
    markups = add_markups(mrml_scene, "M", itk_transformed(displacement_transform(displacement(), WORKING), points))
    put_under(markups, node)
    np.testing.assert_allclose(world_points(markups), points, atol=5e-4)


def test_resampling_through_the_node_equals_simpleitk(mrml_scene):
    moving = Image(100 * smooth_array(MOVING.shape_kji, 9), MOVING, "moving")
    node = new_transform(mrml_scene)
    write_transform(displacement(), WORKING, node)
    outside = -1e4
    transform = displacement_transform(displacement(), WORKING)
    expected = resample(moving, transform, FIXED, outside)
    resliced = resliced_through(node, add_volume(mrml_scene, "moving", moving.array_kji, MOVING.ijk_to_ras), FIXED)
    moving_ijk = MOVING.points_ijk(itk_transformed(transform, FIXED.voxel_centers_ras_mm().reshape(-1, 3)))
    inside = np.all((moving_ijk > 0.01) & (moving_ijk < np.array(MOVING.shape_kji[::-1]) - 1.01), -1)
    inside = inside.reshape(FIXED.shape_kji)
    assert inside.mean() > 0.3
    np.testing.assert_allclose(resliced[inside], expected[inside], atol=5e-3)


def resliced_through(transform_node, volume_node, geometry: Geometry) -> np.ndarray:
    """The volume on a grid, by plain VTK: fixed voxel -> RAS -> transform from parent -> moving voxel."""
    ras_to_ijk = vtk.vtkMatrix4x4()
    volume_node.GetRASToIJKMatrix(ras_to_ijk)
    chain = vtk.vtkGeneralTransform()
    chain.PostMultiply()
    chain.Concatenate(slicer.util.vtkMatrixFromArray(geometry.ijk_to_ras))
    chain.Concatenate(transform_node.GetTransformFromParent())
    chain.Concatenate(ras_to_ijk)
    reslice = vtk.vtkImageReslice()
    reslice.SetInputData(volume_node.GetImageData())
    reslice.SetResliceTransform(chain)
    reslice.SetInterpolationModeToLinear()
    reslice.SetOutputOrigin(0, 0, 0)
    reslice.SetOutputSpacing(1, 1, 1)
    reslice.SetOutputExtent(*(bound for n in geometry.shape_kji[::-1] for bound in (0, n - 1)))
    reslice.Update()
    return image_array(reslice.GetOutput())


def test_transform_round_trip(mrml_scene):
    node = new_transform(mrml_scene)
    write_transform(displacement(), WORKING, node)
    field, geometry = read_transform(node)
    assert np.array_equal(field, displacement()) and geometry.agrees_with(WORKING, 1e-9)


def test_left_handed_grid_round_trip(mrml_scene):
    left_handed = Geometry(WORKING.shape_kji, WORKING.ijk_to_ras @ np.diag([1, -1, 1, 1.0]))
    node = new_transform(mrml_scene)
    write_transform(displacement(), left_handed, node)
    from_world = vtk.vtkGeneralTransform()
    node.GetTransformFromWorld(from_world)
    voxel = left_handed.points_ras_mm(np.array([5, 7, 3]))
    np.testing.assert_allclose(from_world.TransformPoint(voxel), voxel + displacement()[3, 7, 5], atol=1e-5)


def test_single_slice_grid_moves_points_of_the_slice(mrml_scene):
    geometry = Geometry((1, 20, 24), oblique_matrix())
    field = displacement(geometry)
    in_plane = field - (field @ geometry.ijk_to_ras[:3, 2])[..., None] * geometry.ijk_to_ras[:3, 2] / 2.5**2
    node = new_transform(mrml_scene)
    write_transform(in_plane, geometry, node)
    voxel = geometry.points_ras_mm(np.array([11, 8, 0]))
    markups = add_markups(mrml_scene, "M", [voxel + in_plane[0, 8, 11]])
    put_under(markups, node)
    np.testing.assert_allclose(world_points(markups)[0], voxel, atol=5e-4)


def test_new_grid_fires_one_event(mrml_scene):
    node = new_transform(mrml_scene)
    events = count_events(node, slicer.vtkMRMLTransformableNode.TransformModifiedEvent)
    write_transform(displacement(), WORKING, node)
    assert len(events) == 1


def test_live_update_fires_one_event_and_keeps_grid_and_memory(mrml_scene):
    node = new_transform(mrml_scene)
    write_transform(displacement(), WORKING, node)
    grid = node.GetTransformFromParent()
    scalars = grid.GetDisplacementGrid().GetPointData().GetScalars()
    events = count_events(node, slicer.vtkMRMLTransformableNode.TransformModifiedEvent)
    write_transform(displacement(seed=50), WORKING, node)
    assert len(events) == 1
    assert node.GetTransformFromParent() is grid
    assert grid.GetDisplacementGrid().GetPointData().GetScalars() is scalars


def test_live_update_moves_points_both_ways(mrml_scene):
    node, points = new_transform(mrml_scene), points_inside(FIXED)
    markups = add_markups(mrml_scene, "M", points)
    put_under(markups, node)
    for seed in (5, 50, 500):
        write_transform(displacement(seed=seed), WORKING, node)
        transform = displacement_transform(displacement(seed=seed), WORKING)
        for n, moved in enumerate(itk_transformed(transform, points)):
            markups.SetNthControlPointPosition(n, *moved)
        np.testing.assert_allclose(world_points(markups), points, atol=5e-4)


def test_another_grid_replaces_the_old_one_with_one_event(mrml_scene):
    node = new_transform(mrml_scene)
    write_transform(displacement(), WORKING, node)
    events = count_events(node, slicer.vtkMRMLTransformableNode.TransformModifiedEvent)
    write_transform(displacement(FIXED), FIXED, node)
    assert len(events) == 1 and read_transform(node)[1].agrees_with(FIXED)


def test_grid_stored_to_parent_is_replaced_by_one_from_parent(mrml_scene):
    other, node = new_transform(mrml_scene), new_transform(mrml_scene)
    write_transform(displacement(), WORKING, other)
    node.SetAndObserveTransformToParent(other.GetTransformFromParent())
    write_transform(displacement(seed=50), WORKING, node)
    assert np.array_equal(read_transform(node)[0], displacement(seed=50))
    assert np.array_equal(read_transform(other)[0], displacement())


@pytest.mark.parametrize("fault", ["shape", "nan"])
def test_unfit_displacement_is_refused_by_name_and_changes_nothing(mrml_scene, fault):
    node = new_transform(mrml_scene, "warp it")
    write_transform(displacement(), WORKING, node)
    unfit = displacement(seed=50)[1:] if fault == "shape" else np.full((*WORKING.shape_kji, 3), np.nan, np.float32)
    with pytest.raises(ValueError, match="'warp it'"):
        write_transform(unfit, WORKING, node)
    assert np.array_equal(read_transform(node)[0], displacement())


def test_linear_transform_node_is_refused_by_name(mrml_scene):
    node = add_linear_transform(mrml_scene, "rigid", np.eye(4))
    with pytest.raises(ValueError, match="'rigid' is a LinearTransform"):
        write_transform(displacement(), WORKING, node)


def test_saved_scene_holds_the_same_transform(mrml_host, mrml_scene, tmp_path):
    write_transform(displacement(), WORKING, new_transform(mrml_scene, "kept"))
    mrml_host.save(tmp_path / "scene.mrb")
    mrml_host.load(tmp_path / "scene.mrb")
    node = mrml_scene.GetFirstNodeByName("kept")
    field, geometry = read_transform(node)
    np.testing.assert_allclose(field, displacement(), atol=1e-6)
    assert geometry.agrees_with(WORKING, 1e-4)


def test_transform_of_a_loaded_scene_is_updated_in_place(mrml_host, mrml_scene, tmp_path):
    write_transform(displacement(), WORKING, new_transform(mrml_scene, "kept"))
    mrml_host.save(tmp_path / "scene.mrb")
    mrml_host.load(tmp_path / "scene.mrb")
    node = mrml_scene.GetFirstNodeByName("kept")
    grid = node.GetTransformFromParent()
    write_transform(displacement(seed=50), WORKING, node)
    assert node.GetTransformFromParent() is grid
    np.testing.assert_allclose(read_transform(node)[0], displacement(seed=50), atol=1e-6)
