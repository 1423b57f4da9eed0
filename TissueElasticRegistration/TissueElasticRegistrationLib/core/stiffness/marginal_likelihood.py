"""How probable a measured displacement is for given moduli, when the loads are unknown but smooth.

The displacement inside the body is that of an elastic body whose rim moves as measured, plus that of unknown forces:
a smooth random force, and a constant force in every tissue (its weight in an unknown direction). Both are integrated
out. What is left depends on the ratios of the moduli only where the data do tell them: a tissue that is too stiff needs
large forces, one that is too soft would have moved more under the forces seen elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .finite_elements import Equilibrium
from .matrices import inverse, log_determinant, product, tiny_is_zero


@dataclass(frozen=True, eq=False)
class Measurement:
    """Displacement (nodes, D) in mm and how well it is known: precision (nodes, D, D) in 1/mm², and residual (nodes, D)
    in 1/mm, the pull of the data away from that displacement (zero if it is the measurement itself).
    """

    displacement_mm: np.ndarray
    precision: np.ndarray
    pull: np.ndarray


class LoadEvidence:
    """Negative logarithm of the probability, and its derivatives.

    The unknowns are logarithms: λ of all tissues, μ of all tissues, size of the noise (a factor), size of each group of
    forces.
    """

    def __init__(self, body: Equilibrium, measurement: Measurement, forces: np.ndarray, groups: np.ndarray) -> None:
        """forces: (F, M), groups: (M,) the group of each."""
        self._body, self._forces, self._groups = body, forces, groups
        free = body.free
        self._given = np.where(free[:, None], 0.0, measurement.displacement_mm)
        self._measured = measurement.displacement_mm[free].ravel()
        self._precision = measurement.precision[free]
        self._pull = measurement.pull[free].ravel()
        self._rank = self._measured.size
        self.group_count = int(groups.max()) + 1
        # (nodes, D): the most probable displacement for the unknowns asked about last
        self.displacement_mm = measurement.displacement_mm

    @property
    def size(self) -> int:
        """How many unknowns there are."""
        return 2 * self._body.count + 1 + self.group_count

    def value(self, unknowns: np.ndarray) -> tuple[float, np.ndarray]:
        """The negative logarithm and its derivatives."""
        with tiny_is_zero():
            return self._value(unknowns)

    def _value(self, unknowns: np.ndarray) -> tuple[float, np.ndarray]:
        body, count = self._body, self._body.count
        moduli = np.exp(unknowns[: 2 * count]).reshape(2, count)
        inverse_variance = np.exp(-2 * unknowns[2 * count])
        sizes = np.exp(unknowns[2 * count + 1 :])[self._groups]
        factors = body.factorised(moduli)
        passive = -factors.solve(body.forces(moduli, self._given))
        moved = factors.solve(self._forces) * sizes
        weighted = inverse_variance * self._weighted(moved)
        difference = self._measured - passive
        data = inverse_variance * (self._weighted(difference) + self._pull)
        information = np.eye(moved.shape[1]) + product(moved.T, weighted)
        covariance = inverse(information)
        right = product(moved.T, data)
        load = product(covariance, right)
        quadratic = inverse_variance * difference @ (self._weighted(difference) + 2 * self._pull)
        value = 0.5 * (quadratic - right @ load + log_determinant(information)) - 0.5 * self._rank * np.log(
            inverse_variance
        )
        left = data - product(weighted, load)  # what the data still pull
        spread = product(weighted, covariance)
        adjoint = body.full(factors.solve(left))
        by_load = product(moved, load)
        whole = body.full(passive + by_load, self._given)
        self.displacement_mm = whole
        slopes = body.works(moduli, adjoint, whole) - body.traces(moduli, factors.solve(spread), moved)
        by_force = np.einsum("fm,fm->m", spread, moved) - load * product(moved.T, left)
        # the derivative of J by log noise
        fitted = difference - by_load
        chi = inverse_variance * fitted @ (self._weighted(fitted) + 2 * self._pull)
        noise = self._rank - chi - np.einsum("fm,fm->", spread, moved)
        by_group = np.bincount(self._groups, by_force, self.group_count)
        return float(value), np.concatenate([slopes.ravel(), [noise], by_group])

    def _weighted(self, values: np.ndarray) -> np.ndarray:
        """Precision times values, (F,) or (F, M)."""
        shaped = values.reshape(len(self._precision), self._precision.shape[-1], -1)
        return (self._precision @ shaped).reshape(values.shape)
