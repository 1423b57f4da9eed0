"""Whether a grid search ends with the estimated or with the start values: both are registered as for the user.

The grid scores every tissue in quick registrations with the same λ and μ everywhere. How well the tissues' own values
fit beside each other, at full resolution, only a registration with all of them can say.
"""

from __future__ import annotations

import numpy as np
import torch

from ..data.progress import Job, part_of
from ..data.tissues import TissueParameters
from ..registration.registrar import Registrar
from .task import EstimationTask, failures_of

START_AS_GOOD = "The estimated values did not improve the fit over the start values; the start values were kept."
START_BETTER = (
    "At full resolution the estimated values gave a worse fit than the start values; the start values were kept."
)


def select_candidate(task: EstimationTask, per_tissue: TissueParameters) -> Job[tuple[TissueParameters, list[str]]]:
    """Keep the start values unless the estimated ones fit better by more than ``task.tolerance_of_mean``.

    Both are registered as usual and scored by the mean over the estimated tissues. The best common λ and μ of all
    tissues is no candidate: at the same overlap the error of its deformation is larger (13 2D phantoms: 0.9 mm, and
    0.7 mm with the tissues' own).

    Args:
        task: What is estimated, from which start values, and judged by what.
        per_tissue: The best λ and μ of each estimated tissue; the others as at the start.

    Returns:
        The parameters, and one sentence each about a failed registration and if the start values were kept.
    """
    if all(per_tissue[label] == task.start[label] for label in task.estimated):
        return task.start, []
    warnings: list[str] = []
    job = _mean_score(task, task.start, warnings)
    start = yield from part_of(job, 0.0, 0.5, "full resolution, start values")
    job = _mean_score(task, per_tissue, warnings)
    estimated = yield from part_of(job, 0.5, 1.0, "full resolution, estimated values")
    if estimated > start + task.tolerance_of_mean:
        return per_tissue, warnings
    return task.start, [*warnings, START_BETTER if estimated < start - task.tolerance_of_mean else START_AS_GOOD]


def _mean_score(task: EstimationTask, parameters: TissueParameters, warnings: list[str]) -> Job[float]:
    """Of a usual registration; worse than any other if it fails."""
    with failures_of(lambda reason: warnings.append(f"A candidate could not be registered: {reason}")):
        displacement = yield from usual_registration(task.registrar, parameters)
        return float(task.mean_score(task.criterion.scores(displacement)))
    return -np.inf


def usual_registration(registrar: Registrar, parameters: TissueParameters) -> Job[torch.Tensor]:
    """What `Registrar.register` and the usual refinement would give, without changing the registrar.

    Args:
        registrar: Prepared.
        parameters: λ and μ of every tissue.

    Returns:
        The displacement (1, D, *working shape) in voxels of the working grid.

    Raises:
        ArithmeticError: If the registration has values that are not finite.
    """
    solver, pyramid = registrar.solver, registrar.pyramid
    dimension = pyramid.pair.dimension
    solution = yield from part_of(solver.solve(pyramid, parameters), 0.0, 0.5)
    if steps := solver.usual_refinement(dimension):
        known = solution.objective_values.objective_after
        job = solver.solve(pyramid, parameters, solution.velocity, solver.refinement(steps, dimension), known)
        solution = yield from part_of(job, 0.5, 1.0)
    return solution.displacement.to(pyramid.device)
