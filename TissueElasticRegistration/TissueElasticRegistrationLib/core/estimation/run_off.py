"""What a search found against the start values, both registered in full: the search judged by quicker registrations."""

from __future__ import annotations

import numpy as np
import torch

from ..data.progress import Job, part_of
from ..data.tissues import TissueParameters
from ..registration.registrar import Registrar
from .grid_scores import Tally

WORSE_IN_FULL = "Registered in full, what the search found is worse than the start values: these were kept."


def run_off(registrar: Registrar, tally: Tally) -> Job[None]:
    """Keep the start values if the registration that follows would be worse with what was found, by more than a tie.

    Judged is the mean score of the tissues that vote.
    """
    question = tally.question
    voting = [question.criterion.labels.index(label) for label in sorted(question.voters)]
    found, start = tally.estimate().parameters, question.start
    if all(found[label] == start[label] for label in question.voters):
        return
    means = []
    for number, (parameters, name) in enumerate(((found, "what was found"), (start, "the start values"))):
        try:
            job = _registered(registrar, parameters)
            displacement = yield from part_of(job, number / 2, (number + 1) / 2, f"in full, with {name}")
            means.append(float(question.criterion.scores(displacement)[voting].mean()))
        except torch.cuda.OutOfMemoryError:
            raise  # the registrar falls back to the CPU
        except (RuntimeError, ArithmeticError):
            means.append(-np.inf)
    if means[0] < means[1] - question.tie_of_means:
        tally.take(start, WORSE_IN_FULL)


def _registered(registrar: Registrar, parameters: TissueParameters) -> Job[torch.Tensor]:
    """The displacement (1, D, *working shape) of a usual registration, refinement included."""
    solver, pyramid = registrar.solver, registrar.pyramid
    dimension = pyramid.pair.dimension
    solution = yield from part_of(solver.solve(pyramid, parameters), 0.0, 0.5)
    if steps := solver.usual_refinement(dimension):
        known = solution.objective_values.objective_after
        job = solver.solve(pyramid, parameters, solution.velocity, solver.refinement(steps, dimension), known)
        solution = yield from part_of(job, 0.5, 1.0)
    return solution.displacement.to(pyramid.device)
