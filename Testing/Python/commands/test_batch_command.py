"""The command ``batch`` and ``register --estimate``: what is written, skipped and refused."""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
from pathlib import Path

import pytest
from synthetic_pairs import slice_case

from TissueElasticRegistrationLib.__main__ import main
from TissueElasticRegistrationLib.commands import batch_command
from TissueElasticRegistrationLib.commands.register_command import read_pair
from TissueElasticRegistrationLib.core.data.progress import finish
from TissueElasticRegistrationLib.core.data.tissues import Lame
from TissueElasticRegistrationLib.core.estimation.criteria.hold_out import HoldOut
from TissueElasticRegistrationLib.core.estimation.grid_search import estimate_by_grid
from TissueElasticRegistrationLib.core.evaluation import evaluation
from TissueElasticRegistrationLib.core.registration.registrar import Registrar
from TissueElasticRegistrationLib.core.reporting.estimate_summary import shear_modulus_account
from TissueElasticRegistrationLib.core.stiffness.shear_modulus_ratio import estimate_shear_modulus_ratios

NAMES = "1=lung,2=bone,3=liver,4=soft"
HEADER = "subject,fixed,moving,segmentation,moving_segmentation,landmarks\n"
LINE = "{0},case/fixed.nii.gz,{1},case/segmentation.nii.gz,case/moving_segmentation.nii.gz,case/landmarks.csv\n"
ESTIMATE = ("--estimate", "grid", "--grid-points", "2", "--tissues", NAMES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("batch")
    slice_case().save(place / "case")
    (place / "pairs.csv").write_text(
        HEADER + LINE.format("anna", "case/moving.nii.gz") + LINE.format("lost", "case/nowhere.nii.gz")
    )
    return place


@pytest.fixture(scope="module")
def finished(folder) -> Path:
    """Two subjects, one of which cannot be read."""
    output = folder / "output"
    assert main(["batch", str(folder / "pairs.csv"), *ESTIMATE, "--output", str(output)]) == 1
    return output


def rows_of(output: Path) -> list[dict[str, str]]:
    with open(output / "batch.csv", newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def register(folder: Path, *options: str) -> dict:
    files = [
        ("--fixed", "fixed.nii.gz"),
        ("--moving", "moving.nii.gz"),
        ("--segmentation", "segmentation.nii.gz"),
        ("--moving-segmentation", "moving_segmentation.nii.gz"),
        ("--landmarks", "landmarks.csv"),
    ]
    words = [word for option, file in files for word in (option, str(folder / "case" / file))]
    assert main(["register", *words, *options, "--output", str(folder / "one")]) == 0
    return json.loads((folder / "one" / "result.json").read_text(encoding="utf-8"))


# --- register --estimate ----------------------------------------------------------------------------------------------


def test_the_estimate_in_the_result_is_that_of_the_library(folder):
    result = register(folder, *ESTIMATE, "--hold-out", "liver", "--shear-modulus-ratio")
    block = result["estimate"]
    assert block.keys() == {
        "method",
        "objective",
        "grid",
        "per_tissue",
        "held_out",
        "shear_modulus_ratio",
        "search_model",
    }
    assert (block["method"], block["objective"]) == ("grid", "dice")
    assert all(
        row.keys() == {"id", "lambda", "mu", "score", "score_start", "flat", "confidence"}
        for row in block["per_tissue"]
    )
    assert block["held_out"] == {"tissues": ["3"], "landmarks": [], "tre_mm": None}
    registrar = Registrar(read_pair(_files(folder)), threads=1)
    finish(registrar.prepare())
    wanted = finish(estimate_by_grid(registrar, registrar.table_parameters(), points=2, hold_out=HoldOut.of([3])))
    found = {row["id"]: Lame(row["lambda"], row["mu"]) for row in block["per_tissue"]}
    assert found.keys() == wanted.values().keys() == {"1", "2", "4"}
    for key, lame in wanted.values().items():
        assert (found[key].lam, found[key].mu) == pytest.approx((lame.lam, lame.mu), rel=1e-5)
    used = {tissue["id"]: (tissue["lambda"], tissue["mu"]) for tissue in result["tissues"]}
    assert all(used[row["id"]] == (row["lambda"], row["mu"]) for row in block["per_tissue"])
    assert result["seconds"]["estimate"] > 0
    stiffness = shear_modulus_account(finish(estimate_shear_modulus_ratios(registrar)))
    for row, told in zip(stiffness["per_tissue"], block["shear_modulus_ratio"]["per_tissue"], strict=True):
        assert (row["id"], row["supported"], row["reason"]) == (told["id"], told["supported"], told["reason"])
        assert told["mu"] == pytest.approx(row["mu"], rel=1e-5)


def _files(folder: Path):
    names = {
        "fixed": "fixed",
        "moving": "moving",
        "segmentation": "segmentation",
        "moving_segmentation": "moving_segmentation",
    }
    paths = {name: str(folder / "case" / f"{file}.nii.gz") for name, file in names.items()}
    return argparse.Namespace(**paths, tissues=NAMES, landmarks=None)


def test_held_out_landmarks_have_their_own_error(folder):
    result = register(folder, *ESTIMATE, "--objective", "landmarks", "--hold-out-landmarks", "half")
    held_out = result["estimate"]["held_out"]
    assert len(held_out["landmarks"]) == held_out["tre_mm"]["n"] == result["tre_mm"]["n"] // 2
    assert "Landmarks held out of the search" in (folder / "one" / "report.html").read_text(encoding="utf-8")


def test_a_search_model_without_a_search_is_refused(folder, capsys):
    case = folder / "case"
    files = [
        "--fixed",
        case / "fixed.nii.gz",
        "--moving",
        case / "moving.nii.gz",
        "--segmentation",
        case / "segmentation.nii.gz",
    ]
    assert main(["register", *map(str, files), "--search-model", "some", "--output", str(folder / "refused")]) == 2
    assert "--search-model: requires --estimate grid" in capsys.readouterr().err
    assert not (folder / "refused").exists()


# --- batch ------------------------------------------------------------------------------------------------------------


def test_one_failing_subject_does_not_end_the_batch(finished):
    rows = rows_of(finished)
    names = [row["tissue"] for row in rows if row["subject"] == "anna"]
    assert names == ["background", "lung", "bone", "liver", "soft"]
    lost = [row for row in rows if row["subject"] == "lost"]
    assert len(lost) == 1 and lost[0]["status"] == "failed"
    assert "nowhere.nii.gz: file not found" in lost[0]["message"]
    assert not (finished / "lost").exists()


def test_the_table_says_what_the_results_of_the_subjects_say(finished):
    result = json.loads((finished / "anna" / "result.json").read_text(encoding="utf-8"))
    rows = {row["tissue_id"]: row for row in rows_of(finished) if row["subject"] == "anna"}
    for tissue in result["tissues"]:
        row = rows[tissue["id"]]
        for key in ("lambda", "mu", "poisson_ratio", "dice_before", "dice_after"):
            assert row[key] == "" if tissue[key] is None else float(row[key]) == pytest.approx(tissue[key], rel=1e-5)
        assert float(row["young_relative_used"]) == pytest.approx(tissue["relative_stiffness"], rel=1e-5)
        assert float(row["tre_mm_after"]) == pytest.approx(result["tre_mm"]["after_mean"], rel=1e-5)
    assert rows["1"]["estimated"] == "True" and 0 <= float(rows["1"]["confidence"]) <= 1
    assert rows["0"]["estimated"] == "False" and rows["0"]["score"] == ""


def test_finished_subjects_are_skipped_until_the_options_change(folder, finished, monkeypatch):
    before, asked = rows_of(finished), []

    def not_again(request, report):
        asked.append(request.output)
        raise ValueError("asked again")

    monkeypatch.setattr(batch_command, "register_files", not_again)
    assert main(["batch", str(folder / "pairs.csv"), *ESTIMATE, "--output", str(finished)]) == 1
    assert [Path(output).name for output in asked] == ["lost"] and rows_of(finished)[:5] == before[:5]
    asked.clear()
    for other in (("--seed", "7"), ("--shear-modulus-ratio",)):
        asked.clear()
        shutil.copytree(finished, folder / other[0])
        assert main(["batch", str(folder / "pairs.csv"), *ESTIMATE, *other, "--output", str(folder / other[0])]) == 2
        assert [Path(output).name for output in asked] == ["anna", "lost"]


RESULTS = ("transform.h5", "warped.nii.gz", "warped_labels.nii.gz", "jacobian.nii.gz", "report.html", "result.json")


def touch(folder: Path) -> None:
    for file in folder.rglob("*"):
        os.utime(file, (1, 1))


def other_content(name: str):
    def change(folder: Path) -> None:
        file = folder / "case" / name
        status = file.stat()
        file.write_bytes(file.read_bytes()[:-1] + b"x")
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))

    return change


@pytest.mark.parametrize(
    ("change", "again"),
    [
        *((lambda folder, name=name: (folder / "output" / "anna" / name).unlink(), True) for name in RESULTS),
        (lambda folder: (folder / "output" / "anna" / "transform.h5").write_bytes(b"half of it"), True),
        (lambda folder: (folder / "output" / "anna" / "subject.json").unlink(), True),
        (lambda folder: (folder / "output" / "anna" / "subject.json").write_text("{"), True),
        (lambda folder: (folder / "output" / "anna" / "subject.json").write_text("[]"), True),
        *((other_content(f"{name}.nii.gz"), True) for name in ("fixed", "moving", "segmentation")),
        (other_content("landmarks.csv"), True),
        (touch, False),  # the same content, also where all of it has been moved to
    ],
)
def test_a_finished_subject_is_known_by_its_files_and_the_content_of_its_inputs(
    folder, finished, tmp_path, monkeypatch, change, again
):
    asked = []

    def not_again(request, report):
        asked.append(Path(request.output).name)
        raise ValueError("asked again")

    for name in ("case", "output"):
        shutil.copytree(folder / name, tmp_path / name)
    shutil.copy(folder / "pairs.csv", tmp_path)
    monkeypatch.setattr(batch_command, "register_files", not_again)
    change(tmp_path)
    main(["batch", str(tmp_path / "pairs.csv"), *ESTIMATE, "--output", str(tmp_path / "output")])
    assert asked == (["anna", "lost"] if again else ["lost"])


def test_another_model_of_the_same_name_is_another_model(tmp_path):
    (tmp_path / "model").mkdir()
    states = []
    for content in ("{}", '{"sha256": 1}'):
        (tmp_path / "model" / "card.json").write_text(content)
        states.append(batch_command.model_state(str(tmp_path / "model")))
    assert states[0] != states[1] and batch_command.model_state("direct") == "direct"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fixed,moving\na,b\n", "the header 'fixed,moving', read with commas between the columns, lacks segmentation"),
        ("fixed;moving\na;b\n", "read with semicolons between the columns, lacks segmentation"),
        ("fixed,moving,segmentation,color\na,b,c,d\n", "names the unknown column 'color' (known are fixed, moving"),
        ("fixed,moving,segmentation\n", "the file has a header but no rows"),
        (
            "fixed,moving,segmentation,tissues\na,b,c,1=soft,2=lung,3=bone\n",
            "line 2: 6 values for 4 columns; put quotation marks around values that contain commas",
        ),
        (
            "fixed,moving,segmentation,tissues,,\na,b,c,1=soft,2=lung,3=bone\n",
            "line 2: a value stands in a column without a title",
        ),
        ("fixed,moving,segmentation,tissues\na,b,c\n", "line 2: 3 values for 4 columns"),
        ("fixed,moving,segmentation\na,,c\n", "line 2: moving is empty"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused_naming_its_line(tmp_path, capsys, text, message):
    (tmp_path / "pairs.csv").write_text(text)
    assert main(["batch", str(tmp_path / "pairs.csv"), "--output", str(tmp_path / "output")]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "output").exists()


@pytest.mark.parametrize(("separator", "encoding"), [(",", "utf-8"), (";", "utf-8-sig"), ("\t", "utf-16")])
def test_a_list_as_a_spreadsheet_saves_it_is_read(tmp_path, separator, encoding):
    titles = ["fixed", "moving", "segmentation", "landmarks", "moving_landmarks", "tissues"]
    rows = [titles, ["a.nii", "b.nii", "c.nii", "F.fcsv", "M.fcsv", '"1=lung,2=soft"']]
    (tmp_path / "pairs.csv").write_bytes("\r\n".join(map(separator.join, rows)).encode(encoding))
    request = batch_command.read_list(argparse.Namespace(pairs=str(tmp_path / "pairs.csv"), output="output"))[
        "subject-001"
    ]
    assert request.tissues == "1=lung,2=soft"
    assert [getattr(request, title) for title in titles[:5]] == [str(tmp_path / name) for name in rows[1][:5]]


def test_a_scheduler_is_refused_in_one_sentence(tmp_path, capsys):
    (tmp_path / "pairs.csv").write_text("fixed,moving,segmentation\na,b,c\n")
    options = ["--scheduler", "tcp://x:1", "--output", str(tmp_path / "output")]
    assert main(["batch", str(tmp_path / "pairs.csv"), *options]) == 2
    assert "--scheduler: not supported; subjects are registered one at a time" in capsys.readouterr().err


# --- Results that should not be relied on -----------------------------------------------------------------------------


def test_an_unreliable_result_is_said_in_the_table_and_in_the_last_lines_also_when_it_is_not_made_again(
    folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(evaluation, "reasons_against", lambda *_arguments: ("The images hardly match.",))
    (folder / "one.csv").write_text(HEADER + LINE.format("anna", "case/moving.nii.gz"))
    for _ in range(2):
        assert main(["batch", str(folder / "one.csv"), "--output", str(tmp_path)]) == 0
        assert {row["unreliable"] for row in rows_of(tmp_path)} == {"The images hardly match."}
        assert capsys.readouterr().err.splitlines()[-1] == "anna: unreliable: The images hardly match."


def test_an_unreliable_result_is_said_in_the_last_line_of_the_command_and_in_its_files(folder, monkeypatch, capsys):
    monkeypatch.setattr(evaluation, "reasons_against", lambda *_arguments: ("The images hardly match.",))
    assert register(folder)["unreliable"] == ["The images hardly match."]
    assert capsys.readouterr().err.splitlines()[-1] == "unreliable: The images hardly match."
    assert "The images hardly match." in (folder / "one" / "report.html").read_text(encoding="utf-8")
