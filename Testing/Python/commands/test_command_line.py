"""The command ``register`` on small files: the contract of its outputs, repeatability, and what the process needs."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from synthetic_pairs import pair_of, rigid_lps_transform, rigid_ras, slice_case, volume_pair, write_pair

from TissueElasticRegistrationLib.__main__ import main
from TissueElasticRegistrationLib.core.physics.tissue_presets import NOTHING_UNDERSTOOD
from TissueElasticRegistrationLib.core.registration import direct_solver
from TissueElasticRegistrationLib.core.registration.direct_solver import SETTINGS_2D

NUMBER, TEXT = (int, float), str
OR_NONE = type(None)
SECONDS = {"prepare", "estimate", "register", "refine", "write"}
SCHEMA = {
    "schema": int,
    "model": dict,
    "solver": TEXT,
    "device": TEXT,
    "seed": int,
    "versions": dict,
    "grid": dict,
    "tissues": list,
    "similarity": dict,
    "tre_mm": (dict, OR_NONE),
    "negative_jacobian_percent": NUMBER,
    "seconds": dict,
    "peak_memory_mb": NUMBER,
    "estimate": OR_NONE,
    "kept_share": NUMBER,
    "unreliable": list,
    "warnings": list,
}
TISSUE = {
    "id": TEXT,
    "name": TEXT,
    "lambda": NUMBER,
    "mu": NUMBER,
    "poisson_ratio": NUMBER,
    "relative_stiffness": NUMBER,
    "energy": NUMBER,
    "strain_rms": NUMBER,
    "negative_jacobian_percent": NUMBER,
}
OVERLAP = (
    "dice_before",
    "dice_after",
    "dice_common_after",
    "hd95_mm_before",
    "hd95_mm_after",
    "hd95_mm_common_after",
)
FILES = {"transform.h5", "warped.nii.gz", "jacobian.nii.gz", "report.html", "result.json"}


def run(options: dict[str, object], output: Path) -> dict:
    """Run the command in this process and return ``result.json``."""
    assert main(arguments(options, output)) == 0
    return json.loads((output / "result.json").read_text(encoding="utf-8"))


def arguments(options: dict[str, object], output: Path) -> list[str]:
    pairs = [(f"--{name}", str(value)) for name, value in {**options, "output": output}.items()]
    return ["register", *[text for pair in pairs for text in pair]]


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """As the command would run on one core: for volumes this small a second thread only waits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "cpu_count", lambda: 1)
        yield


@pytest.fixture(scope="module")
def slice_files(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("slice")
    slice_case().save(folder)
    return {name: str(folder / f"{name}.nii.gz") for name in ("fixed", "moving", "segmentation")}


@pytest.fixture(scope="module")
def volume_files(tmp_path_factory) -> dict[str, str]:
    return write_pair(volume_pair(), tmp_path_factory.mktemp("volume"))


@pytest.fixture(scope="module")
def slice_run(slice_files, tmp_path_factory) -> tuple[Path, dict]:
    """A slice registered without anything optional."""
    output = tmp_path_factory.mktemp("slice-run") / "new" / "folder"
    return output, run(slice_files, output)


@pytest.fixture(scope="module")
def volume_run(volume_files, tmp_path_factory) -> tuple[Path, dict]:
    """A volume registered with everything optional."""
    folder = Path(volume_files["fixed"]).parent
    (folder / "landmarks.csv").write_text(
        "fixed_x,fixed_y,fixed_z,moving_x,moving_y,moving_z\n-12,30,55,-16,36,60\n0,25,60,-3,29,63\n"
    )
    sitk.WriteTransform(rigid_lps_transform(rigid_ras((2, -3, 1), (2, 1, -3))), str(folder / "initial.tfm"))
    output = tmp_path_factory.mktemp("volume-run")
    return output, run(
        {
            **volume_files,
            "moving-segmentation": folder / "moving_segmentation.nii.gz",
            "tissues": "1=soft,2=lung,3=bone",
            "landmarks": folder / "landmarks.csv",
            "initial": folder / "initial.tfm",
            "refine": 2,
            "seed": 4,
            "device": "cpu",
        },
        output,
    )


# -- the files of the contract ---------------------------------------------------------------------------------------


def test_output_folder_holds_the_files_of_the_contract_and_nothing_else(slice_run):
    assert names(slice_run[0]) == FILES


def test_warped_labels_are_written_with_a_moving_segmentation(volume_run):
    assert names(volume_run[0]) == FILES | {"warped_labels.nii.gz"}


def test_second_run_removes_warped_labels_of_the_first_and_nothing_else(slice_files, tmp_path):
    moving = Path(slice_files["moving"]).with_name("moving_segmentation.nii.gz")
    run({**slice_files, "moving-segmentation": moving}, tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "subject.json").write_text("of a list, about the results of before")
    run(slice_files, tmp_path)
    assert names(tmp_path) == FILES | {"notes.txt"}


@pytest.mark.parametrize("which", ["slice_run", "volume_run"])
def test_result_json_has_exactly_the_keys_of_the_contract(which, request):
    _, result = request.getfixturevalue(which)
    assert result.keys() == SCHEMA.keys()
    assert result["model"].keys() == {"name", "version", "sha256"}
    assert result["grid"].keys() == {"shape_kji", "spacing_mm"}
    assert result["similarity"].keys() == {"before", "after"}
    assert result["seconds"].keys() == SECONDS
    for tissue in result["tissues"]:
        assert tissue.keys() == {*TISSUE, *OVERLAP}


@pytest.mark.parametrize("which", ["slice_run", "volume_run"])
def test_result_json_has_the_types_of_the_contract(which, request):
    _, result = request.getfixturevalue(which)
    for key, kind in SCHEMA.items():
        assert isinstance(result[key], kind), key
    for tissue in result["tissues"]:
        for key, kind in TISSUE.items():
            assert isinstance(tissue[key], kind), key
        assert all(isinstance(tissue[key], (float, OR_NONE)) for key in OVERLAP)
    assert [len(values) for values in result["grid"].values()] == [3, 3]
    assert all(isinstance(text, str) for text in (*result["warnings"], *result["versions"].values()))
    assert all(isinstance(value, NUMBER) for value in (*result["seconds"].values(), *result["similarity"].values()))


def test_tissues_are_called_by_their_label_unless_named(slice_run, volume_run):
    called = [{(tissue["id"], tissue["name"]) for tissue in result["tissues"]} for _, result in (slice_run, volume_run)]
    assert {("1", "1"), ("2", "2"), ("3", "3"), ("4", "4")} <= called[0]
    assert {("1", "soft"), ("2", "lung"), ("3", "bone")} <= called[1]


def test_names_choose_the_parameters_of_the_table(volume_run):
    weights = {tissue["name"]: (tissue["lambda"], tissue["mu"]) for tissue in volume_run[1]["tissues"]}
    assert weights["bone"] > weights["soft"] > weights["lung"]


def test_result_json_warns_once_that_no_name_was_understood(slice_run):
    assert slice_run[1]["warnings"].count(NOTHING_UNDERSTOOD) == 1


def test_report_says_that_no_name_was_understood(slice_run):
    assert NOTHING_UNDERSTOOD in (slice_run[0] / "report.html").read_text(encoding="utf-8")


def test_named_tissues_bring_no_warning_about_names(volume_run):
    assert NOTHING_UNDERSTOOD not in volume_run[1]["warnings"]


@pytest.mark.parametrize(("given", "warns"), [("1234", False), ("134", True)])
def test_values_for_all_tissues_do_instead_of_names(slice_files, tmp_path, given, warns):
    file = tmp_path / "parameters.json"
    file.write_text(json.dumps({"tissues": {label: {"lambda": 1, "mu": 2} for label in given}}))
    result = run({**slice_files, "parameters": file}, tmp_path / "out")
    assert (NOTHING_UNDERSTOOD in result["warnings"]) == warns


def test_a_segment_name_that_is_not_utf8_does_not_spoil_the_results(slice_files, tmp_path):
    """As programs of Windows write them; the header of the file does not say in which encoding."""
    volume = sitk.ReadImage(slice_files["segmentation"])
    for number, name in enumerate(("LungX", "Bone", "Liver", "Soft")):
        for field, value in (("ID", f"id_{name}"), ("Name", name), ("LabelValue", str(number + 1)), ("Layer", "0")):
            volume.SetMetaData(f"Segment{number}_{field}", value)
    sitk.WriteImage(volume, str(tmp_path / "tissues.seg.nrrd"))
    content = (tmp_path / "tissues.seg.nrrd").read_bytes()
    (tmp_path / "tissues.seg.nrrd").write_bytes(content.replace(b"LungX", b"Lung\xfc"))
    result = run({**slice_files, "segmentation": tmp_path / "tissues.seg.nrrd"}, tmp_path / "out")
    assert "Lung\udcfc" in [tissue["name"] for tissue in result["tissues"]]
    assert "Lung\\udcfc" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_overlap_is_null_without_a_moving_segmentation(slice_run):
    assert all(tissue[key] is None for tissue in slice_run[1]["tissues"] for key in OVERLAP)


def test_overlap_improves(volume_run):
    rows = {tissue["name"]: tissue for tissue in volume_run[1]["tissues"]}
    assert all(rows[name]["dice_after"] > rows[name]["dice_before"] for name in ("soft", "lung", "bone"))


def test_landmark_errors_are_those_of_the_transform_in_the_file(volume_run):
    output, result = volume_run
    transform = sitk.ReadTransform(str(output / "transform.h5"))
    pairs = [((-12, 30, 55), (-16, 36, 60)), ((0, 25, 60), (-3, 29, 63))]
    before = [math.dist(fixed, moving) for fixed, moving in pairs]
    after = [math.dist(transform.TransformPoint([float(x) for x in fixed]), moving) for fixed, moving in pairs]
    expected = {
        "before_mean": np.mean(before),
        "after_mean": np.mean(after),
        "before_max": max(before),
        "after_max": max(after),
        "n": 2,
    }
    assert result["tre_mm"] == pytest.approx(expected, abs=0.01)


def test_landmark_errors_are_null_without_landmarks(slice_run):
    assert slice_run[1]["tre_mm"] is None


def test_seed_and_steps_are_recorded(volume_run):
    _, result = volume_run
    assert result["seed"] == 4
    assert result["seconds"]["refine"] > 0
    assert result["seconds"]["estimate"] == 0


@pytest.mark.parametrize(("which", "files"), [("slice_run", "slice_files"), ("volume_run", "volume_files")])
def test_transform_applied_by_simpleitk_gives_the_warped_file(which, files, request):
    output, _ = request.getfixturevalue(which)
    moving = sitk.ReadImage(request.getfixturevalue(files)["moving"], sitk.sitkFloat32)
    warped = sitk.ReadImage(str(output / "warped.nii.gz"), sitk.sitkFloat32)
    transform = sitk.ReadTransform(str(output / "transform.h5"))
    applied = sitk.GetArrayFromImage(sitk.Resample(moving, warped, transform, sitk.sitkLinear))
    ones = sitk.Image(moving.GetSize(), sitk.sitkUInt8) + 1
    ones.CopyInformation(moving)
    valid = sitk.GetArrayFromImage(sitk.Resample(ones, warped, transform, sitk.sitkNearestNeighbor)) > 0
    difference = np.abs(applied - sitk.GetArrayFromImage(warped))[valid]
    assert valid.mean() > 0.5
    assert difference.max() <= 0.005 * np.ptp(sitk.GetArrayFromImage(moving))


@pytest.mark.parametrize(("which", "files"), [("slice_run", "slice_files"), ("volume_run", "volume_files")])
def test_volumes_lie_on_the_grid_of_the_fixed_file(which, files, request):
    output, _ = request.getfixturevalue(which)
    fixed = sitk.ReadImage(request.getfixturevalue(files)["fixed"])
    for file in output.glob("*.nii.gz"):
        volume = sitk.ReadImage(str(file))
        assert volume.GetSize() == fixed.GetSize()
        for get in (sitk.Image.GetOrigin, sitk.Image.GetSpacing, sitk.Image.GetDirection):
            assert get(volume) == pytest.approx(get(fixed), abs=1e-4)


def test_warped_keeps_the_pixel_type_of_the_moving_file(volume_run, volume_files):
    moving, warped = sitk.ReadImage(volume_files["moving"]), sitk.ReadImage(str(volume_run[0] / "warped.nii.gz"))
    assert warped.GetPixelID() == moving.GetPixelID()


def test_jacobian_file_is_the_determinant_of_the_transform(slice_run):
    output, _ = slice_run
    transform = sitk.ReadTransform(str(output / "transform.h5"))
    jacobian = sitk.ReadImage(str(output / "jacobian.nii.gz"))
    # ITK's filter ignores the direction matrix: give it the components along the axes of the grid.
    field = sitk.TransformToDisplacementField(
        transform,
        sitk.sitkVectorFloat64,
        jacobian.GetSize(),
        jacobian.GetOrigin(),
        jacobian.GetSpacing(),
        jacobian.GetDirection(),
    )
    along = sitk.GetArrayFromImage(field) @ np.reshape(jacobian.GetDirection(), (3, 3))
    plain = sitk.GetImageFromArray(along, isVector=True)
    plain.SetSpacing(jacobian.GetSpacing())
    expected = sitk.GetArrayFromImage(sitk.DisplacementFieldJacobianDeterminant(plain))[0, 2:-2, 2:-2]
    found = sitk.GetArrayFromImage(jacobian)[0, 2:-2, 2:-2]
    assert np.ptp(expected) > 0.2
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_parameters_file_sets_the_parameters(slice_files, tmp_path):
    file = tmp_path / "parameters.json"
    file.write_text(json.dumps({"scale": "log", "tissues": {"2": {"lambda": 3.5, "mu": 7.25}}}))
    result = run({**slice_files, "parameters": file}, tmp_path / "out")
    bone = next(tissue for tissue in result["tissues"] if tissue["id"] == "2")
    assert (bone["lambda"], bone["mu"]) == (3.5, 7.25)


def test_given_alignment_is_part_of_the_transform(slice_run, slice_files, tmp_path):
    moving = sitk.ReadImage(slice_files["moving"])
    shift = 60 * np.reshape(moving.GetDirection(), (3, 3))[:, 0]
    moving.SetOrigin((np.array(moving.GetOrigin()) + shift).tolist())
    sitk.WriteImage(moving, str(tmp_path / "moving.nii.gz"))
    sitk.WriteTransform(sitk.TranslationTransform(3, shift.tolist()), str(tmp_path / "shift.tfm"))
    run({**slice_files, "moving": tmp_path / "moving.nii.gz", "initial": tmp_path / "shift.tfm"}, tmp_path / "out")
    points = [moving.TransformIndexToPhysicalPoint(index) for index in ((10, 9, 0), (30, 20, 0), (25, 38, 0))]
    with_shift, without = (
        [sitk.ReadTransform(str(folder / "transform.h5")).TransformPoint(point) for point in points]
        for folder in (tmp_path / "out", slice_run[0])
    )
    np.testing.assert_allclose(np.array(with_shift) - without, [shift] * 3, atol=0.5)


# -- repeatability and the process -----------------------------------------------------------------------------------


def lasting(result: dict) -> dict:
    return {key: value for key, value in result.items() if key not in ("seconds", "peak_memory_mb")}


def assert_same_files(first: Path, second: Path) -> None:
    """Equal bytes; of HDF5, which holds the time of writing, equal content."""
    assert names(first) == names(second)
    for name in names(first) - {"result.json", "transform.h5"}:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    one, other = (sitk.ReadTransform(str(folder / "transform.h5")) for folder in (first, second))
    assert one.GetFixedParameters() == other.GetFixedParameters() and one.GetParameters() == other.GetParameters()
    texts = [json.loads((folder / "result.json").read_text(encoding="utf-8")) for folder in (first, second)]
    assert lasting(texts[0]) == lasting(texts[1])


def test_two_runs_of_a_volume_write_identical_files(volume_files, tmp_path):
    moving = Path(volume_files["moving"]).with_name("moving_segmentation.nii.gz")
    for name in ("first", "second"):
        run({**volume_files, "moving-segmentation": moving, "seed": 1}, tmp_path / name)
    assert_same_files(tmp_path / "first", tmp_path / "second")


def process(command: list[str], **environment: str) -> subprocess.CompletedProcess:
    path = os.pathsep.join([environment.pop("before", ""), *sys.path])
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )


NO_NETWORK = """import os, sys
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request"):
        os._exit(97)
sys.addaudithook(watch)
"""


def test_other_process_without_network_writes_identical_files(slice_files, tmp_path, monkeypatch):
    monkeypatch.setattr(direct_solver, "SETTINGS_2D", SETTINGS_2D)  # as the other process has it
    run(slice_files, tmp_path / "here")
    (tmp_path / "sitecustomize.py").write_text(NO_NETWORK)
    blocked = process(["-c", "import socket; socket.getaddrinfo('localhost', 80)"], before=str(tmp_path))
    assert blocked.returncode == 97, "the block itself does not work"
    output = tmp_path / "out"
    done = process(["-m", "TissueElasticRegistrationLib", *arguments(slice_files, output)], before=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert_same_files(tmp_path / "here", output)


def test_bad_input_ends_the_process_with_code_2_and_one_line(slice_files, tmp_path):
    options = {**slice_files, "moving": tmp_path / "absent.nii.gz"}
    done = process(["-m", "TissueElasticRegistrationLib", *arguments(options, tmp_path / "out")])
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"error: {tmp_path / 'absent.nii.gz'}: file not found.\n"


@pytest.mark.parametrize("words", [["--help"], ["register", "--help"], ["register", "--fixd", "a"], []])
def test_help_and_mistyped_options_do_not_load_torch(words):
    code = (
        "import sys\nfrom TissueElasticRegistrationLib.__main__ import main\n"
        f"try:\n    main({words!r})\nexcept SystemExit:\n    pass\nassert 'torch' not in sys.modules"
    )
    done = process(["-c", code])
    assert "AssertionError" not in done.stderr and done.returncode == 0, done.stderr


def test_pair_of_files_is_the_pair_in_memory(volume_files):
    """The fixtures of this file are what the registrar's tests use: oblique, anisotropic, different grids."""
    fixed, moving = (sitk.ReadImage(volume_files[name]) for name in ("fixed", "moving"))
    assert fixed.GetSize() != moving.GetSize() and len(set(fixed.GetSpacing())) == 3
    np.testing.assert_array_equal(sitk.GetArrayFromImage(fixed), volume_pair().fixed.array_kji)
    assert abs(np.reshape(fixed.GetDirection(), (3, 3))).max() < 0.99
    assert pair_of(slice_case()).fixed.geometry.shape_kji[0] == 1
