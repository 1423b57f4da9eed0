"""Following the sliders: a quick first frame, the right end, nothing lost when it is dropped."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from network_pairs import slice_pair
from synthetic_pairs import (
    at_table_values,
    pair_of,
    prepared,
    quick_solver,
    rigid_lps_transform,
    rigid_ras,
    volume_pair,
)

from TissueElasticRegistrationLib.core.data.images import ImagePair
from TissueElasticRegistrationLib.core.data.itk_bridge import displacement_transform
from TissueElasticRegistrationLib.core.data.progress import Frame, finish
from TissueElasticRegistrationLib.core.data.tissues import Lame
from TissueElasticRegistrationLib.core.physics.deformation import integrate, jacobian_determinant
from TissueElasticRegistrationLib.core.registration import live, live_pace
from TissueElasticRegistrationLib.core.registration.direct_solver import DirectSolver
from TissueElasticRegistrationLib.core.registration.registrar import Registrar
from training.phantoms import make_case


@cache
def slice_of(seed: int, spacing_mm: float) -> ImagePair:
    return pair_of(make_case(2, seed, spacing_mm=spacing_mm))


PAIRS = {"slice": slice_pair, "volume": volume_pair}


def frames_of(job) -> list[Frame]:
    return [progress for progress in job if isinstance(progress, Frame)]


def with_lung(registrar: Registrar, weight: float):
    label = next(tissue.label for tissue in registrar.tissues if tissue.name == "lung")
    return registrar.table_parameters().with_tissue(label, Lame(weight, weight))


def objective_at(registrar: Registrar, parameters, velocity) -> float:
    """J of a full velocity at full resolution."""
    pyramid, refiner = registrar.pyramid, registrar.solver.refiner
    settings = refiner.settings(registrar.working.dimension)
    return refiner.value(pyramid.level(1), velocity, pyramid.parameter_maps(parameters), settings)


def at(points_ras_mm: np.ndarray, displacement_ras_mm: np.ndarray, geometry) -> np.ndarray:
    transform = displacement_transform(displacement_ras_mm, geometry)
    lps = np.array([-1, -1, 1])
    return np.array([lps * transform.TransformPoint((lps * point).tolist()) for point in points_ras_mm])


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_live_prepares_first_and_ends_like_a_registration(pair):
    registrar, reference = Registrar(pair(), initial="none", threads=1), at_table_values(pair(), initial="none")
    parameters = reference.table_parameters()
    last = frames_of(registrar.live(parameters))[-1]
    points = registrar.working.geometry.voxel_centers_ras_mm()[:, 4:-4:3, 4:-4:3].reshape(-1, 3)[::3]
    expected = at(points, *reference.displacement_ras_mm())
    np.testing.assert_allclose(at(points, last.displacement_ras_mm, last.geometry), expected, atol=2e-3)


def test_frames_stay_on_one_grid_that_covers_the_fixed_image():
    pair = volume_pair()
    registrar = prepared(pair, initial="none")
    frames = frames_of(registrar.live(registrar.table_parameters())) + frames_of(
        registrar.live(with_lung(registrar, 5.0))
    )
    assert all(frame.geometry.agrees_with(frames[0].geometry, 1e-9) for frame in frames)
    corners = frames[0].geometry.points_ijk(pair.fixed.geometry.corners_ras_mm())
    assert (corners >= -0.5 - 1e-6).all()
    assert (corners <= np.array(frames[0].geometry.shape_kji[::-1]) - 0.5 + 1e-6).all()


def test_frames_contain_the_initial_alignment():
    shift = rigid_ras((7.0, -4.0, 3.0), (0, 0, 12))
    registrar = Registrar(volume_pair(), initial=rigid_lps_transform(shift), threads=1)
    frame = frames_of(registrar.live(prepared(volume_pair(), initial="none").table_parameters()))[-1]
    finish(registrar.register(registrar.table_parameters()))
    points = volume_pair().fixed.geometry.voxel_centers_ras_mm()[4:-4:4, 4:-4:4, 4:-4:4].reshape(-1, 3)
    np.testing.assert_allclose(
        at(points, frame.displacement_ras_mm, frame.geometry), at(points, *registrar.displacement_ras_mm()), atol=0.05
    )


@pytest.mark.parametrize("weight", [0.03, 20.0])
@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_following_ends_about_as_low_as_registering_from_nothing(pair, weight):
    registrar = at_table_values(pair(), "live", initial="none")
    changed = with_lung(registrar, weight)
    untouched = objective_at(registrar, changed, registrar.live_velocity)
    frames_of(registrar.live(changed))
    followed = objective_at(registrar, changed, registrar.live_velocity)
    finish(registrar.register(changed))
    from_nothing = objective_at(registrar, changed, registrar.solution.velocity)
    assert followed <= untouched
    assert followed - from_nothing < 0.02 + 0.1 * (untouched - from_nothing)


def coarse_velocities(registrar: Registrar, parameters, monkeypatch) -> dict[str, torch.Tensor]:
    """What every step above full resolution shows on the way to other parameters, by its text."""
    monkeypatch.setattr(live, "FIRST_LEVEL_VOXELS", 1000)
    monkeypatch.setattr(live_pace, "MAX_INTERVAL_S", 0.0)  # every step is shown
    shown = {}
    for progress in registrar.live(parameters):
        if isinstance(progress, Frame) and "level 1/1" not in progress.text:
            shown[progress.text] = registrar.live_velocity
    return shown


def test_large_volumes_start_coarse_and_unchanged_parameters_move_nothing(monkeypatch):
    registrar = at_table_values(volume_pair(), "live", initial="none")  # lung 0.5
    before = registrar.live_velocity.clone()
    # As good as unchanged: what is exactly the same is not even tried.
    shown = coarse_velocities(registrar, with_lung(registrar, 0.5 + 1e-12), monkeypatch)
    assert {text.split(",")[0] for text in shown} >= {"level 1/2"}
    moved = max(float((velocity - before).abs().max()) for velocity in shown.values())
    assert moved < 1e-3  # without the tilt: more than half a voxel


def test_coarse_steps_alone_already_lower_the_objective(monkeypatch):
    registrar = at_table_values(volume_pair(), "live", initial="none")
    changed = registrar.table_parameters().with_tissue(1, Lame(50.0, 50.0))
    before = objective_at(registrar, changed, registrar.live_velocity)
    *_, last = coarse_velocities(registrar, changed, monkeypatch).values()
    assert objective_at(registrar, changed, last) < before - 0.05 * abs(before)


def test_a_dropped_job_leaves_off_where_the_last_frame_was():
    registrar = at_table_values(slice_pair(), "live", initial="none")
    settled = frames_of(registrar.live(registrar.table_parameters()))[-1]
    job = registrar.live(with_lung(registrar, 50.0))
    shown = next(progress for progress in job if isinstance(progress, Frame))
    next(job)
    job.close()
    steps = registrar.solver.refiner.settings(2).integration_steps
    displacement = integrate(registrar.live_velocity, steps)[0].numpy()
    seen = shown.geometry.displacement_grid(shown.displacement_ras_mm)[1:, 0]  # in voxels of the velocity's grid
    np.testing.assert_allclose(seen[:, 1:-1, 1:-1], displacement, atol=1e-3)  # a frame has a margin of one voxel
    assert np.abs(shown.displacement_ras_mm - settled.displacement_ras_mm).max() > 0.1


class Slider:
    """Somebody who wants something else at every step, and at last ``end``."""

    def __init__(self, way, end):
        self.way, self.end = list(way), end

    def __call__(self):
        if self.way:
            return self.way.pop(0)
        return self.end


def dragged(registrar: Registrar, steps: int = 25) -> tuple[Slider, object]:
    """A drag of the lung's weight from 0.1 to 50, and where it ends."""
    end = with_lung(registrar, 50.0)
    return Slider([with_lung(registrar, 0.1 * 500 ** (step / steps)) for step in range(steps)], end), end


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_a_drag_ends_exactly_where_one_move_to_the_same_value_ends(pair, monkeypatch):
    monkeypatch.setattr(live, "FIRST_LEVEL_VOXELS", 1000)  # the volume starts on a coarse level
    ends = []
    for way in (lambda registrar: dragged(registrar)[0], lambda registrar: dragged(registrar)[1]):
        registrar = at_table_values(pair(), "live", initial="none")
        ends.append(frames_of(registrar.live(way(registrar)))[-1].displacement_ras_mm)
    np.testing.assert_array_equal(*ends)


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_what_is_shown_moves_while_the_slider_does(pair, monkeypatch):
    monkeypatch.setattr(live_pace, "MOVING_WORK_S", 0.0)
    monkeypatch.setattr(live_pace, "MIN_MOVING_WORK_S", 0.0)  # every step is shown, on a busy computer as well
    registrar = at_table_values(pair(), "live", initial="none")
    slider, end = dragged(registrar)
    before, job, shown = objective_at(registrar, end, registrar.live_velocity), registrar.live(slider), []
    while slider.way:
        if isinstance(next(job), Frame):
            shown.append(registrar.live_velocity)
    assert len(shown) >= 8
    assert objective_at(registrar, end, shown[-1]) < before


def test_after_a_drag_nothing_worse_is_shown_than_before(monkeypatch):
    monkeypatch.setattr(live_pace, "MOVING_WORK_S", 0.0)
    monkeypatch.setattr(live_pace, "MAX_INTERVAL_S", 0.0)
    registrar = at_table_values(slice_pair(), "live", initial="none")
    slider, end = dragged(registrar)
    job, objectives = registrar.live(slider), []
    for progress in job:
        if isinstance(progress, Frame) and not slider.way:
            objectives.append(objective_at(registrar, end, registrar.live_velocity))
    assert len(objectives) > 10
    gained = objectives[0] - min(objectives)
    assert objectives[-1] - min(objectives) < 0.05 * gained
    assert np.diff(objectives).max() < 0.1 * gained


def test_the_way_back_leads_exactly_to_where_it_began():
    registrar = at_table_values(slice_pair(), "live", initial="none")
    shown = [
        frames_of(registrar.live(parameters))[-1].displacement_ras_mm
        for parameters in (registrar.table_parameters(), with_lung(registrar, 50.0), registrar.table_parameters())
    ]
    np.testing.assert_array_equal(shown[0], shown[2])
    assert np.abs(shown[0] - shown[1]).max() > 0.5


def test_a_slider_that_moves_while_the_first_registration_runs_is_followed_to_its_end():
    registrar, reference = (prepared(slice_pair(), initial="none") for _ in range(2))
    slider, end = dragged(registrar)
    frames_of(registrar.live(slider))
    finish(reference.register(end))
    found, wanted = (
        objective_at(registrar, end, velocity) for velocity in (registrar.live_velocity, reference.solution.velocity)
    )
    assert found < wanted + 0.01


def test_a_bad_parameter_on_the_way_is_refused():
    registrar = at_table_values(slice_pair(), "live", initial="none")
    with pytest.raises(ValueError, match="lung"):
        finish(registrar.live(Slider([with_lung(registrar, 2.0)] * 3, with_lung(registrar, 1e6))))


def test_live_does_not_change_the_registration():
    registrar = at_table_values(slice_pair(), initial="none")
    before = registrar.displacement_ras_mm()[0]
    frames_of(registrar.live(with_lung(registrar, 50.0)))
    np.testing.assert_array_equal(registrar.displacement_ras_mm()[0], before)


def test_live_goes_on_from_a_finished_registration():
    registrar = at_table_values(slice_pair(), initial="none")
    parameters = registrar.table_parameters()
    frames = frames_of(registrar.live(parameters))
    assert len(frames) == 1
    torch.testing.assert_close(registrar.live_velocity, registrar.solution.velocity)


def test_jacobian_comes_with_the_frames_only_when_asked_for():
    registrar = at_table_values(volume_pair(), "live", initial="none")
    plain = frames_of(registrar.live(registrar.table_parameters()))[-1]
    frame = frames_of(registrar.live(registrar.table_parameters(), jacobian=True))[-1]
    assert plain.jacobian_kji is None
    assert frame.jacobian_kji.shape == frame.geometry.shape_kji
    grid = frame.geometry.displacement_grid(frame.displacement_ras_mm)
    independent = jacobian_determinant(torch.from_numpy(grid)[None])[0].numpy()
    inner = (slice(2, -2),) * 3
    np.testing.assert_allclose(frame.jacobian_kji[inner], independent[inner], atol=1e-3)


def test_a_bad_parameter_is_refused_before_anything_moves():
    registrar = prepared(slice_pair(), initial="none")
    with pytest.raises(ValueError, match="lung"):
        next(registrar.live(with_lung(registrar, 1e6)))


class NoMemory(DirectSolver):
    """A solver that runs out of memory once."""

    def __init__(self):
        super().__init__(settings=quick_solver().settings(2))
        self.tries = 0

    def descend(self, *arguments, **options):
        self.tries += 1
        if self.tries == 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return (yield from super().descend(*arguments, **options))


@pytest.mark.parametrize("what", ["register", "live"])
def test_a_full_graphics_card_is_replaced_by_the_cpu_and_the_result_says_so(what):
    registrar = prepared(slice_pair(), initial="none", solver=NoMemory())
    expected = prepared(slice_pair(), initial="none", solver=quick_solver())
    parameters = registrar.table_parameters()
    registrar.pyramid.parameter_maps(parameters)
    registrar.pyramid.device = torch.device("cuda")  # only the name of it: no hardware is needed
    finish(getattr(registrar, what)(parameters))
    finish(registrar.register(parameters))
    finish(expected.register(parameters))
    np.testing.assert_array_equal(registrar.displacement_ras_mm()[0], expected.displacement_ras_mm()[0])
    assert any("Not enough GPU memory" in warning for warning in finish(registrar.result()).warnings)


def test_a_full_main_memory_is_not_hidden():
    class Full(DirectSolver):
        def descend(self, *arguments, **options):
            raise torch.cuda.OutOfMemoryError("out of memory")
            yield

    registrar = prepared(slice_pair(), initial="none", solver=Full())
    with pytest.raises(torch.cuda.OutOfMemoryError):
        finish(registrar.register(registrar.table_parameters()))


@pytest.mark.parametrize(("spacing_mm", "seed"), [(4.0, 1003), (8.0, 1007)])
@pytest.mark.parametrize(("name", "mu"), [("liver", 2.0), ("soft", 2.0), ("lung", 1.0)])
def test_small_moves_of_a_slider_are_followed(spacing_mm, seed, name, mu):
    registrar = at_table_values(slice_of(seed, spacing_mm), initial="none")
    parameters = registrar.table_parameters()
    label = next(tissue.label for tissue in registrar.tissues if tissue.name == name)
    changed = parameters.with_tissue(label, Lame(parameters[label].lam, mu))
    before = objective_at(registrar, changed, registrar.live_velocity)
    frames_of(registrar.live(changed))
    assert objective_at(registrar, changed, registrar.live_velocity) < before - 2e-4
