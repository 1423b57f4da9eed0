"""The console example of the README does what it says, run as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import slicer
from host.scene_builders import add_segmentation, add_volume

from TissueElasticRegistrationLib.scene.grid_transform import read_transform
from training.phantoms import make_case

README = Path(__file__).resolve().parents[2] / "README.md"


@pytest.fixture
def thorax(mrml_scene, monkeypatch):
    """A 2D phantom in the scene under the names of the example; its true displacement (K, J, I, 3) and body mask."""
    case = make_case(2, seed=7, spacing_mm=8.0)
    labels = case.fixed_segmentation.labels_kji
    masks = {tissue.name: labels == tissue.label for tissue in case.fixed_segmentation.tissues if tissue.label}
    add_volume(mrml_scene, "exhale", case.fixed.array_kji, case.fixed.geometry.ijk_to_ras)
    add_volume(mrml_scene, "inhale", case.moving.array_kji, case.moving.geometry.ijk_to_ras)
    add_segmentation(mrml_scene, "tissues", masks, case.fixed.geometry.ijk_to_ras)
    monkeypatch.setattr(slicer, "mrmlScene", mrml_scene, raising=False)
    return case


def test_console_example_of_the_readme_recovers_the_deformation(thorax):
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    names = {}
    exec(compile(example, "README.md", "exec"), names)
    displacement_ras_mm, geometry = read_transform(names["outputs"].transform)
    body = thorax.valid & (thorax.fixed_segmentation.labels_kji > 0)
    ijk = np.rint(geometry.points_ijk(thorax.fixed.geometry.voxel_centres_ras_mm()[body])).astype(int)
    found = displacement_ras_mm[ijk[:, 2], ijk[:, 1], ijk[:, 0]]
    truth = thorax.displacement_ras_mm[body]
    assert np.linalg.norm(found - truth, axis=1).mean() < 0.25 * np.linalg.norm(truth, axis=1).mean()
    assert slicer.util.getNode("inhale").GetTransformNodeID() == names["outputs"].transform.GetID()
