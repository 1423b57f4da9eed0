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
from ..models.model_pack import ModelPack
from ..models.network import RegistrationNetwork
from ..physics.objective import Objective
from ..physics.tissue_presets import table_parameters
from ..preparation.pyramid import Pyramid
from .direct_solver import DirectSolver
from .network_pair import NetworkPair, likely_factors
from .solution import Solution, Stage

NETWORK_PART = 0.1  # of the progress, when steps follow
# Steps on coarse levels for each one at full resolution, by dimension and factor: as they are cheaper (one of 3D costs
# as much as 40, 60 and 10 of the coarser ones).
CORRECTIONS = {2: {4: 0.5, 2: 0.5}, 3: {8: 5, 4: 10, 2: 4}}
# Single Adam steps are rough: twice smoothed, five in 3D do what takes fifteen of the others (J of a 4DCT pair).
SMOOTHING = {2: 1, 3: 2}
USUAL_REFINEMENT = {2: 40, 3: 5}
WORSE_THAN_NOTHING = (
    "The prediction of the model '{}' was worse than no deformation, so only the direct solver was used."
)
JUDGED_FACTOR = 2  # of the level on which answers at different sizes of voxels are compared


class NetworkSolver:
    """A `Solver` whose registrations from nothing start with a network's answer; a direct solver takes all steps.

    Pairs are encoded when first seen and forgotten with their pyramid.

    Args:
        pack: The model.
        refiner: Takes the steps; None for a direct solver with the objective that the model was trained with.

    Raises:
        ValueError: If the objective of the refiner is another one.
    """

    name = "network+direct"

    def __init__(self, pack: ModelPack, refiner: DirectSolver | None = None) -> None:
        card = pack.card
        self.refiner = refiner or DirectSolver(Objective(card.parameter_scale, card.regularizer))
        objective = self.refiner.objective
        if (objective.scale, objective.regularizer) != (card.parameter_scale, card.regularizer):
            raise ValueError(
                f"The model '{card.name}' was trained with the {card.regularizer} regularizer on the "
                f"{card.scale} scale; the solver that refines it must use the same."
            )
        self.objective = objective
        self.pack = pack
        self._pairs: WeakKeyDictionary[Pyramid, NetworkPair] = WeakKeyDictionary()
        self._networks: dict[torch.device, RegistrationNetwork] = {}

    @property
    def network(self) -> NetworkSolver:
        """The solver itself: see `answer`, `answer_at`, `notes` and ``pack``."""
        return self

    def prepare(self, pyramid: Pyramid) -> None:
        """See `Solver.prepare`: the levels of the refiner and the features of the pair.

        Args:
            pyramid: The working pair.

        Raises:
            ValueError: If the model does not fit the pair (see `NetworkPair`).
        """
        self.refiner.prepare(pyramid)
        self._pair(pyramid)

    def refinement(self, steps: int, dimension: int) -> tuple[Stage, ...]:
        """See `Solver.refinement`: steps that correct what is wrong on a large scale come first.

        The coarse ones take little time and make up for a network that has not seen such images; they are never more
        than those of a registration from zero.

        Args:
            steps: Number of steps at full resolution.
            dimension: 2 for single slices, 3 for volumes.
        """
        most = {stage.factor: stage.steps for stage in self.refiner.settings(dimension).stages}
        corrections = CORRECTIONS[dimension].items()
        coarse = (Stage(factor, min(int(steps * share), most.get(factor, steps))) for factor, share in corrections)
        return (*coarse, Stage(1, steps, smoothing=SMOOTHING[dimension]))

    def usual_refinement(self, dimension: int) -> int:
        """See `Solver.usual_refinement`: an answer alone may be wrong by millimeters."""
        return USUAL_REFINEMENT[dimension]

    def answer(self, pyramid: Pyramid, parameters: TissueParameters) -> torch.Tensor:
        """The network's velocity, without any step.

        Args:
            pyramid: The working pair.
            parameters: λ and μ of every tissue.

        Returns:
            (1, D, *velocity shape of the full level) in voxels of that grid.
        """
        return self._pair(pyramid).velocity(parameters)

    def notes(self, pyramid: Pyramid, parameters: TissueParameters) -> tuple[str, ...]:
        """What a user should know about using the model for this pair, one sentence each.

        Args:
            pyramid: The working pair.
            parameters: λ and μ of every tissue.
        """
        return self._pair(pyramid).notes(parameters)

    def answer_at(self, pyramid: Pyramid, sliders: torch.Tensor) -> torch.Tensor:
        """`answer`, differentiable by slider positions.

        Args:
            pyramid: The working pair.
            sliders: (tissues, 2) positions of λ and μ in [0, 1], in the order of the pair's tissues.
        """
        return self._pair(pyramid).velocity_at(sliders)

    def solve(
        self,
        pyramid: Pyramid,
        parameters: TissueParameters,
        start: torch.Tensor | None = None,
        stages: tuple[Stage, ...] | None = None,
        start_objective: float | None = None,
    ) -> Job[Solution]:
        """See `Solver.solve`. Without a start: the network's answer, refined. With one: what the refiner does.

        Where the network's answer is worse than no deformation (see `Judgement.is_worse`), the refiner registers from
        zero, and the solution says so.

        Args:
            pyramid: The working pair.
            parameters: λ and μ of every tissue.
            start: A velocity at any resolution; None to register from nothing.
            stages: None for none without a start, and for those of the refiner with one.
            start_objective: J of the start, if it is known already.
        """
        if start is not None:
            return (yield from self.refiner.solve(pyramid, parameters, start, stages, start_objective))
        yield Progress(0.0, "network")
        velocity, notes = self.answer(pyramid, parameters), self.notes(pyramid, parameters)
        yield Progress(0.5 * NETWORK_PART, "network")
        maps = pyramid.parameter_maps(parameters)
        if not bool(velocity.isfinite().all()) or self.refiner.is_worse(pyramid, velocity, None, maps):
            velocity, stages = None, (*self.refiner.stages(pyramid), *(stages or ()))
            notes = (*notes, WORSE_THAN_NOTHING.format(self.pack.card.name))
        job = self.refiner.solve(pyramid, parameters, velocity, stages or ())
        solution = yield from part_of(job, NETWORK_PART, 1.0)
        return replace(solution, notes=(*notes, *solution.notes))

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
        level, settings = pyramid.level(JUDGED_FACTOR), self.refiner.settings(pyramid.pair.dimension)
        maps = level.parameter_maps(*pyramid.parameter_maps(parameters))

        def objective(pair: NetworkPair) -> float:
            value = self.refiner.value(level, pair.velocity(parameters), maps, settings)
            return value if math.isfinite(value) else math.inf

        return min((NetworkPair(self.pack, network, pyramid, factor) for factor in factors), key=objective)

    def _network_on(self, device: torch.device) -> RegistrationNetwork:
        if device.type == "cpu":
            return self.pack.network
        if device not in self._networks:
            self._networks[device] = copy.deepcopy(self.pack.network).to(device)
        return self._networks[device]
