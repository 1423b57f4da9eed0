"""The warning that λ or μ is at the limit of its range: which values it names, and that it is given once."""

from __future__ import annotations

import json

import pytest
from estimation_case import one_by_one, registrar_of, thorax_slice
from synthetic_pairs import prepared, quick_solver, slice_case, volume_pair

from TissueElasticRegistrationLib.__main__ import main
from TissueElasticRegistrationLib.core.data.progress import finish
from TissueElasticRegistrationLib.core.data.tissues import UNSEGMENTED_ID, Lame, Tissue
from TissueElasticRegistrationLib.core.physics.objective import Objective
from TissueElasticRegistrationLib.core.physics.parameter_scale import SCALES, LogScale, PaperScale
from TissueElasticRegistrationLib.core.physics.range_ends import range_warnings
from TissueElasticRegistrationLib.core.physics.tissue_presets import PRESETS, table_parameters
from TissueElasticRegistrationLib.core.registration.direct_solver import DirectSolver

NAMES = ("background", "lung", "liver", "bone", "gas")
TISSUES = (*(Tissue(label, name) for label, name in enumerate(NAMES)), Tissue(5, "unsegmented", UNSEGMENTED_ID))
BACKGROUND, LUNG, LIVER, BONE, GAS, UNSEGMENTED = range(6)
AT_END = "at the limit of its allowed range"
scales = pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)


def warned(scale, **values: Lame) -> tuple[str, ...]:
    """With start values, except for the tissues given by name."""
    parameters = table_parameters(TISSUES, scale)
    for name, lame in values.items():
        parameters = parameters.with_tissue(NAMES.index(name), lame)
    return range_warnings(parameters, TISSUES, scale)


@scales
def test_start_values_bring_no_warning(scale):
    presets = tuple(Tissue(label, preset.label) for label, preset in enumerate(PRESETS, start=1))
    assert warned(scale) == ()
    assert range_warnings(table_parameters(presets, scale), presets, scale) == ()


@scales
def test_air_may_go_to_its_end_of_the_range(scale):
    assert warned(scale, background=Lame(scale.lowest, scale.lowest), gas=Lame(scale.lowest, scale.lowest)) == ()


@scales
def test_air_at_the_other_end_is_named(scale):
    assert len(warned(scale, background=Lame(scale.lowest, scale.highest))) == 1


@scales
@pytest.mark.parametrize("end", ["lowest", "highest"])
def test_one_sentence_names_the_tissues_at_an_end(scale, end):
    middle = scale.weight(0.5)
    found = warned(scale, lung=Lame(getattr(scale, end), middle), liver=Lame(middle, getattr(scale, end)))
    assert found == ("λ or μ of lung, liver is at the limit of its allowed range; the images may not determine it.",)


@scales
def test_values_a_hundredth_of_the_slider_away_are_not_named(scale):
    assert warned(scale, lung=Lame(scale.weight(0.01), scale.weight(0.99))) == ()


@scales
def test_lambda_that_has_no_effect_is_not_judged(scale):
    parameters = table_parameters(TISSUES, scale).with_tissue(LUNG, Lame(scale.highest, scale.weight(0.5)))
    assert range_warnings(parameters, TISSUES, scale, has_lambda=False) == ()
    parameters = parameters.with_tissue(BONE, Lame(scale.highest, scale.lowest))
    assert range_warnings(parameters, TISSUES, scale, has_lambda=False)[0].startswith("μ of bone is at the limit ")


@pytest.mark.parametrize("scale", [LogScale(), PaperScale()], ids=SCALES)
def test_a_result_warns_once(scale):
    registrar = prepared(
        volume_pair(), initial="none", solver=DirectSolver(Objective(scale), quick_solver().settings(3))
    )
    parameters = registrar.table_parameters()
    for tissue in registrar.tissues:
        if tissue.name in ("lung", "bone"):
            parameters = parameters.with_tissue(tissue.label, Lame(scale.highest, scale.weight(0.5)))
    finish(registrar.register(parameters))
    found = [text for text in finish(registrar.result()).warnings if AT_END in text]
    assert found == list(registrar.range_warnings(parameters)) and len(found) == 1
    finish(registrar.register(registrar.table_parameters()))
    assert not [text for text in finish(registrar.result()).warnings if AT_END in text]


def test_an_estimate_warns_of_the_values_that_it_has_found():
    registrar = registrar_of(thorax_slice())
    estimate = one_by_one(registrar, registrar.table_parameters(), points=2)
    ends = pytest.approx(LogScale().lowest, rel=0.01), pytest.approx(LogScale().highest, rel=0.01)
    expected = [
        row.tissue.name
        for row in estimate.per_tissue
        if row.is_estimated and (row.lame.lam in ends or row.lame.mu in ends)
    ]
    assert expected, "this case shows nothing"
    found = [text for text in estimate.warnings if AT_END in text]
    assert found == [f"λ or μ of {', '.join(expected)} is {AT_END}; the images may not determine it."]


@pytest.mark.parametrize("estimate", ["none", "grid"])
def test_result_json_and_report_warn_once(tmp_path, estimate):
    slice_case().save(tmp_path)
    (tmp_path / "parameters.json").write_text(json.dumps({"tissues": {"bone": {"lambda": 30, "mu": 199.5}}}))
    files = ("fixed", "moving", "segmentation", "moving_segmentation")
    words = [word for name in files for word in (f"--{name.replace('_', '-')}", str(tmp_path / f"{name}.nii.gz"))]
    more = ["--estimate", "grid", "--grid-points", "2", "--hold-out", "bone"]
    assert (
        main(
            [
                "register",
                *words,
                "--tissues",
                "1=lung,2=bone,3=liver,4=soft",
                "--parameters",
                str(tmp_path / "parameters.json"),
                *(more if estimate == "grid" else []),
                "--output",
                str(tmp_path / "out"),
            ]
        )
        == 0
    )
    warnings = json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))["warnings"]
    assert len([text for text in warnings if AT_END in text and "bone" in text]) == 1
    assert len([text for text in warnings if AT_END in text]) == 1
    assert (tmp_path / "out" / "report.html").read_text(encoding="utf-8").count(AT_END) == 1
