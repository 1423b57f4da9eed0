"""Somebody who uses the module with the mouse: opens it, chooses the inputs, clicks its buttons and waits."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import slicer.util
from host import mouse
from host.event_loop import run_loop
from host.qt_binding import application
from host.slicer_host import SlicerHost

from TissueElasticRegistrationLib.commands.console_progress import ProgressLine
from TissueElasticRegistrationLib.core.data.tissues import Lame
from TissueElasticRegistrationLib.core.estimation.estimate_result import Estimate
from TissueElasticRegistrationLib.core.physics.tissue_presets import BONE
from TissueElasticRegistrationLib.scene.nodes import InputNodes, find_outputs
from TissueElasticRegistrationLib.scene.write.tissue_nodes import describe_segments, describe_tissues

MODULE = Path(__file__).parents[2] / "TissueElasticRegistration" / "TissueElasticRegistration.py"
WINDOW_SIZE = {"width": 1600, "height": 1200}  # pixels
TITLE_BAR = 40
SETTLE_S = 0.3  # longer than the panel collects changes
MAX_S = 24 * 3600.0


class WindowClosed(Exception):
    """The user has closed the window: nobody waits for a result."""


def size_on_screen() -> dict[str, int]:
    """`WINDOW_SIZE`, or less where the screen is smaller."""
    room = application().primaryScreen().availableSize()
    return {
        "width": min(WINDOW_SIZE["width"], room.width()),
        "height": min(WINDOW_SIZE["height"], room.height() - TITLE_BAR),
    }


class PanelUser:
    """Opens the module in a main window of the host, whose scene holds a pair already, and chooses the pair there.

    window: as for `SlicerHost.main_window`. All methods raise `WindowClosed` when the window is gone, and what a slot
    of the panel has raised.
    """

    def __init__(self, host: SlicerHost, inputs: InputNodes, progress: ProgressLine, **window: float) -> None:
        self.window = host.main_window(**window)
        self._errors = host.slot_errors
        self._inputs = inputs
        self._progress = progress
        self._widget = host.load_module(MODULE)
        self.ui = self._widget.ui
        self.panel = self._widget.parent
        ui = self.ui
        selectors = (
            ui.fixedSelector,
            ui.movingSelector,
            ui.segmentationSelector,
            ui.movingSegmentationSelector,
            ui.fixedLandmarksSelector,
            ui.movingLandmarksSelector,
        )
        for selector, node in zip(selectors, inputs, strict=True):
            if node is not None:
                mouse.choose(selector, node.GetName())
        mouse.click(ui.inputsButton)  # closed, it leaves room for the rest
        self.settle()

    def lock_bones(self) -> None:
        """Lock what is known to be stiff, so that an estimate leaves it alone, unless there is nothing else."""
        segments = describe_segments(self._inputs.segmentation)
        bones = [segment for segment in segments if segment.start_weight == BONE]
        if len(bones) < len(segments):
            for bone in bones:
                mouse.click(slicer.util.findChild(self.ui.tissueRowsWidget, f"lock_{bone.id}"))
        self.settle()

    def estimate(self) -> Estimate | None:
        """Click Auto-estimate and wait; None if it is not possible."""
        ui = self.ui
        if ui.estimateButton.collapsed:
            mouse.click(ui.estimateButton)
        if not ui.estimatePushButton.enabled:
            return None
        mouse.click(ui.estimatePushButton)
        self._wait("estimate", ui.estimateProgressBar, ui.estimateStatusLabel)
        latest = self._widget.panel.estimate.latest
        return latest if latest is not None and latest.complete else None

    def apply(self) -> None:
        """Click Apply and wait. Raises ValueError with what the panel says if there is no result."""
        mouse.click(self.ui.applyButton)
        self._wait("apply", self.ui.progressBar, self.ui.statusLabel)
        if find_outputs(self._inputs).warped_volume is None:
            raise ValueError(self.ui.statusLabel.text)

    def show_grid(self) -> None:
        """Draw the deformation over the slices."""
        mouse.click(self.ui.gridCheckBox)
        self.settle()

    def open_all_sections(self) -> None:
        """Those that are closed."""
        for section in self.sections():
            if section.collapsed:
                mouse.click(section)
        self.settle()

    def sections(self) -> list:
        """The collapsible sections of the panel."""
        return slicer.util.findChildren(self.panel, className="ctkCollapsibleButton")

    def values(self) -> dict[str, Lame]:
        """λ and μ of every tissue by its id, as the panel shows them."""
        # Only now: parameter nodes exist when the host has started.
        from TissueElasticRegistrationLib.panel.parameter_node import request_of

        node = self._widget.logic.getParameterNode()
        return dict(request_of(node, describe_tissues(node.segmentation), self._widget.panel.model.scale).values)

    def stay(self) -> None:
        """Let the image follow the sliders until the window is closed or somebody presses Ctrl-C."""
        mouse.click(self.ui.liveCheckBox)
        with suppress(WindowClosed, KeyboardInterrupt):
            run_loop(self._check, MAX_S)

    def _wait(self, stage: str, bar, label) -> None:
        """Until nothing runs any more."""

        def is_idle() -> bool:
            self._check()
            if self._widget.panel.control.activity.value == "idle":
                return True
            self._progress(stage, bar.value / bar.maximum, label.text)
            return False

        run_loop(is_idle, MAX_S)
        self.settle()
        self._progress(stage, 1.0, label.text.partition("\n")[0])

    def settle(self) -> None:
        run_loop(timeout_s=SETTLE_S)
        self._check()

    def _check(self) -> None:
        if self._errors:
            raise self._errors[0][1]
        if not self.window.visible:
            raise WindowClosed
