"""Results are written completely or not at all."""

from __future__ import annotations

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
