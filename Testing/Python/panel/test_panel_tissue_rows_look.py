"""The rows of the panel: many of them, small panels, large fonts, light and dark, tool tips."""

from __future__ import annotations

import pytest
from panel_rows import LUNG, RIBS, SOFT, Panel, at, info, three_tissues


@pytest.fixture
def panel(fresh_host):
    return three_tissues()


# --- many tissues ---------------------------------------------------------------------------------------------------


def many(count):
    return [info(f"id{number}", f"{'left' if number % 2 else 'right'} rib {number}") for number in range(count)]


def visible_rows(panel, count):
    return [number for number in range(count) if panel[f"lambda_id{number}"].visible]


def test_filter_is_there_from_nine_rows_on(fresh_host):
    panel = Panel().show(many(8))
    assert not panel["tissueFilter"].visible
    assert panel.show(many(9))["tissueFilter"].visible


def test_filter_shows_the_tissues_whose_name_contains_its_text(fresh_host):
    panel = Panel().show(many(12))
    panel["tissueFilter"].text = "LEFT rib 1"
    assert visible_rows(panel, 12) == [1, 11]
    panel["tissueFilter"].text = ""
    assert visible_rows(panel, 12) == list(range(12))


def test_filter_follows_new_names(fresh_host):
    tissues = many(9)
    panel = Panel().show(tissues)
    panel["tissueFilter"].text = "liver"
    assert visible_rows(panel, 9) == []
    panel.show([info("id0", "liver"), *tissues[1:]])
    assert visible_rows(panel, 9) == [0]


def test_filter_that_is_gone_hides_nothing(fresh_host):
    panel = Panel().show(many(12))
    panel["tissueFilter"].text = "rib 1"
    panel.show(many(3))
    assert visible_rows(panel, 3) == [0, 1, 2]


# --- how it looks ---------------------------------------------------------------------------------------------------


@pytest.fixture
def application_look(fresh_host):
    """Sets the application's font size and palette for one test."""
    import qt

    application = qt.QApplication.instance()
    font, palette = qt.QFont(application.font()), qt.QPalette(application.palette())

    def change(font_percent=100, dark=False):
        larger = qt.QFont(font)
        larger.setPointSizeF(font.pointSizeF() * font_percent / 100)
        application.setFont(larger)
        colors = qt.QPalette(palette)
        for role in (qt.QPalette.WindowText, qt.QPalette.ButtonText, qt.QPalette.Text):
            colors.setColor(role, qt.QColor(240, 240, 240) if dark else qt.QColor(10, 10, 10))
        for role in (qt.QPalette.Window, qt.QPalette.Button, qt.QPalette.Base):
            colors.setColor(role, qt.QColor(40, 40, 40) if dark else qt.QColor(240, 240, 240))
        application.setPalette(colors)

    yield change
    application.setFont(font)
    application.setPalette(palette)


@pytest.mark.parametrize("font_percent", [100, 150])
def test_nothing_is_cut_off_in_a_narrow_panel(application_look, font_percent):
    """A panel 320 pixels wide leaves 280 beside its margins and the scroll bar."""
    application_look(font_percent)
    panel = Panel(width=280).show(
        [info(LUNG, "heart myocardium"), info(RIBS, "ribs")], {LUNG: at(0.0251, 0.123456), RIBS: at(199.5, 0.5)}
    )
    assert panel.container.width == 280
    assert panel.container.minimumSizeHint.width() <= 280
    for kind in ("lambda", "mu", "lambdaBox", "muBox", "preset", "link", "lock", "reset", "summary", "swatch"):
        widget = panel[f"{kind}_{LUNG}"]
        wanted = widget.minimumSizeHint
        assert widget.width >= wanted.width() and widget.height >= wanted.height(), kind
        right = widget.mapTo(panel.container, widget.rect.bottomRight())
        assert right.x() < 280 and right.y() < panel.container.height, kind
    for kind in ("lambdaBox", "muBox"):
        box = panel[f"{kind}_{LUNG}"]
        frame = box.sizeHint.width() - 17 * box.fontMetrics().horizontalAdvance("x")
        assert box.fontMetrics().horizontalAdvance(box.text) + frame + 1 <= box.width, kind
    assert panel[f"lambda_{LUNG}"].width >= 90, "too little slider is left"
    assert len(panel[f"name_{LUNG}"].text) >= 8, "too little of the name is left"


@pytest.mark.parametrize("weights", [(0.0951, 0.0951), (188.0, 0.02), (0.02, 200.0)])
def test_summary_is_never_cut_off(panel, weights):
    import qt

    panel.rows.show({LUNG: at(*weights), SOFT: at(150.0, 0.0888)})
    summary = panel[f"summary_{LUNG}"]
    needed = qt.QLabel(summary.text).sizeHint
    assert summary.width >= needed.width() and summary.height >= needed.height(), summary.text


def test_new_numbers_lay_out_nothing(panel):
    from host.layout_requests import layout_requests

    with layout_requests(panel.container) as laid_out:
        panel.rows.show({LUNG: at(0.0251, 199.0), SOFT: at(3.0, 0.4), RIBS: at(200.0, 12.3)})
    assert laid_out == []
    with layout_requests(panel.container) as laid_out:
        panel.show([info(LUNG, "left lung"), info(SOFT, "soft tissue"), info(RIBS, "ribs")])
    assert laid_out != [], "a change would not be noticed"


def test_widths_follow_the_font_of_the_application(panel, application_look):
    wide = (panel[f"lambdaBox_{LUNG}"], panel[f"summary_{LUNG}"])
    before = [widget.width for widget in wide]
    application_look(font_percent=150, dark=True)
    panel.settle()
    assert all(widget.width >= 1.3 * width for widget, width in zip(wide, before, strict=True))


@pytest.mark.parametrize("kind", ["preset", "link", "lock", "reset"])
def test_icons_are_seen_on_light_and_on_dark_panels(application_look, kind):
    import qt

    def mean_lightness(button):
        image = button.icon.pixmap(qt.QSize(32, 32), qt.QIcon.Normal, qt.QIcon.On).toImage()
        pixels = [image.pixelColor(x, y) for x in range(image.width()) for y in range(image.height())]
        drawn = [pixel.lightness() for pixel in pixels if pixel.alpha() > 100]
        assert len(drawn) > 30
        return sum(drawn) / len(drawn)

    application_look(dark=False)
    panel = Panel().show([info(LUNG, "lung")])
    assert mean_lightness(panel[f"{kind}_{LUNG}"]) < 60
    application_look(dark=True)
    panel.settle()
    assert mean_lightness(panel[f"{kind}_{LUNG}"]) > 180, "the rows do not follow the palette"


@pytest.mark.parametrize("kind", ["link", "lock"])
def test_switches_look_different_when_they_are_on(panel, kind):
    import qt

    icon = panel[f"{kind}_{LUNG}"].icon
    off, on = (icon.pixmap(qt.QSize(32, 32), qt.QIcon.Normal, state).toImage() for state in (qt.QIcon.Off, qt.QIcon.On))
    assert off != on


@pytest.mark.parametrize(
    "kind", ["lambda", "lambdaBox", "mu", "muBox", "preset", "link", "lock", "reset", "summary", "name"]
)
def test_every_control_has_a_tool_tip_with_the_name_of_its_tissue(panel, kind):
    assert "ribs" in panel[f"{kind}_{RIBS}"].toolTip


@pytest.mark.parametrize("kind", ["lambda", "lambdaBox", "mu", "muBox"])
def test_tool_tips_of_weights_tell_meaning_unit_and_range(panel, kind):
    text = panel[f"{kind}_{RIBS}"].toolTip
    assert ("volume" if "lambda" in kind else "shape") in text
    assert "without unit" in text and "0.02 to 200" in text
