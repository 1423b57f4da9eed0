"""How scores depend on every tissue's sliders, through a network: one pass of its decoder, and back."""

from __future__ import annotations

import numpy as np
import torch

from ..data.progress import Job, Progress
from ..physics.deformation import integrate, resize
from .task import Question


class NetworkSlope:
    """See `gradient.Slope`; for a registrar whose solver has a network."""

    def __init__(self, question: Question) -> None:
        self._question, registrar = question, question.registrar
        self._solver, self._pyramid = registrar.solver.network, registrar.pyramid
        self._steps = registrar.solver.refiner.settings(self._pyramid.pair.dimension).integration_steps

    def scores(self, sliders: torch.Tensor) -> Job[np.ndarray]:
        yield Progress(0.0, "network")
        with torch.no_grad():
            return self._question.criterion.scores(self._displacement(sliders))

    def look(self, sliders: torch.Tensor) -> Job[tuple[np.ndarray, torch.Tensor]]:
        sliders = sliders.requires_grad_(True)
        yield Progress(0.0, "network")
        with torch.enable_grad():
            displacement = self._displacement(sliders)
            goal = self._question.mean_score(self._question.criterion.soft_scores(displacement))
        yield Progress(0.5, "network")
        slope = torch.autograd.grad(goal, sliders)[0]
        return self._question.criterion.scores(displacement.detach()), slope.cpu()

    def _displacement(self, sliders: torch.Tensor) -> torch.Tensor:
        """On the working grid. Raises ArithmeticError if it is not finite."""
        velocity = self._solver.answer_at(self._pyramid, sliders)
        displacement = resize(integrate(velocity, self._steps), self._pyramid.pair.labels.shape[2:])
        if not bool(displacement.detach().isfinite().all()):
            raise ArithmeticError("The deformation has values that are not finite.")
        return displacement
