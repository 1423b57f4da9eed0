"""The demonstration, small: a simulated slice goes through files, scene, panel, registrations, pictures and table."""

from __future__ import annotations

import argparse
import io
import json
from functools import partial
from types import SimpleNamespace

import demo
import numpy as np
import pytest
import SimpleITK as sitk
from few_steps import take_few_steps

from TissueElasticRegistrationLib.commands.console_progress import ProgressLine
from TissueElasticRegistrationLib.commands.register_command import OUTPUT_FILES, read_pair
from TissueElasticRegistrationLib.core.data.geometry import flip_ras_lps
from TissueElasticRegistrationLib.core.data.images import Segmentation
from TissueElasticRegistrationLib.core.data.tissues import Lame, Tissue
from TissueElasticRegistrationLib.core.estimation import coarse_registration
from TissueElasticRegistrationLib.core.files.image_files import write_labels
from TissueElasticRegistrationLib.core.files.landmark_files import read_landmarks
from TissueElasticRegistrationLib.core.physics.parameter_scale import LogScale
from training.phantoms import make_case

NOTHING = dict.fromkeys(("fixed", "moving", "segmentation", "moving_segmentation", "landmarks", "tissues"))
NAMES = ("uniform", "table", "estimate")


def quiet() -> ProgressLine:
    return ProgressLine(io.StringIO())


@pytest.fixture(scope="module")
def finished(slicer_host, tmp_path_factory):
    """The demonstration with a single slice of 8 mm: output folder, printed text, landmarks, values of the panel."""
    pytest.importorskip("matplotlib")
    from demonstration.case_files import simulated_case
    from demonstration.main_job import run

    output = tmp_path_factory.mktemp("demo") / "output"
    log = io.StringIO()
    options = argparse.Namespace(**NOTHING, output=str(output))
    slicer_host.reset()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coarse_registration, "NEIGHBOR_STEPS", {2: 3, 3: 3})
        simulate = partial(simulated_case, dimension=2, patient=3, spacing_mm=8.0)
        text, user = run(options, slicer_host, ProgressLine(log), simulate=simulate)
    values = user.values()
    assert not slicer_host.reset()
    return SimpleNamespace(
        output=output,
        text=text,
        log=log.getvalue(),
        values=values,
        landmarks=read_landmarks(output / "case" / "landmarks.csv"),
    )


@pytest.fixture
def opened(finished, fresh_host):
    """The scene that was saved, opened again."""
    fresh_host.mrml.load(finished.output / "scene.mrb")
    return fresh_host.scene


def content_of(finished) -> dict:
    return json.loads((finished.output / "result.json").read_text())


def test_all_files_are_written_and_named_in_the_text(finished):
    written = {path.name for path in finished.output.iterdir()}
    assert written == {*OUTPUT_FILES, "scene.mrb", "panel.png", "overview.png", "case"}
    assert all(name in finished.text for name in written)
    assert {path.name for path in (finished.output / "case").iterdir()} == {
        "fixed.nii.gz",
        "moving.nii.gz",
        "segmentation.nii.gz",
        "moving_segmentation.nii.gz",
        "landmarks.csv",
    }


def test_table_has_a_row_for_each_tissue_and_the_numbers_of_the_result(finished):
    content = content_of(finished)
    rows = {line.split()[0]: line for line in finished.text.splitlines() if "|" in line and line.split()[0] != "|"}
    assert set(rows) == {"lung", "bone", "liver", "soft"}
    for tissue in content["tissues"]:
        if tissue["name"] in rows:
            assert f"{tissue['dice_after']:.3f}" in rows[tissue["name"]]
    assert f"{content['tre_mm']['after_mean']:.2f}" in finished.text


def test_registration_improves_everything_measured(finished):
    content = content_of(finished)
    assert content["tre_mm"]["after_mean"] < 0.6 * content["tre_mm"]["before_mean"]
    assert all(tissue["dice_after"] > tissue["dice_before"] for tissue in content["tissues"] if tissue["dice_before"])
    assert content["negative_jacobian_percent"] == 0


def test_result_has_the_values_of_the_panel_and_says_that_they_are_estimated(finished):
    content = content_of(finished)
    weights = {tissue["id"]: (tissue["lambda"], tissue["mu"]) for tissue in content["tissues"]}
    assert {key: weights[key] for key in "1234"} == {
        key: pytest.approx((finished.values[key].lam, finished.values[key].mu), rel=1e-5) for key in "1234"
    }
    estimated = {row["id"] for row in content["estimate"]["per_tissue"]}
    assert estimated == {"1", "3", "4"}
    assert weights["2"] == (30, 30), "bone was locked"
    assert content["estimate"]["method"] == "grid" and content["seconds"]["estimate"] > 0


def test_progress_names_every_stage(finished):
    # A slice is evaluated so quickly that a log does not show it.
    stages = ("simulate", "prepare", *(f"register, {name}" for name in NAMES), "open", "estimate", "apply", "write")
    assert [stage for stage in stages if stage not in finished.log] == []


def test_scene_opens_with_inputs_and_the_result_of_the_panel(opened):
    for name in (
        "fixed",
        "moving",
        "fixed tissues",
        "moving tissues",
        "fixed landmarks",
        "moving landmarks",
        "moving to fixed",
        "moving warped",
        "moving tissues warped",
        "moving to fixed metrics",
    ):
        assert opened.GetFirstNodeByName(name), name
    moving = opened.GetFirstNodeByName("moving")
    assert moving.GetTransformNodeID() == opened.GetFirstNodeByName("moving to fixed").GetID()
    segmentation = opened.GetFirstNodeByName("fixed tissues").GetSegmentation()
    names = [segmentation.GetNthSegment(n).GetName() for n in range(segmentation.GetNumberOfSegments())]
    assert names == ["lung", "bone", "liver", "soft"]
    colors = {segmentation.GetNthSegment(n).GetColor() for n in range(len(names))}
    assert len(colors) == len(names)


def test_transform_in_the_scene_is_the_one_in_the_file(finished, opened):
    """The panel has made the one, the code behind the command line the other."""
    in_scene = opened.GetFirstNodeByName("moving to fixed").GetTransformFromParent()
    in_file = sitk.ReadTransform(str(finished.output / "transform.h5"))
    for fixed_ras_mm in finished.landmarks.fixed_ras_mm:
        expected = flip_ras_lps(np.array(in_file.TransformPoint(flip_ras_lps(fixed_ras_mm))))
        assert np.allclose(in_scene.TransformPoint(fixed_ras_mm), expected, atol=1e-3)


def test_scene_opens_with_the_values_of_the_panel(finished, slicer_host, opened):
    from demonstration.panel_user import MODULE

    node = slicer_host.load_module(MODULE).logic.getParameterNode()
    assert node.fixedVolume.GetName() == "fixed"
    assert dict(node.muPositions.items())["3"] == pytest.approx(LogScale().slider(finished.values["3"].mu))
    assert dict(node.tissueLocked.items()) == {"2": True}


def test_picture_of_the_window_shows_panel_and_views(finished, slicer_host):
    if slicer_host.views is None:
        pytest.skip("needs OpenGL")
    from demonstration.panel_user import WINDOW_SIZE
    from PIL import Image

    with Image.open(finished.output / "panel.png") as picture:
        assert picture.size == tuple(WINDOW_SIZE.values())
        colors = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    lung = np.array([240, 160, 20])
    assert (np.abs(colors.astype(int) - lung).max(1) < 8).sum() > 300, "outline of the lung"


def test_pair_in_the_scene_is_the_pair_in_the_files(mrml_scene, tmp_path):
    """On an oblique grid, with label values that have gaps and a background that the user has named."""
    pytest.importorskip("matplotlib")
    from demonstration.patient_scene import add_pair, without_named_background

    from TissueElasticRegistrationLib.scene.read import read_pair as read_pair_of_nodes

    case = make_case(2, 1, spacing_mm=12, oblique=True)
    case.save(tmp_path)
    for name, labels in (("segmentation", case.fixed_segmentation), ("moving_segmentation", case.moving_segmentation)):
        tissues = tuple(Tissue(3 * tissue.label, tissue.name) for tissue in labels.tissues)
        write_labels(Segmentation(3 * labels.labels_kji, labels.geometry, tissues), tmp_path / f"{name}.nii.gz")
    images = {
        name: str(tmp_path / f"{name}.nii.gz") for name in ("fixed", "moving", "segmentation", "moving_segmentation")
    }
    options = argparse.Namespace(
        **images, landmarks=str(tmp_path / "landmarks.csv"), tissues="0=air,3=lung,6=bone,9=liver,12=soft"
    )
    files = without_named_background(read_pair(options))
    found = read_pair_of_nodes(*add_pair(mrml_scene, files, options.fixed, options.moving))
    assert found.fixed.geometry.agrees_with(files.fixed.geometry)
    assert np.array_equal(found.fixed.array_kji, files.fixed.array_kji)
    assert np.array_equal(found.moving.array_kji, files.moving.array_kji)
    for one, other in (
        (found.fixed_segmentation, files.fixed_segmentation),
        (found.moving_segmentation, files.moving_segmentation),
    ):
        assert [(tissue.id, tissue.name) for tissue in one.tissues] == [
            (tissue.id, tissue.name) for tissue in other.tissues if tissue.name != "air"
        ]
        assert np.array_equal(3 * one.labels_kji, other.labels_kji)
    assert np.allclose(found.landmarks.moving_ras_mm, files.landmarks.moving_ras_mm)


def test_overview_has_its_width_and_cuts_no_text(finished):
    from demonstration import overview
    from demonstration.runs import Run, Runs, prepared, registered
    from PIL import Image

    with Image.open(finished.output / "overview.png") as picture:
        assert picture.width == overview.WIDTH
    case = finished.output / "case"
    options = {name: str(case / f"{name}.nii.gz") for name in ("fixed", "moving", "segmentation")}
    options["tissues"] = "1=left upper and middle lobe of the lung"
    pair = read_pair(argparse.Namespace(**{**NOTHING, **options}))
    registrar = prepared(pair, quiet())
    run = registered(registrar, NAMES[0], registrar.table_parameters(), quiet())
    figure = overview.overview(pair, Runs(Run(name, run.result) for name in NAMES))
    renderer = overview.FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    width, height = figure.bbox.width, figure.bbox.height
    for text in figure.findobj(overview.matplotlib.text.Text):
        box = text.get_window_extent(renderer)
        if text.get_text() and text.get_visible():
            assert min(box.x0, box.y0, width - box.x1, height - box.y1) >= 0, text.get_text()


def test_without_moving_segmentation_the_table_is_applied(finished, fresh_host, tmp_path, monkeypatch):
    from demonstration.main_job import run

    take_few_steps(monkeypatch)
    case = finished.output / "case"
    options = {name: str(case / f"{name}.nii.gz") for name in ("fixed", "moving", "segmentation")}
    output = tmp_path / "output"
    text, user = run(argparse.Namespace(**{**NOTHING, **options}, output=str(output)), fresh_host, quiet())
    content = json.loads((output / "result.json").read_text())
    assert content["estimate"] is None
    assert {tissue["lambda"] for tissue in content["tissues"] if tissue["id"] in "1234"} == {1.0}
    assert "results of 'table'" in text and not (output / "warped_labels.nii.gz").exists()


def test_closing_the_window_ends_it_and_leaves_nothing_behind(finished, fresh_host, tmp_path, monkeypatch):
    import slicer.util
    from demonstration.main_job import run
    from demonstration.panel_user import WindowClosed

    take_few_steps(monkeypatch)
    case = finished.output / "case"
    options = {
        name: str(case / f"{name}.nii.gz") for name in ("fixed", "moving", "segmentation", "moving_segmentation")
    }

    class Impatient(ProgressLine):
        def __call__(self, stage: str, fraction: float, text: str) -> None:
            if stage == "estimate":
                slicer.util.mainWindow().close()

    with pytest.raises(WindowClosed):
        run(
            argparse.Namespace(**{**NOTHING, **options}, output=str(tmp_path / "output")),
            fresh_host,
            Impatient(io.StringIO()),
        )
    assert list(tmp_path.iterdir()) == []


def test_uniform_table_makes_no_difference_between_tissues():
    pytest.importorskip("slicer")
    from demonstration.runs import uniform_parameters

    parameters = uniform_parameters((Tissue(0, "air"), Tissue(1, "lung"), Tissue(2, "bone")))
    assert set(parameters.by_label) == {0, 1, 2}
    assert set(parameters.by_label.values()) == {Lame(1, 1)}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--fixed", "a.nii.gz"], ["--moving", "--segmentation"]),
        (["--fixed", "a.nii.gz", "--moving", "b.nii.gz"], ["--segmentation"]),
        (["--tissues", "1=lung"], ["--fixed", "--moving", "--segmentation"]),
    ],
)
def test_incomplete_options_are_refused_and_nothing_is_written(arguments, named, tmp_path, capsys):
    assert demo.main([*arguments, "--output", str(tmp_path / "output")]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: ") and printed.count("\n") == 1
    assert all(option in printed for option in named)
    assert list(tmp_path.iterdir()) == []


def test_unknown_option_is_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        demo.main(["--fxied", "a.nii.gz"])
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_bad_file_leaves_nothing_behind(slicer_host, tmp_path):
    pytest.importorskip("matplotlib")
    from demonstration.main_job import run

    missing = {name: str(tmp_path / f"{name}.nii.gz") for name in ("fixed", "moving", "segmentation")}
    options = argparse.Namespace(**{**NOTHING, **missing}, output=str(tmp_path / "output"))
    with pytest.raises(ValueError, match="fixed.nii.gz: file not found"):
        run(options, slicer_host, quiet())
    assert list(tmp_path.iterdir()) == []


def test_qt_is_asked_to_draw_only_where_it_can(monkeypatch, capsys):
    for name in ("QT_QPA_PLATFORM", "WAYLAND_DISPLAY", "DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert demo.choose_platform() == "offscreen" and not capsys.readouterr().err
    monkeypatch.setenv("DISPLAY", ":1234")
    assert demo.choose_platform() == "offscreen", "there is no such display"
    assert "panel.png" in capsys.readouterr().err
    monkeypatch.setattr(demo, "_qt_starts_on", lambda platform: platform == "xcb")
    assert demo.choose_platform() == "xcb"
    monkeypatch.setenv("QT_QPA_PLATFORM", "vnc")
    assert demo.choose_platform() == "vnc"


def test_progress_line_tells_how_long_a_silent_block_takes():
    stream = io.StringIO()
    progress = ProgressLine(stream)
    with progress.busy("write", "files"):
        pass
    assert stream.getvalue() == "write   0 s  files: done\n"
