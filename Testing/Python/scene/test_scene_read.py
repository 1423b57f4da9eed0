"""Nodes to arrays: every test reads real MRML nodes on oblique, anisotropic grids without any symmetry."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import slicer.util
import vtk
from host.scene_builders import (
    add_bend,
    add_linear_transform,
    add_markups,
    add_segmentation,
    add_volume,
    node_ids,
    oblique_matrix,
    put_under,
    smooth_array,
    transformed,
    world_points,
)

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.scene.nodes import link_transform
from TissueElasticRegistrationLib.scene.read import (
    read_landmarks,
    read_pair,
    read_volume,
)

SHAPE = (9, 14, 17)
TURN = oblique_matrix((1, 1, 1), (12, -7, 5), (10, 25, -15))
SHIFT_AND_SCALE = np.diag([1.5, 1.5, 1.5, 1.0])
SHEAR = np.array([[1, 0.3, 0.2, 4], [0, 1.2, 0, -3], [0, 0.1, 0.9, 2], [0, 0, 0, 1.0]])


def ramp_array(ijk_to_world: np.ndarray, shape=SHAPE) -> np.ndarray:
    """An image whose value at world position p is 2 R - 3 A + 5 S: linear interpolation reproduces it exactly."""
    return transformed(ijk_to_world, Geometry(shape, np.eye(4)).voxel_centers_ras_mm()) @ [2.0, -3.0, 5.0]


def add_ct(scene):
    return add_volume(scene, "CT", smooth_array(SHAPE, 1), oblique_matrix())


# Volumes


def test_volume_round_trip_keeps_array_matrix_and_name(mrml_scene):
    array, matrix = (100 * smooth_array(SHAPE, 1)).astype(np.int16), oblique_matrix()
    image = read_volume(add_volume(mrml_scene, "CT", array, matrix))
    assert image.array_kji.dtype == np.int16 and np.array_equal(image.array_kji, array) and image.name == "CT"
    np.testing.assert_allclose(image.geometry.ijk_to_ras, matrix, atol=1e-12)


def with_first_index(node, *first_ijk: int):
    """The same voxels at the same place, but counted from other indices, as filters that crop leave them."""
    matrix = slicer.util.arrayFromVTKMatrix(ijk_to_ras(node))
    matrix[:3, 3] -= matrix[:3, :3] @ first_ijk
    node.GetImageData().SetExtent(
        *(bound for first, n in zip(first_ijk, SHAPE[::-1], strict=True) for bound in (first, first + n - 1))
    )
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    return node


def ijk_to_ras(node) -> vtk.vtkMatrix4x4:
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return matrix


@pytest.mark.parametrize("parent", [np.eye(4), TURN, SHEAR], ids=["none", "turned", "sheared"])
def test_volume_whose_indices_begin_elsewhere_is_read_where_slicer_shows_it(mrml_scene, parent):
    nodes = [add_volume(mrml_scene, name, smooth_array(SHAPE, 1), oblique_matrix()) for name in ("plain", "cropped")]
    with_first_index(nodes[1], 5, -3, 2)
    for node in nodes:
        put_under(node, add_linear_transform(mrml_scene, "parent", parent))
    plain, cropped = map(read_volume, nodes)
    np.testing.assert_allclose(cropped.geometry.ijk_to_ras, plain.geometry.ijk_to_ras, atol=1e-9)
    np.testing.assert_allclose(cropped.array_kji, plain.array_kji, atol=1e-5)


def test_volume_array_is_a_copy(mrml_scene):
    node = add_volume(mrml_scene, "CT", smooth_array(SHAPE, 1))
    image = read_volume(node)
    before = image.array_kji.copy()
    slicer.util.arrayFromVolume(node)[:] = 0
    assert np.array_equal(image.array_kji, before)


def test_chain_of_linear_transforms_only_changes_the_geometry(mrml_scene):
    outer = add_linear_transform(mrml_scene, "outer", TURN)
    inner = add_linear_transform(mrml_scene, "inner", SHIFT_AND_SCALE, outer)
    node = add_ct(mrml_scene)
    put_under(node, inner)
    image = read_volume(node)
    assert np.array_equal(image.array_kji, slicer.util.arrayFromVolume(node))
    np.testing.assert_allclose(image.geometry.ijk_to_ras, TURN @ SHIFT_AND_SCALE @ oblique_matrix(), atol=1e-9)


def test_left_handed_volume_stays_left_handed(mrml_scene):
    matrix = oblique_matrix() @ np.diag([1, -1, 1, 1.0])
    image = read_volume(add_volume(mrml_scene, "CT", smooth_array(SHAPE, 1), matrix))
    np.testing.assert_allclose(image.geometry.ijk_to_ras, matrix, atol=1e-12)


@pytest.mark.parametrize("handedness", [1.0, -1.0])
def test_sheared_volume_is_resampled_to_the_right_place(mrml_scene, handedness):
    matrix = oblique_matrix() @ np.diag([1, 1, handedness, 1])
    node = add_volume(mrml_scene, "CT", ramp_array(SHEAR @ matrix), matrix)
    put_under(node, add_linear_transform(mrml_scene, "shear", SHEAR))
    image = read_volume(node)
    assert np.sign(np.linalg.det(image.geometry.ijk_to_ras)) == handedness
    centers = image.geometry.voxel_centers_ras_mm()
    points_ijk = transformed(np.linalg.inv(SHEAR @ matrix), centers)
    inside = np.all((points_ijk > 0.01) & (points_ijk < np.array(SHAPE[::-1]) - 1.01), -1)
    assert inside.mean() > 0.25
    np.testing.assert_allclose(image.array_kji[inside], centers[inside] @ [2, -3, 5], atol=1e-3)


def test_sheared_volume_is_covered_completely(mrml_scene):
    node = add_ct(mrml_scene)
    put_under(node, add_linear_transform(mrml_scene, "shear", SHEAR))
    geometry = read_volume(node).geometry
    corners_ijk = geometry.points_ijk(transformed(SHEAR, Geometry(SHAPE, oblique_matrix()).corners_ras_mm()))
    assert corners_ijk.min() > -0.51 and np.all(corners_ijk.max(0) < np.array(geometry.shape_kji[::-1]) - 0.49)


def test_sheared_slices_stay_in_their_plane(mrml_scene):
    """A tilted gantry: slices shifted against each other, with k not along their normal."""
    tilt = np.eye(4)
    tilt[1, 2] = 0.4
    node = add_volume(mrml_scene, "CT", smooth_array(SHAPE, 1), np.diag([1.0, 1.0, 5.0, 1.0]))
    put_under(node, add_linear_transform(mrml_scene, "tilt", tilt))
    image = read_volume(node)
    np.testing.assert_allclose(image.geometry.ijk_to_ras[:3, 2], [0, 0, 5], atol=1e-9)
    assert image.geometry.shape_kji[0] == SHAPE[0]


def test_bent_volume_shows_each_structure_where_slicer_shows_it(mrml_scene):
    """Bright spots of a volume and markups at the same places go through the same transform chain."""
    voxels_ijk = np.array([[4, 4, 2], [12, 9, 4], [6, 11, 6]])
    matrix = oblique_matrix()
    chain = add_bend(mrml_scene)
    chain.SetAndObserveTransformNodeID(add_linear_transform(mrml_scene, "turn", TURN).GetID())
    for voxel in voxels_ijk:
        centers = Geometry(SHAPE, np.eye(4)).voxel_centers_ras_mm()
        spot = np.exp(-((centers - voxel) ** 2).sum(-1) / 4)
        node = add_volume(mrml_scene, "spot", spot.astype(np.float32), matrix)
        markups = add_markups(mrml_scene, "there", [transformed(matrix, voxel)])
        put_under(node, chain)
        put_under(markups, chain)
        image = read_volume(node)
        brightest = np.unravel_index(image.array_kji.argmax(), image.array_kji.shape)[::-1]
        offset_ijk = image.geometry.points_ijk(world_points(markups))[0] - brightest
        assert np.abs(offset_ijk).max() < 0.8


def test_bent_volume_equals_simpleitk_resampling(mrml_scene):
    array, matrix = smooth_array(SHAPE, 1), oblique_matrix()
    node, transform = add_volume(mrml_scene, "CT", array, matrix), add_bend(mrml_scene)
    put_under(node, transform)
    image = read_volume(node)
    from_parent = vtk.vtkGeneralTransform()
    transform.GetTransformFromWorld(from_parent)
    centers = image.geometry.voxel_centers_ras_mm()
    points = np.array([from_parent.TransformPoint(p) for p in centers.reshape(-1, 3)]).reshape(centers.shape)
    points_ijk = Geometry(SHAPE, matrix).points_ijk(points)
    inside = np.all((points_ijk > 0) & (points_ijk < np.array(SHAPE[::-1]) - 1), -1)
    source = sitk.GetImageFromArray(array.astype(np.float64))
    expected = [source.EvaluateAtContinuousIndex(p.tolist(), sitk.sitkLinear) for p in points_ijk[inside]]
    assert inside.sum() > 500
    np.testing.assert_allclose(image.array_kji[inside], expected, atol=2e-3)


def test_bent_volume_has_its_lowest_value_outside(mrml_scene):
    array = smooth_array(SHAPE, 1) - 1024
    node = add_volume(mrml_scene, "CT", array, oblique_matrix())
    put_under(node, add_bend(mrml_scene))
    assert read_volume(node).array_kji.min() == pytest.approx(array.min())


@pytest.mark.parametrize("under", ["nothing", "shear", "bend"])
def test_single_slice_stays_a_single_slice(mrml_scene, under):
    node = add_volume(mrml_scene, "slice", smooth_array((1, 20, 24), 1), oblique_matrix())
    if under != "nothing":
        put_under(node, add_bend(mrml_scene) if under == "bend" else add_linear_transform(mrml_scene, "shear", SHEAR))
    assert read_volume(node).geometry.shape_kji[0] == 1


def test_sheared_single_slice_keeps_its_content(mrml_scene):
    shape, matrix = (1, 20, 24), oblique_matrix()
    node = add_volume(mrml_scene, "slice", ramp_array(SHEAR @ matrix, shape), matrix)
    put_under(node, add_linear_transform(mrml_scene, "shear", SHEAR))
    image = read_volume(node)
    centers = image.geometry.voxel_centers_ras_mm()
    points_ijk = transformed(np.linalg.inv(SHEAR @ matrix), centers)
    inside = np.all((points_ijk[..., :2] > 0.01) & (points_ijk[..., :2] < np.array([23, 19]) - 0.01), -1)
    assert inside.mean() > 0.4
    np.testing.assert_allclose(image.array_kji[inside], centers[inside] @ [2, -3, 5], atol=1e-3)


def test_empty_volume_is_refused_by_name(mrml_scene):
    node = mrml_scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "nothing in it")
    with pytest.raises(ValueError, match="'nothing in it' is empty"):
        read_volume(node)


def test_vector_volume_is_refused_by_name(mrml_scene):
    node = mrml_scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "colors")
    slicer.util.updateVolumeFromArray(node, np.random.default_rng(0).normal(size=(*SHAPE, 3)))
    with pytest.raises(ValueError, match="'colors' has 3 components per voxel"):
        read_volume(node)


def test_singular_parent_transform_is_refused_by_name(mrml_scene):
    node = add_volume(mrml_scene, "flat", smooth_array(SHAPE, 1))
    put_under(node, add_linear_transform(mrml_scene, "press", np.diag([1, 1, 0, 1.0])))
    with pytest.raises(ValueError, match="volume 'flat' is singular"):
        read_volume(node)


def test_other_node_is_refused_by_name(mrml_scene):
    with pytest.raises(ValueError, match="'points' is a MarkupsFiducial, not a volume"):
        read_volume(add_markups(mrml_scene, "points", [[0, 0, 0]]))


def test_node_removed_from_the_scene_is_refused_by_name(mrml_scene):
    node = add_volume(mrml_scene, "gone", smooth_array(SHAPE, 1))
    mrml_scene.RemoveNode(node)
    with pytest.raises(ValueError, match="'gone' is no longer in the scene"):
        read_volume(node)


# Landmarks


def test_landmarks_are_read_in_world_coordinates_through_bent_transforms(mrml_scene):
    points = np.array([[1, 2, 3], [-20, 11, 9], [15, -8, 30.0]])
    fixed, moving = add_markups(mrml_scene, "F", points), add_markups(mrml_scene, "M", points[::-1])
    put_under(moving, add_bend(mrml_scene))
    landmarks = read_landmarks(fixed, moving)
    np.testing.assert_allclose(landmarks.fixed_ras_mm, points, atol=1e-9)
    np.testing.assert_allclose(landmarks.moving_ras_mm, world_points(moving), atol=1e-9)


def test_points_of_equal_labels_are_paired_by_label_whatever_their_order(mrml_scene):
    points = np.array([[1, 2, 3], [-20, 11, 9], [15, -8, 30.0]])
    fixed, moving = add_markups(mrml_scene, "F", points), add_markups(mrml_scene, "M", points[::-1] + 1)
    for number, label in enumerate("abc"):
        fixed.SetNthControlPointLabel(number, label)
        moving.SetNthControlPointLabel(2 - number, label)
    landmarks = read_landmarks(fixed, moving)
    np.testing.assert_allclose(landmarks.moving_ras_mm, landmarks.fixed_ras_mm + 1)
    assert landmarks.all_names == ("a", "b", "c")
    moving.RemoveNthControlPoint(0)
    moving.AddControlPoint(16, -7, 31, "c")
    np.testing.assert_allclose(read_landmarks(fixed, moving).moving_ras_mm, landmarks.fixed_ras_mm + 1)


def test_points_defined_in_neither_list_are_skipped(mrml_scene):
    points = np.arange(12.0).reshape(4, 3)
    fixed, moving = add_markups(mrml_scene, "F", points), add_markups(mrml_scene, "M", points + 1)
    for node in (fixed, moving):
        node.UnsetNthControlPointPosition(1)
    assert np.array_equal(read_landmarks(fixed, moving).fixed_ras_mm, points[[0, 2, 3]])


def test_points_defined_in_one_list_only_are_refused_with_both_names(mrml_scene):
    points = np.arange(12.0).reshape(4, 3)
    fixed, moving = add_markups(mrml_scene, "F", points), add_markups(mrml_scene, "M", points)
    fixed.UnsetNthControlPointPosition(1)
    with pytest.raises(ValueError, match="'F' and 'M' do not correspond: they have 3 and 4 defined points"):
        read_landmarks(fixed, moving)


def test_landmarks_are_named_by_their_labels_unless_two_have_the_same(mrml_scene):
    """A name stands for one landmark: it may be held out of an estimate."""
    points = np.array([[1.0, 2, 3], [4, 5, 7], [0, 9, 1]])
    fixed, moving = add_markups(mrml_scene, "F", points), add_markups(mrml_scene, "M", points + 1)
    for number, label in enumerate("abc"):
        fixed.SetNthControlPointLabel(number, label)
    assert read_landmarks(fixed, moving).all_names == ("a", "b", "c")
    assert read_landmarks(fixed, moving).every_second == ("b",)
    fixed.SetNthControlPointLabel(2, "a")
    assert read_landmarks(fixed, moving).all_names == ("1", "2", "3")


def test_landmarks_without_points_are_refused_by_name(mrml_scene):
    with pytest.raises(ValueError, match="'F' have no defined point"):
        read_landmarks(add_markups(mrml_scene, "F", []), add_markups(mrml_scene, "M", []))


# Pairs


def add_pair(scene):
    """Fixed and moving with different shape, spacing and axes; everything a pair may have."""
    fixed = add_volume(scene, "exhale", smooth_array(SHAPE, 1), oblique_matrix())
    moving_matrix = oblique_matrix((1.1, 1.2, 2.0), (-19, 15, 30), (15, -30, 45))
    moving = add_volume(scene, "inhale", smooth_array((11, 16, 15), 2), moving_matrix)
    fixed_masks = {name: np.zeros(SHAPE, bool) for name in ("lung", "soft", "bone")}
    fixed_masks["lung"][1:5, 2:9, 3:10] = True
    fixed_masks["soft"][4:7, 5:13, 2:15] = True
    fixed_masks["bone"][7:9, 0:3, 11:17] = True
    masks = {name: np.zeros((11, 16, 15), bool) for name in ("Bone", "heart", "lung")}
    masks["Bone"][2:5, 3:8, 4:9] = True
    masks["heart"][6:9, 3:8, 4:9] = True
    masks["lung"][2:9, 10:14, 4:12] = True
    points = Geometry(SHAPE, oblique_matrix()).points_ras_mm(np.array([[3, 4, 5], [9, 8, 2]]))
    return (
        fixed,
        moving,
        add_segmentation(scene, "organs", fixed_masks, oblique_matrix()),
        add_segmentation(scene, "organs inhale", masks, moving_matrix),
        add_markups(scene, "F", points),
        add_markups(scene, "M", points + 1),
    )


def test_pair_keeps_both_geometries(mrml_scene):
    pair = read_pair(*add_pair(mrml_scene))
    assert pair.fixed.geometry.shape_kji == pair.fixed_segmentation.geometry.shape_kji == SHAPE
    assert pair.moving.geometry.shape_kji == pair.moving_segmentation.geometry.shape_kji == (11, 16, 15)
    assert len(pair.landmarks.fixed_ras_mm) == 2


def test_moving_segments_get_the_labels_of_their_namesakes(mrml_scene):
    pair = read_pair(*add_pair(mrml_scene))
    moving = pair.matched_moving_segmentation
    assert {tissue.name: tissue.label for tissue in moving.tissues} == {"Bone": 3, "heart": 4, "lung": 1}
    assert moving.labels_kji[3, 4, 5] == 3 and moving.labels_kji[7, 4, 5] == 4 and moving.labels_kji[3, 11, 5] == 1


def test_reading_a_pair_leaves_no_node_behind(mrml_scene):
    nodes = add_pair(mrml_scene)
    put_under(nodes[0], add_bend(mrml_scene))
    before = node_ids(mrml_scene)
    read_pair(*nodes)
    assert node_ids(mrml_scene) == before


def test_former_result_of_the_pair_is_no_part_of_the_input(mrml_scene):
    nodes = add_pair(mrml_scene)
    before = read_pair(*nodes)
    result = add_bend(mrml_scene)
    link_transform(result, *nodes[:2])
    for node in (nodes[1], nodes[3], nodes[5]):
        put_under(node, result)
    after = read_pair(*nodes)
    assert np.array_equal(after.moving.array_kji, before.moving.array_kji)
    assert np.array_equal(after.moving_segmentation.labels_kji, before.moving_segmentation.labels_kji)
    np.testing.assert_allclose(after.landmarks.moving_ras_mm, before.landmarks.moving_ras_mm, atol=1e-9)


def test_landmarks_of_one_image_only_are_refused_by_name(mrml_scene):
    nodes = add_pair(mrml_scene)
    with pytest.raises(ValueError, match="'M' have no counterpart"):
        read_pair(*nodes[:4], None, nodes[5])
