"""One image pair, registered as often as somebody moves a slider: prepare once, then preview, register, refine,
result.
"""

from __future__ import annotations

import time

import numpy as np
import SimpleITK as sitk
import torch

from .alignment import InitialAlignment, Mode, initial_alignment
from .evaluation import evaluate, total_displacement_ras_mm
from .geometry import Geometry
from .images import ImagePair
from .parameter_scale import check_parameters
from .preprocessing import WorkingPair, prepare_pair
from .progress import Job, Progress
from .result import RegistrationResult
from .solvers.direct import DirectSolver, Solution
from .solvers.pyramid import Pyramid
from .threads import with_threads
from .tissue_table import table_parameters
from .tissues import Tissue, TissueParameters


class Registrar:
    """Registers ``pair`` with ``solver``. Every long method is a `Job`: exhaust it with `finish`, or step it.

    initial: the alignment done first: "auto", "none", "rigid" or a transform from fixed to moving LPS mm.
    threads: torch threads during every step; None leaves torch's setting alone.

    Usage: ``finish(r.prepare()); finish(r.register(parameters)); result = finish(r.result())``.
    """

    def __init__(self, pair: ImagePair, solver: DirectSolver | None = None, initial: Mode | sitk.Transform = "auto",
                 finest_mm: float | None = None, threads: int | None = None) -> None:
        self.pair = pair
        self.solver = solver or DirectSolver()
        self._wanted_initial = initial
        self._finest_mm = finest_mm
        self._threads = threads
        self._initial: InitialAlignment | None = None
        self._pyramid: Pyramid | None = None
        self._parameters: TissueParameters | None = None
        self._solution: Solution | None = None
        self._seconds: dict[str, float] = {}

    def prepare(self) -> Job[None]:
        """Align, resample, normalise, label: all that does not depend on the parameters.

        Raises ValueError if the images do not fit each other (see `prepare_pair`).
        """
        return with_threads(self._prepare(), self._threads)

    def register(self, parameters: TissueParameters) -> Job[None]:
        """Register from nothing with these parameters; until the end, the earlier registration stays what it was.

        Raises ValueError if a parameter lies outside of the scale's range.
        """
        return self._solve(parameters, None, None, "register")

    def refine(self, parameters: TissueParameters, steps: int = 20) -> Job[None]:
        """Continue from the current deformation, at full resolution, for instance after a slider has moved."""
        stages = self.solver.refinement(steps)
        return self._solve(parameters, self._velocity(), stages, "refine")

    def preview(self, parameters: TissueParameters) -> Job[None]:
        """A few coarse steps from the current deformation, for a slider that is being dragged."""
        stages = self.solver.preview(self.working.dimension)
        return self._solve(parameters, self._velocity(), stages, "refine")

    def result(self) -> Job[RegistrationResult]:
        """The deformation with warped images, metrics and timings."""
        if self._solution is None:
            raise ValueError("There is no registration yet: call register() first.")
        return with_threads(evaluate(self.pair, self.working, self._initial, self._solution, self._parameters,
                                     self.solver.objective, dict(self._seconds)), self._threads)

    @property
    def working(self) -> WorkingPair:
        """The pair on its working grid. Raises ValueError before `prepare`."""
        if self._pyramid is None:
            raise ValueError("The pair is not prepared yet: call prepare() first.")
        return self._pyramid.pair

    @property
    def tissues(self) -> tuple[Tissue, ...]:
        """All tissues that have parameters, background and unsegmented tissue included."""
        return self.working.tissues

    def table_parameters(self) -> TissueParameters:
        """Start values for `tissues` by their names."""
        return table_parameters(self.tissues, self.solver.objective.scale)

    def displacement_ras_mm(self) -> tuple[np.ndarray, Geometry]:
        """The current displacement (K, J, I, 3) in RAS mm and its grid: fixed to moving, with the initial alignment."""
        if self._solution is None:
            raise ValueError("There is no registration yet: call register() first.")
        return total_displacement_ras_mm(self.working, self._initial, self._solution.displacement)

    def _prepare(self) -> Job[None]:
        began = time.perf_counter()
        yield Progress(0.0, "aligning")
        self._initial = initial_alignment(self.pair, self._wanted_initial)
        yield Progress(0.4, "resampling")
        pyramid = Pyramid(prepare_pair(self.pair, self._initial.transform, self._finest_mm))
        yield Progress(0.8, "building levels")
        for stage in self.solver.settings(pyramid.pair.dimension).stages:
            pyramid.level(stage.factor)
        self._pyramid, self._solution = pyramid, None
        self._seconds = {"prepare": time.perf_counter() - began}
        yield Progress(1.0, "prepared")

    def _solve(self, parameters: TissueParameters, start: torch.Tensor | None, stages, what: str) -> Job[None]:
        names = {tissue.label: tissue.name for tissue in self.tissues}
        used = {label: parameters[label] for label in (*names, *parameters.by_label)}
        check_parameters(TissueParameters(used), self.solver.objective.scale, names)
        return with_threads(self._run(parameters, start, stages, what), self._threads)

    def _run(self, parameters: TissueParameters, start: torch.Tensor | None, stages, what: str) -> Job[None]:
        began = time.perf_counter()
        solution = yield from self.solver.solve(self._pyramid, parameters, start, stages)
        self._solution, self._parameters = solution, parameters
        if start is None:
            # A new registration: what earlier ones took is no part of its account.
            self._seconds = {"prepare": self._seconds["prepare"]}
        self._seconds[what] = self._seconds.get(what, 0.0) + time.perf_counter() - began

    def _velocity(self) -> torch.Tensor | None:
        return None if self._solution is None else self._solution.velocity
