"""Scores of the criterion, and their gradient with respect to the sliders of every tissue.

Through a network it is one pass of the decoder and back. Through the direct solver it follows by implicit
differentiation: at the minimum v of J(v, θ) the derivative of J by v is zero and stays so when θ changes, so
H dv = -(∂²J/∂v∂θ) dθ with H the second derivative by v. One linear system H x = ∂score/∂v gives the gradient for all
2 C sliders at once, namely -x ∂²J/∂v∂θ. It is solved by a few conjugate gradients, whose products with H are
differences of first derivatives. That costs as much as a warm registration and half as many steps again, whatever the
number of tissues (finite differences would take 2 C registrations).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch

from ..data.progress import Job, Progress, part_of
from ..data.tissues import Lame, TissueParameters
from ..physics.deformation import integrate, resize
from .coarse_registration import CoarseRegistration
from .task import EstimationTask

PRODUCTS = 12
# Largest change of a velocity for a difference of derivatives, in voxels.
SMALL_VOXELS = 0.05
SMALL_SLIDER = 1e-3


class ScoreGradient(Protocol):
    """Sliders: (tissues, 2) positions of λ and μ in [0, 1], in the order of the task's tissues."""

    def value(self, sliders: torch.Tensor) -> Job[np.ndarray]:
        """Scores of the criterion's labels.

        Raises:
            RuntimeError, ArithmeticError: If the pair cannot be registered with these sliders.
        """

    def value_and_gradient(self, sliders: torch.Tensor) -> Job[tuple[np.ndarray, torch.Tensor]]:
        """The same, and the derivative of the estimated tissues' mean soft score by the sliders, (tissues, 2).

        Raises:
            RuntimeError, ArithmeticError: Like `value`.
        """


class NetworkScoreGradient:
    """See `ScoreGradient`; for a registrar whose solver has a network."""

    def __init__(self, task: EstimationTask) -> None:
        self._task, registrar = task, task.registrar
        self._solver, self._pyramid = registrar.solver.network, registrar.pyramid
        self._steps = registrar.solver.refiner.settings(self._pyramid.pair.dimension).integration_steps

    def value(self, sliders: torch.Tensor) -> Job[np.ndarray]:
        yield Progress(0.0, "network")
        with torch.no_grad():
            return self._task.criterion.scores(self._displacement(sliders))

    def value_and_gradient(self, sliders: torch.Tensor) -> Job[tuple[np.ndarray, torch.Tensor]]:
        sliders = sliders.requires_grad_(True)
        yield Progress(0.0, "network")
        with torch.enable_grad():
            displacement = self._displacement(sliders)
            goal = self._task.mean_score(self._task.criterion.soft_scores(displacement))
        yield Progress(0.5, "network")
        gradient = torch.autograd.grad(goal, sliders)[0]
        return self._task.criterion.scores(displacement.detach()), gradient.cpu()

    def _displacement(self, sliders: torch.Tensor) -> torch.Tensor:
        """On the working grid. Raises ArithmeticError if it is not finite."""
        velocity = self._solver.answer_at(self._pyramid, sliders)
        displacement = resize(integrate(velocity, self._steps), self._pyramid.pair.labels.shape[2:])
        if not bool(displacement.detach().isfinite().all()):
            raise ArithmeticError("The deformation has values that are not finite.")
        return displacement


class DirectScoreGradient:
    """See `ScoreGradient`; a gradient registers from the velocity of the one before, a value from the first of all."""

    def __init__(self, task: EstimationTask) -> None:
        self._task, registrar = task, task.registrar
        self._solver, self._pyramid = registrar.solver.refiner, registrar.pyramid
        self._registrations = CoarseRegistration(self._solver, self._pyramid)
        self._level, self._stage, self._settings = self._registrations.finest
        self._first: torch.Tensor | None = None
        self._velocity: torch.Tensor | None = None
        labels = self._pyramid.pair.labels.to(self._level.fixed.device)
        masks = [(labels == tissue.label).float() for tissue in task.tissues]
        self._shares = torch.cat([self._level.parameter_maps(mask, mask)[0] for mask in masks], 1)

    def value(self, sliders: torch.Tensor) -> Job[np.ndarray]:
        velocity = yield from self._registered(sliders, self._first)
        return self._task.criterion.scores(self._registrations.displacement(velocity))

    def value_and_gradient(self, sliders: torch.Tensor) -> Job[tuple[np.ndarray, torch.Tensor]]:
        job = self._registered(sliders, self._first if self._velocity is None else self._velocity)
        velocity = self._velocity = (yield from part_of(job, 0.0, 0.6)).detach()
        goal, wanted = self._goal(velocity)
        yield Progress(0.65, "derivative")
        weights = self._weights(sliders)
        answer = yield from part_of(self._solved(velocity, weights, wanted), 0.65, 0.95)
        step = SMALL_VOXELS / float(answer.abs().max().clamp_min(1e-12))
        after, before = (self._by_weights(velocity + sign * step * answer, weights) for sign in (1, -1))
        gradient = -(after - before) / (2 * step) * self._weight_per_slider(sliders)
        if not bool(gradient.isfinite().all()):
            raise ArithmeticError("The derivative is not finite.")
        return goal, gradient.cpu()

    def _registered(self, sliders: torch.Tensor, start: torch.Tensor | None) -> Job[torch.Tensor]:
        """The velocity, found from another one."""
        parameters = self._parameters(sliders)
        if start is None:  # and on from there like all others, or the first would be judged by fewer steps
            job = self._registrations.register(parameters, None)
            start = self._first = (yield from part_of(job, 0.0, 0.5)).detach()
        return (yield from part_of(self._registrations.register(parameters, start), 0.5, 1.0))

    def _parameters(self, sliders: torch.Tensor) -> TissueParameters:
        weight = self._task.scale.weight
        return TissueParameters(
            {
                tissue.label: Lame(weight(lam), weight(mu))
                for tissue, (lam, mu) in zip(self._task.tissues, sliders.tolist(), strict=True)
            }
        )

    def _weights(self, sliders: torch.Tensor) -> torch.Tensor:
        """(tissues, 2) λ and μ."""
        weight = self._task.scale.weight
        return torch.tensor(
            [[weight(value) for value in row] for row in sliders.tolist()], device=self._level.fixed.device
        )

    def _weight_per_slider(self, sliders: torch.Tensor) -> torch.Tensor:
        high, low = (sliders + SMALL_SLIDER).clamp(0, 1), (sliders - SMALL_SLIDER).clamp(0, 1)
        return (self._weights(high) - self._weights(low)) / (high - low).to(self._level.fixed.device)

    def _maps(self, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        lam, mu = torch.einsum("tw,bt...->wb...", weights, self._shares)[:, :, None]
        return lam, mu

    def _goal(self, velocity: torch.Tensor) -> tuple[np.ndarray, torch.Tensor]:
        """Scores, and the derivative of the estimated tissues' mean soft score by the velocity."""
        velocity = velocity.clone().requires_grad_(True)
        with torch.enable_grad():
            displacement = self._registrations.displacement(velocity)
            goal = self._task.mean_score(self._task.criterion.soft_scores(displacement))
        derivative = torch.autograd.grad(goal, velocity)[0]
        return self._task.criterion.scores(displacement.detach()), derivative

    def _by_weights(self, velocity: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Derivative of J by λ and μ of every tissue, the velocity as it is."""
        weights = weights.clone().requires_grad_(True)
        with torch.enable_grad():
            total = self._solver.total(self._level, velocity, self._maps(weights), self._settings, self._stage.weight)
        return torch.autograd.grad(total, weights)[0]

    def _solved(self, velocity: torch.Tensor, weights: torch.Tensor, wanted: torch.Tensor) -> Job[torch.Tensor]:
        """x with H x ≈ ``wanted``, by conjugate gradients that stop where H is not positive."""
        maps = self._maps(weights)
        at_rest = self._solver.gradient(self._level, velocity, maps, self._stage, self._settings)
        found, rest = torch.zeros_like(wanted), wanted
        direction, size = rest, float((rest * rest).sum())
        for number in range(PRODUCTS):
            if size == 0:
                break
            step = SMALL_VOXELS / float(direction.abs().max())
            moved = self._solver.gradient(self._level, velocity + step * direction, maps, self._stage, self._settings)
            product = (moved - at_rest) / step
            curvature = float((direction * product).sum())
            if not curvature > 0:
                break
            found, rest = found + size / curvature * direction, rest - size / curvature * product
            new_size = float((rest * rest).sum())
            direction, size = rest + new_size / size * direction, new_size
            yield Progress((number + 1) / PRODUCTS, "derivative")
        return found if bool(found.any()) else wanted
