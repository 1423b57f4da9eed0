"""Where pairs come from, mixed as wanted, as batches that depend on nothing but the seed and the step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Dataset

from training.augmentation import AugmentationSettings, augmented
from training.parameter_sampling import draw_sliders

from .case_files import CaseFolder
from .pair import Batch, TrainingPair, collate
from .shapes import shape_pair

# Draws a pair for one place of one step.
Source = Callable[[np.random.Generator, int], TrainingPair]

MAX_TISSUES = 16  # labels of training pairs are below this


def from_folder(folder: CaseFolder, count: int, first: int | None = None, steps_each: int = 1) -> Source:
    """Any of some made pairs.

    At step 0 only of the first ones, then of one more at a time. So training can begin while the others are still being
    made, and sees the same pairs however long that takes.

    Args:
        folder: Where they are.
        count: How many there will be.
        first: How many there are at step 0; None: all.
        steps_each: Steps after which one more joins.
    """

    def draw(generator: np.random.Generator, step: int) -> TrainingPair:
        known = count if first is None else min(count, first + step // steps_each)
        return folder[int(generator.integers(known))]

    return draw


def from_list(pairs: Sequence[TrainingPair]) -> Source:
    """Any of some pairs that are in memory.

    Args:
        pairs: The pairs.

    Raises:
        ValueError: There are none.
    """
    if not pairs:
        raise ValueError("There are no pairs to learn from.")
    return lambda generator, step: pairs[int(generator.integers(len(pairs)))]


def from_shapes(shape: Sequence[int]) -> Source:
    """A new pair of random shapes every time."""
    return lambda generator, step: shape_pair(generator, shape)


def mixed(sources: Mapping[str, Source], shares: Mapping[str, float]) -> Source:
    """Each pair from a source drawn with the probability of its share.

    Args:
        sources: By name.
        shares: Name -> share; they need not sum to 1.

    Raises:
        ValueError: A name is unknown.
    """
    names = list(shares)
    unknown = sorted(set(names) - set(sources))
    if unknown:
        raise ValueError(f"Unknown source of data {unknown}; there are {', '.join(sources)}.")
    chances = np.array([shares[name] for name in names])

    def draw(generator: np.random.Generator, step: int) -> TrainingPair:
        return sources[names[int(generator.choice(len(names), p=chances / chances.sum()))]](generator, step)

    return draw


@dataclass(frozen=True)
class Sampling:
    """How batches are drawn.

    Attributes:
        shape: Voxels per axis.
        batch: Pairs per step, over all processes together.
        seed: Decides everything.
        augmentation: How pairs are changed.
        ends: Share of slider positions that are exactly 0 or 1.
        equal: Share of steps in which all tissues are equal.
        adaptive: False gives all tissues of a pair the same sliders.
        tissues: Labels from 1 to this one are kept, others become background; None keeps all.
    """

    shape: tuple[int, ...]
    batch: int
    seed: int
    augmentation: AugmentationSettings
    ends: float = 0.2
    equal: float = 0.15
    adaptive: bool = True
    tissues: int | None = None


class TrainingSet(Dataset):
    """Element n is the part of the batch of step n that one of several processes works on.

    Each pair has its own random numbers, made from seed, step and place in the batch. Hence a resumed run and any
    number of processes see what one uninterrupted process would.

    Args:
        source: Where pairs come from.
        sampling: How batches are drawn.
        steps: How many there are.
        rank: Number of this process, from 0.
        world: Number of processes.

    Raises:
        ValueError: The batch cannot be shared by so many processes.
    """

    def __init__(self, source: Source, sampling: Sampling, steps: int, rank: int = 0, world: int = 1) -> None:
        if sampling.batch % world:
            raise ValueError(f"A batch of {sampling.batch} pairs cannot be shared by {world} processes.")
        self._source, self._sampling, self._steps = source, sampling, steps
        self._rank, self._world = rank, world

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, step: int) -> Batch:
        if not 0 <= step < self._steps:
            raise IndexError(f"There is no step {step}.")
        sampling = self._sampling
        tissues = MAX_TISSUES if sampling.tissues is None else sampling.tissues + 1
        sliders = draw_sliders(
            np.random.default_rng([sampling.seed, step]),
            sampling.batch,
            tissues,
            sampling.ends,
            sampling.equal if sampling.adaptive else 1.0,
        )
        places = range(self._rank, sampling.batch, self._world)
        return collate([self._pair(step, place) for place in places], sliders[places], step)

    def _pair(self, step: int, place: int) -> TrainingPair:
        generator = np.random.default_rng([self._sampling.seed, step, place + 1])
        pair = self._source(generator, step).fitted(self._sampling.shape).merged(self._sampling.tissues)
        return augmented(pair, generator, self._sampling.augmentation)
