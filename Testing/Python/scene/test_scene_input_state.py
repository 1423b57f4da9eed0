"""What counts as a change of the inputs, and what does not."""

from __future__ import annotations

import numpy as np
import pytest
import slicer.util
from host.scene_builders import (
    add_bend,
    add_linear_transform,
    add_markups,
    add_segmentation,
    add_volume,
    oblique_matrix,
    put_under,
    smooth_array,
)

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.scene.input_fingerprint import state_of
from TissueElasticRegistrationLib.scene.nodes import InputNodes
from TissueElasticRegistrationLib.scene.write.live_transform import show_displacement

SHAPE = (6, 9, 11)
GRID = Geometry(SHAPE, oblique_matrix())


@pytest.fixture
def inputs(mrml_scene):
    fixed, moving = (
        add_volume(mrml_scene, name, smooth_array(SHAPE, seed), GRID.ijk_to_ras)
        for seed, name in enumerate(("fixed", "moving"))
    )
    masks = {"soft": np.ones(SHAPE, bool), "bone": smooth_array(SHAPE, 5) > 1}
    landmarks = [add_markups(mrml_scene, name, np.arange(6.0).reshape(2, 3)) for name in ("F", "M")]
    return InputNodes(fixed, moving, add_segmentation(mrml_scene, "tissues", masks, GRID.ijk_to_ras), None, *landmarks)


def bone(inputs):
    return inputs.segmentation.GetSegmentation().GetSegment("id_bone")


CHANGES = {
    "voxels": lambda scene, inputs: slicer.util.updateVolumeFromArray(inputs.moving, smooth_array(SHAPE, 9)),
    "place of a volume": lambda scene, inputs: inputs.fixed.SetOrigin(1, 2, 3),
    "painted segment": lambda scene, inputs: bone(inputs).GetRepresentation("Binary labelmap").Modified(),
    "removed segment": lambda scene, inputs: inputs.segmentation.GetSegmentation().RemoveSegment("id_bone"),
    "moved landmark": lambda scene, inputs: inputs.moving_landmarks.SetNthControlPointPosition(1, 9, 9, 9),
    "parent transform": lambda scene, inputs: put_under(
        inputs.moving, add_linear_transform(scene, "T", np.diag([1, 1, 1, 1.0]))
    ),
}
NO_CHANGES = {
    "name": lambda scene, inputs: inputs.fixed.SetName("other"),
    "segment name": lambda scene, inputs: bone(inputs).SetName("rib"),
    "segment color": lambda scene, inputs: bone(inputs).SetColor(1, 0, 0),
    "closed surface": lambda scene, inputs: inputs.segmentation.CreateClosedSurfaceRepresentation(),
    "window": lambda scene, inputs: (
        inputs.fixed.CreateDefaultDisplayNodes(),
        inputs.fixed.GetDisplayNode().SetWindowLevel(3, 1),
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_contents_change_the_state(mrml_scene, inputs, change):
    before = state_of(inputs)
    assert state_of(inputs) == before
    change(mrml_scene, inputs)
    assert state_of(inputs) != before


@pytest.mark.parametrize("change", NO_CHANGES.values(), ids=NO_CHANGES)
def test_looks_do_not_change_the_state(mrml_scene, inputs, change):
    before = state_of(inputs)
    change(mrml_scene, inputs)
    assert state_of(inputs) == before


@pytest.mark.parametrize("parent", ["none", "linear", "bent"])
def test_the_shown_result_does_not_change_the_state(mrml_scene, inputs, parent):
    if parent != "none":
        put_under(
            inputs.moving,
            add_bend(mrml_scene) if parent == "bent" else add_linear_transform(mrml_scene, "T", oblique_matrix()),
        )
    before = state_of(inputs)
    for strength in (1.0, 2.0):
        show_displacement(inputs, np.full((*SHAPE, 3), strength, np.float32), GRID)
        assert state_of(inputs) == before


def test_a_changed_parent_transform_changes_the_state(mrml_scene, inputs):
    transform = add_linear_transform(mrml_scene, "T", oblique_matrix())
    put_under(inputs.moving, transform)
    before = state_of(inputs)
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.diag([2.0, 1, 1, 1])))
    assert state_of(inputs) != before


def test_missing_and_removed_nodes_are_no_error(mrml_scene, inputs):
    before = state_of(inputs)
    mrml_scene.RemoveNode(inputs.moving)
    assert state_of(inputs) != before
    assert state_of(InputNodes(None, None, None)) == (None,) * 6
