"""One pair registered with several models, each with the parameters that were found for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from TissueElasticRegistrationLib.core.data.images import ImagePair, Segmentation
from TissueElasticRegistrationLib.core.data.itk_bridge import resample_array
from TissueElasticRegistrationLib.core.data.progress import Job, Result, finish
from TissueElasticRegistrationLib.core.data.result import RegistrationResult
from TissueElasticRegistrationLib.core.data.tissues import BACKGROUND, Lame, TissueParameters
from TissueElasticRegistrationLib.core.estimation.estimate import Method, estimate
from TissueElasticRegistrationLib.core.estimation.estimate_result import Estimate
from TissueElasticRegistrationLib.core.files.parameter_files import read_parameters
from TissueElasticRegistrationLib.core.models.model_fit import fit_problem
from TissueElasticRegistrationLib.core.preparation.alignment import Mode
from TissueElasticRegistrationLib.core.registration.network_solver import NetworkSolver
from TissueElasticRegistrationLib.core.registration.registrar import Registrar
from TissueElasticRegistrationLib.core.registration.solver import Solver

Report = Callable[[str, float, str], None]


@dataclass(frozen=True)
class Choice:
    """How λ and μ are found, and what is done with them.

    Attributes:
        method: How they are searched, from the values of the tissue table or of the file ``parameters``; None: these
            values as they are.
        points: Places per slider of a grid.
        search: The model that the grid asks for models with parameters per tissue; None: the global one that is
            compared with the same regularizer and scale, as in the paper, or the model itself.
        parameters: A json file with values per tissue.
        refine: Further steps after a network's answer.
        initial: See `Registrar`.
        threads: See `Registrar`.
    """

    method: Method | None = "grid"
    points: int | None = None
    search: NetworkSolver | None = None
    parameters: str | None = None
    refine: int = 0
    initial: Mode | sitk.Transform = "auto"
    threads: int | None = None


@dataclass(frozen=True, eq=False)
class Compared:
    """One row of the figure.

    Attributes:
        name: Of the solver.
        result: What it has come to.
        origin: Where its parameters come from, in a few words.
        is_global: Whether they are the same for all tissues.
        has_lambda: Whether λ means something (see `ModelCard`).
    """

    name: str
    result: RegistrationResult
    origin: str
    is_global: bool
    has_lambda: bool

    def jacobian_deviation(self, segmentation: Segmentation) -> float:
        """Standard deviation of the Jacobian determinant where something is segmented."""
        identity = sitk.Transform(3, sitk.sitkIdentity)
        values = resample_array(self.result.jacobian_kji, self.result.geometry, identity, segmentation.geometry, 1.0)
        return float(values[segmentation.labels_kji != BACKGROUND].std())


def compare(pair: ImagePair, solvers: Mapping[str, Solver], choice: Choice, report: Report) -> list[Compared]:
    """Register a pair with every solver.

    Args:
        pair: The images.
        solvers: By name.
        choice: How λ and μ are found.
        report: Called with name, fraction and text.

    Raises:
        ValueError: One of the solvers cannot register the pair, see `Registrar`.
    """
    for solver in solvers.values():
        problem = None
        if solver.network is not None:
            tissues = pair.fixed_segmentation.tissues
            problem = fit_problem(solver.network.pack.card, pair.fixed.geometry, None, tissues)
        if problem is not None:  # before the others have computed for minutes
            raise ValueError(problem)
    return [_registered(pair, name, solvers, choice, report) for name in solvers]


def _registered(pair: ImagePair, name: str, solvers: Mapping[str, Solver], choice: Choice, report: Report) -> Compared:
    solver = solvers[name]
    registrar = Registrar(pair, solver, choice.initial, threads=choice.threads)

    def run(job: Job[Result]) -> Result:
        return finish(job, lambda progress: report(name, progress.fraction, progress.text))

    run(registrar.prepare())
    parameters, origin = registrar.table_parameters(), "start values"
    if choice.parameters is not None:
        scale = solver.objective.scale
        parameters, origin = read_parameters(choice.parameters, registrar.tissues, parameters, scale), "given"
    if choice.method is not None:
        asked = None
        if choice.method == "grid" and is_adaptive(solver):
            asked = choice.search or global_model(solver, solvers.values())
        found = run(estimate(registrar, parameters, choice.method, points=choice.points, grid_solver=asked))
        parameters = best_for_all(found) if is_global(solver) and found.landscape is not None else found.parameters
        origin = f"estimated by {choice.method}" + (f" with {asked.pack.card.name}" if asked is not None else "")
    run(registrar.register(parameters))
    if solver.network is not None and choice.refine:
        run(registrar.refine(parameters, choice.refine))
        origin += f", {choice.refine} further steps"
    return Compared(name, run(registrar.result()), origin, is_global(solver), solver.objective.has_lambda)


def is_global(solver: Solver) -> bool:
    """Whether it is a network that knows one λ and μ for the whole image."""
    network = solver.network
    return network is not None and _takes_vector(network) and not network.pack.card.tissues


def is_adaptive(solver: Solver) -> bool:
    """Whether it is a network with a λ and μ for each of its own tissues."""
    network = solver.network
    return network is not None and _takes_vector(network) and bool(network.pack.card.tissues)


def global_model(adaptive: NetworkSolver, solvers: Iterable[Solver]) -> NetworkSolver | None:
    """The global model with which the paper searches the parameters of an adaptive one.

    Args:
        adaptive: The model with parameters per tissue.
        solvers: Those that are compared.

    Returns:
        None if it is not among them.
    """
    wanted = adaptive.pack.card
    fitting = (
        solver
        for solver in solvers
        if is_global(solver)
        and (solver.pack.card.regularizer, solver.pack.card.scale) == (wanted.regularizer, wanted.scale)
    )
    return next(fitting, None)


def best_for_all(found: Estimate) -> TissueParameters:
    """The place of the grid with the best mean score of the tissues that have a vote, for all tissues."""
    estimated = [number for number, row in enumerate(found.per_tissue) if row.is_estimated]
    mean = found.landscape.scores[estimated].mean(0)
    a, b = np.unravel_index(np.nanargmax(mean), mean.shape)
    lame = Lame(float(found.landscape.lam[a]), float(found.landscape.mu[b]))
    return TissueParameters({row.tissue.label: lame for row in found.per_tissue}, lame)


def _takes_vector(solver: NetworkSolver) -> bool:
    return solver.pack.card.network.conditioning == "hyper"
