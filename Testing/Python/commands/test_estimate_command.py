"""``--estimate`` and ``--shear-modulus-ratio``: repeatable, canceled without a trace, refused or warned of in a
sentence.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
from pathlib import Path

import pytest
from networks import awake, model_card
from synthetic_pairs import slice_case

from TissueElasticRegistrationLib.__main__ import main
from TissueElasticRegistrationLib.commands import batch_command, register_command
from TissueElasticRegistrationLib.commands.console_progress import ProgressLine
from TissueElasticRegistrationLib.core.data.progress import Progress
from TissueElasticRegistrationLib.core.data.tissues import Tissue
from TissueElasticRegistrationLib.core.estimation.coarse_registration import CoarseRegistration
from TissueElasticRegistrationLib.core.files.landmark_files import read_landmarks
from TissueElasticRegistrationLib.core.models.model_pack import save_pack
from TissueElasticRegistrationLib.core.models.network import NetworkConfig
from TissueElasticRegistrationLib.core.stiffness.shear_modulus_ratio import ShearModulusRatios, TissueModulusRatio

FILES = ("fixed", "moving", "segmentation", "moving_segmentation")
QUICK = ("--model", "universal-2d", "--refine", "0")
GRID = ("--estimate", "grid", "--grid-points", "3")
RATIO = "--shear-modulus-ratio"


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "cpu_count", lambda: 1)
        yield


@pytest.fixture(autouse=True)
def ctrl_c_is_heard():
    """Also where the tests run in the background of a shell, which makes its jobs deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("case")
    slice_case().save(folder)
    return folder


def register(case: Path, output: Path, *more: str, without: str = "landmarks", **files: Path) -> int:
    given = {name: case / f"{name}.nii.gz" for name in FILES} | {"landmarks": case / "landmarks.csv"} | files
    words = [
        word for name, path in given.items() if name != without for word in (f"--{name.replace('_', '-')}", str(path))
    ]
    return main(["register", *words, "--tissues", "1=lung,2=bone,3=liver,4=soft", *more, "--output", str(output)])


def result_of(output: Path) -> dict:
    return json.loads((output / "result.json").read_text(encoding="utf-8"))


# --- repeatability ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        ("--estimate", "grid", "--grid-points", "2", RATIO),
        ("--estimate", "gradient"),
        (*QUICK, *GRID),
    ],
    ids=["grid", "gradient", "universal-2d"],
)
def test_the_same_command_twice_writes_the_same_bytes(case, tmp_path, options):
    texts = []
    for name in ("first", "second"):
        assert register(case, tmp_path / name, *options) == 0
        text = (tmp_path / name / "result.json").read_text(encoding="utf-8")
        texts.append(re.sub(r'"seconds": {[^}]*}|"peak_memory_mb": [0-9.]+', "", text))
    assert texts[0] == texts[1] and '"score"' in texts[0] and '"seconds"' not in texts[0]
    assert ('"strain_index"' in texts[0]) == (RATIO in options)
    pages = [(tmp_path / name / "report.html").read_bytes() for name in ("first", "second")]
    assert pages[0] == pages[1]


# --- canceled --------------------------------------------------------------------------------------------------------


class Impatient(ProgressLine):
    """Presses Ctrl-C as soon as a line of progress has this beginning."""

    moment = ""

    def __call__(self, stage: str, fraction: float, text: str) -> None:
        if f"{stage} {100 * fraction:3.0f} %  {text}".startswith(self.moment):
            signal.raise_signal(signal.SIGINT)
        super().__call__(stage, fraction, text)


@pytest.mark.parametrize(
    ("moment", "options"),
    [
        ("read", GRID),
        ("estimate  23 %", GRID),
        ("shear modulus ratio", (RATIO,)),
        ("evaluate", (*QUICK, *GRID)),
        ("write 100 %  done", (*QUICK, *GRID)),
    ],
)
def test_canceling_writes_nothing_and_keeps_what_was_there(case, tmp_path, monkeypatch, capsys, moment, options):
    monkeypatch.setattr("TissueElasticRegistrationLib.__main__.ProgressLine", Impatient)
    monkeypatch.setattr(Impatient, "moment", moment)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "result.json").write_text("of an earlier run")
    assert register(case, tmp_path / "out", *options) == 1
    assert capsys.readouterr().err.endswith("canceled; nothing was written\n")
    assert [(path.name, path.read_text()) for path in (tmp_path / "out").iterdir()] == [
        ("result.json", "of an earlier run")
    ]


def test_canceling_a_batch_keeps_the_subjects_that_were_finished(case, tmp_path, monkeypatch, capsys):
    (tmp_path / "pairs.csv").write_text(
        "subject,fixed,moving,segmentation\n"
        + "".join(
            f"{name},{case}/fixed.nii.gz,{case}/moving.nii.gz,{case}/segmentation.nii.gz\n" for name in ("anna", "bert")
        )
    )
    register_files = batch_command.register_files

    def not_the_second(request, report):
        if request.output.endswith("bert"):
            signal.raise_signal(signal.SIGINT)
        return register_files(request, report)

    monkeypatch.setattr(batch_command, "register_files", not_the_second)
    assert main(["batch", str(tmp_path / "pairs.csv"), *QUICK, "--output", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.endswith("canceled; only the results of completed subjects were written\n")
    with open(tmp_path / "out" / "batch.csv", newline="", encoding="utf-8") as stream:
        assert {row["subject"] for row in csv.DictReader(stream)} == {"anna"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"anna", "batch.csv"}


# --- what fails on the way --------------------------------------------------------------------------------------------


def test_one_candidate_that_fails_does_not_end_the_search(case, tmp_path, monkeypatch):
    right, count = CoarseRegistration.register, iter(range(100))

    def fails_once(self, lame, start):
        if next(count) == 2:  # largest λ, smallest μ: far from all start values, whose scores lie between places
            raise ArithmeticError("The deformation has values that are not finite.")
        return right(self, lame, start)

    monkeypatch.setattr(CoarseRegistration, "register", fails_once)
    assert register(case, tmp_path / "out", "--estimate", "grid", "--grid-points", "3") == 0
    result = result_of(tmp_path / "out")
    assert [text for text in result["warnings"] if "could not be registered: The deformation has values" in text]
    assert len(result["estimate"]["per_tissue"]) == 4
    assert all(row["score"] > 0.5 for row in result["estimate"]["per_tissue"])
    assert "could not be registered" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_shear_modulus_ratio_that_fails_is_a_warning(case, tmp_path, monkeypatch):
    def fails(registrar):
        raise ValueError("There is not enough deformed tissue to compare stiffness.")
        yield

    monkeypatch.setattr(register_command, "estimate_shear_modulus_ratios", fails)
    assert register(case, tmp_path / "out", *QUICK, RATIO) == 0
    result = result_of(tmp_path / "out")
    assert result["estimate"]["shear_modulus_ratio"] is None
    assert "There is no shear modulus ratio: There is not enough deformed tissue" in " ".join(result["warnings"])
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "There is no shear modulus ratio" in report and "<h2>Shear modulus ratios</h2>" not in report


def test_without_the_switch_no_shear_modulus_ratio_is_computed(case, tmp_path, monkeypatch):
    def never(registrar):
        raise AssertionError("It was not asked for.")

    monkeypatch.setattr(register_command, "estimate_shear_modulus_ratios", never)
    assert register(case, tmp_path / "out", *QUICK, *GRID) == 0
    assert result_of(tmp_path / "out")["estimate"]["shear_modulus_ratio"] is None
    assert register(case, tmp_path / "plain", *QUICK) == 0
    assert result_of(tmp_path / "plain")["estimate"] is None


def test_what_the_shear_modulus_ratio_warns_of_is_in_the_result(case, tmp_path, monkeypatch):
    soft = Tissue(4, "soft", "4")

    def warns(registrar):
        yield Progress(0.5, "measuring")
        row = TissueModulusRatio(soft, 1.0, 1.0, 1.0, True, 0.0, 3.0)
        return ShearModulusRatios((row,), soft, 1.0, ("There is only one tissue.",))

    monkeypatch.setattr(register_command, "estimate_shear_modulus_ratios", warns)
    assert register(case, tmp_path / "out", *QUICK, RATIO) == 0
    assert "There is only one tissue." in result_of(tmp_path / "out")["warnings"]


def test_images_that_are_the_same_tell_no_stiffness(case, tmp_path):
    """And nothing is searched for: the parameters are those of the table."""
    same = {"moving": case / "fixed.nii.gz", "moving_segmentation": case / "segmentation.nii.gz"}
    assert register(case, tmp_path / "out", *QUICK, RATIO, **same) == 0
    result = result_of(tmp_path / "out")
    block = result["estimate"]
    assert (block["method"], block["objective"], block["grid"], block["per_tissue"]) == ("none", None, None, [])
    assert block["shear_modulus_ratio"] is None
    assert [text for text in result["warnings"] if text.startswith("There is no shear modulus ratio: ")]
    assert {row["name"]: row["mu"] for row in result["tissues"]} == {
        "background": 0.02,
        "lung": 0.5,
        "bone": 30,
        "liver": 1,
        "soft": 1,
    }
    assert result["seconds"]["estimate"] > 0


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("without", "options", "message"),
    [
        ("landmarks", (*GRID, "--objective", "landmarks"), "requires corresponding landmarks"),
        ("landmarks", (*GRID, "--hold-out-landmarks", "half"), "--hold-out-landmarks: no landmarks were given."),
        ("", (*GRID, "--hold-out-landmarks", " , "), "--hold-out-landmarks: names none of the 20 landmarks."),
        ("", (*GRID, "--hold-out-landmarks", "tip"), "There is no landmark 'tip' to hold out."),
        ("moving_segmentation", GRID, "requires a segmentation of the moving image"),
        ("", (*GRID, "--hold-out", "spleen"), "--hold-out: Unknown tissue 'spleen'"),
        ("", (*GRID, "--hold-out", '"lung'), '--hold-out: "lung is not a list of names'),
        ("", (*GRID, "--hold-out-landmarks", '"1'), '--hold-out-landmarks: "1 is not a list of names'),
        (
            "",
            (*GRID, "--hold-out", "lung,bone", "--hold-out", "liver,soft"),
            "--hold-out: all tissues are held out; none is left",
        ),
        (
            "",
            (*GRID, "--hold-out", "background"),
            "Only tissues that have a segment in the fixed image can be held out.",
        ),
        (
            "",
            ("--estimate", "gradient", "--grid-points", "3"),
            "--grid-points: requires --estimate grid",
        ),
        (
            "",
            ("--objective", "landmarks"),
            "--objective: requires --estimate grid or gradient.",
        ),
        ("", ("--hold-out", "liver"), "--hold-out: requires --estimate"),
        ("", ("--hold-out-landmarks", "half"), "--hold-out-landmarks: requires --estimate"),
    ],
)
def test_what_cannot_be_searched_is_refused(case, tmp_path, capsys, without, options, message):
    assert register(case, tmp_path / "out", *options, without=without) == 2
    refused(capsys, message, tmp_path / "out")


def test_holding_all_landmarks_out_of_a_search_by_landmarks_is_refused(case, tmp_path, capsys):
    names = ",".join(read_landmarks(case / "landmarks.csv").all_names)
    options = (*GRID, "--objective", "landmarks", "--hold-out-landmarks", names)
    assert register(case, tmp_path / "out", *options, without="") == 2
    refused(capsys, "No tissue can be scored: at least 3 landmarks are needed per tissue.", tmp_path / "out")


def test_a_model_of_another_regularizer_is_refused_for_the_search(case, tmp_path, capsys):
    config = NetworkConfig(2, encoder=(8, 8), decoder=(8, 8), final=(8,))
    save_pack(tmp_path / "other", awake(config), model_card(config, name="other", regularizer="diffusion"))
    assert register(case, tmp_path / "out", *GRID, "--search-model", str(tmp_path / "other")) == 2
    refused(
        capsys,
        "The model 'other' cannot search for this registration: it was trained with the diffusion",
        tmp_path / "out",
    )


def refused(capsys, message: str, output: Path) -> None:
    *progress, line = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and message in line and ". " not in line.removeprefix("error: ")
    assert all("%" in text for text in progress)
    assert not output.exists()


def test_similarity_needs_no_moving_segmentation_and_warns_of_itself(case, tmp_path):
    assert (
        register(case, tmp_path / "out", *QUICK, *GRID, "--objective", "similarity", without="moving_segmentation") == 0
    )
    result = result_of(tmp_path / "out")
    assert "Similarity alone favors soft tissue that fits noise" in " ".join(result["warnings"])
    assert result["estimate"]["objective"] == "similarity" and len(result["estimate"]["per_tissue"]) == 4
    assert "Mean error of 20 landmarks" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


# --- progress ---------------------------------------------------------------------------------------------------------


def test_progress_ends_the_estimate_with_what_has_come_out(case, tmp_path, capsys):
    assert register(case, tmp_path / "out", *QUICK, *GRID, "--hold-out", "bone") == 0
    assert "estimate 100 %  λ and μ of 3 tissues by class-wise Dice\n" in capsys.readouterr().err


def test_lines_that_are_rewritten_fit_into_a_terminal():
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    progress = ProgressLine(stream)
    progress("12 of 30, a-subject-with-a-very-long-name: estimate", 0.5, "λ 0.02, μ 0.0199: 13 of 25, and more of it")
    assert len(stream.getvalue().removeprefix("\r")) == 78 and stream.getvalue().endswith("…")
    progress("failed", 1.0, "x" * 100)
    assert stream.getvalue().endswith("x" * 100 + "\n"), "what stays is told in full"


# --- the guide --------------------------------------------------------------------------------------------------------


def test_the_guide_names_every_option_and_every_column_of_the_table():
    text = (Path(__file__).parents[3] / "Resources" / "Docs" / "command-line.md").read_text(encoding="utf-8")
    with pytest.raises(SystemExit), pytest.MonkeyPatch.context() as patch:
        shown = io.StringIO()
        patch.setattr("sys.stdout", shown)
        main(["register", "--help"])
    options = set(re.findall(r"--[a-z]+(?:-[a-z]+)*", shown.getvalue())) - {"--help"}
    assert len(options) > 15 and {option for option in options if option not in text} == set()
    assert {column for column in batch_command.COLUMNS if f"`{column}`" not in text} == set()
