"""Nothing is cut off in a panel of 320 pixels, with usual and with large letters."""

from __future__ import annotations

import io

import pytest
import slicer
import slicer.util
from demonstration.panel_user import PanelUser
from panel_case import add_phantom

from TissueElasticRegistrationLib.progress_line import ProgressLine

WIDTH = 320  # with the scroll bar


@pytest.fixture(scope="module", params=[1.0, 1.5], ids=["usual", "large"])
def panel(request, slicer_host):
    """The panel with all sections open, a pair chosen, its parameters estimated, and registered."""
    slicer_host.reset()
    letters = request.param * slicer.app.font().pointSizeF()
    user = PanelUser(slicer_host, add_phantom(slicer.mrmlScene), ProgressLine(io.StringIO()), width=1000,
                     height=900, font_points=letters, panel_width=WIDTH)
    user.open_all_sections()
    assert user.estimate() is not None
    user.apply()
    yield user.panel
    assert not slicer_host.reset()


def shown(panel, class_name: str) -> list:
    """Visible widgets of exactly this class."""
    return [widget for widget in slicer.util.findChildren(panel, className=class_name) if widget.visible]


def test_panel_is_no_wider_than_its_place(panel):
    import qt

    assert panel.minimumSizeHint.width() <= panel.width <= WIDTH
    children = slicer.util.findChildren(panel)
    widgets = [child for child in children if isinstance(child, qt.QWidget) and child.isVisible()]
    assert len(widgets) > 100
    for widget in widgets:
        left = widget.mapTo(panel, qt.QPoint(0, 0)).x()
        scrolled = any(isinstance(ancestor, qt.QAbstractScrollArea) for ancestor in ancestors(widget, panel))
        assert scrolled or 0 <= left <= left + widget.width <= panel.width, widget.objectName


def test_labels_and_buttons_show_their_whole_text(panel):
    import qt

    texts = [label for label in shown(panel, "QLabel") if label.sizePolicy.horizontalPolicy() != qt.QSizePolicy.Ignored]
    texts += shown(panel, "QPushButton") + shown(panel, "QCheckBox")
    assert len(texts) > 30
    for widget in texts:
        if widget.hasHeightForWidth():
            assert widget.height >= widget.heightForWidth(widget.width), widget.text
        else:
            assert widget.width >= widget.minimumSizeHint.width(), widget.text


def test_numbers_fit_into_their_fields(panel):
    lines = [line for line in shown(panel, "QLineEdit") if line.name == "qt_spinbox_lineedit"]
    assert len(lines) > 10
    for line in lines:
        assert line.width >= line.fontMetrics().horizontalAdvance(line.displayText), line.displayText


def ancestors(widget, panel):
    """Those inside of the panel."""
    while widget is not panel:
        widget = widget.parentWidget()
        yield widget
