"""The panel's table of what a registration has measured."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.data.images import Image
from TissueElasticRegistrationLib.core.data.result import (
    LandmarkErrors,
    ObjectiveValues,
    RegistrationResult,
    TissueResult,
)
from TissueElasticRegistrationLib.core.data.tissues import Lame, Tissue
from TissueElasticRegistrationLib.core.reporting.verdict import Finding, tissue_findings

LIVER = TissueResult(Tissue(1, "liver"), Lame(1, 2), 1.7, 0.012, 0.0512, 0.0, 0.8, 0.9125, 5.25, 3.5)
RIBS = TissueResult(Tissue(2, "ribs"), Lame(30, 30), 30.0, 0.5, 0.002, 0.0)  # not in the moving segmentation
SHAPE = (2, 5, 4)


def a_result(*tissues: TissueResult, **changes) -> RegistrationResult:
    geometry = Geometry(SHAPE, np.diag([1.5, 2.0, 5.0, 1.0]))
    values = dict(
        displacement_ras_mm=np.zeros((*SHAPE, 3), np.float32),
        geometry=geometry,
        jacobian_kji=np.ones(SHAPE),
        warped=Image(np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE), geometry, "warped"),
        valid_kji=np.ones(SHAPE, bool),
        warped_segmentation=None,
        initial="none",
        tissues=tissues,
        similarity_before=0.4125,
        similarity_after=0.6311,
        negative_jacobian_percent=0.25,
        landmark_errors=LandmarkErrors(3.4, 1.25, 8.0, 4.5, 30),
        objective_values=ObjectiveValues(1, 0.5, 0.4125, 0.6311, 0.1, 0.97, 10),
        seconds={},
    )
    return RegistrationResult(**{**values, **changes})


@pytest.fixture
def quality(fresh_host):
    import qt

    from TissueElasticRegistrationLib.panel.sections.quality_table import QualityTable

    table, notes = qt.QTableWidget(), qt.QLabel()
    return QualityTable(table, notes), table, notes


def row_texts(table, row):
    items = [table.item(row, column) for column in range(table.columnCount)]
    return [None if item is None else item.text() for item in items]


# --- the rules, without Qt ------------------------------------------------------------------------------------------


def test_tissue_without_fault_has_no_findings():
    assert tissue_findings(LIVER) == [] and tissue_findings(RIBS) == []


@pytest.mark.parametrize(("share", "level"), [(0.1, "caution"), (0.5, "problem"), (3.0, "problem")])
def test_folding_tissue_is_found_by_the_limits_of_the_report(share, level):
    found = tissue_findings(replace(LIVER, negative_jacobian_percent=share))
    assert [(finding.level, finding.topic) for finding in found] == [(level, "Folding")]
    assert f"{share:g} %" in found[0].sentence


def test_less_overlap_is_a_problem_unless_it_is_noise():
    assert tissue_findings(replace(LIVER, dice_after=0.796)) == []
    worse = tissue_findings(replace(LIVER, dice_after=0.79))
    assert [(finding.level, finding.topic) for finding in worse] == [("problem", "Overlap")]


def test_what_was_not_measured_is_no_fault():
    assert tissue_findings(replace(LIVER, negative_jacobian_percent=math.nan, dice_after=math.nan)) == []


# --- the table ------------------------------------------------------------------------------------------------------


def test_row_of_a_tissue_shows_before_and_after(quality):
    show, table, _ = quality
    show.show(a_result(LIVER))
    assert row_texts(table, 0) == ["liver", "", "0.800 → 0.912", "5.25 → 3.50", "0", "0.051"]


def test_what_was_not_measured_is_a_dash_that_says_so(quality):
    show, table, _ = quality
    show.show(a_result(RIBS))
    assert row_texts(table, 0)[:4] == ["ribs", "", "–", "–"]
    assert table.item(0, 2).toolTip() == "Not measured"


def test_faults_are_named_in_words_with_the_sentence_as_tool_tip(quality):
    show, table, _ = quality
    show.show(a_result(replace(LIVER, negative_jacobian_percent=0.2, dice_after=0.5)))
    remarks = table.item(0, 1)
    assert remarks.text() == "Check: folding, Problem: overlap"
    assert "0.2 %" in remarks.toolTip() and "from 0.800 to 0.500" in remarks.toolTip()


def test_rows_of_the_whole_image_come_last(quality):
    show, table, _ = quality
    show.show(a_result(LIVER, RIBS))
    assert [row_texts(table, row)[0] for row in range(table.rowCount)] == [
        "liver",
        "ribs",
        "Whole image",
        "Similarity",
        "Landmarks",
    ]
    assert row_texts(table, 2)[4] == "0.25"
    assert row_texts(table, 3)[1] == "0.412 → 0.631"
    assert row_texts(table, 4)[1] == "3.40 → 1.25 mm (n = 30)"
    assert "8.00 → 4.50 mm" in table.item(4, 1).toolTip()
    assert table.columnSpan(4, 1) == table.columnCount - 1


def test_without_landmarks_there_is_no_row_for_them(quality):
    show, table, _ = quality
    show.show(a_result(LIVER, landmark_errors=None))
    assert table.rowCount == 3


def test_every_column_has_a_tool_tip(quality):
    _, table, _ = quality
    tips = [table.horizontalHeaderItem(column).toolTip() for column in range(table.columnCount)]
    assert all(tips) and "mm" in tips[3] and "percent" in tips[4] and "without unit" in tips[5]


def test_table_cannot_be_edited(quality):
    import qt

    show, table, _ = quality
    show.show(a_result(LIVER))
    assert table.editTriggers == qt.QAbstractItemView.NoEditTriggers


def test_next_result_replaces_the_last_one(quality):
    show, table, notes = quality
    show.show(a_result(LIVER, RIBS, warnings=("Look out.",)))
    show.show(a_result(RIBS))
    assert table.rowCount == 4 and row_texts(table, 0)[0] == "ribs" and row_texts(table, 0)[5] == "0.002"
    assert notes.text == ""
    assert table.columnSpan(3, 1) == table.columnCount - 1 and table.columnSpan(1, 1) == 1
    show.clear()
    assert table.rowCount == 0 and table.columnCount == 6


def test_warnings_of_the_result_are_shown_as_text(quality):
    import qt

    show, _, notes = quality
    show.show(a_result(LIVER, warnings=("First warning.", "Second <b>warning</b>.")))
    assert notes.text == "First warning.\nSecond <b>warning</b>."
    assert notes.textFormat == qt.Qt.PlainText


def test_findings_are_shown_with_their_verdict_instead(quality):
    show, _, notes = quality
    show.show(
        a_result(LIVER, warnings=("Look out.",)),
        [
            Finding("fine", "Similarity", "All is similar."),
            Finding("caution", "Warning", "Look out."),
            Finding("problem", "Folding", "It folds."),
            Finding("unmeasured", "Overlap", "No overlap."),
        ],
    )
    verdict, *sentences = notes.text.split("\n")
    assert verdict.startswith("Problem: folding. Check: warning. Not measured: overlap.")
    assert sentences == ["Look out.", "It folds."]


def test_copy_puts_tab_separated_text_on_the_clipboard(quality):
    import slicer

    show, _, _ = quality
    show.show(a_result(LIVER, warnings=("Look out.",)))
    show.copy()
    lines = slicer.app.clipboard().text().split("\n")
    assert lines[0].split("\t") == ["Tissue", "Remarks", "Dice", "HD95 mm", "Folding %", "Strain"]
    assert lines[1].split("\t") == ["liver", "", "0.800 → 0.912", "5.25 → 3.50", "0", "0.051"]
    assert lines[2].split("\t") == ["Whole image", "", "", "", "0.25"]
    assert lines[-2:] == ["Look out.", ""]


def test_tissues_the_estimate_did_not_use_are_marked(quality):
    show, table, _ = quality
    kept = {"n": 3, "before_mean": 3.0, "after_mean": 1.0, "before_max": 4.0, "after_max": 2.0}
    account = {"objective": "landmarks", "held_out": {"tissues": [RIBS.tissue.id], "tre_mm": kept}}
    show.show(a_result(LIVER, replace(RIBS, negative_jacobian_percent=3.0)), (), account)
    assert not table.isColumnHidden(1)
    assert [table.item(row, 1).text() for row in range(2)] == ["", "Problem: folding, held out"]
    assert "independent evidence" in table.item(1, 1).toolTip()
    assert row_texts(table, 5)[:2] == ["Held-out landmarks", "3.00 → 1.00 mm (n = 3)"]
    show.show(a_result(LIVER, RIBS))
    assert table.isColumnHidden(1) and table.rowCount == 5


def test_remarks_have_the_room_they_need(quality):
    show, table, _ = quality
    show.show(a_result(LIVER, RIBS))
    account = {"objective": "dice", "held_out": {"tissues": [RIBS.tissue.id], "tre_mm": None}}
    show.show(a_result(LIVER, RIBS), (), account)
    assert table.columnWidth(1) > table.fontMetrics().horizontalAdvance(table.item(1, 1).text())


def test_works_without_a_label_for_notes(fresh_host):
    import qt

    from TissueElasticRegistrationLib.panel.sections.quality_table import QualityTable

    table = qt.QTableWidget()
    shown = QualityTable(table)
    shown.show(a_result(LIVER, warnings=("Look out.",)))
    assert table.rowCount == 4 and "Look out." not in shown.text()


def test_long_lines_of_the_whole_image_do_not_widen_a_column(quality):
    show, table, _ = quality
    show.show(a_result(LIVER, landmark_errors=None))
    narrow = table.columnWidth(1)
    show.show(a_result(LIVER))
    assert table.columnWidth(1) == narrow


def test_columns_are_as_wide_as_their_texts(quality):
    show, table, _ = quality
    show.show(a_result(LIVER, landmark_errors=None))
    for column in (2, 3):
        assert table.columnWidth(column) > table.fontMetrics().horizontalAdvance(table.item(0, column).text())
    assert table.columnWidth(4) < table.columnWidth(2)
