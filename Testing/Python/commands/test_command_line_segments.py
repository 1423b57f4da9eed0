"""Which segment is which: namesakes, segments against label maps, tissues that a patient lacks, at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from synthetic_pairs import slice_case

from TissueElasticRegistrationLib.__main__ import main

LABELS = {1: "lung", 2: "bone", 3: "liver", 4: "soft"}
NAMED = ",".join(f"{label}={name}" for label, name in LABELS.items())
LUNG, BONE = (
    f"TerminologyEntry:list~SCT^1^Anatomical Structure~SCT^{number}^{meaning}~^^~list~^^~^^"
    for number, meaning in ((2, "Lung"), (3, "Bone"))
)
# As tools write them that leave what it is to the terminology; in the moving file in another order, with other IDs.
FIXED = [("Segment_1", "Left", 1, LUNG), ("Segment_2", "Left", 2, BONE), ("Segment_3", "liver", 3, "")]
MOVING = [("Segment_1", "Left", 2, BONE), ("Segment_2", "liver", 3, ""), ("Segment_3", "Left", 1, LUNG)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("case")
    slice_case().save(folder)
    return folder


def label_map(folder: Path, which: str) -> sitk.Image:
    return sitk.ReadImage(str(folder / f"{which}.nii.gz"))


def write_segments(folder: Path, which: str, file: Path, segments) -> Path:
    """A .seg.nrrd of one layer with the voxels of a label map; ``segments``: (ID, name, label value, tags)."""
    image = label_map(folder, which)
    for number, fields in enumerate(segments):
        for key, text in zip(("ID", "Name", "LabelValue", "Tags", "Layer"), (*fields, 0), strict=True):
            image.SetMetaData(f"Segment{number}_{key}", str(text))
    sitk.WriteImage(image, str(file), True)
    return file


def write_labels(folder: Path, which: str, file: Path, change) -> Path:
    """A label map with other values."""
    image = label_map(folder, which)
    changed = sitk.GetImageFromArray(change(sitk.GetArrayFromImage(image)).astype(np.uint8))
    changed.CopyInformation(image)
    sitk.WriteImage(changed, str(file))
    return file


def run(folder: Path, output: Path, *more: str, **files: Path) -> int:
    given = {"fixed": folder / "fixed.nii.gz", "moving": folder / "moving.nii.gz", **files, "output": output}
    words = [str(word) for name, value in given.items() for word in (f"--{name.replace('_', '-')}", value)]
    return main(["register", *words, "--initial", "none", *more])


def result_of(folder: Path, output: Path, *more: str, **files: Path) -> dict:
    assert run(folder, output, *more, **files) == 0
    return json.loads((output / "result.json").read_text(encoding="utf-8"))


def rows_by_id(result: dict) -> dict[str, dict]:
    return {row["id"]: row for row in result["tissues"]}


def refused(capsys, output: Path) -> str:
    """The one sentence of the last command."""
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and not output.exists()
    return line


@pytest.fixture(scope="module")
def plain(folder, tmp_path_factory) -> dict:
    """The same pair with two label maps and distinct names."""
    segmentations = {name: folder / f"{name}.nii.gz" for name in ("segmentation", "moving_segmentation")}
    return result_of(folder, tmp_path_factory.mktemp("plain"), "--tissues", NAMED, **segmentations)


@pytest.fixture(scope="module")
def namesakes(folder, tmp_path_factory) -> tuple[Path, dict]:
    output = tmp_path_factory.mktemp("namesakes")
    fixed = write_segments(folder, "segmentation", output / "fixed.seg.nrrd", FIXED)
    moving = write_segments(folder, "moving_segmentation", output / "moving.seg.nrrd", MOVING)
    return output, result_of(folder, output / "out", segmentation=fixed, moving_segmentation=moving)


def test_overlap_of_namesakes_is_that_of_distinct_names(namesakes, plain):
    rows, wanted = rows_by_id(namesakes[1]), rows_by_id(plain)
    for label in (1, 2, 3):
        assert rows[f"Segment_{label}"]["dice_before"] == pytest.approx(wanted[str(label)]["dice_before"], abs=1e-6)


def test_namesakes_are_told_apart_in_every_result(namesakes):
    folder, result = namesakes
    names = [row["name"] for row in result["tissues"]]
    assert {"Left (Lung)", "Left (Bone)", "liver"} <= set(names) and len(names) == len(set(names))
    report = (folder / "out" / "report.html").read_text(encoding="utf-8")
    assert "Left (Lung)" in report and "Left (Bone)" in report


def test_namesakes_start_with_the_values_of_their_terminology(namesakes):
    rows = rows_by_id(namesakes[1])
    assert [rows[f"Segment_{number}"]["mu"] for number in (1, 2)] == [0.5, 30.0]


@pytest.mark.parametrize("door", ["--hold-out", "--parameters"])
def test_name_that_two_segments_have_is_refused(folder, namesakes, tmp_path, capsys, door):
    parameters = tmp_path / "parameters.json"
    parameters.write_text(json.dumps({"tissues": {"Left": {"lambda": 2, "mu": 2}}}))
    more = {"--hold-out": ["--estimate", "grid", "--hold-out", "Left"], "--parameters": ["--parameters", parameters]}
    files = {"segmentation": namesakes[0] / "fixed.seg.nrrd", "moving_segmentation": namesakes[0] / "moving.seg.nrrd"}
    assert run(folder, tmp_path / "out", *map(str, more[door]), **files) == 2
    fits = "'Left' fits several tissues, 'Left (Lung)' (ID 'Segment_1') and 'Left (Bone)' (ID 'Segment_2')"
    assert fits in refused(capsys, tmp_path / "out")


@pytest.mark.parametrize("option", ['"Lung, left",liver', "liver", 'liver,"Lung, left"'])
def test_names_with_commas_can_be_held_out(folder, tmp_path, option):
    names = [("a", "Lung, left", 1, ""), ("b", "bone", 2, ""), ("c", "liver", 3, "")]
    files = {
        which: write_segments(folder, which, tmp_path / f"{which}.seg.nrrd", names)
        for which in ("segmentation", "moving_segmentation")
    }
    twice = ["--hold-out", '"Lung, left"'] if option == "liver" else []
    more = ("--estimate", "gradient", "--hold-out", option, *twice)
    result = result_of(folder, tmp_path / "out", *more, **files)
    assert sorted(result["estimate"]["held_out"]["tissues"]) == ["a", "c"]


@pytest.mark.parametrize("numbered", ["segmentation", "moving_segmentation"])
def test_segments_and_a_label_map_are_compared_by_label_and_it_is_said(folder, plain, tmp_path, numbered):
    named = [(f"id_{name}", name, label, "") for label, name in LABELS.items()]
    files = {which: folder / f"{which}.nii.gz" for which in ("segmentation", "moving_segmentation")}
    (other,) = files.keys() - {numbered}
    files[other] = write_segments(folder, other, tmp_path / "named.seg.nrrd", named)
    result = result_of(folder, tmp_path / "out", **files)
    assert any("equal label values count as the same tissue" in sentence for sentence in result["warnings"])
    rows, wanted = rows_by_id(result), rows_by_id(plain)
    for label, name in LABELS.items():
        row = rows[str(label) if numbered == "segmentation" else f"id_{name}"]
        assert row["dice_before"] == pytest.approx(wanted[str(label)]["dice_before"], abs=1e-6)


def test_names_of_a_label_map_compare_it_with_segments(folder, tmp_path):
    named = [(f"id_{name}", name, label, "") for label, name in LABELS.items()]
    fixed = write_segments(folder, "segmentation", tmp_path / "named.seg.nrrd", named)
    moving = folder / "moving_segmentation.nii.gz"
    result = result_of(folder, tmp_path / "out", "--tissues", NAMED, segmentation=fixed, moving_segmentation=moving)
    assert all(rows_by_id(result)[f"id_{name}"]["dice_before"] for name in LABELS.values())
    assert not any("counterpart" in sentence or "label values" in sentence for sentence in result["warnings"])


def test_names_are_refused_where_no_label_map_could_have_them(folder, namesakes, tmp_path, capsys):
    files = {"segmentation": namesakes[0] / "fixed.seg.nrrd", "moving_segmentation": namesakes[0] / "moving.seg.nrrd"}
    assert run(folder, tmp_path / "out", "--tissues", NAMED, **files) == 2
    assert "--tissues: " in refused(capsys, tmp_path / "out")


def test_tissues_without_a_counterpart_are_listed(folder, tmp_path):
    moving = write_labels(folder, "moving_segmentation", tmp_path / "moving.nii.gz", lambda labels: labels * 10)
    files = {"segmentation": folder / "segmentation.nii.gz", "moving_segmentation": moving}
    result = result_of(folder, tmp_path / "out", **files)
    said = [sentence for sentence in result["warnings"] if "counterpart" in sentence]
    assert ["'1', '2', '3', '4'" in said[0], "'10', '20', '30', '40'" in said[1], len(said)] == [True, True, 2]
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "has no counterpart of" in report


def test_one_table_serves_a_patient_who_lacks_a_tissue(folder, tmp_path):
    without_liver = {
        which: write_labels(
            folder, which, tmp_path / f"{which}.nii.gz", lambda labels: np.where(labels == 3, 4, labels)
        )
        for which in ("segmentation", "moving_segmentation")
    }
    result = result_of(folder, tmp_path / "out", "--tissues", NAMED, **without_liver)
    said = [sentence for sentence in result["warnings"] if "'liver'" in sentence]
    assert said == [f"{file.name} does not have 'liver'." for file in without_liver.values()]


def test_body_at_the_end_of_the_list_leaves_the_other_segments_alone(folder, plain, tmp_path):
    """Two layers: the body covers everything."""
    image = label_map(folder, "segmentation")
    labels = sitk.GetArrayFromImage(image)
    layers = sitk.GetImageFromArray(np.stack([labels, (labels > 0).astype(labels.dtype)], -1), isVector=True)
    layers.CopyInformation(image)
    segments = [("a", "lung", 1, 0), ("b", "bone", 2, 0), ("c", "liver", 3, 0), ("d", "body", 1, 1)]
    for number, fields in enumerate(segments):
        for key, text in zip(("ID", "Name", "LabelValue", "Layer"), fields, strict=True):
            layers.SetMetaData(f"Segment{number}_{key}", str(text))
    sitk.WriteImage(layers, str(tmp_path / "body.seg.nrrd"), True)
    moving = folder / "moving_segmentation.nii.gz"
    files = {"segmentation": tmp_path / "body.seg.nrrd", "moving_segmentation": moving}
    result = result_of(folder, tmp_path / "out", "--tissues", "1=lung,2=bone,3=liver,4=body", **files)
    assert "'body' contains 'lung', 'bone', 'liver' and is only what lies around." in result["warnings"]
    wanted = rows_by_id(plain)
    for row, label in zip("abcd", LABELS, strict=True):
        assert rows_by_id(result)[row]["dice_before"] == pytest.approx(wanted[str(label)]["dice_before"], abs=1e-6)
