"""Marginal likelihood of a measured displacement for given moduli, when the body forces are unknown but smooth.

The displacement inside the body is that of an elastic body whose rim moves as measured, plus that of unknown forces:
a smooth random force, and a constant force in every tissue (its weight in an unknown direction). Both are integrated
out. What is left depends on the ratios of the moduli only where the data determine them: a tissue that is too stiff
needs large forces, one that is too soft would have moved more under the forces seen elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .block_tridiagonal import denormals_flushed, inverse, log_determinant, product
from .finite_elements import FiniteElementBody


@dataclass(frozen=True, eq=False)
class Measurement:
    """A displacement and how well it is known.

    displacement_mm: (nodes, D). precision: (nodes, D, D) in 1/mm². score: (nodes, D) in 1/mm, the gradient of the log
    likelihood of the data at that displacement (zero if it is the measurement itself).
    """

    displacement_mm: np.ndarray
    precision: np.ndarray
    score: np.ndarray


class MarginalLikelihood:
    """Its negative logarithm, and the derivatives of that.

    The unknowns are logarithms: λ of all tissues, μ of all tissues, size of the noise (a factor), size of each group of
    forces.
    """

    def __init__(
        self, body: FiniteElementBody, measurement: Measurement, forces: np.ndarray, groups: np.ndarray
    ) -> None:
        """Prepare for a body with F free unknowns.

        Args:
            body: The body.
            measurement: Its displacement; where nodes are not free, it is prescribed.
            forces: (F, M), as from `unknown_forces`.
            groups: (M,) the group of each force.
        """
        self._body, self._forces, self._groups = body, forces, groups
        free = body.free
        self._prescribed = np.where(free[:, None], 0.0, measurement.displacement_mm)
        self._measured = measurement.displacement_mm[free].ravel()
        self._precision = measurement.precision[free]
        self._score = measurement.score[free].ravel()
        self._rank = self._measured.size
        self.group_count = int(groups.max()) + 1
        # (nodes, D): the most probable displacement for the unknowns of the last evaluation
        self.displacement_mm = measurement.displacement_mm

    @property
    def size(self) -> int:
        """Number of unknowns."""
        return 2 * self._body.count + 1 + self.group_count

    def value(self, unknowns: np.ndarray) -> tuple[float, np.ndarray]:
        """The negative logarithm and its derivatives."""
        with denormals_flushed():
            return self._value(unknowns)

    def _value(self, unknowns: np.ndarray) -> tuple[float, np.ndarray]:
        body, count = self._body, self._body.count
        moduli = np.exp(unknowns[: 2 * count]).reshape(2, count)
        inverse_variance = np.exp(-2 * unknowns[2 * count])
        sizes = np.exp(unknowns[2 * count + 1 :])[self._groups]
        factors = body.factorized_stiffness(moduli)
        passive = -factors.solve(body.internal_forces(moduli, self._prescribed))
        moved = factors.solve(self._forces) * sizes
        weighted = inverse_variance * self._weighted(moved)
        difference = self._measured - passive
        data = inverse_variance * (self._weighted(difference) + self._score)
        information = np.eye(moved.shape[1]) + product(moved.T, weighted)
        covariance = inverse(information)
        right = product(moved.T, data)
        load = product(covariance, right)
        quadratic = inverse_variance * difference @ (self._weighted(difference) + 2 * self._score)
        value = 0.5 * (quadratic - right @ load + log_determinant(information)) - 0.5 * self._rank * np.log(
            inverse_variance
        )
        left = data - product(weighted, load)  # the gradient that the forces leave over
        spread = product(weighted, covariance)
        adjoint = body.nodal_values(factors.solve(left))
        by_load = product(moved, load)
        whole = body.nodal_values(passive + by_load, self._prescribed)
        self.displacement_mm = whole
        gradient = body.work_gradient(moduli, adjoint, whole)
        gradient -= body.trace_gradient(moduli, factors.solve(spread), moved)
        by_force = np.einsum("fm,fm->m", spread, moved) - load * product(moved.T, left)
        # the derivative by log noise
        fitted = difference - by_load
        chi = inverse_variance * fitted @ (self._weighted(fitted) + 2 * self._score)
        noise = self._rank - chi - np.einsum("fm,fm->", spread, moved)
        by_group = np.bincount(self._groups, by_force, self.group_count)
        return float(value), np.concatenate([gradient.ravel(), [noise], by_group])

    def _weighted(self, values: np.ndarray) -> np.ndarray:
        """Precision times values, (F,) or (F, M)."""
        shaped = values.reshape(len(self._precision), self._precision.shape[-1], -1)
        return (self._precision @ shaped).reshape(values.shape)
