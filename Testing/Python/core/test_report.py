"""The report and result.json: complete, self-contained, honest, and the same for the same result."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from report_case import EVIL, FACTS, SHAPE, Page, a_pair, a_result

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.data.images import Image, ImagePair, Segmentation
from TissueElasticRegistrationLib.core.data.result import LandmarkErrors
from TissueElasticRegistrationLib.core.data.tissues import Tissue
from TissueElasticRegistrationLib.core.files.result_file import json_text, result_json
from TissueElasticRegistrationLib.core.reporting import pictures
from TissueElasticRegistrationLib.core.reporting.picture_planes import picture_planes
from TissueElasticRegistrationLib.core.reporting.report import report_html
from TissueElasticRegistrationLib.core.reporting.report_pictures import report_pictures
from TissueElasticRegistrationLib.core.reporting.verdict import findings, verdict


def levels(result, pair=None, facts=FACTS) -> dict[str, str]:
    return {finding.topic: finding.level for finding in findings(pair or a_pair(), result, facts)}


# ---- page ---------------------------------------------------------------------------------------


def test_page_is_well_formed_and_names_images_and_every_tissue():
    pair = a_pair()
    page = Page(report_html(pair, a_result(pair), FACTS))
    for name in (pair.fixed.name, pair.moving.name, EVIL, "bone"):
        assert name in page.text


def test_names_are_escaped():
    pair = a_pair()
    html = report_html(pair, a_result(pair, warnings=(EVIL,)), FACTS | {"solver": EVIL, "versions": {EVIL: EVIL}})
    assert "<script" not in html and "<b>.nii" not in html


def test_page_needs_nothing_from_outside():
    pair = a_pair()
    html = report_html(pair, a_result(pair), FACTS)
    page = Page(html)
    assert page.loads and all(address.startswith("data:image/png;base64,") for address in page.loads)
    assert "script" not in page.tags and "link" not in page.tags
    assert "url(" not in html and "@import" not in html and "://" not in html


def test_page_does_not_depend_on_time_and_memory():
    pair = a_pair()
    slow = a_result(pair, seconds={"prepare": 99.0})
    assert report_html(pair, a_result(pair), FACTS) == report_html(
        pair, slow, FACTS | {"peak_memory_mb": 1.0, "seconds": {"write": 9.0}}
    )


def test_unmeasured_values_are_called_so():
    pair = replace(a_pair(), moving_segmentation=None)
    nan = float("nan")
    tissues = tuple(
        replace(t, dice_before=nan, dice_after=nan, hd95_mm_before=nan, hd95_mm_after=nan)
        for t in a_result(pair).tissues
    )
    result = a_result(pair, tissues=tissues, landmark_errors=None, warped_segmentation=None)
    text = Page(report_html(pair, result, FACTS)).text
    assert text.count("not measured") >= 4 and not re.search(r"\bnan\b", text)


def test_pictures_in_the_page_are_png_files(tmp_path):
    pair = a_pair()
    page = Page(report_html(pair, a_result(pair), FACTS))
    assert len(page.loads) == 21
    for number, address in enumerate(page.loads):
        path = tmp_path / f"{number}.png"
        path.write_bytes(base64.b64decode(address.split(",")[1]))
        assert sitk.ReadImage(str(path)).GetNumberOfComponentsPerPixel() == 3


# ---- verdict ------------------------------------------------------------------------------------


def test_good_result_is_not_cleared():
    line = verdict(findings(a_pair(), a_result(a_pair()), FACTS))
    assert line.startswith("No problem was found in the measurements") and "do not replace visual review" in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("share", "level"), [(0.0, "fine"), (0.01, "caution"), (2.0, "problem"), (np.nan, "unmeasured")]
)
def test_folding_is_flagged(share, level):
    assert levels(a_result(a_pair(), negative_jacobian_percent=share))["Folding"] == level


@pytest.mark.parametrize(
    ("errors", "level"),
    [
        (LandmarkErrors(3.4, 1.1, 6, 2.5, 20), "fine"),
        (LandmarkErrors(3.4, 2.1, 6, 2.5, 20), "caution"),
        (LandmarkErrors(9.4, 1.1, 16, 5.5, 20), "caution"),
        (LandmarkErrors(9.4, 5.1, 16, 5.5, 20), "problem"),
        (LandmarkErrors(1.0, 1.1, 3, 2.5, 20), "problem"),
        (None, "unmeasured"),
    ],
)
def test_landmark_error_is_flagged(errors, level):
    assert levels(a_result(a_pair(), landmark_errors=errors))["Landmark error"] == level


def test_landmark_error_above_the_voxel_size_is_flagged():
    fine = Geometry(SHAPE, np.diag([0.5, 0.5, 0.9, 1]))
    pair = replace(a_pair(), fixed=replace(a_pair().fixed, geometry=fine))
    assert levels(a_result(pair), pair)["Landmark error"] == "caution"


def test_decreased_overlap_is_flagged_naming_the_tissue():
    result = a_result(a_pair())
    worse = (result.tissues[0], replace(result.tissues[1], dice_after=0.7))
    finding = next(f for f in findings(a_pair(), replace(result, tissues=worse), FACTS) if f.topic == "Overlap")
    assert finding.level == "problem" and "decreased for bone" in finding.sentence


def test_overlap_used_for_tuning_is_no_evidence():
    facts = FACTS | {"estimate": {"method": "grid", "objective": "dice"}}
    assert levels(a_result(a_pair()), facts=facts)["Overlap"] == "caution"


def test_decreased_similarity_lost_view_and_warnings_are_flagged():
    valid = np.ones(SHAPE, bool)
    valid[..., :12] = False
    found = levels(a_result(a_pair(), similarity_after=0.2, valid_kji=valid, warnings=("The solver gave up.",)))
    assert (found["Similarity"], found["Field of view"], found["Warning"]) == ("problem", "caution", "caution")


# ---- result.json --------------------------------------------------------------------------------

TISSUE_KEYS = [
    "id",
    "name",
    "lambda",
    "mu",
    "poisson_ratio",
    "relative_stiffness",
    "energy",
    "strain_rms",
    "negative_jacobian_percent",
    "dice_before",
    "dice_after",
    "hd95_mm_before",
    "hd95_mm_after",
    "dice_common_after",
    "hd95_mm_common_after",
]


def test_result_file_has_the_agreed_keys():
    content = json.loads(json_text(result_json(a_result(a_pair()), FACTS)))
    assert list(content) == [
        "schema",
        "model",
        "solver",
        "device",
        "seed",
        "versions",
        "grid",
        "tissues",
        "similarity",
        "tre_mm",
        "negative_jacobian_percent",
        "seconds",
        "peak_memory_mb",
        "estimate",
        "kept_share",
        "unreliable",
        "warnings",
    ]
    assert content["schema"] == 1
    assert list(content["model"]) == ["name", "version", "sha256"]
    assert list(content["grid"]) == ["shape_kji", "spacing_mm"]
    assert all(list(tissue) == TISSUE_KEYS for tissue in content["tissues"])
    assert list(content["similarity"]) == ["before", "after"]
    assert list(content["tre_mm"]) == ["before_mean", "after_mean", "before_max", "after_max", "n"]
    assert list(content["seconds"]) == ["prepare", "estimate", "register", "refine", "write"]


def test_result_file_holds_the_values():
    content = result_json(a_result(a_pair()), FACTS)
    assert content["tissues"][1] | {"energy": None} == {
        "id": "Segment_2",
        "name": "bone",
        "lambda": 1,
        "mu": 2,
        "poisson_ratio": 0.166667,
        "relative_stiffness": 1.7,
        "energy": None,
        "strain_rms": 0.05,
        "negative_jacobian_percent": 0,
        "dice_before": 0.8,
        "dice_after": 0.9,
        "hd95_mm_before": 5,
        "hd95_mm_after": 3,
        "dice_common_after": None,
        "hd95_mm_common_after": None,
    }
    assert content["grid"] == {"shape_kji": [10, 24, 30], "spacing_mm": [5, 2, 1.5]}
    assert content["seconds"] == {"prepare": 1.235, "estimate": 0, "register": 2, "refine": 0, "write": 0.5}
    assert (content["seed"], content["peak_memory_mb"], content["tre_mm"]["n"]) == (7, 512.25, 20)


def test_what_was_not_measured_is_null():
    result = a_result(
        a_pair(), landmark_errors=None, similarity_before=float("nan"), negative_jacobian_percent=np.float32("nan")
    )
    content = json.loads(json_text(result_json(result, {})))
    assert content["tre_mm"] is None and content["similarity"]["before"] is None
    assert content["negative_jacobian_percent"] is None and content["model"]["name"] is None


def test_numpy_numbers_in_facts_become_plain():
    facts = FACTS | {"seed": np.int64(3), "estimate": {"grid": np.array([0.5, np.nan]), "flat": np.bool_(True)}}
    content = json.loads(json_text(result_json(a_result(a_pair()), facts)))
    assert content["seed"] == 3 and content["estimate"] == {"grid": [0.5, None], "flat": True}


# ---- pictures -----------------------------------------------------------------------------------


def test_planes_are_seen_the_radiological_way():
    planes = {plane.name: plane for plane in picture_planes(a_pair().fixed_segmentation)}
    assert list(planes) == ["axial", "coronal", "sagittal"]
    right_down = {
        "axial": ([-1, 0, 0], [0, -1, 0]),
        "coronal": ([-1, 0, 0], [0, 0, -1]),
        "sagittal": ([0, -1, 0], [0, 0, -1]),
    }
    for name, (right, down) in right_down.items():
        axes = planes[name].geometry.ijk_to_ras[:3, :2] / planes[name].pixel_mm
        assert axes[:, 0] @ right > 0.9 and axes[:, 1] @ down > 0.9


def test_patient_right_and_front_are_left_and_top_of_the_axial_picture():
    geometry = Geometry((8, 20, 20), np.diag([1.0, 1.0, 2.0, 1.0]))  # i to the right, j to the front: RAS
    values = np.random.default_rng(0).integers(0, 5, geometry.shape_kji, np.int16)
    values[:, 14:18, 15:19] = 100
    labels = np.ones(geometry.shape_kji, np.uint8)
    segmentation = Segmentation(labels, geometry, (Tissue(1, "all"),))
    pair = ImagePair(Image(values, geometry), Image(values, geometry), segmentation)
    plane, shown = report_pictures(pair, a_result(pair))[0]
    bright = np.argwhere(shown[1].rgb[..., 0] == 255)
    assert plane.edges == ("R", "L", "A", "P")
    assert np.all(bright.mean(0) < np.array(shown[1].rgb.shape[:2]) * 0.4)


def test_pixels_are_square_and_cover_the_image():
    for plane in picture_planes(a_pair().fixed_segmentation):
        rows, columns = plane.geometry.shape_kji[1:]
        assert max(rows, columns) == 400
        assert plane.geometry.spacing_ijk_mm[0] == pytest.approx(plane.geometry.spacing_ijk_mm[1])
    extent = 30 * 1.5, 24 * 2.0  # of the axial plane: columns, rows
    rows, columns = picture_planes(a_pair().fixed_segmentation)[0].geometry.shape_kji[1:]
    assert columns / rows == pytest.approx(extent[0] / extent[1], rel=0.01)


def test_every_plane_shows_a_label():
    pair = a_pair()
    labels = np.zeros(SHAPE, np.uint8)
    labels[0, 0, 0] = labels[9, 23, 29] = 1  # the middle of these two is background
    pair = replace(pair, fixed_segmentation=replace(pair.fixed_segmentation, labels_kji=labels))
    for _, shown in report_pictures(pair, a_result(pair)):
        assert np.any(np.all(shown[0].rgb == pictures.tissue_color(0), axis=-1))


def test_single_slice_has_one_plane():
    pair = a_pair((1, 24, 30))
    planes = report_pictures(pair, a_result(pair))
    assert [plane.name for plane, _ in planes] == ["axial"] and len(planes[0][1]) == 7


def test_no_deformation_leaves_the_grid_straight_even_after_rigid_alignment():
    pair = a_pair()
    geometry = pair.fixed.geometry.padded((1, 1, 1), (1, 1, 1))
    jacobian = np.ones(geometry.shape_kji)
    turn = np.array([[0.96, -0.28, 0.0], [0.28, 0.96, 0.0], [0.0, 0.0, 1.0]])
    points = geometry.voxel_centers_ras_mm()
    moved = points @ turn.T + [5.0, -9.0, 3.0] - points
    aligned = a_result(pair, displacement_ras_mm=moved, geometry=geometry, jacobian_kji=jacobian, initial="rigid")
    resting = replace(aligned, displacement_ras_mm=np.zeros_like(points), initial="none")
    for (_, shown), (_, expected) in zip(report_pictures(pair, aligned), report_pictures(pair, resting), strict=True):
        difference = shown[5].rgb.astype(int) - expected[5].rgb
        assert np.abs(difference).max() <= 2


def test_outlines_are_the_inner_edge_in_the_color_of_the_tissue():
    labels = np.zeros((7, 9), int)
    labels[2:6, 1:7] = 3
    drawn = pictures.outlined(np.zeros((7, 9, 3), np.uint8), labels, {3: (1, 2, 3)})
    marked = np.all(drawn == (1, 2, 3), axis=-1)
    expected = labels == 3
    expected[3:5, 2:6] = False
    np.testing.assert_array_equal(marked, expected)


def test_colors_of_difference_and_jacobian():
    difference = pictures.difference(
        np.array([[0.0, 0.5, 1.0, 1.0]]), np.array([[1.0, 0.5, 0.0, 0.0]]), np.array([[True, True, True, False]])
    )
    assert difference[0].tolist() == [[1] * 3, [128] * 3, [255] * 3, list(pictures.OUTSIDE)]
    jacobian = pictures.jacobian(np.array([[0.4, 1.0, 2.0, 0.0, -1.0]]))
    expected = (pictures.BLUE, pictures.WHITE, pictures.RED, pictures.FOLDED, pictures.FOLDED)
    assert jacobian[0].tolist() == [list(color) for color in expected]


def test_gray_window_goes_from_black_to_white():
    assert pictures.gray(np.array([[-50, 0, 50, 100, 999]]), (0, 100))[0, :, 0].tolist() == [0, 0, 128, 255, 255]


def test_png_is_read_back_unchanged(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (13, 7, 3)).astype(np.uint8)
    (tmp_path / "picture.png").write_bytes(pictures.png(picture))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "picture.png"))), picture)


def test_no_machine_path_in_the_page():
    pair = a_pair()
    pair = replace(pair, fixed_segmentation=replace(pair.fixed_segmentation, name="/home/someone/scan/labels.nii.gz"))
    html = report_html(pair, a_result(pair), FACTS)
    assert "labels.nii.gz" in html and not re.search("someone", html)
