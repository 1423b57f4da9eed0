"""The candidates of a search, registered with all tissues' own parameters, and which of them is taken.

A grid asks each tissue for itself, in registrations with the same parameters everywhere. What the choices do together
is another question, and only registering with all of them answers it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from ..data.progress import Job, Progress, part_of
from ..data.tissues import Lame, TissueParameters
from ..physics.deformation import resize
from ..registration.registrar import Registrar
from .coarse_registration import UniformRegistrations
from .grid_scores import Tally
from .network_grid import network_displacement


class Candidates(NamedTuple):
    """chosen: what each tissue chose. one: the same pair of λ and μ for all that vote."""

    chosen: TissueParameters
    start: TissueParameters
    one: TissueParameters


Way = Callable[[TissueParameters], Job[torch.Tensor]]

# How many mixtures are tried at most: in each, one tissue takes another candidate's parameters.
MIXTURES_NETWORK, MIXTURES_DIRECT = 40, 10
KEPT_START = "Registered together, the start values are as good as what the tissues chose one by one: they were kept."
TOOK_ONE = (
    "Registered together, what the tissues chose one by one is worse than one pair of λ and μ for all of them: "
    "that pair was taken."
)


class Together:
    """Registers what the tissues chose, the start values, the best pair for all, and mixtures of these; then decides.

    Judged is the mean score of the tissues that vote; all others keep their values in every candidate. Taken is, of the
    candidates that are as good as the best one and no worse than one pair for all, that closest to the start values.
    A candidate that fails is left out.

    way: registers with given parameters and returns the displacement (1, D, *working shape) in voxels.
    """

    def __init__(self, tally: Tally, candidates: Candidates, way: Way, most_mixtures: int) -> None:
        self._tally, self._candidates, self._way, self._question = tally, candidates, way, tally.question
        self._labels = [tissue.label for tissue in self._question.tissues if tissue.label in self._question.voters]
        self._voting = [self._question.criterion.labels.index(label) for label in self._labels]
        self._most = 3 + min(most_mixtures, 2 * len(self._labels))
        self._tried: dict[tuple[Lame, ...], TissueParameters] = {}
        self._scores: dict[tuple[Lame, ...], float] = {}
        self._failure = ""

    def run(self) -> Job[None]:
        for candidate in self._candidates:
            yield from self._try(candidate)
        best = max(self._candidates, key=self._score)  # the first of equals
        for label in self._labels:
            for other in self._candidates:
                mixture = best.with_tissue(label, other[label])
                yield from self._try(mixture)
                best = max((best, mixture), key=self._score)
        if self._failure:
            self._tally.notes.append(f"Not all candidates could be registered together: {self._failure}")
        if self._scores:
            self._decide(*map(self._key, self._candidates))

    def _decide(self, chosen: tuple[Lame, ...], start: tuple[Lame, ...], one: tuple[Lame, ...]) -> None:
        enough = max(max(self._scores.values()) - self._question.tie_of_means, self._scores.get(one, -np.inf))
        good = [key for key, score in self._scores.items() if score >= enough]
        # Of equally close ones the best; rounded, because equal distances may differ in their last bits.
        taken = min(good, key=lambda key: (round(self._from_start(key), 6), -self._scores[key]))
        reason = ""
        if taken != chosen and taken == start:
            reason = KEPT_START
        elif taken != chosen and taken == one and len(self._labels) > 1:
            reason = TOOK_ONE
        self._tally.take(self._tried[taken], reason)

    def _try(self, parameters: TissueParameters) -> Job[None]:
        """Register and judge, unless that has happened or enough has been tried."""
        key, done = self._key(parameters), len(self._tried)
        if key in self._tried or done == self._most:
            return
        self._tried[key] = parameters
        try:
            job = part_of(
                self._way(parameters),
                done / self._most,
                (done + 1) / self._most,
                f"all tissues together: {done + 1} of up to {self._most}",
            )
            displacement = yield from job
            scores = self._question.criterion.scores(displacement)
            self._scores[key] = float(scores[self._voting].mean())
        except torch.cuda.OutOfMemoryError:
            raise  # the registrar falls back to the CPU
        except (RuntimeError, ArithmeticError) as error:
            self._failure = next(iter(str(error).splitlines()), type(error).__name__)

    def _score(self, parameters: TissueParameters) -> float:
        return self._scores.get(self._key(parameters), -np.inf)

    def _key(self, parameters: TissueParameters) -> tuple[Lame, ...]:
        return tuple(parameters[label] for label in self._labels)

    def _from_start(self, key: tuple[Lame, ...]) -> float:
        """Distance of the sliders."""
        slider, start = self._question.scale.slider, self._question.start
        away = [
            (slider(lame.lam) - slider(start[label].lam), slider(lame.mu) - slider(start[label].mu))
            for label, lame in zip(self._labels, key, strict=True)
        ]
        return float(np.linalg.norm(away))


def register_together(registrar: Registrar, tally: Tally, has_network: bool) -> Job[None]:
    """Decide for a tally in the registrar's own way: one pass of its network, or quick registrations."""
    candidates = Candidates(tally.estimate().parameters, tally.question.start, tally.everywhere())
    way, most = (
        (_by_network(registrar), MIXTURES_NETWORK)
        if has_network
        else (_by_steps(registrar, _softest(candidates, registrar)), MIXTURES_DIRECT)
    )
    yield from Together(tally, candidates, way, most).run()


def _by_network(registrar: Registrar) -> Way:
    shape = registrar.working.labels.shape[2:]

    def register(parameters: TissueParameters) -> Job[torch.Tensor]:
        yield Progress(0.0, "network")
        return resize(network_displacement(registrar.solver.network, registrar.pyramid, parameters), shape)

    return register


def _by_steps(registrar: Registrar, softest: TissueParameters) -> Way:
    """Equally many steps for all, from the registration with ``softest``."""
    registrations = UniformRegistrations(registrar.solver, registrar.pyramid)
    known: list[torch.Tensor] = []

    def register(parameters: TissueParameters) -> Job[torch.Tensor]:
        if not known:
            known.append((yield from part_of(registrations.register(softest, None), 0.0, 0.5)))
        velocity = yield from part_of(registrations.register(parameters, known[0]), 0.5, 1.0)
        return registrations.displacement(velocity)

    return register


def _softest(candidates: Candidates, registrar: Registrar) -> TissueParameters:
    """As soft as the softest candidate in every tissue: from there few steps do (see `grid`)."""
    lames = {tissue.label: [candidate[tissue.label] for candidate in candidates] for tissue in registrar.tissues}
    return TissueParameters(
        {label: Lame(min(lame.lam for lame in own), min(lame.mu for lame in own)) for label, own in lames.items()}
    )
