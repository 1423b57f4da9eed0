"""The pictures of an estimate in the panel."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from TissueElasticRegistrationLib.core.data.tissues import Lame, Tissue, TissueParameters
from TissueElasticRegistrationLib.core.estimation.estimate_result import Estimate, TissueEstimate
from TissueElasticRegistrationLib.core.estimation.landscape import Landscape
from TissueElasticRegistrationLib.core.reporting.landscape_picture import landscape_picture

WEIGHTS = np.array([0.02, 2.0, 200.0])
PEAK = np.array([[0.90, 0.80, 0.70], [0.85, 0.95, 0.75], [0.60, 0.65, 0.55]])  # λ, μ


def row(tissue_id, name="liver", **changes) -> TissueEstimate:
    return replace(
        TissueEstimate(Tissue(1, name, tissue_id), Lame(2.0, 12.3456), 0.95, 0.9, False, True, (1, 1)), **changes
    )


def estimate(*rows: TissueEstimate, scores: np.ndarray = PEAK) -> Estimate:
    landscape = Landscape(WEIGHTS, WEIGHTS, np.stack([scores] * len(rows)))
    return Estimate("grid", landscape, rows, TissueParameters(), True, 1.5)


class View:
    def __init__(self):
        import qt

        from TissueElasticRegistrationLib.panel.sections.landscape_view import LandscapeView

        self.container = qt.QWidget()
        self.view = LandscapeView(self.container)
        self.side = 8 * self.container.fontMetrics().height()
        self.resize(2 * self.side + 30)
        self.container.show()

    def resize(self, width):
        self.container.resize(width, 600)
        self.settle()

    def show(self, *rows, **changes):
        self.view.show(estimate(*rows, **changes))
        self.settle()

    def settle(self):
        import qt

        for _ in range(50):
            qt.QCoreApplication.processEvents()
        qt.QCoreApplication.sendPostedEvents(None, qt.QEvent.DeferredDelete)

    def named(self, name):
        return [label for label in self.container.findChildren("QLabel") if label.objectName == name]

    def __getitem__(self, name):
        found = self.named(name)
        assert len(found) == 1, f"{name}: {len(found)}"
        return found[0]

    def picture(self, tissue_id):
        """The pixels of a tissue, (rows, columns, 3)."""
        image = self[f"landscapePicture_{tissue_id}"].pixmap.toImage()
        pixels = [[image.pixelColor(x, y) for x in range(image.width())] for y in range(image.height())]
        return np.array([[(p.red(), p.green(), p.blue()) for p in line] for line in pixels])

    def places(self, count):
        """Column and row of the pictures."""
        corners = [self[f"landscapePicture_{number}"] for number in range(count)]
        corners = [label.mapTo(self.container, label.rect.topLeft()) for label in corners]
        lefts, tops = sorted({corner.x() for corner in corners}), sorted({corner.y() for corner in corners})
        return [(lefts.index(corner.x()), tops.index(corner.y())) for corner in corners]


@pytest.fixture
def view(fresh_host):
    return View()


def test_picture_is_that_of_the_landscape(view):
    view.show(row("a"))
    assert np.array_equal(view.picture("a"), landscape_picture(PEAK, (1, 1), None, view.side))


def test_each_tissue_has_its_own_landscape(view):
    shown = estimate(row("a"), row("b", point=(0, 0)))
    shown.landscape.scores[1] = PEAK[::-1]
    view.view.show(shown)
    view.settle()
    assert np.array_equal(view.picture("b"), landscape_picture(PEAK[::-1], (0, 0), None, view.side))


def test_name_and_best_point_stand_with_the_picture(view):
    view.show(row("a"))
    assert view["landscapeName_a"].text == "liver"
    assert "λ 2 · ↑ μ 12.3" in view["landscapeChosen_a"].text
    tip = view["landscapePicture_a"].toolTip
    assert all(part in tip for part in ("liver", "no unit", "0.950", "0.900", "λ increases to the right"))


def test_a_search_of_mu_alone_has_one_axis(view):
    alone = Landscape(WEIGHTS[:1], WEIGHTS, PEAK[None, :1])
    view.view.show(replace(estimate(row("a", point=(0, 1))), landscape=alone))
    view.settle()
    assert "μ 12.3" in view["landscapeChosen_a"].text and "λ" not in view["landscapeChosen_a"].text
    assert np.array_equal(view.picture("a"), landscape_picture(PEAK[:1], (0, 1), None, view.side))


def test_flat_landscape_is_told_and_hatched(view):
    flat = np.full((3, 3), 0.9)
    view.show(row("a", insensitive=True), row("b"), scores=flat)
    assert view["landscapeFlat_a"].visible and not view["landscapeFlat_b"].visible
    assert "flat" in view["landscapeFlat_a"].text and "liver" in view["landscapeFlat_a"].toolTip
    assert np.array_equal(view.picture("a"), landscape_picture(flat, (1, 1), np.ones((3, 3), bool), view.side))


def test_tissue_without_a_vote_is_left_out(view):
    view.show(row("a"), row("background", is_estimated=False, point=None))
    assert len(view.named("landscapePicture_a")) == 1 and view.named("landscapePicture_background") == []


def test_partial_estimate_without_a_best_point_yet_is_shown(view):
    unknown = np.full((3, 3), np.nan)
    view.show(row("a", point=None, score=np.nan, start_score=np.nan), scores=unknown)
    assert np.array_equal(view.picture("a"), landscape_picture(unknown, None, None, view.side))


def test_long_name_does_not_widen_its_column(view):
    view.show(row("a", "costal cartilages and ribs of the left side"))
    assert view["landscapeName_a"].width <= view.side
    assert view["landscapeName_a"].toolTip == "costal cartilages and ribs of the left side"


def test_partial_results_change_the_same_labels(view):
    view.show(row("a"), row("b"))
    before = view["landscapePicture_a"]
    view.show(row("a", lame=Lame(0.5, 0.5), point=(0, 2)), row("b"))
    assert view["landscapePicture_a"] is before
    assert np.array_equal(view.picture("a"), landscape_picture(PEAK, (0, 2), None, view.side))
    assert "λ 0.5 " in view["landscapeChosen_a"].text


def test_other_tissues_replace_the_last_ones(view):
    view.show(row("a"), row("b"))
    view.show(row("c"))
    assert view.named("landscapePicture_a") == [] and len(view.named("landscapePicture_c")) == 1
    view.view.clear()
    view.settle()
    assert view.named("landscapePicture_c") == []


def test_estimate_without_landscape_shows_no_picture(view):
    view.show(row("a"))
    view.view.show(replace(estimate(row("a")), landscape=None))
    view.settle()
    assert view.named("landscapePicture_a") == []


def test_nothing_is_drawn_after_clear(view):
    view.view.show(estimate(row("a")))
    view.view.clear()
    view.settle()
    assert view.named("landscapePicture_a") == []


def test_as_many_stand_side_by_side_as_the_width_allows(view):
    view.show(*(row(str(number)) for number in range(5)))
    assert view.places(5) == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2)]
    view.resize(6 * view.side)
    assert view.places(5) == [(number, 0) for number in range(5)]
    view.resize(view.side // 2)
    assert view.places(5) == [(0, number) for number in range(5)]


def test_many_tissues_do_not_stop_the_event_loop(view):
    import qt

    rows = [row(str(number)) for number in range(40)]
    view.show(*rows)
    began = time.process_time()
    view.view.show(estimate(*rows))
    qt.QCoreApplication.processEvents()
    assert time.process_time() - began < 0.06


def test_every_tissue_gets_its_turn_though_estimates_come_quickly(view):
    import qt

    first, last = [row("a"), row("b"), row("c")], [row(name, point=(0, 0)) for name in "abc"]
    view.show(*first)
    for _ in range(8):
        view.view.show(estimate(*last))
        qt.QCoreApplication.processEvents()
    assert all(np.array_equal(view.picture(name), landscape_picture(PEAK, (0, 0), None, view.side)) for name in "abc")
