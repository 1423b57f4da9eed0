"""Segmentation nodes to label arrays, on oblique, anisotropic grids without any symmetry."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from host.scene_builders import (
    add_bend,
    add_linear_transform,
    add_segmentation,
    add_surface_segmentation,
    add_volume,
    labelmap_image,
    oblique_matrix,
    put_under,
    smooth_array,
    sphere,
    transformed,
)
from oblique_data import write_label_map

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.files.segmentation_files import read_segmentation as read_file
from TissueElasticRegistrationLib.scene.read import (
    absent_tissues,
    read_segmentation,
    read_volume,
)

SHAPE = (9, 14, 17)
TURN = oblique_matrix((1, 1, 1), (12, -7, 5), (10, 25, -15))
SHIFT_AND_SCALE = np.diag([1.5, 1.5, 1.5, 1.0])
SHEAR = np.array([[1, 0.3, 0.2, 4], [0, 1.2, 0, -3], [0, 0.1, 0.9, 2], [0, 0, 0, 1.0]])


def add_ct(scene):
    return add_volume(scene, "CT", smooth_array(SHAPE, 1), oblique_matrix())


def blocks() -> dict[str, np.ndarray]:
    """Three masks of different size; the second overlaps the first."""
    masks = {name: np.zeros(SHAPE, bool) for name in ("lung", "soft", "bone")}
    masks["lung"][1:5, 2:9, 3:10] = True
    masks["soft"][4:7, 5:13, 2:15] = True
    masks["bone"][7:9, 0:3, 11:17] = True
    return masks


def labels_of(masks) -> np.ndarray:
    labels = np.zeros(SHAPE, int)
    for label, mask in enumerate(masks.values(), start=1):
        labels[mask] = label
    return labels


def test_segments_become_labels_in_order_and_the_later_one_wins(mrml_scene):
    volume = add_ct(mrml_scene)
    segmentation = read_segmentation(add_segmentation(mrml_scene, "organs", blocks(), oblique_matrix()), volume)
    assert np.array_equal(segmentation.labels_kji, labels_of(blocks()))
    assert [(t.label, t.id, t.name) for t in segmentation.tissues] == [
        (1, "id_lung", "lung"),
        (2, "id_soft", "soft"),
        (3, "id_bone", "bone"),
    ]


def test_segment_ids_choose_and_order_the_segments(mrml_scene):
    volume = add_ct(mrml_scene)
    node = add_segmentation(mrml_scene, "organs", blocks(), oblique_matrix())
    segmentation = read_segmentation(node, volume, ["id_bone", "id_lung"])
    expected = labels_of({"bone": blocks()["bone"], "lung": blocks()["lung"]})
    assert np.array_equal(segmentation.labels_kji, expected)


@pytest.mark.parametrize("names", [("lung", "bone", "body"), ("body", "lung", "bone")])
def test_segment_that_contains_others_gives_way_to_them_whatever_its_place(mrml_scene, names):
    masks = {**blocks(), "body": np.zeros(SHAPE, bool)}
    masks["body"][:, :13, 1:] = True
    node = add_segmentation(mrml_scene, "organs", {name: masks[name] for name in names}, oblique_matrix())
    segmentation = read_segmentation(node, add_ct(mrml_scene))
    shown = np.array(["", *names])[segmentation.labels_kji]
    for name in ("lung", "bone"):
        np.testing.assert_array_equal(shown == name, masks[name])
    said = ("'body' contains 'lung', 'bone' and is only what lies around.",)
    assert segmentation.notes == (said if names[-1] == "body" else ())


def test_segments_of_one_name_are_told_apart(mrml_scene):
    node = add_segmentation(mrml_scene, "organs", blocks(), oblique_matrix())
    for segment_id in ("id_lung", "id_bone"):
        node.GetSegmentation().GetSegment(segment_id).SetName("Left")
    tissues = read_segmentation(node, add_ct(mrml_scene)).tissues
    assert [tissue.name for tissue in tissues] == ["Left (id_lung)", "soft", "Left (id_bone)"]
    assert [tissue.segment_name for tissue in tissues] == ["Left", "soft", "Left"]


@pytest.mark.parametrize("change", ["rounded", "turned"])
def test_segmentation_is_read_on_the_grid_of_its_volume_as_a_label_map_in_a_file_is(mrml_scene, tmp_path, change):
    """Spacing as another program has rounded it, or axes in another order: the same voxels at both doors."""
    volume, masks = add_ct(mrml_scene), blocks()
    labels, matrix = labels_of(masks), oblique_matrix()
    if change == "rounded":
        matrix = matrix @ np.diag([1.0003, 1.0003, 1.0003, 1])
    else:
        labels = labels.transpose(1, 0, 2)[:, ::-1]
        matrix = matrix @ np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, SHAPE[0] - 1], [0, 0, 0, 1.0]])
    own = {name: labels == label for label, name in enumerate(masks, start=1)}
    in_scene = read_segmentation(add_segmentation(mrml_scene, "organs", own, matrix), volume)
    file = write_label_map(tmp_path / "labels.nrrd", labels.astype(np.uint8), Geometry(labels.shape, matrix))
    in_file = read_file(file, read_volume(volume))
    np.testing.assert_array_equal(in_scene.labels_kji, labels_of(masks))
    np.testing.assert_array_equal(in_file.labels_kji, labels_of(masks))


def test_segments_sharing_one_labelmap_are_told_apart(mrml_scene):
    masks = {name: mask & ~blocks()["soft"] if name == "lung" else mask for name, mask in blocks().items()}
    node = add_segmentation(mrml_scene, "organs", masks, oblique_matrix())
    node.GetSegmentation().CollapseBinaryLabelmaps(False)
    assert node.GetSegmentation().GetNumberOfLayers() == 1
    volume = add_ct(mrml_scene)
    assert np.array_equal(read_segmentation(node, volume).labels_kji, labels_of(masks))


def test_renamed_and_removed_segments_keep_their_ids(mrml_scene):
    node = add_segmentation(mrml_scene, "organs", blocks(), oblique_matrix())
    node.GetSegmentation().GetSegment("id_bone").SetName("Knochen")
    node.GetSegmentation().RemoveSegment("id_lung")
    volume = add_ct(mrml_scene)
    segmentation = read_segmentation(node, volume)
    assert [(t.label, t.id) for t in segmentation.tissues] == [(1, "id_soft"), (2, "id_bone")]
    assert segmentation.tissues[1].name == "Knochen"
    assert np.array_equal(segmentation.labels_kji == 2, blocks()["bone"])


def test_terminology_is_read_as_text(mrml_scene):
    node = add_segmentation(mrml_scene, "organs", blocks(), oblique_matrix())
    node.GetSegmentation().GetSegment("id_bone").SetTag(
        slicer.vtkSegment.GetTerminologyEntryTagName(),
        "Context~SCT^123037004^Anatomical Structure~SCT^113197003^Rib~SCT^7771000^Left~Anatomic~^^~^^",
    )
    volume = add_ct(mrml_scene)
    assert read_segmentation(node, volume).tissues[2].terminology == "Rib Left"


def test_segmentation_on_another_grid_is_resampled(mrml_scene):
    """A half-space in world coordinates, drawn on a fine grid with other axes."""
    fine = Geometry((70, 70, 70), oblique_matrix((0.7, 0.7, 0.7), (-30, -5, 20), (0, 30, 10)))
    volume = add_ct(mrml_scene)
    target = Geometry(SHAPE, oblique_matrix())
    normal = np.array([0.3, -0.8, 0.5])
    offset = target.points_ras_mm(np.array([8, 6, 4])) @ normal
    mask = fine.voxel_centers_ras_mm() @ normal > offset
    node = add_segmentation(mrml_scene, "half", {"half": mask}, fine.ijk_to_ras)
    labels = read_segmentation(node, volume).labels_kji
    heights = target.voxel_centers_ras_mm() @ normal - offset
    indices = fine.points_ijk(target.voxel_centers_ras_mm())
    known = (np.abs(heights) > 0.7) & np.all((indices > 0) & (indices < 69), -1)
    assert known.mean() > 0.5
    assert np.array_equal(labels[known] == 1, heights[known] > 0)


def test_parent_transforms_of_both_segmentation_and_volume_count(mrml_scene):
    """Segmentation under one chain, volume under another, so that they coincide in the world."""
    volume = add_volume(mrml_scene, "CT", smooth_array(SHAPE, 1), np.linalg.inv(TURN) @ oblique_matrix())
    put_under(volume, add_linear_transform(mrml_scene, "turn", TURN))
    node = add_segmentation(mrml_scene, "organs", blocks(), np.linalg.inv(SHIFT_AND_SCALE) @ oblique_matrix())
    put_under(node, add_linear_transform(mrml_scene, "scale", SHIFT_AND_SCALE))
    assert np.array_equal(read_segmentation(node, volume).labels_kji, labels_of(blocks()))


def test_segmentation_and_volume_under_one_bend_still_fit_each_other(mrml_scene):
    transform = add_bend(mrml_scene)
    mask = smooth_array(SHAPE, 1) > 0
    volume = add_volume(mrml_scene, "CT", mask.astype(np.float32), oblique_matrix())
    node = add_segmentation(mrml_scene, "bright", {"bright": mask}, oblique_matrix())
    put_under(volume, transform)
    put_under(node, transform)
    image, labels = read_volume(volume), read_segmentation(node, volume).labels_kji
    sure = np.abs(image.array_kji - 0.5) > 0.49
    assert 0.2 < labels[sure].mean() < 0.8
    assert np.mean((image.array_kji > 0.5)[sure] == labels[sure]) > 0.999


@pytest.mark.parametrize("under", ["nothing", "turn", "shear"])
def test_closed_surfaces_without_labelmap_are_rasterised(mrml_scene, under):
    matrix = {"nothing": np.eye(4), "turn": TURN, "shear": SHEAR}[under]
    target = Geometry((40, 40, 40), oblique_matrix((1, 1.2, 1.5), (-40, -20, -10)))
    center = target.points_ras_mm(np.array([18, 22, 17]))
    center_local = transformed(np.linalg.inv(matrix), center)
    node = add_surface_segmentation(mrml_scene, "ball", {"ball": sphere(center_local, 12)})
    put_under(node, add_linear_transform(mrml_scene, "above", matrix))
    volume = add_volume(mrml_scene, "CT", smooth_array(target.shape_kji, 1), target.ijk_to_ras)
    labels = read_segmentation(node, volume).labels_kji
    offsets = (target.voxel_centers_ras_mm() - center) @ np.linalg.inv(matrix)[:3, :3].T
    distance = np.linalg.norm(offsets, axis=-1) - 12
    sure = np.abs(distance) > 0.8
    assert np.array_equal(labels[sure] == 1, distance[sure] < 0)


def test_empty_surface_beside_a_full_one_is_reported_not_refused(mrml_scene):
    surfaces = {"nothing": vtk.vtkPolyData(), "ball": sphere((5, 6, 7), 6)}
    node = add_surface_segmentation(mrml_scene, "ball", surfaces)
    segmentation = read_segmentation(node, add_volume(mrml_scene, "CT", smooth_array((16, 16, 16), 1)))
    assert [tissue.id for tissue in absent_tissues(segmentation)] == ["id_nothing"]


def test_segmentation_with_only_empty_surfaces_is_refused_by_name(mrml_scene):
    node = add_surface_segmentation(mrml_scene, "organs", {"nothing": vtk.vtkPolyData()})
    with pytest.raises(ValueError, match="'organs' is empty"):
        read_segmentation(node, add_ct(mrml_scene))


def test_fractional_labelmap_is_read_through_its_surface(mrml_scene):
    source = add_surface_segmentation(mrml_scene, "source", {"ball": sphere((8, 7, 9), 5)}).GetSegmentation()
    coarse = labelmap_image(np.zeros((20, 20, 20)), np.eye(4))
    source.SetConversionParameter(
        slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName(),
        slicer.vtkSegmentationConverter.SerializeImageGeometry(coarse),
    )
    assert source.CreateRepresentation("Fractional labelmap")
    source.SetSourceRepresentationName("Fractional labelmap")
    node = mrml_scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "fractional")
    node.GetSegmentation().SetSourceRepresentationName("Fractional labelmap")
    node.GetSegmentation().AddSegment(source.GetSegment("id_ball"), "id_ball")
    node.GetSegmentation().RemoveRepresentation("Closed surface")
    labels = read_segmentation(node, add_volume(mrml_scene, "CT", smooth_array((16, 17, 18), 1))).labels_kji
    assert labels.sum() == pytest.approx(4 / 3 * np.pi * 5**3, rel=0.1)
    assert not node.GetSegmentation().ContainsRepresentation("Closed surface")


def test_reading_surfaces_leaves_the_segmentation_as_it_was(mrml_scene):
    node = add_surface_segmentation(mrml_scene, "ball", {"ball": sphere((5, 6, 7), 6)})
    read_segmentation(node, add_volume(mrml_scene, "CT", smooth_array((16, 16, 16), 1)))
    assert not node.GetSegmentation().ContainsRepresentation("Binary labelmap")


def test_single_slice_segmentation(mrml_scene):
    shape = (1, 20, 24)
    mask = smooth_array(shape, 1) > 0
    volume = add_volume(mrml_scene, "slice", smooth_array(shape, 1), oblique_matrix())
    node = add_segmentation(mrml_scene, "organs", {"bright": mask}, oblique_matrix())
    assert np.array_equal(read_segmentation(node, volume).labels_kji, mask)


def test_empty_segment_is_reported_not_refused(mrml_scene):
    node = add_segmentation(mrml_scene, "organs", blocks(), oblique_matrix())
    node.GetSegmentation().AddEmptySegment("id_empty", "later")
    segmentation = read_segmentation(node, add_ct(mrml_scene))
    assert [tissue.id for tissue in absent_tissues(segmentation)] == ["id_empty"]


def test_segmentation_with_only_empty_segments_is_refused_by_name(mrml_scene):
    node = mrml_scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "organs")
    node.GetSegmentation().AddEmptySegment("a", "a")
    with pytest.raises(ValueError, match="'organs' is empty"):
        read_segmentation(node, add_volume(mrml_scene, "CT", smooth_array(SHAPE, 1)))


def test_segmentation_without_segments_is_refused_by_name(mrml_scene):
    node = mrml_scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "organs")
    with pytest.raises(ValueError, match="'organs' is empty"):
        read_segmentation(node, add_volume(mrml_scene, "CT", smooth_array(SHAPE, 1)))


def test_segmentation_elsewhere_in_space_is_refused_with_both_names(mrml_scene):
    node = add_segmentation(mrml_scene, "other patient", blocks(), oblique_matrix(origin_ras_mm=(500, 0, 0)))
    volume = add_ct(mrml_scene)
    with pytest.raises(ValueError, match="'other patient' does not overlap with volume 'CT'"):
        read_segmentation(node, volume)


def test_surface_elsewhere_in_space_is_refused_with_both_names(mrml_scene):
    node = add_surface_segmentation(mrml_scene, "ball", {"ball": sphere((500, 0, 0), 6)})
    with pytest.raises(ValueError, match="'ball' does not overlap with volume 'CT'"):
        read_segmentation(node, add_volume(mrml_scene, "CT", smooth_array(SHAPE, 1)))


def test_unknown_segment_id_is_refused_by_name(mrml_scene):
    node = add_segmentation(mrml_scene, "organs", blocks(), oblique_matrix())
    with pytest.raises(ValueError, match="'organs' has no segment with the ID 'id_heart'"):
        read_segmentation(node, add_ct(mrml_scene), ["id_heart"])
