"""What a user may do in and beside the panel, at random, whatever runs just now."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import slicer
import slicer.util
from host.mouse import choose, click, drag, tick, type_value
from host.qt_binding import shiboken6
from host.scene_builders import add_linear_transform, put_under
from panel_case import NAME, SELECTORS, PanelCase, add_phantom, pause
from panel_faults import remove

from TissueElasticRegistrationLib.scene.nodes import InputNodes, find_outputs

SECTIONS = ("modelButton", "estimateButton", "displayButton", "outputsButton", "advancedButton")
WEIGHTS = ("0.02", "0.5", "1", "7.25", "200", "1000", "0")
MAX_VOLUMES = 8
MAX_SEGMENTS = 12


class Actions:
    """Does random things in one panel. on_reload: called after the module was read anew.

    done: all actions so far and what ran when they began; while_running: how many began while that ran.
    """

    def __init__(self, panel: PanelCase, seed: int, scratch: Path, on_reload: Callable[[], None]) -> None:
        self.done: list[str] = []
        self.while_running: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._user = User(panel, self._random, scratch, on_reload)
        self._panel = panel
        self._deck: list[str] = []

    @property
    def names(self) -> list[str]:
        return sorted(name for name in vars(User) if not name.startswith("_"))

    def start_again(self) -> None:
        """Close the scene, load the phantom, choose the inputs."""
        self._user.close_the_scene()

    def do(self, number: int, check: Callable[[], None], without: str = "") -> None:
        """That many actions that are possible, all kinds but ``without`` equally often. check: called after each."""
        while number:
            if not self._deck:
                self._deck = self._random.sample(self.names, len(self.names))
            name, running = self._deck.pop(), self._panel.activity
            if name == without or getattr(self._user, name)() is False:
                continue
            number -= 1
            self.done.append(f"{name} ({running})")
            self.while_running[running] += 1
            pause(self._random.choice((0.0, 0.01, 0.03, 0.08)))
            check()


class User:
    """Every public method is an action; it returns False where a user could not do it now."""

    def __init__(self, panel: PanelCase, choice: random.Random, scratch: Path, on_reload: Callable[[], None]) -> None:
        self._panel = panel
        self._random = choice
        self._scene_file = str(scratch / "scene.mrb")
        self._on_reload = on_reload
        self._open_sections()

    # --- tissues ----------------------------------------------------------------------------------------------------

    def drag_a_slider(self):
        return self._drag(self._of_a_tissue("lambda", "mu"))

    def drag_another_slider(self):
        return self.drag_a_slider()

    def type_a_weight(self):
        return self._use(type_value, self._of_a_tissue("lambdaBox", "muBox"), self._random.choice(WEIGHTS))

    def take_a_weight_back_by_hand(self):
        box = self._of_a_tissue("lambdaBox", "muBox")
        before = "" if box is None else box.text
        return self._use(type_value, box, "3") and self._use(type_value, box, before)

    def choose_a_preset(self):
        if not self._click(self._of_a_tissue("preset")):
            return False
        menu = self._panel.preset_menu
        self._random.choice(menu.actions()).trigger()
        menu.close()
        return True

    def click_link_lock_or_reset(self):
        return self._click(self._of_a_tissue("link", "lock", "reset"))

    def reset_all(self):
        return self._click(self._ui.resetAllButton)

    def drag_a_global_slider(self):
        return self._drag(self._random.choice((self._ui.allLambdaSlider, self._ui.allMuSlider)))

    def filter_tissues(self):
        line = slicer.util.findChild(self._ui.tissueRowsWidget, "tissueFilter")
        return self._use(type_value, line, "l") and self._use(type_value, line, "")

    # --- what runs --------------------------------------------------------------------------------------------------

    def switch_live(self):
        return self._click(self._ui.liveCheckBox)

    def switch_live_on(self):
        return not self._ui.liveCheckBox.checked and self._click(self._ui.liveCheckBox)

    def apply_or_cancel(self):
        return self._click(self._ui.applyButton)

    def apply(self):
        return self._ui.applyButton.text == "Apply" and self._click(self._ui.applyButton)

    def estimate_or_cancel(self):
        return self._click(self._ui.estimatePushButton)

    def undo_the_estimate(self):
        return self._click(self._ui.undoEstimateButton)

    def keep_a_tissue_out_of_the_estimate(self):
        table = self._ui.estimateTable
        return table.rowCount > 2 and self._use(tick, table, self._random.randrange(table.rowCount - 1))

    def take_or_put_back_one_tissue(self):
        buttons = self._ui.estimateTable.findChildren("QToolButton")
        return bool(buttons) and self._click(self._random.choice(buttons))

    def ask_the_estimate_for_something_else(self):
        ui, pick = self._ui, self._random.choice
        choices = {
            ui.estimateObjectiveSelector: ("Overlap", "Landmarks", "Similarity"),
            ui.estimateMethodSelector: ("Grid", "Grid", "Gradient"),
        }
        selector = pick(list(choices))
        return self._use(choose, selector, pick(choices[selector]))

    def wait_until_nothing_runs(self):
        self._panel.rest()

    # --- what is shown ----------------------------------------------------------------------------------------------

    def switch_the_display(self):
        names = ("gridCheckBox", "jacobianCheckBox", "differenceCheckBox", "deformedCheckBox", "outlinesCheckBox")
        return self._click(getattr(self._ui, self._random.choice(names)))

    def flicker(self):
        return self._click(self._ui.flickerButton)

    def fade(self):
        return self._drag(self._ui.fadeSlider)

    def look(self):
        slicer.app.setRenderPaused(False)
        pause(0.05)
        slicer.app.setRenderPaused(True)

    def copy_the_table(self):
        return self._click(self._ui.copyQualityButton)

    # --- settings ---------------------------------------------------------------------------------------------------

    def choose_any_input(self):
        selector = getattr(self._ui, self._random.choice(SELECTORS))
        nodes = [selector.nodeFromIndex(index) for index in range(selector.nodeCount())]
        return bool(nodes) and self._use(choose, selector, self._random.choice(nodes).GetName())

    def choose_the_right_inputs(self):
        if any(node.GetScene() is None for node in self._panel.nodes[:4]):
            self._start_again()
            return
        for name, node in list(zip(SELECTORS, self._panel.nodes, strict=True))[:4]:
            self._use(choose, getattr(self._ui, name), node.GetName())

    def choose_an_output(self):
        name = self._random.choice(("outputTransform", "outputVolume", "outputSegmentation", "outputTable"))
        selector = getattr(self._ui, f"{name}Selector")
        if not self._usable(selector):
            return False
        selector.setCurrentNode(self._random.choice([None, selector.addNode()]))
        return True

    def change_a_setting(self):
        ui, pick = self._ui, self._random.choice
        change = pick(
            (
                lambda: self._use(choose, ui.alignmentSelector, pick(("Automatic", "None"))),
                lambda: self._use(choose, ui.deviceSelector, pick(("Automatic", "CPU", "CPU", "GPU (CUDA)"))),
                lambda: self._use(type_value, ui.refineStepsSpinBox, pick("03")),
                lambda: self._use(type_value, ui.gridPointsSpinBox, pick("34")),
                lambda: self._use(type_value, ui.finestMmSpinBox, pick(("0", "12"))),
            )
        )
        return change()

    def use_a_scene_with_an_unknown_model(self):
        self._panel.parameters.model = "thorax pack"
        pause(0.03)
        return self._use(choose, self._ui.modelSelector, "Direct solver")

    def choose_a_model(self):
        """Any of the list; the dialog for folders does not open in testing mode."""
        selector = self._ui.modelSelector
        return self._use(choose, selector, self._random.choice([selector.itemText(n) for n in range(selector.count)]))

    # --- other modules ----------------------------------------------------------------------------------------------

    def rename_a_segment(self):
        segment = self._a_segment()
        return segment is not None and segment.SetName(self._random.choice(("Leber", "bone", "", "λ <b>&</b>")))

    def add_segments(self):
        segmentation = self._panel.nodes.segmentation.GetSegmentation()
        if segmentation.GetNumberOfSegments() > MAX_SEGMENTS:
            return False
        return all([segmentation.AddEmptySegment() for _ in range(self._random.randrange(1, 4))])

    def delete_a_segment(self):
        segmentation = self._panel.nodes.segmentation.GetSegmentation()
        if segmentation.GetNumberOfSegments() < 3:
            return False
        return segmentation.RemoveSegment(segmentation.GetNthSegmentID(0))

    def paint_or_empty_a_segment(self):
        fixed, _moving, node = self._panel.nodes[:3]
        if self._a_segment() is None or fixed.GetScene() is None:
            return False
        array = slicer.util.arrayFromVolume(fixed)
        mask = np.zeros(array.shape, np.uint8)
        if self._random.random() < 0.7:
            row = self._random.randrange(array.shape[1] - 8)
            mask[:, row : row + 8, 5:30] = 1
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, node.GetSegmentation().GetNthSegmentID(0), fixed)
        return True

    def change_voxels(self):
        moving = self._panel.nodes.moving
        if moving.GetScene() is None:
            return False
        slicer.util.updateVolumeFromArray(moving, np.roll(slicer.util.arrayFromVolume(moving), 1, axis=2))
        return True

    def move_an_input(self):
        node = self._panel.nodes[self._random.randrange(2)]
        if node.GetScene() is None:
            return False
        shift = np.eye(4)
        shift[0, 3] = self._random.choice((3.0, -2.0, 0.0))
        transforms = [
            node
            for node in slicer.util.getNodesByClass("vtkMRMLLinearTransformNode")
            if node.GetName().startswith("shift")
        ]
        for transform in transforms:
            remove(transform)
        if not transforms:
            put_under(node, add_linear_transform(slicer.mrmlScene, "shift", shift))
        return True

    def edit_the_result(self):
        transform = self._outputs()[0]
        if transform is None:
            return False
        transform.Inverse()
        return True

    def move_the_result(self):
        """Under another transform, or out of there."""
        transform = self._outputs()[0]
        if transform is None:
            return False
        if transform.GetParentTransformNode() is None:
            put_under(transform, add_linear_transform(slicer.mrmlScene, "under this", np.eye(4)))
        else:
            remove(transform.GetParentTransformNode())
        return True

    def take_voxels_away(self):
        fixed = self._panel.nodes.fixed
        if fixed.GetScene() is None:
            return False
        image = fixed.GetImageData()
        fixed.SetAndObserveImageData(None)
        pause(0.1)
        self.switch_the_display()
        fixed.SetAndObserveImageData(image)
        return True

    def delete_an_output(self):
        outputs = [node for node in self._outputs() if node is not None]
        return bool(outputs) and not remove(self._random.choice(outputs))

    def delete_an_input(self):
        node = self._panel.nodes[self._random.randrange(4)]
        return node.GetScene() is not None and not remove(node)

    # --- scenes and modules -----------------------------------------------------------------------------------------

    def save_the_scene(self):
        return slicer.util.saveScene(self._scene_file)

    def open_a_scene(self):
        if not Path(self._scene_file).exists():
            return False
        slicer.util.loadScene(self._scene_file, {"clear": True})
        self._take_nodes_of_scene()
        return True

    def add_a_scene(self):
        if not Path(self._scene_file).exists() or len(slicer.util.getNodesByClass("vtkMRMLVolumeNode")) > MAX_VOLUMES:
            return False
        slicer.util.loadScene(self._scene_file)
        self._take_nodes_of_scene()
        return True

    def close_the_scene(self):
        self._start_again()

    def leave_and_enter(self):
        self._panel.host.leave_module()
        pause(0.02)
        self._panel.host.enter_module(NAME)

    def reload(self):
        self._panel.host.reload_module(NAME)
        self._on_reload()
        pause(0.05)  # Qt shows the new widgets then
        self._open_sections()

    # --- how it is done ---------------------------------------------------------------------------------------------

    @property
    def _ui(self):
        return self._panel.ui

    def _of_a_tissue(self, *kinds: str):
        """A widget in the row of some tissue; None without rows."""
        ids = self._panel.tissue_ids
        return self._panel.tissue(self._random.choice(ids), self._random.choice(kinds)) if ids else None

    def _usable(self, widget) -> bool:
        return widget is not None and widget.visible and widget.enabled

    def _use(self, how: Callable, widget, *arguments) -> bool:
        if not self._usable(widget):
            return False
        how(widget, *arguments)
        return True

    def _click(self, widget) -> bool:
        return self._use(click, widget)

    def _drag(self, slider) -> bool:
        """The row of a slider may be gone before the mouse has come to its end."""
        try:
            return self._use(drag, slider, self._random.random(), 4, lambda: pause(0.004))
        except RuntimeError:
            if shiboken6.isValid(slider):
                raise
            return True

    def _a_segment(self):
        node = self._panel.nodes.segmentation
        ids = list(node.GetSegmentation().GetSegmentIDs()) if node.GetScene() is not None else []
        return node.GetSegmentation().GetSegment(self._random.choice(ids)) if ids else None

    def _outputs(self):
        inputs = self._panel.nodes
        if inputs.fixed.GetScene() is None or inputs.moving.GetScene() is None:
            return (None,) * 4
        return find_outputs(inputs)

    def _take_nodes_of_scene(self) -> None:
        parameters = self._panel.parameters
        nodes = InputNodes(
            parameters.fixedVolume,
            parameters.movingVolume,
            parameters.segmentation,
            parameters.movingSegmentation,
            parameters.fixedLandmarks,
            parameters.movingLandmarks,
        )
        if None in nodes[:4]:
            self._start_again()
        else:
            self._panel.nodes = nodes

    def _start_again(self) -> None:
        slicer.mrmlScene.Clear(False)
        self._panel.nodes = add_phantom(slicer.mrmlScene)
        for name, node in list(zip(SELECTORS, self._panel.nodes, strict=True))[:4]:
            choose(getattr(self._ui, name), node.GetName())

    def _open_sections(self) -> None:
        for name in SECTIONS:
            if getattr(self._ui, name).collapsed:
                click(getattr(self._ui, name))
