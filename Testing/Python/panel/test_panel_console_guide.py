"""The console example of the guide does what it says, run as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import slicer
import slicer.util
from panel_case import MODULE, add_pair

from TissueElasticRegistrationLib.core.data.images import ImagePair
from TissueElasticRegistrationLib.scene.write.grid_transform import read_transform
from training.phantoms import PhantomCase, make_case

GUIDE = Path(__file__).resolve().parents[3] / "Resources" / "Docs" / "console.md"
FILES = ("exhale.nii.gz", "inhale.nii.gz", "exhale.seg.nrrd", "inhale.seg.nrrd")


@pytest.fixture
def patients(fresh_host, tmp_path) -> dict[str, PhantomCase]:
    """Synthetic patients by the names in the example, each as files in a folder of its own; the module is loaded."""
    fresh_host.load_module(MODULE)
    cases = {"001": make_case(2, seed=7, spacing_mm=8.0), "002": make_case(2, seed=8, spacing_mm=8.0)}
    for patient, case in cases.items():
        (tmp_path / patient).mkdir()
        pair = ImagePair(case.fixed, case.moving, case.fixed_segmentation, case.moving_segmentation)
        for node, file in zip(add_pair(slicer.mrmlScene, pair), FILES, strict=False):
            assert slicer.util.saveNode(node, str(tmp_path / patient / file))
    return cases


def test_console_example_of_the_guide_recovers_the_deformation_of_every_patient(patients, tmp_path, capsys):
    (example,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert '"/data/patients"' in example
    names = {}
    exec(compile(example.replace("/data/patients", str(tmp_path)), GUIDE.name, "exec"), names)
    printed = capsys.readouterr().out.splitlines()
    for patient, case in patients.items():
        assert mean_error_mm(case, tmp_path / patient / "inhale_to_exhale.h5") < 0.35 * mean_motion_mm(case)
        assert (
            len(
                [
                    line
                    for line in printed
                    if re.fullmatch(rf"{patient} (lung|liver|soft): Dice 0\.\d+ -> 0\.9\d+", line)
                ]
            )
            == 3
        )
    weights = {row.tissue.name: row.parameters.mu for row in names["done"].result.tissues}
    assert weights["bone"] == 30, "locked"


def mean_error_mm(case: PhantomCase, transform_file: Path) -> float:
    """Mean distance in the body between the displacement in the file and the true one."""
    displacement_ras_mm, geometry = read_transform(slicer.util.loadTransform(str(transform_file)))
    body = in_body(case)
    ijk = np.rint(geometry.points_ijk(case.fixed.geometry.voxel_centers_ras_mm()[body])).astype(int)
    found = displacement_ras_mm[ijk[:, 2], ijk[:, 1], ijk[:, 0]]
    return np.linalg.norm(found - case.displacement_ras_mm[body], axis=1).mean()


def mean_motion_mm(case: PhantomCase) -> float:
    return np.linalg.norm(case.displacement_ras_mm[in_body(case)], axis=1).mean()


def in_body(case: PhantomCase) -> np.ndarray:
    return case.valid & (case.fixed_segmentation.labels_kji > 0)
