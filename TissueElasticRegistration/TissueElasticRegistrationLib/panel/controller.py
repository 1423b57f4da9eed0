"""What runs for the panel: following the sliders, a full registration, an estimate, or nothing. One at a time.

The panel says what it wants and is told what happens; scene and threads are handled here, widgets are not.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

import slicer

from ..core.data.progress import Frame, Progress
from ..core.estimation.estimate_result import EstimateProgress
from ..core.registration.loading import loading
from ..scene.checks import input_problem
from ..scene.display.overlays import write_jacobian_overlay
from ..scene.nodes import OutputNodes
from ..scene.options import Request, Values
from ..scene.session import PairSession
from ..scene.transform_hierarchy import put_under
from ..scene.write.live_transform import show_displacement
from .dependencies import loading_problem
from .job_runner import JobRunner

if TYPE_CHECKING:
    from ..core.data.images import ImagePair

CHANGED_MEANWHILE = "The inputs changed during the registration, so no output was written. Click Apply again."


class Activity(Enum):
    IDLE = "idle"
    LIVE = "live"
    APPLY = "apply"
    ESTIMATE = "estimate"
    STIFFNESS = "stiffness"


@dataclass
class Listener:
    """What the panel is told, always in the main thread."""

    activity: Callable[[Activity], None] = field(default=lambda activity: None)
    progress: Callable[[Activity, float, str], None] = field(default=lambda activity, fraction, text: None)
    shown: Callable[[slicer.vtkMRMLTransformNode, float], None] = field(default=lambda transform, seconds: None)
    settled: Callable[[float, tuple[str, ...]], None] = field(default=lambda seconds, notes: None)
    applied: Callable[[object, OutputNodes, float], None] = field(default=lambda result, nodes, seconds: None)
    estimated: Callable[[object, bool], None] = field(default=lambda estimate, is_end: None)
    stiffness_estimated: Callable[[object], None] = field(default=lambda ratios: None)
    failed: Callable[[Activity, str], None] = field(default=lambda activity, sentence: None)


class Controller:
    """Runs one thing at a time for one panel. All methods and callbacks are in the main thread."""

    def __init__(self, listener: Listener) -> None:
        self.activity = Activity.IDLE
        self.deformed = True  # whether the moving volume is to be shown under the transform
        self._listener = listener
        self._runner = JobRunner()
        self._session: PairSession | None = None
        self._wanted: Request | None = None  # to be followed after an apply or an estimate
        self._following: Request | None = None  # what the scene is on its way to, shows, or failed to show
        self._values: Values = {}  # what is followed now; read in the thread of the job
        self._loaded = False
        self._shown_since_start = False
        self._began = 0.0

    def load(self) -> None:
        """Import PyTorch beside the user interface, once, so that the first picture does not wait for it."""
        if not self._loaded and self.activity is Activity.IDLE:
            self._loaded = True
            self._runner.start(loading(), on_error=lambda error: self._fail(Activity.LIVE, error))

    def follow(self, request: Request) -> None:
        """Move the shown deformation towards these values; the newest request wins.

        Nothing happens if this is what is shown already. After an apply or an estimate it goes on by itself.
        """
        if self.activity not in (Activity.IDLE, Activity.LIVE):
            self._wanted = request
        elif not self._same_session(request):
            self._follow_now(request)
        elif self.activity is Activity.LIVE and request.looks_like(replace(self._following, values=request.values)):
            self._move(request.values)
        elif not request.looks_like(self._following):
            self._follow_now(request)

    def follow_values(self, request: Request, values: Values) -> None:
        """The same with other values than those of ``request``, for every move of the mouse: nothing else is looked at.

        As long as Live runs, that is. Whoever calls this sees to it that the values come with `follow` in the end.
        """
        if self.activity is Activity.LIVE:
            self._move(values)
        else:
            self.follow(replace(request, values=values))

    def _move(self, values: Values) -> None:
        """The job that runs goes on towards these."""
        if values != self._values:
            self._following = replace(self._following, values=values)
            self._values, self._began = values, time.perf_counter()

    def apply(self, request: Request) -> None:
        """Register from nothing and write all outputs."""
        self._start(
            Activity.APPLY,
            request,
            lambda session: session.register(request.values, request.refine_steps, ignore_unknown=True),
            lambda result: self._write(request, result),
        )

    def estimate(self, request: Request) -> None:
        """Search this pair's values; the listener gets partial estimates and the final one."""
        self._start(
            Activity.ESTIMATE,
            request,
            lambda session: session.estimate(request.values, request.estimation, ignore_unknown=True),
            self._estimated,
        )

    def estimate_stiffness(self, request: Request) -> None:
        """Estimate the ratios of the tissues' shear moduli; values and scene stay as they are."""
        self._start(
            Activity.STIFFNESS, request, lambda session: session.estimate_stiffness(), self._stiffness_estimated
        )

    def cancel(self) -> None:
        """Stop what runs. Following goes on if it was interrupted by an apply or an estimate."""
        was = self.activity
        self._runner.cancel()
        self._set(Activity.IDLE)
        if was is Activity.LIVE:
            self._following = None  # it has not come to its end
        self._follow_wanted()

    def cancel_estimate(self) -> None:
        """Stop an estimate whose result nobody wants any more."""
        if self.activity in (Activity.ESTIMATE, Activity.STIFFNESS):
            self.cancel()

    def stop_following(self) -> None:
        """Leave the shown deformation as it is."""
        self._wanted = None
        if self.activity is Activity.LIVE:
            self.cancel()
        self._following = None

    def forget(self) -> None:
        """The scene closes or the inputs are gone: stop everything and drop all that was read from them."""
        self._runner.cancel()
        self._drop_session()
        self._wanted = self._following = None
        self._set(Activity.IDLE)

    def close(self, timeout_s: float = 2.0) -> None:
        """The panel goes away."""
        self.forget()
        self._runner.close(timeout_s)

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs any more, not even the last step of a job that was canceled."""
        return self._runner.idle

    @property
    def session(self) -> PairSession | None:
        """What the last run has read and prepared; None before the first one."""
        return self._session

    @property
    def device_reason(self) -> str:
        """Why the current device was taken; empty before the first run."""
        registrar = None if self._session is None else self._session.registrar
        return "" if registrar is None else registrar.device_choice.reason

    @property
    def pair(self) -> ImagePair | None:
        """The images of the last run, as they were read."""
        return None if self._session is None else self._session.pair

    def _follow_now(self, request: Request) -> None:
        self._following, self._values, self._shown_since_start = request, request.values, False
        self._start(
            Activity.LIVE, request, lambda session: session.live(lambda: self._values, request.jacobian), self._settled
        )

    def _follow_wanted(self) -> None:
        wanted, self._wanted = self._wanted, None
        if wanted is not None:
            self.follow(wanted)

    def _start(self, activity: Activity, request: Request, make_job: Callable, on_done: Callable) -> None:
        self._began = time.perf_counter()
        if self.activity is Activity.LIVE and activity is not Activity.LIVE:
            self._wanted, self._following = self._wanted or self._following, None
        try:
            session = self._session_for(request)
        except Exception as error:
            self._fail(activity, error)
            return
        self._set(activity)
        self._runner.start(make_job(session), self._progress, on_done, lambda error: self._fail(activity, error))

    def _same_session(self, request: Request) -> bool:
        return self._session is not None and self._session.fits(request.inputs, request.options)

    def _session_for(self, request: Request) -> PairSession:
        if not self._same_session(request):
            self._runner.cancel()
            self._drop_session()  # its memory first
            self._session = PairSession(request.inputs, request.options)
        return self._session

    def _drop_session(self) -> None:
        if self._session is not None:
            self._session.release_nodes()
        self._session = None

    def _progress(self, progress: Progress) -> None:
        activity = self.activity
        if isinstance(progress, Frame):
            self._show(progress)
        if isinstance(progress, EstimateProgress):
            self._listener.estimated(progress.estimate, False)
        if self.activity is activity:
            self._listener.progress(activity, progress.fraction, progress.text)

    def _show(self, frame: Frame) -> None:
        request = self._following
        try:
            transform = show_displacement(
                request.inputs, frame.displacement_ras_mm, frame.geometry, request.outputs, self.deformed
            )
            if frame.jacobian_kji is not None:
                write_jacobian_overlay(frame.jacobian_kji, frame.geometry, transform)
        except Exception as error:  # a node that is gone, a transform that somebody else has moved
            self._runner.cancel()
            self._fail(Activity.LIVE, error)
            return
        first, self._shown_since_start = not self._shown_since_start, True
        self._listener.shown(transform, time.perf_counter() - self._began if first else float("nan"))

    def _settled(self, values: Values) -> None:
        if values is not self._values:  # moved after the job had asked for the last time
            self._follow_now(self._following)
            return
        seconds, notes = time.perf_counter() - self._began, self._session.registrar.live_notes
        self._set(Activity.IDLE)
        self._listener.settled(seconds, notes)

    def _write(self, request: Request, result) -> None:
        try:
            if not self._same_session(request):
                raise ValueError(input_problem(request.inputs) or CHANGED_MEANWHILE)
            nodes = self._session.write(result, request.outputs)
            if self.deformed:
                put_under(request.inputs.moving, nodes.transform, request.inputs.fixed)
        except Exception as error:
            self._fail(Activity.APPLY, error)
            return
        self._following = request
        self._set(Activity.IDLE)
        self._listener.applied(result, nodes, time.perf_counter() - self._began)
        self._follow_wanted()

    def _estimated(self, estimate) -> None:
        self._set(Activity.IDLE)
        self._listener.estimated(estimate, True)
        self._follow_wanted()

    def _stiffness_estimated(self, ratios) -> None:
        self._set(Activity.IDLE)
        self._listener.stiffness_estimated(ratios)
        self._follow_wanted()

    def _fail(self, activity: Activity, error: BaseException) -> None:
        """One sentence for the user. Only what nobody foresaw goes to the log, with its place.

        What could not be followed is not tried again before something changes.
        """
        if activity is not Activity.LIVE:
            self._following = None
        self._set(Activity.IDLE)
        sentence = loading_problem(error) or (str(error) if isinstance(error, ValueError) else "")
        if sentence:
            self._listener.failed(activity, sentence)
        else:
            logging.error("%s failed.", activity.value, exc_info=error)
            message = "An error occurred ({error}); see the error log for details."
            self._listener.failed(activity, message.format(error=str(error) or type(error).__name__))
        if activity is not Activity.LIVE:
            self._follow_wanted()

    def _set(self, activity: Activity) -> None:
        if activity is not self.activity:
            self.activity = activity
            self._listener.activity(activity)
