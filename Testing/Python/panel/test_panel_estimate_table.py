"""The table of estimates in the panel: what it says of every tissue, and one tissue's values taken or put back."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import slicer.util
from host.mouse import click, drag, type_value
from panel_case import PanelCase
from panel_estimate import (
    BONE,
    HEADINGS,
    LIVER,
    LUNG,
    SOFT,
    START,
    TISSUES,
    Searches,
    cell,
    estimate,
    is_partial,
    latest,
    make_ready,
    row_of,
    stored,
    take_button,
)
from panel_faults import library

from TissueElasticRegistrationLib.core.data.tissues import Lame, Tissue, TissueParameters
from TissueElasticRegistrationLib.core.estimation.estimate_result import Estimate, TissueEstimate
from TissueElasticRegistrationLib.core.estimation.landscape import Landscape
from TissueElasticRegistrationLib.core.stiffness.shear_modulus_ratio import ShearModulusRatios, TissueModulusRatio
from TissueElasticRegistrationLib.panel.widgets.number_texts import weight_text

pytestmark = pytest.mark.usefixtures("quick_panel")
STIFFNESS = "Shear\nmodulus\nratio"


def per_tissue_taken(task, per_tissue):
    yield from ()
    return per_tissue, []


@pytest.fixture
def ready(panel, monkeypatch):
    """Every tissue takes what it chose for itself: start values that were kept would leave nothing to put back."""
    monkeypatch.setattr(library("core.estimation.grid_search"), "select_candidate", per_tissue_taken)
    return make_ready(panel)


def visible_headings(panel: PanelCase) -> list[str]:
    table = panel.ui.estimateTable
    return [text for number, text in enumerate(HEADINGS) if not table.isColumnHidden(number)]


def pixels(widget) -> np.ndarray:
    """(height, width, 3) of what a widget shows."""
    import qt

    image = widget.grab().toImage().convertToFormat(qt.QImage.Format_RGB32)
    return np.array(image.bits()).reshape(image.height(), -1, 4)[:, : image.width(), 2::-1]


# --- What it says ---------------------------------------------------------------------------------------------------


def test_before_an_estimate_there_are_only_the_tissues_in_their_colors(ready):
    table = ready.ui.estimateTable
    assert visible_headings(ready) == ["Tissue"]
    assert table.horizontalHeaderItem(0).text() == "Used for the estimate"
    shown = [table.item(row, 0).text() for row in range(table.rowCount) if not table.isRowHidden(row)]
    assert shown == ["lung", "bone", "liver", "soft"]
    picture = pixels(table.viewport())
    for segment_id in TISSUES:
        place = table.visualItemRect(table.item(row_of(ready, segment_id), 0))
        line = picture[place.center().y(), : place.right()]
        color = ready.nodes.segmentation.GetDisplayNode().GetSegmentColor(segment_id)
        distance = np.abs(line.astype(float) - 255 * np.array(tuple(color)[:3])).max(-1)
        assert (distance < 2).sum() > 5, segment_id


def test_the_table_tells_what_the_estimate_says(ready):
    estimate(ready)
    found = latest(ready)
    assert visible_headings(ready) == [heading for heading in HEADINGS if heading != STIFFNESS]
    for row in found.per_tissue:
        if not row.is_estimated:
            continue
        texts = {heading: cell(ready, row.tissue.id, heading).text() for heading in ("λ", "μ", "ν", "Confidence")}
        assert float(texts["λ"]) == pytest.approx(row.lame.lam, rel=0.01)
        assert float(texts["μ"]) == pytest.approx(row.lame.mu, rel=0.01)
        assert float(texts["ν"]) == pytest.approx(row.lame.poisson_ratio, abs=0.005)
        assert (texts["Confidence"] == "flat") == row.insensitive


def test_headings_say_that_it_is_no_elastography(ready):
    heading = ready.ui.estimateTable.horizontalHeaderItem(HEADINGS.index(STIFFNESS))
    assert "not elastography" in heading.toolTip() and "ratios" in heading.toolTip()
    assert "not elastography" in ready.ui.estimateNoteLabel.text


def test_the_table_grows_with_the_search(ready, monkeypatch):
    search = Searches(monkeypatch, is_partial)
    click(ready.ui.estimatePushButton)
    ready.wait(lambda: cell(ready, LIVER, "λ") is not None)
    assert visible_headings(ready) == ["Tissue", "λ", "μ", "ν", "Confidence"]
    assert not slicer.util.findChildren(ready.ui.estimateTable, f"estimateTake_{LIVER}")
    assert cell(ready, LIVER, "μ").text() == "0.02", "the only place that is known"
    search.go_on_to_the_end()
    ready.rest()
    assert cell(ready, LIVER, "μ").text() == weight_text(latest(ready).values()[LIVER].mu)


# --- One tissue -----------------------------------------------------------------------------------------------------


def test_one_tissue_is_put_back_and_taken_again(ready):
    type_value(ready.tissue(LIVER, "muBox"), "3.3")
    ready.rest()
    estimate(ready)
    found = stored(ready)
    click(take_button(ready, LIVER))
    ready.rest()
    assert stored(ready)[1] == found[1] | {LIVER: 3.3}
    assert [take_button(ready, key).text for key in (LIVER, LUNG)] == ["Use", "Revert"]
    click(take_button(ready, LIVER))
    ready.rest()
    assert stored(ready) == found
    assert take_button(ready, LIVER).text == "Revert"


def test_a_tissue_that_keeps_its_values_has_nothing_to_put_back(ready):
    estimate(ready)
    found = latest(ready).values()[SOFT]
    click(ready.ui.undoEstimateButton)
    ready.rest()
    for kind, weight in (("lambdaBox", found.lam), ("muBox", found.mu)):
        type_value(ready.tissue(SOFT, kind), f"{weight:.4g}")
    ready.rest()
    estimate(ready)
    assert latest(ready).values()[SOFT] == found
    assert not slicer.util.findChildren(ready.ui.estimateTable, f"estimateTake_{SOFT}")
    assert take_button(ready, LUNG).text == "Revert"


def test_a_tissue_that_had_its_start_value_gets_that_back(ready):
    estimate(ready)
    click(take_button(ready, BONE))
    ready.rest()
    assert BONE not in stored(ready)[0] and BONE not in stored(ready)[1]
    assert ready.tissue(BONE, "muBox").text == "30"


def test_putting_back_counts_what_the_sliders_for_all_tissues_did(ready):
    drag(ready.ui.allMuSlider, 0.6)
    ready.rest()
    before = ready.request.values[LIVER]
    estimate(ready)
    click(take_button(ready, LIVER))
    ready.rest()
    after = ready.request.values[LIVER]
    assert (after.lam, after.mu) == pytest.approx((before.lam, before.mu))


def test_a_moved_slider_can_be_set_to_the_estimate_again(ready):
    estimate(ready)
    found = stored(ready)
    type_value(ready.tissue(SOFT, "lambdaBox"), "7")
    ready.rest()
    assert take_button(ready, SOFT).text == "Use"
    click(take_button(ready, SOFT))
    ready.rest()
    assert stored(ready) == found


def test_after_undo_one_tissue_can_be_taken_alone(ready):
    estimate(ready)
    found = stored(ready)
    click(ready.ui.undoEstimateButton)
    ready.rest()
    changed = [key for key in TISSUES if (found[0][key], found[1][key]) != (START[key], START[key])]
    assert len(changed) > 1 and {take_button(ready, key).text for key in changed} == {"Use"}
    click(take_button(ready, LUNG))
    ready.rest()
    assert stored(ready) == ({LUNG: found[0][LUNG]}, {LUNG: found[1][LUNG]})
    assert ready.ui.undoEstimateButton.visible


def test_a_renamed_segment_keeps_its_estimate(ready):
    estimate(ready)
    text = cell(ready, LIVER, "λ").text()
    ready.nodes.segmentation.GetSegmentation().GetSegment(LIVER).SetName("Leber")
    ready.wait(lambda: ready.ui.estimateTable.item(row_of(ready, LIVER), 0).text() == "Leber")
    assert cell(ready, LIVER, "λ").text() == text


# --- The widget alone -----------------------------------------------------------------------------------------------


class Table:
    """The table in a window of its own, with three tissues."""

    def __init__(self):
        import qt

        from TissueElasticRegistrationLib.panel.sections.estimate_table_widget import EstimateTable
        from TissueElasticRegistrationLib.scene.write.tissue_nodes import SegmentInfo

        self.widget = qt.QTableWidget()
        self.calls = []
        note = self.calls.append
        self.table = EstimateTable(
            self.widget, lambda *what: note(("held out", *what)), lambda *what: note(("taken", *what))
        )
        self.names = ("lung", "ribs", "soft")
        self.table.set_tissues([SegmentInfo(f"id_{name}", name, (0.1, 0.5, 0.9)) for name in self.names])
        self.widget.resize(320, 300)
        self.widget.show()

    def show(self, has_lambda=True, **changes):
        from TissueElasticRegistrationLib.scene.write.estimate_rows import estimate_rows

        found = estimate_rows(made_up(self.names, **changes))
        self.table.show(found, has_lambda, [f"id_{name}" for name in self.names])

    def text(self, row: int, heading: str) -> str:
        return self.widget.item(row, HEADINGS.index(heading)).text()

    def tip(self, row: int, heading: str) -> str:
        return self.widget.item(row, HEADINGS.index(heading)).toolTip()


def made_up(names, **changes) -> Estimate:
    """An estimate of these tissues; ``changes`` of their rows."""
    tissues = [Tissue(label, name, f"id_{name}") for label, name in enumerate(names, start=1)]
    rows = tuple(
        dataclasses.replace(TissueEstimate(tissue, Lame(2.0, 0.25), 0.9, 0.8, False, True, (1, 1)), **changes)
        for tissue in tissues
    )
    scores = np.tile(np.array([[0.5, 0.6], [0.7, 0.9]]), (len(names), 1, 1))
    weights = np.array([0.02, 2.0])
    return Estimate(
        "grid",
        Landscape(weights, weights, scores),
        rows,
        TissueParameters(),
        True,
        1.0,
    )


def some_ratios(names) -> ShearModulusRatios:
    """The second one is not supported, the last one is the reference."""
    tissues = [Tissue(label, name, f"id_{name}") for label, name in enumerate(names, start=1)]
    values = [(0.41, 0.18, 0.93, ""), (2.5, 0.6, np.inf, "It deforms too little."), (1.0, 1.0, 1.0, "")]
    per_tissue = tuple(
        TissueModulusRatio(tissue, mu, low, high, not reason, 0.0, 2.0, reason)
        for tissue, (mu, low, high, reason) in zip(tissues, values, strict=True)
    )
    return ShearModulusRatios(per_tissue, tissues[-1], 2.0)


@pytest.fixture
def table(fresh_host):
    return Table()


def test_shear_modulus_ratio_is_told_only_where_it_is_supported(table):
    table.table.show_ratios(some_ratios(table.names))
    assert [table.text(row, STIFFNESS) for row in range(3)] == ["0.4 (0.2–0.9)", "–", "1 (reference)"]
    assert table.tip(1, STIFFNESS) == "It deforms too little."
    assert "0.4 times as stiff as soft" in table.tip(0, STIFFNESS)


def test_ratios_and_an_estimate_stand_beside_each_other_whichever_comes_first(table):
    def shown() -> list[str]:
        return [text for number, text in enumerate(HEADINGS) if not table.widget.isColumnHidden(number)]

    table.table.show_ratios(some_ratios(table.names))
    assert shown() == ["Tissue", STIFFNESS]
    table.show()
    assert shown() == list(HEADINGS) and table.text(0, STIFFNESS) == "0.4 (0.2–0.9)"
    table.table.clear()
    table.show()
    assert STIFFNESS not in shown()
    table.table.show_ratios(some_ratios(table.names))
    assert shown() == list(HEADINGS) and table.text(0, "λ") == weight_text(2.0)


def test_confidence_is_the_share_of_values_that_are_worse(table):
    table.show()
    assert table.text(0, "Confidence") == "75 %"
    table.show(insensitive=True)
    assert table.text(0, "Confidence") == "flat" and "lung" in table.tip(0, "Confidence")


def test_without_lambda_there_is_neither_lambda_nor_poisson_ratio(table):
    table.show(has_lambda=False)
    hidden = [table.widget.isColumnHidden(HEADINGS.index(heading)) for heading in ("λ", "μ", "ν")]
    assert hidden == [True, False, True]


def test_writing_the_table_tells_nobody(table):
    table.show()
    table.table.show_switches(held_out={"id_ribs"}, taken={"id_lung"})
    assert table.calls == []
    assert table.widget.item(1, 0).checkState() == 0


def test_many_tissues_do_not_make_the_panel_endless(fresh_host):
    from TissueElasticRegistrationLib.panel.widgets.table_widgets import MAX_ROWS
    from TissueElasticRegistrationLib.scene.write.tissue_nodes import SegmentInfo

    table = Table()
    table.table.set_tissues([SegmentInfo(str(number), f"tissue {number}", (1, 0, 0)) for number in range(100)])
    assert table.widget.height < (MAX_ROWS + 4) * table.widget.rowHeight(0)
