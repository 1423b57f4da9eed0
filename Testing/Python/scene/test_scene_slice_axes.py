"""Slices along any axis in the scene: read, registered, and written in the storage order of the fixed volume."""

from __future__ import annotations

import numpy as np
import pytest
import slicer.util
from few_steps import take_few_steps
from host.scene_builders import add_segmentation, add_volume
from synthetic_pairs import slice_pair_stored_along

from TissueElasticRegistrationLib.scene.checks import input_problem
from TissueElasticRegistrationLib.scene.console import register
from TissueElasticRegistrationLib.scene.nodes import InputNodes
from TissueElasticRegistrationLib.scene.options import RegistrationOptions
from TissueElasticRegistrationLib.scene.transforms import ijk_to_local


def add_pair(scene, pair) -> InputNodes:
    volumes = [
        add_volume(scene, part.name, part.array_kji, part.geometry.ijk_to_ras) for part in (pair.fixed, pair.moving)
    ]
    segmentations = []
    for part in (pair.fixed_segmentation, pair.moving_segmentation):
        masks = {tissue.name: part.labels_kji == tissue.label for tissue in part.tissues if tissue.label}
        segmentations.append(add_segmentation(scene, part.name, masks, part.geometry.ijk_to_ras))
    return InputNodes(*volumes, *segmentations)


@pytest.fixture
def results(mrml_scene, monkeypatch):
    """The warped volume of the slice pair, registered with few steps, by the axes of both slices."""
    take_few_steps(monkeypatch)

    def registered(fixed_axis: int, moving_axis: int):
        inputs = add_pair(mrml_scene, slice_pair_stored_along(fixed_axis, moving_axis))
        assert input_problem(inputs) is None
        return inputs, register(inputs, {}, RegistrationOptions())

    return registered


def test_slice_stored_along_any_axis_gives_the_same_result_in_its_own_order(results):
    _, usual = results(0, 0)
    expected = slicer.util.arrayFromVolume(usual.nodes.warped_volume)
    for fixed_axis, moving_axis in ((1, 2), (2, 0)):
        inputs, done = results(fixed_axis, moving_axis)
        warped = done.nodes.warped_volume
        assert warped.GetImageData().GetDimensions() == inputs.fixed.GetImageData().GetDimensions()
        found = np.moveaxis(slicer.util.arrayFromVolume(warped), fixed_axis, 0)
        np.testing.assert_allclose(found, expected, atol=1e-2)
        np.testing.assert_allclose(ijk_to_local(warped), ijk_to_local(inputs.fixed), atol=1e-9)
