"""The panel's glue: parameter node <-> widgets -> control, and back into the widgets what the control tells."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import qt

from ..core.physics.parameter_scale import SliderPositions
from ..core.physics.tuning import weights_at
from ..scene.checks import input_hints, input_problem, objective_problem
from ..scene.input_fingerprint import state_of
from ..scene.nodes import find_outputs
from ..scene.options import Request
from ..scene.write.tissue_nodes import SegmentInfo, describe_tissues
from . import dependencies
from .controller import Activity, Controller, Listener
from .input_watch import Watch, place_events, segment_events
from .pace import TELL_EVERY_S, Pace
from .parameter_node import (
    TissueElasticRegistrationParameterNode,
    inputs_of,
    keep_only,
    request_of,
)
from .run_buttons import RunButtons
from .sections.display_section import DisplaySection, DisplaySettings
from .sections.estimate_section import EstimateSection
from .sections.model_section import ModelSection
from .sections.quality_section import QualitySection
from .sections.tissue_section import TissueSection
from .widgets.labels import show_text

# Many parameters may change at once (a preset for all): they are looked at together, still within one frame.
COLLECT_MS = 5
# While Live moves the picture, everything else in the panel follows a few times a second.
LIVE_COLLECT_MS = 200
# Painting a segment, or moving a volume, means reading and preparing everything anew: that waits until the brush rests.
INPUT_REST_MS = 400


class RegistrationPanel:
    """Lives as long as the module's widget. ``ui``: the widgets of the .ui file."""

    def __init__(self, ui) -> None:
        self.ui = ui
        self._node: TissueElasticRegistrationParameterNode | None = None
        self._tissues: tuple[SegmentInfo, ...] = ()
        self._problem: str | None = None
        self.estimate = EstimateSection(ui)
        listener = Listener(
            activity=self._on_activity,
            progress=self._on_progress,
            shown=self._on_shown,
            settled=self._on_settled,
            applied=self._on_applied,
            estimated=self.estimate.show,
            stiffness_estimated=self.estimate.show_ratios,
            failed=self._on_failed,
        )
        self.control = Controller(listener)
        self.tissues = TissueSection(ui, self._on_dragged, self.parameters_changed)
        self.model = ModelSection(ui, self._on_model)
        self.display = DisplaySection(ui.displayProblemLabel)
        self.quality = QualitySection(ui)
        self._buttons = RunButtons(ui)
        self._update_timer = self._single_shot(COLLECT_MS, self.update)
        self._segments_timer = self._single_shot(INPUT_REST_MS, self._read_tissues)
        self._places_timer = self._single_shot(INPUT_REST_MS, self.update)
        self._segments = Watch(self._segments_timer.start)
        self._places = Watch(self._places_timer.start)
        self._shown_inputs = None
        # What the scene showed already when it was opened: nothing is computed before something changes.
        self._shown_before: Request | None = None
        self._refusal = ""  # why Live could not be switched on, until the next click
        self._followed: Request | None = None  # what Live was last asked for by the parameter node; None: Live is off
        self._telling = Pace(TELL_EVERY_S)
        self._connect()
        for label in (ui.hintsLabel, ui.deviceReasonLabel, ui.liveStatusLabel, ui.estimateStatusLabel, ui.statusLabel):
            show_text(label, "")

    # --- life cycle -------------------------------------------------------------------------------------------------

    def set_parameter_node(self, node: TissueElasticRegistrationParameterNode | None) -> None:
        """Show and follow another parameter node, or none while the scene closes; the same one when it is entered."""
        if node is not None and node is self._node:
            self._read_tissues()
            return
        self._look_away()
        self._node = node
        self._shown_inputs = None
        self.control.forget()
        self.display.forget()
        self.tissues.forget()
        self.estimate.forget()
        self.quality.clear()
        show_text(self.ui.statusLabel, "")
        show_text(self.ui.liveStatusLabel, "")
        self._shown_before, self._refusal = None, ""
        if node is not None:
            if input_problem(inputs_of(node)) is None and find_outputs(inputs_of(node)).transform is not None:
                self.model.show(node.model)
                self._shown_before = self._request(describe_tissues(node.segmentation, find_empty=False))
            self._read_tissues()

    def parameters_changed(self) -> None:
        """The parameter node was modified: look at it soon, once for all that changes together."""
        if not self._update_timer.active:
            self._update_timer.start(LIVE_COLLECT_MS if self.control.activity is Activity.LIVE else COLLECT_MS)

    def leave(self) -> None:
        """The user opens another module: stop following, and what blinks. What the user waits for goes on."""
        self.ui.flickerButton.checked = False
        self._look_away()
        self.control.stop_following()
        self.display.leave()

    def _look_away(self) -> None:
        """Notice no changes until `update`."""
        for timer in (self._update_timer, self._segments_timer, self._places_timer):
            timer.stop()
        self._segments.stop()
        self._places.stop()

    def close(self) -> None:
        """The panel goes away: nothing may run or call back any more."""
        self.set_parameter_node(None)
        self.ui.flickerButton.checked = False
        self.control.close()

    # --- parameter node -> widgets and control ----------------------------------------------------------------------

    def update(self) -> None:
        """Bring everything in line with the parameter node. Cheap: called at every change."""
        node = self._node
        if node is None:
            return
        if self._segments.observe(segment_events(node.segmentation)) or (
            node.tunedSegmentation is not node.segmentation
        ):
            self._read_tissues()
            return
        inputs = inputs_of(node)
        # First: segments of a former pair must be out of its result when the inputs are looked at.
        self.display.update(
            inputs,
            DisplaySettings(
                node.fade,
                node.deformed,
                node.showGrid,
                node.showJacobian,
                node.showDifference,
                node.outlines,
                node.live,
            ),
        )
        self._places.observe(place_events(inputs))
        if None not in inputs[:2] and dependencies.torch_problem() is None:
            self.control.load()
        self.model.show(node.model)
        self._show_problem()
        state = inputs, state_of(inputs)
        if state != self._shown_inputs:
            self._shown_inputs = state
            show_text(self.ui.hintsLabel, "\n".join(input_hints(inputs)))
        self.tissues.update(node, self._tissues, self.model.scale, self.model.has_lambda)
        self.estimate.update(node, self._tissues)
        self.control.deformed = node.deformed
        self._follow()

    def _read_tissues(self) -> None:
        """The segmentation or its segments have changed."""
        node = self._node
        if node is None:
            return
        self._segments.observe(segment_events(node.segmentation))
        self._tissues = describe_tissues(node.segmentation)
        if node.tunedSegmentation is not node.segmentation:
            if node.tunedSegmentation is not None:
                keep_only(node, ())  # IDs such as "Segment_1" mean something else in every segmentation
                self.control.cancel_estimate()
                self.estimate.forget()
            node.tunedSegmentation = node.segmentation
        elif node.segmentation is not None:
            keep_only(node, [tissue.id for tissue in self._tissues])
        self.tissues.set_tissues(self._tissues)
        self._shown_inputs = None
        self.update()

    def _show_problem(self) -> None:
        """Apply and estimate are possible, or say why not."""
        node = self._node
        inputs = inputs_of(node)
        problem, of_model = input_problem(inputs), None
        if problem is None:
            problem = of_model = self.model.problem(inputs, node.finestMm, self._tissues)
        self.model.tell(of_model)
        self._problem = problem
        self._buttons.show(
            self.control.activity, problem, problem or objective_problem(node.estimateObjective.value, inputs)
        )

    def _follow(self) -> None:
        node, self._followed = self._node, None
        if not node.live:
            self.control.stop_following()
            show_text(self.ui.liveStatusLabel, self._refusal)
            return
        problem = self._problem or dependencies.torch_problem()
        if problem is not None:
            self.control.stop_following()
            show_text(self.ui.liveStatusLabel, problem)
        else:
            wanted = self._followed = self._request()
            if (held := self.tissues.held_positions) is not None:
                wanted = replace(wanted, values=weights_at(held, self.model.scale))
            if not wanted.looks_like(self._shown_before):
                self._shown_before = None
                self.control.follow(wanted)

    # --- what the user does -----------------------------------------------------------------------------------------

    def _on_apply(self) -> None:
        if self.control.activity is Activity.APPLY:
            self.control.cancel()
            show_text(self.ui.statusLabel, "Canceled; nothing was written.")
        elif self._node is not None and self._ready(self.ui.statusLabel):
            self.control.apply(self._request())

    def _on_estimate(self) -> None:
        if self.control.activity is Activity.ESTIMATE:
            self.control.cancel()
            self.estimate.canceled()
        elif self._node is not None and self._ready(self.ui.estimateStatusLabel):
            request = self._request()
            self.estimate.begin(self._node, self.model.scale, self.model.has_lambda)
            self.control.estimate(request)

    def _on_stiffness(self) -> None:
        if self.control.activity is Activity.STIFFNESS:
            self.control.cancel()
            show_text(self.ui.estimateStatusLabel, "Canceled.")
        elif self._node is not None and self._ready(self.ui.estimateStatusLabel):
            request = self._request()
            self.estimate.begin_ratios(self._node)
            self.control.estimate_stiffness(request)

    def _on_live_clicked(self) -> None:
        """Only a click asks for PyTorch; a scene that was saved with live on does not."""
        self._refusal = ""
        if self._node is None or not self.ui.liveCheckBox.checked:
            return
        if not self._ready(self.ui.liveStatusLabel):
            self._refusal = self.ui.liveStatusLabel.text
            self._node.live = False
        else:
            self._shown_before = None
            self.parameters_changed()
            if self._problem is None:
                self.display.show_pair()

    def _ready(self, label: qt.QLabel) -> bool:
        """PyTorch is there, after asking if it was not; otherwise the label says what is wrong."""
        problem = dependencies.ensure_torch()
        show_text(label, problem or "")
        return problem is None

    def _request(self, tissues: tuple[SegmentInfo, ...] | None = None) -> Request:
        return request_of(self._node, self._tissues if tissues is None else tissues, self.model.scale)

    def _on_model(self, model: str) -> None:
        if self._node is not None:
            self._node.model = model

    def _on_dragged(self, positions: dict[str, SliderPositions]) -> None:
        """The mouse moves a slider. The picture follows; the parameter node is told when it is released."""
        if self._followed is not None:
            self._shown_before = None
            self.display.slider_moves()
            self.control.follow_values(self._followed, weights_at(positions, self.model.scale))

    # --- what the control tells -------------------------------------------------------------------------------------

    def _on_activity(self, activity: Activity) -> None:
        self.ui.progressBar.visible = activity is Activity.APPLY
        self.ui.estimateProgressBar.visible = activity in (Activity.ESTIMATE, Activity.STIFFNESS)
        if self._node is not None:
            self._show_problem()
        show_text(self.ui.deviceReasonLabel, self.control.device_reason)

    def _on_progress(self, activity: Activity, fraction: float, text: str) -> None:
        if not self._telling.is_due():
            return
        if activity is Activity.LIVE:
            show_text(
                self.ui.liveStatusLabel,
                f"Registering: {round(100 * fraction)} %, {text}",
            )
            return
        bar, label = (
            (self.ui.progressBar, self.ui.statusLabel)
            if activity is Activity.APPLY
            else (self.ui.estimateProgressBar, self.ui.estimateStatusLabel)
        )
        bar.value = round(1000 * fraction)
        show_text(label, text)

    def _on_shown(self, _transform, seconds: float) -> None:
        if not math.isnan(seconds):
            self.display.deformation_shown()

    def _on_settled(self, seconds: float, notes: tuple[str, ...]) -> None:
        done = f"Up to date after {seconds:.1f} s."
        show_text(self.ui.liveStatusLabel, "\n".join((done, *notes)))

    def _on_applied(self, result, _nodes, seconds: float) -> None:
        doubts = ("Do not rely on this result:", *result.unreliable) if result.unreliable else ()
        show_text(self.ui.statusLabel, "\n".join((f"Registered in {seconds:.1f} s.", *doubts)))
        self.quality.show(self.control.pair, result, self.estimate.in_use(inputs_of(self._node)))
        self.display.deformation_changed()
        self.display.show_pair()

    def _on_failed(self, activity: Activity, sentence: str) -> None:
        ui = self.ui
        label = {Activity.LIVE: ui.liveStatusLabel, Activity.APPLY: ui.statusLabel}
        show_text(label.get(activity, ui.estimateStatusLabel), sentence)

    # --- setting up -------------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        ui = self.ui
        ui.applyButton.connect("clicked(bool)", self._on_apply)
        ui.estimatePushButton.connect("clicked(bool)", self._on_estimate)
        ui.estimateStiffnessButton.connect("clicked(bool)", self._on_stiffness)
        ui.liveCheckBox.connect("clicked(bool)", self._on_live_clicked)
        ui.flickerButton.connect("toggled(bool)", self.display.set_flicker)
        self._flicker_key = qt.QShortcut(qt.QKeySequence("Ctrl+Shift+F"), ui.displayButton)
        self._flicker_key.connect("activated()", ui.flickerButton.toggle)

    @staticmethod
    def _single_shot(milliseconds: int, slot: Callable[[], None]) -> qt.QTimer:
        timer = qt.QTimer()
        timer.setSingleShot(True)
        timer.setInterval(milliseconds)
        timer.connect("timeout()", slot)
        return timer
