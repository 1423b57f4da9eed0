"""Volumes and transforms in files: a fault is one sentence naming the file, and what is written is what was meant."""

from __future__ import annotations

import gzip
import locale
import struct
import time

import numpy as np
import pytest
import SimpleITK as sitk
from oblique_data import SHAPE, a_label_map, an_image, oblique_geometry, sentence

from TissueElasticRegistrationLib.core.data.geometry import flip_ras_lps
from TissueElasticRegistrationLib.core.data.images import Image
from TissueElasticRegistrationLib.core.data.itk_bridge import affine_transform, displacement_transform, resample
from TissueElasticRegistrationLib.core.files.image_files import read_image, write_image, write_map, write_transform


def patched_nifti(tmp_path, name: str, **fields):
    """A valid NIfTI file in which header fields (offset and layout below) are overwritten."""
    layout = {
        "dim": ("<8h", 40),
        "pixdim": ("<8f", 76),
        "codes": ("<2h", 252),
        "quaternion": ("<6f", 256),
        "sform": ("<12f", 280),
    }
    path = tmp_path / "valid.nii"
    sitk.WriteImage(sitk.GetImageFromArray(an_image().array_kji), str(path))
    content = bytearray(path.read_bytes())
    for field, values in fields.items():
        struct.pack_into(layout[field][0], content, layout[field][1], *np.ravel(values))
    path = tmp_path / name
    path.write_bytes(gzip.compress(bytes(content)) if name.endswith(".gz") else bytes(content))
    return path


def nrrd(tmp_path, directions: str, space: str = "left-posterior-superior", origin: str = "(0,0,0)"):
    path = tmp_path / "image.nrrd"
    header = (
        f"NRRD0004\ntype: short\ndimension: 3\nspace: {space}\nsizes: 10 8 6\n"
        f"space directions: {directions}\nkinds: domain domain domain\nendian: little\nencoding: raw\n"
        f"space origin: {origin}\n\n"
    )
    path.write_bytes(header.encode() + an_image().array_kji.tobytes())
    return path


# ---- images -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.float32, np.float64, np.int32])
@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_image_keeps_values_type_and_place(tmp_path, dtype, ending):
    image = an_image(dtype)
    path = tmp_path / f"image{ending}"
    write_image(image, path)
    again = read_image(path)
    assert again.array_kji.dtype == dtype
    np.testing.assert_array_equal(again.array_kji, image.array_kji)
    np.testing.assert_allclose(again.geometry.ijk_to_ras, image.geometry.ijk_to_ras, atol=1e-4)
    assert again.name == path.name


def test_image_can_be_given_a_name(tmp_path):
    write_image(an_image(), tmp_path / "image.nii.gz")
    assert read_image(tmp_path / "image.nii.gz", "fixed image").name == "fixed image"


def test_2d_file_becomes_one_slice(tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (9, 14)).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(picture), str(tmp_path / "picture.png"))
    image = read_image(tmp_path / "picture.png")
    np.testing.assert_array_equal(image.array_kji, picture[None])


def test_4d_file_with_one_time_point_is_one_volume(tmp_path):
    values = an_image().array_kji[None]
    sitk.WriteImage(sitk.GetImageFromArray(values, isVector=False), str(tmp_path / "one.nrrd"))
    np.testing.assert_array_equal(read_image(tmp_path / "one.nrrd").array_kji, values[0])
    one = patched_nifti(tmp_path, "one.nii.gz", dim=[4, 10, 8, 6, 1, 1, 1, 1])
    np.testing.assert_array_equal(read_image(one).array_kji, values[0])


def test_nifti_scaling_is_applied(tmp_path):
    path = patched_nifti(tmp_path, "scaled.nii")
    content = bytearray(path.read_bytes())
    struct.pack_into("<2f", content, 112, 0.5, 10.0)
    path.write_bytes(content)
    np.testing.assert_allclose(read_image(path).array_kji, an_image().array_kji * 0.5 + 10)


def test_missing_folder_and_empty_file_are_refused(tmp_path):
    (tmp_path / "empty.nii.gz").touch()
    (tmp_path / "folder.nii.gz").mkdir()
    for name, fault in (("missing.nii.gz", "file not found"), ("folder.nii.gz", "folder"), ("empty.nii.gz", "empty")):
        message = sentence(lambda name=name: read_image(tmp_path / name))
        assert message.startswith(str(tmp_path / name)) and fault in message


@pytest.mark.parametrize("name", ["text.nii.gz", "text.nrrd", "text.mha", "text.nii", "text.txt"])
def test_text_called_an_image_is_refused(tmp_path, name):
    (tmp_path / name).write_text("this is no image\n" * 100)
    assert str(tmp_path / name) in sentence(lambda: read_image(tmp_path / name))


@pytest.mark.parametrize(
    ("sform", "word"),
    [
        ([[1, 0, 0, 5], [0, 1, 1, 6], [0, 0, 0, 7]], "singular"),
        (np.zeros((3, 4)), "singular"),
        ([[1, 0.4, 0, 5], [0, 1, 0, 6], [0, 0, 2, 7]], "sheared"),
        ([[1, np.nan, 0, 5], [0, 1, 0, 6], [0, 0, 2, 7]], "not finite"),
    ],
)
@pytest.mark.parametrize("qform_code", [0, 1])
def test_unusable_sform_is_refused_even_beside_a_good_qform(tmp_path, capfd, sform, word, qform_code):
    path = patched_nifti(tmp_path, "bad.nii.gz", sform=sform, codes=[qform_code, 1])
    message = sentence(lambda: read_image(path))
    assert str(path) in message and word in message
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"pixdim": [1, np.nan, 1, 1, 0, 0, 0, 0]}, "voxel sizes"),
        ({"pixdim": [1, 1, 0, 1, 0, 0, 0, 0]}, "voxel sizes"),
        ({"quaternion": [0, 0, 0, np.nan, 0, 0]}, "qform"),
        ({"dim": [4, 10, 8, 3, 2, 1, 1, 1]}, "series"),
        ({"dim": [3, 10, 8, 60, 1, 1, 1, 1]}, "incomplete"),
        ({"dim": [3, 30000, 30000, 30000, 1, 1, 1, 1]}, "incomplete"),
    ],
)
def test_unusable_nifti_header_is_refused(tmp_path, capfd, fields, word):
    path = patched_nifti(tmp_path, "bad.nii.gz", **fields)
    message = sentence(lambda: read_image(path))
    assert str(path) in message and word in message
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("directions", "word"),
    [
        ("(1,0,0) (0,1,0) (0,1,0)", "singular"),
        ("(1,0,0) (0,1,0) (0,0,0)", "voxel size is 0"),
        ("(1,0,0) (0.4,1,0) (0,0,1)", "not perpendicular"),
        ("(1,0,0) (nan,1,0) (0,0,1)", "damaged"),
    ],
)
def test_unusable_nrrd_directions_are_refused(tmp_path, directions, word):
    path = nrrd(tmp_path, directions)
    message = sentence(lambda: read_image(path))
    assert str(path) in message and word in message


COMPLETE = ["image.nii", "image.nii.gz", "image.nrrd", "image.mha", "image.vtk", "image.gipl", "image.gipl.gz"]


@pytest.mark.parametrize("name", [*COMPLETE, "image.mrc"])
def test_whole_file_is_read_in_every_format(tmp_path, name):
    path = tmp_path / name
    write_image(an_image(), path)
    before = locale.setlocale(locale.LC_ALL)
    np.testing.assert_array_equal(read_image(path).array_kji, an_image().array_kji)
    assert locale.setlocale(locale.LC_ALL) == before


def text_vtk(path, values: int):
    """A VTK file of text with 4 x 5 x 6 voxels, of which only some are there."""
    header = (
        "# vtk DataFile Version 3.0\nASCII art\nASCII\nDATASET STRUCTURED_POINTS\nDIMENSIONS 4 5 6\nSPACING 1 1 1\n"
        "ORIGIN 0 0 0\nPOINT_DATA 120\nSCALARS scalars short 1\nLOOKUP_TABLE default\n"
    )
    path.write_text(header + " ".join(str(value) for value in range(values)) + "\n")
    return path


def test_text_file_with_missing_voxels_is_refused(tmp_path):
    assert read_image(text_vtk(tmp_path / "whole.vtk", 120)).array_kji.max() == 119
    message = sentence(lambda: read_image(text_vtk(tmp_path / "half.vtk", 119)))
    assert "half.vtk: the file is incomplete: it ends before its last voxel." in message


@pytest.mark.parametrize("name", [*COMPLETE, "image.mrc"])
@pytest.mark.parametrize("kept", [0.97, 0.5])
def test_truncated_file_is_refused(tmp_path, capfd, name, kept):
    path = tmp_path / name
    write_image(an_image(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    assert str(path) in sentence(lambda: read_image(path))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("field", ["type: ", "space: ", "sizes: ", "kinds: ", "", "foo=", "Segment0_ID: "])
@pytest.mark.parametrize("length", [600, 5000, 200_000])
def test_long_line_in_the_header_of_an_nrrd_file_is_refused(tmp_path, field, length):
    """ITK ends the process."""
    path = nrrd(tmp_path, f"(1,0,0) (0,1,0) (0,0,1)\n{field}{'9' * length}")
    assert f"{path}: the file is damaged: line 7 of its header" in sentence(lambda: read_image(path))


@pytest.mark.parametrize("field", ["#", "content: ", "Segmentation_ConversionParameters:="])
def test_long_texts_in_the_header_of_an_nrrd_file_are_read(tmp_path, field):
    path = nrrd(tmp_path, f"(1,0,0) (0,1,0) (0,0,1)\n{field}{'9' * 200_000}")
    np.testing.assert_array_equal(read_image(path).array_kji, an_image().array_kji)


@pytest.mark.parametrize("kept", [0.5, 0])
def test_header_with_half_of_its_voxels_is_refused_in_our_words_alone(tmp_path, capfd, kept):
    write_image(an_image(), tmp_path / "image.mhd")
    voxels = next(path for path in tmp_path.iterdir() if path.suffix in (".raw", ".zraw"))
    voxels.write_bytes(voxels.read_bytes()[: int(voxels.stat().st_size * kept)])
    assert "image.mhd: " in sentence(lambda: read_image(tmp_path / "image.mhd"))
    voxels.unlink()
    assert "image.mhd: " in sentence(lambda: read_image(tmp_path / "image.mhd"))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("space", "signs_to_ras"),
    [
        ("left-posterior-superior", (-1, -1, 1)),
        ("right-anterior-superior", (1, 1, 1)),
        ("left-anterior-superior", (-1, 1, 1)),
    ],
)
def test_nrrd_lies_in_the_space_it_names(tmp_path, space, signs_to_ras):
    path = nrrd(tmp_path, "(2,0,0) (0,3,0) (0,0,4)", space, origin="(1,2,3)")
    expected = np.diag([2.0, 3, 4, 1])
    expected[:3, 3] = 1, 2, 3
    np.testing.assert_allclose(read_image(path).geometry.ijk_to_ras, np.diag([*signs_to_ras, 1]) @ expected)


def test_damaged_compressed_file_is_refused(tmp_path):
    path = tmp_path / "image.nii.gz"
    write_image(an_image(), path)
    content = bytearray(path.read_bytes())
    content[-6] ^= 0xFF  # the check sum
    path.write_bytes(content)
    assert "damaged" in sentence(lambda: read_image(path))


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nan_at_the_border_is_padding_in_every_format(tmp_path, ending, dtype):
    """ITK reads NaN in NIfTI files as 0."""
    values = an_image(dtype).array_kji
    padding = np.zeros(values.shape, bool)
    padding[-1, 1:], padding[:, 0, -1] = True, True
    values[padding] = np.nan
    path = tmp_path / f"image{ending}"
    sitk.WriteImage(sitk.GetImageFromArray(values), str(path))
    image = read_image(path)
    np.testing.assert_array_equal(image.padding_kji, padding)
    np.testing.assert_array_equal(image.array_kji, np.where(padding, np.nanmin(values), values))


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd"])
@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_that_are_not_finite_are_refused(tmp_path, ending, value, dtype):
    values = an_image(dtype).array_kji
    values[-1, -1, -1] = value  # ITK reads infinity in NIfTI files as 0
    path = tmp_path / f"image{ending}"
    sitk.WriteImage(sitk.GetImageFromArray(values), str(path))
    message = sentence(lambda: read_image(path))
    assert str(path) in message and "not finite" in message


def test_constant_vector_and_complex_images_are_refused(tmp_path):
    values = an_image(np.float32).array_kji
    cases = {
        "constant": sitk.GetImageFromArray(np.full(SHAPE, 7, np.int16)),
        "per voxel": sitk.GetImageFromArray(np.stack([values] * 3, -1), isVector=True),
        "complex": sitk.GetImageFromArray(values + 1j * values),
    }
    for word, volume in cases.items():
        path = tmp_path / "image.nii.gz"
        sitk.WriteImage(volume, str(path))
        message = sentence(lambda path=path: read_image(path))
        assert str(path) in message and word in message


def test_itk_warnings_are_switched_back_on(tmp_path):
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sentence(lambda: read_image(nrrd(tmp_path, "(1,0,0) (0,1,0) (0,1,0)")))
    assert sitk.ProcessObject.GetGlobalWarningDisplay() == before


# ---- transforms and resampling ------------------------------------------------------------------


def a_displacement_ras_mm() -> np.ndarray:
    return np.random.default_rng(7).normal(0, 2, (*SHAPE, 3)).astype(np.float32)


def test_written_transform_moves_points_by_the_displacement(tmp_path):
    geometry, displacement = oblique_geometry(), a_displacement_ras_mm()
    write_transform(displacement, geometry, tmp_path / "transform.h5")
    transform = sitk.ReadTransform(str(tmp_path / "transform.h5"))
    for k, j, i in ((0, 0, 0), (1, 5, 7), (5, 7, 9), (3, 2, 8)):
        point = geometry.points_ras_mm([i, j, k])
        moved = flip_ras_lps(np.array(transform.TransformPoint(flip_ras_lps(point).tolist())))
        np.testing.assert_allclose(moved, point + displacement[k, j, i], atol=1e-5)


def test_transform_of_a_single_slice_moves_points():
    geometry = oblique_geometry((1, 8, 10))
    displacement = a_displacement_ras_mm()[:1]
    transform = displacement_transform(displacement, geometry)
    point = geometry.points_ras_mm([7, 5, 0])
    moved = flip_ras_lps(np.array(transform.TransformPoint(flip_ras_lps(point).tolist())))
    np.testing.assert_allclose(moved, point + displacement[0, 5, 7], atol=1e-5)


def test_written_images_do_not_depend_on_the_time(tmp_path):
    for run in ("first", "second"):
        (tmp_path / run).mkdir()
        write_image(an_image(), tmp_path / run / "image.nii.gz")
        write_map(np.ones(SHAPE, np.float32), oblique_geometry(), tmp_path / run / "jacobian.nii.gz")
        if run == "first":
            time.sleep(1.1)
    for file in (tmp_path / "first").iterdir():
        assert file.read_bytes() == (tmp_path / "second" / file.name).read_bytes(), file.name


def test_written_transform_keeps_every_bit_of_grid_and_displacement(tmp_path):
    transform = displacement_transform(a_displacement_ras_mm(), oblique_geometry())
    write_transform(a_displacement_ras_mm(), oblique_geometry(), tmp_path / "transform.h5")
    again = sitk.ReadTransform(str(tmp_path / "transform.h5"))
    assert again.GetFixedParameters() == transform.GetFixedParameters()
    assert again.GetParameters() == transform.GetParameters()


def test_affine_matrix_maps_as_in_ras():
    matrix = np.eye(4)
    matrix[:3] = [[0.9, 0.2, -0.1, 5], [-0.2, 1.1, 0.3, -6], [0.1, 0.05, 0.8, 7]]
    point = np.array([3.0, -4.0, 8.0])
    moved = flip_ras_lps(np.array(affine_transform(matrix).TransformPoint(flip_ras_lps(point).tolist())))
    np.testing.assert_allclose(moved, matrix[:3, :3] @ point + matrix[:3, 3])


def test_resampling_shifts_by_whole_voxels_and_fills_outside():
    image = an_image()
    matrix = np.eye(4)
    matrix[:3, 3] = image.geometry.points_ras_mm([2, 1, 0]) - image.geometry.points_ras_mm([0, 0, 0])
    shifted = resample(image, affine_transform(matrix), image.geometry, -1000)
    assert shifted.dtype == np.int16
    np.testing.assert_array_equal(shifted[:, :-1, :-2], image.array_kji[:, 1:, 2:])
    assert np.all(shifted[:, -1] == -1000) and np.all(shifted[:, :, -2:] == -1000)


def test_resampling_rounds_whole_numbers_without_bias():
    image = Image(np.tile(np.array([0, 1, 0, 3, 10, 11], np.int16), (4, 4, 1)), oblique_geometry((4, 4, 6)))
    matrix = np.eye(4)
    matrix[:3, 3] = 0.6 * image.geometry.ijk_to_ras[:3, 0]
    shifted = resample(image, affine_transform(matrix), image.geometry, 0)
    np.testing.assert_array_equal(shifted[2, 2, :5], np.rint([0.6, 0.4, 1.8, 7.2, 10.6]))


def test_resampling_labels_gives_only_labels():
    image = Image(a_label_map(), oblique_geometry())
    matrix = np.eye(4)
    matrix[:3, 3] = 0.4 * image.geometry.ijk_to_ras[:3, 1]
    shifted = resample(image, affine_transform(matrix), image.geometry, 0, nearest=True)
    assert shifted.dtype == np.uint8 and set(np.unique(shifted)) == {0, 1, 205}
