"""The network as a solver: the pair as it wants it, its answer on the working grid, the objective as referee, live."""

from __future__ import annotations

import copy
import gc
import weakref
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from networks import awake, model_card
from synthetic_pairs import (
    BLOBS,
    CENTRE_RAS_MM,
    TISSUES,
    intensities,
    labels,
    pair_of,
    prepared,
    quick_solver,
    slice_case,
    true_displacement_ras_mm,
    volume_pair,
)

from TissueElasticRegistrationLib.core.deformation import resize
from TissueElasticRegistrationLib.core.geometry import Geometry
from TissueElasticRegistrationLib.core.images import Image, ImagePair, Segmentation
from TissueElasticRegistrationLib.core.live import Frame
from TissueElasticRegistrationLib.core.model_pack import ModelPack
from TissueElasticRegistrationLib.core.network import MapParameters, NetworkConfig
from TissueElasticRegistrationLib.core.objective import Objective
from TissueElasticRegistrationLib.core.parameter_scale import LogScale, PaperScale
from TissueElasticRegistrationLib.core.progress import finish
from TissueElasticRegistrationLib.core.registrar import Registrar
from TissueElasticRegistrationLib.core.solvers.direct import DirectSolver, Stage, with_detail
from TissueElasticRegistrationLib.core.solvers.network import NetworkSolver
from TissueElasticRegistrationLib.core.tissues import Lame, Tissue, TissueParameters

SMALL = {"encoder": (8, 8), "decoder": (8, 8), "final": (8, 8)}
MAP_2D = NetworkConfig(2, **SMALL)
MAP_3D = NetworkConfig(3, map_layer="tissue", pooled_input=True, **SMALL)
CLASSES = ("background", "lung", "bone", "liver")


def pack_of(config: NetworkConfig, voxels: float = 0.5, **card) -> ModelPack:
    network = awake(config, voxels=voxels).requires_grad_(False)
    return ModelPack(model_card(config, **{"spacing_mm": (1.0, 12.0), **card}), network)


@cache
def slice_pair() -> ImagePair:
    return pair_of(slice_case())


def grid_of(axes: np.ndarray, shape_kji, spacing_kji_mm) -> Geometry:
    matrix = np.eye(4)
    matrix[:3, :3] = axes * np.asarray(spacing_kji_mm, float)[::-1]
    matrix[:3, 3] = CENTRE_RAS_MM - matrix[:3, :3] @ ((np.array(shape_kji[::-1]) - 1) / 2)
    return Geometry(shape_kji, matrix)


def pair_on(grid: Geometry) -> ImagePair:
    """The anatomy of `synthetic_pairs` on one grid for both images."""
    points = grid.voxel_centres_ras_mm()
    mapped = points + true_displacement_ras_mm(points)
    return ImagePair(Image(intensities(mapped), grid, "fixed"), Image(intensities(points), grid, "moving"),
                     Segmentation(labels(mapped), grid, TISSUES, "fixed segmentation"))


def displacement_ras_mm(registrar: Registrar, velocity: torch.Tensor) -> tuple[np.ndarray, Geometry]:
    """A velocity, taken as a displacement, in RAS mm on the working grid's full extent."""
    geometry = registrar.working.geometry
    field = resize(velocity, registrar.working.fixed.shape[2:])[0].numpy()
    if registrar.working.dimension == 2:
        field = np.concatenate([np.zeros_like(field[:1]), field])[:, None]
    return geometry.displacement_ras_mm(field), geometry


def answer(pair: ImagePair, pack: ModelPack, **options) -> tuple[np.ndarray, Geometry, Registrar]:
    registrar = prepared(pair, solver=NetworkSolver(pack), initial="none", **options)
    velocity = registrar.solver.answer(registrar.pyramid, registrar.table_parameters())
    return (*displacement_ras_mm(registrar, velocity), registrar)


# --- The pair as the network wants it -------------------------------------------------------------------------------

SPL = np.array([[-1, 0, 0], [0, -1, 0], [0, 0, 1]]).T  # columns: i to the left, j to posterior, k to superior


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, -1)])
def test_a_volume_gives_the_same_deformation_however_its_array_is_stored(order, signs):
    shape, spacing = np.array((32, 16, 48)), np.array((3.0, 3.0, 3.0))
    stored = grid_of(SPL[:, order] * np.array(signs), tuple(shape[::-1][list(order)][::-1]), spacing)
    expected, grid, _ = answer(pair_on(grid_of(SPL, tuple(shape), spacing)), pack_of(MAP_3D))
    found, other, _ = answer(pair_on(stored), pack_of(MAP_3D))
    places = np.rint(other.points_ijk(grid.voxel_centres_ras_mm())).astype(int)
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(found[places[..., 2], places[..., 1], places[..., 0]], expected, atol=2e-3)


@pytest.mark.parametrize("normal", [0, 1, 2], ids=["sagittal", "coronal", "axial"])
def test_a_slice_gives_the_same_deformation_however_its_array_is_stored(normal):
    in_plane = [axis for axis in range(3) if axis != normal]
    views = []
    for first, second, sign in ((0, 1, 1), (1, 0, -1)):
        axes = np.eye(3)[:, [in_plane[first], in_plane[second], normal]] * [sign, 1, 1]
        shape = (1, 32, 48) if first == 0 else (1, 48, 32)
        views.append(grid_of(axes, shape, (3.0, 3.0, 3.0)))
    expected, grid, _ = answer(pair_on(views[0]), pack_of(MAP_2D))
    found, other, _ = answer(pair_on(views[1]), pack_of(MAP_2D))
    places = np.rint(other.points_ijk(grid.voxel_centres_ras_mm()[:1])).astype(int)
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(found[places[..., 2], places[..., 1], places[..., 0]], expected, atol=2e-3)


def test_a_network_for_any_orientation_sees_the_array_as_it_is():
    pack = pack_of(MAP_2D, orientation="any")
    _, _, registrar = answer(slice_pair(), pack)
    working, parameters = registrar.working, registrar.table_parameters()
    scale = LogScale()
    sliders = torch.tensor([[[scale.slider(parameters[tissue.label].lam), scale.slider(parameters[tissue.label].mu)]
                             for tissue in working.tissues]])
    place = {tissue.label: number for number, tissue in enumerate(working.tissues)}
    numbers = working.labels.clone().apply_(lambda label: place[label]).long()
    with torch.inference_mode():
        expected = pack.network(working.fixed, working.moving, MapParameters(numbers, sliders))
    assert expected.std() > 0.1
    torch.testing.assert_close(registrar.solver.answer(registrar.pyramid, parameters), expected, atol=1e-5, rtol=1e-4)


def test_voxels_finer_than_in_training_are_averaged_first():
    pack = pack_of(MAP_2D, orientation="any", spacing_mm=(16.0, 20.0))
    registrar = prepared(slice_pair(), solver=NetworkSolver(pack), initial="none")  # 8 mm
    working = registrar.working
    one = TissueParameters(default=Lame(1.0, 1.0))
    maps = torch.full((1, 2, *(n // 2 for n in working.fixed.shape[2:])), LogScale().slider(1.0))
    with torch.inference_mode():
        coarse = pack.network(F.avg_pool2d(working.fixed, 2), F.avg_pool2d(working.moving, 2), maps)
    found = registrar.solver.answer(registrar.pyramid, one)
    assert tuple(found.shape) == (1, 2, *registrar.pyramid.level(1).velocity_shape)
    torch.testing.assert_close(found, resize(coarse, found.shape[2:]), atol=1e-4, rtol=1e-3)


def thick_slices() -> ImagePair:
    axes = np.array([[1, 0, 0], [0, -1, 0], [0, 0, 1]]).T
    return pair_on(grid_of(axes, (5, 40, 32), (12.0, 2.5, 2.5)))


def test_thick_slices_are_registered_one_by_one_by_a_network_for_slices():
    pack = pack_of(MAP_2D)
    registrar = prepared(thick_slices(), solver=NetworkSolver(pack), initial="none")
    parameters = registrar.table_parameters()
    velocity = registrar.solver.answer(registrar.pyramid, parameters)
    assert tuple(velocity.shape[2:]) == registrar.pyramid.level(1).velocity_shape
    assert not velocity[:, 0].any()
    assert velocity[:, 1:].std((0, 1, 3, 4)).min() > 0.05
    # One slice by itself, shown to the network as an image of its own (radiological: rows to posterior, left).
    working, number = registrar.working, 2
    flipped = (-1,)  # the columns of this grid run to the right
    slices = [x[:, :, number].flip(flipped) for x in (working.fixed, working.moving, working.labels.float())]
    lut = torch.zeros(max(t.label for t in working.tissues) + 1, 2)
    for tissue in working.tissues:
        lut[tissue.label] = LogScale().slider(parameters[tissue.label].mu)
    maps = lut[slices[2][:, 0].long()].movedim(-1, 1)
    with torch.inference_mode():
        alone = pack.network(*slices[:2], maps).flip(flipped) * torch.tensor([1.0, -1.0]).view(1, 2, 1, 1)
    torch.testing.assert_close(velocity[:, 1:, number], alone, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(("pair", "config", "kind"), [
    (slice_pair, MAP_3D, "registers volumes"), (volume_pair, MAP_2D, "single slices and stacks of thick ones")])
def test_images_that_a_model_cannot_register_are_refused_when_they_are_prepared(pair, config, kind):
    registrar = Registrar(pair(), solver=NetworkSolver(pack_of(config)), initial="none", threads=1)
    with pytest.raises(ValueError, match=kind):
        finish(registrar.prepare())


# --- Tissues of a hypernetwork --------------------------------------------------------------------------------------


def seen_vector(monkeypatch, parameters: dict[str, Lame], regulariser="elastic", tissues=CLASSES, rest=("soft",)):
    """The vector that reaches a hypernetwork for the slice phantom with these parameters, and the notes."""
    weights = 2 if regulariser == "elastic" else 1
    config = NetworkConfig(2, "hyper", weights * max(1, len(tissues)), hyper_widths=(4,), **SMALL)
    pack = pack_of(config, regulariser=regulariser, tissues=tissues, rest=rest)
    registrar = prepared(slice_pair(), solver=NetworkSolver(pack), initial="none")
    seen = []
    decode = pack.network.decode
    monkeypatch.setattr(pack.network, "decode", lambda pair, vector: seen.append(vector) or decode(pair, vector))
    by_label = {tissue.label: parameters.get(tissue.name, Lame(1.0, 1.0)) for tissue in registrar.tissues}
    registrar.solver.answer(registrar.pyramid, TissueParameters(by_label))
    notes = registrar.solver._pair(registrar.pyramid).notes(TissueParameters(by_label))
    return [LogScale().weight(min(1.0, max(0.0, value))) for value in seen[0][0].tolist()], notes, registrar


def test_an_adaptive_vector_holds_every_lambda_then_every_mu(monkeypatch):
    wanted = {"soft": Lame(0.5, 0.6), "lung": Lame(0.1, 0.2), "bone": Lame(10, 20), "liver": Lame(3, 4)}
    vector, notes, _ = seen_vector(monkeypatch, wanted)
    assert vector == pytest.approx([0.5, 0.1, 10, 3, 0.6, 0.2, 20, 4], rel=1e-3)
    assert notes == ()


def test_the_diffusion_regulariser_has_one_weight_per_tissue(monkeypatch):
    wanted = {"soft": Lame(0.5, 0.6), "lung": Lame(0.1, 0.2), "bone": Lame(10, 20), "liver": Lame(3, 4)}
    assert seen_vector(monkeypatch, wanted, "diffusion")[0] == pytest.approx([0.6, 0.2, 20, 4], rel=1e-3)


def test_a_global_model_gets_the_mean_of_the_tissues_and_says_so(monkeypatch):
    wanted = {"lung": Lame(0.1, 0.2), "bone": Lame(10, 20)}
    vector, notes, registrar = seen_vector(monkeypatch, wanted, tissues=(), rest=())
    scale, total, mean = LogScale(), 0, 0.0
    for tissue in registrar.tissues:
        if tissue.label:  # air does not count
            voxels = int((registrar.working.labels == tissue.label).sum())
            total, mean = total + voxels, mean + voxels * scale.slider(wanted.get(tissue.name, Lame(1, 1)).mu)
    assert vector[1] == pytest.approx(scale.weight(mean / total), rel=1e-3)
    assert len(notes) == 1
    assert "one elasticity for the whole body" in notes[0]
    assert seen_vector(monkeypatch, {}, tissues=(), rest=())[1] == ()


def test_a_tissue_that_a_hypernetwork_does_not_know_is_refused(monkeypatch):
    with pytest.raises(ValueError, match="knows only background, lung, bone, not 'liver'"):
        seen_vector(monkeypatch, {}, tissues=CLASSES[:3])
    with pytest.raises(ValueError, match="not 'soft'"):
        seen_vector(monkeypatch, {}, rest=())


def test_a_map_model_takes_any_tissues():
    points = BLOBS[0][0] + CENTRE_RAS_MM
    pair = pair_on(grid_of(np.eye(3), (1, 48, 48), (2.0, 2.0, 2.0)))
    segmentation = Segmentation(pair.fixed_segmentation.labels_kji * 17, pair.fixed.geometry,
                                tuple(Tissue(17 * tissue.label, f"organ {tissue.label}") for tissue in TISSUES))
    assert np.isfinite(points).all()
    renamed = ImagePair(pair.fixed, pair.moving, segmentation)
    one = TissueParameters(default=Lame(2.0, 5.0))
    velocities = []
    for each in (pair, renamed):
        registrar = prepared(each, solver=NetworkSolver(pack_of(MAP_2D)), initial="none")
        velocities.append(registrar.solver.answer(registrar.pyramid, one))
    torch.testing.assert_close(*velocities, atol=1e-5, rtol=1e-4)


# --- The referee ----------------------------------------------------------------------------------------------------


@cache
def helpful_pack() -> ModelPack:
    """A network whose answer for the slice phantom is a little better than no deformation: a step downhill."""
    pack = pack_of(MAP_2D, orientation="any")
    registrar = prepared(slice_pair(), solver=NetworkSolver(pack), initial="none")
    solver, parameters = registrar.solver, registrar.table_parameters()
    level, maps = registrar.pyramid.level(1), registrar.pyramid.parameter_maps(parameters)
    flow = pack.network.flow.weight.clone()
    settings = solver.settings(2)
    before = solver.value(level, torch.zeros(1, 2, *level.velocity_shape), maps, settings)
    for factor in (0.2, -0.2, 0.05, -0.05, 0.01, -0.01):
        pack.network.flow.weight.copy_(factor * flow)
        if solver.value(level, solver.answer(registrar.pyramid, parameters), maps, settings) < before - 1e-6:
            return pack
    raise AssertionError("no network that helps was found")


def harmful_pack() -> ModelPack:
    return pack_of(MAP_2D, voxels=20.0)


def not_a_number_pack() -> ModelPack:
    pack = pack_of(MAP_2D)
    pack.network.flow.bias.fill_(float("nan"))
    return pack


def solver_with(pack: ModelPack) -> NetworkSolver:
    return NetworkSolver(pack, quick_solver())


def test_a_good_answer_is_the_registration():
    registrar = prepared(slice_pair(), solver=solver_with(helpful_pack()), initial="none")
    parameters = registrar.table_parameters()
    finish(registrar.register(parameters))
    result = finish(registrar.result())
    assert result.account.objective_after < result.account.objective_before
    assert result.account.steps == 0
    assert not result.warnings
    torch.testing.assert_close(registrar._solution.velocity, registrar.solver.answer(registrar.pyramid, parameters))


def test_refining_makes_a_good_answer_better():
    registrar = prepared(slice_pair(), solver=solver_with(helpful_pack()), initial="none")
    parameters = registrar.table_parameters()
    finish(registrar.register(parameters))
    before = registrar._solution.account
    finish(registrar.refine(parameters, 10))
    assert registrar._solution.account.objective_after < before.objective_after - 0.01


@pytest.mark.parametrize("pack", [harmful_pack, not_a_number_pack])
def test_a_bad_answer_is_replaced_by_the_direct_solver_and_the_result_says_so(pack):
    registrar = prepared(slice_pair(), solver=solver_with(pack()), initial="none")
    reference = prepared(slice_pair(), solver=quick_solver(), initial="none")
    for each in (registrar, reference):
        finish(each.register(each.table_parameters()))
    torch.testing.assert_close(registrar._solution.velocity, reference._solution.velocity)
    assert "worse than no deformation" in registrar.notes[0]
    finish(registrar.refine(registrar.table_parameters(), 2))
    assert "worse than no deformation" in finish(registrar.result()).warnings[-1]
    finish(registrar.prepare())
    assert registrar.notes == ()


def test_no_registration_ends_worse_than_no_deformation(monkeypatch):
    """Not even when the direct solver fails as well."""
    registrar = prepared(slice_pair(), solver=solver_with(harmful_pack()), initial="none")
    far = torch.full((1, 2, *registrar.pyramid.level(1).velocity_shape), 30.0)

    def descend(*_arguments, **_options):
        yield from ()
        return far

    monkeypatch.setattr(registrar.solver, "descend", descend)
    finish(registrar.register(registrar.table_parameters()))
    account = registrar._solution.account
    assert account.objective_after <= account.objective_before
    assert not registrar._solution.velocity.any()


def test_with_a_start_the_network_solver_is_the_direct_solver():
    registrar = prepared(slice_pair(), solver=solver_with(harmful_pack()), initial="none")
    parameters, start = registrar.table_parameters(), torch.full((1, 2, *registrar.pyramid.level(1).velocity_shape), .1)
    arguments = (registrar.pyramid, parameters, start, registrar.solver.refinement(3))
    torch.testing.assert_close(finish(registrar.solver.solve(*arguments)).velocity,
                               finish(quick_solver().solve(*arguments)).velocity)


def test_gradients_can_be_taken_at_an_answer():
    registrar = prepared(slice_pair(), solver=solver_with(helpful_pack()), initial="none")
    pyramid, solver, parameters = registrar.pyramid, registrar.solver, registrar.table_parameters()
    gradient = solver.gradient(pyramid.level(1), solver.answer(pyramid, parameters),
                               pyramid.parameter_maps(parameters), Stage(1, 1), solver.settings(2))
    assert gradient.abs().max() > 0


def test_steps_asked_for_at_once_follow_the_answer():
    registrar = prepared(slice_pair(), solver=solver_with(helpful_pack()), initial="none")
    parameters, solver = registrar.table_parameters(), registrar.solver
    at_once = finish(solver.solve(registrar.pyramid, parameters, None, solver.refinement(4)))
    answered = solver.answer(registrar.pyramid, parameters)
    after = finish(quick_solver().solve(registrar.pyramid, parameters, answered, solver.refinement(4)))
    torch.testing.assert_close(at_once.velocity, after.velocity)
    assert at_once.account.steps == sum(stage.steps for stage in solver.refinement(4))


def test_refining_first_corrects_what_is_wrong_on_a_large_scale():
    """An answer that is wrong by several voxels, as networks give for images unlike those they were trained on."""
    registrar = prepared(slice_pair(), solver=NetworkSolver(helpful_pack()), initial="none")
    parameters, solver, pyramid = registrar.table_parameters(), registrar.solver, registrar.pyramid
    direct = finish(DirectSolver().solve(pyramid, parameters))
    wrong = direct.velocity + torch.tensor([1.5, -2.0]).view(1, 2, 1, 1)
    found = finish(solver.solve(pyramid, parameters, wrong, solver.refinement(40))).account.objective_after
    fine_only = finish(solver.solve(pyramid, parameters, wrong, DirectSolver().refinement(40))).account.objective_after
    assert found < fine_only
    assert found == pytest.approx(direct.account.objective_after, abs=0.02)


def test_coarse_stages_keep_the_detail_of_their_start():
    coarse, fine = torch.randn(1, 2, 4, 6), torch.randn(1, 2, 8, 12)
    whole = with_detail(coarse, fine)
    assert tuple(whole.shape) == tuple(fine.shape)
    torch.testing.assert_close(with_detail(resize(fine, (4, 6)), fine), fine)
    torch.testing.assert_close(whole - fine, resize(coarse - resize(fine, (4, 6)), (8, 12)))
    assert with_detail(fine, coarse) is fine


def test_a_spacing_far_from_training_is_told():
    pack = pack_of(MAP_2D, spacing_mm=(1.0, 2.0))
    registrar = prepared(slice_pair(), solver=solver_with(pack), initial="none")
    finish(registrar.register(registrar.table_parameters()))
    assert any("trained on voxels of 1 to 2 mm, these have 8 mm" in note for note in registrar.notes)


@pytest.mark.parametrize("objective", [Objective(PaperScale()), Objective(regulariser="diffusion")])
def test_a_model_is_refined_with_the_objective_it_was_trained_for(objective):
    with pytest.raises(ValueError, match="must use the same"):
        NetworkSolver(pack_of(MAP_2D), DirectSolver(objective))


def test_the_solver_has_the_objective_of_the_card():
    solver = NetworkSolver(pack_of(MAP_2D, scale="paper", regulariser="diffusion"))
    assert (solver.objective.scale, solver.objective.regulariser) == (PaperScale(), "diffusion")


def test_registering_changes_nothing_in_the_model_and_is_repeatable():
    pack = helpful_pack()
    before = copy.deepcopy(pack.network.state_dict())
    velocities = []
    for _ in range(2):
        registrar = prepared(slice_pair(), solver=solver_with(pack), initial="none")
        finish(registrar.register(registrar.table_parameters()))
        finish(registrar.refine(registrar.table_parameters(), 3))
        velocities.append(registrar._solution.velocity)
    assert torch.equal(*velocities)
    assert all(torch.equal(weight, before[name]) for name, weight in pack.network.state_dict().items())


def test_pairs_are_encoded_once_and_forgotten_with_their_pyramid(monkeypatch):
    pack = helpful_pack()
    encoded = []
    encode = pack.network.encode
    monkeypatch.setattr(pack.network, "encode", lambda *images: encoded.append(1) or encode(*images))
    registrar = prepared(slice_pair(), solver=solver_with(pack), initial="none")
    solver, parameters = registrar.solver, registrar.table_parameters()
    for _ in range(3):
        solver.answer(registrar.pyramid, parameters)
    assert len(encoded) == 1
    pyramid = weakref.ref(registrar.pyramid)
    del registrar
    gc.collect()
    assert pyramid() is None
    assert len(solver._pairs) == 0


# --- Live -----------------------------------------------------------------------------------------------------------


def frames_of(job) -> list[Frame]:
    return [progress for progress in job if isinstance(progress, Frame)]


def with_bone(registrar: Registrar, weight: float) -> TissueParameters:
    label = next(tissue.label for tissue in registrar.tissues if tissue.name == "bone")
    return registrar.table_parameters().with_tissue(label, Lame(weight, weight))


def objective_at(registrar: Registrar, parameters: TissueParameters, velocity: torch.Tensor) -> float:
    pyramid, solver = registrar.pyramid, registrar.solver
    return solver.value(pyramid.level(1), velocity, pyramid.parameter_maps(parameters), solver.settings(2))


def test_the_first_live_frame_is_the_answer_before_any_step(monkeypatch):
    registrar = prepared(slice_pair(), solver=solver_with(helpful_pack()), initial="none")
    parameters = registrar.table_parameters()
    expected = registrar.solver.answer(registrar.pyramid, parameters)
    monkeypatch.setattr(registrar.solver, "descend", None)
    frame = next(progress for progress in registrar.live(parameters) if isinstance(progress, Frame))
    torch.testing.assert_close(registrar._live.velocity, expected)
    assert np.abs(frame.displacement_ras_mm).max() > 0


def test_a_moved_slider_first_adds_what_the_network_says_of_it(monkeypatch):
    registrar = prepared(slice_pair(), solver=solver_with(helpful_pack()), initial="none")
    solver, pyramid = registrar.solver, registrar.pyramid
    first, second = registrar.table_parameters(), with_bone(registrar, 1.0)
    finish(registrar.live(first))
    settled = registrar._live.velocity
    next(progress for progress in registrar.live(second) if isinstance(progress, Frame))
    change = solver.answer(pyramid, second) - solver.answer(pyramid, first)
    assert change.abs().max() > 1e-4
    torch.testing.assert_close(registrar._live.velocity, settled + change)
    # Dropped there; a third position starts from what was settled, so interruptions leave no traces.
    next(progress for progress in registrar.live(first) if isinstance(progress, Frame))
    torch.testing.assert_close(registrar._live.velocity, settled)


@pytest.mark.parametrize("pack", [helpful_pack, harmful_pack, not_a_number_pack])
def test_following_ends_about_where_a_direct_registration_ends(pack):
    registrar = prepared(slice_pair(), solver=solver_with(pack()), initial="none")
    reference = prepared(slice_pair(), solver=quick_solver(), initial="none")
    for parameters in (registrar.table_parameters(), with_bone(registrar, 1.0)):
        finish(registrar.live(parameters))
        finish(reference.live(parameters))
        found, wanted = (objective_at(each, parameters, each._live.velocity) for each in (registrar, reference))
        assert found <= wanted + 0.03


def test_live_goes_on_from_a_finished_registration():
    registrar = prepared(slice_pair(), solver=solver_with(helpful_pack()), initial="none")
    parameters = registrar.table_parameters()
    finish(registrar.register(parameters))
    finish(registrar.refine(parameters, 5))
    refined = registrar._solution.velocity
    next(progress for progress in registrar.live(parameters) if isinstance(progress, Frame))
    torch.testing.assert_close(registrar._live.velocity, refined)
