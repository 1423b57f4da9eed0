"""The typed parameter node: the stand-in, and with SLICER_SOURCE=<checkout> Slicer's own, by the same tests."""

from __future__ import annotations

import gc
import importlib.util
from pathlib import Path

import pytest
from host.scene_builders import count_events

MODULE = Path(__file__).parent / "host_module" / "HostModule.py"

# parameter: (a value that is not the default, how it is stored)
VALUES = {
    "amount": (2.5, {"amount": "2.5"}),
    "width": (7, {"width": "7"}),
    "count": (12, {"count": "12"}),
    "live": (False, {"live": "False"}),
    "shown": (True, {"shown": "True"}),
    "title": ("pär 1", {"title": "pär 1"}),
    "limit": (0.25, {"limit.0": "0.25"}),
    "mode": ("fast", {"mode": "fast"}),
    "weights": ({"b": 2.0, "a": 0.5}, {"weights.len": "2", "weights.0.0": "b", "weights.0.1": "2.0",
                                       "weights.1.0": "a", "weights.1.1": "0.5"}),
    "steps": ([3, 1], {"steps.len": "2", "steps.0": "3", "steps.1": "1"}),
}  # fmt: skip
DEFAULTS = {
    "volume": None, "other": None, "amount": 1.5, "width": 2.0, "count": 3, "live": True, "shown": False,
    "title": "none", "limit": None, "mode": "exact", "weights": {}, "steps": [],
}  # fmt: skip
REFUSED = [
    ("amount", 10.5, ValueError),
    ("amount", float("nan"), ValueError),
    ("amount", None, ValueError),
    ("amount", "1", TypeError),
    ("width", -0.1, ValueError),
    ("count", 21, ValueError),
    ("count", 2.0, TypeError),
    ("live", 1, TypeError),
    ("title", None, ValueError),
    ("title", 5, TypeError),
    ("limit", "high", TypeError),
    ("limit", True, TypeError),
    ("shape", "ROUND", TypeError),
    ("mode", "slow", ValueError),
    ("weights", {"a": -1.0}, ValueError),
    ("weights", {"a": "x"}, TypeError),
    ("weights", {1: 1.0}, TypeError),
    ("steps", [1, 2.5], TypeError),
]


@pytest.fixture(scope="module")
def module(slicer_host):
    """The module's Python module without its panel, so that nothing but the test looks at the nodes."""
    specification = importlib.util.spec_from_file_location("parameters_of_host_module", MODULE)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def node(fresh_host):
    return fresh_host.scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")


@pytest.fixture
def parameters(module, node):
    return module.HostModuleParameterNode(node)


def modified_events(node) -> list:
    return count_events(node, "ModifiedEvent")


def stored(node) -> dict[str, str]:
    return {name: node.GetParameter(name) for name in node.GetParameterNames()}


def test_without_a_value_the_default_is_there_and_stored(parameters, node, module):
    assert {name: getattr(parameters, name) for name in DEFAULTS} == DEFAULTS
    assert parameters.shape is module.Shape.SQUARE
    assert stored(node)["amount"] == "1.5"
    assert parameters.parameterNode is node


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_stored_as_slicer_stores_it(parameters, node, name):
    value, expected = VALUES[name]
    setattr(parameters, name, value)
    assert getattr(parameters, name) == value
    found = {key: text for key, text in stored(node).items() if key.split(".")[0] == name}
    assert found == expected


@pytest.mark.parametrize("name", VALUES)
def test_a_stored_value_is_read(module, node, name):
    value, texts = VALUES[name]
    for key, text in texts.items():
        node.SetParameter(key, text)
    assert getattr(module.HostModuleParameterNode(node), name) == value


def test_the_type_is_kept(parameters, module):
    parameters.amount = 2
    parameters.shape = module.Shape.ROUND
    assert type(parameters.amount) is float
    assert parameters.shape is module.Shape.ROUND


@pytest.mark.parametrize("name", VALUES)
def test_a_change_is_one_event_and_no_change_none(parameters, node, name):
    events = modified_events(node)
    setattr(parameters, name, VALUES[name][0])
    assert len(events) == 1
    setattr(parameters, name, VALUES[name][0])
    assert len(events) == (2 if name == "limit" else 1), "of a union every write is an event, in Slicer too"


@pytest.mark.parametrize(("name", "value", "error"), REFUSED)
def test_a_wrong_value_is_refused_and_changes_nothing(parameters, node, name, value, error):
    parameters.weights = {"a": 1.0}
    parameters.steps = [4]
    before = stored(node)
    with pytest.raises(error):
        setattr(parameters, name, value)
    assert stored(node) == before


def test_a_value_is_there_when_observers_are_told(parameters, node):
    seen = []
    node.AddObserver("ModifiedEvent", lambda *_: seen.append((parameters.amount, dict(parameters.weights))))
    parameters.amount = 4.0
    parameters.weights = {"a": 2.0}
    assert seen == [(4.0, {}), (4.0, {"a": 2.0})]


def test_two_wrappers_of_one_node_agree(parameters, node, module):
    other = module.HostModuleParameterNode(node)
    other.count = 7
    other.weights["a"] = 1.0
    assert (parameters.count, parameters.weights) == (7, {"a": 1.0})


class TestDictionary:
    def test_an_item_is_stored_with_one_event(self, parameters, node):
        parameters.weights = {"a": 1.0, "b": 2.0}
        events = modified_events(node)
        parameters.weights["b"] = 5.0
        assert (parameters.weights, node.GetParameter("weights.1.1"), len(events)) == ({"a": 1.0, "b": 5.0}, "5.0", 1)
        parameters.weights["b"] = 5.0
        assert len(events) == 1

    def test_a_removed_item_leaves_nothing_behind(self, parameters, node):
        parameters.weights = {"a": 1.0, "b": 2.0, "c": 3.0}
        del parameters.weights["a"]
        assert list(parameters.weights.items()) == [("b", 2.0), ("c", 3.0)]
        assert not node.HasParameter("weights.2.0")

    def test_a_refused_item_leaves_the_dictionary_as_it_was(self, parameters):
        parameters.weights = {"a": 1.0}
        for key, value, error in (("a", -1.0, ValueError), ("b", "x", TypeError)):
            with pytest.raises(error):
                parameters.weights[key] = value
        assert parameters.weights == {"a": 1.0}

    def test_it_is_not_a_dict_and_has_not_all_of_its_methods(self, parameters):
        parameters.weights = {"a": 1.0}
        assert not isinstance(parameters.weights, dict)
        assert parameters.weights.get("b") is None
        for call in (lambda d: d.get("b", 0.0), lambda d: d.pop("b", None), lambda d: d | {}):
            with pytest.raises(TypeError):
                call(parameters.weights)

    def test_it_can_be_assigned_from_another_parameter_node(self, parameters, module, fresh_host):
        other = module.HostModuleParameterNode(fresh_host.scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode"))
        parameters.weights = {"a": 1.0}
        other.weights = parameters.weights
        parameters.weights["a"] = 2.0
        assert other.weights == {"a": 1.0}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda steps: steps.append(5), [3, 1, 2, 5]),
        (lambda steps: steps.extend([7, 8]), [3, 1, 2, 7, 8]),
        (lambda steps: steps.insert(1, 9), [3, 9, 1, 2]),
        (lambda steps: steps.pop(), [3, 1]),
        (lambda steps: steps.remove(1), [3, 2]),
        (lambda steps: steps.reverse(), [2, 1, 3]),
        (lambda steps: steps.sort(), [1, 2, 3]),
        (lambda steps: steps.clear(), []),
        (lambda steps: steps.__setitem__(0, 4), [4, 1, 2]),
        (lambda steps: steps.__delitem__(0), [1, 2]),
    ],
)
def test_a_changed_list_is_stored_with_one_event(parameters, node, module, change, expected):
    parameters.steps = [3, 1, 2]
    events = modified_events(node)
    change(parameters.steps)
    assert (parameters.steps, len(events)) == (expected, 1)
    assert module.HostModuleParameterNode(node).steps == expected


class TestNodes:
    def test_a_node_is_a_reference_with_the_name_of_the_parameter(self, parameters, node, fresh_host):
        volume = fresh_host.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        parameters.volume = volume
        assert parameters.volume is volume
        assert node.GetNodeReferenceID("volume") == volume.GetID()
        parameters.volume = None
        assert parameters.volume is None
        assert node.GetNodeReferenceID("volume") is None

    def test_a_removed_node_is_none(self, parameters, fresh_host):
        parameters.volume = fresh_host.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        fresh_host.scene.RemoveNode(parameters.volume)
        assert parameters.volume is None

    def test_each_class_of_a_union_is_accepted(self, parameters, node, fresh_host):
        for class_name, role in (("vtkMRMLLabelMapVolumeNode", "other.0"), ("vtkMRMLTransformNode", "other.1")):
            parameters.other = fresh_host.scene.AddNewNodeByClass(class_name)
            assert parameters.other.GetClassName() == class_name
            assert node.GetNodeReferenceID(role) == parameters.other.GetID()

    @pytest.mark.parametrize("name", ["volume", "other"])
    def test_a_node_of_another_class_is_refused(self, parameters, fresh_host, name):
        with pytest.raises(TypeError):
            setattr(parameters, name, fresh_host.scene.AddNewNodeByClass("vtkMRMLModelNode"))


def test_everything_is_there_again_after_saving_and_loading_the_scene(parameters, module, fresh_host, tmp_path):
    for name, (value, _) in VALUES.items():
        setattr(parameters, name, value)
    parameters.volume = fresh_host.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    parameters.parameterNode.SetName("kept")
    fresh_host.mrml.save(tmp_path / "scene.mrb")
    fresh_host.mrml.clear()
    fresh_host.mrml.load(tmp_path / "scene.mrb")
    loaded = module.HostModuleParameterNode(fresh_host.scene.GetFirstNodeByName("kept"))
    assert {name: getattr(loaded, name) for name in VALUES} == {name: value for name, (value, _) in VALUES.items()}
    assert loaded.volume.GetName() == "CT"


def test_a_wrapper_that_nobody_holds_observes_nothing(module, node):
    wrapper = module.HostModuleParameterNode(node)
    assert node.HasObserver("ModifiedEvent")
    del wrapper
    gc.collect()
    assert not node.HasObserver("ModifiedEvent")


# parameter: (widget, property of the widget, value that is not the default)
BOUND = {
    "amount": ("amountSlider", "value", 2.5),
    "width": ("widthBox", "value", 7.5),
    "count": ("countBox", "value", 12),
    "live": ("liveBox", "checked", False),
    "shown": ("shownButton", "checked", True),
    "title": ("titleEdit", "text", "new"),
    "mode": ("modeBox", "currentText", "fast"),
}


class TestWidgets:
    @pytest.fixture
    def panel(self, fresh_host):
        return fresh_host.load_module(MODULE)

    @pytest.mark.parametrize("name", BOUND)
    def test_a_widget_shows_the_value(self, panel, name):
        widget, attribute, value = BOUND[name]
        assert getattr(getattr(panel.ui, widget), attribute) == getattr(panel.parameters, name)
        setattr(panel.parameters, name, value)
        assert getattr(getattr(panel.ui, widget), attribute) == value

    @pytest.mark.parametrize("name", BOUND)
    def test_a_change_of_the_widget_is_one_change_of_the_parameter(self, panel, name):
        widget, attribute, value = BOUND[name]
        events = modified_events(panel.parameters.parameterNode)
        setattr(getattr(panel.ui, widget), attribute, value)
        assert getattr(panel.parameters, name) == value
        assert len(events) == 1

    def test_the_names_of_an_enumeration_can_be_chosen(self, panel):
        shape = type(panel.parameters.shape)
        assert [panel.ui.shapeBox.itemText(n) for n in range(panel.ui.shapeBox.count)] == ["ROUND", "SQUARE"]
        assert panel.ui.shapeBox.currentText == "SQUARE"
        panel.ui.shapeBox.currentIndex = 0
        assert panel.parameters.shape is shape.ROUND
        panel.parameters.shape = shape.SQUARE
        assert panel.ui.shapeBox.currentIndex == 1

    def test_node_selectors_offer_the_classes_of_the_parameter(self, panel):
        assert list(panel.ui.volumeSelector.nodeTypes) == ["vtkMRMLScalarVolumeNode"]
        assert list(panel.ui.otherSelector.nodeTypes) == ["vtkMRMLLabelMapVolumeNode", "vtkMRMLTransformNode"]

    @pytest.mark.parametrize("name", ["volume", "other"])
    def test_a_node_goes_both_ways(self, panel, fresh_host, name):
        selector = getattr(panel.ui, f"{name}Selector")
        class_name = "vtkMRMLScalarVolumeNode" if name == "volume" else "vtkMRMLTransformNode"
        first, second = [fresh_host.scene.AddNewNodeByClass(class_name) for _ in range(2)]
        selector.setCurrentNode(second)
        assert getattr(panel.parameters, name) is second
        setattr(panel.parameters, name, first)
        assert selector.currentNode() is first
        fresh_host.scene.RemoveNode(first)
        assert getattr(panel.parameters, name) is selector.currentNode()

    def test_numbers_get_their_range_from_the_annotation(self, panel):
        assert (panel.ui.amountSlider.minimum, panel.ui.amountSlider.maximum) == (-10, 10)
        assert (panel.ui.countBox.minimum, panel.ui.countBox.maximum) == (0, 20)
        assert (panel.ui.widthBox.minimum, panel.ui.widthBox.maximum > 1e6) == (0, True)

    def test_after_disconnecting_neither_side_follows_the_other(self, panel):
        parameters = panel.parameters
        parameters.disconnectGui(panel.tag)
        panel.ui.countBox.value = 9
        assert parameters.count == 3
        parameters.count = 11
        assert panel.ui.countBox.value == 9

    def test_two_panels_of_one_node_agree(self, panel):
        import qt

        second = qt.QSpinBox()
        tag = panel.parameters.connectParametersToGui({"count": second})
        second.value = 8
        assert panel.ui.countBox.value == 8
        panel.parameters.disconnectGui(tag)
        panel.ui.countBox.value = 5
        assert second.value == 8

    @pytest.mark.parametrize(
        ("widget_class", "name", "error"),
        [
            ("QSpinBox", "color", ValueError),
            ("QToolButton", "live", RuntimeError),
            ("QSlider", "amount", RuntimeError),
            ("QCheckBox", "count", RuntimeError),
            ("QLineEdit", "weights", RuntimeError),
            ("QDoubleSpinBox", "limit", RuntimeError),
            ("QComboBox", "title", RuntimeError),
        ],
    )
    def test_a_widget_that_does_not_fit_is_refused(self, panel, widget_class, name, error):
        import qt

        widget = getattr(qt, widget_class)()
        with pytest.raises(error):
            panel.parameters.connectParametersToGui({name: widget})

    def test_a_slider_without_a_range_is_refused(self, panel):
        import ctk

        with pytest.raises(RuntimeError):
            panel.parameters.connectParametersToGui({"width": ctk.ctkSliderWidget()})

    def test_only_the_very_class_of_the_widget_counts(self, panel):
        import qt

        with pytest.raises(RuntimeError):
            panel.parameters.connectParametersToGui({"live": type("MyBox", (qt.QCheckBox,), {})()})


class TestClasses:
    def test_a_reserved_name_is_refused(self, module):
        with pytest.raises(ValueError, match="connectGui"):
            module.parameterNodeWrapper(type("Wrong", (), {"__annotations__": {"connectGui": int}}))

    def test_a_type_without_storage_is_refused(self, module):
        with pytest.raises(Exception, match="thing"):
            module.parameterNodeWrapper(type("Wrong", (), {"__annotations__": {"thing": complex}}))

    def test_an_unknown_parameter_is_refused_by_name(self, parameters):
        with pytest.raises(ValueError, match="color"):
            parameters.getValue("color")
