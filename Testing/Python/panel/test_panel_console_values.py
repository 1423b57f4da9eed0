"""Wrong values in the console: each one is a ValueError with one sentence, before anything is computed or written."""

from __future__ import annotations

import pytest
import slicer
import slicer.util
from host.scene_builders import node_ids
from panel_case import MODULE, NAME, add_phantom

from TissueElasticRegistrationLib.core.registration.direct_solver import DirectSolver
from TissueElasticRegistrationLib.scene.nodes import InputNodes, OutputNodes


@pytest.fixture
def logic(fresh_host, monkeypatch):
    """The module is loaded, and no registration may begin."""

    def begins(self, *arguments, **options):
        raise AssertionError("a registration has begun")

    fresh_host.load_module(MODULE)
    fresh_host.leave_module()
    monkeypatch.setattr(DirectSolver, "solve", begins)
    return slicer.util.getModuleLogic(NAME)


@pytest.fixture
def nodes(fresh_host):
    return add_phantom(slicer.mrmlScene)


def sentence(call, *arguments, **keywords) -> str:
    before = node_ids(slicer.mrmlScene)
    with pytest.raises(ValueError) as error:
        call(*arguments, **keywords)
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text and len(text) < 300
    assert node_ids(slicer.mrmlScene) == before
    return text


@pytest.mark.parametrize("call", ["register", "estimate", "evaluate"])
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"lung": 3}, "The tissue 'lung' needs two numbers, (λ, μ), not 3."),
        ({"lung": None}, "The tissue 'lung' needs two numbers, (λ, μ), not None."),
        ({"lung": (1, 2, 3)}, "The tissue 'lung' needs two numbers"),
        ({"lung": "12"}, "The tissue 'lung' needs two numbers, (λ, μ), not '12'."),
        ({"lung": {"lambda": 1, "mu": 2}}, "The tissue 'lung' needs two numbers"),
        ({"lung": (1, "2")}, "The tissue 'lung' needs two numbers"),
        ({"lung": (1, float("nan"))}, "Tissue 'lung': μ = nan is not allowed"),
        ({"lung": (float("inf"), 1)}, "Tissue 'lung': λ = inf is not allowed"),
        ({"lung": (-1, 1)}, "Tissue 'lung': λ = -1.0 is not allowed"),
        ({"lung": (10**400, 1)}, "The tissue 'lung' cannot have λ or μ as large as 1000000"),
        ({5: (1, 1)}, "must be given by the name or ID of a tissue, not 5."),
        ([("lung", (1, 1))], "must be given as {tissue: (λ, μ)}, not [('lung', (1, 1))]."),
        ("lung", "must be given as {tissue: (λ, μ)}, not 'lung'."),
        (7, "must be given as {tissue: (λ, μ)}, not 7."),
    ],
)
def test_lambda_and_mu(logic, nodes, call, values, expected):
    pair = InputNodes(*nodes[:4])
    if call == "evaluate":
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode")
        assert expected in sentence(logic.evaluate, pair, transform, values)
    else:
        assert expected in sentence(getattr(logic, call), pair, values)


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({"refine_steps": 1.5}, "The number of refinement steps must be a whole number from 0 to 1000, not 1.5."),
        ({"refine_steps": -1}, "from 0 to 1000, not -1."),
        ({"refine_steps": "5"}, "from 0 to 1000, not '5'."),
        ({"refine_steps": 10**6}, "from 0 to 1000, not 1000000."),
        ({"finest_mm": "a"}, "The finest voxel size must be from 0 to 1000 mm, not 'a'."),
        ({"finest_mm": None}, "not None."),
        ({"finest_mm": float("nan")}, "not nan."),
        ({"finest_mm": float("inf")}, "not inf."),
        ({"finest_mm": 1e300}, "not 1e+300."),
        ({"finest_mm": -1}, "not -1."),
        ({"initial": None}, "Unknown alignment 'None'"),
        ({"initial": ["rigid"]}, "Unknown alignment"),
        ({"device": 3}, "Unknown device '3'"),
        ({"device": ["cpu"]}, "Unknown device"),
        ({"model": None}, "The model must be a name or the path of a folder, not None."),
        ({"model": ""}, "The model must be a name"),
        ({"model": 5}, "The model must be a name"),
        ({"options": "rigid"}, "options must be RegistrationOptions(...), not 'rigid'."),
        ({"outputs": "warped"}, "outputs must be OutputNodes(...), not 'warped'."),
        ({"outputs": OutputNodes("warped")}, "'warped' was given as transform, which must be a node of the scene."),
        ({"progress": 5}, "progress must be a function, not 5."),
    ],
)
def test_options_of_a_registration(logic, nodes, keywords, expected):
    assert expected in sentence(logic.register, InputNodes(*nodes[:4]), **keywords)


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({"points": 10**6}, "The number of grid points must be a whole number from 2 to 50, not 1000000."),
        ({"points": 1}, "from 2 to 50, not 1."),
        ({"points": 3.0}, "from 2 to 50, not 3.0."),
        ({"points": "3"}, "from 2 to 50, not '3'."),
        ({"criterion": "beauty"}, "Unknown criterion 'beauty'; choose one of dice, landmarks, similarity."),
        ({"criterion": None}, "Unknown criterion None"),
        ({"criterion": ["dice"]}, "Unknown criterion ['dice']"),
        ({"method": "guess"}, "Unknown method 'guess'"),
        ({"method": None}, "Unknown method 'None'"),
        ({"locked": "Bone"}, "locked must be a list of names, not 'Bone'."),
        ({"locked": None}, "locked must be a list of names, not None."),
        ({"locked": [3]}, "locked must be a list of names, not [3]."),
        ({"hold_out": 5}, "hold_out must be a list of names, not 5."),
        ({"hold_out_landmarks": "all"}, "hold_out_landmarks must be a list of names, not 'all'."),
        ({"estimation": {"points": 3}}, "options must be EstimationOptions(...), not {'points': 3}."),
    ],
)
def test_options_of_an_estimate(logic, nodes, keywords, expected):
    assert expected in sentence(logic.estimate, InputNodes(*nodes[:4]), **keywords)


@pytest.mark.parametrize("call", ["register", "estimate", "estimateStiffness", "evaluate"])
def test_inputs(logic, nodes, call):
    fixed, moving, segmentation = nodes[:3]
    more = (nodes.moving,) if call == "evaluate" else ()
    for inputs, expected in [
        (None, "inputs must be InputNodes(...), not None."),
        ("fixed", "inputs must be InputNodes(...), not 'fixed'."),
        ((fixed, moving, segmentation), "inputs must be InputNodes(...), not ("),
    ]:
        assert expected in sentence(getattr(logic, call), inputs, *more)
    for inputs, expected in [
        (InputNodes("fixed", moving, segmentation), "'fixed' was given as fixed"),
        (InputNodes(fixed, 5, segmentation), "5 was given as moving"),
        (InputNodes(fixed, moving, fixed), "is a Volume, not a segmentation."),
        (InputNodes(fixed, moving, segmentation, "labels"), "'labels' was given as moving segmentation"),
        (InputNodes(fixed, moving, segmentation, None, "a", "b"), "'a' was given as fixed landmarks"),
    ]:
        more = (slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode"),) if call == "evaluate" else ()
        assert expected in sentence(getattr(logic, call), inputs, *more)


def test_a_transform_to_evaluate(logic, nodes):
    pair = InputNodes(*nodes[:3])
    assert "No transform was given." in sentence(logic.evaluate, pair, None)
    assert "'T' was given as transform" in sentence(logic.evaluate, pair, "T")
    assert "not a transform." in sentence(logic.evaluate, pair, nodes.fixed)


def test_a_registration_that_becomes_unstable(logic, nodes, monkeypatch):
    def unstable(self, *arguments, **options):
        raise ArithmeticError("The registration became unstable: the objective is nan.")
        yield

    monkeypatch.setattr(DirectSolver, "solve", unstable)
    assert "became unstable" in sentence(logic.register, InputNodes(*nodes[:4]))
