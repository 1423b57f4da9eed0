"""Auto-estimate by grid search: which tissues are estimated, what is taken, failures, and a search that is dropped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from estimation_case import grid_alone, one_by_one, overlap_of, registrar_of, thorax_registrar, thorax_slice
from synthetic_pairs import quick_solver

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.data.images import Image, ImagePair, Segmentation
from TissueElasticRegistrationLib.core.data.progress import finish
from TissueElasticRegistrationLib.core.data.tissues import BACKGROUND, Lame, Tissue, TissueParameters
from TissueElasticRegistrationLib.core.estimation.coarse_registration import CoarseRegistration
from TissueElasticRegistrationLib.core.estimation.estimate_result import Estimate, EstimateProgress, TissueEstimate
from TissueElasticRegistrationLib.core.estimation.grid_search import estimate_by_grid
from TissueElasticRegistrationLib.core.physics.objective import Objective
from TissueElasticRegistrationLib.core.physics.parameter_scale import LogScale, PaperScale
from TissueElasticRegistrationLib.core.registration.direct_solver import DirectSolver
from TissueElasticRegistrationLib.core.registration.registrar import Registrar
from TissueElasticRegistrationLib.core.registration.solution import DirectSettings, Stage

WEIGHTS = [LogScale().weight(slider) for slider in (0, 0.25, 0.5, 0.75, 1)]
MIDDLE = TissueParameters({}, default=Lame(WEIGHTS[2], WEIGHTS[2]))


@cache
def thorax_estimate() -> Estimate:
    registrar = thorax_registrar()
    return one_by_one(registrar, registrar.table_parameters())


def of_tissue(estimate: Estimate, name: str) -> TissueEstimate:
    return next(row for row in estimate.per_tissue if row.tissue.name == name)


def scores_of(estimate: Estimate, name: str) -> np.ndarray:
    number = [row.tissue.name for row in estimate.per_tissue].index(name)
    return estimate.landscape.scores[number]


# -- what is taken ---------------------------------------------------------------------------------------------------


def test_every_tissue_with_labels_in_both_images_takes_its_best_place():
    estimate = thorax_estimate()
    assert estimate.complete and estimate.landscape.scores.shape == (len(estimate.per_tissue), 5, 5)
    assert estimate.landscape.lam.tolist() == estimate.landscape.mu.tolist() == pytest.approx(WEIGHTS)
    for name in ("lung", "bone", "liver", "soft"):
        row, scores = of_tissue(estimate, name), scores_of(estimate, name)
        assert row.is_estimated and np.isfinite(scores).all()
        assert row.lame == Lame(estimate.landscape.lam[row.point[0]], estimate.landscape.mu[row.point[1]])
        assert row.score == scores[row.point] >= scores.max() - 0.002
        assert estimate.parameters[row.tissue.label] == row.lame


def test_what_no_segment_stands_for_keeps_its_start_value():
    estimate, start = thorax_estimate(), thorax_registrar().table_parameters()
    row = of_tissue(estimate, "background")
    assert not row.is_estimated and row.point is None and np.isnan(row.score)
    assert np.isnan(scores_of(estimate, "background")).all()
    assert row.lame == estimate.parameters[BACKGROUND] == start[BACKGROUND]


def test_unsegmented_tissue_keeps_its_start_value_even_if_the_moving_segmentation_has_more_tissues():
    pair = thorax_slice()
    without_soft = _without(pair.fixed_segmentation, "soft")
    registrar = registrar_of(replace(pair, fixed_segmentation=without_soft))
    estimate = finish(estimate_by_grid(registrar, MIDDLE, points=2))
    row = of_tissue(estimate, "unsegmented")
    assert not row.is_estimated and row.lame == MIDDLE.default and np.isnan(row.score)


def test_the_start_score_lies_between_those_of_the_places_around_the_start_value():
    row, scores = of_tissue(thorax_estimate(), "liver"), scores_of(thorax_estimate(), "liver")
    around = scores[1:3, 1:3]  # the table gives 1, between 0.2 and 2
    assert around.min() < row.start_score < around.max()


def test_each_tissue_gets_the_stiffness_that_suits_its_own_motion():
    """Two discs shrink in the image. One label shrinks along, the other stays: it is matched best by a stiff image."""
    estimate = one_by_one(registrar_of(_discs_pair(), solver=None), MIDDLE)
    shrinking, staying = of_tissue(estimate, "shrinking"), of_tissue(estimate, "staying")
    assert shrinking.lame.mu < staying.lame.mu
    assert shrinking.score > 0.95 and staying.score > 0.95
    assert not shrinking.insensitive and not staying.insensitive


def test_equal_images_say_nothing_and_so_every_tissue_stays_next_to_its_start_value():
    pair = thorax_slice()
    registrar = registrar_of(replace(pair, moving=pair.fixed, moving_segmentation=pair.fixed_segmentation))
    start = MIDDLE.with_tissue(1, Lame(0.15, 3.0)).with_tissue(2, Lame(30, 20))
    estimate = one_by_one(registrar, start)
    assert all(row.insensitive and row.score > 0.99 for row in estimate.per_tissue if row.is_estimated)
    assert of_tissue(estimate, "lung").lame == Lame(WEIGHTS[1], WEIGHTS[2])
    assert of_tissue(estimate, "bone").lame == Lame(WEIGHTS[3], WEIGHTS[3])


def test_the_paper_s_scale_is_searched_from_0_to_1():
    registrar = registrar_of(thorax_slice(), solver=DirectSolver(Objective(PaperScale()), quick_solver().settings(2)))
    estimate = finish(estimate_by_grid(registrar, registrar.table_parameters(), points=3))
    assert estimate.landscape.lam.tolist() == [0, 0.5, 1]
    finish(registrar.register(estimate.parameters))  # which checks the range


# -- which tissues are estimated -------------------------------------------------------------------------------------


def test_small_and_missing_tissues_keep_their_start_values_and_have_no_score():
    pair = thorax_slice()
    fixed, moving = pair.fixed_segmentation, _without(pair.moving_segmentation, "liver")
    labels = fixed.labels_kji.copy()
    soft = np.argwhere(labels == 4)
    labels[tuple(soft[:: len(soft) // 20][:20].T)] = 9
    small = replace(fixed, labels_kji=labels, tissues=(*fixed.tissues, Tissue(9, "nodule")))
    moving_labels = moving.labels_kji.copy()
    moving_labels[labels == 9] = 9
    moving = replace(moving, labels_kji=moving_labels, tissues=(*moving.tissues, Tissue(9, "nodule")))
    registrar = registrar_of(replace(pair, fixed_segmentation=small, moving_segmentation=moving))
    estimate = finish(estimate_by_grid(registrar, MIDDLE, points=2))
    for name, reason in (("liver", "'liver' is not in the moving segmentation"), ("nodule", "'nodule' has only 20")):
        row = of_tissue(estimate, name)
        assert not row.is_estimated and not row.insensitive and row.lame == MIDDLE.default
        assert np.isnan(row.score) and np.isnan(scores_of(estimate, name)).all()
        assert any(warning.startswith(reason) for warning in estimate.warnings)
    assert sum(warning.startswith(("'liver'", "'nodule'")) for warning in estimate.warnings) == 2
    assert of_tissue(estimate, "lung").is_estimated


def test_locked_tissues_keep_their_values_and_still_show_their_landscape():
    start = MIDDLE.with_tissue(1, Lame(0.5, 0.7))
    estimate = finish(estimate_by_grid(thorax_registrar(), start, locked=[1], points=2))
    row = of_tissue(estimate, "lung")
    assert not row.is_estimated and row.point is None and row.lame == estimate.parameters[1] == Lame(0.5, 0.7)
    assert np.isfinite(scores_of(estimate, "lung")).all() and np.isfinite(row.score)
    assert of_tissue(estimate, "bone").is_estimated


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moving", "locked", "points", "message"),
    [
        (None, (), 5, "requires a segmentation of the moving image"),
        ({"lung": "hat", "bone": "stick", "liver": "egg", "soft": "rest"}, (), 5, "share no tissue"),
        ({}, (1, 2, 3, 4), 5, "all tissues that could be estimated are locked"),
        ({}, (), 1, "from 2 to 50, not 1"),
    ],
)
def test_a_search_that_cannot_say_anything_is_refused_in_one_sentence(moving, locked, points, message):
    pair = thorax_slice()
    segmentation = (
        None
        if moving is None
        else replace(
            pair.moving_segmentation,
            tissues=tuple(
                replace(tissue, name=moving.get(tissue.name, tissue.name))
                for tissue in pair.moving_segmentation.tissues
            ),
        )
    )
    registrar = registrar_of(replace(pair, moving_segmentation=segmentation))
    with pytest.raises(ValueError, match=message) as refusal:
        finish(estimate_by_grid(registrar, MIDDLE, locked, points))
    assert str(refusal.value).endswith(".") and "\n" not in str(refusal.value)


def test_an_unprepared_registrar_is_refused():
    with pytest.raises(ValueError, match="not prepared"):
        finish(estimate_by_grid(Registrar(thorax_slice()), MIDDLE))


# -- failures --------------------------------------------------------------------------------------------------------


class FragileSolver(DirectSolver):
    """Fails, or returns nonsense, for some weights; ``breaks``: (λ, μ) -> "error", "nan" or ""."""

    def __init__(self, breaks: Callable[[float, float], str]) -> None:
        super().__init__(settings=quick_solver().settings(2))
        self.breaks = breaks

    def descend(self, level, start, maps, *arguments, **options):
        lam, mu = maps() if callable(maps) else maps
        kind = self.breaks(float(lam.max()), float(mu.max()))
        if kind == "error":
            raise RuntimeError("out of luck\nand more lines")
        found = yield from super().descend(level, start, maps, *arguments, **options)
        return found * np.nan if kind else found


@pytest.mark.parametrize("kind", ["error", "nan"])
@pytest.mark.parametrize("bad", [(0, 0), (2, 1)])
def test_a_place_that_fails_stays_unknown_and_the_others_do_not_notice(kind, bad):
    weights = [WEIGHTS[0], WEIGHTS[2], WEIGHTS[4]]
    solver = FragileSolver(lambda lam, mu: kind * (np.allclose((lam, mu), (weights[bad[0]], weights[bad[1]]))))
    estimate = one_by_one(registrar_of(thorax_slice(), solver=solver), MIDDLE, points=3)
    scores = scores_of(estimate, "lung")
    assert np.argwhere(np.isnan(scores)).tolist() == [list(bad)]
    assert scores[np.isfinite(scores)].min() > 0.7
    warnings = [warning for warning in estimate.warnings if "is at the limit" not in warning]
    assert len(warnings) == 1 and "could not be registered" in warnings[0]
    assert "\n" not in warnings[0]
    assert of_tissue(estimate, "lung").is_estimated and of_tissue(estimate, "lung").point != bad


def test_a_search_without_any_result_is_an_error():
    registrar = registrar_of(thorax_slice(), solver=FragileSolver(lambda lam, mu: "error"))
    with pytest.raises(RuntimeError, match="Nothing could be estimated.*out of luck"):
        finish(estimate_by_grid(registrar, MIDDLE, points=2))


# -- as a job --------------------------------------------------------------------------------------------------------


def test_the_best_so_far_is_told_after_every_place():
    registrar = thorax_registrar()
    with grid_alone():
        seen = list(estimate_by_grid(registrar, registrar.table_parameters(), points=3))
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions) and fractions[0] >= 0 and fractions[-1] == pytest.approx(1)
    assert all(progress.text.startswith(("comparing", "λ ", "done")) for progress in seen)
    partial = [progress.estimate for progress in seen if isinstance(progress, EstimateProgress)]
    assert [np.isfinite(scores_of(estimate, "bone")).sum() for estimate in partial] == [*range(1, 10), 9]
    assert [estimate.complete for estimate in partial] == [False] * 9 + [True]
    known = np.isfinite(partial[0].landscape.scores)
    assert np.array_equal(partial[0].landscape.scores[known], partial[-1].landscape.scores[known])
    for estimate in partial:
        row = of_tissue(estimate, "bone")
        assert row.score >= np.nanmax(scores_of(estimate, "bone")) - 0.002


@pytest.mark.parametrize("steps", [0, 1, 2, 40, 61, 200])
def test_a_dropped_search_leaves_everything_as_it_was(steps):
    registrar = registrar_of(thorax_slice())
    finish(registrar.register(registrar.table_parameters()))
    before = _state(registrar)
    threads = torch.get_num_threads()
    job = estimate_by_grid(registrar, MIDDLE)
    for _ in range(steps):
        next(job)
    job.close()
    assert _state(registrar) == before and torch.get_num_threads() == threads and torch.is_grad_enabled()


def test_a_finished_search_leaves_the_registration_as_it_was():
    registrar = registrar_of(thorax_slice())
    finish(registrar.register(registrar.table_parameters()))
    before = _state(registrar)
    finish(estimate_by_grid(registrar, MIDDLE, points=2))
    assert _state(registrar) == before


def test_equal_searches_give_equal_results():
    registrar = thorax_registrar()
    first, second = (finish(estimate_by_grid(registrar, registrar.table_parameters(), points=3)) for _ in range(2))
    assert np.array_equal(first.landscape.scores, second.landscape.scores, equal_nan=True)
    assert first.parameters == second.parameters and first.warnings == second.warnings


def test_places_found_from_a_neighbor_are_as_good_as_those_found_from_zero():
    """The landscape from zero is the measure: what the quick search takes must be nearly the best there."""
    stages = (Stage(4, 30), Stage(2, 30), Stage(1, 30))
    registrar = registrar_of(thorax_slice(), solver=DirectSolver(settings=DirectSettings(stages)))
    quick = one_by_one(registrar, MIDDLE, points=3)
    registrations, overlap = CoarseRegistration(registrar.solver, registrar.pyramid), overlap_of(registrar)
    slow = np.empty((len(overlap.labels), 3, 3))
    for a, b in np.ndindex(3, 3):
        lame = Lame(quick.landscape.lam[a], quick.landscape.mu[b])
        displacement = registrations.displacement(finish(registrations.register(lame, None)))
        slow[:, a, b] = overlap.dice(overlap.warp(displacement))
    for label, scores in zip(overlap.labels, slow, strict=True):
        point = next(row.point for row in quick.per_tissue if row.tissue.label == label)
        assert scores.max() - scores[point] < 0.01
        assert scores.max() - scores.min() > 0.03


def test_from_zero_it_is_the_registrar_s_own_registration_with_equal_parameters_everywhere():
    registrar, lame = registrar_of(thorax_slice()), Lame(0.5, 3.0)
    registrations = CoarseRegistration(registrar.solver, registrar.pyramid)
    found = registrations.displacement(finish(registrations.register(lame, None)))
    finish(registrar.register(TissueParameters({}, default=lame)))
    wanted = registrar.solution.displacement
    assert wanted.abs().max() > 0.5
    assert (found - wanted).abs().max() < 1e-4


@pytest.mark.parametrize(
    ("shape", "factor"), [((1, 64, 64), 1), ((1, 96, 96), 2), ((1, 200, 180), 2), ((1, 384, 384), 4)]
)
def test_fine_levels_are_left_out(shape, factor):
    registrar = registrar_of(_noise_pair(shape), solver=None)
    registrations = CoarseRegistration(registrar.solver, registrar.pyramid)
    job = registrations.register(Lame(1, 1), start=torch.zeros(1, 2, 4, 4))
    assert next(job).text.startswith(f"level 1/{factor},")


# -- helpers ---------------------------------------------------------------------------------------------------------


def _without(segmentation: Segmentation, name: str) -> Segmentation:
    """The same segmentation without one tissue."""
    gone = next(tissue for tissue in segmentation.tissues if tissue.name == name)
    labels = np.where(segmentation.labels_kji == gone.label, BACKGROUND, segmentation.labels_kji)
    return replace(segmentation, labels_kji=labels, tissues=tuple(t for t in segmentation.tissues if t is not gone))


def _discs_pair() -> ImagePair:
    """Two discs that are both smaller in the moving image; of the labels, only one is."""
    rows, columns = np.mgrid[:64, :64].astype(float)
    geometry = Geometry((1, 64, 64), np.diag([4.0, 4.0, 4.0, 1.0]))
    centers, tissues = ((20.0, 18.0), (42.0, 45.0)), (Tissue(1, "shrinking"), Tissue(2, "staying"))

    def image(radius: float) -> Image:
        value = np.full((64, 64), 100.0)
        for y, x in centers:
            distance = np.hypot(rows - y, columns - x) / radius
            value += 80 / (1 + np.exp(np.clip(12 * (distance - 1), -50, 50))) - 40 * np.exp(-((distance / 0.5) ** 2))
        return Image(value[None].astype(np.float32), geometry, "discs")

    def labels(*radii: float) -> Segmentation:
        value = np.zeros((64, 64), np.uint8)
        for number, ((y, x), radius) in enumerate(zip(centers, radii, strict=True), start=1):
            value[np.hypot(rows - y, columns - x) < radius] = number
        return Segmentation(value[None], geometry, tissues)

    return ImagePair(image(11), image(8), labels(11, 11), labels(8, 11))


def _noise_pair(shape_kji: tuple[int, int, int]) -> ImagePair:
    geometry = Geometry(shape_kji, np.eye(4))
    values = np.random.default_rng(1).random((2, *shape_kji)).astype(np.float32)
    labels = np.ones(shape_kji, np.uint8)
    labels[..., :9] = 2
    segmentation = Segmentation(labels, geometry, (Tissue(1, "soft"), Tissue(2, "lung")))
    return ImagePair(Image(values[0], geometry), Image(values[1], geometry), segmentation, segmentation)


def _state(registrar: Registrar) -> tuple:
    displacement, _ = registrar.displacement_ras_mm()
    result = finish(registrar.result())
    return (
        displacement.tobytes(),
        result.objective_values,
        tuple(row.dice_after for row in result.tissues[1:]),
        {key: value for key, value in result.seconds.items() if key != "evaluate"},
    )
