"""Files in and out: every fault of a file is one sentence naming it, and what is written is what was meant."""

from __future__ import annotations

import gzip
import struct
import time

import numpy as np
import pytest
import SimpleITK as sitk

from TissueElasticRegistrationLib.core.geometry import Geometry, flip_ras_lps
from TissueElasticRegistrationLib.core.hdf5_times import lookup3
from TissueElasticRegistrationLib.core.image_files import (
    read_image,
    write_image,
    write_labels,
    write_map,
    write_transform,
)
from TissueElasticRegistrationLib.core.images import Image, Segmentation
from TissueElasticRegistrationLib.core.itk_bridge import affine_transform, displacement_transform, resample
from TissueElasticRegistrationLib.core.landmark_files import read_landmarks
from TissueElasticRegistrationLib.core.output_folder import output_folder
from TissueElasticRegistrationLib.core.segmentation_files import (
    matched_to,
    parse_tissue_names,
    read_segmentation,
    terminology_text,
)
from TissueElasticRegistrationLib.core.tissues import Tissue

SHAPE = (6, 8, 10)


def oblique_geometry(shape=SHAPE) -> Geometry:
    rotation = np.linalg.qr(np.array([[2.0, 0.3, -0.2], [0.1, 1.5, 0.4], [0.3, -0.2, 1.0]]))[0]
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * [0.8, 1.3, 3.1]
    matrix[:3, 3] = [11.0, -23.0, 41.0]
    return Geometry(shape, matrix)


def an_image(dtype=np.int16, geometry=None) -> Image:
    geometry = geometry or oblique_geometry()
    values = np.random.default_rng(3).integers(-900, 1800, geometry.shape_kji)
    return Image(values.astype(dtype), geometry, "an image")


def sentence(call) -> str:
    """The message of the ValueError of ``call``, checked to be one sentence on one line."""
    with pytest.raises(ValueError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".") and ". " not in message, message
    return message


def patched_nifti(tmp_path, name: str, **fields):
    """A valid oblique-free NIfTI file in which header fields (offset and layout below) are overwritten."""
    layout = {"dim": ("<8h", 40), "pixdim": ("<8f", 76), "codes": ("<2h", 252), "quaternion": ("<6f", 256),
              "sform": ("<12f", 280)}
    path = tmp_path / "valid.nii"
    sitk.WriteImage(sitk.GetImageFromArray(an_image().array_kji), str(path))
    content = bytearray(path.read_bytes())
    for field, values in fields.items():
        struct.pack_into(layout[field][0], content, layout[field][1], *np.ravel(values))
    path = tmp_path / name
    path.write_bytes(gzip.compress(bytes(content)) if name.endswith(".gz") else bytes(content))
    return path


def nrrd(tmp_path, directions: str):
    path = tmp_path / "image.nrrd"
    header = ("NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 10 8 6\n"
              f"space directions: {directions}\nkinds: domain domain domain\nendian: little\nencoding: raw\n"
              "space origin: (0,0,0)\n\n")
    path.write_bytes(header.encode() + an_image().array_kji.tobytes())
    return path


# ---- images --------------------------------------------------------------------------------------

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
    for name, fault in (("missing.nii.gz", "no such file"), ("folder.nii.gz", "folder"), ("empty.nii.gz", "empty")):
        message = sentence(lambda name=name: read_image(tmp_path / name))
        assert message.startswith(str(tmp_path / name)) and fault in message


@pytest.mark.parametrize("name", ["text.nii.gz", "text.nrrd", "text.mha", "text.nii", "text.txt"])
def test_text_called_an_image_is_refused(tmp_path, name):
    (tmp_path / name).write_text("this is no image\n" * 100)
    assert str(tmp_path / name) in sentence(lambda: read_image(tmp_path / name))


@pytest.mark.parametrize(("sform", "word"), [
    ([[1, 0, 0, 5], [0, 1, 1, 6], [0, 0, 0, 7]], "singular"),
    (np.zeros((3, 4)), "singular"),
    ([[1, 0.4, 0, 5], [0, 1, 0, 6], [0, 0, 2, 7]], "sheared"),
    ([[1, np.nan, 0, 5], [0, 1, 0, 6], [0, 0, 2, 7]], "not finite"),
])
@pytest.mark.parametrize("qform_code", [0, 1])
def test_unusable_sform_is_refused_even_beside_a_good_qform(tmp_path, capfd, sform, word, qform_code):
    path = patched_nifti(tmp_path, "bad.nii.gz", sform=sform, codes=[qform_code, 1])
    message = sentence(lambda: read_image(path))
    assert str(path) in message and word in message
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("fields", "word"), [
    ({"pixdim": [1, np.nan, 1, 1, 0, 0, 0, 0]}, "voxel sizes"),
    ({"pixdim": [1, 1, 0, 1, 0, 0, 0, 0]}, "voxel sizes"),
    ({"quaternion": [0, 0, 0, np.nan, 0, 0]}, "qform"),
    ({"dim": [4, 10, 8, 3, 2, 1, 1, 1]}, "series"),
    ({"dim": [3, 10, 8, 60, 1, 1, 1, 1]}, "incomplete"),
    ({"dim": [3, 30000, 30000, 30000, 1, 1, 1, 1]}, "incomplete"),
])
def test_unusable_nifti_header_is_refused(tmp_path, capfd, fields, word):
    path = patched_nifti(tmp_path, "bad.nii.gz", **fields)
    message = sentence(lambda: read_image(path))
    assert str(path) in message and word in message
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("directions", "word"), [
    ("(1,0,0) (0,1,0) (0,1,0)", "singular"),
    ("(1,0,0) (0,1,0) (0,0,0)", "voxel size is 0"),
    ("(1,0,0) (0.4,1,0) (0,0,1)", "not perpendicular"),
    ("(1,0,0) (nan,1,0) (0,0,1)", "damaged"),
])
def test_unusable_nrrd_directions_are_refused(tmp_path, directions, word):
    path = nrrd(tmp_path, directions)
    message = sentence(lambda: read_image(path))
    assert str(path) in message and word in message


@pytest.mark.parametrize("name", ["image.nii", "image.nii.gz", "image.nrrd"])
@pytest.mark.parametrize("kept", [0.97, 0.5])
def test_truncated_file_is_refused(tmp_path, name, kept):
    path = tmp_path / name
    write_image(an_image(), path)
    content = path.read_bytes()
    path.write_bytes(content[:int(len(content) * kept)])
    assert str(path) in sentence(lambda: read_image(path))


def test_damaged_compressed_file_is_refused(tmp_path):
    path = tmp_path / "image.nii.gz"
    write_image(an_image(), path)
    content = bytearray(path.read_bytes())
    content[-6] ^= 0xFF  # the check sum
    path.write_bytes(content)
    assert "damaged" in sentence(lambda: read_image(path))


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_that_are_not_finite_are_refused(tmp_path, ending, value, dtype):
    values = an_image(dtype).array_kji
    values[-1, -1, -1] = value  # ITK reads NaN in NIfTI files as 0
    path = tmp_path / f"image{ending}"
    sitk.WriteImage(sitk.GetImageFromArray(values), str(path))
    message = sentence(lambda: read_image(path))
    assert str(path) in message and "not finite" in message


def test_constant_vector_and_complex_images_are_refused(tmp_path):
    values = an_image(np.float32).array_kji
    cases = {"constant": sitk.GetImageFromArray(np.full(SHAPE, 7, np.int16)),
             "per voxel": sitk.GetImageFromArray(np.stack([values] * 3, -1), isVector=True),
             "complex": sitk.GetImageFromArray(values + 1j * values)}
    for word, volume in cases.items():
        path = tmp_path / "image.nii.gz"
        sitk.WriteImage(volume, str(path))
        message = sentence(lambda path=path: read_image(path))
        assert str(path) in message and word in message


def test_itk_warnings_are_switched_back_on(tmp_path):
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sentence(lambda: read_image(nrrd(tmp_path, "(1,0,0) (0,1,0) (0,1,0)")))
    assert sitk.ProcessObject.GetGlobalWarningDisplay() == before


# ---- label maps ----------------------------------------------------------------------------------

def a_label_map() -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:4, 2:7, 1:5] = 1
    labels[2:5, 3:6, 5:9] = 205
    return labels


def write_label_map(path, labels, geometry=None):
    volume = sitk.GetImageFromArray(labels)
    geometry = geometry or oblique_geometry()
    volume.SetOrigin(geometry.origin_lps_mm.tolist())
    volume.SetSpacing(geometry.spacing_ijk_mm.tolist())
    volume.SetDirection(geometry.direction_lps.ravel().tolist())
    sitk.WriteImage(volume, str(path))
    return path


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32, np.float64, np.int64])
def test_label_map_keeps_its_values_whatever_its_type(tmp_path, dtype):
    path = write_label_map(tmp_path / "labels.nii.gz", a_label_map().astype(dtype))
    segmentation = read_segmentation(path, an_image(), {0: "outside", 205: "bone"})
    np.testing.assert_array_equal(segmentation.labels_kji, a_label_map())
    assert [(t.label, t.name, t.id) for t in segmentation.tissues] == [(0, "outside", "0"), (1, "1", "1"),
                                                                       (205, "bone", "205")]


def test_labels_above_255_are_kept(tmp_path):
    path = write_label_map(tmp_path / "labels.nii.gz", a_label_map().astype(np.int32) * 100)
    segmentation = read_segmentation(path, an_image())
    assert [tissue.label for tissue in segmentation.tissues] == [100, 20500]
    write_labels(segmentation, tmp_path / "again.nii.gz")
    assert sitk.ReadImage(str(tmp_path / "again.nii.gz")).GetPixelID() == sitk.sitkUInt16
    np.testing.assert_array_equal(read_segmentation(tmp_path / "again.nii.gz", an_image()).labels_kji,
                                  segmentation.labels_kji)


@pytest.mark.parametrize(("labels", "word"), [
    (np.zeros(SHAPE, np.uint8), "empty"),
    (a_label_map() * 0.5, "whole numbers"),
    (a_label_map().astype(np.int16) - 1, "-1"),
    (a_label_map().astype(np.int32) * 1000, "205000"),
    (np.stack([a_label_map()] * 2, -1), "components"),
])
def test_unusable_label_map_is_refused(tmp_path, labels, word):
    path = tmp_path / "labels.nrrd"
    volume = sitk.GetImageFromArray(labels, isVector=labels.ndim == 4)
    geometry = oblique_geometry()
    volume.SetOrigin(geometry.origin_lps_mm.tolist())
    volume.SetSpacing(geometry.spacing_ijk_mm.tolist())
    volume.SetDirection(geometry.direction_lps.ravel().tolist())
    sitk.WriteImage(volume, str(path))
    message = sentence(lambda: read_segmentation(path, an_image()))
    assert str(path) in message and word in message


def test_label_map_of_another_grid_is_refused_naming_both(tmp_path):
    shifted = oblique_geometry().ijk_to_ras.copy()
    shifted[0, 3] += 1
    path = write_label_map(tmp_path / "labels.nii.gz", a_label_map(), Geometry(SHAPE, shifted))
    message = sentence(lambda: read_segmentation(path, an_image()))
    assert str(path) in message and "an image" in message


def test_name_for_a_label_that_does_not_occur_is_refused_unless_allowed(tmp_path):
    path = write_label_map(tmp_path / "labels.nii.gz", a_label_map())
    message = sentence(lambda: read_segmentation(path, an_image(), {1: "lung", 7: "bone"}))
    assert "label 7" in message and str(path) in message
    read_segmentation(path, an_image(), {1: "lung", 7: "bone"}, names_must_occur=False)


def test_tissue_names_are_parsed():
    assert parse_tissue_names("1=lung, 2 = soft tissue,30=bone=cortical") == {1: "lung", 2: "soft tissue",
                                                                             30: "bone=cortical"}


@pytest.mark.parametrize("text", ["", "1", "1=", "=lung", "a=lung", "-1=lung", "1.5=lung", "1=lung,1=bone", "1=a,2=A",
                                  "1=lung,", "70000=x", "²=lung"])
def test_unusable_tissue_names_are_refused(text):
    assert "--tissues" in sentence(lambda: parse_tissue_names(text))


# ---- .seg.nrrd -----------------------------------------------------------------------------------

def seg_nrrd(path, blocks, geometry: Geometry):
    """Written by Slicer's own storage node. ``blocks``: (name, terminology, first voxel kji, end voxel kji)."""
    slicer = pytest.importorskip("slicer")
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    scene = slicer.vtkMRMLScene()
    application_logic = slicer.vtkSlicerApplicationLogic()
    application_logic.SetMRMLScene(scene)
    logic = slicer.vtkSlicerSegmentationsModuleLogic()
    logic.SetMRMLScene(scene)
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    for name, terminology, first, end in blocks:
        image = slicer.vtkOrientedImageData()
        image.SetDimensions(geometry.shape_kji[::-1])
        image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
        matrix = vtk.vtkMatrix4x4()
        matrix.DeepCopy(geometry.ijk_to_ras.ravel().tolist())
        image.SetImageToWorldMatrix(matrix)
        voxels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(geometry.shape_kji)
        voxels[:] = 0
        voxels[tuple(slice(a, b) for a, b in zip(first, end, strict=True))] = 1
        segment_id = node.GetSegmentation().AddEmptySegment("", name)
        logic.SetBinaryLabelmapToSegment(image, node, segment_id)
        if terminology:
            node.GetSegmentation().GetSegment(segment_id).SetTag("TerminologyEntry", terminology)
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(path))
    assert storage.WriteData(node)
    return path


RIB = ("Segmentation category and type - 3D Slicer General Anatomy list~SCT^123037004^Anatomical Structure~"
       "SCT^113197003^Rib~SCT^7771000^Left~Anatomic codes - DICOM master list~^^~^^")
LUNG_BLOCK, RIB_BLOCK = ((1, 2, 3), (4, 6, 7)), ((3, 2, 4), (6, 8, 6))


@pytest.mark.parametrize("rib_block", [RIB_BLOCK, ((4, 2, 4), (6, 8, 6))], ids=["two layers", "one layer"])
def test_slicers_segmentation_is_read(tmp_path, rib_block):
    geometry = oblique_geometry()
    path = seg_nrrd(tmp_path / "s.seg.nrrd", [("Left lung", "", *LUNG_BLOCK), ("7 & <b>", RIB, *rib_block)], geometry)
    segmentation = read_segmentation(path, an_image())
    expected = np.zeros(SHAPE, np.uint8)
    for label, (first, end) in enumerate((LUNG_BLOCK, rib_block), start=1):
        expected[tuple(slice(a, b) for a, b in zip(first, end, strict=True))] = label
    np.testing.assert_array_equal(segmentation.labels_kji, expected)
    assert [(t.name, t.terminology) for t in segmentation.tissues] == [("Left lung", ""), ("7 & <b>", "Rib Left")]
    assert all(tissue.id not in ("", "1", "2") for tissue in segmentation.tissues)


def test_slicers_segmentation_on_another_grid_is_resampled(tmp_path):
    fine = oblique_geometry().resampled(oblique_geometry().spacing_kji_mm / 2, np.array(SHAPE) * 2)
    blocks = [("lung", "", tuple(2 * np.array(LUNG_BLOCK[0])), tuple(2 * np.array(LUNG_BLOCK[1])))]
    path = seg_nrrd(tmp_path / "s.seg.nrrd", blocks, fine)
    labels = read_segmentation(path, an_image()).labels_kji
    expected = np.zeros(SHAPE)
    expected[tuple(slice(a, b) for a, b in zip(*LUNG_BLOCK, strict=True))] = 1
    np.testing.assert_array_equal(labels, expected)


def test_slicers_segmentation_beside_the_image_is_refused(tmp_path):
    far = oblique_geometry().ijk_to_ras.copy()
    far[:3, 3] += 500
    path = seg_nrrd(tmp_path / "s.seg.nrrd", [("lung", "", *LUNG_BLOCK)], Geometry(SHAPE, far))
    message = sentence(lambda: read_segmentation(path, an_image()))
    assert str(path) in message and "an image" in message


def test_label_names_for_slicers_segmentation_are_refused(tmp_path):
    path = seg_nrrd(tmp_path / "s.seg.nrrd", [("lung", "", *LUNG_BLOCK)], oblique_geometry())
    assert str(path) in sentence(lambda: read_segmentation(path, an_image(), {1: "lung"}))


def test_placeholder_terminology_says_nothing():
    assert terminology_text("Segmentation.Status:done|TerminologyEntry:a~SCT^8^Tissue~SCT^8^Tissue~^^~b~^^~^^|") == ""
    assert terminology_text("") == ""


def test_labels_are_matched_by_name_then_id():
    geometry = oblique_geometry()
    fixed = Segmentation(a_label_map(), geometry, (Tissue(1, "Lung", "a"), Tissue(205, "bone", "b")))
    renumbered = np.where(a_label_map() == 205, 1, np.where(a_label_map() == 1, 3, 0)).astype(np.uint8)
    moving = Segmentation(renumbered, geometry,
                          (Tissue(1, "BONE", "x"), Tissue(3, "lung", "y"), Tissue(4, "tumor", "z")))
    matched = matched_to(moving, fixed)
    np.testing.assert_array_equal(matched.labels_kji, a_label_map())
    assert [(tissue.name, tissue.label) for tissue in matched.tissues] == [("BONE", 205), ("lung", 1), ("tumor", 206)]
    assert matched_to(fixed, fixed) is fixed


# ---- landmarks -----------------------------------------------------------------------------------

def test_landmarks_are_read_in_any_column_order_and_turned_to_ras(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("\ufeffmoving_z, Name,fixed_x,fixed_y,fixed_z,moving_x,moving_y\n"
                    "6,carina,1,2,3,4,5\n\n12,,7,8,9,10,11\n")
    landmarks = read_landmarks(path)
    np.testing.assert_array_equal(landmarks.fixed_ras_mm, [[-1, -2, 3], [-7, -8, 9]])
    np.testing.assert_array_equal(landmarks.moving_ras_mm, [[-4, -5, 6], [-10, -11, 12]])
    assert landmarks.names == ("carina", "2")


HEADER = "fixed_x,fixed_y,fixed_z,moving_x,moving_y,moving_z\n"


@pytest.mark.parametrize(("content", "word"), [
    (b"", "columns"), (b"x,y,z\n1,2,3\n", "columns"), (HEADER.encode(), "no landmarks"),
    (HEADER.replace("moving_z", "fixed_z").encode() + b"1,2,3,4,5,6\n", "moving_z"),
    (HEADER.encode() + b"1,2,3,4,5\n", "moving_z"), (HEADER.encode() + b"1,2,a,4,5,6\n", "line 2: fixed_z is 'a'"),
    (HEADER.encode() + b"1,2,nan,4,5,6\n", "finite"), (b"\xff\xfe\x00\x81", "csv"), (b"\x1f\x8b\x08\x00\x9c", "csv"),
])
def test_unusable_landmark_file_is_refused(tmp_path, content, word):
    path = tmp_path / "points.csv"
    path.write_bytes(content)
    message = sentence(lambda: read_landmarks(path))
    assert str(path) in message and word in message


def test_missing_landmark_file_is_refused(tmp_path):
    assert "no such file" in sentence(lambda: read_landmarks(tmp_path / "points.csv"))


# ---- transforms and resampling -------------------------------------------------------------------

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


def test_written_files_do_not_depend_on_the_time(tmp_path):
    for run in ("first", "second"):
        (tmp_path / run).mkdir()
        write_transform(a_displacement_ras_mm(), oblique_geometry(), tmp_path / run / "transform.h5")
        write_image(an_image(), tmp_path / run / "image.nii.gz")
        write_map(np.ones(SHAPE, np.float32), oblique_geometry(), tmp_path / run / "jacobian.nii.gz")
        if run == "first":
            time.sleep(1.1)
    for file in (tmp_path / "first").iterdir():
        assert file.read_bytes() == (tmp_path / "second" / file.name).read_bytes(), file.name


def test_hash_of_hdf5_headers_is_bob_jenkins_lookup3():
    assert lookup3(b"") == 0xDEADBEEF
    assert lookup3(b"Four score and seven years ago") == 0x17770551


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


# ---- output folder -------------------------------------------------------------------------------

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
