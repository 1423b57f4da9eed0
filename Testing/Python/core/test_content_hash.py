"""A hash stands for all bytes that are read with a file, and for nothing else."""

from __future__ import annotations

import os

import pytest

from TissueElasticRegistrationLib.core.files.content_hash import content_hash

CONTENT = {
    "scan.nii.gz": "voxels",
    "scan.txt": "notes",
    "a.mhd": "ElementDataFile = b.raw",
    "a.zraw": "of the same name",
    "b.raw": "named in the header",
    "c.hdr": "header",
    "c.img": "voxels",
    "d.nhdr": "data file: LIST\nslice1\nslice2",
    "slice1": "1",
    "slice2": "2",
    "slice3": "3",
    "dicom/1.dcm": "1",
    "dicom/deep/2.dcm": "2",
}
READ_WITH = {
    "scan.nii.gz": {"scan.nii.gz"},
    "a.mhd": {"a.mhd", "a.zraw", "b.raw"},
    "c.hdr": {"c.hdr", "c.img"},
    "c.img": {"c.hdr", "c.img"},
    "d.nhdr": {"d.nhdr", "slice1", "slice2"},
    "dicom": {"dicom/1.dcm", "dicom/deep/2.dcm"},
}


def written(folder):
    for name, text in CONTENT.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("name", READ_WITH)
def test_the_hash_changes_with_each_file_that_is_read_and_no_other(tmp_path, name):
    before = content_hash(written(tmp_path) / name)
    changing = set()
    for other, text in CONTENT.items():
        (tmp_path / other).write_text(text + "!")
        if content_hash(tmp_path / name) != before:
            changing.add(other)
        (tmp_path / other).write_text(text)
    assert changing == READ_WITH[name]


@pytest.mark.parametrize("name", READ_WITH)
def test_the_hash_knows_neither_time_nor_place(tmp_path, name):
    first, second = written(tmp_path / "first"), written(tmp_path / "second")
    os.utime(second / "scan.nii.gz", (1, 1))
    assert content_hash(first / name) == content_hash(second / name)


def test_what_cannot_be_read_has_no_hash(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("absent", "x" * 300, "pipe"):
        assert content_hash(tmp_path / name) is None
    assert content_hash("/dev/zero") is None
