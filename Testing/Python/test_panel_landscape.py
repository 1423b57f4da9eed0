"""The pictures of an estimate in the panel."""

from __future__ import annotations

import numpy as np
import pytest

ROWS, COLUMNS = 60, 80


def shown(tissue_id, name="liver", color=(200, 100, 50), lam=0.5, mu=12.3456, is_flat=False):
    from TissueElasticRegistrationLib.panel.landscape_view import ShownLandscape

    picture = np.full((ROWS, COLUMNS, 3), color, np.uint8)
    picture[:ROWS // 3, :COLUMNS // 4] = (0, 0, 255)  # the corner at the top left is blue
    return ShownLandscape(tissue_id, name, picture, lam, mu, is_flat)


class View:
    def __init__(self, width=300):
        import qt

        from TissueElasticRegistrationLib.panel.landscape_view import LandscapeView

        self.container = qt.QWidget()
        self.view = LandscapeView(self.container)
        self.resize(width)
        self.container.show()

    def resize(self, width):
        self.container.resize(width, 600)
        self.settle()

    def show(self, *landscapes):
        self.view.show(landscapes)
        self.settle()

    def settle(self):
        import qt

        qt.QCoreApplication.processEvents()
        qt.QCoreApplication.sendPostedEvents(None, qt.QEvent.DeferredDelete)
        qt.QCoreApplication.processEvents()

    def named(self, name):
        return [label for label in self.container.findChildren("QLabel") if label.objectName == name]

    def __getitem__(self, name):
        found = self.named(name)
        assert len(found) == 1, f"{name}: {len(found)}"
        return found[0]

    def places(self, count):
        """Left and top of the pictures, rounded to whole cells."""
        corners = [self[f"landscapePicture_{number}"] for number in range(count)]
        corners = [label.mapTo(self.container, label.rect.topLeft()) for label in corners]
        lefts, tops = sorted({corner.x() for corner in corners}), sorted({corner.y() for corner in corners})
        return [(lefts.index(corner.x()), tops.index(corner.y())) for corner in corners]


@pytest.fixture
def view(fresh_host):
    return View()


def test_picture_is_shown_as_it_is(view):
    view.show(shown("a"))
    image = view["landscapePicture_a"].pixmap.toImage()
    assert (image.width(), image.height()) == (COLUMNS, ROWS)
    colors = [image.pixelColor(*point) for point in ((2, 2), (COLUMNS - 2, 2), (2, ROWS - 2))]
    assert [(c.red(), c.green(), c.blue()) for c in colors] == [(0, 0, 255), (200, 100, 50), (200, 100, 50)]


def test_name_and_best_point_stand_with_the_picture(view):
    view.show(shown("a", "liver", lam=0.5, mu=12.3456))
    assert view["landscapeName_a"].text == "liver"
    assert "λ 0.5 · μ 12.3" in view["landscapeChosen_a"].text
    assert "liver" in view["landscapePicture_a"].toolTip and "no unit" in view["landscapePicture_a"].toolTip


def test_flat_landscape_is_told(view):
    view.show(shown("a", is_flat=True), shown("b"))
    assert view["landscapeFlat_a"].visible and not view["landscapeFlat_b"].visible
    assert "flat" in view["landscapeFlat_a"].text and "liver" in view["landscapeFlat_a"].toolTip


def test_long_name_does_not_widen_its_column(view):
    view.show(shown("a", "costal cartilages and ribs of the left side"))
    assert view["landscapeName_a"].width <= COLUMNS
    assert view["landscapeName_a"].toolTip == "costal cartilages and ribs of the left side"


def test_partial_results_change_the_same_labels(view):
    view.show(shown("a", lam=1.0), shown("b"))
    before = view["landscapePicture_a"]
    view.show(shown("a", color=(10, 20, 30), lam=2.0), shown("b"))
    assert view["landscapePicture_a"] is before
    assert before.pixmap.toImage().pixelColor(COLUMNS - 2, 2).red() == 10
    assert "λ 2 " in view["landscapeChosen_a"].text


def test_other_tissues_replace_the_last_ones(view):
    view.show(shown("a"), shown("b"))
    view.show(shown("c"))
    assert view.named("landscapePicture_a") == [] and len(view.named("landscapePicture_c")) == 1
    view.view.clear()
    view.settle()
    assert view.named("landscapePicture_c") == []


def test_as_many_stand_side_by_side_as_the_width_allows(view):
    landscapes = [shown(str(number)) for number in range(5)]
    view.show(*landscapes)
    assert view.places(5) == [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1)]
    view.resize(190)
    assert view.places(5) == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2)]
    view.resize(700)
    assert view.places(5) == [(number, 0) for number in range(5)]
    view.resize(50)
    assert view.places(5) == [(0, number) for number in range(5)]
