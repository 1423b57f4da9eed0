"""No observer of the panel outlives what it tells: Slicer before 5.11 crashes when one does (Slicer/Slicer#9063)."""

from __future__ import annotations

import gc

import pytest
import slicer
import vtk

ALL_LAMBDA = "allLambda"


@pytest.fixture
def node(fresh_host):
    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")


def wrapped(node):
    # Neither this nor qt can be imported before the host is started.
    from TissueElasticRegistrationLib.panel.observed_node import ObservedParameterNode

    return ObservedParameterNode(node)


def gui_with_slider():
    import qt

    gui = qt.QWidget()
    slider = qt.QSlider(gui)
    slider.setRange(-200, 200)
    slider.setProperty("SlicerParameterName", ALL_LAMBDA)
    return gui, slider


def is_observed(node) -> bool:
    return bool(node.HasObserver(vtk.vtkCommand.ModifiedEvent))


def test_widgets_that_are_disconnected_are_not_written_any_more(node):
    parameters = wrapped(node)
    gui, slider = gui_with_slider()
    tag = parameters.connectGui(gui)
    parameters.allLambda = 30
    assert slider.value == 30
    parameters.disconnectGui(tag)
    parameters.allLambda = 60
    assert slider.value == 30


def test_observers_of_others_stay_when_widgets_are_disconnected(node):
    parameters = wrapped(node)
    seen = []
    parameters.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: seen.append("before"))
    gui, _slider = gui_with_slider()
    tag = parameters.connectGui(gui)
    parameters.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: seen.append("after"))
    parameters.disconnectGui(tag)
    seen.clear()
    parameters.allLambda = 60
    assert seen == ["before", "after"]


def test_a_disconnected_wrapper_takes_its_observers_with_it(node):
    assert not is_observed(node)
    parameters = wrapped(node)
    gui, _slider = gui_with_slider()
    parameters.disconnectGui(parameters.connectGui(gui))
    assert is_observed(node)
    del parameters
    gc.collect()
    assert not is_observed(node)


def test_a_wrapper_that_nobody_holds_takes_its_observers_with_it(fresh_host):
    """The scene holds the node, Python neither of them: this is what crashed."""
    gui, slider = gui_with_slider()
    node_id = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode").GetID()
    wrapped(slicer.mrmlScene.GetNodeByID(node_id)).connectGui(gui)
    del gui, slider
    gc.collect()
    assert not is_observed(slicer.mrmlScene.GetNodeByID(node_id))
    slicer.mrmlScene.GetNodeByID(node_id).Modified()
