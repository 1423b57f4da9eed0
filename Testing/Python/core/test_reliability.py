"""What speaks against relying on a result, and that it is said wherever the result is told of."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report_case import a_pair, a_result

from TissueElasticRegistrationLib.core.data.result import LandmarkErrors, ObjectiveValues
from TissueElasticRegistrationLib.core.evaluation.reliability import reasons_against
from TissueElasticRegistrationLib.core.files.result_file import result_json
from TissueElasticRegistrationLib.core.reporting.report import report_html
from TissueElasticRegistrationLib.core.reporting.verdict import findings, verdict

GOOD = {
    "values": ObjectiveValues(-0.3, -0.55, 0.3, 0.6, 0.05, 0.97, 120),
    "covered_share": 0.9,
    "strain_rms": 0.1,
    "tissues": (),
    "landmark_errors": LandmarkErrors(3.4, 1.1, 6.0, 2.5, 20),
}
BAD = {
    "alignment is uncertain": {"alignment_is_uncertain": True},
    "hardly match": {"values": replace(GOOD["values"], similarity_after=0.04)},
    "Only 10 % of the body": {"covered_share": 0.1},
    "moves 35 % of the common field of view": {"values": replace(GOOD["values"], kept_share=0.65)},
    "deformed by 31 % on average": {"strain_rms": 0.31},
    "landmark error increased (3.4 to 5.0 mm)": {"landmark_errors": LandmarkErrors(3.4, 5.0, 6.0, 9.0, 20)},
}


def test_nothing_speaks_against_an_ordinary_result():
    assert reasons_against(**GOOD) == ()
    assert reasons_against(**{**GOOD, "landmark_errors": None}) == ()


@pytest.mark.parametrize(("sentence", "changes"), BAD.items(), ids=BAD)
def test_each_sign_is_one_sentence(sentence, changes):
    reasons = reasons_against(**{**GOOD, **changes})
    assert len(reasons) == 1
    assert sentence in reasons[0]


@pytest.mark.parametrize(("after", "is_said"), [(0.80, False), (0.796, False), (0.794, True), (0.7, True)])
def test_overlap_that_falls_is_a_reason(after, is_said):
    row = replace(a_result(a_pair()).tissues[0], dice_before=0.8, dice_after=after)
    reasons = reasons_against(**{**GOOD, "tissues": (row,)})
    assert any("decreased (mean Dice 0.80 to" in reason for reason in reasons) == is_said


@pytest.mark.parametrize(("common", "is_said"), [(0.3, True), (0.5, False), (float("nan"), False)])
def test_overlap_that_is_poor_where_both_images_have_values_is_a_reason(common, is_said):
    """What lies outside of the other scan is no error of the registration."""
    row = replace(a_result(a_pair()).tissues[0], dice_before=0.1, dice_after=0.2, dice_common_after=common)
    reasons = reasons_against(**{**GOOD, "tissues": (row,)})
    assert any("within the common field of view (mean Dice 0.30)" in reason for reason in reasons) == is_said


def test_a_reason_is_in_the_file_the_report_and_the_verdict():
    pair = a_pair()
    result = a_result(pair, unreliable=("The images hardly match.",))
    assert result_json(result, {})["unreliable"] == ["The images hardly match."]
    assert "The images hardly match." in report_html(pair, result, {}, None)
    assert "Problem: reliability" in verdict(findings(pair, result, {}))
    assert "reliability" not in verdict(findings(pair, a_result(pair), {}))
