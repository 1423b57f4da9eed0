"""Nothing is cut off in a panel of 300 pixels, with usual and with large letters, and it stays as wide as it is."""

from __future__ import annotations

import io

import pytest
import slicer
import slicer.util
from demonstration.panel_user import PanelUser
from few_steps import take_few_steps
from panel_case import add_phantom

from TissueElasticRegistrationLib.commands.console_progress import ProgressLine

WIDTH = 300  # with the scroll bar
LONG = "seen twice in a_hospital_whose_name_has_no_end_and_no_blank"
SENTENCE = f"There is nothing in /home/somebody/{LONG.replace(' ', '/')}/weights.pt that could be used for anything."
LABELS = ("hintsLabel", "modelLabel", "deviceReasonLabel", "liveStatusLabel", "displayProblemLabel")


class Case:
    """The panel with all sections open, a pair with long names chosen, its parameters estimated, and registered.

    widths: before and after each of these steps: of the panel, and the least it can have.
    """

    def __init__(self, slicer_host, font_points: float) -> None:
        inputs = add_phantom(slicer.mrmlScene)
        for node in inputs:
            node.SetName(f"{node.GetName()} {LONG}")
        for node in (inputs.segmentation, inputs.moving_segmentation):
            segmentation = node.GetSegmentation()
            for number in range(segmentation.GetNumberOfSegments()):
                segment = segmentation.GetNthSegment(number)
                segment.SetName(f"{segment.GetName()} {LONG}")
        self.user = PanelUser(
            slicer_host,
            inputs,
            ProgressLine(io.StringIO()),
            width=1000,
            height=1600,
            font_points=font_points,
            panel_width=WIDTH,
        )
        self.panel = self.user.panel
        self.widths: list[tuple[int, int]] = []
        ui = self.user.ui
        ui.gridPointsSpinBox.value = 3
        self.user.open_all_sections()
        self.note_width()
        assert self.user.estimate() is not None
        self.note_width()
        self.user.apply()
        self.note_width()
        self.write_long_sentences()
        self.note_width()

    @property
    def place(self):
        """What scrolls the panel."""
        return self.user.window.centralWidget().widget(0)

    def note_width(self) -> None:
        self.widths.append((self.place.width, self.place.minimumWidth))

    def write_long_sentences(self) -> None:
        from TissueElasticRegistrationLib.panel.widgets.labels import show_text

        for name in LABELS:
            show_text(getattr(self.user.ui, name), SENTENCE)
        self.user.settle()

    def items(self) -> list:
        """The sections and what lies between them, from top to bottom."""
        layout = self.user.ui.applyButton.parentWidget().layout()
        widgets = [layout.itemAt(number).widget() for number in range(layout.count())]
        return [widget for widget in widgets if widget is not None and widget.visible]

    def distances(self) -> set[int]:
        """Between what is seen of these."""
        items = self.items()
        ends = [above.y + (header_height(above) if above in self.closed() else above.height) for above in items]
        return {below.y - end for end, below in zip(ends, items[1:], strict=False)}

    def closed(self) -> list:
        return [section for section in self.user.sections() if section.collapsed]

    def close_all_but(self, *names: str) -> None:
        for section in self.user.sections():
            section.collapsed = section.name not in names
        self.user.settle()


def header_height(section) -> int:
    return section.contentsMargins().top()


@pytest.fixture(scope="module", params=[1.0, 1.5], ids=["usual", "large"])
def case(request, slicer_host):
    slicer_host.reset()
    with pytest.MonkeyPatch.context() as patch:
        take_few_steps(patch)
        made = Case(slicer_host, request.param * slicer.app.font().pointSizeF())
    yield made
    assert not slicer_host.reset()


@pytest.fixture
def panel(case):
    """The panel with all sections open."""
    case.user.open_all_sections()
    return case.panel


def shown(panel, class_name: str) -> list:
    """Visible widgets of exactly this class."""
    return [widget for widget in slicer.util.findChildren(panel, className=class_name) if widget.visible]


def test_panel_keeps_its_width_whatever_it_shows(case):
    assert {width for width, _ in case.widths} == {WIDTH}
    least = {least for _, least in case.widths}
    assert len(least) == 1 and least.pop() <= WIDTH


def test_distances_are_equal_with_all_sections_open(case, panel):
    assert not case.closed() and len(case.distances()) == 1


@pytest.mark.parametrize("names", [(), ("qualityButton",), ("inputsButton", "displayButton")])
def test_distances_are_the_same_whatever_is_open(case, panel, names):
    distances = case.distances()
    case.close_all_but(*names)
    assert len(case.closed()) == len(case.user.sections()) - len(names)
    assert case.distances() == distances


def test_room_that_is_left_over_lies_at_the_end(case):
    case.close_all_but("qualityButton")
    *_, section, last = case.items()
    assert section.name == "qualityButton" and last.y + last.height < case.panel.height
    assert section.height == section.layout().totalHeightForWidth(section.width)


def test_widgets_of_a_section_do_not_overlap(case, panel):
    import qt

    for section in case.user.sections():
        children = [child for child in section.children() if isinstance(child, qt.QWidget)]
        places = {child.name: child.geometry for child in children if child.isVisible()}
        assert len(places) > 2
        for name, place in places.items():
            assert not [other for other in places if other != name and places[other].intersects(place)], name


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

    texts = [
        label
        for label in shown(panel, "QLabel")
        if label.wordWrap or label.sizePolicy.horizontalPolicy() != qt.QSizePolicy.Ignored
    ]
    texts += shown(panel, "QPushButton") + shown(panel, "QCheckBox")
    assert len(texts) > 30
    for widget in texts:
        if widget.hasHeightForWidth():
            assert widget.height >= widget.heightForWidth(widget.width), widget.text
        assert widget.width >= widget.minimumSizeHint.width(), widget.text  # of a sentence: the longest word


def test_numbers_fit_into_their_fields(panel):
    lines = [
        line
        for line in shown(panel, "QLineEdit")
        if line.name == "qt_spinbox_lineedit" or line.name.startswith(("lambdaBox_", "muBox_"))
    ]
    assert len(lines) > 10
    for line in lines:
        assert line.width >= line.fontMetrics().horizontalAdvance(line.displayText), line.displayText


def ancestors(widget, panel):
    """Those inside of the panel."""
    while widget is not panel:
        widget = widget.parentWidget()
        yield widget
