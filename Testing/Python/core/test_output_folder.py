"""Results are written completely or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from oblique_data import sentence

from TissueElasticRegistrationLib.core.files.output_folder import output_folder


def test_results_appear_together_at_the_end(tmp_path):
    target = tmp_path / "new" / "results"
    with output_folder(target) as folder:
        (folder / "result.json").write_text("{}")
        assert not (target / "result.json").exists()
    assert [file.name for file in target.iterdir()] == ["result.json"]


def test_failure_leaves_nothing_behind(tmp_path):
    with pytest.raises(KeyboardInterrupt), output_folder(tmp_path / "new" / "results") as folder:
        (folder / "result.json").write_text("{}")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_failure_keeps_earlier_results(tmp_path):
    (tmp_path / "result.json").write_text("old")
    with pytest.raises(RuntimeError), output_folder(tmp_path, ["result.json"]) as folder:
        (folder / "result.json").write_text("new")
        raise RuntimeError
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("result.json", "old")]


def test_results_of_an_earlier_run_are_replaced_but_other_files_stay(tmp_path):
    for name in ("result.json", "warped_labels.nii.gz", "notes.txt"):
        (tmp_path / name).write_text("old")
    with output_folder(tmp_path, ["result.json", "warped_labels.nii.gz"]) as folder:
        (folder / "result.json").write_text("new")
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"result.json": "new", "notes.txt": "old"}


def test_folder_that_cannot_be_made_is_refused_before_anything_runs(tmp_path):
    (tmp_path / "file").write_text("x")

    def write():
        with output_folder(tmp_path / "file" / "results"):
            raise AssertionError("the block must not run")

    assert str(tmp_path / "file" / "results") in sentence(write)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")

    def write():
        with output_folder(tmp_path / "file"):
            raise AssertionError("the block must not run")

    assert str(tmp_path / "file") in sentence(write)


def content(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir() if file.is_file()}


# --- never over an input ----------------------------------------------------------------------------------------------


def by_its_path(output: Path, elsewhere: Path) -> Path:
    (output / "warped.nii.gz").write_text("input")
    return output / "warped.nii.gz"


def by_another_path(output: Path, elsewhere: Path) -> Path:
    return by_its_path(output, elsewhere).parent / ".." / output.name / "warped.nii.gz"


def by_a_link_to_the_output(output: Path, elsewhere: Path) -> Path:
    elsewhere.symlink_to(by_its_path(output, elsewhere))
    return elsewhere


def by_a_link_in_the_output(output: Path, elsewhere: Path) -> Path:
    elsewhere.write_text("input")
    (output / "warped.nii.gz").symlink_to(elsewhere)
    return elsewhere


def by_a_hard_link(output: Path, elsewhere: Path) -> Path:
    os.link(by_its_path(output, elsewhere), elsewhere)
    return elsewhere


@pytest.mark.parametrize(
    "is_named", [by_its_path, by_another_path, by_a_link_to_the_output, by_a_link_in_the_output, by_a_hard_link]
)
def test_an_input_in_the_output_folder_is_refused_by_its_name(tmp_path, is_named):
    (tmp_path / "output").mkdir()
    given = is_named(tmp_path / "output", tmp_path / "elsewhere")

    def write():
        with output_folder(tmp_path / "output", ["warped.nii.gz", "result.json"], [given]):
            raise AssertionError("the block must not run")

    assert sentence(write) == f"{given}: this input would be overwritten; choose another output folder."
    assert given.read_text() == "input" and [file.name for file in (tmp_path / "output").iterdir()] == ["warped.nii.gz"]


def test_an_input_of_another_name_may_lie_in_the_output_folder(tmp_path):
    (tmp_path / "fixed.nii.gz").write_text("input")
    with output_folder(tmp_path, ["result.json"], [tmp_path / "fixed.nii.gz", tmp_path / "absent.csv"]) as folder:
        (folder / "result.json").write_text("new")
    assert content(tmp_path) == {"fixed.nii.gz": "input", "result.json": "new"}


# --- everything or nothing --------------------------------------------------------------------------------------------

OLD = {"jacobian.nii.gz": "old", "result.json": "old", "warped_labels.nii.gz": "old", "notes.txt": "mine"}
NAMES = ["jacobian.nii.gz", "result.json", "transform.h5", "warped_labels.nii.gz"]


def write_new(output: Path) -> None:
    with output_folder(output, NAMES) as folder:
        for name in NAMES[:-1]:
            (folder / name).write_text("new")


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", range(6))
def test_what_was_there_is_put_back_when_replacing_ends_half_way(tmp_path, monkeypatch, error, moment, step):
    """An interrupt may come between a move and whatever notes that it has been done."""
    for name, text in OLD.items():
        (tmp_path / name).write_text(text)
    replace, count = os.replace, iter(range(100))

    def ends(source, target):
        fails = next(count) == step
        if fails and moment == "before":
            raise error
        replace(source, target)
        if fails:
            raise error

    monkeypatch.setattr(os, "replace", ends)
    with pytest.raises(error):
        write_new(tmp_path)
    assert content(tmp_path) == OLD


def test_there_are_as_many_moves_as_the_test_above_ends(tmp_path, monkeypatch):
    for name, text in OLD.items():
        (tmp_path / name).write_text(text)
    moves, replace = [], os.replace
    monkeypatch.setattr(os, "replace", lambda source, target: (moves.append(source), replace(source, target)))
    write_new(tmp_path)
    assert len(moves) == 6
    assert content(tmp_path) == {**dict.fromkeys(NAMES[:-1], "new"), "notes.txt": "mine"}


def test_a_folder_in_the_place_of_a_result_is_refused_before_anything_runs(tmp_path):
    (tmp_path / "result.json").mkdir()
    (tmp_path / "transform.h5").write_text("old")
    place = tmp_path / "result.json"
    assert sentence(lambda: write_new(tmp_path)) == (
        f"{place}: this is a folder, in the place of a file that is to be written."
    )
    assert sorted(file.name for file in tmp_path.iterdir()) == ["result.json", "transform.h5"]


def test_a_name_that_is_too_long_is_refused(tmp_path):
    assert "cannot be created or written (File name too long)" in sentence(lambda: write_new(tmp_path / ("x" * 300)))
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_a_file_tells_the_name_that_it_was_to_have(tmp_path):
    with pytest.raises(OSError, match="no space") as caught, output_folder(tmp_path / "out") as folder:
        raise OSError(errno.ENOSPC, "no space", str(folder / "transform.h5"))
    assert caught.value.filename == str(tmp_path / "out" / "transform.h5")
    assert list(tmp_path.iterdir()) == []


# --- what is left of killed processes ---------------------------------------------------------------------------------

PROGRAM = """import os, signal, sys
from TissueElasticRegistrationLib.core.files import output_folder as module
replace, moves = os.replace, []
def move(source, target):
    if len(moves) == {moves}:
        os.kill(os.getpid(), signal.SIGKILL)
    moves.append(source)
    replace(source, target)
os.replace = move
with module.output_folder({folder!r}, {names!r}) as folder:
    for name in {names!r}:
        (folder / name).write_text("of the killed one")
    print("writing", flush=True)
    {then}
"""
KILLED_WHILE_WRITING = {"moves": -1, "then": "os.kill(os.getpid(), signal.SIGKILL)"}
KILLED_WHILE_REPLACING = {"moves": 3, "then": "pass"}


def start(folder: Path, **end) -> subprocess.Popen:
    program = PROGRAM.format(folder=str(folder), names=NAMES, **end)
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.mark.parametrize("end", [KILLED_WHILE_WRITING, KILLED_WHILE_REPLACING])
def test_the_next_process_removes_what_a_killed_one_has_left(tmp_path, end):
    for name, text in OLD.items():
        (tmp_path / name).write_text(text)
    start(tmp_path, **end).wait(30)
    assert list(tmp_path.glob(".unfinished-*"))
    with pytest.raises(KeyboardInterrupt), output_folder(tmp_path):
        assert {name: text for name, text in content(tmp_path).items() if name in OLD} == OLD
        raise KeyboardInterrupt
    assert list(tmp_path.glob(".unfinished-*")) == []


def test_what_a_running_process_writes_stays(tmp_path):
    process = start(tmp_path, moves=-1, then="input()")
    assert process.stdout.readline() == "writing\n"
    write_new(tmp_path)
    assert len(list(tmp_path.glob(".unfinished-*"))) == 1
    process.communicate("\n", 30)
    assert process.returncode == 0 and content(tmp_path) == dict.fromkeys(NAMES, "of the killed one")


def test_a_folder_of_somebody_else_stays(tmp_path):
    (tmp_path / ".unfinished-symphony").mkdir()
    write_new(tmp_path)
    assert (tmp_path / ".unfinished-symphony").is_dir()
