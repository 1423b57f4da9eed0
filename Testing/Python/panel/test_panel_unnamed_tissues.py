"""A segmentation whose names say nothing: the panel says so once, and leads through the presets of all tissues."""

from __future__ import annotations

import pytest
import slicer
from host.mouse import click, type_value
from host.qt_binding import QtCore, QtTest, QtWidgets
from panel_case import PanelCase, pause

from TissueElasticRegistrationLib.core.physics.tissue_presets import AIR, BONE, LUNG, NOTHING_UNDERSTOOD, SOFT

pytestmark = pytest.mark.usefixtures("quick_panel")


@pytest.fixture
def unnamed(panel):
    """As a label map is loaded: the panel with "Segment_1" and so on as names."""
    segmentation = panel.nodes.segmentation.GetSegmentation()
    for number in range(segmentation.GetNumberOfSegments()):
        segmentation.GetNthSegment(number).SetName(f"Segment_{number + 1}")
    panel.choose_inputs(number=3)
    return panel


def segment(panel: PanelCase, number: int) -> slicer.vtkSegment:
    return panel.nodes.segmentation.GetSegmentation().GetNthSegment(number)


def segment_ids(panel: PanelCase) -> list[str]:
    return list(panel.nodes.segmentation.GetSegmentation().GetSegmentIDs())


def says_so(panel: PanelCase) -> bool:
    label, button = panel.ui.unknownTissuesLabel, panel.ui.chooseTissuesButton
    assert label.visible == button.visible == bool(label.text)
    return label.visible


def menu_of(panel: PanelCase) -> QtWidgets.QMenu:
    return panel.preset_menu


def entries(panel: PanelCase) -> list[str]:
    return [action.text.split("\t")[0] for action in menu_of(panel).actions()]


def click_entry(panel: PanelCase, text: str) -> None:
    menu = menu_of(panel)
    pause(0.05)
    action = menu.actions()[entries(panel).index(text)]
    QtTest.QTest.mouseClick(menu, QtCore.Qt.LeftButton, QtCore.Qt.NoModifier, menu.actionGeometry(action).center())
    pause(0.05)


def stored(panel: PanelCase) -> dict[str, tuple[float, float]]:
    lam, mu = panel.stored_weights
    assert lam.keys() == mu.keys()
    return {key: (lam[key], mu[key]) for key in lam}


def test_panel_says_that_no_name_was_understood(unnamed):
    assert says_so(unnamed) and unnamed.ui.unknownTissuesLabel.text == NOTHING_UNDERSTOOD


def test_panel_says_nothing_about_names_that_it_understands(panel):
    panel.choose_inputs(number=3)
    assert not says_so(panel)


def test_panel_names_those_that_it_does_not_understand(unnamed):
    for number, name in ((0, "lung"), (2, "Left Femur")):
        segment(unnamed, number).SetName(name)
    pause(0.6)
    assert says_so(unnamed) and "soft tissue: 'Segment_2', 'Segment_4'; " in unnamed.ui.unknownTissuesLabel.text


def test_panel_says_nothing_when_the_last_name_is_understood(unnamed):
    for number, name in enumerate(("lung", "Leber", "Left Femur", "Muskel")):
        segment(unnamed, number).SetName(name)
    pause(0.6)
    assert not says_so(unnamed)


def test_name_of_an_empty_segment_does_not_count(unnamed):
    unnamed.nodes.segmentation.GetSegmentation().AddEmptySegment("id_extra", "bone")
    pause(0.6)
    assert says_so(unnamed)


def test_panel_says_nothing_without_a_segmentation(unnamed):
    unnamed.parameters.segmentation = None
    pause(0.1)
    assert not says_so(unnamed)


def test_values_in_the_parameter_node_count_as_chosen(unnamed):
    *some, last = segment_ids(unnamed)
    for key in some:
        unnamed.parameters.lambdaPositions[key] = unnamed.parameters.muPositions[key] = 0.5
    pause(0.1)
    assert says_so(unnamed)
    unnamed.parameters.muPositions[last] = 0.5
    pause(0.1)
    assert not says_so(unnamed)


def test_reset_brings_the_sentence_back(unnamed):
    for key in segment_ids(unnamed):
        type_value(unnamed.tissue(key, "muBox"), "2")
    pause(0.1)
    assert not says_so(unnamed)
    click(unnamed.ui.resetAllButton)
    pause(0.1)
    assert says_so(unnamed)


def test_button_offers_the_presets_of_one_tissue_after_the_other(unnamed):
    presets = {"Lung": LUNG, "Bone": BONE, "Soft tissue": SOFT, "Air": AIR}
    keys = segment_ids(unnamed)
    assert len(keys) == len(presets)
    click(unnamed.ui.chooseTissuesButton)
    for number, preset in enumerate(presets, start=1):
        assert says_so(unnamed)
        assert entries(unnamed)[0] == f"Segment_{number}", "the menu does not say which tissue it is about"
        click_entry(unnamed, preset)
    assert not menu_of(unnamed).isVisible()
    assert stored(unnamed) == {key: (w, w) for key, w in zip(keys, presets.values(), strict=True)}
    assert not says_so(unnamed)


def test_button_leaves_out_what_has_values(unnamed):
    first, second, *_ = segment_ids(unnamed)
    type_value(unnamed.tissue(first, "lambdaBox"), "3")
    pause(0.1)
    click(unnamed.ui.chooseTissuesButton)
    click_entry(unnamed, "Bone")
    assert stored(unnamed) == {first: (3.0, 1.0), second: (BONE, BONE)}
    menu_of(unnamed).close()


def test_name_of_the_tissue_in_the_menu_cannot_be_chosen(unnamed):
    click(unnamed.ui.chooseTissuesButton)
    click_entry(unnamed, "Segment_1")
    assert menu_of(unnamed).isVisible() and stored(unnamed) == {}
    menu_of(unnamed).close()


def test_escape_ends_it(unnamed):
    click(unnamed.ui.chooseTissuesButton)
    click_entry(unnamed, "Bone")
    QtTest.QTest.keyClick(menu_of(unnamed), QtCore.Qt.Key_Escape)
    pause(0.1)
    assert not menu_of(unnamed).isVisible()
    assert list(stored(unnamed)) == segment_ids(unnamed)[:1]
    assert says_so(unnamed)


def test_menu_of_a_row_is_about_that_row_only(unnamed):
    """Also after the button's walk was left."""
    click(unnamed.ui.chooseTissuesButton)
    QtTest.QTest.keyClick(menu_of(unnamed), QtCore.Qt.Key_Escape)
    last = segment_ids(unnamed)[-1]
    click(unnamed.tissue(last, "preset"))
    assert entries(unnamed)[0] == "Air"
    click_entry(unnamed, "Bone")
    assert not menu_of(unnamed).isVisible()
    assert stored(unnamed) == {last: (BONE, BONE)}


def test_row_is_scrolled_into_view_for_its_menu(unnamed):
    slicer.util.mainWindow().resize(700, 260)
    pause(0.1)
    click(unnamed.ui.chooseTissuesButton)
    for _ in segment_ids(unnamed)[1:]:
        click_entry(unnamed, "Lung")
    button = unnamed.tissue(segment_ids(unnamed)[-1], "preset")
    assert button.visibleRegion().boundingRect().height() == button.height
    menu_of(unnamed).close()


def test_filter_does_not_hide_what_is_to_be_chosen(unnamed):
    for number in range(6):
        unnamed.nodes.segmentation.GetSegmentation().AddEmptySegment(f"id_extra{number}", f"nothing {number}")
    pause(0.6)
    slicer.util.findChild(unnamed.ui.tissueRowsWidget, "tissueFilter").text = "nothing"
    click(unnamed.ui.chooseTissuesButton)
    assert unnamed.tissue(segment_ids(unnamed)[0], "preset").visible
    menu_of(unnamed).close()
