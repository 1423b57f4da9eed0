"""The main job, small: a simulated slice goes through files, scene, two registrations, picture and table."""

from __future__ import annotations

import argparse
import io
import json
from types import SimpleNamespace

import demo
import numpy as np
import pytest
import SimpleITK as sitk

from TissueElasticRegistrationLib.core.files.image_files import write_labels
from TissueElasticRegistrationLib.core.files.landmark_files import read_landmarks
from TissueElasticRegistrationLib.core.geometry import flip_ras_lps
from TissueElasticRegistrationLib.core.images import Segmentation
from TissueElasticRegistrationLib.core.tissues import Lame, Tissue
from TissueElasticRegistrationLib.progress_line import ProgressLine
from TissueElasticRegistrationLib.register_command import OUTPUT_FILES, read_pair
from training.phantoms import make_case

NOTHING = dict.fromkeys(("fixed", "moving", "segmentation", "moving_segmentation", "landmarks", "tissues"))
TABLES = ("tissue table", "uniform table")


def quiet() -> ProgressLine:
    return ProgressLine(io.StringIO())


@pytest.fixture(scope="module")
def finished(mrml_host, tmp_path_factory):
    """The demonstration with a single slice of 8 mm: its output folder, what it printed, its landmarks."""
    pytest.importorskip("matplotlib")
    from demonstration.case_files import simulated_case
    from demonstration.main_job import run

    output = tmp_path_factory.mktemp("demo") / "output"
    log = io.StringIO()
    options = argparse.Namespace(**NOTHING, output=str(output))
    mrml_host.clear()
    text = run(options, mrml_host, ProgressLine(log), lambda folder: simulated_case(folder, 2, 3, 8.0))
    mrml_host.clear()
    return SimpleNamespace(output=output, text=text, log=log.getvalue(),
                           landmarks=read_landmarks(output / "case" / "landmarks.csv"))


def test_all_files_are_written_and_named_in_the_text(finished):
    written = {path.name for path in finished.output.iterdir()}
    assert written == {*OUTPUT_FILES, "scene.mrb", "overview.png", "case"}
    assert all(name in finished.text for name in written)
    assert {path.name for path in (finished.output / "case").iterdir()} == {
        "fixed.nii.gz", "moving.nii.gz", "segmentation.nii.gz", "moving_segmentation.nii.gz", "landmarks.csv"}


def test_table_has_a_row_for_each_tissue_and_the_numbers_of_the_result(finished):
    content = json.loads((finished.output / "result.json").read_text())
    rows = {line.split()[0]: line for line in finished.text.splitlines() if "|" in line and line.split()[0] != "|"}
    assert set(rows) == {"air", "lung", "bone", "liver", "soft"}
    for tissue in content["tissues"]:
        if tissue["name"] != "air":
            assert f"{tissue['dice_after']:.3f}" in rows[tissue["name"]]
    assert f"{content['tre_mm']['after_mean']:.2f}" in finished.text


def test_registration_with_the_tissue_table_improves_everything_measured(finished):
    content = json.loads((finished.output / "result.json").read_text())
    assert content["tre_mm"]["after_mean"] < 0.6 * content["tre_mm"]["before_mean"]
    assert all(tissue["dice_after"] > tissue["dice_before"] for tissue in content["tissues"] if tissue["dice_before"])
    assert content["negative_jacobian_percent"] == 0


def test_progress_names_every_stage(finished):
    # A slice is evaluated so quickly that a log does not show it.
    stages = ("simulate", "load", "prepare", *(f"register, {table}" for table in TABLES), "write", "draw")
    assert [stage for stage in stages if stage not in finished.log] == []


def test_scene_opens_with_inputs_and_both_results(finished, mrml_host, mrml_scene):
    mrml_host.load(finished.output / "scene.mrb")
    for name in ("fixed", "moving", "fixed tissues", "moving tissues", "fixed landmarks", "moving landmarks"):
        assert mrml_scene.GetFirstNodeByName(name), name
    for table in TABLES:
        for name in ("moving to fixed", "moving warped", "moving tissues warped", "Metrics"):
            assert mrml_scene.GetFirstNodeByName(f"{name} ({table})"), name
    segmentation = mrml_scene.GetFirstNodeByName("fixed tissues").GetSegmentation()
    names = [segmentation.GetNthSegment(n).GetName() for n in range(segmentation.GetNumberOfSegments())]
    assert names == ["lung", "bone", "liver", "soft"]
    colors = {segmentation.GetNthSegment(n).GetColor() for n in range(len(names))}
    assert len(colors) == len(names)


def test_transform_in_the_scene_is_the_one_in_the_file(finished, mrml_host, mrml_scene):
    mrml_host.load(finished.output / "scene.mrb")
    in_scene = mrml_scene.GetFirstNodeByName("moving to fixed (tissue table)").GetTransformFromParent()
    in_file = sitk.ReadTransform(str(finished.output / "transform.h5"))
    for fixed_ras_mm in finished.landmarks.fixed_ras_mm:
        expected = flip_ras_lps(np.array(in_file.TransformPoint(flip_ras_lps(fixed_ras_mm))))
        assert np.allclose(in_scene.TransformPoint(fixed_ras_mm), expected, atol=1e-3)


def test_pair_in_the_scene_is_the_pair_in_the_files(mrml_scene, tmp_path):
    """On an oblique grid, with label values that have gaps and a background that the user has named."""
    from demonstration.patient_scene import add_pair, pair_in_scene

    case = make_case(2, 1, spacing_mm=12, oblique=True)
    case.save(tmp_path)
    for name, labels in (("segmentation", case.fixed_segmentation), ("moving_segmentation", case.moving_segmentation)):
        tissues = tuple(Tissue(3 * tissue.label, tissue.name) for tissue in labels.tissues)
        write_labels(Segmentation(3 * labels.labels_kji, labels.geometry, tissues), tmp_path / f"{name}.nii.gz")
    images = {name: str(tmp_path / f"{name}.nii.gz")
              for name in ("fixed", "moving", "segmentation", "moving_segmentation")}
    options = argparse.Namespace(**images, landmarks=str(tmp_path / "landmarks.csv"),
                                 tissues="0=air,3=lung,6=bone,9=liver,12=soft")
    files = read_pair(options)
    found = pair_in_scene(add_pair(mrml_scene, files, options.fixed, options.moving), files)
    assert found.fixed.geometry.agrees_with(files.fixed.geometry)
    assert np.array_equal(found.fixed.array_kji, files.fixed.array_kji)
    assert np.array_equal(found.moving.array_kji, files.moving.array_kji)
    assert found.fixed_segmentation.tissues == files.fixed_segmentation.tissues
    assert np.array_equal(found.fixed_segmentation.labels_kji, files.fixed_segmentation.labels_kji)
    assert np.array_equal(found.moving_segmentation.labels_kji, files.moving_segmentation.labels_kji)
    assert np.allclose(found.landmarks.moving_ras_mm, files.landmarks.moving_ras_mm)


def test_picture_has_its_width_and_cuts_no_text(finished, mrml_scene):
    from demonstration import overview
    from demonstration.runs import register_twice
    from PIL import Image

    with Image.open(finished.output / "overview.png") as picture:
        assert picture.width == overview.WIDTH
    case = finished.output / "case"
    options = {name: str(case / f"{name}.nii.gz") for name in ("fixed", "moving", "segmentation")}
    options["tissues"] = "1=left upper and middle lobe of the lung"
    pair = read_pair(argparse.Namespace(**{**NOTHING, **options}))
    figure = overview.overview(pair, register_twice(pair, quiet()))
    renderer = overview.FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    width, height = figure.bbox.width, figure.bbox.height
    for text in figure.findobj(overview.matplotlib.text.Text):
        box = text.get_window_extent(renderer)
        if text.get_text() and text.get_visible():
            assert min(box.x0, box.y0, width - box.x1, height - box.y1) >= 0, text.get_text()


def test_uniform_table_makes_no_difference_between_tissues():
    pytest.importorskip("slicer")
    from demonstration.runs import uniform_parameters

    parameters = uniform_parameters((Tissue(0, "air"), Tissue(1, "lung"), Tissue(2, "bone")))
    assert set(parameters.by_label) == {0, 1, 2}
    assert set(parameters.by_label.values()) == {Lame(1, 1)}


@pytest.mark.parametrize(("arguments", "named"), [
    (["--fixed", "a.nii.gz"], ["--moving", "--segmentation"]),
    (["--fixed", "a.nii.gz", "--moving", "b.nii.gz"], ["--segmentation"]),
    (["--tissues", "1=lung"], ["--fixed", "--moving", "--segmentation"]),
])
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


def test_bad_file_leaves_nothing_behind(mrml_host, mrml_scene, tmp_path):
    from demonstration.main_job import run

    missing = {name: str(tmp_path / f"{name}.nii.gz") for name in ("fixed", "moving", "segmentation")}
    options = argparse.Namespace(**{**NOTHING, **missing}, output=str(tmp_path / "output"))
    with pytest.raises(ValueError, match="fixed.nii.gz: there is no such file"):
        run(options, mrml_host, quiet())
    assert list(tmp_path.iterdir()) == []


def test_progress_line_tells_how_long_a_silent_block_takes():
    stream = io.StringIO()
    progress = ProgressLine(stream)
    with progress.busy("write", "files"):
        pass
    assert stream.getvalue() == "write   0 s  files: done\n"
