"""The moving nodes under the output transform: they appear where the registration puts them, whatever is above them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import slicer
from host.scene_builders import (
    add_bend,
    add_linear_transform,
    add_markups,
    add_segmentation,
    add_volume,
    count_events,
    oblique_matrix,
    smooth_array,
    transformed,
    world_points,
)
from host.scene_builders import put_under as set_parent

from TissueElasticRegistrationLib.core.data.geometry import Geometry, flip_ras_lps
from TissueElasticRegistrationLib.core.data.itk_bridge import displacement_transform
from TissueElasticRegistrationLib.scene.nodes import link_transform
from TissueElasticRegistrationLib.scene.read import read_pair
from TissueElasticRegistrationLib.scene.transform_hierarchy import is_under, put_under, take_off
from TissueElasticRegistrationLib.scene.write.grid_transform import write_transform

FIXED = Geometry((9, 14, 17), oblique_matrix())
MOVING = Geometry((11, 16, 15), oblique_matrix((1.1, 1.2, 2.0), (-19, 15, 30), (15, -30, 45)))
RESULT = FIXED.padded((6, 9, 12), (8, 7, 10))
TURN = oblique_matrix((1, 1, 1), (4, -3, 2), (5, 8, -6))
SHIFT = np.array([[1, 0, 0, -3], [0, 1, 0, 5], [0, 0, 1, -2], [0, 0, 0, 1.0]])
CHAINS = {
    "nothing": (),
    "linear": ("turn",),
    "two linear": ("turn", "shift"),
    "bent": ("bend",),
    "bent under linear": ("bend", "turn"),
    "linear under bent": ("shift", "bend"),
}


def displacement() -> np.ndarray:
    """Smooth field (K, J, I, 3) on RESULT in RAS mm, fixed to moving, with a different mean along each axis."""
    field = np.stack([smooth_array(RESULT.shape_kji, 7 + axis, 4) for axis in range(3)], -1)
    return (0.8 * field + [3, -2, 1.5]).astype(np.float32)


def to_moving_mm(points_ras: np.ndarray) -> np.ndarray:
    """Fixed points to moving points as the registration means it, by SimpleITK."""
    transform = displacement_transform(displacement(), RESULT)
    return flip_ras_lps(np.array([transform.TransformPoint(p.tolist()) for p in flip_ras_lps(points_ras)]))


def add_pair(scene):
    fixed = add_volume(scene, "exhale", smooth_array(FIXED.shape_kji, 1), FIXED.ijk_to_ras)
    moving = add_volume(scene, "inhale", smooth_array(MOVING.shape_kji, 2), MOVING.ijk_to_ras)
    return fixed, moving


def add_result(scene, fixed, moving, name: str = "result"):
    transform = scene.AddNewNodeByClass("vtkMRMLTransformNode", name)
    write_transform(displacement(), RESULT, transform)
    link_transform(transform, fixed, moving)
    return transform


def add_chain(scene, kind: str) -> list:
    """New parent transforms, innermost first, each under the next."""
    make = {
        "turn": lambda: add_linear_transform(scene, "turn", TURN),
        "shift": lambda: add_linear_transform(scene, "shift", SHIFT),
        "bend": lambda: add_bend(scene),
    }
    chain = [make[name]() for name in CHAINS[kind]]
    for inner, outer in pairwise(chain):
        set_parent(inner, outer)
    return chain


def parents(node) -> list[str]:
    names = []
    while (node := node.GetParentTransformNode()) is not None:
        names.append(node.GetName())
    return names


# Where things appear


@pytest.mark.parametrize("kind", CHAINS)
def test_moving_points_appear_at_their_fixed_points(mrml_scene, kind):
    """Independent of the code: where Slicer showed the point before is where SimpleITK takes the point shown now."""
    fixed, moving = add_pair(mrml_scene)
    points = transformed(MOVING.ijk_to_ras, np.random.default_rng(3).uniform(2, 9, (25, 3)))
    markups, chain = add_markups(mrml_scene, "M", points), add_chain(mrml_scene, kind)
    if chain:
        set_parent(markups, chain[0])
    before_mm = world_points(markups)
    put_under(markups, add_result(mrml_scene, fixed, moving), fixed)
    assert np.abs(world_points(markups) - before_mm).max() > 1
    np.testing.assert_allclose(to_moving_mm(world_points(markups)), before_mm, atol=1e-3)


def test_linear_chain_is_applied_before_the_result(mrml_scene):
    """Against matrices written out by hand, not against Slicer."""
    fixed, moving = add_pair(mrml_scene)
    fixed_points = FIXED.points_ras_mm(np.random.default_rng(4).uniform(3, 8, (10, 3)))
    chain = add_chain(mrml_scene, "two linear")
    local = transformed(np.linalg.inv(SHIFT @ TURN), to_moving_mm(fixed_points))
    markups = add_markups(mrml_scene, "M", local)
    set_parent(markups, chain[0])
    put_under(markups, add_result(mrml_scene, fixed, moving), fixed)
    np.testing.assert_allclose(world_points(markups), fixed_points, atol=1e-3)


@pytest.mark.parametrize("kind", CHAINS)
def test_pair_read_again_is_the_same(mrml_scene, kind):
    fixed, moving = add_pair(mrml_scene)
    mask = np.zeros(MOVING.shape_kji, bool)
    mask[2:8, 3:9, 4:12] = True
    segmentation = add_segmentation(mrml_scene, "organs", {"lung": np.ones(FIXED.shape_kji, bool)}, FIXED.ijk_to_ras)
    moving_segmentation = add_segmentation(mrml_scene, "organs inhale", {"lung": mask}, MOVING.ijk_to_ras)
    chain = add_chain(mrml_scene, kind)
    for node in (moving, moving_segmentation) if chain else ():
        set_parent(node, chain[0])
    nodes = (fixed, moving, segmentation, moving_segmentation)
    before, result = read_pair(*nodes), add_result(mrml_scene, fixed, moving)
    for node in (moving, moving_segmentation):
        put_under(node, result, fixed)
    after = read_pair(*nodes)
    assert is_under(moving, result)
    assert np.array_equal(after.moving.array_kji, before.moving.array_kji)
    assert np.array_equal(after.moving.geometry.ijk_to_ras, before.moving.geometry.ijk_to_ras)
    assert np.array_equal(after.moving_segmentation.labels_kji, before.moving_segmentation.labels_kji)


@pytest.mark.parametrize("kind", CHAINS)
def test_taking_off_restores_the_chain(mrml_scene, kind):
    fixed, moving = add_pair(mrml_scene)
    chain = add_chain(mrml_scene, kind)
    if chain:
        set_parent(moving, chain[0])
    before, result = parents(moving), add_result(mrml_scene, fixed, moving)
    put_under(moving, result, fixed)
    assert parents(moving) == [*before, "result"]
    take_off(moving, result)
    assert parents(moving) == before and not is_under(moving, result)


def test_what_shares_movings_parent_comes_along_once(mrml_scene):
    """Volume and segmentation under one transform: it goes under the result once, for both."""
    fixed, moving = add_pair(mrml_scene)
    landmarks, turn = add_markups(mrml_scene, "M", [[1, 2, 3]]), add_linear_transform(mrml_scene, "turn", TURN)
    result = add_result(mrml_scene, fixed, moving)
    for node in (moving, landmarks):
        set_parent(node, turn)
    for node in (moving, landmarks):
        put_under(node, result, fixed)
    assert parents(moving) == parents(landmarks) == ["turn", "result"]


# Repeated, former and other results


def test_second_time_nothing_happens(mrml_scene):
    fixed, moving = add_pair(mrml_scene)
    turn, result = add_linear_transform(mrml_scene, "turn", TURN), add_result(mrml_scene, fixed, moving)
    set_parent(moving, turn)
    put_under(moving, result, fixed)
    events = [count_events(node, slicer.vtkMRMLTransformableNode.TransformModifiedEvent) for node in (moving, turn)]
    put_under(moving, result, fixed)
    assert parents(moving) == ["turn", "result"] and events == [[], []]


def test_new_result_takes_the_place_of_a_former_one(mrml_scene):
    fixed, moving = add_pair(mrml_scene)
    former = add_result(mrml_scene, fixed, moving, "former")
    set_parent(moving, add_linear_transform(mrml_scene, "turn", TURN))
    put_under(moving, former, fixed)
    put_under(moving, add_result(mrml_scene, fixed, moving, "new"), fixed)
    assert parents(moving) == ["turn", "new"] and parents(former) == []


def test_former_result_within_the_chain_is_taken_out(mrml_scene):
    fixed, moving = add_pair(mrml_scene)
    former = add_result(mrml_scene, fixed, moving, "former")
    set_parent(moving, former)
    set_parent(former, add_linear_transform(mrml_scene, "turn", TURN))
    put_under(moving, add_result(mrml_scene, fixed, moving, "new"), fixed)
    assert parents(moving) == ["turn", "new"]


def test_result_of_another_pair_is_part_of_the_chain(mrml_scene):
    """Moving was brought to a third volume before: that is where it is now."""
    fixed, moving = add_pair(mrml_scene)
    third = add_volume(mrml_scene, "third", smooth_array(FIXED.shape_kji, 3), FIXED.ijk_to_ras)
    put_under(moving, add_result(mrml_scene, third, moving, "to third"), third)
    put_under(moving, add_result(mrml_scene, fixed, moving), fixed)
    assert parents(moving) == ["to third", "result"]


def test_taking_off_what_is_not_under_it_changes_nothing(mrml_scene):
    fixed, moving = add_pair(mrml_scene)
    set_parent(moving, add_linear_transform(mrml_scene, "turn", TURN))
    take_off(moving, add_result(mrml_scene, fixed, moving))
    assert parents(moving) == ["turn"]


# What is refused


def refused(moving, transform, fixed) -> str:
    """The sentence of the ValueError; nothing may have moved."""
    before = [parents(node) for node in (moving, transform, fixed)]
    with pytest.raises(ValueError) as error:
        put_under(moving, transform, fixed)
    assert [parents(node) for node in (moving, transform, fixed)] == before
    return str(error.value)


@pytest.mark.parametrize("kind", ["linear", "bent under linear"])
def test_parent_that_holds_the_fixed_volume_too_is_refused_by_name(mrml_scene, kind):
    fixed, moving = add_pair(mrml_scene)
    chain = add_chain(mrml_scene, kind)
    set_parent(moving, chain[0])
    set_parent(fixed, chain[-1])
    message = refused(moving, add_result(mrml_scene, fixed, moving), fixed)
    assert all(f"'{name}'" in message for name in ("exhale", "inhale", "turn"))


def test_fixed_volume_itself_is_refused(mrml_scene):
    fixed, moving = add_pair(mrml_scene)
    assert "'exhale'" in refused(fixed, add_result(mrml_scene, fixed, moving), fixed)


def test_fixed_volume_under_the_result_is_refused_by_name(mrml_scene):
    fixed, moving = add_pair(mrml_scene)
    result = add_result(mrml_scene, fixed, moving)
    set_parent(fixed, result)
    assert "fixed volume 'exhale' is under the output transform 'result'" in refused(moving, result, fixed)


def test_result_with_a_parent_is_refused_by_name(mrml_scene):
    fixed, moving = add_pair(mrml_scene)
    result = add_result(mrml_scene, fixed, moving)
    set_parent(result, add_linear_transform(mrml_scene, "turn", TURN))
    assert "'result' is under the transform 'turn'" in refused(moving, result, fixed)


def test_result_under_movings_own_parent_is_refused(mrml_scene):
    """It would become a circle."""
    fixed, moving = add_pair(mrml_scene)
    turn, result = add_linear_transform(mrml_scene, "turn", TURN), add_result(mrml_scene, fixed, moving)
    set_parent(moving, turn)
    set_parent(result, turn)
    assert "'result' is under the transform 'turn'" in refused(moving, result, fixed)


def test_result_under_itself_is_refused(mrml_scene):
    fixed, moving = add_pair(mrml_scene)
    result = add_result(mrml_scene, fixed, moving)
    assert "'result' cannot be placed under itself" in refused(result, result, fixed)


def test_transform_that_is_no_result_of_the_pair_is_refused_by_name(mrml_scene):
    """It would become a part of the input when the pair is read again."""
    fixed, moving = add_pair(mrml_scene)
    stranger = add_linear_transform(mrml_scene, "stranger", TURN)
    assert "'stranger' is not the result of a registration to 'exhale'" in refused(moving, stranger, fixed)


def test_node_that_left_the_scene_is_refused_by_name(mrml_scene):
    fixed, moving = add_pair(mrml_scene)
    result = add_result(mrml_scene, fixed, moving)
    mrml_scene.RemoveNode(moving)
    with pytest.raises(ValueError, match="'inhale' is no longer in the scene"):
        put_under(moving, result, fixed)
