"""NIfTI and Analyze files: read where Slicer shows them, or refused with the true reason, in our words alone."""

from __future__ import annotations

import gzip
import os
import struct

import numpy as np
import pytest
import SimpleITK as sitk
from oblique_data import an_image, sentence

from TissueElasticRegistrationLib.core.files.image_files import ITK_PERMISSION, read_image

LAYOUT = {
    "dim": ("<8h", 40),
    "data_type": ("<2h", 70),
    "pixdim": ("<8f", 76),
    "first_voxel": ("<f", 108),
    "scale": ("<2f", 112),
    "codes": ("<2h", 252),
    "quaternion": ("<6f", 256),
    "sform": ("<12f", 280),
}
VALUES = an_image().array_kji  # (6, 8, 10), int16
PIXDIM = [1, 2, 3, 4, 0, 0, 0, 0]
SFORM = [[-2, 0, 0, 5], [0, -3, 0, 6], [0, 0, 4, 7]]
QFORM = [0, 0, 0, 9, 8, 7]  # not turned


def header_and_voxels(tmp_path, **fields) -> tuple[bytearray, bytes]:
    """The two parts of a single file, with header fields overwritten."""
    path = tmp_path / "valid.nii"
    sitk.WriteImage(sitk.GetImageFromArray(VALUES), str(path))
    content = bytearray(path.read_bytes())
    for field, values in {"pixdim": PIXDIM, "sform": SFORM, "codes": [0, 1], **fields}.items():
        struct.pack_into(LAYOUT[field][0], content, LAYOUT[field][1], *np.ravel(values))
    return content[:352], bytes(content[352:])


def single_file(tmp_path, **fields):
    header, voxels = header_and_voxels(tmp_path, **fields)
    path = tmp_path / "image.nii"
    path.write_bytes(header + voxels)
    return path


def pair_of_files(tmp_path, kept=1.0, packed="", magic=b"ni1\0", **fields):
    """``packed``: endings of the parts that are compressed. Returns the header's path."""
    header, voxels = header_and_voxels(tmp_path, first_voxel=0, **fields)
    header[344:348] = magic
    for ending, content in ((".hdr", header[:348]), (".img", voxels[: int(len(voxels) * kept)])):
        is_packed = ending in packed
        path = tmp_path / f"image{ending}{'.gz' if is_packed else ''}"
        path.write_bytes(gzip.compress(bytes(content)) if is_packed else bytes(content))
    return next(tmp_path.glob("image.hdr*"))


def sheared(skew: float) -> list[list[float]]:
    """An sform whose first two axes have this cosine; lengths as in PIXDIM."""
    return [[2, 3 * skew, 0, 5], [0, 3 * np.sqrt(1 - skew**2), 0, 6], [0, 0, 4, 7]]


@pytest.mark.parametrize(
    ("fields", "first_voxel_ras_mm", "axes_ras_mm"),
    [
        pytest.param({"codes": [0, 0]}, (0, 0, 0), (-2, -3, 4), id="no code: origin 0, along the axes of LPS"),
        pytest.param({"codes": [0, 1]}, (5, 6, 7), (-2, -3, 4), id="sform"),
        pytest.param({"codes": [1, 0], "quaternion": QFORM}, (9, 8, 7), (2, 3, 4), id="qform"),
        pytest.param({"codes": [1, 1], "quaternion": QFORM}, (5, 6, 7), (-2, -3, 4), id="both of scanner: sform"),
        pytest.param({"codes": [1, 2], "quaternion": QFORM}, (9, 8, 7), (2, 3, 4), id="sform of another scan: qform"),
    ],
)
def test_place_is_that_of_itk_in_slicer(tmp_path, fields, first_voxel_ras_mm, axes_ras_mm):
    geometry = read_image(single_file(tmp_path, **fields)).geometry
    np.testing.assert_allclose(geometry.points_ras_mm([0, 0, 0]), first_voxel_ras_mm, atol=1e-5)
    np.testing.assert_allclose(geometry.ijk_to_ras[:3, :3], np.diag(axes_ras_mm), atol=1e-5)


@pytest.mark.parametrize("skew", [0, 2e-5, 8e-5, 4e-4, 9.9e-4])
def test_slightly_sheared_axes_are_taken_as_the_nearest_perpendicular_ones(tmp_path, skew):
    geometry = read_image(single_file(tmp_path, sform=sheared(skew))).geometry
    directions = geometry.ijk_to_ras[:3, :3] / geometry.spacing_ijk_mm
    np.testing.assert_allclose(directions.T @ directions, np.eye(3), atol=1e-4)
    # Each of the two axes is turned by half of the angle between them that is too much.
    expected = np.array([[2, 3 * skew / 2, 0], [-2 * skew / 2, 3, 0], [0, 0, 4]])
    np.testing.assert_allclose(
        geometry.ijk_to_ras[:3, :3], expected, atol=3 * (skew if skew < 1e-4 else skew**2) + 1e-5
    )
    np.testing.assert_allclose(geometry.points_ras_mm([0, 0, 0]), [5, 6, 7], atol=1e-5)


@pytest.mark.parametrize("before", [None, "OFF"])
def test_permission_for_sheared_axes_ends_with_the_file(tmp_path, monkeypatch, before):
    monkeypatch.delenv(ITK_PERMISSION, raising=False)
    if before is not None:
        monkeypatch.setenv(ITK_PERMISSION, before)
    read_image(single_file(tmp_path, sform=sheared(4e-4)))
    assert os.environ.get(ITK_PERMISSION) == before


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {"sform": sheared(1.1e-3)},
            "sheared direction matrix (sform): its voxel axes are not perpendicular (skew 0.001)",
        ),
        (
            {"pixdim": [1, 1, 3, 4, 0, 0, 0, 0]},
            "contradictory voxel sizes in its header (1 x 3 x 4 mm in pixdim, 2 x 3 x 4",
        ),
        ({"scale": [np.nan, 0]}, "intensity scale that is not finite (scl_slope nan, scl_inter 0)"),
        ({"scale": [np.inf, 0]}, "intensity scale that is not finite"),
        ({"scale": [1, np.nan]}, "intensity scale that is not finite"),
        ({"data_type": [16384, 16]}, "voxels of an unknown data type (code 16384)"),
        ({"dim": [3, 10, -8, 6, 1, 1, 1, 1]}, "has -8 voxels along one axis"),
        ({"dim": [3, 10, 0, 6, 1, 1, 1, 1]}, "has 0 voxels along one axis"),
        ({"dim": [0, 10, 8, 6, 1, 1, 1, 1]}, "has 0 dimensions"),
        ({"dim": [9, 10, 8, 6, 1, 1, 1, 1]}, "has 9 dimensions"),
        ({"dim": [-3, 10, 8, 6, 1, 1, 1, 1]}, "has -3 dimensions"),
        ({"dim": [7, 30000, 30000, 30000, 30000, 30000, 30000, 30000]}, "it ends before its last voxel"),
        ({"data_type": [8, 16]}, "it ends before its last voxel"),
        ({"first_voxel": 0}, "vox_offset 0"),
        ({"first_voxel": np.nan}, "vox_offset nan"),
        ({"first_voxel": 1e30}, "vox_offset 1e+30"),
    ],
)
def test_header_that_readers_take_differently_is_refused(tmp_path, capfd, fields, reason):
    path = single_file(tmp_path, **fields)
    message = sentence(lambda: read_image(path))
    assert message.startswith(f"{path}: the file ") and reason in message
    assert capfd.readouterr().err == ""


def test_nifti_2_is_called_by_its_name(tmp_path):
    path = tmp_path / "image.nii.gz"
    for order in "<>":
        path.write_bytes(gzip.compress(struct.pack(order + "i", 540) + b"n+2\0\r\n\x1a\n" + bytes(1000)))
        assert "is a NIfTI-2 file" in sentence(lambda: read_image(path))


@pytest.mark.parametrize("magic", [b"ni1\0", bytes(4)], ids=["NIfTI", "Analyze"])
@pytest.mark.parametrize("packed", ["", ".img", ".hdr.img"])
@pytest.mark.parametrize("named", [".hdr", ".img"])
def test_pair_of_files_is_read_by_either_name(tmp_path, magic, packed, named):
    header = pair_of_files(tmp_path, packed=packed, magic=magic, codes=[0, 0])
    path = next(header.parent.glob(f"image{named}*"))
    np.testing.assert_array_equal(read_image(path).array_kji, VALUES)


@pytest.mark.parametrize("magic", [b"ni1\0", bytes(4)], ids=["NIfTI", "Analyze"])
@pytest.mark.parametrize("packed", ["", ".img", ".hdr.img"])
@pytest.mark.parametrize("kept", [0.5, 0.999, 0])
def test_pair_of_files_with_half_of_its_voxels_is_refused(tmp_path, capfd, magic, packed, kept):
    path = pair_of_files(tmp_path, kept, packed, magic)
    assert "is incomplete: it ends before its last voxel" in sentence(lambda: read_image(path))
    assert capfd.readouterr().err == ""


def test_header_without_its_voxels_is_refused(tmp_path):
    path = pair_of_files(tmp_path)
    (tmp_path / "image.img").unlink()
    assert "a header whose voxels, image.img, are missing" in sentence(lambda: read_image(path))


@pytest.mark.parametrize("magic", [b"ni1\0", bytes(4)], ids=["NIfTI", "Analyze"])
def test_header_of_a_pair_in_a_single_file_is_refused(tmp_path, magic):
    path = single_file(tmp_path)
    content = bytearray(path.read_bytes())
    content[344:348] = magic
    path.write_bytes(content)
    assert "its header is not that of a single NIfTI file" in sentence(lambda: read_image(path))
