"""An estimate's landscape as table and chart: every score, the right profile for each tissue, nodes used again."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import slicer
from host.scene_builders import add_segmentation, add_volume, node_ids, smooth_array

from TissueElasticRegistrationLib.core.data.tissues import Lame, Tissue, TissueParameters
from TissueElasticRegistrationLib.core.estimation.estimate_result import Estimate, TissueEstimate
from TissueElasticRegistrationLib.core.estimation.landscape import Landscape
from TissueElasticRegistrationLib.scene.write.estimate_nodes import UNKNOWN_COLOR, write_landscape

LAM, MU = np.array([0.02, 0.2, 2.0, 20.0]), np.array([0.05, 0.5, 5.0])
LUNG, BONE, HEART = (Tissue(label, name, f"id_{name}") for label, name in enumerate(("lung", "bone", "heart"), start=1))


def estimate(tissues=(LUNG, BONE), seed: int = 0) -> Estimate:
    """What a search leaves: scores (tissue, λ, μ) without any symmetry, more λ than μ."""
    scores = np.random.default_rng(seed).random((len(tissues), len(LAM), len(MU)))
    rows = tuple(TissueEstimate(tissue, Lame(1, 1), 0.9, 0.8, False, True, (0, 0)) for tissue in tissues)
    return Estimate("grid", Landscape(LAM, MU, scores), rows, TissueParameters(), True, 1.0)


def add_colors(scene):
    """The segmentation the tissues come from."""
    masks = {name: np.ones((4, 5, 6), bool) for name in ("lung", "bone", "heart")}
    return add_segmentation(scene, "organs", masks, np.eye(4))


def add_owner(scene):
    return scene.AddNewNodeByClass("vtkMRMLTransformNode", "result")


def series_of(chart) -> dict:
    nodes = [chart.GetNthPlotSeriesNode(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]
    return {node.GetName(): node for node in nodes}


def curve(series) -> tuple[np.ndarray, np.ndarray]:
    """x and y as the plot view reads them."""
    return tuple(
        slicer.util.arrayFromTableColumn(series.GetTableNode(), name)
        for name in (series.GetXColumnName(), series.GetYColumnName())
    )


def test_table_has_a_row_for_each_tissue_and_pair_of_weights(mrml_scene):
    found = estimate()
    table = write_landscape(found, None, add_owner(mrml_scene)).table
    columns = [slicer.util.arrayFromTableColumn(table, name) for name in ("Lambda", "Mu", "Score")]
    assert [table.GetColumnName(n) for n in range(5)] == ["Tissue", "Segment ID", "Lambda", "Mu", "Score"]
    assert table.GetNumberOfRows() == 2 * len(LAM) * len(MU)
    row = len(LAM) * len(MU) + 2 * len(MU) + 1  # bone, third λ, second μ
    assert (table.GetCellText(row, 0), table.GetCellText(row, 1)) == ("bone", "id_bone")
    assert [column[row] for column in columns] == [LAM[2], MU[1], found.landscape.scores[1, 2, 1]]


def test_solid_series_is_the_best_over_mu_and_dashed_the_best_over_lambda(mrml_scene):
    found = estimate()
    series = series_of(write_landscape(found, None, add_owner(mrml_scene)).chart)
    assert list(series) == ["lung λ", "lung μ", "bone λ", "bone μ"]
    for number, name in enumerate(("lung", "bone")):
        lam, best = curve(series[f"{name} λ"])
        assert np.array_equal(lam, LAM)
        assert np.array_equal(best, [max(found.landscape.scores[number, i]) for i in range(len(LAM))])
        mu, best = curve(series[f"{name} μ"])
        assert np.array_equal(mu[: len(MU)], MU)
        assert np.array_equal(best[: len(MU)], [max(found.landscape.scores[number, :, j]) for j in range(len(MU))])
        node = series[f"{name} λ"]
        assert node.GetLineStyle() == node.LineStyleSolid
        assert series[f"{name} μ"].GetLineStyle() == node.LineStyleDash


def test_shorter_axis_ends_with_its_last_point(mrml_scene):
    """Rows of a table are equally many: what is filled up must not draw a line elsewhere."""
    series = series_of(write_landscape(estimate(), None, add_owner(mrml_scene)).chart)
    mu, best = curve(series["lung μ"])
    assert mu[-1] == MU[-1] and best[-1] == best[len(MU) - 1]


def test_series_have_the_colors_of_their_segments(mrml_scene):
    organs = add_colors(mrml_scene)
    organs.GetSegmentation().GetSegment("id_bone").SetColor(0.9, 0.8, 0.6)
    organs.GetSegmentation().RemoveSegment("id_lung")
    series = series_of(write_landscape(estimate(), organs, add_owner(mrml_scene)).chart)
    assert series["bone λ"].GetColor() == series["bone μ"].GetColor() == pytest.approx((0.9, 0.8, 0.6))
    assert series["lung λ"].GetColor() == pytest.approx(UNKNOWN_COLOR)


def test_weights_are_on_a_logarithmic_axis_and_the_score_is_named(mrml_scene):
    chart = write_landscape(estimate(), None, add_owner(mrml_scene)).chart
    assert chart.GetXAxisLogScale() and not chart.GetYAxisLogScale()
    assert chart.GetYAxisTitle() == "class-wise Dice" and "weight" in chart.GetXAxisTitle()


def test_segments_of_the_same_name_keep_their_own_scores(mrml_scene):
    found = estimate([LUNG, dataclasses.replace(BONE, name="lung")])
    chart = write_landscape(found, None, add_owner(mrml_scene)).chart
    nodes = [chart.GetNthPlotSeriesNode(n) for n in (0, 2)]
    assert [curve(node)[1][0] for node in nodes] == found.landscape.scores[:, 0].max(1).tolist()


def test_scores_not_computed_yet_are_left_out(mrml_scene):
    found = estimate()
    found.landscape.scores[0, 1, 2] = np.nan
    found.landscape.scores[1, 2] = np.nan
    nodes = write_landscape(found, None, add_owner(mrml_scene))
    assert nodes.table.GetNumberOfRows() == 2 * len(LAM) * len(MU) - 1 - len(MU)
    series = series_of(nodes.chart)
    assert curve(series["lung λ"])[1][1] == found.landscape.scores[0, 1, :2].max()
    assert np.isnan(curve(series["bone λ"])[1]).tolist() == [False, False, True, False]


def test_second_run_uses_the_same_nodes(mrml_scene):
    owner = add_owner(mrml_scene)
    first = write_landscape(estimate(), None, owner)
    before, found = node_ids(mrml_scene), estimate(seed=7)
    assert write_landscape(found, None, owner) == first
    assert node_ids(mrml_scene) == before
    assert slicer.util.arrayFromTableColumn(first.table, "Score")[1] == found.landscape.scores[0, 0, 1]
    assert curve(series_of(first.chart)["lung λ"])[1][0] == found.landscape.scores[0, 0].max()


def test_second_run_keeps_what_the_user_changed_in_the_chart(mrml_scene):
    owner = add_owner(mrml_scene)
    chart = write_landscape(estimate(), None, owner).chart
    chart.SetTitle("mine")
    chart.SetXAxisLogScale(False)
    write_landscape(estimate(seed=7), None, owner)
    assert chart.GetTitle() == "mine" and not chart.GetXAxisLogScale()


@pytest.mark.parametrize("tissues", [[BONE], [HEART, LUNG, BONE]])
def test_other_tissues_leave_no_series_behind(mrml_scene, tissues):
    owner = add_owner(mrml_scene)
    write_landscape(estimate(), None, owner)
    found = estimate(tissues, seed=7)
    series = series_of(write_landscape(found, None, owner).chart)
    assert [series[f"{t.name} λ"].GetYColumnName() for t in tissues] == [f"{t.id} Lambda" for t in tissues]
    assert mrml_scene.GetNumberOfNodesByClass("vtkMRMLPlotSeriesNode") == len(series) == 2 * len(tissues)
    assert curve(series["bone μ"])[1][0] == found.landscape.scores[-1, :, 0].max()


@pytest.mark.parametrize("deleted", ["table", "profiles", "chart"])
def test_only_a_deleted_node_is_made_again(mrml_scene, deleted):
    owner = add_owner(mrml_scene)
    first = write_landscape(estimate(), None, owner)
    count = len(node_ids(mrml_scene))
    mrml_scene.RemoveNode(getattr(first, deleted))
    second = write_landscape(estimate(seed=7), None, owner)
    assert len(node_ids(mrml_scene)) == count
    assert [a is b for a, b in zip(first, second, strict=True)] == [field != deleted for field in first._fields]
    assert len(series_of(second.chart)) == 4 and curve(series_of(second.chart)["bone λ"])[0][0] == LAM[0]


def test_lines_stay_solid_for_lambda_when_a_series_was_deleted(mrml_scene):
    owner = add_owner(mrml_scene)
    mrml_scene.RemoveNode(series_of(write_landscape(estimate(), None, owner).chart)["lung λ"])
    series = series_of(write_landscape(estimate(), None, owner).chart)
    styles = {
        name[-1]: {node.GetLineStyle() for node in series.values() if node.GetName()[-1] == name[-1]} for name in series
    }
    assert len(series) == 4 and styles == {
        "λ": {slicer.vtkMRMLPlotSeriesNode.LineStyleSolid},
        "μ": {slicer.vtkMRMLPlotSeriesNode.LineStyleDash},
    }


def test_landscapes_of_two_owners_are_apart(mrml_scene):
    first = write_landscape(estimate(), None, add_owner(mrml_scene))
    second = write_landscape(estimate(seed=7), None, add_owner(mrml_scene))
    assert not set(first) & set(second)
    assert len({node.GetName() for node in (*first[:2], *second[:2])}) == 4


def test_after_loading_the_scene_the_same_nodes_are_used(mrml_host, mrml_scene, tmp_path):
    found = estimate()
    write_landscape(found, None, add_owner(mrml_scene))
    mrml_host.save(tmp_path / "scene.mrb")
    mrml_host.load(tmp_path / "scene.mrb")
    owner, before = mrml_scene.GetFirstNodeByName("result"), node_ids(mrml_scene)
    chart = mrml_scene.GetFirstNodeByClass("vtkMRMLPlotChartNode")
    np.testing.assert_allclose(curve(series_of(chart)["bone λ"])[1], found.landscape.scores[1].max(1), rtol=1e-6)
    write_landscape(estimate(seed=7), None, owner)
    assert node_ids(mrml_scene) == before


def test_nodes_lie_beside_the_given_node_in_the_subject_hierarchy(mrml_scene):
    """A parameter node, as owner, is not in the subject hierarchy."""
    owner = mrml_scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "parameters")
    fixed = add_volume(mrml_scene, "exhale", smooth_array((4, 5, 6), 1))
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(mrml_scene)
    folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "patient")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(fixed), folder)
    for node in write_landscape(estimate(), None, owner, beside=fixed):
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == folder


def test_tissues_without_any_score_are_left_out(mrml_scene):
    """Those that are not estimated: unsegmented tissue, background, tissues of one segmentation only."""
    found = estimate((LUNG, HEART, BONE))
    found.landscape.scores[1] = np.nan
    nodes = write_landscape(found, None, add_owner(mrml_scene))
    assert list(series_of(nodes.chart)) == ["lung λ", "lung μ", "bone λ", "bone μ"]
    assert {nodes.table.GetCellText(row, 0) for row in range(nodes.table.GetNumberOfRows())} == {"lung", "bone"}
    assert curve(series_of(nodes.chart)["bone λ"])[1][0] == found.landscape.scores[2, 0].max()


def test_landscape_without_any_score_yet_is_empty_and_fills_later(mrml_scene):
    owner, found = add_owner(mrml_scene), estimate()
    found.landscape.scores[:] = np.nan
    empty = write_landscape(found, None, owner)
    assert empty.table.GetNumberOfRows() == empty.chart.GetNumberOfPlotSeriesNodes() == 0
    assert len(series_of(write_landscape(estimate(), None, owner).chart)) == 4
    assert empty.table.GetCellText(0, 0) == "lung"
