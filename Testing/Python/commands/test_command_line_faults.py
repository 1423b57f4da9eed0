"""Bad input to ``register``: exit code 2, one sentence that names the file and the fault, nothing written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from oblique_data import write_label_map
from synthetic_pairs import FIXED_GRID, slice_case, volume_pair, write_pair

from TissueElasticRegistrationLib.__main__ import main


@pytest.fixture(scope="module")
def good_files(tmp_path_factory) -> dict[str, str]:
    return write_pair(volume_pair(), tmp_path_factory.mktemp("good"))


@pytest.fixture
def files(good_files, tmp_path) -> dict[str, str]:
    """A copy of the files for one test to damage, as options of the command."""
    folder = tmp_path / "input"
    shutil.copytree(Path(good_files["fixed"]).parent, folder)
    return {name: str(folder / Path(path).name) for name, path in good_files.items()}


@pytest.fixture
def fault(files, tmp_path, capsys):
    """A function that runs the command with changed options and returns its sentence, after checking the contract."""

    def run(*flags: str, output: Path | None = None, **changed: object) -> str:
        options = {**files, **{name.replace("_", "-"): value for name, value in changed.items()}}
        words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
        before = listing(tmp_path)
        try:
            code = main(["register", *words, *flags, "--output", str(output or tmp_path / "output" / "deep")])
        except SystemExit as stop:  # how argparse reports a mistyped option
            code = stop.code
        captured = capsys.readouterr()
        assert code == 2
        assert captured.out == ""
        assert listing(tmp_path) == before, "something was written"
        *progress, line = captured.err.splitlines()
        assert line.startswith("error: ") and all("%" in text for text in progress), captured.err
        assert ". " not in line.removeprefix("error: ") and "Traceback" not in captured.err
        return line

    return run


def listing(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder with its content."""
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def rewrite(path: str, change) -> str:
    """Change the voxels (K, J, I) of a file and keep its geometry."""
    image = sitk.ReadImage(path)
    values = change(sitk.GetArrayFromImage(image))
    changed = sitk.GetImageFromArray(values)
    changed.CopyInformation(image)
    sitk.WriteImage(changed, path)
    return path


def set_one(values: np.ndarray, value: float) -> np.ndarray:
    values = values.astype(np.float32)
    values[3, 4, 5] = value
    return values


# -- images ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "which", ["fixed", "moving", "segmentation", "moving_segmentation", "landmarks", "parameters", "initial"]
)
def test_missing_file(fault, tmp_path, which):
    line = fault(**{which: tmp_path / "absent.nii.gz"})
    assert "absent.nii.gz: file not found" in line


@pytest.mark.parametrize("which", ["fixed", "moving", "segmentation"])
def test_not_an_image(fault, tmp_path, which):
    file = tmp_path / "text.nii.gz"
    file.write_text("This is not an image.")
    line = fault(**{which: file})
    assert "text.nii.gz: " in line and ("damaged" in line or "not an image" in line or "NIfTI" in line), line


@pytest.mark.parametrize("which", ["fixed", "moving"])
def test_folder_instead_of_an_image(fault, tmp_path, which):
    assert f"{tmp_path}: this is a folder without DICOM images." in fault(**{which: tmp_path})


@pytest.mark.parametrize("which", ["fixed", "moving"])
def test_series_of_volumes(fault, files, tmp_path, which):
    volume = sitk.ReadImage(files[which])
    sitk.WriteImage(sitk.JoinSeries([volume, volume]), str(tmp_path / "series.nii.gz"))
    assert "series.nii.gz: expected one volume, not a series (4D" in fault(**{which: tmp_path / "series.nii.gz"})


@pytest.mark.parametrize("which", ["fixed", "moving"])
def test_values_that_are_not_finite(fault, files, which):
    rewrite(files[which], lambda values: set_one(values, np.inf))
    line = fault()
    assert f"{which}.nii.gz: " in line and "not finite numbers" in line


@pytest.mark.parametrize("which", ["fixed", "moving"])
def test_constant_image(fault, files, which):
    rewrite(files[which], lambda values: np.full_like(values, 7))
    line = fault()
    assert f"{which}.nii.gz: the image is constant" in line


@pytest.mark.parametrize("which", ["fixed", "moving"])
def test_singular_direction_matrix(fault, files, tmp_path, which):
    flat = tmp_path / "flat.mha"
    sitk.WriteImage(sitk.ReadImage(files[which]), str(flat), useCompression=False)
    header, line, voxels = flat.read_bytes().partition(b"ElementDataFile = LOCAL\n")
    lines = [
        b"TransformMatrix = 1 0 0 0 1 0 1 0 0" if text.startswith(b"TransformMatrix") else text
        for text in header.splitlines()
    ]
    flat.write_bytes(b"\n".join(lines) + b"\n" + line + voxels)
    message = fault(**{which: flat})
    assert "flat.mha: " in message and "singular" in message


def test_no_overlap_in_space(fault, files):
    moving = sitk.ReadImage(files["moving"])
    moving.SetOrigin((900.0, 0.0, 0.0))
    sitk.WriteImage(moving, files["moving"])
    assert "'moving.nii.gz' does not overlap with 'fixed.nii.gz' in space." in fault(initial="none")


def test_alignment_by_segments_without_those_of_the_moving_image(fault):
    assert "by segments needs a segmentation of the moving image" in fault(initial="segments")


def test_slice_with_a_volume(fault, tmp_path):
    slice_case().save(tmp_path / "slice")
    line = fault(moving=tmp_path / "slice" / "moving.nii.gz")
    assert "'fixed.nii.gz' and 'moving.nii.gz' must both be volumes or both be single slices" in line


# -- segmentations and names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["segmentation", "moving_segmentation"])
def test_empty_segmentation(fault, files, which):
    path = rewrite(str(Path(files["fixed"]).with_name(f"{which}.nii.gz")), np.zeros_like)
    assert f"{which}.nii.gz: the segmentation is empty" in fault(**{which: path})


def test_segmentation_on_another_grid(fault, files, tmp_path):
    shifted = FIXED_GRID.padded((0, 0, 1), (0, 0, -1))
    write_label_map(tmp_path / "shifted.nii.gz", volume_pair().fixed_segmentation.labels_kji, shifted)
    line = fault(segmentation=tmp_path / "shifted.nii.gz")
    assert "shifted.nii.gz: the label map and its image fixed.nii.gz have different grids" in line


def test_moving_segmentation_on_the_grid_of_the_fixed_image(fault, files):
    line = fault(moving_segmentation=files["segmentation"])
    assert "segmentation.nii.gz: the label map and its image moving.nii.gz have different grids" in line


def test_segmentation_that_is_an_image(fault, files):
    line = fault(segmentation=files["fixed"])
    assert "fixed.nii.gz: labels must be whole numbers" in line


@pytest.mark.parametrize(
    ("tissues", "expected"),
    [
        ("1:lung", "--tissues: '1:lung' is not of the form LABEL=NAME"),
        ("lung=1", "--tissues: 'lung=1' is not of the form LABEL=NAME"),
        ("1=lung,,2=soft", "--tissues: '' is not of the form LABEL=NAME"),
        ("1=lung,1=soft", "--tissues: label 1 is named twice"),
        ("1=lung,2=Lung", "--tissues: the name 'Lung' is given to two labels"),
        ("1=lung;2=soft", "--tissues: the name 'lung;2=soft' contains = or ;"),
        ("76=lung,77=soft", "--tissues names no label of "),
        ('1=lung,"2=soft', "--tissues: "),
    ],
)
def test_bad_names_of_tissues(fault, tissues, expected):
    assert expected in fault(tissues=tissues)


# -- parameters, landmarks, transform --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"tissues": {"3": {"lambda": -1, "mu": 1}}}, "Tissue '3': λ = -1.0 is not allowed"),
        ({"tissues": {"3": {"lambda": 1, "mu": 5000}}}, "μ = 5000 of tissue '3' is outside the allowed range"),
        ({"scale": "paper", "tissues": {"3": {"lambda": 0.5, "mu": 1.5}}}, "μ = 1.5 of tissue '3' is outside"),
        ({"tissues": {"spleen": {"lambda": 1, "mu": 1}}}, "Unknown tissue 'spleen'; this segmentation has"),
        ({"tissues": {name: {"lambda": 1, "mu": 1} for name in ("Unsegmented", "unsegmented")}}, "the same tissue"),
        ({"tissues": {"3": {"lambda": 1}}}, "tissue '3' needs two numbers"),
        ({"tissues": {"3": {"lambda": "1", "mu": 1}}}, "tissue '3' needs two numbers"),
        ({"tissues": {"3": {"lambda": float("nan"), "mu": 1}}}, "λ = nan is not allowed"),
        ({"scale": "linear", "tissues": {}}, "unknown scale 'linear'"),
        ({"3": {"lambda": 1, "mu": 1}}, 'expected {"tissues":'),
        ([1, 2], 'expected {"tissues":'),
    ],
)
def test_bad_parameters(fault, tmp_path, content, expected):
    file = tmp_path / "parameters.json"
    file.write_text(json.dumps(content))
    line = fault(parameters=file)
    assert f"{file}: " in line and expected in line


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"tissues": {', "the file is not valid JSON (line 1, column 14: Expecting property name"),
        (b'{"tissues": {}\n "scale": "log"}', "the file is not valid JSON (line 2, column 2: Expecting ',' delimiter)"),
        (b"[" * 100_000, "the file is not valid JSON (nested too deeply)"),
        (b"", "the file is empty"),
        (b"\xff\xfe\x00", "not a text file in UTF-8"),
        (b'{"scale": ["log"], "tissues": {}}', "unknown scale '['log']', expected one of"),
        (b'{"tissues": {"3": {"lambda": 1, "mu": 1%s}}}' % (b"0" * 400), "tissue '3' cannot have λ or μ as large as"),
        (b'{"tissues": {"3": {"lambda": 1, "mu": 1%s}}}' % (b"0" * 5000), "a number with too many digits"),
        (b'{"tissues": {"3": {"lambda": 1, "mu": 1}, "3": {}}}', "the key '3' occurs twice in one JSON object"),
    ],
)
def test_malformed_json(fault, tmp_path, content, expected):
    file = tmp_path / "parameters.json"
    file.write_bytes(content)
    line = fault(parameters=file)
    assert f"{file}: " in line and expected in line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x,y,z\n1,2,3\n", "the header 'x,y,z', read with commas between the columns, lacks fixed_x"),
        ("fixed_x,fixed_y,fixed_z,moving_x,moving_y\n1,2,3,4,5\n", "lacks moving_z"),
        (
            "fixed_x,fixed_y,fixed_z,moving_x,moving_y,moving_z\n1,2,3,4,5,six\n",
            "moving_z is 'six', not a finite number",
        ),
        ("fixed_x,fixed_y,fixed_z,moving_x,moving_y,moving_z\n", "the file has a header but no rows"),
        ("", "the file is empty"),
    ],
)
def test_bad_landmarks(fault, tmp_path, text, expected):
    file = tmp_path / "landmarks.csv"
    file.write_text(text)
    line = fault(landmarks=file)
    assert str(file) in line and expected in line


def test_landmarks_of_one_image_only(fault, tmp_path):
    file = tmp_path / "F.mrk.json"
    file.write_text("{}")
    assert f"{file}: these are points of one image" in fault(landmarks=file)
    assert "--moving-landmarks: requires --landmarks." in fault(moving_landmarks=file)


def test_initial_that_is_no_transform(fault, files):
    assert "fixed.nii.gz: not a readable transform file" in fault(initial=files["fixed"])


def test_initial_of_two_dimensions(fault, tmp_path):
    sitk.WriteTransform(sitk.TranslationTransform(2, (1.0, 2.0)), str(tmp_path / "flat.tfm"))
    assert "flat.tfm: the transform has 2 dimensions, not 3." in fault(initial=tmp_path / "flat.tfm")


# -- options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("model", "deepest", "--model deepest: Model 'deepest' not found"),
        ("refine", "many", "argument --refine: invalid int value: 'many'"),
        ("seed", "x", "argument --seed: invalid int value: 'x'"),
        ("device", "tpu", "argument --device: invalid choice: 'tpu'"),
        ("estimate", "guess", "argument --estimate: invalid choice: 'guess'"),
        ("fixd", "a.nii.gz", "unrecognized arguments: --fixd a.nii.gz"),
        ("landmark", "a.csv", "unrecognized arguments: --landmark a.csv"),
    ],
)
def test_bad_option(fault, option, value, expected):
    assert expected in fault(f"--{option}", value)


def test_required_option_left_out(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["register", "--fixed", "a.nii.gz", "--output", "out"])
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("error: the following arguments are required: --moving, --segmentation")


# -- output ----------------------------------------------------------------------------------------------------------


def test_output_below_a_regular_file(fault, tmp_path):
    (tmp_path / "occupied").write_text("a file")
    line = fault(output=tmp_path / "occupied" / "folder")
    assert f"{tmp_path / 'occupied' / 'folder'}: the output folder cannot be created or written" in line


def test_output_that_is_a_regular_file(fault, tmp_path):
    (tmp_path / "occupied").write_text("a file")
    assert "occupied: the output folder cannot be created or written" in fault(output=tmp_path / "occupied")


def test_results_of_an_earlier_run_stay(fault, files, tmp_path):
    (tmp_path / "earlier").mkdir()
    (tmp_path / "earlier" / "result.json").write_text("{}")
    rewrite(files["fixed"], lambda values: np.full_like(values, 7))
    fault(output=tmp_path / "earlier")
    assert (tmp_path / "earlier" / "result.json").read_text() == "{}"


def test_message_stands_alone_on_a_terminal(files, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr("TissueElasticRegistrationLib.commands.console_progress.TERMINAL_INTERVAL_S", 0.0)
    moving = sitk.ReadImage(files["moving"])
    moving.SetOrigin((900.0, 0.0, 0.0))
    sitk.WriteImage(moving, files["moving"])
    words = [word for name, value in files.items() for word in (f"--{name}", value)]
    assert main(["register", *words, "--initial", "none", "--output", str(tmp_path / "output")]) == 2
    shown = capsys.readouterr().err
    assert "resampling" in shown
    assert shown.split("\r")[-1] == "error: 'moving.nii.gz' does not overlap with 'fixed.nii.gz' in space.\n"
