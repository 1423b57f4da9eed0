"""Which λ and μ an estimate by the grid ends with: the candidates, registered as the user will register.

The grid scores every tissue in quick registrations with the same λ and μ everywhere. How well the tissues' own values
fit beside each other, at full resolution, only a registration with all of them can say.
"""

from __future__ import annotations

import numpy as np
import torch

from ..data.progress import Job, part_of
from ..data.tissues import TissueParameters
from ..registration.registrar import Registrar
from .task import Question, failures_of

UNIFORM_TAKEN = (
    "Separate values per tissue did not fit better overall than one common (λ, μ), so the common values were used."
)
START_AS_GOOD = "The estimated values did not improve the fit over the start values; the start values were kept."
START_BETTER = (
    "At full resolution the estimated values gave a worse fit than the start values; the start values were kept."
)


def select_candidate(
    task: Question, uniform: TissueParameters, per_tissue: TissueParameters
) -> Job[tuple[TissueParameters, list[str]]]:
    """Of the candidates that fit as well as the best one, the one closest to the start values.

    The candidates are the start values, ``uniform`` and ``per_tissue``. Each is registered as usual and has the mean
    score of the estimated tissues; means within ``task.tie_of_means`` of each other are equal. One that cannot be
    registered is worse than any other.

    Args:
        task: What is estimated, from which start values, and judged by what.
        uniform: The best common λ and μ of all estimated tissues; all others as at the start, here and below.
        per_tissue: The best λ and μ of each estimated tissue.

    Returns:
        The parameters, and one sentence each about failures and if ``per_tissue`` was not taken.
    """
    candidates = {task.estimated_values(parameters): parameters for parameters in (per_tissue, uniform, task.start)}
    means, warnings = dict.fromkeys(candidates, -np.inf), []
    for number, (values, parameters) in enumerate(candidates.items()):
        begin, end = number / len(candidates), (number + 1) / len(candidates)
        text = f"candidate {number + 1} of {len(candidates)}, full resolution"
        with failures_of(lambda reason: warnings.append(f"A candidate could not be registered: {reason}")):
            displacement = yield from part_of(usual_registration(task.registrar, parameters), begin, end, text)
            means[values] = float(task.mean_score(task.criterion.scores(displacement)))
    best = max(means.values())
    good = [values for values in candidates if means[values] >= best - task.tie_of_means]
    # Of equally close ones the best; rounded, because equal distances may differ in their last bits.
    taken = min(good, key=lambda values: (round(task.distance_from_start(values), 6), -means[values]))
    start, separate = map(task.estimated_values, (task.start, per_tissue))
    if taken == separate:
        return per_tissue, warnings
    if taken != start:
        return uniform, [*warnings, UNIFORM_TAKEN]
    is_better = means[start] > means[separate] + task.tie_of_means
    return task.start, [*warnings, START_BETTER if is_better else START_AS_GOOD]


def usual_registration(registrar: Registrar, parameters: TissueParameters) -> Job[torch.Tensor]:
    """The displacement, (1, D, *working shape) in voxels, that ``register`` and the usual refinement would give."""
    solver, pyramid = registrar.solver, registrar.pyramid
    dimension = pyramid.pair.dimension
    solution = yield from part_of(solver.solve(pyramid, parameters), 0.0, 0.5)
    if steps := solver.usual_refinement(dimension):
        known = solution.objective_values.objective_after
        job = solver.solve(pyramid, parameters, solution.velocity, solver.refinement(steps, dimension), known)
        solution = yield from part_of(job, 0.5, 1.0)
    return solution.displacement.to(pyramid.device)
