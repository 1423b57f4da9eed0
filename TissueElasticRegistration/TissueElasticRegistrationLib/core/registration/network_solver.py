"""The network as a solver: its answer is where the direct solver starts, if that is a better place than no deformation.

The objective decides (the referee): whatever network comes as a pack, no registration ends worse than it began.
"""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from weakref import WeakKeyDictionary

import torch

from ..data.progress import Job, Progress, part_of
from ..data.tissues import TissueParameters
from ..models.model_card import DIRECT, pack_folder
from ..models.model_pack import ModelPack, load_pack
from ..models.network import RegistrationNetwork
from ..physics.deformation import resize
from ..physics.objective import Objective
from ..physics.tissue_presets import table_parameters
from ..preparation.pyramid import Pyramid
from .direct_solver import DirectSolver, Solution, Stage, is_higher
from .network_pair import NetworkPair, likely_factors

NETWORK_PART = 0.1  # of the progress, when steps follow
# Steps on coarse levels for each one at full resolution, by dimension and factor: as they are cheaper (one of 3D costs
# as much as 40, 60 and 10 of the coarser ones).
CORRECTIONS = {2: {4: 0.5, 2: 0.5}, 3: {8: 5, 4: 10, 2: 4}}
# Single Adam steps are rough: twice smoothed, five in 3D do what takes fifteen of the others (J of a 4DCT pair).
SMOOTHING = {2: 1, 3: 2}
USUAL_REFINEMENT = {2: 40, 3: 5}
JUDGED_FACTOR = 2  # of the level on which answers at different sizes of voxels are compared


class NetworkSolver(DirectSolver):
    """A direct solver whose registrations from nothing start with a network's answer.

    refiner: whose settings are used for all further steps; its objective must be the one the model was trained with
    (None: a direct solver with that objective). Pairs are encoded when first seen and forgotten with their pyramid.
    """

    name = "network+direct"

    def __init__(self, pack: ModelPack, refiner: DirectSolver | None = None) -> None:
        card = pack.card
        objective = Objective(card.parameter_scale, card.regularizer)
        if refiner is not None and (refiner.objective.scale, refiner.objective.regularizer) != (
            objective.scale,
            objective.regularizer,
        ):
            raise ValueError(
                f"The model '{card.name}' was trained with the {card.regularizer} regularizer on the "
                f"{card.scale} scale, the solver that refines it must use the same."
            )
        super().__init__(
            objective if refiner is None else refiner.objective, None if refiner is None else refiner._settings
        )
        self.pack = pack
        self._pairs: WeakKeyDictionary[Pyramid, NetworkPair] = WeakKeyDictionary()
        self._networks: dict[torch.device, RegistrationNetwork] = {}

    def prepare(self, pyramid: Pyramid) -> None:
        """Levels and features of a pair. Raises ValueError if the model does not fit the pair (see `NetworkPair`)."""
        super().prepare(pyramid)
        self._pair(pyramid)

    def refinement(self, steps: int, dimension: int) -> tuple[Stage, ...]:
        """Steps at full resolution, and before them some that correct what is wrong on a large scale.

        The coarse ones take little time and make up for a network that has not seen such images; they are never more
        than those of a registration from zero.
        """
        most = {stage.factor: stage.steps for stage in self.settings(dimension).stages}
        corrections = CORRECTIONS[dimension].items()
        coarse = (Stage(factor, min(int(steps * share), most.get(factor, steps))) for factor, share in corrections)
        return (*coarse, Stage(1, steps, smoothing=SMOOTHING[dimension]))

    def usual_refinement(self, dimension: int) -> int:
        """An answer alone may be wrong by millimeters."""
        return USUAL_REFINEMENT[dimension]

    def answer(self, pyramid: Pyramid, parameters: TissueParameters) -> torch.Tensor:
        """The network's velocity (1, D, *velocity shape of the full level), in voxels of that grid."""
        return self._pair(pyramid).velocity(parameters)

    def notes(self, pyramid: Pyramid, parameters: TissueParameters) -> tuple[str, ...]:
        """What a user should know about using the model for this pair, one sentence each."""
        return self._pair(pyramid).notes(parameters)

    def answer_at(self, pyramid: Pyramid, sliders: torch.Tensor) -> torch.Tensor:
        """`answer` for slider positions (tissues, 2) of λ and μ in the order of the pair's tissues; differentiable."""
        return self._pair(pyramid).velocity_at(sliders)

    def solve(
        self,
        pyramid: Pyramid,
        parameters: TissueParameters,
        start: torch.Tensor | None = None,
        stages: tuple[Stage, ...] | None = None,
        start_objective: float | None = None,
    ) -> Job[Solution]:
        """Without a start: the network's answer, refined by ``stages`` (None: not at all).

        Where the network's objective is higher than that of no deformation, the direct solver registers from zero, and
        the solution says so. With a start, exactly what the direct solver does.
        """
        if start is not None:
            return (yield from super().solve(pyramid, parameters, start, stages, start_objective))
        yield Progress(0.0, "network")
        velocity, notes = self.answer(pyramid, parameters), self.notes(pyramid, parameters)
        yield Progress(0.5 * NETWORK_PART, "network")
        answer = None
        if bool(velocity.isfinite().all()):
            job = super().solve(pyramid, parameters, velocity, ())
            answer = yield from part_of(job, 0.5 * NETWORK_PART, NETWORK_PART)
        values = None if answer is None else answer.objective_values
        if values is None or is_higher(values.objective_after, values.objective_before):
            return (yield from part_of(self._from_zero(pyramid, parameters, stages or (), notes), NETWORK_PART, 1.0))
        if stages:
            job = super().solve(pyramid, parameters, velocity, stages, values.objective_after)
            answer = yield from part_of(job, NETWORK_PART, 1.0)
        return replace(answer, notes=notes)

    def _from_zero(
        self, pyramid: Pyramid, parameters: TissueParameters, stages: tuple[Stage, ...], notes: tuple[str, ...]
    ) -> Job[Solution]:
        notes = (
            *notes,
            f"The answer of the model '{self.pack.card.name}' was worse than no deformation: the direct "
            "solver registered from zero instead.",
        )
        every = (*self.settings(pyramid.pair.dimension).stages, *stages)
        solution = yield from super().solve(pyramid, parameters, None, every)
        if is_higher(solution.objective_values.objective_after, solution.objective_values.objective_before):
            solution = yield from super().solve(pyramid, parameters, torch.zeros_like(solution.velocity), ())
        return replace(solution, notes=notes)

    def _pair(self, pyramid: Pyramid) -> NetworkPair:
        if pyramid not in self._pairs:
            self._pairs[pyramid] = self._best_seen(pyramid)
        return self._pairs[pyramid]

    def _best_seen(self, pyramid: Pyramid) -> NetworkPair:
        """The pair at the size of voxels at which the network's answer to the start values has the lowest objective."""
        network = self._network_on(pyramid.device)
        factors = likely_factors(self.pack.card, pyramid.pair)
        if len(factors) == 1:
            return NetworkPair(self.pack, network, pyramid, factors[0])
        parameters = table_parameters(pyramid.pair.tissues, self.objective.scale)
        level = pyramid.level(JUDGED_FACTOR)
        maps = level.parameter_maps(*pyramid.parameter_maps(parameters))

        def objective(pair: NetworkPair) -> float:
            velocity = resize(pair.velocity(parameters), level.velocity_shape)
            value = self.value(level, velocity, maps, self.settings(pyramid.pair.dimension))
            return value if math.isfinite(value) else math.inf

        return min((NetworkPair(self.pack, network, pyramid, factor) for factor in factors), key=objective)

    def _network_on(self, device: torch.device) -> RegistrationNetwork:
        if device.type == "cpu":
            return self.pack.network
        if device not in self._networks:
            self._networks[device] = copy.deepcopy(self.pack.network).to(device)
        return self._networks[device]


def solver_for(model: str) -> DirectSolver:
    """The solver for "direct", the name of an installed model, or the path of a model's folder (a text with / or \\).

    Raises ValueError with one sentence if there is no such model or it cannot be used.
    """
    return DirectSolver() if model == DIRECT else NetworkSolver(load_pack(pack_folder(model)))
