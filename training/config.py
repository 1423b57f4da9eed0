"""Everything a training run is decided by: one dataclass, and the command line made from it."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, get_args, get_type_hints

from TissueElasticRegistrationLib.core.models.network import NetworkConfig
from TissueElasticRegistrationLib.core.physics.objective import Objective
from TissueElasticRegistrationLib.core.physics.parameter_scale import SCALES
from TissueElasticRegistrationLib.core.physics.regularizers import REGULARIZERS

from .augmentation import NO_AUGMENTATION, AugmentationSettings

CACHE = "~/.cache/tissue-elastic-registration"


def _option(default: Any, help: str, **more: Any) -> Any:
    return field(default=default, metadata={"help": help, **more})


@dataclass(frozen=True)
class TrainingConfig:
    """One run; what each field is for is its help on the command line.

    Numbers are those of a short run on a CPU; the commands of the shipped models are in README.md.

    Raises:
        ValueError: The shape does not fit the dimension, a hypernetwork with parameters per tissue has no tissues,
            there is no step or no pair in it, or the sources cannot be read.
    """

    name: str = _option("model", "name of the model and of its pack")
    output: str = _option("~/tissue-elastic-training", "folder of checkpoints, log, pictures and the finished pack")
    resume: bool = _option(True, "go on from the last checkpoint in the output folder, if there is one")

    start_from: str = _option("", "folder of a finished pack with whose weights the run begins (fine-tuning)")

    dimension: int = _option(2, "2 for slices, 3 for volumes", choices=(2, 3))
    conditioning: str = _option("map", "how the parameters act", choices=("map", "hyper"))
    map_layer: str = _option("conv", "kind of the map conditioning", choices=("conv", "tissue"))
    adaptive: bool = _option(True, "parameters per tissue; without, one λ and one μ for the whole body")
    half_resolution: bool = _option(True, "velocity on half the image grid")
    pooled_input: bool = _option(False, "network on images averaged over 2 voxels per axis")
    regularizer: str = _option("elastic", "energy", choices=tuple(REGULARIZERS))
    scale: str = _option("log", "from slider to weight", choices=tuple(SCALES))
    tissues: tuple[str, ...] = _option(
        (), "names of the labels 1, 2 ... the model is bound to (hyper); all other labels become background"
    )

    sources: tuple[str, ...] = _option(("phantoms=0.6", "shapes=0.4"), "what to learn from, as name=share")
    shape: tuple[int, ...] = _option((96, 96), "voxels of the training images along every axis")
    cache: str = _option(CACHE, "folder for data that is made once")
    data: str = _option("", "folder of the data sets")
    spacing_mm: float = _option(4.0, "voxel size of phantoms, and the finest one of own pairs and real volumes")
    phantoms: int = _option(1000, "how many different phantoms")
    first_phantoms: int = _option(48, "how many of them at the beginning; the others join as training goes on")
    steps_per_phantom: int = _option(20, "steps after which one more phantom joins")
    background: bool = _option(True, "make phantoms in another process while training goes on")
    simulated: int = _option(120, "how many pairs with simulated motion on each real image")
    augment: bool = _option(True, "swap, other contrast, other views, flips and transposes")
    flips: bool = _option(True, "flips and transposes among them; without, the network knows one orientation only")

    steps: int = _option(20_000, "optimizer steps; may be changed when resuming")
    batch: int = _option(4, "pairs per step, over all processes together")
    learning_rate: float = _option(1e-3, "of Adam")
    warm_up: int = _option(100, "steps of growing learning rate")
    decay_from: float = _option(0.6, "part of the steps after which the learning rate falls")
    clip: float = _option(1.0, "largest norm of the gradient")
    ends: float = _option(0.2, "share of slider positions that are exactly 0 or 1")
    equal: float = _option(0.15, "share of steps in which all tissues are equal")
    integration_steps: int = _option(7, "squarings from velocity to displacement")
    seed: int = _option(0, "decides weights, data and parameters")

    validate_on: str = _option(
        "phantoms",
        "what to validate on: other cases than those of the training",
        choices=("phantoms", "nlst", "lungct", "acdc", "own"),
    )
    validation_pairs: int = _option(12, "pairs that are never trained on")
    validate_every: int = _option(1000, "steps between validations")
    patience: int = _option(0, "validations without a better result after which training ends; 0: never")
    picture_every: int = _option(5, "validations between pictures")
    log_every: int = _option(50, "steps between lines of the log")
    checkpoint_minutes: float = _option(5.0, "time between checkpoints")

    accelerator: str = _option("auto", "cpu, cuda or auto")
    devices: str = _option("1", "how many processes or cards on this computer (auto: all); torchrun decides itself")
    strategy: str = _option("auto", "of Lightning Fabric, e.g. ddp")
    precision: str = _option("auto", "auto: mixed on a graphics card, 32-true on a CPU")
    workers: int = _option(0, "processes that prepare batches")
    threads: int = _option(1, "torch threads of each process on a CPU")

    def __post_init__(self) -> None:
        if len(self.shape) != self.dimension:
            raise ValueError(f"A shape of {self.dimension} numbers is needed, not {self.shape}.")
        if self.conditioning == "hyper" and self.adaptive and not self.tissues:
            raise ValueError("A hypernetwork with parameters per tissue needs the names of the tissues.")
        if self.steps < 1 or self.batch < 1:
            raise ValueError("At least one step and one pair per step are needed.")
        self.shares()

    def shares(self) -> dict[str, float]:
        """Share of every source, by name; they sum to 1.

        Raises:
            ValueError: The sources are not of the form name=share, or there is none with a share above 0.
        """
        parts = dict(source.partition("=")[::2] for source in self.sources)
        try:
            shares = {name: float(share or 1) for name, share in parts.items()}
        except ValueError:
            raise ValueError(f"Sources are given as name=share, unlike {self.sources}.") from None
        if not shares or min(shares.values()) <= 0:
            raise ValueError("At least one source with a share above 0 is needed.")
        total = sum(shares.values())
        return {name: share / total for name, share in shares.items()}

    @property
    def any_orientation(self) -> bool:
        """Whether the network learns every orientation of the images."""
        return self.augment and self.flips

    def augmentation(self) -> AugmentationSettings:
        """How pairs are changed before they are learnt from."""
        if not self.augment:
            return NO_AUGMENTATION
        return AugmentationSettings() if self.flips else AugmentationSettings(flips=0, transposes=0)

    def network(self) -> NetworkConfig:
        """The architecture."""
        return NetworkConfig(
            dimension=self.dimension,
            conditioning=self.conditioning,
            parameters=self.parameters(),
            map_layer=self.map_layer,
            half_resolution=self.half_resolution,
            pooled_input=self.pooled_input,
            integration_steps=self.integration_steps,
        )

    def parameters(self) -> int:
        """How many numbers a hypernetwork gets: λ and μ (diffusion: one weight), for each tissue or for all."""
        return (2 if REGULARIZERS[self.regularizer].has_lambda else 1) * (len(self.tissues) + 1 if self.adaptive else 1)

    def objective(self) -> Objective:
        """What is minimized."""
        return Objective(scale=SCALES[self.scale], regularizer=self.regularizer)


def parse_arguments(arguments: Sequence[str] | None = None) -> TrainingConfig:
    """The configuration from a command line.

    Args:
        arguments: Its words; None: those of this process.

    Raises:
        ValueError: As in `TrainingConfig`.
    """
    parser = argparse.ArgumentParser(
        prog="python -m training.train",
        description="Train a registration network.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    types = get_type_hints(TrainingConfig)
    for option in dataclasses.fields(TrainingConfig):
        parser.add_argument(
            "--" + option.name.replace("_", "-"), default=option.default, **_kind(types[option.name]), **option.metadata
        )
    return from_dict(vars(parser.parse_args(arguments)))


def from_dict(values: dict[str, Any]) -> TrainingConfig:
    """The configuration stored as a dictionary, with lists where it has tuples."""
    return TrainingConfig(
        **{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    )


def _kind(annotation: Any) -> dict[str, Any]:
    if annotation is bool:
        return {"action": argparse.BooleanOptionalAction}
    if get_args(annotation):
        return {"nargs": "*", "type": get_args(annotation)[0]}
    return {"type": annotation}
