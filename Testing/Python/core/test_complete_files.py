"""A file is written completely, or there is an error: also on a disk that is full."""

from __future__ import annotations

import errno
from contextlib import contextmanager

import numpy as np
import pytest
import SimpleITK as sitk

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.files.complete_files import require_space
from TissueElasticRegistrationLib.core.files.image_files import write_map, write_transform

resource = pytest.importorskip("resource", reason="limits of the size of files are those of Unix")
GRID = Geometry((16, 24, 20), np.eye(4))
NOISE = np.random.default_rng(1).normal(size=GRID.shape_kji).astype(np.float32)  # 30 kB, hardly compressible


@contextmanager
def no_file_larger_than(size_bytes: int):
    """As far as a process can tell, the disk is full when a file has this size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", ["map.nii.gz", "map.nrrd", "map.mha"])
def test_a_volume_that_does_not_fit_is_an_error_that_names_it(tmp_path, name):
    with no_file_larger_than(10_000), pytest.raises(OSError, match="could not be written completely") as caught:
        write_map(NOISE, GRID, tmp_path / name)
    assert caught.value.filename == str(tmp_path / name)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_a_volume_that_fits_is_none(tmp_path, dtype):
    with no_file_larger_than(100_000):
        write_map((100 * NOISE).astype(dtype), GRID, tmp_path / "map.nii.gz")
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "map.nii.gz"))), (100 * NOISE).astype(dtype)
    )


def test_a_transform_that_does_not_fit_is_an_error_before_it_is_written(tmp_path):
    """HDF5 ends the process when it can write no further."""
    displacement = np.zeros((*GRID.shape_kji, 3), np.float32)
    with no_file_larger_than(100_000), pytest.raises(OSError, match="File too large"):
        write_transform(displacement, GRID, tmp_path / "transform.h5")
    assert list(tmp_path.iterdir()) == []
    write_transform(displacement, GRID, tmp_path / "transform.h5")
    size = (tmp_path / "transform.h5").stat().st_size
    with no_file_larger_than(size + 100_000):
        write_transform(displacement, GRID, tmp_path / "transform.h5")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_space_that_is_not_there_is_an_error_of_the_folder(tmp_path, monkeypatch, number):
    def is_full(*_):
        raise OSError(number, "no more")

    monkeypatch.setattr("os.posix_fallocate", is_full)
    with pytest.raises(OSError, match="no more") as caught:
        require_space(tmp_path, 10)
    assert caught.value.filename == str(tmp_path)


def test_a_file_system_that_cannot_tell_is_no_error(tmp_path, monkeypatch):
    def cannot_tell(*_):
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr("os.posix_fallocate", cannot_tell)
    require_space(tmp_path, 10)
