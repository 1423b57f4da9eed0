"""An estimate in result.json, in the report and in batch.csv: Young's modulus apart from the shear modulus ratio, and
tuned apart from held out.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from report_case import EVIL, FACTS, Page, a_pair, a_result

from TissueElasticRegistrationLib.__main__ import main
from TissueElasticRegistrationLib.commands import batch_command
from TissueElasticRegistrationLib.commands.register_command import Registered
from TissueElasticRegistrationLib.core.data.images import ImagePair, Landmarks
from TissueElasticRegistrationLib.core.data.tissues import BACKGROUND, Lame, Tissue, TissueParameters
from TissueElasticRegistrationLib.core.estimation.estimate_result import Estimate, TissueEstimate
from TissueElasticRegistrationLib.core.estimation.landscape import Landscape
from TissueElasticRegistrationLib.core.files.result_file import json_text, result_json
from TissueElasticRegistrationLib.core.reporting.estimate_summary import evidence, summarize_estimate
from TissueElasticRegistrationLib.core.reporting.landscape_picture import landscape_picture
from TissueElasticRegistrationLib.core.reporting.pictures import data_uri
from TissueElasticRegistrationLib.core.reporting.report import report_html
from TissueElasticRegistrationLib.core.reporting.report_estimate import PICTURE_PIXELS, estimate_section
from TissueElasticRegistrationLib.core.reporting.report_pictures import colors_by_label
from TissueElasticRegistrationLib.core.reporting.report_stiffness import stiffness_section
from TissueElasticRegistrationLib.core.stiffness.shear_modulus_ratio import ShearModulusRatios, TissueModulusRatio

REASON = "Its deformation is too small to tell."
SHIFT_RAS_MM = np.array([3.0, 4.0, 0.0])  # 5 mm
WEIGHTS = np.array([0.02, 2.0, 200.0])
AIR = Tissue(BACKGROUND, "background")


def a_stiffness(pair: ImagePair) -> ShearModulusRatios:
    """The first tissue is told, the second is not, and what is not is infinite above."""
    told, silent = pair.fixed_segmentation.tissues
    reference = Tissue(9, "soft")
    return ShearModulusRatios(
        (
            TissueModulusRatio(told, 1.75, 0.875, 3.5, True, 0.2, 4.0),
            TissueModulusRatio(silent, 7.77, 2.5, float("inf"), False, 1.5, 4.0, REASON),
            TissueModulusRatio(reference, 1.0, 1.0, 1.0, True, 0.0, 4.0),
        ),
        reference,
        12.5,
    )


def an_estimate(pair: ImagePair, **changes) -> Estimate:
    """By Dice: the first tissue was searched, with a landscape that hardly changes; the second was held out."""
    searched, held_out = pair.fixed_segmentation.tissues
    scores = np.full((3, 3, 3), np.nan)
    scores[1] = 0.9
    scores[1, 1, 2], scores[1, 0, 0] = 0.904, 0.7
    kept = Lame(30.0, 30.0)
    rows = (
        TissueEstimate(AIR, Lame(0.02, 0.02), float("nan"), float("nan"), False, False),
        TissueEstimate(searched, Lame(2.0, 200.0), 0.904, 0.8765, True, True, (1, 2)),
        TissueEstimate(held_out, kept, float("nan"), float("nan"), False, False),
    )
    plain = Estimate(
        "grid",
        Landscape(WEIGHTS, WEIGHTS, scores),
        rows,
        TissueParameters(),
        True,
        3.0,
        held_out=(held_out,),
    )
    return replace(plain, **changes)


def shifted(pair: ImagePair):
    """A result that moves everything by 5 mm."""
    moved = np.broadcast_to(SHIFT_RAS_MM, (*pair.fixed.geometry.shape_kji, 3)).astype(np.float32)
    return a_result(pair, displacement_ras_mm=moved)


def with_landmarks(pair: ImagePair) -> ImagePair:
    """Two that a shift by 5 mm brings to their place, and one that it leaves 5 mm behind."""
    fixed = pair.fixed.geometry.points_ras_mm(np.array([[8.0, 9, 4], [15, 10, 5], [20, 14, 6]]))
    moving = fixed + np.array([1.0, 1.0, 2.0])[:, None] * SHIFT_RAS_MM
    return replace(pair, landmarks=Landmarks(fixed, moving, ("a", "b", "c")))


def block(estimate: Estimate | None, pair: ImagePair, ratios: ShearModulusRatios | None = None) -> dict:
    result = shifted(pair)
    facts = FACTS | {"estimate": summarize_estimate(estimate, pair, result, ratios)}
    return json.loads(json_text(result_json(result, facts)))["estimate"]


def page_of(estimate: Estimate, pair: ImagePair) -> tuple[str, str]:
    """HTML and text of the section on the estimate, after checking that it is well-formed."""
    html = estimate_section(estimate, pair, shifted(pair), colors_by_label(pair))
    return html, re.sub(r"\s+", " ", Page(html).text)


# --- result.json ------------------------------------------------------------------------------------------------------


def test_the_file_tells_shear_modulus_ratio_beside_what_was_searched():
    pair = a_pair()
    found = block(an_estimate(pair), pair, a_stiffness(pair))
    assert found["shear_modulus_ratio"] == {
        "reference": "9",
        "condition": 12.5,
        "per_tissue": [
            {"id": "1", "mu": 1.75, "low": 0.875, "high": 3.5, "supported": True, "strain_index": 0.2, "reason": ""},
            {
                "id": "Segment_2",
                "mu": 7.77,
                "low": 2.5,
                "high": None,
                "supported": False,
                "strain_index": 1.5,
                "reason": REASON,
            },
            {"id": "9", "mu": 1.0, "low": 1.0, "high": 1.0, "supported": True, "strain_index": 0.0, "reason": ""},
        ],
    }
    assert found["per_tissue"] == [
        {
            "id": "1",
            "lambda": 2.0,
            "mu": 200.0,
            "score": 0.904,
            "score_start": 0.8765,
            "flat": True,
            "confidence": pytest.approx(1 / 9, abs=1e-5),
        }
    ]
    assert (found["method"], found["objective"]) == ("grid", "dice")


def test_the_file_has_different_keys_for_the_two_quantities():
    pair = a_pair()
    content = result_json(shifted(pair), {"estimate": block(an_estimate(pair), pair, a_stiffness(pair))})
    assert "relative_stiffness" not in content["estimate"] and "shear_modulus_ratio" in content["estimate"]
    assert all("shear_modulus_ratio" not in row and "relative_stiffness" in row for row in content["tissues"])


def test_without_shear_modulus_ratio_the_key_is_null():
    pair = a_pair()
    assert block(an_estimate(pair), pair)["shear_modulus_ratio"] is None


def test_without_a_search_the_file_has_the_same_keys_and_says_that_nothing_was_searched():
    pair = a_pair()
    searched, alone = block(an_estimate(pair), pair, a_stiffness(pair)), block(None, pair, a_stiffness(pair))
    assert alone.keys() == searched.keys() and alone["held_out"].keys() == searched["held_out"].keys()
    assert alone["method"] == "none" and alone["per_tissue"] == [] and alone["objective"] is None
    assert alone["shear_modulus_ratio"] == searched["shear_modulus_ratio"]


def test_held_out_landmarks_have_an_error_of_their_own():
    pair = with_landmarks(a_pair())
    found = block(an_estimate(pair, criterion="landmarks", held_out_landmarks=("a", "c")), pair)["held_out"]
    assert found["landmarks"] == ["a", "c"] and found["tissues"] == ["Segment_2"]
    assert found["tre_mm"] == pytest.approx(
        {"before_mean": 7.5, "after_mean": 2.5, "before_max": 10.0, "after_max": 5.0, "n": 2}, abs=1e-4
    )


# --- what is evidence -------------------------------------------------------------------------------------------------


def independent(estimate: Estimate, pair: ImagePair) -> dict[str, bool]:
    return {one.what: one.independent for one in evidence(estimate, pair, shifted(pair))}


def test_only_what_the_search_has_not_looked_at_is_independent():
    pair = with_landmarks(a_pair())
    overlap, other = f"Overlap of {EVIL}", "Overlap of bone"
    by_dice = independent(an_estimate(pair), pair)
    assert by_dice == {other: True, "Mean error of 3 landmarks": True, overlap: False}
    by_landmarks = independent(an_estimate(pair, criterion="landmarks", held_out_landmarks=("c",)), pair)
    assert by_landmarks == {
        overlap: True,
        other: True,
        "Mean error of 1 landmark": True,
        "Mean error of 2 landmarks": False,
    }
    assert all(independent(an_estimate(pair, criterion="similarity"), pair).values())


def test_errors_of_tuned_and_of_held_out_landmarks_stand_apart():
    pair = with_landmarks(a_pair())
    found = evidence(an_estimate(pair, criterion="landmarks", held_out_landmarks=("c",)), pair, shifted(pair))
    errors = [(one.before, one.after) for one in found if one.unit == "mm"]
    assert errors == [pytest.approx((10, 5), abs=1e-4), pytest.approx((5, 0), abs=1e-4)]


# --- report -----------------------------------------------------------------------------------------------------------


def test_the_report_tells_stiffness_only_where_the_deformation_supports_it():
    pair = a_pair()
    text = re.sub(r"\s+", " ", Page(stiffness_section(a_stiffness(pair), colors_by_label(pair))).text)
    assert "1.8 (0.88 to 3.5)" in text and "1 (reference)" in text
    assert "Experimental" in text and "not elastography" in text
    assert f"bone: no shear modulus ratio. {REASON}" in text
    assert "7.77" not in text and "7.8" not in text and "inf" not in text


def test_the_report_says_what_was_searched_and_what_tuning_is_not():
    pair = a_pair()
    _, text = page_of(an_estimate(pair), pair)
    assert "grid of 3 × 3 values from 0.02 to 200 with the direct solver, judged by the overlap of the segments" in text
    assert "An estimate is not elastography" in text
    assert "0.876 → 0.904" in text  # Dice at start and found
    assert "unchanged, held out" in text


def test_the_report_has_one_landscape_for_each_tissue_that_was_searched():
    pair = a_pair()
    html, text = page_of(an_estimate(pair), pair)
    assert html.count("<img") == 1 and "Dice 0.904, flat" in text
    gradient, _ = page_of(an_estimate(pair, landscape=None, method="gradient"), pair)
    assert gradient.count("<img") == 0 and "optimized step by step" in gradient
    assert "Confidence" in text and "Confidence" not in gradient


def test_the_landscape_marks_the_chosen_point_and_hatches_only_a_flat_one():
    pair = a_pair()
    estimate = an_estimate(pair)
    scores, near = estimate.landscape.scores[1], np.full((3, 3), True)
    near[0, 0] = False
    assert data_uri(landscape_picture(scores, (1, 2), near, PICTURE_PIXELS)) in page_of(estimate, pair)[0]
    rows = tuple(replace(row, insensitive=False) for row in estimate.per_tissue)
    plain = data_uri(landscape_picture(scores, (1, 2), None, PICTURE_PIXELS))
    assert plain in page_of(replace(estimate, per_tissue=rows), pair)[0]


def test_colors_of_a_landscape_reach_as_far_as_its_scores_differ():
    """Millimeters are no shares: what is nearly as good in Dice and in distance is told by the landscape."""
    pair = a_pair()
    estimate = an_estimate(pair, criterion="landmarks")
    landscape = replace(estimate.landscape, scores=-10 * estimate.landscape.scores, insensitive_range=0.05)
    wanted = landscape_picture(landscape.scores[1], (1, 2), landscape.near_best(1), PICTURE_PIXELS, span=1.0)
    html, text = page_of(replace(estimate, landscape=landscape), pair)
    assert data_uri(wanted) in html and "dark violet is worse by 1 mm or more" in text


def test_the_report_keeps_independent_evidence_apart_from_what_was_tuned():
    pair = with_landmarks(a_pair())
    _, text = page_of(an_estimate(pair), pair)
    before, _, after = text.partition("Tuned")
    before = before.partition("Independent evidence")[2]
    assert "Overlap of bone" in before and "Mean error of 3 landmarks" in before and "5.00 mm" not in after
    assert f"Overlap of {EVIL}" in after and "Overlap of bone" not in after


def test_the_report_says_so_when_nothing_is_independent():
    pair = a_pair()
    estimate = an_estimate(pair)
    rows = tuple(replace(row, is_estimated=row.tissue is not AIR) for row in estimate.per_tissue)
    _, text = page_of(replace(estimate, per_tissue=rows, held_out=()), pair)
    assert "No measurement is independent of the search." in text


def test_distances_of_landmarks_are_shown_as_distances():
    pair = with_landmarks(a_pair())
    estimate = an_estimate(pair, criterion="landmarks")
    rows = tuple(
        replace(row, score=-1.25, start_score=-2.5) if row.is_estimated else row for row in estimate.per_tissue
    )
    _, text = page_of(replace(estimate, per_tissue=rows), pair)
    assert "Distance mm" in text and "2.50 → 1.25" in text and "Distance 1.25 mm" in text and "-" not in text


def test_shear_modulus_ratio_has_a_section_of_its_own_with_and_without_a_search():
    pair = a_pair()
    for estimate in (None, an_estimate(pair)):
        html = report_html(pair, shifted(pair), FACTS, estimate, a_stiffness(pair))
        sections = [Page(part.split("</section>")[0]).text for part in html.split("<section>")[1:]]
        (text,) = [text for text in sections if "Shear modulus ratio" in text]
        assert "1.8 (0.88 to 3.5)" in text and "search" not in text and "nan" not in text
    assert "Shear modulus ratio" not in report_html(pair, shifted(pair), FACTS, an_estimate(pair))


def test_the_page_has_the_section_and_does_not_call_what_was_set_shear_modulus_ratio():
    pair = a_pair()
    result, estimate = shifted(pair), an_estimate(pair)
    asked = {"name": "other", "sha256": "a"}
    facts = FACTS | {"estimate": summarize_estimate(estimate, pair, result) | {"search_model": asked}}
    html = report_html(pair, result, facts, estimate, a_stiffness(pair))
    tables = [Page(part.split("</section>")[0]).text for part in html.split("<section>")[1:]]
    tissues = next(text for text in tables if "Folding %" in text)
    assert (
        "Set stiffness" in tissues and "an input, not a measurement" in tissues and "Shear modulus ratio" not in tissues
    )
    assert "with the model “other”" in next(text for text in tables if "Estimate of λ and μ" in text)
    assert EVIL not in html


# --- batch.csv --------------------------------------------------------------------------------------------------------


def test_the_table_of_a_batch_has_both_quantities_apart_and_no_unsupported_number(tmp_path, monkeypatch):
    pair = a_pair()
    result, estimate = shifted(pair), an_estimate(pair)
    monkeypatch.setattr(
        batch_command,
        "register_files",
        lambda request, report: _written(
            request, Registered(result, estimate, summarize_estimate(estimate, pair, result, a_stiffness(pair)))
        ),
    )
    (tmp_path / "pairs.csv").write_text("subject,fixed,moving,segmentation\nanna,a,b,c\n")
    assert main(["batch", str(tmp_path / "pairs.csv"), "--estimate", "grid", "--output", str(tmp_path / "out")]) == 0
    with open(tmp_path / "out" / "batch.csv", newline="", encoding="utf-8") as stream:
        told, silent = csv.DictReader(stream)
    names = (
        "young_relative_used",
        "shear_modulus_ratio",
        "shear_modulus_ratio_low",
        "shear_modulus_ratio_high",
        "shear_modulus_ratio_supported",
    )
    assert [told[name] for name in names] == ["1.7", "1.75", "0.875", "3.5", "True"]
    assert [silent[name] for name in names] == ["1.7", "", "", "", "False"]
    assert (silent["held_out"], silent["estimated"], silent["score"]) == ("True", "False", "")
    assert (told["estimated"], told["flat"], told["confidence"]) == ("True", "True", "0.111111")


def _written(request: argparse.Namespace, registered: Registered) -> Registered:
    batch_command.Path(request.output).mkdir(parents=True)
    return registered
