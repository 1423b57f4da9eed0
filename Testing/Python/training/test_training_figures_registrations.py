"""Training: figure 3 of the paper. Deformations that are known show up where they are, in the right color and shape."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("matplotlib")

import matplotlib
from few_steps import take_few_steps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from synthetic_pairs import prepared, quick_solver, slice_case, thorax_case, write_pair
from training_files import paper_packs

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.data.images import Image, ImagePair, Segmentation
from TissueElasticRegistrationLib.core.data.progress import finish
from TissueElasticRegistrationLib.core.data.tissues import Tissue
from TissueElasticRegistrationLib.core.estimation.landscape import Landscape
from TissueElasticRegistrationLib.core.registration.direct_solver import DirectSolver
from TissueElasticRegistrationLib.core.registration.solver import solver_for
from training.drawing.compared import Choice, Compared, best_for_all, compare, global_model, is_adaptive, is_global
from training.drawing.comparison import TITLES, comparison_figure, parameter_text, row_text
from training.drawing.pages import pixels, same_look
from training.drawing.planes import shown_plane
from training.figures import main

TISSUES = (Tissue(1, "soft"), Tissue(2, "lung"))
SHAPE, SPACING_MM = (60, 96), (5.0, 2.0)  # rows and columns of a slice whose pixels are not square
RADIUS_MM, MARK_MM = 30.0, (50.0, 0.0, 90.0)
SHIFT_MM = (16.0, 0.0, -10.0)


def coronal_geometry(shape=SHAPE) -> Geometry:
    """i to the patient's left, j to the feet, k to the back, middle at 0."""
    matrix = np.zeros((4, 4))
    matrix[0, 0], matrix[2, 1], matrix[1, 2], matrix[3, 3] = -SPACING_MM[1], -SPACING_MM[0], -1.0, 1.0
    matrix[:3, 3] = -matrix[:3, :3] @ ((np.array([shape[1], shape[0], 1]) - 1) / 2)
    return Geometry((1, *shape), matrix)


def disc_pair(shift_mm=(0.0, 0.0, 0.0), shape=SHAPE) -> ImagePair:
    """A round lung in a body; in the moving image the lung lies elsewhere. One bright mark, at the right shoulder."""
    geometry = coronal_geometry(shape)
    points = geometry.voxel_centers_ras_mm()

    def labels(center) -> np.ndarray:
        body = np.abs(points[..., 0]) < 80
        return np.where(np.linalg.norm(points - center, axis=-1) < RADIUS_MM, 2, body).astype(np.uint8)

    def values(of: np.ndarray) -> np.ndarray:
        mark = np.linalg.norm((points - MARK_MM) / [6, 1e9, 6], axis=-1) < 1
        return np.choose(of, [-1000.0, 40.0, -800.0]).astype(np.float32) + 900 * mark

    fixed, moving = labels((0, 0, 0)), labels(shift_mm)
    return ImagePair(
        Image(values(fixed), geometry, "fixed"),
        Image(values(moving), geometry, "moving"),
        Segmentation(fixed, geometry, TISSUES),
        Segmentation(moving, geometry, TISSUES),
    )


def moved(pair: ImagePair, displacement_of) -> Compared:
    """A row with a known displacement, a function of points (..., 3) in RAS mm."""
    registrar = prepared(pair, initial="none")
    points = registrar.working.geometry.voxel_centers_ras_mm()
    displacement = displacement_of(points).astype(np.float32)
    result = finish(registrar.evaluate(displacement, registrar.table_parameters()))
    return Compared("known", result, "given", False, True)


def breathing(points: np.ndarray) -> np.ndarray:
    """Grows in the patient's right half, shrinks in the left one."""
    displacement = np.zeros_like(points)
    displacement[..., 0] = 20 * (1 - np.cos(points[..., 0] / 40)) * np.exp(-((points[..., 2] / 70) ** 2))
    return displacement


def drawn(pair: ImagePair, *rows: Compared):
    with same_look():
        figure = comparison_figure(pair, shown_plane(pair), rows, "title")
        FigureCanvasAgg(figure).draw()
    return figure, {axes.get_label(): axes for axes in figure.axes}


@pytest.fixture(scope="module")
def known():
    """Pair, row, figure and its axes."""
    pair = disc_pair()
    row = moved(pair, breathing)
    figure, axes = drawn(pair, row)
    return SimpleNamespace(pair=pair, row=row, figure=figure, axes=axes)


@pytest.fixture(scope="module")
def packs(tmp_path_factory) -> dict[str, str]:
    """Folders of untrained models of the paper's four kinds, by name."""
    return paper_packs(tmp_path_factory.mktemp("packs"), still=True)


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_every_column_is_there_and_named(known):
    assert [axes.get_title() for axes in known.axes.values() if axes.get_title()] == list(TITLES)
    assert set(known.axes) >= {"moving", "fixed", *(f"known: {title}" for title in TITLES[1:])}


def test_growing_is_red_and_shrinking_blue_around_one(known):
    panel = known.axes["known: Jacobian determinant"]
    picture = panel.images[0]
    assert picture.norm.vmin == -picture.norm.vmax and picture.norm.vmax > 0
    red, middle, blue = (picture.cmap(picture.norm(value)) for value in (1.0, 0.0, -1.0))
    assert red[0] > 2 * red[2] and blue[2] > 2 * blue[0] and min(middle[:3]) > 0.95
    plane = shown_plane(known.pair)
    rows, columns = plane.geometry.shape_kji[1:]
    for right_mm, sign in ((40.0, 1), (-40.0, -1)):
        column, row = plane.pixels(np.array([right_mm, 0.0, 0.0]))
        assert (column < columns / 2) == (right_mm > 0), "the patient's right is on the viewer's left"
        value = picture.get_array()[round(row), round(column)]
        truth = np.log(1 + 0.5 * np.sin(right_mm / 40))
        assert np.sign(value) == sign and value == pytest.approx(truth, abs=0.04)


def test_folding_is_magenta(known):
    fold = moved(known.pair, lambda points: -1.5 * points * [1, 0, 0] * (np.abs(points[..., :1]) < 20))
    figure, axes = drawn(known.pair, fold)
    picture = pixels(figure)
    magenta = np.all(picture == (255, 0, 255), axis=-1)
    assert magenta.sum() > 100
    box = axes["known: Jacobian determinant"].get_window_extent()
    inside = magenta[-int(box.y1) : -int(box.y0), int(box.x0) : int(box.x1)]
    assert inside.sum() > 0.5 * magenta.sum(), "the rest is the legend"
    assert not np.all(pixels(known.figure) == (255, 0, 255), axis=-1).any()


@pytest.mark.parametrize("shape", [SHAPE, (80, 60)], ids=["wide", "very tall"])
def test_pixels_that_are_not_square_leave_round_things_round(shape):
    pair = disc_pair(shape=shape)
    _, axes = drawn(pair, moved(pair, np.zeros_like))
    for name in ("known: Outlines", "known: Jacobian determinant", "known: Deformation"):
        curves = [*axes[name].lines, *axes[name].patches]
        paths = [curve.get_transform().transform(curve.get_path().vertices) for curve in curves]
        sizes = [size for size in (np.ptp(path, axis=0) for path in paths) if min(size) > 20]
        width, height = min(sizes, key=np.prod)
        assert width == pytest.approx(height, rel=0.06), name
        rows, columns = shown_plane(pair).geometry.shape_kji[1:]
        scale = axes[name].get_window_extent().width / columns / shown_plane(pair).pixel_mm
        assert width / scale == pytest.approx(2 * RADIUS_MM, rel=0.05), "in mm"


def test_the_mark_of_the_right_shoulder_is_at_the_top_left(known):
    column, row = shown_plane(known.pair).pixels(np.array(MARK_MM))
    assert np.all(np.array([row, column]) < 0.25 * np.array(shown_plane(known.pair).geometry.shape_kji[1:]))
    for name in ("moving", "fixed"):
        values = np.asarray(known.axes[name].images[0].get_array())
        brightest = np.argwhere(values > 0.9 * values.max())
        assert brightest.mean(0) == pytest.approx([row, column], abs=3), name


def test_outlines_show_the_warped_tissue_over_the_fixed_one():
    pair = disc_pair(SHIFT_MM)
    _, axes = drawn(pair, moved(pair, np.zeros_like))
    panel = axes["known: Outlines"]
    lungs = {}
    for line in panel.lines:
        if line.get_color() == "white" or len(lungs) < 2:
            width = np.ptp(line.get_xdata()) * shown_plane(pair).pixel_mm
            if abs(width - 2 * RADIUS_MM) < 6:
                lungs["fixed" if line.get_color() == "white" else "warped"] = line.get_xydata()
    assert set(lungs) == {"fixed", "warped"}
    middle = {name: (curve.min(0) + curve.max(0)) / 2 for name, curve in lungs.items()}
    moved_mm = (middle["warped"] - middle["fixed"]) * shown_plane(pair).pixel_mm
    assert moved_mm == pytest.approx([-SHIFT_MM[0], -SHIFT_MM[2]], abs=2.0)


def test_the_grid_is_deformed_by_as_much_as_the_displacement(known):
    panel, plane = known.axes["known: Deformation"], shown_plane(known.pair)
    assert len(panel.lines) > 20
    along = [line.get_xydata() for line in panel.lines]
    horizontal = [curve for curve in along if np.ptp(curve[:, 0]) > 2 * np.ptp(curve[:, 1])]
    assert all(np.ptp(curve[:, 1]) < 1e-6 for curve in horizontal), "the displacement goes across"
    vertical = [curve for curve in along if np.ptp(curve[:, 0]) <= 2 * np.ptp(curve[:, 1])]
    largest_mm = max(np.ptp(curve[:, 0]) for curve in vertical) * plane.pixel_mm
    corners = plane.geometry.points_ras_mm(np.argwhere(np.ones(plane.geometry.shape_kji))[:, ::-1])
    shifts = breathing(corners)[:, 0].reshape(plane.geometry.shape_kji[1:])
    assert largest_mm == pytest.approx(np.ptp(shifts, axis=0).max(), rel=0.15)


def test_without_a_moving_segmentation_the_fixed_tissues_are_on_the_warped_image():
    pair = disc_pair(SHIFT_MM)
    bare = ImagePair(pair.fixed, pair.moving, pair.fixed_segmentation)
    row = moved(bare, np.zeros_like)
    _, axes = drawn(bare, row)
    shown = np.asarray(axes["known: Outlines"].images[0].get_array())
    assert np.array_equal(shown, np.asarray(axes["known: Warped"].images[0].get_array()))
    assert "Dice" not in row_text(row, bare)


def test_the_line_below_tells_what_was_measured(known):
    row, text = known.row, row_text(known.row, known.pair)
    for tissue in row.result.tissues:
        if np.isfinite(tissue.dice_after):
            assert f"{tissue.tissue.name} {tissue.dice_after:.3f}" in text
    assert f"folding {row.result.negative_jacobian_percent:.2f} %" in text
    points = known.pair.fixed.geometry.voxel_centers_ras_mm()
    fall = np.exp(-((points[..., 2] / 70) ** 2))
    truth = 1 + 0.5 * np.sin(points[..., 0] / 40) * fall
    deviation = truth[known.pair.fixed_segmentation.labels_kji > 0].std()
    assert row.jacobian_deviation(known.pair.fixed_segmentation) == pytest.approx(deviation, rel=0.05)
    assert f"std J {row.jacobian_deviation(known.pair.fixed_segmentation):.3f}" in text
    assert parameter_text(row) == "λ, μ given: soft (1, 1), lung (0.5, 0.5)"


def test_three_rows_have_their_own_pictures_and_no_text_is_cut(known):
    still = moved(known.pair, np.zeros_like)
    rows = [
        known.row,
        Compared("second", still.result, "given", True, True),
        Compared("third", still.result, "given", False, False),
    ]
    figure, axes = drawn(known.pair, *rows)
    assert "before" in axes and parameter_text(rows[1]) == "λ, μ given: (1, 1) everywhere"
    assert parameter_text(rows[2]) == "μ given: soft (1), lung (0.5)"
    for title in ("Warped", "Jacobian determinant", "Difference"):
        one, two, three = (np.ma.filled(axes[f"{row.name}: {title}"].images[0].get_array(), -1) for row in rows)
        assert not np.allclose(one, two) and np.array_equal(two, three), title
    bent = [
        max(np.ptp(line.get_xydata(), axis=0).min() for line in axes[f"{row.name}: Deformation"].lines) for row in rows
    ]
    assert bent[0] > 5 and max(bent[1:]) < 1e-6
    used = figure.get_tightbbox(FigureCanvasAgg(figure).get_renderer())
    assert min(used.x0, used.y0) >= 0 and np.all(used.p1 <= figure.get_size_inches())


# --- planes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("view", "axis"), [("axial", 2), ("coronal", 1), ("sagittal", 0)])
def test_a_plane_of_a_volume_can_be_chosen(view, axis):
    case = thorax_case()
    pair = ImagePair(case.fixed, case.moving, case.fixed_segmentation)
    middle = shown_plane(pair, view)

    def place(plane) -> np.ndarray:
        rows, columns = plane.geometry.shape_kji[1:]
        return plane.geometry.points_ras_mm([(columns - 1) / 2, (rows - 1) / 2, 0.0])

    wanted_mm = place(middle)[axis] + 30.0
    chosen = shown_plane(pair, view, wanted_mm)
    assert chosen.name == view and place(chosen)[axis] == pytest.approx(wanted_mm)
    across = np.cross(*middle.geometry.ijk_to_ras[:3, :2].T)
    moved_by = place(chosen) - place(middle)
    assert np.allclose(np.cross(moved_by, across), 0, atol=1e-6), "straight across the plane, also in an oblique volume"
    with pytest.raises(ValueError, match="Nothing is segmented"):
        shown_plane(pair, view, wanted_mm + 1000)


def test_a_slice_has_one_plane():
    pair = disc_pair()
    assert shown_plane(pair).name == "coronal"
    with pytest.raises(ValueError, match="no axial plane"):
        shown_plane(pair, "axial")


# --- parameters -------------------------------------------------------------------------------------------------------


def test_the_adaptive_model_is_searched_with_the_global_one_of_its_kind(packs):
    names = ("diff-g", "elas-g", "elas-sas", "universal-2d", "direct")
    solvers = {name: solver_for(packs.get(name, name)) for name in names}
    assert [is_global(solver) for solver in solvers.values()] == [True, True, False, False, False]
    assert [is_adaptive(solver) for solver in solvers.values()] == [False, False, True, False, False]
    assert global_model(solvers["elas-sas"], solvers.values()) is solvers["elas-g"]
    assert global_model(solvers["elas-sas"], [solvers["diff-g"], DirectSolver()]) is None


def test_a_global_model_takes_the_best_place_of_the_mean_of_the_tissues_that_vote():
    scores = np.zeros((3, 2, 2))
    scores[0, 0, 0] = 9.0  # has no vote
    scores[1, 0, 1], scores[2, 1, 0], scores[1:, 1, 1] = 0.9, 0.9, 0.6
    estimate = SimpleNamespace(
        landscape=Landscape(np.array([0.1, 0.2]), np.array([0.3, 0.4]), scores),
        per_tissue=[SimpleNamespace(tissue=Tissue(label, str(label)), is_estimated=label > 0) for label in range(3)],
    )
    found = best_for_all(estimate)
    assert {(found[label].lam, found[label].mu) for label in (0, 1, 2, 77)} == {(0.2, 0.4)}


def test_rows_are_registered_with_what_was_chosen(tmp_path, packs):
    case = slice_case()
    pair = ImagePair(case.fixed, case.moving, case.fixed_segmentation, case.moving_segmentation)
    solvers = {name: solver_for(packs[name]) for name in ("elas-g", "elas-sas")}
    rows = compare(pair, solvers, Choice(points=3, threads=1), lambda *_: None)
    assert [row.name for row in rows] == ["elas-g", "elas-sas"]
    assert len({row.parameters for row in rows[0].result.tissues}) == 1
    assert rows[1].origin == "estimated by grid with elas-g"
    file = tmp_path / "values.json"
    file.write_text(json.dumps({"tissues": {"lung": {"lambda": 3.0, "mu": 4.0}}}))
    (row,) = compare(
        pair, {"direct": quick_solver()}, Choice(method=None, parameters=str(file), threads=1), lambda *_: None
    )
    lung = next(tissue for tissue in row.result.tissues if tissue.tissue.name == "lung")
    assert (lung.parameters.lam, lung.parameters.mu, row.origin) == (3.0, 4.0, "given")


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_same_subject_gives_the_same_bytes_from_files_too(tmp_path, packs, capsys, monkeypatch):
    take_few_steps(monkeypatch)
    case = slice_case()
    pair = ImagePair(case.fixed, case.moving, case.fixed_segmentation, case.moving_segmentation)
    files = write_pair(pair, tmp_path)
    options = [
        "registrations",
        packs["elas-g"],
        packs["elas-sas"],
        "--tissues",
        "1=lung,2=bone,3=liver,4=soft",
        "--grid-points",
        "2",
        "--width",
        "800",
        "--moving-segmentation",
        str(tmp_path / "moving_segmentation.nii.gz"),
        *(word for name, path in files.items() for word in (f"--{name}", path)),
    ]
    settings = dict(matplotlib.rcParams)
    for name in ("one.png", "two.png"):
        assert main([*options, "--output", str(tmp_path / name)]) == 0
    assert dict(matplotlib.rcParams) == settings
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("elas-g: Dice 0.") and printed[1].startswith("elas-sas: Dice 0.")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("direct", "--fixed", "a.nii.gz"), "--moving is missing"),
        (
            ("direct", "--fixed", "a.nii.gz", "--moving", "b.nii.gz", "--segmentation", "c.nii.gz"),
            "file not found",
        ),
        (("nothing",), "Model 'nothing' not found"),
        (("direct", "direct"), "shown once"),
        (("direct", "--refine", "-1"), "at least 0"),
        (("direct", "--spacing-mm", "500"), "spacing must be between"),
        (("direct", "--view", "axial", "--spacing-mm", "12"), "no axial plane"),
        (("direct", "--phantom", "-4"), "seed must be"),
        (("direct", "universal-3d", "--spacing-mm", "12"), "supports volumes only"),
        (("direct", "--search-model", "universal-2d", "--estimate", "none", "--spacing-mm", "12"), "--search-model"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_sentence(tmp_path, capsys, options, message):
    assert main(["registrations", *options, "--output", str(tmp_path / "a.png")]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: ") and message in printed and printed.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
