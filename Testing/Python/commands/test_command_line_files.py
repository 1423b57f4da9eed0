"""The same pair as other programs store it: slices along other axes, points as Slicer saves them, tables of Excel."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from synthetic_pairs import slice_case, slice_pair_stored_along, write_pair

from TissueElasticRegistrationLib.__main__ import main
from TissueElasticRegistrationLib.core.data.geometry import flip_ras_lps

NOT_EQUAL = ("seconds", "peak_memory_mb", "warnings")


def run(files: dict[str, str], output: Path, **more: object) -> dict:
    """Run the command and return ``result.json`` without what differs between equal runs."""
    options = files | {name.replace("_", "-"): value for name, value in more.items()}
    words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    assert main(["register", *words, "--output", str(output)]) == 0
    result = json.loads((output / "result.json").read_text(encoding="utf-8"))
    return {name: value for name, value in result.items() if name not in NOT_EQUAL}


@pytest.fixture(scope="module")
def slices(tmp_path_factory) -> Path:
    """A slice along each axis, its landmarks as a table, and as points of each image."""
    folder = tmp_path_factory.mktemp("slices")
    for axis in range(3):
        (folder / f"along {axis}").mkdir()
        write_pair(slice_pair_stored_along(axis, axis), folder / f"along {axis}")
    landmarks = slice_case().landmarks(5)
    fixed_lps, moving_lps = flip_ras_lps(landmarks.fixed_ras_mm), flip_ras_lps(landmarks.moving_ras_mm)
    rows = [";".join(f"{x:.17g}".replace(".", ",") for x in row) for row in np.hstack([fixed_lps, moving_lps])]
    text = "fixed_x;fixed_y;fixed_z;moving_x;moving_y;moving_z\r\n" + "\r\n".join(rows) + "\r\n"
    (folder / "table.csv").write_bytes(text.encode("utf-8-sig"))
    points = [{"label": f"P{n}", "position": place} for n, place in enumerate(fixed_lps.tolist())]
    (folder / "F.mrk.json").write_text(json.dumps({"markups": [{"coordinateSystem": "LPS", "controlPoints": points}]}))
    lines = ["# Markups fiducial file version = 5.8", "# CoordinateSystem = RAS"]
    for number, (r, a, s) in reversed(list(enumerate(landmarks.moving_ras_mm))):
        lines.append(f"{number},{r:.17g},{a:.17g},{s:.17g},0,0,0,1,1,1,0,P{number},,,2,0")
    (folder / "M.fcsv").write_text("\n".join(lines))
    return folder


def files_along(slices: Path, axis: int) -> dict[str, str]:
    names = ("fixed", "moving", "segmentation", "moving-segmentation")
    return {name: str(slices / f"along {axis}" / f"{name.replace('-', '_')}.nii.gz") for name in names}


@pytest.mark.parametrize("axis", [1, 2])
def test_slice_along_another_axis_gives_the_same_results_in_its_own_order(slices, tmp_path, axis):
    usual = run(files_along(slices, 0), tmp_path / "usual", landmarks=slices / "table.csv")
    found = run(files_along(slices, axis), tmp_path / "other", landmarks=slices / "table.csv")
    assert usual["tre_mm"]["n"] == 5 and found["tre_mm"] == pytest.approx(usual["tre_mm"], abs=1e-3)
    fixed = sitk.ReadImage(files_along(slices, axis)["fixed"])
    for name in ("warped", "warped_labels", "jacobian"):
        volume = sitk.ReadImage(str(tmp_path / "other" / f"{name}.nii.gz"))
        assert volume.GetSize() == fixed.GetSize() and volume.GetSize()[2 - axis] == 1
        np.testing.assert_allclose(volume.GetOrigin(), fixed.GetOrigin(), atol=1e-4)
        expected = sitk.ReadImage(str(tmp_path / "usual" / f"{name}.nii.gz"))
        difference = np.moveaxis(sitk.GetArrayFromImage(volume), axis, 0) - sitk.GetArrayFromImage(expected)
        assert np.mean(np.abs(difference) > 0.1) < 0.01, name


def test_landmarks_as_slicer_and_excel_save_them_are_the_same(slices, tmp_path):
    table = run(files_along(slices, 0), tmp_path / "table", landmarks=slices / "table.csv")
    points = {"landmarks": slices / "F.mrk.json", "moving_landmarks": slices / "M.fcsv"}
    assert run(files_along(slices, 0), tmp_path / "points", **points) == table
