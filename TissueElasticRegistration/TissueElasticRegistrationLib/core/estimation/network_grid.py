"""Every place of a grid from few answers of a network: between them its deformations are interpolated.

Interpolated scores only say where to look. What a tissue takes, and what it is compared with, has been computed
exactly; the difference on the way is the error of the interpolation for this pair, and is told.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from ..data.progress import Job, Progress
from ..data.tissues import Lame, TissueParameters
from ..physics.deformation import integrate, resize
from ..preparation.pyramid import Pyramid
from ..registration.network_solver import NetworkSolver
from .estimate_result import EstimateProgress
from .grid_scores import Tally

# Positions per slider at which the network is asked: every second place of a grid of 11. With 5 (2D phantoms) it takes
# 15 % less time, but what is chosen is more than one place away from the exact choice in 5 to 15 % of the tissues
# instead of 0 to 3 %. Displacements (integrated velocities) are kept: interpolating them is as exact as interpolating
# velocities (2D phantoms: 0.1 mm on average, both) and saves an integration per place.
NODES = 6
# Scores that may be wrong by so much are not told apart before they are computed exactly.
DOUBT = 0.0005
NODES_PART, PLACES_PART = 0.5, 0.3  # of the progress
# Places that are computed exactly after the interpolation, at least, to know its error.
FEWEST_CHECKS = 4
CHECKS = ((0.3, 0.3), (0.7, 0.3), (0.3, 0.7), (0.7, 0.7))
NOTABLE_ERROR = 2.0  # times the criterion's ``flat``


@dataclass(frozen=True, eq=False)
class _Nodes:
    """Displacements on the velocity's grid, by node; ``missing``: those that failed, as zeros."""

    displacements: torch.Tensor
    missing: np.ndarray


@dataclass
class _Error:
    """What interpolation got wrong at the places computed exactly: scores, and the mean over the image in mm."""

    scores: list[float] = field(default_factory=list)
    mm: list[float] = field(default_factory=list)


class NetworkSweep:
    """Fills a tally by asking the network of ``solver`` for velocities with the same λ and μ everywhere."""

    def __init__(self, solver: NetworkSolver, pyramid: Pyramid, tally: Tally) -> None:
        self._solver, self._pyramid, self._tally = solver, pyramid, tally
        self._scale = tally.question.scale
        self._shape = pyramid.pair.labels.shape[2:]
        self._exact: set[tuple[int, int]] = set()
        self._error = _Error()

    def run(self) -> Job[None]:
        along_lam, along_mu = self._tally.shape
        places = [(a, b) for b in range(along_mu) for a in range(along_lam)]
        if min(along_lam, along_mu) <= NODES:
            yield from self._compute(places, 0.0)
            return
        nodes = yield from self._ask()
        yield from self._interpolate(nodes, places)
        yield from self._make_sure(nodes)

    def _ask(self) -> Job[_Nodes]:
        """The network's answers at the nodes."""
        found, missing = [], np.zeros(NODES**2, bool)
        sliders = np.linspace(0, 1, NODES).tolist()
        for number in range(NODES**2):
            lam, mu = sliders[number // NODES], sliders[number % NODES]
            yield Progress(NODES_PART * number / NODES**2, f"network: {number + 1} of {NODES**2}")
            try:
                found.append(self._displacement(lam, mu))
            except torch.cuda.OutOfMemoryError:
                raise  # the registrar falls back to the CPU
            except (RuntimeError, ArithmeticError):
                missing[number] = True  # the places that need it are asked for themselves, and say why they fail
                found.append(None)
        known = next((displacement for displacement in found if displacement is not None), None)
        if known is None:
            return _Nodes(torch.zeros(NODES**2, 1), missing)
        found = [torch.zeros_like(known) if displacement is None else displacement for displacement in found]
        return _Nodes(torch.cat(found), missing)

    def _interpolate(self, nodes: _Nodes, places: list[tuple[int, int]]) -> Job[None]:
        cursor = 0
        for number, place in enumerate(places, start=1):
            weights = self._weights(place)
            if np.any(weights[nodes.missing] != 0):
                self._evaluate(place)
            else:
                self._tally.put(place, self._scores(self._between(nodes, weights)))
                if np.count_nonzero(weights) == 1:
                    self._exact.add(place)
            cursor = NODES_PART + PLACES_PART * number / len(places)
            text = self._tally.text(place, number)
            is_row = number % self._tally.shape[0] == 0
            yield EstimateProgress(cursor, text, self._tally.estimate()) if is_row else Progress(cursor, text)

    def _make_sure(self, nodes: _Nodes) -> Job[None]:
        """Compute exactly what tissues take, until that does not change any more."""
        fraction = NODES_PART + PLACES_PART
        while wanted := [place for place in self._tally.places_that_count(DOUBT) if place not in self._exact]:
            for number, place in enumerate(wanted, start=1):
                self._check(nodes, place)
                fraction += 0.3 * (1 - fraction)
                yield EstimateProgress(fraction, f"making sure: {number} of {len(wanted)}", self._tally.estimate())
        for share in CHECKS[: max(0, FEWEST_CHECKS - len(self._error.scores))]:
            place = tuple(int(part * (count - 1)) for part, count in zip(share, self._tally.shape, strict=True))
            if place not in self._exact:
                self._check(nodes, place)
                yield Progress(fraction, "error of the interpolation")
        self._tell_error()
        yield EstimateProgress(1.0, "making sure", self._tally.estimate())

    def _compute(self, places: list[tuple[int, int]], begin: float) -> Job[None]:
        for number, place in enumerate(places, start=1):
            self._evaluate(place)
            fraction = begin + (1 - begin) * number / len(places)
            yield EstimateProgress(fraction, self._tally.text(place, number), self._tally.estimate())

    def _check(self, nodes: _Nodes, place: tuple[int, int]) -> None:
        """Compute a place exactly and keep how wrong its interpolation was."""
        guessed = self._tally.scores_at(place)
        found = self._evaluate(place)
        if found is not None:
            self._error.scores.append(float(np.abs(self._tally.scores_at(place) - guessed).max()))
            size = torch.tensor(self._pyramid.pair.spacing_mm, device=found.device)
            coarser = [n / m for n, m in zip(self._shape, found.shape[2:], strict=True)]
            size = (size * torch.tensor(coarser, device=found.device)).view(1, -1, *[1] * len(coarser))
            away = (self._between(nodes, self._weights(place)) - found) * size
            self._error.mm.append(float(away.norm(dim=1).mean()))

    def _tell_error(self) -> None:
        worst = max(self._error.scores, default=0.0)
        if worst > NOTABLE_ERROR * self._tally.question.criterion.flat:
            self._tally.notes.append(
                f"Scores between the network's answers are interpolated, with an error of up to {worst:.3f} at "
                f"{len(self._error.scores)} places; the values chosen were computed exactly."
            )

    def _evaluate(self, place: tuple[int, int]) -> torch.Tensor | None:
        """The score of one place, exactly; returns its displacement, None if it failed."""
        self._exact.add(place)
        lam, mu = (float(axis[index]) for axis, index in zip(self._tally.sliders, place, strict=True))
        try:
            displacement = self._displacement(lam, mu)
            self._tally.put(place, self._scores(displacement))
        except (RuntimeError, ArithmeticError) as error:
            self._tally.failed(place, error)
            return None
        return displacement

    def _displacement(self, lam: float, mu: float) -> torch.Tensor:
        """(1, D, *velocity shape) for these sliders. Raises ArithmeticError if it is not finite."""
        lame = Lame(self._scale.weight(lam), self._scale.weight(mu))
        return network_displacement(self._solver, self._pyramid, TissueParameters({}, default=lame))

    @torch.no_grad()
    def _scores(self, displacement: torch.Tensor) -> np.ndarray:
        return self._tally.question.criterion.scores(resize(displacement, self._shape))

    @torch.no_grad()
    def _between(self, nodes: _Nodes, weights: np.ndarray) -> torch.Tensor:
        """The displacement that is this mixture of those at the nodes."""
        mixture = torch.from_numpy(weights).to(nodes.displacements)
        return torch.einsum("n,n...->...", mixture, nodes.displacements)[None]

    def _weights(self, place: tuple[int, int]) -> np.ndarray:
        """(nodes,) float32: the parts of the nodes in a place."""
        along = [
            cubic_weights(index * (NODES - 1) / (count - 1), NODES)
            for index, count in zip(place, self._tally.shape, strict=True)
        ]
        return np.outer(*along).ravel().astype(np.float32)


def network_displacement(solver: NetworkSolver, pyramid: Pyramid, parameters: TissueParameters) -> torch.Tensor:
    """The network's answer, (1, D, *velocity shape) in voxels of its grid. Raises ArithmeticError if not finite."""
    velocity = solver.answer(pyramid, parameters)
    if not bool(torch.isfinite(velocity).all()):
        raise ArithmeticError("The deformation has values that are not finite.")
    with torch.no_grad():
        return integrate(velocity, solver.refiner.settings(pyramid.pair.dimension).integration_steps)


def cubic_weights(position: float, count: int) -> np.ndarray:
    """The parts of values at 0, 1, ... count - 1 in that at ``position``, by the cubic through the four around it."""
    first = min(max(int(position) - 1, 0), count - 4)
    weights = np.zeros(count)
    for n in range(first, first + 4):
        others = [m for m in range(first, first + 4) if m != n]
        weights[n] = np.prod([(position - m) / (n - m) for m in others])
    return weights
