"""Scenes of other versions: saved when the parameter node held weights instead of positions of sliders, or by a newer
one, with choices that this one does not know.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
import slicer
import slicer.util
from panel_case import PanelCase
from test_panel_scene import OUTPUTS, load, plain, settings

from TissueElasticRegistrationLib.core.physics.parameter_scale import LogScale

LUNG, BONE, LIVER, SOFT = "id_lung", "id_bone", "id_liver", "id_soft"
# Word for word from such a scene, in which every setting was another one than at the start.
OLD_PARAMETERS = """
parameter0= "alignment NONE" parameter1= "allLambda -39" parameter2= "allMu 80" parameter3= "deformed False"
parameter4= "device CPU" parameter5= "estimateMethod GRADIENT" parameter6= "estimateObjective SIMILARITY"
parameter7= "fade 80" parameter8= "finestMm 2.5" parameter9= "fixedLandmarks " parameter10= "fixedVolume "
parameter11= "gridPoints 4" parameter12= "holdOutLandmarks True" parameter13= "live False" parameter14= "model paper"
parameter15= "movingLandmarks " parameter16= "movingSegmentation " parameter17= "movingVolume "
parameter18= "outlines True" parameter19= "outputSegmentation " parameter20= "outputTable "
parameter21= "outputTransform " parameter22= "outputVolume " parameter23= "refineSteps 7" parameter24= "segmentation "
parameter25= "showDifference True" parameter26= "showGrid True" parameter27= "showJacobian True"
parameter28= "tissueHeldOut.0.0 id_liver" parameter29= "tissueHeldOut.0.1 True" parameter30= "tissueHeldOut.len 1"
parameter31= "tissueLambda.0.0 id_liver" parameter32= "tissueLambda.0.1 12.705741052085413"
parameter33= "tissueLambda.1.0 id_bone" parameter34= "tissueLambda.1.1 30.0" parameter35= "tissueLambda.2.0 id_lung"
parameter36= "tissueLambda.2.1 199.52623149688787" parameter37= "tissueLambda.len 3"
parameter38= "tissueLinked.0.0 id_soft" parameter39= "tissueLinked.0.1 True" parameter40= "tissueLinked.len 1"
parameter41= "tissueLocked.0.0 id_lung" parameter42= "tissueLocked.0.1 True" parameter43= "tissueLocked.len 1"
parameter44= "tissueMu.0.0 id_liver" parameter45= "tissueMu.0.1 79.43282347242817" parameter46= "tissueMu.1.0 id_bone"
parameter47= "tissueMu.1.1 77.5" parameter48= "tissueMu.2.0 id_lung" parameter49= "tissueMu.2.1 0.0375"
parameter50= "tissueMu.len 3" parameter51= "tunedSegmentation "
"""
OLD_SETTINGS = {
    "alignment": "none",
    "allLambda": -39,
    "allMu": 80,
    "deformed": False,
    "device": "cpu",
    "estimateMethod": "gradient",
    "estimateObjective": "similarity",
    "fade": 80,
    "finestMm": 2.5,
    "fixedLandmarks": "fixed points",
    "fixedVolume": "fixed",
    "gridPoints": 4,
    "holdOutLandmarks": True,
    "live": False,
    "model": "paper",
    "movingLandmarks": "moving points",
    "movingSegmentation": "moving tissues",
    "movingVolume": "moving",
    "outlines": True,
    "refineSteps": 7,
    "segmentation": "fixed tissues",
    "showDifference": True,
    "showGrid": True,
    "showJacobian": True,
    "tissueHeldOut": {LIVER: True},
    "tissueLinked": {SOFT: True},
    "tissueLocked": {LUNG: True},
    "tunedSegmentation": "fixed tissues",
    **{name: f"my {name}" for name in OUTPUTS},
}
OLD_LAMBDA = {LIVER: 12.705741052085413, BONE: 30.0, LUNG: 199.52623149688787}
OLD_MU = {LIVER: 79.43282347242817, BONE: 77.5, LUNG: 0.0375}


@pytest.fixture
def chosen(panel):
    panel.choose_inputs()
    for name, class_name in OUTPUTS.items():
        setattr(panel.parameters, name, slicer.mrmlScene.AddNewNodeByClass(class_name, f"my {name}"))
    panel.rest()
    return panel


def save_as_before(panel: PanelCase, path: Path, parameters: str = OLD_PARAMETERS) -> None:
    """Save the scene, with the parameters that another version has written."""
    new = path.with_name("new.mrb")
    assert slicer.util.saveScene(str(new))
    with zipfile.ZipFile(new) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith(".mrml"):
                content = re.sub(
                    r'(<ScriptedModule\s+id="vtkMRMLScriptedModuleNodeTissueElasticRegistration".*?)parameter0.*?>',
                    lambda found: f"{found[1]}{parameters}>",
                    content.decode(),
                    flags=re.DOTALL,
                ).encode()
                assert b"tissueLambda" in content and b"lambdaPositions" not in content
            target.writestr(name, content)


def positions(panel: PanelCase) -> tuple[dict[str, float], dict[str, float]]:
    return dict(panel.parameters.lambdaPositions.items()), dict(panel.parameters.muPositions.items())


def assert_is_as_saved(panel: PanelCase) -> None:
    after, scale = settings(panel), LogScale()
    lam, mu = after.pop("lambdaPositions"), after.pop("muPositions")
    assert after == OLD_SETTINGS
    assert lam == {key: scale.slider(weight) for key, weight in OLD_LAMBDA.items()}
    assert mu == {key: scale.slider(weight) for key, weight in OLD_MU.items()}
    assert [scale.weight(mu[key]) for key in OLD_MU] == pytest.approx(list(OLD_MU.values()), rel=1e-14)
    assert not [name for name in panel.parameters.parameterNode.GetParameterNames() if name.startswith("tissueLambda")]
    assert not [name for name in panel.parameters.parameterNode.GetParameterNames() if name.startswith("tissueMu")]


def test_an_old_scene_opens_with_all_its_settings(chosen, tmp_path):
    save_as_before(chosen, tmp_path / "old.mrb")
    load(chosen, tmp_path / "old.mrb")
    assert_is_as_saved(chosen)
    chosen.parameters.model = "direct"
    chosen.rest()
    texts = {key: [chosen.tissue(key, kind).text for kind in ("lambdaBox", "muBox")] for key in (*OLD_MU, SOFT)}
    assert texts == {LIVER: ["12.7", "79.4"], BONE: ["30", "77.5"], LUNG: ["200", "0.037"], SOFT: ["1", "1"]}


def test_an_old_scene_that_was_saved_again_opens_as_well(chosen, tmp_path):
    save_as_before(chosen, tmp_path / "old.mrb")
    load(chosen, tmp_path / "old.mrb")
    before = positions(chosen)
    assert slicer.util.saveScene(str(tmp_path / "again.mrb"))
    load(chosen, tmp_path / "again.mrb")
    assert_is_as_saved(chosen)
    assert positions(chosen) == before


def test_an_old_scene_that_is_opened_while_the_module_is_not_shown(chosen, tmp_path):
    save_as_before(chosen, tmp_path / "old.mrb")
    chosen.host.leave_module()
    load(chosen, tmp_path / "old.mrb")
    assert_is_as_saved(chosen)


STARTS = {"alignment": "auto", "device": "auto", "gridPoints": 2, "refineSteps": -1, "finestMm": 0.0, "allMu": 0}


@pytest.mark.parametrize(
    ("stored", "instead", "setting"),
    [
        ("alignment NONE", "alignment CENTERS_OF_MASS", "alignment"),
        ("device CPU", "device METAL", "device"),
        ("gridPoints 4", "gridPoints many", "gridPoints"),
        ("gridPoints 4", "gridPoints 1000000", "gridPoints"),
        ("refineSteps 7", "refineSteps 7.5", "refineSteps"),
        ("finestMm 2.5", "finestMm nan", "finestMm"),
        ("allMu 80", "allMu 1e9", "allMu"),
        ("tissueMu.1.1 77.5", "tissueMu.1.1 stiff", "muPositions"),
        ("tissueMu.len 3", "tissueMu.len 3000000000", "muPositions"),
        ("tissueLocked.len 1", "tissueLocked.len one", "tissueLocked"),
    ],
)
def test_only_a_setting_that_is_not_understood_gets_its_start_value(fresh_host, stored, instead, setting):
    # There is no wrapper before the host is started.
    from TissueElasticRegistrationLib.panel.parameter_node import TissueElasticRegistrationParameterNode
    from TissueElasticRegistrationLib.panel.scene_versions import migrate

    def read(parameters: str) -> dict[str, object]:
        node = slicer.vtkMRMLScriptedModuleNode()
        for name, value in re.findall(r'"(\S+) ([^"]*)"', parameters):
            node.SetParameter(name, value)
        migrate(node)
        wrapped = TissueElasticRegistrationParameterNode(node)
        return {name: plain(wrapped.getValue(name)) for name in wrapped.allParameters}

    assert OLD_PARAMETERS.count(stored) == 1
    as_it_was = read(OLD_PARAMETERS)
    assert as_it_was[setting] not in (STARTS.get(setting), {})
    assert read(OLD_PARAMETERS.replace(stored, instead)) == {**as_it_was, setting: STARTS.get(setting, {})}


def test_a_scene_of_a_newer_version_opens_without_an_error(chosen, tmp_path):
    newer = OLD_PARAMETERS.replace("alignment NONE", "alignment CENTERS_OF_MASS").replace("allMu 80", "allMu 8e2")
    save_as_before(chosen, tmp_path / "newer.mrb", newer.replace("tissueLocked.len 1", "tissueLocked.len one"))
    load(chosen, tmp_path / "newer.mrb")
    after = settings(chosen)
    known = {name: value for name, value in OLD_SETTINGS.items() if name not in ("alignment", "allMu", "tissueLocked")}
    assert {name: after[name] for name in known} == known
    assert (after["alignment"], after["allMu"], after["tissueLocked"]) == ("auto", 0, {})
    chosen.parameters.fade = 30
    chosen.rest()
    assert chosen.ui.fadeSlider.value == 30
