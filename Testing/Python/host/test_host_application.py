"""The application half of the test host: modules, files and dialogs, as code written for Slicer meets them.

With SLICER_SOURCE=<checkout> Slicer's own Python files take the place of the stand-ins, and its modules are opened too.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import slicer
import slicer.util
from host.scene_builders import add_segmentation, add_volume, oblique_matrix, smooth_array

MODULE = Path(__file__).parent / "host_module" / "HostModule.py"
SLICER_SOURCE = os.environ.get("SLICER_SOURCE")

OTHER_MODULE = """
from slicer.ScriptedLoadableModule import *
class OtherModule(ScriptedLoadableModule): pass
class OtherModuleWidget(ScriptedLoadableModuleWidget): pass
"""


@pytest.fixture
def panel(fresh_host):
    return fresh_host.load_module(MODULE)


@pytest.fixture
def module_copy(tmp_path):
    """A copy of the module that a test may change."""
    shutil.copytree(MODULE.parent, tmp_path / "copy")
    return tmp_path / "copy" / MODULE.name


@pytest.fixture
def developer_mode(fresh_host):
    slicer.app.settings().setValue("Developer/DeveloperMode", True)
    yield
    slicer.app.settings().remove("Developer/DeveloperMode")


class TestModules:
    def test_an_opened_module_is_set_up_and_entered(self, panel):
        assert panel.calls == ["setup", "enter"]
        assert panel.parent.isEntered

    def test_slicer_knows_the_module_by_its_name(self, panel):
        module = slicer.modules.hostmodule
        assert (module.name, module.title, module.path) == ("HostModule", "Host module", str(MODULE))
        assert list(module.categories) == ["Testing"]
        assert "HostModule" in slicer.util.moduleNames()
        assert slicer.util.getModule("HostModule") is module
        assert slicer.util.getModuleWidget("HostModule") is panel
        assert slicer.util.getModuleLogic("HostModule") is panel.logic
        assert slicer.modules.HostModuleWidget is panel
        assert slicer.modules.HostModuleInstance.parent is module

    def test_the_panel_is_given_the_scene_after_its_setup(self, panel):
        assert panel.scenes == [slicer.mrmlScene]

    def test_another_module_is_entered_after_the_first_is_left(self, fresh_host, panel, tmp_path):
        (tmp_path / "OtherModule.py").write_text(OTHER_MODULE)
        other = fresh_host.load_module(tmp_path / "OtherModule.py")
        assert panel.calls[2:] == ["exit"]
        assert (panel.parent.isEntered, other.parent.isEntered) == (False, True)
        fresh_host.enter_module("HostModule")
        assert panel.calls[2:] == ["exit", "enter"]
        assert (panel.parent.isEntered, other.parent.isEntered) == (True, False)

    def test_closing_the_scene_is_told_before_and_after(self, fresh_host, panel):
        slicer.mrmlScene.Clear()
        assert panel.calls[2:] == ["start close", "end close"]
        assert panel.parameters.count == 3

    def test_reset_closes_the_scene_and_unloads_the_module(self, fresh_host, panel):
        panel.parameters.count = 7
        fresh_host.reset()
        assert panel.calls[2:] == ["start close", "end close", "cleanup"]
        assert not hasattr(slicer.modules, "hostmodule")
        assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScriptedModuleNode") == 0
        assert fresh_host.load_module(MODULE).parameters.count == 3

    def test_reload_takes_the_file_as_it_is_now(self, fresh_host, module_copy):
        before = fresh_host.load_module(module_copy)
        assert sys.modules["HostModule"].VERSION == 1
        module_copy.write_text(module_copy.read_text().replace("VERSION = 1", "VERSION = 2"))
        before.parameters.count = 7
        after = fresh_host.reload_module("HostModule")
        assert before.calls[-1] == "cleanup"
        assert after is not before
        assert sys.modules["HostModule"].VERSION == 2
        assert slicer.util.getModuleWidget("HostModule") is after
        after.enter()
        assert after.parameters.count == 7
        assert after.ui.countBox.value == 7

    def test_a_module_is_not_opened_twice(self, fresh_host, panel):
        with pytest.raises(ValueError, match="HostModule is open already"):
            fresh_host.load_module(MODULE)

    @pytest.mark.skipif(bool(SLICER_SOURCE), reason="Slicer's own section makes a menu in a way that PySide6 refuses")
    def test_developer_mode_has_a_reload_button(self, fresh_host, module_copy, developer_mode):
        before = fresh_host.load_module(module_copy)
        before.reloadButton.click()
        assert slicer.util.getModuleWidget("HostModule") is not before

    def test_an_error_in_setup_is_raised(self, fresh_host, module_copy):
        module_copy.write_text(module_copy.read_text().replace("panel.setMRMLScene(", "panel.setScene("))
        with pytest.raises(AttributeError, match="setScene"):
            fresh_host.load_module(module_copy)
        fresh_host.reset()
        assert fresh_host.load_module(MODULE).calls == ["setup", "enter"]

    def test_an_error_in_a_slot_is_collected(self, fresh_host, panel):
        panel.ui.applyButton.click()
        assert [str(error[1]) for error in fresh_host.slot_errors] == ["Choose a volume."]
        assert "on_apply" in fresh_host.reset()[0]

    def test_a_slot_of_the_module_works_on_the_scene(self, fresh_host, panel):
        panel.parameters.volume = add_volume(fresh_host.scene, "ones", np.ones((2, 3, 4)))
        panel.ui.applyButton.click()
        assert (slicer.util.arrayFromVolume(panel.parameters.volume) == 2).all()

    def test_the_test_class_of_the_module_runs(self, panel):
        slicer.modules.HostModuleInstance.runTest()
        assert sys.modules["HostModule"].HostModuleTest.ran == ["test_double"]

    def test_the_parameter_node_is_made_once(self, panel):
        node = panel.logic.getParameterNode().parameterNode
        assert panel.logic.getParameterNode().parameterNode is node
        assert node.GetAttribute("ModuleName") == "HostModule"
        assert node.GetSingletonTag() == "HostModule"
        assert panel.logic.getAllParameterNodes() == [node]


class TestApplication:
    def test_it_has_no_names_that_slicer_has_not(self, fresh_host):
        for thing, name in (
            (slicer.app, "host"),
            (slicer.app.ioManager(), "load"),
            (slicer.app.moduleManager(), "get"),
        ):
            with pytest.raises(AttributeError):
                getattr(thing, name)
        with pytest.raises(AttributeError):
            slicer.app.myNote = 1

    def test_functions_of_util_are_in_util_only(self, fresh_host):
        assert not hasattr(slicer, "arrayFromVolume")
        assert slicer.util.arrayFromVolume

    def test_there_are_no_dialogs(self, fresh_host):
        from PySide6 import QtWidgets  # the host has to be there first

        def visible() -> set:
            """Also menus that Qt itself has made, and what other tests in this process have left."""
            return {widget for widget in slicer.app.topLevelWidgets() if QtWidgets.QWidget.isVisible(widget)}

        before = visible()
        assert slicer.app.testingEnabled()
        slicer.util.confirmOkCancelDisplay("Really?")
        slicer.util.errorDisplay("Something is wrong.")
        assert visible() <= before

    def test_an_error_that_is_shown_is_raised_again(self, fresh_host):
        with pytest.raises(ValueError, match="told"), slicer.util.tryWithErrorDisplay("Failed.", waitCursor=True):
            raise ValueError("told")

    def test_startup_is_told_to_those_who_wait_for_it(self, fresh_host):
        told = []

        def remember():
            told.append(1)

        slicer.app.connect("startupCompleted()", remember)
        fresh_host.complete_startup()
        slicer.app.disconnect("startupCompleted()", remember)
        fresh_host.complete_startup()
        assert told == [1]

    def test_settings_do_not_reach_the_home_folder(self, fresh_host):
        import qt

        slicer.app.settings().setValue("HostModule/last", 5)
        assert int(qt.QSettings().value("HostModule/last")) == 5
        assert qt.QSettings().fileName().startswith(slicer.app.temporaryPath)

    def test_without_a_window_there_is_no_main_window(self, fresh_host):
        assert slicer.util.mainWindow() is None
        window = fresh_host.main_window(700)
        assert slicer.util.mainWindow() is window
        slicer.util.showStatusMessage("working", 1000)
        assert window.statusBar().currentMessage() == "working"
        fresh_host.reset()
        assert slicer.util.mainWindow() is None

    def test_texts_are_translated_to_themselves(self, fresh_host):
        from slicer.i18n import tr, translate

        assert (tr("{count} files"), translate("qSlicerAbstractCoreModule", "Registration")) == (
            "{count} files",
            "Registration",
        )


class TestFiles:
    @pytest.fixture
    def volume(self, fresh_host):
        return add_volume(fresh_host.scene, "CT", smooth_array((4, 5, 6), 1).astype(np.float32), oblique_matrix())

    def test_a_volume_comes_back(self, volume, tmp_path):
        assert slicer.util.saveNode(volume, str(tmp_path / "CT.nrrd"))
        loaded = slicer.util.loadVolume(str(tmp_path / "CT.nrrd"), {"name": "again"})
        assert loaded.GetName() == "again"
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(loaded), slicer.util.arrayFromVolume(volume))
        matrices = [slicer.util.arrayFromVTKMatrix(_matrix(node)) for node in (loaded, volume)]
        np.testing.assert_allclose(*matrices, atol=1e-6)
        assert slicer.util.getNode("again") is loaded

    def test_a_loaded_volume_is_shown(self, volume, fresh_host, tmp_path):
        if fresh_host.layout is None:
            pytest.skip("there is no OpenGL")
        slicer.util.saveNode(volume, str(tmp_path / "CT.nrrd"))
        loaded = slicer.util.loadVolume(str(tmp_path / "CT.nrrd"))
        composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
        assert composite.GetBackgroundVolumeID() == loaded.GetID()

    def test_a_segmentation_comes_back(self, fresh_host, tmp_path):
        mask = np.zeros((4, 5, 6), bool)
        mask[1:3, 2:4, 1:5] = True
        volume = add_volume(fresh_host.scene, "CT", np.zeros((4, 5, 6)), oblique_matrix())
        node = add_segmentation(fresh_host.scene, "tissues", {"bone": mask}, oblique_matrix())
        slicer.util.saveNode(node, str(tmp_path / "tissues.seg.nrrd"))
        loaded = slicer.util.loadSegmentation(str(tmp_path / "tissues.seg.nrrd"))
        assert loaded.GetSegmentation().GetNthSegment(0).GetName() == "bone"
        array = slicer.util.arrayFromSegmentBinaryLabelmap(loaded, "id_bone", volume)
        np.testing.assert_array_equal(array > 0, mask)

    @pytest.mark.parametrize("ending", ["mrb", "mrml"])
    def test_a_scene_comes_back(self, volume, fresh_host, tmp_path, ending):
        slicer.util.saveNode(volume, str(tmp_path / "CT.nrrd"))
        assert slicer.util.saveScene(str(tmp_path / f"scene.{ending}"))
        slicer.mrmlScene.Clear()
        slicer.util.loadScene(str(tmp_path / f"scene.{ending}"))
        assert slicer.util.arrayFromVolume(slicer.util.getNode("CT")).shape == (4, 5, 6)

    def test_a_missing_file_is_an_error(self, fresh_host, tmp_path):
        with pytest.raises(RuntimeError, match=r"missing\.nrrd"):
            slicer.util.loadVolume(str(tmp_path / "missing.nrrd"))

    def test_a_path_object_is_not_a_file_name(self, volume, tmp_path):
        assert not slicer.util.saveNode(volume, tmp_path / "CT.nrrd")


def _matrix(volume):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return matrix


def test_code_for_any_scene_does_not_find_the_one_of_the_application(slicer_host, mrml_scene):
    assert not hasattr(slicer, "mrmlScene")
    assert not hasattr(slicer, "modules")


@pytest.mark.skipif(not SLICER_SOURCE, reason="needs SLICER_SOURCE, a checkout of Slicer")
class TestModulesOfSlicer:
    """Modules that were not written for this host."""

    def test_the_module_template_works(self, fresh_host, tmp_path):
        shutil.copytree(Path(SLICER_SOURCE, "Utilities/Templates/Modules/Scripted"), tmp_path / "TemplateKey")
        volume = add_volume(fresh_host.scene, "CT", smooth_array((4, 5, 6), 1))
        panel = fresh_host.load_module(tmp_path / "TemplateKey" / "TemplateKey.py")
        assert panel.ui.inputSelector.currentNode() is volume
        assert not panel.ui.applyButton.enabled
        panel.ui.outputSelector.setCurrentNode(add_volume(fresh_host.scene, "output", np.zeros((4, 5, 6))))
        assert panel.ui.applyButton.enabled
        panel.ui.imageThresholdSliderWidget.value = 50
        assert panel.logic.getParameterNode().imageThreshold == 50
        slicer.mrmlScene.Clear()
        assert panel.ui.inputSelector.currentNode() is None
        assert fresh_host.reload_module("TemplateKey").ui.imageThresholdSliderWidget.value == 100
