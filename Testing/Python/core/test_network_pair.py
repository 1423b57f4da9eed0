"""A pair as a network sees it: turned to its axes, at its resolution, with the tissues it knows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from network_pairs import MAP_2D, MAP_3D, SMALL, grid_of, pack_of, pair_on, slice_pair, thick_slices
from synthetic_pairs import TISSUES, prepared, volume_pair

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.data.images import ImagePair, Segmentation
from TissueElasticRegistrationLib.core.data.progress import finish
from TissueElasticRegistrationLib.core.data.tissues import Lame, Tissue, TissueParameters
from TissueElasticRegistrationLib.core.models.model_pack import ModelPack
from TissueElasticRegistrationLib.core.models.network import MapParameters, NetworkConfig
from TissueElasticRegistrationLib.core.physics.deformation import resize
from TissueElasticRegistrationLib.core.physics.parameter_scale import LogScale
from TissueElasticRegistrationLib.core.registration.network_pair import NetworkPair, likely_factors
from TissueElasticRegistrationLib.core.registration.network_solver import NetworkSolver
from TissueElasticRegistrationLib.core.registration.registrar import Registrar

CLASSES = ("background", "lung", "bone", "liver")


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
    places = np.rint(other.points_ijk(grid.voxel_centers_ras_mm())).astype(int)
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
    places = np.rint(other.points_ijk(grid.voxel_centers_ras_mm()[:1])).astype(int)
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(found[places[..., 2], places[..., 1], places[..., 0]], expected, atol=2e-3)


def test_a_network_for_any_orientation_sees_the_array_as_it_is():
    pack = pack_of(MAP_2D, orientation="any")
    _, _, registrar = answer(slice_pair(), pack)
    working, parameters = registrar.working, registrar.table_parameters()
    scale = LogScale()
    sliders = torch.tensor(
        [
            [
                [scale.slider(parameters[tissue.label].lam), scale.slider(parameters[tissue.label].mu)]
                for tissue in working.tissues
            ]
        ]
    )
    place = {tissue.label: number for number, tissue in enumerate(working.tissues)}
    numbers = working.labels.clone().apply_(lambda label: place[label]).long()
    with torch.inference_mode():
        expected = pack.network(working.fixed, working.moving, MapParameters(numbers, sliders))
    assert expected.std() > 0.1
    torch.testing.assert_close(registrar.solver.answer(registrar.pyramid, parameters), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("spacing_mm", "factors"),
    [
        ((3.0, 12.0), (1,)),
        ((8.0, 33.0), (1, 2, 4)),
        ((15.0, 17.0), (1, 2)),
        ((17.0, 20.0), (2,)),
        ((2.0, 3.0), (1,)),
        ((200.0, 300.0), (8,)),
    ],
)
def test_voxels_are_averaged_to_about_the_sizes_of_the_training(spacing_mm, factors):
    pair = prepared(slice_pair(), initial="none").working  # 8 mm
    assert likely_factors(pack_of(MAP_2D, orientation="any", spacing_mm=spacing_mm).card, pair) == factors


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_averaged_images_are_what_the_network_gets(factor):
    pack = pack_of(MAP_2D, orientation="any")
    registrar = prepared(slice_pair(), initial="none")
    images = (F.avg_pool2d(image, factor) for image in (registrar.working.fixed, registrar.working.moving))
    maps = torch.full((1, 2, *(n // factor for n in registrar.working.fixed.shape[2:])), LogScale().slider(1.0))
    with torch.inference_mode():
        expected = pack.network(*images, maps)
    pair = NetworkPair(pack, pack.network, registrar.pyramid, factor)
    found = pair.velocity(TissueParameters(default=Lame(1.0, 1.0)))
    torch.testing.assert_close(found, resize(expected, found.shape[2:]), atol=1e-4, rtol=1e-3)


def test_of_several_sizes_of_voxels_the_one_with_the_lowest_objective_is_taken():
    solver = NetworkSolver(pack_of(MAP_2D, orientation="any", spacing_mm=(8.0, 33.0)))
    registrar = prepared(slice_pair(), solver=solver, initial="none")
    parameters, level = registrar.table_parameters(), registrar.pyramid.level(2)
    maps = level.parameter_maps(*registrar.pyramid.parameter_maps(parameters))

    def objective(velocity):
        return solver.refiner.value(level, velocity, maps, solver.refiner.settings(2))

    possible = [
        objective(NetworkPair(solver.pack, solver.pack.network, registrar.pyramid, factor).velocity(parameters))
        for factor in (1, 2, 4)
    ]
    assert len(set(possible)) == 3
    assert objective(solver.answer(registrar.pyramid, parameters)) == min(possible)


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


def test_a_network_for_volumes_takes_thick_slices_on_the_solvers_own_grid():
    """Their number is not halved in the solver's velocity grid, as it is in the network's."""
    pack = pack_of(MAP_3D, orientation="any")
    registrar = prepared(thick_slices(), solver=NetworkSolver(pack), initial="none")
    working, parameters = registrar.working, registrar.table_parameters()
    velocity = registrar.solver.answer(registrar.pyramid, parameters)
    assert tuple(velocity.shape[2:]) == registrar.pyramid.level(1).velocity_shape
    assert velocity.shape[2] == working.fixed.shape[2]
    sliders = torch.tensor([[[LogScale().slider(parameters[tissue.label].mu)] * 2 for tissue in working.tissues]])
    place = {tissue.label: number for number, tissue in enumerate(working.tissues)}
    numbers = working.labels.clone().apply_(lambda label: place[label]).long()
    with torch.inference_mode():
        seen = pack.network(working.fixed, working.moving, MapParameters(numbers, sliders))
    torch.testing.assert_close(velocity, resize(seen, velocity.shape[2:]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("pair", "config", "kind"),
    [(slice_pair, MAP_3D, "supports volumes only"), (volume_pair, MAP_2D, "single slices and stacks of thick slices")],
)
def test_images_that_a_model_cannot_register_are_refused_when_they_are_prepared(pair, config, kind):
    registrar = Registrar(pair(), solver=NetworkSolver(pack_of(config)), initial="none", threads=1)
    with pytest.raises(ValueError, match=kind):
        finish(registrar.prepare())


# --- Tissues of a hypernetwork --------------------------------------------------------------------------------------


def seen_vector(monkeypatch, parameters: dict[str, Lame], regularizer="elastic", tissues=CLASSES, rest=("soft",)):
    """The vector that reaches a hypernetwork for the slice phantom with these parameters, and the notes."""
    weights = 2 if regularizer == "elastic" else 1
    config = NetworkConfig(2, "hyper", weights * max(1, len(tissues)), hyper_widths=(4,), **SMALL)
    pack = pack_of(config, regularizer=regularizer, tissues=tissues, rest=rest)
    registrar = prepared(slice_pair(), solver=NetworkSolver(pack), initial="none")
    seen = []
    decode = pack.network.decode
    monkeypatch.setattr(pack.network, "decode", lambda pair, vector: seen.append(vector) or decode(pair, vector))
    by_label = {tissue.label: parameters.get(tissue.name, Lame(1.0, 1.0)) for tissue in registrar.tissues}
    registrar.solver.answer(registrar.pyramid, TissueParameters(by_label))
    notes = registrar.solver.notes(registrar.pyramid, TissueParameters(by_label))
    return [LogScale().weight(min(1.0, max(0.0, value))) for value in seen[0][0].tolist()], notes, registrar


def test_an_adaptive_vector_holds_every_lambda_then_every_mu(monkeypatch):
    wanted = {"soft": Lame(0.5, 0.6), "lung": Lame(0.1, 0.2), "bone": Lame(10, 20), "liver": Lame(3, 4)}
    vector, notes, _ = seen_vector(monkeypatch, wanted)
    assert vector == pytest.approx([0.5, 0.1, 10, 3, 0.6, 0.2, 20, 4], rel=1e-3)
    assert notes == ()


def test_the_diffusion_regularizer_has_one_weight_per_tissue(monkeypatch):
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
    with pytest.raises(ValueError, match="supports only the tissues background, lung, bone, not 'liver'"):
        seen_vector(monkeypatch, {}, tissues=CLASSES[:3])
    with pytest.raises(ValueError, match="not 'soft'"):
        seen_vector(monkeypatch, {}, rest=())


def test_a_map_model_takes_any_tissues():
    pair = pair_on(grid_of(np.eye(3), (1, 48, 48), (2.0, 2.0, 2.0)))
    segmentation = Segmentation(
        pair.fixed_segmentation.labels_kji * 17,
        pair.fixed.geometry,
        tuple(Tissue(17 * tissue.label, f"organ {tissue.label}") for tissue in TISSUES),
    )
    renamed = ImagePair(pair.fixed, pair.moving, segmentation)
    one = TissueParameters(default=Lame(2.0, 5.0))
    velocities = []
    for each in (pair, renamed):
        registrar = prepared(each, solver=NetworkSolver(pack_of(MAP_2D)), initial="none")
        velocities.append(registrar.solver.answer(registrar.pyramid, one))
    torch.testing.assert_close(*velocities, atol=1e-5, rtol=1e-4)
