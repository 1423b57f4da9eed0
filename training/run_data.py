"""The data of a run: the sources its configuration names, and what it is validated on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from TissueElasticRegistrationLib.core.data.tissues import BACKGROUND, BACKGROUND_ID, Tissue
from TissueElasticRegistrationLib.core.physics.parameter_scale import SCALES
from TissueElasticRegistrationLib.core.physics.tissue_presets import table_parameters
from training.phantoms.subject import TISSUE_NAMES

from .config import TrainingConfig
from .datasets.case_files import CaseFolder
from .datasets.own_pairs import own_pairs
from .datasets.pair import TrainingPair
from .datasets.phantom_pairs import FIRST_VALIDATION, fill_in_background, phantom_folder
from .datasets.project_data import PAIRS, real_pairs, single_volumes
from .datasets.published import ACDC_CLASSES, ACDC_SPACING_MM, LUNG_CLASSES, LUNG_CT, NLST, acdc_pairs, learn2reg_pairs
from .datasets.simulated import simulated_folder
from .datasets.sources import MAX_TISSUES, Sampling, Source, TrainingSet, from_folder, from_list, from_shapes, mixed
from .parameter_sampling import draw_sliders
from .validation import Validation

PUBLISHED = {"nlst": LUNG_CLASSES, "lungct": LUNG_CLASSES, "acdc": ACDC_CLASSES}
PUBLISHED_SPACING_MM = {"nlst": NLST.spacing_mm, "lungct": LUNG_CT.spacing_mm, "acdc": ACDC_SPACING_MM}
JUDGED_TISSUES = ("lung", "bone", "liver")  # the classes of the paper


def training_set(config: TrainingConfig, rank: int = 0, world: int = 1) -> TrainingSet:
    """The batches of one process.

    Args:
        config: The configuration of the run.
        rank: Number of the process, from 0.
        world: Number of processes.

    Raises:
        ValueError: As in `training_source` and `TrainingSet`.
    """
    sampling = Sampling(
        shape=config.shape,
        batch=config.batch,
        seed=config.seed,
        ends=config.ends,
        equal=config.equal,
        augmentation=config.augmentation(),
        adaptive=config.adaptive,
        tissues=_kept_tissues(config),
    )
    return TrainingSet(training_source(config), sampling, config.steps, rank, world)


def training_source(config: TrainingConfig) -> Source:
    """The sources that the configuration names, mixed.

    Args:
        config: The configuration of the run.

    Raises:
        ValueError: A name is unknown.
    """
    makers = {
        "phantoms": lambda: from_folder(
            phantoms(config), config.phantoms, config.first_phantoms, config.steps_per_phantom
        ),
        "shapes": lambda: from_shapes(config.shape),
        **{
            f"simulated-{name}": lambda name=name, volume=volume: from_folder(
                simulated_folder(config.cache, name, volume, config.shape, config.spacing_mm), config.simulated
            )
            for name, volume in single_volumes(config.data).items()
        },
        **{
            case: lambda case=case: from_list(real_pairs(config.data, (case,), config.dimension, config.spacing_mm))
            for case in PAIRS
        },
        **{name: lambda name=name: from_list(published_pairs(config, name, "train")) for name in PUBLISHED},
        "own": lambda: from_list(own_pairs(config.data, "train", config.dimension, config.spacing_mm)),
    }
    shares = config.shares()
    unknown = sorted(set(shares) - set(makers))
    if unknown:
        raise ValueError(f"Unknown source of data {unknown}; there are {', '.join(makers)}.")
    return mixed({name: makers[name]() for name in shares}, shares)


def phantoms(config: TrainingConfig) -> CaseFolder:
    """The folder of phantoms that this run uses."""
    return phantom_folder(config.cache, config.dimension, config.spacing_mm)


@contextmanager
def phantoms_in_background(config: TrainingConfig, wanted: bool = True) -> Iterator[None]:
    """While inside, another process makes the phantoms of this run that are not in the cache yet.

    Args:
        config: The configuration of the run.
        wanted: False does nothing.
    """
    wanted = wanted and config.background and "phantoms" in config.shares()
    process = fill_in_background(config.cache, config.dimension, config.spacing_mm, config.phantoms) if wanted else None
    try:
        yield
    finally:
        if process is not None:
            process.terminate()
            process.wait()


def published_pairs(config: TrainingConfig, name: str, split: str) -> list[TrainingPair]:
    """One split of a published data set below the data folder.

    Args:
        config: The configuration of the run.
        name: Of the data set: "nlst", "lungct" or "acdc".
        split: "train" or "validation".

    Raises:
        ValueError: It is not there or incomplete.
    """
    folder = Path(config.data).expanduser()
    if name == "acdc":
        return acdc_pairs(folder / "ACDC" / "training", split)
    directory, recipe = {"nlst": ("NLST", NLST), "lungct": ("LungCT", LUNG_CT)}[name]
    return learn2reg_pairs(folder / directory, recipe, split)


def spacings_mm(config: TrainingConfig) -> tuple[float, float]:
    """Smallest and largest voxel that a run learns from, before it is augmented."""
    sizes = [PUBLISHED_SPACING_MM.get(name, config.spacing_mm) for name in config.shares()]
    return min(sizes), max(sizes)


def validation_set(config: TrainingConfig) -> Validation:
    """Pairs that are never trained on, with the same tissues every time."""
    if config.validate_on == "phantoms":
        folder, names, judged = phantoms(config), TISSUE_NAMES, JUDGED_TISSUES
        pairs = [folder[FIRST_VALIDATION + number] for number in range(config.validation_pairs)]
    elif config.validate_on == "own":
        pairs = own_pairs(config.data, "validation", config.dimension, config.spacing_mm)
        pairs = pairs[:: math.ceil(len(pairs) / config.validation_pairs)]  # not only slices of the first volume
        names, judged = dict(enumerate(config.tissues, start=1)), ()
    else:
        pairs = published_pairs(config, config.validate_on, "validation")[: config.validation_pairs]
        names = dict(enumerate(PUBLISHED[config.validate_on], start=1))
        judged = PUBLISHED[config.validate_on]
    return as_validation(config, [pair.fitted(config.shape) for pair in pairs], names, judged)


def as_validation(
    config: TrainingConfig, pairs: list[TrainingPair], names: dict[int, str], judged: tuple[str, ...] = ()
) -> Validation:
    """Pairs with the sliders of the tissue table, and with random ones that only depend on the seed.

    Args:
        config: The configuration of the run.
        pairs: The pairs to validate on.
        names: Of the labels.
        judged: Names of the labels whose overlap counts, none for all.
    """
    kept = _kept_tissues(config)
    tissues = MAX_TISSUES if kept is None else kept + 1
    generator = np.random.default_rng([config.seed, FIRST_VALIDATION])
    random = draw_sliders(generator, len(pairs), tissues, config.ends, 0.0 if config.adaptive else 1.0)
    table = np.repeat(table_sliders(config, names)[None, :tissues], len(pairs), axis=0)
    return Validation(
        pairs, table, random, tuple(label for label, name in names.items() if name in judged) or None, kept
    )


def table_sliders(config: TrainingConfig, names: dict[int, str]) -> np.ndarray:
    """Slider positions of the tissue table; for models without tissues those of soft tissue.

    Args:
        config: The configuration of the run.
        names: Of the labels.

    Returns:
        (MAX_TISSUES, 2) in [0, 1].
    """
    scale = SCALES[config.scale]
    background = Tissue(BACKGROUND, "background", BACKGROUND_ID)
    parameters = table_parameters([background, *[Tissue(label, name) for label, name in names.items()]], scale)
    lames = [parameters[label] for label in range(MAX_TISSUES)]
    sliders = np.array([(scale.slider(lame.lam), scale.slider(lame.mu)) for lame in lames], np.float32)
    if not config.adaptive:
        sliders[:] = sliders[max(names, default=1)]
    return sliders


def _kept_tissues(config: TrainingConfig) -> int | None:
    return len(config.tissues) if config.conditioning == "hyper" and config.adaptive else None
