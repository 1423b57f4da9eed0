"""What parameters are judged by, and what is held out of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from estimation_case import registrar_of, thorax_slice
from synthetic_pairs import displaced, rigid_lps_transform, rigid_ras, slice_case, volume_pair

from TissueElasticRegistrationLib.core.data.images import Landmarks
from TissueElasticRegistrationLib.core.data.progress import finish
from TissueElasticRegistrationLib.core.estimation.criteria.class_overlap import ClassOverlap
from TissueElasticRegistrationLib.core.estimation.criteria.criterion import CRITERIA, criterion_for, depends_on
from TissueElasticRegistrationLib.core.estimation.criteria.hold_out import NOTHING_HELD_OUT, HoldOut
from TissueElasticRegistrationLib.core.estimation.grid_search import estimate_by_grid
from TissueElasticRegistrationLib.core.estimation.task import make_task
from TissueElasticRegistrationLib.core.registration.registrar import Registrar
from TissueElasticRegistrationLib.core.reporting.estimate_summary import landmark_errors_of, summarize_estimate

LUNG, BONE, LIVER, SOFT = 1, 2, 3, 4


def with_landmarks(**changes) -> Registrar:
    return registrar_of(replace(thorax_slice(), landmarks=slice_case().landmarks(24), **changes))


def registered(registrar: Registrar) -> torch.Tensor:
    finish(registrar.register(registrar.table_parameters()))
    return registrar.solution.displacement


# --- Landmarks --------------------------------------------------------------------------------------------------------


def test_the_score_of_landmarks_is_the_error_that_a_result_reports():
    registrar = with_landmarks()
    criterion = criterion_for("landmarks", registrar, NOTHING_HELD_OUT)
    scores = criterion.scores(registered(registrar))
    by_tissue = dict(zip(criterion.labels, scores, strict=True))
    landmarks, result = registrar.pair.landmarks, finish(registrar.result())
    names = {LUNG: "lung", BONE: "bone", LIVER: "liver", SOFT: "soft"}
    for label, score in by_tissue.items():
        own = [name for name in landmarks.names if name.startswith(names[label])]
        assert -score == pytest.approx(landmark_errors_of(registrar.pair, result, own).after_mean, abs=0.15)


def test_landmarks_know_the_initial_alignment():
    """Every moving point lies 3 mm from where the alignment alone brings its fixed one."""
    matrix, pair = rigid_ras((40, -25, 30), (0, 0, 12)), volume_pair()
    fixed = np.array([[12.0, -30, 55], [15, -31, 58], [10, -27, 52], [11, -33, 50], [26, -38, 51], [-3, -24, 49]])
    away = 3 * np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.6, 0.8, 0], [0, -0.6, 0.8], [-1, 0, 0]])
    moving = (fixed + away) @ matrix[:3, :3].T + matrix[:3, 3]
    registrar = registrar_of(
        replace(
            pair, moving=displaced(pair.moving, matrix), moving_segmentation=None, landmarks=Landmarks(fixed, moving)
        ),
        initial=rigid_lps_transform(matrix),
    )
    criterion = criterion_for("landmarks", registrar, NOTHING_HELD_OUT)
    scores = criterion.scores(torch.zeros(1, 3, *registrar.working.labels.shape[2:]))
    assert len(scores) >= 1 and scores == pytest.approx(-3, abs=1e-3)


def test_a_landmark_in_no_segment_speaks_for_every_tissue():
    registrar = with_landmarks()
    landmarks = registrar.pair.landmarks
    outside = np.argwhere(registrar.working.volume(registrar.working.labels) == 0)[7][::-1]
    point = registrar.working.geometry.points_ras_mm(outside[None].astype(float))
    more = Landmarks(
        np.vstack([landmarks.fixed_ras_mm, point]),
        np.vstack([landmarks.moving_ras_mm, point + 50]),
        (*landmarks.names, "outside"),
    )
    shape = registrar.working.labels.shape[2:]
    at_rest = [
        criterion_for("landmarks", other, NOTHING_HELD_OUT).scores(torch.zeros(1, 2, *shape))
        for other in (registrar, registrar_of(replace(registrar.pair, landmarks=more)))
    ]
    assert (at_rest[1] < at_rest[0] - 1).all()


def test_tissues_with_too_few_landmarks_are_silent_and_say_so():
    registrar = with_landmarks()
    names = [name for name in registrar.pair.landmarks.names if name.startswith("liver")][2:]
    criterion = criterion_for("landmarks", registrar, HoldOut.of(landmarks=names))
    assert LIVER not in criterion.labels and "'liver' has only 2 landmarks" in criterion.not_scored[LIVER]


# --- Similarity -------------------------------------------------------------------------------------------------------


def test_similarity_inside_a_tissue_rises_where_the_images_are_brought_together():
    registrar = registrar_of(replace(thorax_slice(), moving_segmentation=None))
    criterion = criterion_for("similarity", registrar, NOTHING_HELD_OUT)
    displacement = registered(registrar)
    before, after = (criterion.scores(field) for field in (torch.zeros_like(displacement), displacement))
    assert criterion.labels == (LUNG, BONE, LIVER, SOFT)
    assert (after > before + 0.02).all() and after.max() <= 1


def test_similarity_warns_that_it_rewards_soft_tissue():
    registrar = registrar_of(replace(thorax_slice(), moving_segmentation=None))
    estimate = finish(estimate_by_grid(registrar, registrar.table_parameters(), points=2, objective="similarity"))
    assert estimate.criterion == "similarity" and any("favors soft tissue" in text for text in estimate.warnings)


# --- Names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "name"),
    [("dice", "class-wise Dice"), ("landmarks", "landmark distance"), ("similarity", "similarity inside the tissue")],
)
def test_an_estimate_tells_its_criterion_by_key_and_by_name_and_the_file_the_key(key, name):
    registrar = with_landmarks()
    task = finish(make_task(registrar, registrar.table_parameters(), (), key, NOTHING_HELD_OUT))
    estimate = task.answer("grid", (), None, complete=True)
    assert (estimate.criterion, estimate.criterion_name) == (key, name)
    registered(registrar)
    assert summarize_estimate(estimate, registrar.pair, finish(registrar.result()))["objective"] == key


# --- The list of criteria ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", CRITERIA)
def test_every_listed_criterion_is_made_for_a_pair_that_has_all_inputs(key):
    criterion = criterion_for(key, with_landmarks(), NOTHING_HELD_OUT)
    assert criterion.key == key and set(criterion.labels) == {LUNG, BONE, LIVER, SOFT}


@pytest.mark.parametrize("key", CRITERIA)
def test_a_criterion_refuses_a_pair_exactly_if_an_input_it_needs_is_missing(key):
    for needed in ("moving_segmentation", "landmarks"):
        registrar = registrar_of(replace(with_landmarks().pair, **{needed: None}))
        if needed in CRITERIA[key].needs:
            with pytest.raises(ValueError, match=r"An estimate by .* requires .*\.$"):
                criterion_for(key, registrar, NOTHING_HELD_OUT)
        else:
            assert criterion_for(key, registrar, NOTHING_HELD_OUT).labels


def test_distances_are_shown_positive_with_their_unit_and_overlap_as_it_is():
    assert CRITERIA["landmarks"].text(-1.256) == "1.26 mm" and CRITERIA["dice"].text(0.9) == "0.900"


def test_what_parameters_were_chosen_with_is_no_independent_evidence():
    assert depends_on("dice", "moving_segmentation") and not depends_on("dice", "landmarks")
    assert depends_on("landmarks", "landmarks") and not depends_on(None, "landmarks")


def test_an_entry_in_the_list_is_all_that_a_new_criterion_needs(monkeypatch):
    """The overlap of lungs alone, under another key."""

    class LungOverlap(ClassOverlap):
        key, labels = "lungs", (LUNG,)

        def __init__(self, registrar: Registrar) -> None:
            others = [BONE, LIVER, SOFT]
            super().__init__(
                registrar.pair, registrar.working, registrar.initial.transform, registrar.pyramid.device, others
            )

    info = replace(CRITERIA["dice"], name="lung Dice", make=lambda registrar, hold_out: LungOverlap(registrar))
    monkeypatch.setitem(CRITERIA, "lungs", info)
    registrar = with_landmarks()
    found = finish(estimate_by_grid(registrar, registrar.table_parameters(), points=2, objective="lungs"))
    assert [tissue.name for tissue in found.tuned_on] == ["lung"]
    assert (found.criterion, found.criterion_name) == ("lungs", "lung Dice")


# --- Derivatives ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", CRITERIA)
def test_soft_scores_are_close_to_the_scores_and_have_their_derivative(objective):
    registrar = with_landmarks()
    criterion = criterion_for(objective, registrar, NOTHING_HELD_OUT)
    displacement = registered(registrar).clone().requires_grad_(True)
    soft = criterion.soft_scores(displacement)
    assert soft.detach().numpy() == pytest.approx(criterion.scores(displacement.detach()), abs=0.06)
    slope = torch.autograd.grad(soft.sum(), displacement)[0]
    better = displacement.detach() + 0.2 * slope / slope.abs().max()
    assert criterion.soft_scores(better).sum() > soft.sum()


# --- Hold-out ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", CRITERIA)
def test_a_held_out_tissue_keeps_its_values_and_has_no_score(objective):
    registrar = with_landmarks()
    start = registrar.table_parameters()
    estimate = finish(estimate_by_grid(registrar, start, points=2, objective=objective, hold_out=HoldOut.of([LIVER])))
    row = next(row for row in estimate.per_tissue if row.tissue.label == LIVER)
    assert not row.is_estimated and np.isnan(row.score) and row.lame == start[LIVER]
    assert [tissue.name for tissue in estimate.held_out] == ["liver"]
    assert "liver" not in [tissue.name for tissue in estimate.tuned_on] and len(estimate.tuned_on) >= 2


def test_labels_of_a_held_out_tissue_do_not_change_the_estimate():
    """The held-out tissue of the moving image is given to another one that is not estimated either."""
    pair = thorax_slice()
    moving = pair.moving_segmentation
    labels = np.where(moving.labels_kji == LIVER, 0, moving.labels_kji)
    labels[0, :3, :4] = LIVER
    scrambled = replace(pair, moving_segmentation=replace(moving, labels_kji=labels))
    found = []
    for one in (pair, scrambled):
        registrar = registrar_of(one)
        found.append(
            finish(estimate_by_grid(registrar, registrar.table_parameters(), points=2, hold_out=HoldOut.of([LIVER])))
        )
    assert found[0].parameters == found[1].parameters
    assert np.array_equal(found[0].landscape.scores, found[1].landscape.scores, equal_nan=True)


def test_held_out_landmarks_do_not_change_the_estimate_and_are_reported_alone():
    landmarks = slice_case().landmarks(24)
    held_out = landmarks.names[::2]
    wrong = landmarks.moving_ras_mm.copy()
    wrong[::2] += 40
    found = []
    for one in (landmarks, replace(landmarks, moving_ras_mm=wrong)):
        registrar = registrar_of(replace(thorax_slice(), landmarks=one))
        found.append(
            finish(
                estimate_by_grid(
                    registrar,
                    registrar.table_parameters(),
                    points=2,
                    objective="landmarks",
                    hold_out=HoldOut.of(landmarks=held_out),
                )
            )
        )
    assert found[0].parameters == found[1].parameters
    finish(registrar.register(found[1].parameters))
    account = summarize_estimate(found[1], registrar.pair, finish(registrar.result()))
    assert account["held_out"]["landmarks"] == sorted(held_out)
    assert account["held_out"]["tre_mm"]["n"] == len(held_out) and account["held_out"]["tre_mm"]["after_mean"] > 30


# --- Refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("objective", "hold_out", "message"),
    [
        ("landmarks", NOTHING_HELD_OUT, "requires corresponding landmarks"),
        ("depth", NOTHING_HELD_OUT, "Unknown criterion 'depth'; choose dice, landmarks, or similarity"),
        ("dice", HoldOut.of([0]), "Only tissues that have a segment"),
        ("dice", HoldOut.of([77]), "Only tissues that have a segment"),
        ("dice", HoldOut.of(landmarks=["tip"]), "no landmark 'tip'"),
        ("dice", HoldOut.of([1, 2, 3, 4]), "No tissue can be scored"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_one_sentence(objective, hold_out, message):
    with pytest.raises(ValueError, match=message) as refusal:
        criterion_for(objective, registrar_of(thorax_slice()), hold_out)
    assert str(refusal.value).endswith(".") and "\n" not in str(refusal.value)
