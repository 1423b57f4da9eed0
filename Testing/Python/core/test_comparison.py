"""A deformation gains nothing by leaving the field of view, and no registration ends worse than it began."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from network_pairs import slice_pair
from synthetic_pairs import MOVING_GRID, pair_of, prepared, quick_solver, slice_case, volume_pair

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.data.images import Image, ImagePair
from TissueElasticRegistrationLib.core.data.progress import Frame, finish
from TissueElasticRegistrationLib.core.preparation.pyramid import MIN_LEVEL_VOXELS
from TissueElasticRegistrationLib.core.registration.comparison import LITTLE_COVERED, Comparison
from TissueElasticRegistrationLib.core.registration.direct_solver import NOTHING_BETTER, DirectSolver
from TissueElasticRegistrationLib.core.registration.registrar import Registrar

PAIRS = {"slice": slice_pair, "volume": volume_pair}


def comparison_of(registrar: Registrar) -> Comparison:
    pyramid = registrar.pyramid
    maps = pyramid.parameter_maps(registrar.table_parameters())
    return Comparison(registrar.solver.objective, pyramid.level(1), maps)


def displacement_of(registrar: Registrar, voxels: float) -> torch.Tensor:
    """Everything moved along the last axis."""
    shape = registrar.pyramid.level(1).shape
    displacement = torch.zeros(1, len(shape), *shape)
    displacement[:, -1] = voxels
    return displacement


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_what_is_moved_out_of_view_counts_as_without_deformation(pair):
    registrar = prepared(pair(), solver=quick_solver(), initial="none")
    comparison = comparison_of(registrar)
    gone = comparison.judge(displacement_of(registrar, 10 * registrar.pyramid.level(1).shape[-1]))
    assert gone.kept_share == 0
    assert float(gone.terms.similarity) == 0
    assert gone.objective == pytest.approx(comparison.undeformed.objective, abs=1e-6)  # a translation has no energy
    assert gone.is_worse(comparison.undeformed)


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_without_deformation_the_compared_objective_is_that_which_is_minimized(pair):
    registrar = prepared(pair(), solver=quick_solver(), initial="none")
    comparison = comparison_of(registrar)
    judged = comparison.judge(displacement_of(registrar, 0.0))
    assert judged.objective == pytest.approx(float(judged.terms.total), abs=1e-6)
    assert judged.objective == pytest.approx(comparison.undeformed.objective, abs=1e-6)
    assert judged.kept_share == comparison.undeformed.kept_share == 1
    assert not judged.is_worse(comparison.undeformed)


def test_leaving_what_does_not_match_lowers_only_what_is_minimized():
    """Half of the moving image is noise; moving just this half out of view raises the mean over what is left."""
    pair = slice_pair()
    values = pair.moving.array_kji.copy()
    half = values.shape[-1] // 2
    values[..., half:] = np.random.default_rng(1).uniform(values.min(), values.max(), values[..., half:].shape)
    registrar = prepared(
        replace(pair, moving=replace(pair.moving, array_kji=values)), solver=quick_solver(), initial="none"
    )
    comparison = comparison_of(registrar)
    displacement = displacement_of(registrar, 0.0)
    middle = displacement.shape[-1] // 2
    displacement[:, -1, :, middle:] = 2.0 * displacement.shape[-1]
    judged, undeformed = comparison.judge(displacement), comparison.undeformed
    assert 0.3 < judged.kept_share < 0.7
    assert float(judged.terms.similarity) > float(undeformed.terms.similarity) + 0.05
    gain = float(judged.terms.similarity) - float(undeformed.terms.similarity)
    compared_gain = undeformed.objective - (judged.objective - float(judged.terms.energy))
    assert compared_gain < gain / 2  # what is left of it comes from windows at the border between both halves
    assert judged.is_worse(undeformed)


def test_what_is_no_number_is_worse():
    registrar = prepared(slice_pair(), solver=quick_solver(), initial="none")
    comparison = comparison_of(registrar)
    undeformed = comparison.undeformed
    assert undeformed._replace(objective=float("nan")).is_worse(undeformed)
    assert not undeformed.is_worse(undeformed)


# --- Levels that are too coarse -------------------------------------------------------------------------------------


def test_levels_below_twelve_voxels_are_left_out_of_every_registration():
    registrar = prepared(volume_pair(), solver=DirectSolver(), initial="none")
    pyramid = registrar.pyramid
    pooled = [n for n, may_be in zip(pyramid.level(1).shape, pyramid.pair.pooled_axes, strict=True) if may_be]
    factors = [stage.factor for stage in registrar.solver.stages(pyramid)]
    assert factors == [f for f in (8, 4, 2, 1) if f == 1 or min(pooled) // f >= MIN_LEVEL_VOXELS]
    assert factors == [2, 1]
    assert pyramid.is_fine_enough(1)


# --- Stages and registrations that end worse ------------------------------------------------------------------------


class Leaving(DirectSolver):
    """Its stages at some factors move everything out of view."""

    def __init__(self, *factors: int, velocity_voxels: float = 30.0) -> None:
        super().__init__(settings=quick_solver().settings(2))
        self.factors, self.velocity_voxels = factors, velocity_voxels

    def descend(self, level, start, maps, stage, settings, tilt=None):
        found = yield from super().descend(level, start, maps, stage, settings, tilt)
        return torch.full_like(found, self.velocity_voxels) if stage.factor in self.factors else found


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_a_coarse_stage_that_leaves_the_view_is_given_up(pair):
    """What follows starts from where it had started: as if there had been no such stage."""
    registrar = prepared(pair(), solver=Leaving(2), initial="none")
    finish(registrar.register(registrar.table_parameters()))
    stages = registrar.solver.settings(registrar.working.dimension).stages[1:]
    alone = finish(quick_solver().solve(registrar.pyramid, registrar.table_parameters(), None, stages))
    assert torch.equal(registrar.solution.velocity, alone.velocity)
    assert registrar.solution.velocity.abs().max() > 0


@pytest.mark.parametrize("job", ["register", "live"])
@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_where_everything_ends_worse_there_is_no_deformation_and_this_is_said(pair, job):
    solver = Leaving(1, 2)
    registrar = prepared(pair(), solver=solver, initial="none")
    if job == "live":
        registrar.solver.settings = lambda dimension: replace(quick_solver().settings(dimension), learning_rate=40.0)
        frames = [step for step in registrar.live(registrar.table_parameters()) if isinstance(step, Frame)]
        assert np.abs(frames[-1].displacement_ras_mm).max() == 0
        assert NOTHING_BETTER in registrar.live_notes
        return
    finish(registrar.register(registrar.table_parameters()))
    result = finish(registrar.result())
    assert np.abs(result.displacement_ras_mm).max() == 0
    assert result.objective_values.objective_after == result.objective_values.objective_before
    assert result.objective_values.kept_share == 1
    assert NOTHING_BETTER in result.warnings


def cut(pair: ImagePair, share: float) -> ImagePair:
    """The moving image keeps its first slices along k."""
    count = round(share * MOVING_GRID.shape_kji[0])
    geometry = Geometry((count, *MOVING_GRID.shape_kji[1:]), MOVING_GRID.ijk_to_ras)
    return replace(pair, moving=Image(pair.moving.array_kji[:count], geometry, "moving"), moving_segmentation=None)


@pytest.mark.parametrize("share", [0.4, 0.6, 1.0])
def test_small_volumes_that_share_a_part_do_not_end_worse(share):
    """Before levels were judged, such pairs ended tens of millimeters away (7 -> 46 mm)."""
    registrar = prepared(cut(volume_pair(), share), initial="none")
    finish(registrar.register(registrar.table_parameters()))
    values = registrar.solution.objective_values
    assert values.objective_after < values.objective_before
    assert values.kept_share > 0.75
    length_mm = np.linalg.norm(registrar.displacement_ras_mm()[0], axis=-1)
    assert length_mm.max() < 20  # the true deformation is at most 8.8 mm


@pytest.mark.parametrize(
    ("share", "gain", "voxels_per_voxel", "is_accepted"),
    [(1.0, 0.01, 0.8, True), (0.3, 0.01, 0.0, False), (0.3, 0.1, 0.0, True), (0.3, 0.1, 0.8, False)],
)
def test_where_little_is_shared_a_deformation_has_to_be_clear_and_moderate(share, gain, voxels_per_voxel, is_accepted):
    """gain: of what is missing to the highest similarity; voxels per voxel: how far the last axis is stretched."""
    registrar = prepared(cut(volume_pair(), share), solver=quick_solver(), initial="none")
    comparison = comparison_of(registrar)
    assert (comparison.covered_share < LITTLE_COVERED) == (share < 1)
    displacement = displacement_of(registrar, 0.0)
    displacement[:, -1] = voxels_per_voxel * torch.arange(displacement.shape[-1])
    before = comparison.undeformed
    gained = gain * (1 - float(before.terms.similarity))
    found = before._replace(objective=before.objective - gained)
    assert comparison.accepts(displacement, found) == is_accepted


def test_noise_is_not_followed_and_this_is_said():
    case = slice_case()
    noise = np.random.default_rng(3).normal(size=case.moving.array_kji.shape).astype(np.float32)
    pair = replace(pair_of(case), moving=replace(case.moving, array_kji=noise))
    registrar = prepared(pair, initial="none")
    finish(registrar.register(registrar.table_parameters()))
    result = finish(registrar.result())
    assert any("hardly match" in reason for reason in result.unreliable)
    assert not result.displacement_ras_mm.any()
