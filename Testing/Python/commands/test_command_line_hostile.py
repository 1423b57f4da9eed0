"""What must not hurt: each case is a command, the exit code and the sentence that is expected. Nothing is registered.

Words in braces are paths: ``{case}`` holds a slice, ``{out}`` is an output folder that is there, ``{new}`` one that is
not.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import SimpleITK as sitk
from synthetic_pairs import slice_case

from TissueElasticRegistrationLib.__main__ import main
from TissueElasticRegistrationLib.commands import batch_command, register_command
from TissueElasticRegistrationLib.commands.console_progress import ProgressLine
from TissueElasticRegistrationLib.commands.failures import NO_MEMORY, interruptible
from TissueElasticRegistrationLib.commands.terminal import accept_any_output

LONG = "x" * 300
NOT_UTF8 = os.fsdecode(b"\xff.nii.gz")
FILES = {name: f"{{case}}/{name}.nii.gz" for name in ("fixed", "moving", "segmentation")}
OVERWRITTEN = "this input would be overwritten; choose another output folder."


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("case")
    slice_case().save(folder)
    return folder


@pytest.fixture
def places(case, tmp_path) -> dict[str, Path]:
    (tmp_path / "out").mkdir()
    return {"case": case, "out": tmp_path / "out", "new": tmp_path / "new", "tmp": tmp_path}


def listing(folder: Path) -> dict[str, bytes | None]:
    files = sorted(folder.rglob("*"))
    return {str(path): path.read_bytes() if path.is_file() and path.stat().st_size else None for path in files}


def told(words: list[str], capsys) -> tuple[int, str]:
    """Exit code and the last line on stderr, after which nothing has come."""
    try:
        code = main(words)
    except SystemExit as stop:  # of argparse
        code = stop.code
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.endswith("\n")
    *progress, line = captured.err.splitlines()
    assert all("%" in text for text in progress)
    return code, line


def register(places: dict[str, Path], **options: str) -> list[str]:
    given = {**FILES, "output": "{new}", **options}
    return ["register", *(word.format(**places) for name, value in given.items() for word in (f"--{name}", value))]


# --- bad values ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        # An input in the output folder.
        ({"moving": "{out}/warped.nii.gz", "output": "{out}"}, f"{{out}}/warped.nii.gz: {OVERWRITTEN}"),
        (
            {"fixed": "{out}/../out/jacobian.nii.gz", "output": "{out}"},
            f"{{out}}/../out/jacobian.nii.gz: {OVERWRITTEN}",
        ),
        ({"segmentation": "{out}/warped_labels.nii.gz", "output": "{out}"}, OVERWRITTEN),
        ({"moving-segmentation": "{out}/warped_labels.nii.gz", "output": "{out}"}, OVERWRITTEN),
        ({"initial": "{out}/transform.h5", "output": "{out}"}, f"{{out}}/transform.h5: {OVERWRITTEN}"),
        ({"parameters": "{out}/result.json", "output": "{out}"}, f"{{out}}/result.json: {OVERWRITTEN}"),
        ({"landmarks": "{out}/subject.json", "output": "{out}"}, f"{{out}}/subject.json: {OVERWRITTEN}"),
        # An output folder that is none.
        ({"output": ""}, "--output: the name is empty."),
        ({"output": f"{{new}}/{LONG}/a"}, "the output folder cannot be created or written (File name too long)."),
        ({"output": "{case}/fixed.nii.gz"}, "cannot be created or written (a file has this name)."),
        ({"output": "{case}/fixed.nii.gz/a"}, "cannot be created or written (Not a directory)."),
        ({"output": "/proc/nowhere"}, "/proc/nowhere: the output folder cannot be created or written ("),
        ({"output": NOT_UTF8}, "\\udcff.nii.gz: the name is not UTF-8; rename the file or folder."),
        # Names of inputs.
        ({"fixed": ""}, "--fixed: the name is empty."),
        ({"landmarks": " "}, "--landmarks: the name is empty."),
        ({"fixed": f"{{case}}/{LONG}"}, f"{LONG}: file not found."),
        ({"segmentation": f"{{case}}/{LONG}"}, f"{LONG}: file not found."),
        ({"landmarks": f"{{case}}/{LONG}.csv"}, f"{LONG}.csv: file not found."),
        ({"parameters": f"{{case}}/{LONG}"}, f"{LONG}: "),
        ({"initial": f"{{case}}/{LONG}"}, f"{LONG}: file not found"),
        ({"model": f"{{case}}/{LONG}"}, "card.json is missing or cannot be read."),
        *(
            ({name: f"{{tmp}}/{NOT_UTF8}"}, "\\udcff.nii.gz: the name is not UTF-8")
            for name in (*FILES, "landmarks", "parameters", "initial")
        ),
        ({"moving": "{case}/a\x1b[31mred\x07.nii.gz"}, "a\\x1b[31mred\\x07.nii.gz: file not found."),
        ({"moving": "{case}/a\nb\u202e.nii.gz"}, "a b\\u202e.nii.gz: file not found."),
        ({"tissues": f"1={NOT_UTF8}"}, "--tissues: '1=\\udcff.nii.gz' is not UTF-8."),
        # Numbers.
        ({"seed": str(2**64)}, f"--seed: The seed must be a whole number from 0 to {2**63 - 1}, not {2**64}."),
        ({"seed": "-1"}, "--seed: The seed must be a whole number"),
        ({"refine": "-1"}, "--refine: The number of refinement steps must be a whole number from 0 to 1000, not -1."),
        ({"refine": str(10**9)}, "--refine: The number of refinement steps must be a whole number from 0 to 1000"),
        ({"estimate": "grid", "grid-points": "1"}, "--grid-points: The number of grid points must be"),
        ({"estimate": "grid", "grid-points": "1000000"}, "from 2 to 50, not 1000000."),
    ],
)
def test_a_bad_value_of_register_is_one_sentence(places, capsys, options, sentence):
    for name in ("warped.nii.gz", "jacobian.nii.gz", "warped_labels.nii.gz"):
        (places["out"] / name).write_bytes((places["case"] / "moving.nii.gz").read_bytes())
    before = listing(places["tmp"])
    code, line = told(register(places, **options), capsys)
    assert code == 2 and line.startswith("error: ") and line.isprintable()
    assert line.endswith(".") and ". " not in line.removeprefix("error: "), line
    assert sentence.format(**places) in line
    assert listing(places["tmp"]) == before


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"scale": ["log"], "tissues": {}}', "unknown scale '['log']'"),
        ('{"scale": {}, "tissues": {}}', "unknown scale '{}'"),
        (
            '{"tissues": {"1": {"lambda": 1, "mu": 1%s}}}' % ("0" * 400),
            "The tissue '1' cannot have λ or μ as large as 1000",
        ),
        ('{"tissues": {"1": {"lambda": NaN, "mu": 1}}}', "Tissue '1': λ = nan is not allowed"),
        ('{"tissues": {"1": {"lambda": 1, "mu": -Infinity}}}', "Tissue '1': μ = -inf is not allowed"),
        ('{"tissues": {"1": {"lambda": true, "mu": 1}}}', "tissue '1' needs two numbers"),
        ('{"tissues": {"1": [1, 1]}}', "tissue '1' needs two numbers"),
        ('{"tissues": {"1": null}}', "tissue '1' needs two numbers"),
        ('{"tissues": []}', "expected {"),
        ("null", "expected {"),
    ],
)
def test_bad_values_of_tissues_are_one_sentence_that_names_the_tissue(places, capsys, content, sentence):
    file = places["tmp"] / "parameters.json"
    file.write_text(content)
    code, line = told(register(places, parameters=str(file).replace("{", "{{")), capsys)
    assert code == 2 and line.startswith(f"error: {file}: ") and sentence in line
    assert not places["new"].exists()


@pytest.mark.parametrize("which", ["fixed", "moving"])
@pytest.mark.parametrize("factor", [1e300, 1e38, 1e-300])
def test_values_that_single_precision_cannot_hold_are_refused(places, capsys, which, factor):
    image = sitk.Cast(sitk.ReadImage(str(places["case"] / f"{which}.nii.gz")), sitk.sitkFloat64) * factor
    sitk.WriteImage(image, str(places["tmp"] / "large.nrrd"))
    code, line = told(register(places, **{which: "{tmp}/large.nrrd"}), capsys)
    assert code == 2 and line.startswith(f"error: {places['tmp']}/large.nrrd: the values from -")
    assert line.endswith(" are too large or too close together to be registered in single precision.")


def test_a_folder_in_the_place_of_a_result_is_refused(places, capsys):
    (places["out"] / "transform.h5").mkdir()
    (places["out"] / "result.json").write_text("old")
    code, line = told(register(places, output="{out}"), capsys)
    assert (
        code == 2
        and line
        == f"error: {places['out']}/transform.h5: this is a folder, in the place of a file that "
        + ("is to be written.")
    )
    assert (places["out"] / "result.json").read_text() == "old"


# --- lists --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["a", "a"], "line 3: the subject 'a' is already in line 2."),
        (["Anna", "anna"], "line 3: the subject 'anna' is already in line 2 as 'Anna'"),
        (["u\u0308", "\u00fc"], "line 3: the subject '\u00fc' is already in line 2 as"),
        (["batch.csv"], "line 2: the subject 'batch.csv' cannot be the name of a folder: the table of all"),
        (["Batch.CSV"], "cannot be the name of a folder: the table of all subjects has this name."),
        ([".."], "it begins with a dot."),
        (["."], "it begins with a dot."),
        ([".unfinished-a"], "it begins with a dot."),
        (["a/b"], "it contains '/'."),
        (["../a"], "it contains '/'."),
        (["/tmp/a"], "it contains '/'."),
        (["a\\b"], "it contains '\\\\'."),
        (["C:"], "it contains ':'."),
        (["a?"], "it contains '?'."),
        (["a\tb"], "it contains '\\t'."),
        (["a\x1b[31m"], "it contains '\\x1b'."),
        (["a."], "it ends with a dot."),
        (["x" * 256], "it is longer than 255 bytes."),
        (["ü" * 128], "it is longer than 255 bytes."),
        (["CON"], "Windows reserves it for a device."),
        (["com1.a"], "Windows reserves it for a device."),
    ],
)
def test_a_subject_that_cannot_be_a_folder_is_refused_with_the_reason(places, capsys, names, sentence):
    file = places["tmp"] / "pairs.csv"
    lines = ["subject,fixed,moving,segmentation", *(f"{name},a,b,c" for name in names)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    code, line = told(["batch", str(file), "--output", str(places["new"])], capsys)
    assert code == 2 and line.startswith(f"error: {file}, line ") and sentence in line and line.isprintable()
    assert not places["new"].exists()


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (["", "a", ""], ["subject-001", "a", "subject-003"]),
        (["subject-002", ""], ["subject-002", "subject-003"]),
        (["", "subject-001"], ["subject-002", "subject-001"]),
        (["", "Subject-002", "", ""], ["subject-001", "Subject-002", "subject-003", "subject-004"]),
        (["a b", "Müller", "2.1", "con-1"], ["a b", "Müller", "2.1", "con-1"]),
    ],
)
def test_a_subject_without_a_name_gets_one_that_nobody_has(given, names):
    assert list(batch_command.named_subjects(list(enumerate(given, start=2)), "batch.csv")) == names


@pytest.mark.parametrize(
    ("pairs", "fixed", "sentence"),
    [
        ("{out}/batch.csv", "{case}/fixed.nii.gz", f"{{out}}/batch.csv: {OVERWRITTEN}"),
        ("{tmp}/pairs.csv", "{out}/a/warped.nii.gz", f"{{out}}/a/warped.nii.gz: {OVERWRITTEN}"),
        ("{tmp}/pairs.csv", "{out}/b/jacobian.nii.gz", f"{{out}}/b/jacobian.nii.gz: {OVERWRITTEN}"),
        ("{tmp}/pairs.csv", "{out}/batch.csv", f"{{out}}/batch.csv: {OVERWRITTEN}"),
    ],
)
def test_a_list_that_would_overwrite_an_input_of_any_subject_is_refused(places, capsys, pairs, fixed, sentence):
    file, fixed = Path(pairs.format(**places)), fixed.format(**places)
    file.write_text(f"subject,fixed,moving,segmentation\na,x,y,z\nb,{fixed},y,z\n")
    before = listing(places["tmp"])
    code, line = told(["batch", str(file), "--output", str(places["out"])], capsys)
    assert (code, line) == (2, f"error: {sentence.format(**places)}") and listing(places["tmp"]) == before


def test_a_file_in_the_place_of_the_output_of_a_list_is_refused(places, capsys):
    (places["tmp"] / "pairs.csv").write_text("fixed,moving,segmentation\na,b,c\n")
    (places["tmp"] / "file").write_text("mine")
    code, line = told(["batch", str(places["tmp"] / "pairs.csv"), "--output", str(places["tmp"] / "file")], capsys)
    assert (code, line.split(": ")[-1]) == (2, "the output folder cannot be created, because a file has this name.")
    assert (places["tmp"] / "file").read_text() == "mine"


def test_a_file_in_the_place_of_a_subject_fails_this_subject(places, capsys):
    (places["out"] / "a").write_text("mine")
    (places["tmp"] / "pairs.csv").write_text("subject,fixed,moving,segmentation\na,x,y,z\n")
    code, line = told(["batch", str(places["tmp"] / "pairs.csv"), "--output", str(places["out"])], capsys)
    assert code == 2 and line.endswith("out/a: the output folder cannot be created or written (a file has this name).")
    assert (places["out"] / "a").read_text() == "mine"


# --- models -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["card.json", "weights.pt"])
@pytest.mark.parametrize("kind", ["device", "pipe", "folder", "large"])
def test_a_model_of_files_that_are_none_is_told_and_not_read(places, capsys, file, kind):
    shipped = Path(register_command.__file__).parents[2] / "Resources" / "Models" / "universal-2d"
    model = places["tmp"] / "models" / "m"
    model.mkdir(parents=True)
    for name in ("card.json", "weights.pt"):
        (model / name).symlink_to(shipped / name)
    (model / file).unlink()
    if kind == "device":
        (model / file).symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(model / file)
    elif kind == "folder":
        (model / file).mkdir()
    else:
        with open(model / file, "wb") as stream:
            stream.truncate(10**12)
    assert main(["models", "--folder", str(model.parent)]) == 0
    problem = "is too large." if kind == "large" else "is missing or cannot be read."
    assert capsys.readouterr().out == f"Model pack 'm': {file} {problem}\n"


def test_control_characters_of_a_model_do_not_reach_the_terminal(places, capsys, monkeypatch):
    shipped = Path(register_command.__file__).parents[2] / "Resources" / "Models" / "universal-2d"
    for folder, change in (("good", {"name": "a\x1b[31mred\x07"}), ("bad\x1b[2J", {"schema": 99})):
        (places["tmp"] / folder).mkdir()
        (places["tmp"] / folder / "weights.pt").symlink_to(shipped / "weights.pt")
        card = json.loads((shipped / "card.json").read_text(encoding="utf-8"))
        (places["tmp"] / folder / "card.json").write_text(json.dumps({**card, **change}))
    assert main(["models", "--folder", str(places["tmp"])]) == 0
    shown = capsys.readouterr().out
    assert "a\\x1b[31mred\\x07" in shown and "Model pack 'bad\\x1b[2J'" in shown
    assert shown.replace("\n", "").isprintable()


# --- what fails on the way ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MemoryError(), NO_MEMORY),
        (MemoryError("Unable to allocate 36.4 TiB for an array"), NO_MEMORY),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried ..."), NO_MEMORY),
        (RuntimeError("ITK ERROR:\n Failed to allocate memory for image."), NO_MEMORY),
        (ImportError("libtorch_cpu.so: cannot map segment: Cannot allocate memory"), NO_MEMORY),
        (
            ArithmeticError("The registration became unstable: the objective is nan."),
            "The registration became unstable",
        ),
        (OSError(28, "No space left on device"), "No space left on device."),
        (OSError(28, "No space left on device", "out/a"), "out/a: No space left on device."),
        (OSError(5, "Input/output error", "a\x1b"), "a\\x1b: Input/output error."),
    ],
)
@pytest.mark.parametrize("command", ["register", "batch"])
def test_an_error_that_is_no_fault_of_the_program_is_one_line(places, capsys, monkeypatch, error, sentence, command):
    def fails(*_):
        raise error

    monkeypatch.setattr(register_command, "read_pair", fails)
    words = register(places)
    if command == "batch":
        (places["tmp"] / "pairs.csv").write_text("subject,fixed,moving,segmentation\na,x,y,z\n")
        words = ["batch", str(places["tmp"] / "pairs.csv"), "--output", str(places["new"])]
    code, line = told(words, capsys)
    assert code == (1 if command == "register" else 2)
    assert line.startswith("error: ") and sentence in line and line.isprintable()
    assert not places["new"].exists()


SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@pytest.fixture(autouse=True)
def signals_are_heard():
    """Also where the tests run in the background of a shell, which makes its jobs deaf to some."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_to_end_leaves_nothing_behind(places, capsys, monkeypatch, number):
    class Impatient(ProgressLine):
        def __call__(self, stage: str, fraction: float, text: str) -> None:
            assert list(places["out"].iterdir()) and places["new"].exists()
            signal.raise_signal(number)

    monkeypatch.setattr("TissueElasticRegistrationLib.__main__.ProgressLine", Impatient)
    (places["out"] / "result.json").write_text("old")
    code, line = told(register(places, output="{new}/deep"), capsys)
    assert (code, line) == (1, "canceled; nothing was written")
    assert not places["new"].exists() and listing(places["out"]) == {str(places["out"] / "result.json"): b"old"}


def test_a_second_signal_does_not_disturb_the_ending():
    heard = []
    with pytest.raises(KeyboardInterrupt), interruptible():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            for number in SIGNALS:
                signal.raise_signal(number)
            heard.append("ended in peace")
    assert heard
    assert [signal.getsignal(number) for number in SIGNALS] == [signal.default_int_handler] * len(SIGNALS)


def test_a_signal_that_is_ignored_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
    with interruptible():
        signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


# --- encodings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1", "utf-8"])
def test_help_and_sentences_go_into_any_encoding(encoding):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONIOENCODING": encoding}
    program = [sys.executable, "-m", "TissueElasticRegistrationLib"]
    done = subprocess.run([*program, "register", "--help"], capture_output=True, env=environment, timeout=60)
    expected = "λ and μ" if encoding == "utf-8" else "lambda and mu"
    assert (done.returncode, done.stderr) == (0, b"") and expected in done.stdout.decode(encoding)
    done = subprocess.run([*program, "register", "--λ"], capture_output=True, env=environment, timeout=60)
    assert done.returncode == 2 and done.stderr.decode(encoding).startswith("error: ") and done.stdout == b""


def test_a_service_needs_no_output_to_write_to(monkeypatch):
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    accept_any_output()
    ProgressLine()("read", 1.0, "λ")
    assert sys.stdout.write("λ") == 1
