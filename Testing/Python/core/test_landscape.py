"""Landscapes of scores: the point a tissue takes, flatness, values in between, and their pictures."""

from __future__ import annotations

import numpy as np
import pytest

from TissueElasticRegistrationLib.core.estimation.landscape import INSENSITIVE_RANGE, TOLERANCE, Landscape
from TissueElasticRegistrationLib.core.reporting.landscape_picture import SPAN, landscape_picture
from TissueElasticRegistrationLib.core.reporting.pictures import NOTHING

NAN = float("nan")


def landscape(*scores) -> Landscape:
    """Rows are λ, columns μ; one array for each tissue."""
    array = np.array(scores, float)
    return Landscape(np.arange(array.shape[1]), np.arange(array.shape[2]), array)


def constant(value: float, shape=(5, 5)) -> np.ndarray:
    return np.full(shape, value)


def with_points(scores: np.ndarray, points: dict[tuple[int, int], float]) -> np.ndarray:
    changed = scores.copy()
    for point, value in points.items():
        changed[point] = value
    return changed


# ---- The best point -----------------------------------------------------------------------------


def test_every_tissue_takes_its_own_best_point():
    found = landscape(with_points(constant(0.5), {(1, 3): 0.8}), with_points(constant(0.5), {(4, 0): 0.6}))
    assert [found.best(tissue, near=(2, 2)) for tissue in range(2)] == [(1, 3), (4, 0)]


def test_of_equally_good_points_the_one_nearest_to_the_start_value_is_taken():
    scores = with_points(constant(0.5), {(0, 0): 0.8, (4, 3): 0.8 - 0.9 * TOLERANCE})
    assert landscape(scores).best(0, near=(3.4, 2.6)) == (4, 3)
    assert landscape(scores).best(0, near=(1.0, 1.0)) == (0, 0)


def test_a_clearly_better_point_wins_however_far_it_is():
    scores = with_points(constant(0.5), {(0, 0): 0.8, (4, 3): 0.8 - 1.1 * TOLERANCE})
    assert landscape(scores).best(0, near=(4, 3)) == (0, 0)


def test_of_equally_good_and_equally_near_points_the_better_one_is_taken():
    scores = with_points(constant(0.5), {(1, 2): 0.8 - 0.5 * TOLERANCE, (3, 2): 0.8, (2, 1): 0.8 - 0.2 * TOLERANCE})
    assert landscape(scores).best(0, near=(2, 2)) == (3, 2)


def test_unknown_points_are_never_taken():
    scores = with_points(constant(NAN), {(3, 1): 0.1})
    assert landscape(scores).best(0, near=(0, 4)) == (3, 1)
    assert landscape(constant(NAN)).best(0, near=(0, 4)) is None


# ---- Flatness -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("good", "flat"), [(12, False), (13, True)])
def test_flat_means_that_more_than_half_of_the_points_are_as_good_as_the_best(good, flat):
    scores = constant(0.7).ravel()
    scores[:good] = 0.8 - 0.9 * INSENSITIVE_RANGE
    scores[0] = 0.8
    assert landscape(scores.reshape(5, 5)).is_insensitive(0) is flat


def test_unknown_points_say_nothing_about_flatness():
    scores = with_points(constant(NAN), {(0, 0): 0.8, (1, 0): 0.799, (2, 0): 0.5})
    assert landscape(scores).is_insensitive(0)
    assert landscape(scores).near_best(0).sum() == 2
    assert not landscape(constant(NAN)).is_insensitive(0)


def test_what_is_as_good_as_the_best_is_marked_tissue_by_tissue():
    found = landscape(constant(0.9), with_points(constant(0.5), {(2, 4): 0.8, (3, 4): 0.8 - 1.1 * INSENSITIVE_RANGE}))
    assert found.near_best(0).all()
    assert np.argwhere(found.near_best(1)).tolist() == [[2, 4]]


# ---- Between the points -------------------------------------------------------------------------


def test_between_the_points_scores_are_interpolated():
    scores = np.add.outer(0.1 * np.arange(5), 0.01 * np.arange(5))
    assert landscape(scores).at(0, (1.25, 2.5)) == pytest.approx(0.125 + 0.025)
    assert landscape(scores).at(0, (-3, 9)) == pytest.approx(0.04)


def test_an_unknown_neighbor_makes_the_value_unknown_only_where_it_counts():
    scores = with_points(constant(0.5), {(2, 2): NAN})
    assert np.isnan(landscape(scores).at(0, (1.5, 1.5)))
    assert landscape(scores).at(0, (1.0, 1.5)) == 0.5


# ---- Pictures -----------------------------------------------------------------------------------


def cell(picture: np.ndarray, a: int, b: int, points: int = 5) -> np.ndarray:
    """The pixels of one point of the grid, without the frame: (rows, columns, 3)."""
    size = len(picture) // points
    rows = slice(len(picture) - (b + 1) * size + 2, len(picture) - b * size - 2)
    return picture[rows, a * size + 2 : (a + 1) * size - 2]


def brightness(picture: np.ndarray) -> float:
    return float((picture @ [0.2126, 0.7152, 0.0722]).mean())


def test_lambda_grows_to_the_right_and_mu_upwards():
    picture = landscape_picture(with_points(constant(0.5), {(4, 1): 0.9}))
    shades = {(a, b): brightness(cell(picture, a, b)) for a in range(5) for b in range(5)}
    assert max(shades, key=shades.get) == (4, 1)
    assert sorted(shades.values())[-2] < shades[4, 1] / 4


def test_better_is_brighter_over_the_whole_range():
    scores = np.linspace(0.9 - SPAN, 0.9, 25).reshape(5, 5)
    picture = landscape_picture(scores)
    shades = [brightness(cell(picture, a, b)) for a in range(5) for b in range(5)]
    assert np.diff(shades).min() > 1


def test_equal_losses_have_equal_colors_in_all_pictures():
    steep = landscape_picture(with_points(constant(0.4), {(0, 0): 0.9, (2, 2): 0.88}))
    gentle = landscape_picture(with_points(constant(0.68), {(0, 0): 0.7}))
    assert np.array_equal(cell(steep, 2, 2), cell(gentle, 3, 3))
    assert not np.array_equal(cell(steep, 3, 3), cell(gentle, 3, 3))


def test_what_is_not_known_yet_is_gray():
    picture = landscape_picture(with_points(constant(NAN), {(1, 3): 0.5}))
    assert (cell(picture, 2, 3) == NOTHING).all() and not (cell(picture, 1, 3) == NOTHING).all(-1).any()
    assert (cell(landscape_picture(constant(NAN)), 0, 0) == NOTHING).all()


def test_the_chosen_point_is_marked_in_its_cell_only():
    scores = constant(0.9)
    plain, marked = landscape_picture(scores), landscape_picture(scores, chosen=(3, 1))
    changed = (plain != marked).any(-1)
    assert changed.any() and cell(changed[..., None], 3, 1).sum() == changed.sum()
    colors = cell(marked, 3, 1).reshape(-1, 3)
    assert (colors == 255).all(-1).any() and (colors < 40).all(-1).any()


@pytest.mark.parametrize("pixels", [140, 280])
def test_hatching_covers_its_cells_and_leaves_the_others(pixels):
    hatched = np.zeros((5, 5), bool)
    hatched[1, 2] = hatched[4, 4] = True
    changed = (
        landscape_picture(constant(0.9), pixels=pixels)
        != landscape_picture(constant(0.9), hatched=hatched, pixels=pixels)
    ).any(-1)
    for a in range(5):
        for b in range(5):
            part = cell(changed[..., None], a, b).mean()
            assert 0.2 < part < 0.7 if hatched[a, b] else part == 0


@pytest.mark.parametrize("points", [2, 5, 11])
def test_pictures_have_the_size_asked_for(points):
    for pixels in (140, 280):
        picture = landscape_picture(constant(0.9, (points, points)), (points - 1, 0), None, pixels)
        assert picture.shape == (pixels, pixels, 3) and picture.dtype == np.uint8
