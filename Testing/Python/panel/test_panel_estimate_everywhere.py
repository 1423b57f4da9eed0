"""One estimate asked for in three ways: button, console and command line find the same to the last bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from host.mouse import choose, tick, type_value
from panel_case import PanelCase, phantom
from panel_estimate import LIVER, as_stored, estimate, latest, row_of, stored

from TissueElasticRegistrationLib.__main__ import _parser
from TissueElasticRegistrationLib.commands.register_command import register_files
from TissueElasticRegistrationLib.core.estimation.estimate_result import Estimate
from TissueElasticRegistrationLib.core.files.image_files import write_image
from TissueElasticRegistrationLib.scene.nodes import InputNodes

pytestmark = pytest.mark.usefixtures("quick_panel")
NAMES = "1=lung,2=bone,3=liver,4=soft"


@pytest.fixture
def files(tmp_path) -> dict[str, Path]:
    """The phantom of the panel as files, in a format that keeps every digit of its geometry."""
    case = phantom()
    assert [tissue.name for tissue in case.fixed_segmentation.tissues] == ["lung", "bone", "liver", "soft"]
    paths = {}
    for name in ("fixed", "moving"):
        paths[name] = tmp_path / f"{name}.nrrd"
        write_image(getattr(case, name), paths[name])
    for option, labels, image in (
        ("segmentation", case.fixed_segmentation, "fixed"),
        ("moving-segmentation", case.moving_segmentation, "moving"),
    ):
        paths[option] = tmp_path / f"{option}.nrrd"
        picture = sitk.GetImageFromArray(labels.labels_kji.astype(np.uint8))
        picture.CopyInformation(sitk.ReadImage(str(paths[image])))
        sitk.WriteImage(picture, str(paths[option]))
    return paths


def by_command(files: dict[str, Path], output: Path, *more: str) -> Estimate:
    words = [word for name, path in files.items() for word in (f"--{name}", str(path))]
    options = _parser().parse_args(
        ["register", *words, "--tissues", NAMES, "--refine", "0", *more, "--output", str(output)]
    )
    return register_files(options, lambda *_progress: None).estimate


def by_button(panel: PanelCase, model: str, points: int = 3, **choices: str) -> Estimate:
    panel.choose_inputs()
    panel.open("modelButton")
    choose(panel.ui.modelSelector, model)
    panel.open("estimateButton")
    type_value(panel.ui.gridPointsSpinBox, str(points))
    for name, text in choices.items():
        choose(getattr(panel.ui, name), text)
    tick(panel.ui.estimateTable, row_of(panel, LIVER))
    panel.rest()
    estimate(panel)
    assert stored(panel) == as_stored(latest(panel).values())
    return latest(panel)


def facts(found: Estimate) -> dict[str, list]:
    """All numbers of an estimate by the name of the tissue; the background has another one in the scene."""
    return {
        row.tissue.name: [row.lame.lam, row.lame.mu, row.score, row.start_score, row.is_estimated, row.insensitive]
        for row in found.per_tissue
        if row.tissue.label != 0
    }


def assert_same(one: Estimate, other: Estimate) -> None:
    assert facts(one).keys() == facts(other).keys()
    for name, numbers in facts(one).items():
        np.testing.assert_array_equal(np.array(numbers, float), np.array(facts(other)[name], float), err_msg=name)
    if one.landscape is not None:
        np.testing.assert_array_equal(one.landscape.scores, other.landscape.scores)


@pytest.mark.parametrize(
    ("model", "name", "points"),
    [
        ("direct", "Direct solver", 3),
        ("universal-2d", "universal-2d", 4),
    ],
)
def test_button_console_and_command_line_find_the_same_in_a_grid(panel, files, tmp_path, model, name, points):
    clicked = by_button(panel, name, points)
    called = panel.logic.estimate(InputNodes(*panel.nodes[:4]), points=points, model=model, hold_out=["liver"])
    commanded = by_command(
        files,
        tmp_path / "results",
        "--estimate",
        "grid",
        "--grid-points",
        str(points),
        "--model",
        model,
        "--hold-out",
        "liver",
    )
    assert not [warning for warning in clicked.warnings if "direct solver was used for the search" in warning]
    assert clicked.complete and np.isfinite(clicked.landscape.scores).any()
    assert [tissue.name for tissue in clicked.held_out] == ["liver"]
    assert_same(clicked, called)
    assert_same(clicked, commanded)


def test_button_console_and_command_line_find_the_same_by_gradient_and_similarity(panel, files, tmp_path):
    clicked = by_button(
        panel, "Direct solver", estimateMethodSelector="Gradient", estimateObjectiveSelector="Similarity"
    )
    choices = {"method": "gradient", "criterion": "similarity", "hold_out": ["liver"]}
    called = panel.logic.estimate(InputNodes(*panel.nodes[:3]), **choices)
    without = {name: path for name, path in files.items() if name != "moving-segmentation"}
    commanded = by_command(
        without, tmp_path / "results", "--estimate", "gradient", "--objective", "similarity", "--hold-out", "liver"
    )
    assert clicked.landscape is None
    assert_same(clicked, called)
    assert_same(clicked, commanded)
