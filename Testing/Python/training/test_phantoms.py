"""Phantoms: the elastic solver against closed forms, and cases whose images, geometry and truth belong together."""

from __future__ import annotations

import csv
from functools import cache
from itertools import product

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import map_coordinates

from training.phantoms import LOADS, make_case
from training.phantoms.finite_elements import internal_forces, solve_elasticity, strain_energy

LUNG, BONE, LIVER, SOFT = 1, 2, 3, 4
SMALL_SPACING_MM = {2: 6.0, 3: 12.0}
SHAPES = {2: (7, 5), 3: (9, 8, 10)}  # in 3D large enough for several multigrid levels
GRID_MM = 3.0


@pytest.fixture(scope="module")
def cases():
    """One case of each dimension, by dimension."""
    return {2: make_case(2, 5), 3: make_case(3, 5, spacing_mm=8.0)}


@cache
def small_case(dimension, **options):
    return make_case(dimension, 11, spacing_mm=SMALL_SPACING_MM[dimension], **options)


def node_positions_mm(shape):
    return np.stack(np.meshgrid(*[np.arange(n + 1) * GRID_MM for n in shape], indexing="ij"), axis=-1)


def boundary(shape):
    nodes = np.ones(tuple(n + 1 for n in shape), bool)
    nodes[(slice(1, -1),) * len(shape)] = False
    return nodes


def mixed_body(dimension):
    """Random materials over five decades of stiffness, random forces, springs, one held face."""
    generator = np.random.default_rng(3)
    shape = SHAPES[dimension]
    lam_kpa, mu_kpa = (10 ** generator.uniform(-2, 3, shape) for _ in range(2))
    nodes = tuple(n + 1 for n in shape)
    forces = generator.standard_normal((*nodes, dimension))
    springs = generator.uniform(0, 5, nodes)
    held = np.zeros(nodes, bool)
    held[0] = True
    return lam_kpa, mu_kpa, forces, springs, held


# --- the elastic solver ---


@pytest.mark.parametrize("dimension", [2, 3])
def test_linear_boundary_displacement_gives_the_linear_field_inside(dimension):
    shape = SHAPES[dimension]
    gradient = np.random.default_rng(0).uniform(-0.1, 0.1, (dimension, dimension))
    expected = node_positions_mm(shape) @ gradient.T
    solution = solve_elasticity(
        np.full(shape, 7.0),
        np.full(shape, 2.0),
        GRID_MM,
        np.zeros(expected.shape),
        boundary(shape),
        held_displacement_mm=expected,
    )
    inside = ~boundary(shape)
    assert inside.any()
    assert np.allclose(solution[inside], expected[inside], atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("dimension", [2, 3])
def test_two_layers_in_series_stretch_in_inverse_proportion_to_their_stiffness(dimension):
    shape, soft_layers, soft_kpa, stiff_kpa, stretch_mm = SHAPES[dimension], 2, 2.0, 50.0, 0.6
    young = np.full(shape, stiff_kpa)
    young[:soft_layers] = soft_kpa
    ends = np.zeros(tuple(n + 1 for n in shape), bool)
    ends[[0, -1]] = True
    target = np.zeros((*ends.shape, dimension))
    target[-1, ..., 0] = stretch_mm
    solution = solve_elasticity(
        0 * young, young / 2, GRID_MM, np.zeros(target.shape), ends, held_displacement_mm=target
    )
    compliances = np.array([soft_layers / soft_kpa, (shape[0] - soft_layers) / stiff_kpa])
    interface_mm = stretch_mm * compliances[0] / compliances.sum()
    assert np.allclose(solution[soft_layers, ..., 0], interface_mm, rtol=1e-3)
    assert np.allclose(solution[..., 1:], 0, atol=1e-3 * stretch_mm)


@pytest.mark.parametrize("dimension", [2, 3])
def test_energy_of_a_uniform_strain_is_the_closed_form(dimension):
    shape, lam_kpa, mu_kpa = SHAPES[dimension], 7.0, 2.0
    gradient = np.random.default_rng(1).uniform(-0.1, 0.1, (dimension, dimension))
    strain = (gradient + gradient.T) / 2
    density = 0.5 * lam_kpa * np.trace(strain) ** 2 + mu_kpa * np.sum(strain**2)
    energy = strain_energy(
        node_positions_mm(shape) @ gradient.T, np.full(shape, lam_kpa), np.full(shape, mu_kpa), GRID_MM
    )
    assert energy == pytest.approx(density * np.prod(shape) * GRID_MM**dimension, rel=1e-10)


@pytest.mark.parametrize("dimension", [2, 3])
def test_work_of_the_forces_is_twice_the_stored_energy(dimension):
    lam_kpa, mu_kpa, forces, springs, held = mixed_body(dimension)
    solution = solve_elasticity(lam_kpa, mu_kpa, GRID_MM, forces, held, springs)
    stored = strain_energy(solution, lam_kpa, mu_kpa, GRID_MM) + 0.5 * np.sum(springs[..., None] * solution**2)
    assert stored > 0
    assert np.sum(forces * solution) == pytest.approx(2 * stored, rel=1e-3)


@pytest.mark.parametrize("dimension", [2, 3])
def test_every_free_node_of_a_mixed_body_is_in_equilibrium(dimension):
    lam_kpa, mu_kpa, forces, springs, held = mixed_body(dimension)
    solution = solve_elasticity(lam_kpa, mu_kpa, GRID_MM, forces, held, springs)
    residual = forces - internal_forces(solution, lam_kpa, mu_kpa, GRID_MM) - springs[..., None] * solution
    assert np.abs(residual[~held]).max() < 5e-3 * np.abs(forces).max()
    assert np.all(solution[held] == 0)


def test_a_material_without_shear_stiffness_is_refused():
    lam_kpa, mu_kpa, forces, springs, held = mixed_body(2)
    with pytest.raises(ValueError, match="mu must be above 0"):
        solve_elasticity(lam_kpa, 0 * mu_kpa, GRID_MM, forces, held, springs)


def test_a_body_that_nothing_holds_is_refused():
    lam_kpa, mu_kpa, forces, springs, held = mixed_body(2)
    with pytest.raises(ValueError, match="move freely"):
        solve_elasticity(lam_kpa, mu_kpa, GRID_MM, forces, np.zeros_like(held), 0 * springs)


# --- truth and images belong together ---


def moving_at_corresponding_points(case, displacement_ras_mm):
    """The moving image at x + d(x), written out with matrices so that it shares no code with the phantoms."""
    shape = case.fixed.array_kji.shape
    matrix = case.fixed.geometry.ijk_to_ras
    indices_ijk = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)[..., ::-1]
    points_mm = indices_ijk @ matrix[:3, :3].T + matrix[:3, 3] + displacement_ras_mm
    inverse = np.linalg.inv(case.moving.geometry.ijk_to_ras)
    moving_ijk = points_mm @ inverse[:3, :3].T + inverse[:3, 3]
    return map_coordinates(case.moving.array_kji, np.moveaxis(moving_ijk[..., ::-1], -1, 0), order=1, mode="nearest")


def mismatch_hu(case, displacement_ras_mm):
    """Root mean square intensity difference over the body where the truth is valid."""
    where = case.valid & (case.fixed_segmentation.labels_kji > 0)
    difference = case.fixed.array_kji - moving_at_corresponding_points(case, displacement_ras_mm)
    return float(np.sqrt(np.mean(difference[where] ** 2)))


def in_plane_axes(dimension):
    return (0, 2) if dimension == 2 else (0, 1, 2)


@pytest.mark.parametrize("dimension", [2, 3])
def test_truth_explains_most_of_the_intensity_difference(cases, dimension):
    case = cases[dimension]
    assert mismatch_hu(case, case.displacement_ras_mm) < 0.5 * mismatch_hu(case, 0 * case.displacement_ras_mm)


@pytest.mark.parametrize("dimension", [2, 3])
def test_typical_difference_at_corresponding_points_is_noise(cases, dimension):
    case = cases[dimension]
    where = case.valid & (case.fixed_segmentation.labels_kji > 0)
    difference = case.fixed.array_kji - moving_at_corresponding_points(case, case.displacement_ras_mm)
    assert np.median(np.abs(difference[where])) < 32


@pytest.mark.parametrize(("dimension", "axis"), [(d, a) for d in (2, 3) for a in in_plane_axes(d)])
def test_reversing_any_component_of_the_truth_makes_the_images_disagree(cases, dimension, axis):
    case = cases[dimension]
    wrong = case.displacement_ras_mm.copy()
    wrong[..., axis] *= -1
    assert mismatch_hu(case, wrong) > 1.2 * mismatch_hu(case, case.displacement_ras_mm)


@pytest.mark.parametrize("dimension", [2, 3])
def test_moving_labels_are_the_fixed_labels_moved_by_the_truth(cases, dimension):
    case = cases[dimension]
    indices = np.indices(case.valid.shape).reshape(3, -1).T
    moving_points = case.fixed.geometry.points_ras_mm(indices[:, ::-1]) + case.displacement_ras_mm.reshape(-1, 3)
    there = np.rint(case.moving.geometry.points_ijk(moving_points)[:, ::-1]).astype(int)[case.valid.reshape(-1)]
    moved = case.moving_segmentation.labels_kji[tuple(there.T)]
    fixed = case.fixed_segmentation.labels_kji[case.valid]
    for label, least in ((LUNG, 0.95), (LIVER, 0.93), (BONE, 0.75)):
        dice = 2 * np.sum((moved == label) & (fixed == label)) / (np.sum(moved == label) + np.sum(fixed == label))
        assert dice > least, label


def smallest_determinant(case):
    """Over all corners of all cells between voxel centers, from one-sided differences."""
    grid = case.fixed.geometry.displacement_grid(case.displacement_ras_mm)
    axes = [axis for axis in range(3) if grid.shape[axis + 1] > 1]
    cells = [grid.shape[axis + 1] - 1 for axis in axes]
    smallest = np.inf
    for ends in product((0, 1), repeat=len(axes)):
        jacobian = np.empty((*cells, len(axes), len(axes)))
        for column, axis in enumerate(axes):
            change = np.diff(grid, axis=axis + 1)
            for other, end in zip(axes, ends, strict=True):
                if other != axis:
                    change = np.take(change, np.arange(grid.shape[other + 1] - 1) + end, axis=other + 1)
            jacobian[..., column] = np.moveaxis(change[axes], 0, -1).reshape(jacobian.shape[:-1])
        smallest = min(smallest, np.linalg.det(jacobian + np.eye(len(axes))).min())
    return smallest


@pytest.mark.parametrize("dimension", [2, 3])
def test_truth_never_folds(cases, dimension):
    assert smallest_determinant(cases[dimension]) > 0.09


@pytest.mark.parametrize("seed", [4, 7])
def test_truth_is_scaled_down_where_it_would_fold(seed):
    """Without the limit these two subjects fold or nearly so."""
    assert smallest_determinant(make_case(2, seed, load="gravity")) > 0.09


@pytest.mark.parametrize("dimension", [2, 3])
def test_breathing_moves_the_liver_down(cases, dimension):
    case = cases[dimension]
    assert case.displacement_ras_mm[case.fixed_segmentation.labels_kji == LIVER][:, 2].mean() < -3


@pytest.mark.parametrize("dimension", [2, 3])
def test_motion_has_the_size_of_respiration(cases, dimension):
    case = cases[dimension]
    body = case.fixed_segmentation.labels_kji > 0
    assert 12 <= np.percentile(np.linalg.norm(case.displacement_ras_mm[body], axis=-1), 99) <= 34


@pytest.mark.parametrize("dimension", [2, 3])
def test_bone_strains_less_than_lung(cases, dimension):
    case = cases[dimension]
    grid = case.fixed.geometry.displacement_grid(case.displacement_ras_mm)
    axes = [axis for axis in range(3) if grid.shape[axis + 1] > 1]
    gradient = np.stack([np.stack([np.gradient(grid[row], axis=axis) for axis in axes]) for row in axes])
    strain = np.sqrt(np.sum((gradient + gradient.swapaxes(0, 1)) ** 2, axis=(0, 1)) / 4)
    labels = case.fixed_segmentation.labels_kji
    assert np.median(strain[labels == BONE]) < 0.5 * np.median(strain[labels == LUNG])


def test_coronal_slice_does_not_move_out_of_plane(cases):
    assert np.all(cases[2].displacement_ras_mm[..., 1] == 0)
    assert np.any(cases[2].displacement_ras_mm[..., 0] != 0)


@pytest.mark.parametrize("dimension", [2, 3])
def test_valid_is_where_the_corresponding_point_lies_in_the_moving_image(cases, dimension):
    case = cases[dimension]
    moving_ijk = case.moving.geometry.points_ijk(case.fixed.geometry.voxel_centers_ras_mm() + case.displacement_ras_mm)
    last = np.array(case.valid.shape[::-1]) - 1
    depth = np.min(np.minimum(moving_ijk, last - moving_ijk)[..., last > 0], axis=-1)  # voxels, negative outside
    clear = np.abs(depth) > 0.02
    assert np.array_equal(case.valid[clear], depth[clear] > 0)
    assert 0.8 < case.valid.mean() < 1 and clear.mean() > 0.8


# --- anatomy ---


@pytest.mark.parametrize("dimension", [2, 3])
def test_every_tissue_is_present_in_both_images(cases, dimension):
    case = cases[dimension]
    for segmentation in (case.fixed_segmentation, case.moving_segmentation):
        assert set(np.unique(segmentation.labels_kji)) == {0, LUNG, BONE, LIVER, SOFT}
        assert [tissue.name for tissue in segmentation.tissues] == ["lung", "bone", "liver", "soft"]


@pytest.mark.parametrize(("dimension", "axis"), [(2, 1), (2, 2), (3, 0), (3, 1), (3, 2)])
def test_anatomy_differs_from_its_mirror_image(cases, dimension, axis):
    labels = cases[dimension].fixed_segmentation.labels_kji
    assert np.mean(labels != np.flip(labels, axis)) > 0.05


def middle_ras_mm(case, label):
    return case.fixed.geometry.voxel_centers_ras_mm()[case.fixed_segmentation.labels_kji == label].mean(axis=0)


@pytest.mark.parametrize("dimension", [2, 3])
def test_liver_is_on_the_right_and_below_the_lungs(cases, dimension):
    liver, lung = middle_ras_mm(cases[dimension], LIVER), middle_ras_mm(cases[dimension], LUNG)
    assert liver[0] > lung[0] + 20
    assert liver[2] < lung[2] - 50


def test_spine_is_at_the_back(cases):
    case = cases[3]
    below_ribs = case.fixed_segmentation.labels_kji[: case.valid.shape[0] // 8]
    vertebrae = case.fixed.geometry.voxel_centers_ras_mm()[: len(below_ribs)][below_ribs == BONE]
    assert vertebrae[:, 1].mean() < middle_ras_mm(case, SOFT)[1] - 20


@pytest.mark.parametrize("dimension", [2, 3])
def test_parameters_lie_in_the_ranges_of_their_tissues(cases, dimension):
    case = cases[dimension]
    ranges = {LUNG: (0.5, 10), BONE: (300, 3000), LIVER: (1.5, 50), SOFT: (5, 20)}
    for label, (softest, stiffest) in ranges.items():
        lam_kpa, mu_kpa = case.lam_kpa[label], case.mu_kpa[label]
        young = mu_kpa * (3 * lam_kpa + 2 * mu_kpa) / (lam_kpa + mu_kpa)
        assert softest <= young <= stiffest


# --- arguments ---


@pytest.mark.parametrize("dimension", [2, 3])
def test_same_arguments_give_the_same_case(dimension):
    one, two = small_case(dimension), make_case(dimension, 11, spacing_mm=SMALL_SPACING_MM[dimension])
    assert np.array_equal(one.fixed.array_kji, two.fixed.array_kji)
    assert np.array_equal(one.moving.array_kji, two.moving.array_kji)
    assert np.array_equal(one.displacement_ras_mm, two.displacement_ras_mm)


def test_another_seed_gives_another_subject_and_material():
    one, two = (make_case(2, seed, spacing_mm=SMALL_SPACING_MM[2]) for seed in (11, 12))
    assert not np.array_equal(one.fixed_segmentation.labels_kji, two.fixed_segmentation.labels_kji)
    assert one.mu_kpa[LUNG] != two.mu_kpa[LUNG]


@pytest.mark.parametrize("dimension", [2, 3])
def test_noise_of_fixed_and_moving_is_independent(cases, dimension):
    case = cases[dimension]
    air = np.maximum(case.fixed.array_kji, case.moving.array_kji) < -900  # far enough from the skin
    air &= case.fixed_segmentation.labels_kji == 0
    rough = [np.diff(image.array_kji)[air[..., 1:] & air[..., :-1]] for image in (case.fixed, case.moving)]
    assert abs(np.corrcoef(*rough)[0, 1]) < 0.1


@pytest.mark.parametrize("dimension", [2, 3])
def test_loads_move_the_same_subject_differently(dimension):
    results = [small_case(dimension, load=load) for load in LOADS]
    assert len(results) == 3
    for number, case in enumerate(results):
        following = results[(number + 1) % 3]
        assert np.array_equal(case.fixed.array_kji, following.fixed.array_kji)
        difference = np.linalg.norm(case.displacement_ras_mm - following.displacement_ras_mm)
        assert difference > 0.3 * np.linalg.norm(case.displacement_ras_mm)


@pytest.mark.parametrize("dimension", [2, 3])
def test_oblique_turns_space_and_truth_but_not_the_voxels(dimension):
    straight, oblique = (small_case(dimension, **turned) for turned in ({}, {"oblique": True}))
    assert np.array_equal(straight.moving.array_kji, oblique.moving.array_kji)
    turn = oblique.fixed.geometry.ijk_to_ras[:3, :3] @ np.linalg.inv(straight.fixed.geometry.ijk_to_ras[:3, :3])
    assert np.allclose(turn @ turn.T, np.eye(3)) and np.linalg.det(turn) == pytest.approx(1)
    assert np.abs(turn - np.eye(3)).max() > 0.2
    assert np.allclose(oblique.displacement_ras_mm, straight.displacement_ras_mm @ turn.T, atol=1e-4)


@pytest.mark.parametrize("dimension", [2, 3])
def test_spacing_sets_the_voxels_not_the_field_of_view(dimension):
    geometry = small_case(dimension).fixed.geometry
    assert np.allclose(geometry.spacing_ijk_mm, SMALL_SPACING_MM[dimension])
    assert geometry.shape_kji[-1] * geometry.spacing_ijk_mm[0] == pytest.approx(384)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((4, 0), {}, "not 4"),
        ((2, -1), {}, "not -1"),
        ((2, 0.5), {}, "not 0.5"),
        ((2, 0), {"load": "magic"}, "'magic'"),
        ((2, 0), {"spacing_mm": 40.0}, "not 40 mm"),
        ((3, 0), {"spacing_mm": 1.0}, "not 1 mm"),
    ],
)
def test_bad_arguments_are_refused_with_their_value(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        make_case(*arguments, **options)


# --- files ---


@pytest.mark.parametrize("name", ["fixed", "moving", "segmentation", "moving_segmentation"])
def test_saved_volume_lies_where_the_case_says(cases, tmp_path, name):
    cases[3].save(tmp_path)
    volume = sitk.ReadImage(str(tmp_path / f"{name}.nii.gz"))
    last = [n - 1 for n in cases[3].valid.shape[::-1]]
    expected_ras_mm = cases[3].fixed.geometry.points_ras_mm(np.array(last))
    assert np.allclose(volume.TransformIndexToPhysicalPoint(last), expected_ras_mm * [-1, -1, 1], atol=1e-2)
    source = {
        "fixed": cases[3].fixed.array_kji,
        "moving": cases[3].moving.array_kji,
        "segmentation": cases[3].fixed_segmentation.labels_kji,
        "moving_segmentation": cases[3].moving_segmentation.labels_kji,
    }[name]
    assert np.allclose(sitk.GetArrayFromImage(volume), source)


@pytest.mark.parametrize("dimension", [2, 3])
def test_saved_landmarks_lie_in_the_tissue_they_are_named_after(cases, tmp_path, dimension):
    cases[dimension].save(tmp_path)
    names = {tissue.label: tissue.name for tissue in cases[dimension].fixed_segmentation.tissues}
    volume = sitk.ReadImage(str(tmp_path / "segmentation.nii.gz"))
    with (tmp_path / "landmarks.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20
    for row in rows:
        fixed_lps_mm = [float(row[f"fixed_{axis}"]) for axis in "xyz"]
        assert row["name"].startswith(names[volume.GetPixel(volume.TransformPhysicalPointToIndex(fixed_lps_mm))])


@pytest.mark.parametrize("dimension", [2, 3])
def test_saved_landmarks_show_the_same_intensity_in_both_images(cases, tmp_path, dimension):
    cases[dimension].save(tmp_path)
    volumes = {name: sitk.ReadImage(str(tmp_path / f"{name}.nii.gz")) for name in ("fixed", "moving")}
    with (tmp_path / "landmarks.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    values = np.array(
        [
            [
                volumes[name].EvaluateAtPhysicalPoint([float(row[f"{name}_{axis}"]) for axis in "xyz"])
                for name in volumes
            ]
            for row in rows
        ]
    )
    assert np.corrcoef(values.T)[0, 1] > 0.9
