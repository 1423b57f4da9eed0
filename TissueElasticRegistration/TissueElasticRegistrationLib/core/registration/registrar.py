"""One image pair, registered as often as somebody moves a slider: prepare once, then register, refine, result, or
follow the sliders live.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import SimpleITK as sitk
import torch

from ..data.geometry import Geometry
from ..data.images import ImagePair
from ..data.limits import check_refine_steps
from ..data.progress import Frame, Job, Progress, Result, part_as_it_is, part_of
from ..data.result import RegistrationResult
from ..data.tissues import Tissue, TissueParameters
from ..evaluation.evaluation import evaluate, padded_array, total_displacement_ras_mm
from ..physics.deformation import integrate, jacobian_determinant
from ..physics.parameter_scale import check_parameters
from ..physics.range_ends import range_warnings
from ..physics.tissue_presets import table_parameters
from ..preparation.alignment import MODES, InitialAlignment, Mode, initial_alignment
from ..preparation.memory import memory_text
from ..preparation.preprocessing import WorkingPair, prepare_fixed, prepare_pair
from ..preparation.pyramid import Pyramid
from ..preparation.resemblance import resemblance_notes
from .devices import DeviceChoice, choose_device
from .direct_solver import DirectSolver
from .live import LiveSolver
from .live_pace import Wanted
from .solution import Solution, Stage, Step
from .solver import Solver
from .threads import with_threads

CARD_TOO_SMALL = "Not enough GPU memory for this image pair; the CPU was used instead."
NEVER_RIGID = "Rigid alignment is not available for single slices; the pair was registered from its current position."
ASKED_FOR = set(MODES) - {"auto", "none"}  # alignments, not left to the program
PREPARING = 0.2  # part of the progress of a live job that has to prepare the pair first


class Registrar:
    """Registers one pair again and again. Every long method is a `Job`: exhaust it with `finish`, or step it.

    Usage: ``finish(r.prepare()); finish(r.register(parameters)); result = finish(r.result())``.

    Args:
        pair: The images and segmentations.
        solver: Finds the deformation; None for the direct solver.
        initial: The alignment done first: "auto", "none", "rigid", "centers", "segments" (see `initial_alignment`) or
            a transform from fixed to moving LPS mm. Single slices are never aligned by themselves; if it was asked
            for, `notes` say so.
        finest_mm: As in `working_grid`.
        threads: Torch threads during every step; None leaves torch's setting alone.
        device: "auto", "cpu" or "cuda" (see `choose_device`); a graphics card that runs out of memory is replaced by
            the CPU, and the result says so.

    Attributes:
        device_choice: Where it computes, and why.

    Raises:
        ValueError: If there is no such device.
    """

    def __init__(
        self,
        pair: ImagePair,
        solver: Solver | None = None,
        initial: Mode | sitk.Transform = "auto",
        finest_mm: float | None = None,
        threads: int | None = None,
        device: str = "auto",
    ) -> None:
        self.pair = pair
        self.solver: Solver = solver or DirectSolver()
        self.device_choice = choose_device(device)
        self._wanted_initial = initial
        self._finest_mm = finest_mm
        self.threads = threads
        self._initial: InitialAlignment | None = None
        self._pyramid: Pyramid | None = None
        self._parameters: TissueParameters | None = None
        self._solution: Solution | None = None
        self._live: LiveSolver | None = None
        self._seconds: dict[str, float] = {}
        self._notes: tuple[str, ...] = ()

    def prepare(self) -> Job[None]:
        """Align, resample, normalize, label: all that does not depend on the parameters.

        Raises:
            ValueError: If the images do not fit each other (see `prepare_pair`), or not the solver.
        """
        return with_threads(self._prepare(), self.threads)

    def register(self, parameters: TissueParameters) -> Job[None]:
        """Register from nothing; until the end, the earlier registration stays what it was.

        Args:
            parameters: λ and μ of every tissue, weights on the scale of the solver's objective.

        Raises:
            ValueError: At once, before `prepare`, or if a parameter lies outside of the scale's range.
        """
        self._check(parameters)
        return with_threads(self._solve(parameters, None, None, "register"), self.threads)

    def refine(self, parameters: TissueParameters, steps: int = 20) -> Job[None]:
        """Continue from the current registration, or from nothing if there is none.

        Args:
            parameters: As in `register`.
            steps: At full resolution; the solver may take some on coarser levels before.

        Raises:
            ValueError: Like `register`, and like `check_refine_steps`.
        """
        self._check(parameters)
        check_refine_steps(steps)
        start = None if self._solution is None else self._solution.velocity
        stages = self.solver.refinement(steps, self.working.dimension)
        return with_threads(self._solve(parameters, start, stages, "refine"), self.threads)

    def live(self, wanted: TissueParameters | Wanted, jacobian: bool = False) -> Job[None]:
        """Move from the deformation shown last towards the one for these parameters; prepares first if needed.

        May be dropped at any step; the next call goes on from the last frame. Changes nothing about `register` and
        `result`.

        Args:
            wanted: The parameters, or a function that says at any moment which ones are wanted: it is asked at every
                step, so that a slider that moves is followed by one job, which ends when slider and deformation have
                come to rest.
            jacobian: Whether the frames have one.

        Yields:
            Progress, and a `Frame` whenever there is something new to show: all on the same grid.

        Raises:
            ValueError: At the first step, like `prepare` and `register`.
        """
        return with_threads(self._follow(wanted, jacobian), self.threads)

    def result(self) -> Job[RegistrationResult]:
        """The registration with warped images, metrics and timings.

        Raises:
            ValueError: At once, before `register`.
        """
        self._require_solution()
        return with_threads(self._evaluated(), self.threads)

    def evaluate(self, displacement_ras_mm: np.ndarray, parameters: TissueParameters) -> Job[RegistrationResult]:
        """Judge a displacement from elsewhere; only without an initial alignment, it is the whole motion.

        Args:
            displacement_ras_mm: (K, J, I, 3) RAS mm on the grid `working`.geometry, fixed to moving.
            parameters: λ and μ of the energies, as in `register`.

        Raises:
            ValueError: At once, like `register`, or if there is an initial alignment.
        """
        self._check(parameters)
        if not self._initial.is_identity:
            raise ValueError("A deformation can only be evaluated by a registrar with initial='none'.")
        return with_threads(self._judged(displacement_ras_mm, parameters), self.threads)

    def falling_back(self, make_job: Callable[[], Job[Result]]) -> Job[Result]:
        """A job with `pyramid`, done again on the CPU, from then on its device, if the graphics card is too small.

        Args:
            make_job: Makes the job; called again for the second try.
        """
        try:
            return (yield from make_job())
        except torch.cuda.OutOfMemoryError:
            if self._pyramid.device.type == "cpu":
                raise
        self._use(self._on_cpu(self.working))
        return (yield from make_job())

    @property
    def is_prepared(self) -> bool:
        """Whether `prepare` has come to its end."""
        return self._pyramid is not None

    @property
    def working(self) -> WorkingPair:
        """The pair on its working grid. Raises ValueError before `prepare`."""
        return self._require_pyramid().pair

    @property
    def pyramid(self) -> Pyramid:
        """The working pair at several resolutions. Raises ValueError before `prepare`."""
        return self._require_pyramid()

    @property
    def solution(self) -> Solution:
        """The current registration on the working grid. Raises ValueError before `register`."""
        return self._require_solution()

    @property
    def live_velocity(self) -> torch.Tensor | None:
        """The velocity of the last frame of `live`, or of a registration since, as in `Solution`; None before both."""
        return None if self._live is None else self._live.velocity

    @property
    def initial(self) -> InitialAlignment:
        """The alignment done first. Raises ValueError before `prepare`."""
        self._require_pyramid()
        return self._initial

    @property
    def tissues(self) -> tuple[Tissue, ...]:
        """All tissues that have parameters, background and unsegmented tissue included."""
        return self.working.tissues

    @property
    def notes(self) -> tuple[str, ...]:
        """What went differently from what was asked for, one sentence each; also among the warnings of a result."""
        return (*(() if self._solution is None else self._solution.notes), *self._notes)

    @property
    def live_notes(self) -> tuple[str, ...]:
        """The same about what `live` shows."""
        return (*(() if self._live is None else self._live.notes), *self._notes)

    def table_parameters(self) -> TissueParameters:
        """Start values for `tissues` by their names."""
        return table_parameters(self.tissues, self.solver.objective.scale)

    def range_warnings(self, parameters: TissueParameters) -> tuple[str, ...]:
        """One sentence if λ or μ of a tissue lies at an end of its range (see `range_ends`), also in the result."""
        objective = self.solver.objective
        return range_warnings(parameters, self.tissues, objective.scale, objective.has_lambda)

    def displacement_ras_mm(self) -> tuple[np.ndarray, Geometry]:
        """The current displacement (K, J, I, 3) in RAS mm and its grid: fixed to moving, with the initial alignment."""
        return total_displacement_ras_mm(self.working.geometry, self._initial, self.solution.displacement)

    def _prepare(self) -> Job[None]:
        began = time.perf_counter()
        yield Progress(0.0, ", ".join(filter(None, ("aligning", memory_text(self.pair, self._finest_mm)))))
        with ThreadPoolExecutor(1) as beside:  # nothing of the fixed image depends on the alignment
            fixed = beside.submit(prepare_fixed, self.pair, self._finest_mm)
            self._initial = initial_alignment(self.pair, self._wanted_initial)
        left_out = str(self._wanted_initial) in ASKED_FOR and self._initial.is_identity
        yield Progress(0.4, "resampling")
        working = prepare_pair(self.pair, self._initial.transform, fixed=fixed.result())
        yield Progress(0.8, "building levels")
        self._use(self._complete_pyramid(working))
        notes = (*self._notes, *((NEVER_RIGID,) if left_out else ()), *resemblance_notes(self._pyramid))
        self._notes = tuple(dict.fromkeys(notes))
        self._solution = None
        self._seconds = {"prepare": time.perf_counter() - began}
        yield Progress(1.0, "prepared")

    def _require_pyramid(self) -> Pyramid:
        if self._pyramid is None:
            raise ValueError("The image pair is not prepared yet: call prepare() first.")
        return self._pyramid

    def _require_solution(self) -> Solution:
        if self._solution is None:
            raise ValueError("There is no registration yet: call register() first.")
        return self._solution

    def _complete_pyramid(self, working: WorkingPair) -> Pyramid:
        """With all that the solver prepares, on the device, or on the CPU if the graphics card is too small."""
        pyramid = Pyramid(working, self.device_choice.device)
        try:
            self.solver.prepare(pyramid)
        except torch.cuda.OutOfMemoryError:
            if pyramid.device.type == "cpu":
                raise
            pyramid = self._on_cpu(working)
        return pyramid

    def _on_cpu(self, working: WorkingPair) -> Pyramid:
        self._notes += (CARD_TOO_SMALL,)
        self.device_choice = DeviceChoice(torch.device("cpu"), CARD_TOO_SMALL)
        return Pyramid(working, "cpu")

    def _use(self, pyramid: Pyramid) -> None:
        self._pyramid = pyramid
        self._live = LiveSolver(self.solver, pyramid)

    def _check(self, parameters: TissueParameters) -> None:
        names = {tissue.label: tissue.name for tissue in self.tissues}
        used = {label: parameters[label] for label in (*names, *parameters.by_label)}
        check_parameters(TissueParameters(used), self.solver.objective.scale, names)

    def _solve(
        self, parameters: TissueParameters, start: torch.Tensor | None, stages: tuple[Stage, ...] | None, what: str
    ) -> Job[None]:
        began = time.perf_counter()
        known = (
            self._solution.objective_values.objective_after
            if start is not None and parameters == self._parameters
            else None
        )
        solution = yield from self.falling_back(
            lambda: self.solver.solve(self._pyramid, parameters, start, stages, known)
        )
        if start is not None:  # what is to be known of the start still is
            solution = replace(solution, notes=(*self._solution.notes, *solution.notes))
        self._solution, self._parameters = solution, parameters
        self._live.start_from(solution.velocity, parameters)
        if start is None:
            # A new registration: what earlier ones took is no part of its account.
            self._seconds = {"prepare": self._seconds["prepare"]}
        self._seconds[what] = self._seconds.get(what, 0.0) + time.perf_counter() - began

    def _follow(self, wanted: TissueParameters | Wanted, jacobian: bool) -> Job[None]:
        prepared = 0.0
        if self._pyramid is None:
            prepared = PREPARING
            yield from part_of(self._prepare(), 0.0, prepared)
        checked = self._checked(wanted if callable(wanted) else lambda: wanted)
        yield from part_as_it_is(self.falling_back(lambda: self._frames(checked, jacobian)), prepared, 1.0)

    def _checked(self, wanted: Wanted) -> Wanted:
        """Raises ValueError like `register` when something is wanted that cannot be."""
        known = None

        def checked() -> TissueParameters:
            nonlocal known
            parameters = wanted()
            if parameters is not known:
                self._check(parameters)
                known = parameters
            return parameters

        return checked

    def _frames(self, wanted: Wanted, jacobian: bool) -> Job[None]:
        for progress in self._live.follow(wanted):
            yield self._frame(progress.fraction, progress, jacobian) if isinstance(progress, Step) else progress

    @torch.no_grad()
    def _frame(self, fraction: float, step: Step, jacobian: bool) -> Frame:
        """The displacement on the grid of the velocity: between its voxels it is linear anyway."""
        working = self.working
        displacement = integrate(step.velocity, self.solver.refiner.settings(working.dimension).integration_steps).cpu()
        pooled = (*[False] * (3 - working.dimension), *working.pooled_axes)
        coarser = [2 if halved else 1 for halved in pooled]
        shape_kji = [n // f for n, f in zip(working.geometry.shape_kji, coarser, strict=True)]
        grid = working.geometry.resampled(working.geometry.spacing_kji_mm * coarser, shape_kji)
        determinant = None
        if jacobian:
            determinant = padded_array(jacobian_determinant(displacement).numpy().reshape(shape_kji))
        return Frame(fraction, step.text, *total_displacement_ras_mm(grid, self._initial, displacement), determinant)

    def _evaluated(self) -> Job[RegistrationResult]:
        result = yield from evaluate(
            self.pair,
            self.working,
            self._initial,
            self._solution.displacement,
            self._solution.objective_values,
            self._parameters,
            self.solver.objective,
            dict(self._seconds),
        )
        return replace(result, warnings=(*result.warnings, *self.range_warnings(self._parameters), *self.notes))

    def _judged(self, displacement_ras_mm: np.ndarray, parameters: TissueParameters) -> Job[RegistrationResult]:
        yield Progress(0.0, "similarity")
        working = self.working
        field = torch.from_numpy(working.geometry.displacement_grid(displacement_ras_mm))
        displacement = (field[1:, 0] if working.dimension == 2 else field)[None].contiguous()
        return (
            yield from evaluate(
                self.pair,
                working,
                self._initial,
                displacement,
                self.solver.refiner.objective_values(self._pyramid, displacement, parameters),
                parameters,
                self.solver.objective,
                {"prepare": self._seconds["prepare"]},
            )
        )
