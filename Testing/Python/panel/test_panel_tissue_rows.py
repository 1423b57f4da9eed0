"""The rows of the panel, one for each tissue: what they show and what a user does with them."""

from __future__ import annotations

import pytest
from panel_rows import LUNG, RIBS, SCALE, SOFT, Panel, at, info, three_tissues

from TissueElasticRegistrationLib.core.physics.parameter_scale import PaperScale, SliderPositions
from TissueElasticRegistrationLib.core.physics.tissue_presets import BONE, PRESETS
from TissueElasticRegistrationLib.panel.widgets.number_texts import weight_text

OFFERED = [preset for preset in PRESETS if preset.is_offered]
WEIGHTS = [preset.weight for preset in OFFERED]


@pytest.fixture
def panel(fresh_host):
    return three_tissues()


@pytest.fixture
def keys():
    from host.qt_binding import QtCore, QtTest

    def press(widget, *keys):
        widget.setFocus()
        for key in keys:
            if key.startswith("Key_"):
                QtTest.QTest.keyClick(widget, getattr(QtCore.Qt, key))
            else:
                QtTest.QTest.keyClicks(widget, key)

    return press


@pytest.fixture
def click():
    from host.qt_binding import QtCore, QtTest

    return lambda widget: QtTest.QTest.mouseClick(widget, QtCore.Qt.LeftButton)


def type_in(keys, box, text):
    box.selectAll()
    keys(box, text, "Key_Return")


# --- what is shown --------------------------------------------------------------------------------------------------


def test_every_tissue_has_a_row_in_the_order_given(panel):
    tops = [
        panel[f"name_{tissue}"].mapTo(panel.container, panel[f"name_{tissue}"].rect.topLeft()).y()
        for tissue in (LUNG, SOFT, RIBS)
    ]
    assert tops == sorted(tops) and len(set(tops)) == 3
    assert [panel[f"name_{tissue}"].text for tissue in (LUNG, SOFT, RIBS)] == ["lung", "soft tissue", "ribs"]


def test_show_writes_sliders_and_boxes_without_calling_back(panel):
    panel.rows.show({LUNG: at(0.05, 20.0), SOFT: at(1.0, 1.0)}, linked={SOFT}, locked={LUNG})
    assert panel[f"lambda_{LUNG}"].value == round(1000 * SCALE.slider(0.05))
    assert panel[f"mu_{LUNG}"].value == round(1000 * SCALE.slider(20))
    assert (panel[f"lambdaBox_{LUNG}"].text, panel[f"muBox_{LUNG}"].text) == ("0.05", "20")
    assert (panel[f"link_{SOFT}"].checked, panel[f"link_{LUNG}"].checked) == (True, False)
    assert (panel[f"lock_{SOFT}"].checked, panel[f"lock_{LUNG}"].checked) == (False, True)
    assert panel.calls == []


def test_tissue_that_is_not_in_the_values_keeps_what_it_shows(panel):
    panel.rows.show({SOFT: at(2.0, 2.0), "gone": at(3.0, 3.0)})
    assert panel[f"lambdaBox_{RIBS}"].text == "30"


@pytest.mark.parametrize(
    ("weight", "text"),
    [
        (199.526, "200"),
        (30.0, "30"),
        (1.0, "1"),
        (0.5, "0.5"),
        (0.123456, "0.123"),
        (0.02512, "0.025"),
        (0.019953, "0.02"),
        (12.345, "12.3"),
    ],
)
def test_weights_are_shown_with_sensible_digits(panel, weight, text):
    panel.rows.show({LUNG: at(weight, 1.0)})
    assert panel[f"lambdaBox_{LUNG}"].text == text


@pytest.mark.parametrize("scale", [SCALE, PaperScale()], ids=["log", "paper"])
def test_weights_of_three_digits_are_shown_as_they_were_typed(scale):
    """What is kept is the position of the slider."""
    weights = [digits * 10**exponent for exponent in (-3, -2, -1, 0) for digits in range(1, 1000)]
    typed = [float(f"{weight:.3g}") for weight in weights if scale.lowest <= weight <= scale.highest]
    assert len(typed) > 900
    assert [weight_text(scale.weight(scale.slider(weight))) for weight in typed] == list(map(weight_text, typed))


def test_row_says_poisson_ratio_and_stiffness_relative_to_soft_tissue(panel):
    assert "ν 0.25 · 1×" in panel[f"summary_{SOFT}"].text
    assert "ν 0.33 · 16×" in panel[f"summary_{RIBS}"].text  # μ (3λ + 2μ) / (λ + μ) = 40, soft tissue has 2.5


def test_all_stiffnesses_follow_the_soft_tissue(panel, keys):
    type_in(keys, panel[f"muBox_{SOFT}"], "4")
    type_in(keys, panel[f"lambdaBox_{SOFT}"], "4")
    assert "· 4×" in panel[f"summary_{RIBS}"].text and "· 1×" in panel[f"summary_{SOFT}"].text


def test_name_that_is_too_long_is_shortened_with_its_whole_in_the_tool_tip(panel):
    name = "costal cartilages and ribs of the left side, first to twelfth"
    panel.show([info(LUNG, name)])
    label = panel[f"name_{LUNG}"]
    assert label.text.endswith("…") and name.startswith(label.text[:-1])
    assert label.toolTip == name
    panel.container.resize(900, 200)
    panel.settle()
    assert label.text == name
    panel.container.resize(300, 200)
    panel.settle()
    assert panel.container.width == 300 and label.text.endswith("…"), "the name keeps the panel wide"


def test_empty_tissue_says_so_and_cannot_be_moved(panel):
    panel.show([info(LUNG, "lung", is_empty=True), info(SOFT, "soft tissue"), info(RIBS, "ribs")])
    assert "empty" in panel[f"summary_{LUNG}"].text
    kinds = ("lambda", "mu", "lambdaBox", "muBox", "preset", "link", "lock", "reset")
    assert not any(panel[f"{kind}_{LUNG}"].enabled for kind in kinds)
    assert "no voxels" in panel[f"name_{LUNG}"].toolTip
    panel.show([info(LUNG, "lung"), info(SOFT, "soft tissue"), info(RIBS, "ribs")])
    assert panel[f"lambda_{LUNG}"].enabled and "ν" in panel[f"summary_{LUNG}"].text
    assert panel[f"name_{LUNG}"].toolTip == "lung"


def test_swatch_has_the_color_of_the_tissue(panel):
    panel.show([info(LUNG, "lung", (1.0, 0.0, 0.0)), info(SOFT, "soft tissue", (0.0, 0.0, 1.0))])
    colors = []
    for tissue in (LUNG, SOFT):
        image = panel[f"swatch_{tissue}"].pixmap.toImage()
        middle = image.pixelColor(image.width() // 2, image.height() // 2)
        colors.append((middle.red(), middle.green(), middle.blue()))
    assert colors == [(255, 0, 0), (0, 0, 255)]


# --- rows come and go -----------------------------------------------------------------------------------------------


def test_same_ids_keep_their_widgets_and_change_in_place(panel):
    before = panel[f"lambda_{LUNG}"]
    panel.show([info(LUNG, "left lung", (1, 0, 0)), info(SOFT, "soft tissue"), info(RIBS, "ribs")])
    assert panel[f"lambda_{LUNG}"] is before
    assert panel[f"name_{LUNG}"].text == "left lung" and panel[f"name_{LUNG}"].toolTip == "left lung"
    assert "left lung" in panel[f"lambda_{LUNG}"].toolTip
    assert panel[f"lambdaBox_{LUNG}"].text == "0.123", "the values stay"


def test_other_ids_make_new_rows_and_the_old_ones_go(panel):
    panel.show([info(LUNG, "lung"), info("new", "liver")])
    assert "lambda_new" in panel and f"lambda_{RIBS}" not in panel
    panel.show([])
    assert f"lambda_{LUNG}" not in panel


def test_rows_may_be_made_anew_by_what_a_row_has_called(fresh_host, click):
    panel = Panel(reset=lambda tissue: panel.show([info(SOFT, "soft")])).show([info(LUNG, "lung")])
    click(panel[f"reset_{LUNG}"])
    assert f"lambda_{SOFT}" in panel


# --- what the user does ---------------------------------------------------------------------------------------------


def test_slider_tells_the_weight_of_its_position_and_the_box_follows(panel, keys):
    slider = panel[f"lambda_{RIBS}"]
    before = slider.value
    keys(slider, "Key_Right")
    weight = SCALE.weight(slider.value / 1000)
    assert slider.value > before
    assert panel.calls == [("changed", RIBS, SliderPositions(slider.value / 1000, SCALE.slider(15.0)))]
    assert panel[f"lambdaBox_{RIBS}"].text == f"{weight:.3g}"


def test_slider_can_be_dragged_to_both_ends(panel, keys):
    keys(panel[f"mu_{LUNG}"], "Key_Home", "Key_End")
    assert [positions.mu for _, _, positions in panel.calls] == [0.0, 1.0]


def test_typed_weight_is_taken_with_all_its_digits(panel, keys):
    type_in(keys, panel[f"lambdaBox_{SOFT}"], "12.3456")
    assert panel.calls == [("changed", SOFT, at(12.3456, 1.0))]
    assert panel[f"lambda_{SOFT}"].value == round(1000 * SCALE.slider(12.3456))


@pytest.mark.parametrize(
    ("typed", "taken"), [("0,5", 0.5), ("12,75", 12.75), ("0.5", 0.5), ("1.5e1", 15.0), (" 2 ", 2.0)]
)
def test_number_is_read_with_decimal_point_or_comma(panel, keys, typed, taken):
    type_in(keys, panel[f"muBox_{SOFT}"], typed)
    assert panel.calls == [("changed", SOFT, at(1.0, taken))]


@pytest.mark.parametrize("typed", ["liver", "", " ", "inf", "-inf", "nan", "1.2.3", "1,000.5", "0x1", "."])
def test_what_is_no_number_brings_the_weight_back(panel, keys, typed):
    box = panel[f"lambdaBox_{LUNG}"]
    box.text = ""
    type_in(keys, box, typed)
    assert panel.calls == [] and box.text == "0.123"


def test_next_number_can_be_typed_at_once(panel, keys):
    type_in(keys, panel[f"muBox_{SOFT}"], "150")
    keys(panel[f"muBox_{SOFT}"], "0.5", "Key_Return")
    assert panel.calls == [("changed", SOFT, at(1.0, 150.0)), ("changed", SOFT, at(1.0, 0.5))]
    assert panel[f"muBox_{SOFT}"].text == "0.5"


def test_nothing_is_told_while_a_number_is_typed(panel, keys):
    keys(panel[f"muBox_{SOFT}"], "50")
    assert panel.calls == []


def test_leaving_the_field_takes_what_was_typed(panel, keys):
    box = panel[f"muBox_{SOFT}"]
    box.selectAll()
    keys(box, "150")
    panel[f"muBox_{RIBS}"].setFocus()
    assert panel.calls == [("changed", SOFT, at(1.0, 150.0))]


@pytest.mark.parametrize(
    ("typed", "taken"),
    [("0", SCALE.lowest), ("200", SCALE.highest), ("999", SCALE.highest), ("1e3", SCALE.highest), ("-5", SCALE.lowest)],
)
def test_typed_weight_beyond_the_range_is_brought_to_its_end(panel, keys, typed, taken):
    type_in(keys, panel[f"muBox_{SOFT}"], typed)
    assert panel.calls == [("changed", SOFT, at(1.0, taken))]


def test_typing_beyond_the_end_at_the_end_changes_nothing(panel, keys):
    panel.rows.show({SOFT: at(SCALE.highest, 1.0)})
    type_in(keys, panel[f"lambdaBox_{SOFT}"], "500")
    assert panel.calls == []
    assert panel[f"lambdaBox_{SOFT}"].text == "200"


@pytest.mark.parametrize(("key", "factor"), [("Key_Up", 1.1), ("Key_Down", 1 / 1.1)])
def test_arrow_key_changes_a_weight_by_a_tenth(panel, keys, key, factor):
    keys(panel[f"lambdaBox_{RIBS}"], key)
    ((_, tissue, positions),) = panel.calls
    assert tissue == RIBS and positions.mu == SCALE.slider(15.0)
    assert SCALE.weight(positions.lam) == pytest.approx(30 * factor, rel=0.01)


def test_arrow_keys_go_the_steps_of_the_slider(panel, keys):
    box, slider = panel[f"muBox_{LUNG}"], panel[f"mu_{LUNG}"]
    before = slider.value
    keys(box, "Key_Up", "Key_Up", "Key_Up", "Key_Down")
    assert slider.value == before + 20 and box.text == f"{SCALE.weight(slider.value / 1000):.3g}"


def test_arrow_key_starts_from_what_was_typed(panel, keys):
    box = panel[f"muBox_{SOFT}"]
    box.selectAll()
    keys(box, "50", "Key_Up")
    weights = [SCALE.weight(positions.mu) for _, _, positions in panel.calls]
    assert weights == [pytest.approx(50), pytest.approx(55, rel=0.01)]


def test_arrow_keys_stop_at_the_ends_of_the_scale(panel, keys):
    panel.rows.show({SOFT: at(SCALE.highest, SCALE.lowest)})
    keys(panel[f"lambdaBox_{SOFT}"], "Key_Up")
    keys(panel[f"muBox_{SOFT}"], "Key_Down")
    assert panel.calls == []


def test_arrow_keys_leave_zero_on_the_paper_scale(fresh_host, keys):
    panel = Panel(PaperScale()).show([info(LUNG, "lung")], {LUNG: SliderPositions(0.0, 0.5)})
    keys(panel[f"lambdaBox_{LUNG}"], "Key_Down", "Key_Up")
    assert panel.calls == [("changed", LUNG, SliderPositions(0.01, 0.5))]


def test_weight_that_is_not_moved_stays_exact(panel, keys):
    keys(panel[f"mu_{LUNG}"], "Key_Right")
    assert [positions.lam for _, _, positions in panel.calls] == [SCALE.slider(0.123456789)]


def test_visiting_a_field_changes_nothing(panel, keys):
    """The field shows 0.123 for 0.123456789, and reads its text when Enter is pressed and when it is left."""
    box = panel[f"lambdaBox_{LUNG}"]
    keys(box, "Key_Return", "Key_Enter")
    type_in(keys, box, "0.123")
    panel[f"lambdaBox_{SOFT}"].setFocus()
    keys(panel[f"mu_{LUNG}"], "Key_Right")
    assert [positions.lam for _, _, positions in panel.calls] == [SCALE.slider(0.123456789)]


def test_typing_goes_on_while_other_values_are_shown(panel, keys):
    box = panel[f"lambdaBox_{SOFT}"]
    box.selectAll()
    keys(box, "7")
    panel.rows.show({SOFT: at(1.0, 1.0), LUNG: at(5.0, 5.0)})
    keys(box, "5", "Key_Return")
    assert panel.calls == [("changed", SOFT, at(75.0, 1.0))]


def test_link_moves_the_other_weight_by_the_same_factor(panel, keys):
    panel.rows.show({RIBS: at(30.0, 15.0)}, linked={RIBS})
    type_in(keys, panel[f"lambdaBox_{RIBS}"], "60")
    assert panel.calls == [("changed", RIBS, pytest.approx(at(60.0, 30.0)))]
    assert panel[f"muBox_{RIBS}"].text == "30" and panel[f"mu_{RIBS}"].value == round(1000 * SCALE.slider(30))


def test_linked_weights_stop_together_at_the_end_of_the_range(panel, keys):
    panel.rows.show({RIBS: at(30.0, 15.0)}, linked={RIBS})
    keys(panel[f"mu_{RIBS}"], "Key_End")
    weights = panel.calls[-1][2].weights(SCALE)
    assert weights.lam == pytest.approx(SCALE.highest) and weights.lam / weights.mu == pytest.approx(2)


@pytest.mark.parametrize(("kind", "call"), [("link", "linked"), ("lock", "locked")])
def test_switches_tell_their_state(panel, click, kind, call):
    click(panel[f"{kind}_{SOFT}"])
    click(panel[f"{kind}_{SOFT}"])
    assert panel.calls == [(call, SOFT, True), (call, SOFT, False)]


def test_reset_asks_the_caller(panel, click):
    click(panel[f"reset_{RIBS}"])
    assert panel.calls == [("reset", RIBS)]
    assert panel[f"lambdaBox_{RIBS}"].text == "30"


def test_preset_menu_offers_the_tissues_of_the_table_for_the_row_it_was_opened_from(panel, click):
    menu = panel.preset_menu
    for tissue in (RIBS, LUNG):
        click(panel[f"preset_{tissue}"])
        assert menu.isVisible()
        assert [action.text.split("\t")[0] for action in menu.actions()] == [preset.label for preset in OFFERED]
        for action in menu.actions():
            action.trigger()
        menu.close()
    assert panel.calls == [("changed", tissue, at(weight, weight)) for tissue in (RIBS, LUNG) for weight in WEIGHTS]


def test_presets_lie_on_the_scale_in_use(fresh_host, click):
    panel = Panel(PaperScale()).show([info(LUNG, "lung")], {LUNG: SliderPositions(0.5, 0.5)})
    click(panel[f"preset_{LUNG}"])
    panel.preset_menu.actions()[-1].trigger()
    panel.preset_menu.close()
    assert panel.calls == [("changed", LUNG, at(BONE, BONE))]


def test_tab_goes_through_the_controls_row_by_row(panel, keys):
    import qt

    panel[f"lambda_{LUNG}"].setFocus()
    visited = []
    for _ in range(17):
        focused = qt.QApplication.focusWidget()
        visited.append(focused.objectName)
        keys(focused, "Key_Tab")
    kinds = ("lambda", "lambdaBox", "preset", "link", "mu", "muBox", "lock", "reset")
    assert visited == [f"{kind}_{tissue}" for tissue in (LUNG, SOFT) for kind in kinds] + [f"lambda_{RIBS}"]
