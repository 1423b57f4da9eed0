"""Segmentations from label maps and from files as Slicer writes them."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import SimpleITK as sitk
from oblique_data import SHAPE, a_label_map, an_image, oblique_geometry, sentence, write_label_map

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.files.image_files import write_labels
from TissueElasticRegistrationLib.core.files.segment_headers import terminology_text
from TissueElasticRegistrationLib.core.files.segmentation_files import (
    comma_separated,
    has_own_names,
    parse_tissue_names,
    read_segmentation,
)

# ---- label maps ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32, np.float64, np.int64])
def test_label_map_keeps_its_values_whatever_its_type(tmp_path, dtype):
    path = write_label_map(tmp_path / "labels.nii.gz", a_label_map().astype(dtype))
    segmentation = read_segmentation(path, an_image(), {0: "outside", 205: "bone"})
    np.testing.assert_array_equal(segmentation.labels_kji, a_label_map())
    assert [(t.label, t.name, t.id) for t in segmentation.tissues] == [
        (0, "outside", "0"),
        (1, "1", "1"),
        (205, "bone", "205"),
    ]


def test_labels_above_255_are_kept(tmp_path):
    path = write_label_map(tmp_path / "labels.nii.gz", a_label_map().astype(np.int32) * 100)
    segmentation = read_segmentation(path, an_image())
    assert [tissue.label for tissue in segmentation.tissues] == [100, 20500]
    write_labels(segmentation, tmp_path / "again.nii.gz")
    assert sitk.ReadImage(str(tmp_path / "again.nii.gz")).GetPixelID() == sitk.sitkUInt16
    np.testing.assert_array_equal(
        read_segmentation(tmp_path / "again.nii.gz", an_image()).labels_kji, segmentation.labels_kji
    )


@pytest.mark.parametrize(
    ("labels", "word"),
    [
        (np.zeros(SHAPE, np.uint8), "empty"),
        (a_label_map() * 0.5, "whole numbers"),
        (a_label_map().astype(np.int16) - 1, "-1"),
        (a_label_map().astype(np.int32) * 1000, "205000"),
        (np.stack([a_label_map()] * 2, -1), "components"),
    ],
)
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


def image_grid(**changes) -> Geometry:
    """The grid of `an_image` with other ``spacing`` (factor), ``shift`` (voxels along i), ``angle`` (radians)."""
    matrix = oblique_geometry().ijk_to_ras.copy()
    angle = changes.get("angle", 0.0)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    matrix[:3, :3] = turn @ matrix[:3, :3] * changes.get("spacing", 1.0)
    matrix[:3, 3] += changes.get("shift", 0.0) * matrix[:3, 0]
    return Geometry(changes.get("shape", SHAPE), matrix)


@pytest.mark.parametrize(
    "changes", [{"spacing": 1.0003}, {"spacing": 1.00003}, {"shift": 0.49}, {"shift": -0.49}, {"angle": 0.002}, {}]
)
def test_label_map_less_than_half_a_voxel_beside_its_image_is_taken(tmp_path, changes):
    path = write_label_map(tmp_path / "labels.nrrd", a_label_map(), image_grid(**changes))
    segmentation = read_segmentation(path, an_image())
    np.testing.assert_array_equal(segmentation.labels_kji, a_label_map())
    assert segmentation.geometry.agrees_with(an_image().geometry, 1e-9)
    said = ("labels.nrrd lies 0.39 mm (0.49 voxels) beside its image; it was taken as if both had the same voxels.",)
    assert segmentation.notes == (said if "shift" in changes else ())


@pytest.mark.parametrize(
    ("changes", "size"),
    [
        ({"shift": 0.51}, "0.408 mm apart"),
        ({"shift": -3}, "2.4 mm apart"),
        ({"spacing": 1.2}, " mm apart"),
        ({"angle": 0.2}, " mm apart"),
        ({"shape": (6, 8, 9)}, "9 x 8 x 6 voxels"),
    ],
)
def test_label_map_of_another_grid_is_refused_with_the_size_of_the_error(tmp_path, changes, size):
    grid = image_grid(**changes)
    path = write_label_map(tmp_path / "labels.nrrd", a_label_map()[tuple(map(slice, grid.shape_kji))], grid)
    message = sentence(lambda: read_segmentation(path, an_image()))
    assert str(path) in message and "an image" in message and size in message
    assert "less than half a voxel is allowed" in message


@pytest.mark.parametrize("axes", list(permutations(range(3))), ids=str)
@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, 1), (1, -1, -1)], ids=str)
def test_label_map_may_have_its_axes_in_any_order_and_direction(tmp_path, axes, flips):
    """The same voxels in the same places, stored otherwise."""
    volume = sitk.GetImageFromArray(a_label_map())
    geometry = oblique_geometry()
    volume.SetOrigin(geometry.origin_lps_mm.tolist())
    volume.SetSpacing(geometry.spacing_ijk_mm.tolist())
    volume.SetDirection(geometry.direction_lps.ravel().tolist())
    volume = sitk.Flip(sitk.PermuteAxes(volume, axes), [flip < 0 for flip in flips])
    sitk.WriteImage(volume, str(tmp_path / "labels.nrrd"))
    segmentation = read_segmentation(tmp_path / "labels.nrrd", an_image())
    np.testing.assert_array_equal(segmentation.labels_kji, a_label_map())
    assert segmentation.notes == ()


def test_names_of_labels_that_do_not_occur_are_noted(tmp_path):
    path = write_label_map(tmp_path / "labels.nii.gz", a_label_map())
    segmentation = read_segmentation(path, an_image(), {1: "lung", 7: "liver", 8: "spleen"})
    assert segmentation.notes == ("labels.nii.gz does not have 'liver', 'spleen'.",)
    assert [tissue.name for tissue in segmentation.tissues] == ["lung", "205"]


@pytest.mark.parametrize("names", [{7: "liver"}, {10: "lung", 20: "bone"}])
def test_label_map_of_which_no_label_is_named_is_refused(tmp_path, names):
    path = write_label_map(tmp_path / "labels.nii.gz", a_label_map())
    message = sentence(lambda: read_segmentation(path, an_image(), names))
    assert message == f"--tissues names no label of {path}, which has '1', '205'."


def test_name_of_the_background_alone_is_a_name(tmp_path):
    path = write_label_map(tmp_path / "labels.nii.gz", a_label_map())
    assert read_segmentation(path, an_image(), {0: "air"}).tissues[0].name == "air"


def test_label_whose_name_is_another_label_is_told_apart_from_it(tmp_path):
    path = write_label_map(tmp_path / "labels.nii.gz", a_label_map())
    names = [tissue.name for tissue in read_segmentation(path, an_image(), {1: "205"}).tissues]
    assert names == ["205 (1)", "205 (205)"]


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("a,b", ["a", "b"]),
        (' a , "b, c",d"e', ["a", "b, c", 'd"e']),
        ('"a ""b"", c"', ['a "b", c']),
        ("", []),
    ],
)
def test_lists_may_contain_names_with_commas(text, entries):
    assert comma_separated(text) == entries


def test_list_with_an_open_quotation_mark_is_refused():
    sentence(lambda: comma_separated('a,"b'))


def test_tissue_names_may_contain_commas():
    assert parse_tissue_names('"1=Lung, left",2=bone') == {1: "Lung, left", 2: "bone"}


def test_tissue_names_are_parsed():
    assert parse_tissue_names("1=lung, 2 = soft tissue,30=bone (cortical)") == {
        1: "lung",
        2: "soft tissue",
        30: "bone (cortical)",
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1=",
        "=lung",
        "a=lung",
        "-1=lung",
        "1.5=lung",
        "1=lung,1=bone",
        "1=a,2=A",
        "1=lung,",
        "70000=x",
        "²=lung",
        "1=lung;2=soft",
        "1=lung=2",
        "1" * 5000 + "=lung",
    ],
)
def test_unusable_tissue_names_are_refused(text):
    assert "--tissues" in sentence(lambda: parse_tissue_names(text))


# ---- .seg.nrrd ----------------------------------------------------------------------------------


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


RIB = (
    "Segmentation category and type - 3D Slicer General Anatomy list~SCT^123037004^Anatomical Structure~"
    "SCT^113197003^Rib~SCT^7771000^Left~Anatomic codes - DICOM master list~^^~^^"
)
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


def test_slicers_segmentation_has_its_own_names(tmp_path):
    path = seg_nrrd(tmp_path / "s.seg.nrrd", [("lung", "", *LUNG_BLOCK)], oblique_geometry())
    assert read_segmentation(path, an_image(), {1: "bone"}).tissues[0].name == "lung"
    assert has_own_names(path)
    assert not has_own_names(write_label_map(tmp_path / "labels.nrrd", a_label_map()))


def test_slicers_segments_of_one_name_are_told_apart(tmp_path):
    blocks = [("Left", RIB, *RIB_BLOCK), ("left", "", *LUNG_BLOCK), ("bone", "", (5, 0, 0), (6, 2, 2))]
    path = seg_nrrd(tmp_path / "s.seg.nrrd", blocks, oblique_geometry())
    tissues = read_segmentation(path, an_image()).tissues
    assert [tissue.name for tissue in tissues] == ["Left (Rib Left)", f"left ({tissues[1].id})", "bone"]
    assert [tissue.segment_name for tissue in tissues] == ["Left", "left", "bone"]


def test_slicers_segment_that_contains_another_one_gives_way(tmp_path):
    blocks = [("lung", "", *LUNG_BLOCK), ("body", "", (0, 1, 1), (6, 8, 9))]
    path = seg_nrrd(tmp_path / "s.seg.nrrd", blocks, oblique_geometry())
    segmentation = read_segmentation(path, an_image())
    lung = np.zeros(SHAPE, bool)
    lung[tuple(slice(a, b) for a, b in zip(*LUNG_BLOCK, strict=True))] = True
    np.testing.assert_array_equal(segmentation.labels_kji == 1, lung)
    assert segmentation.notes == ("'body' contains 'lung' and is only what lies around.",)


def by_hand(path, *segments: dict, layers: int = 1):
    """Label map of two labels with header fields written by a script, the same in each layer."""
    volume = sitk.GetImageFromArray(np.stack([a_label_map()] * layers, -1), isVector=True)
    volume.SetOrigin(oblique_geometry().origin_lps_mm.tolist())
    volume.SetSpacing(oblique_geometry().spacing_ijk_mm.tolist())
    volume.SetDirection(oblique_geometry().direction_lps.ravel().tolist())
    if layers == 1:
        volume = sitk.VectorIndexSelectionCast(volume, 0)
    for number, fields in enumerate(segments):
        for field, text in fields.items():
            volume.SetMetaData(f"Segment{fields.get('at', number)}_{field}", str(text))
    sitk.WriteImage(volume, str(path))
    return path


LUNG = {"ID": "a", "Name": "lung", "LabelValue": 1, "Layer": 0}
BONE = {"ID": "b", "Name": "bone", "LabelValue": 205, "Layer": 0}


def without(segment: dict, *fields: str) -> dict:
    return {field: value for field, value in segment.items() if field not in fields}


@pytest.mark.parametrize(
    ("segments", "layers", "reason"),
    [
        ([LUNG | {"at": 1}, BONE | {"at": 2}], 1, "the header has a Segment2_ID but no Segment0_ID"),
        ([LUNG, BONE | {"at": 2}], 1, "the header has a Segment2_ID but no Segment1_ID"),
        ([LUNG, BONE | {"Layer": 7}], 1, "segment 'bone' lies in layer 7, but the last layer of the file is 0."),
        ([LUNG, without(BONE, "Layer")], 1, "segment 'bone' lies in layer 1, because the header names no layer for it"),
        ([LUNG, without(BONE, "LabelValue")], 1, "segments 'lung' and 'bone' have the same layer and label value."),
        ([LUNG, BONE | {"ID": "a"}], 1, "segments 'lung' and 'bone' have the same ID."),
        ([LUNG, BONE | {"LabelValue": "two"}], 1, "segment 'bone' has the unusable LabelValue 'two' in the header."),
        ([LUNG, BONE | {"LabelValue": 0}], 1, "segment 'bone' has the unusable LabelValue '0' in the header."),
        ([LUNG | {"Layer": "-1"}], 1, "segment 'lung' has the unusable Layer '-1' in the header."),
        ([LUNG | {"Layer": "9" * 5000}], 1, "segment 'lung' has the unusable Layer '9999999999"),
        ([LUNG | {"Extent": "0 9 0 7 0"}], 1, "segment 'lung' has the unusable Extent '0 9 0 7 0' in the header."),
        ([LUNG | {"Extent": "1 4 2 6 1 2"}], 1, "segment 'lung' has voxels outside of the extents in the header"),
        ([LUNG | {"Extent": "0 -1 0 -1 0 -1"}], 1, "segment 'lung' has voxels outside of the extents in the header"),
    ],
)
def test_header_by_hand_that_slicer_takes_otherwise_is_refused(tmp_path, segments, layers, reason):
    path = by_hand(tmp_path / "s.seg.nrrd", *segments, layers=layers)
    message = sentence(lambda: read_segmentation(path, an_image()))
    assert str(path) in message and reason in message


@pytest.mark.parametrize(
    ("segments", "layers", "labels"),
    [
        pytest.param([LUNG, BONE], 1, {1: "lung", 205: "bone"}, id="two in one layer"),
        pytest.param([without(BONE, "Name")], 1, {205: "b"}, id="no name: its ID"),
        pytest.param([without(LUNG, "LabelValue")], 1, {1: "lung"}, id="no label value: 1"),
        pytest.param([LUNG | {"Extent": "1 4 2 6 1 3"}], 1, {1: "lung"}, id="extent of the segment"),
        pytest.param(
            [LUNG | {"Extent": "-5 4 0 7 0 9"}, BONE | {"Extent": "5 8 3 5 2 4"}],
            1,
            {1: "lung", 205: "bone"},
            id="extents",
        ),
        pytest.param(
            [LUNG | {"Extent": "0 -1 0 -1 0 -1"}, BONE], 1, {1: "lung"}, id="one extent missing: the whole layer"
        ),
        pytest.param([without(LUNG, "Layer"), without(BONE, "Layer")], 2, {1: "lung", 205: "bone"}, id="before layers"),
    ],
)
def test_header_by_hand_is_read_as_slicer_reads_it(tmp_path, segments, layers, labels):
    segmentation = read_segmentation(by_hand(tmp_path / "s.seg.nrrd", *segments, layers=layers), an_image())
    for number, (label, name) in enumerate(labels.items(), start=1):
        assert segmentation.tissues[number - 1].name == name
        np.testing.assert_array_equal(segmentation.labels_kji == number, a_label_map() == label)


def test_placeholder_terminology_says_nothing():
    assert terminology_text("Segmentation.Status:done|TerminologyEntry:a~SCT^8^Tissue~SCT^8^Tissue~^^~b~^^~^^|") == ""
    assert terminology_text("") == ""
