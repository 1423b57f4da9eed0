"""How accurate a model is by itself on phantoms nobody has seen, and whether its sliders act.

python -m training.evaluate MODEL [--count 30] [--cache FOLDER]
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from TissueElasticRegistrationLib.core.models.model_card import pack_folder
from TissueElasticRegistrationLib.core.models.model_pack import ModelPack, load_pack
from TissueElasticRegistrationLib.core.physics.deformation import folding
from TissueElasticRegistrationLib.core.physics.elasticity import strain_invariants
from training.phantoms import LOADS
from training.phantoms.subject import TISSUE_NAMES

from .config import CACHE, TrainingConfig
from .datasets.pair import TrainingPair, collate
from .datasets.phantom_pairs import FIRST_TEST, load_of, phantom_folder
from .losses import displacement_of
from .run_data import table_sliders
from .trainee import network_parameters
from .validation import endpoint_error_mm, mean_dice

CLASSES = tuple(label for label, name in TISSUE_NAMES.items() if name in ("lung", "bone", "liver"))
POSITIONS = np.linspace(0, 1, 11)
TOLERANCE = 0.02  # a step up to this much upwards still counts as falling


@dataclass(frozen=True)
class Accuracy:
    """How well one pair was registered.

    Attributes:
        epe_mm: Mean distance to the true correspondence inside the body.
        dice: Mean overlap of lung, bone and liver.
        folding_percent: Voxels at which the deformation folds.
    """

    epe_mm: float
    dice: float
    folding_percent: float


class Model:
    """A model pack that takes slider positions per label, whatever its conditioning.

    Args:
        pack: The pack.
    """

    def __init__(self, pack: ModelPack) -> None:
        self.card, self._network = pack.card, pack.network
        # The table and the merging of labels are those of a run with the same settings.
        self._kept = len(pack.card.tissues) - 1 if pack.card.tissues else None
        self._config = TrainingConfig(
            dimension=pack.card.dimension,
            shape=(96,) * pack.card.dimension,
            scale=pack.card.scale,
            conditioning=pack.card.network.conditioning,
            tissues=pack.card.tissues[1:],
            adaptive=bool(pack.card.tissues) or pack.card.network.conditioning == "map",
        )

    def table(self) -> np.ndarray:
        """(C, 2) sliders a user begins with on a phantom."""
        sliders = table_sliders(self._config, TISSUE_NAMES)
        return sliders if self._kept is None else sliders[: self._kept + 1]

    def sliders(self) -> list[tuple[int, int, str]]:
        """Label, parameter (0 for λ, 1 for μ) and name of every slider of a tissue of the phantoms."""
        known = 0
        if self._config.adaptive:
            known = len(TISSUE_NAMES) if self._kept is None else self._kept
        parameters = [(0, "lambda"), (1, "mu")] if self.card.has_lambda else [(1, "mu")]
        return [
            (label, parameter, f"{name} {symbol}")
            for label, name in TISSUE_NAMES.items()
            if label <= known
            for parameter, symbol in parameters
        ]

    @torch.inference_mode()
    def displacement(self, pair: TrainingPair, sliders: np.ndarray) -> torch.Tensor:
        """The deformation of a pair.

        Args:
            pair: The pair.
            sliders: (C, 2) positions in [0, 1].

        Returns:
            (1, D, *shape) in voxels.
        """
        batch = collate([pair.merged(self._kept)], sliders[None])
        velocity = self._network(
            batch.fixed, batch.moving, network_parameters(self._network.config, batch.labels, batch.sliders)
        )
        return displacement_of(velocity, pair.shape, self._network.config.integration_steps)


def named_pack(model: str | Path) -> ModelPack:
    """The pack in a folder, or the installed one of that name.

    Args:
        model: Folder or name.

    Raises:
        ValueError: There is none or it is broken.
    """
    folder = Path(model).expanduser()
    return load_pack(folder if folder.is_dir() else pack_folder(str(model)))


def unseen_pairs(cache: str | Path, dimension: int, spacing_mm: float, count: int, load: str) -> list[TrainingPair]:
    """Phantoms with one load that are used for nothing else.

    Args:
        cache: Folder for data that is made once.
        dimension: 2 or 3.
        spacing_mm: Voxel size.
        count: How many.
        load: What moves them.
    """
    folder = phantom_folder(cache, dimension, spacing_mm)
    numbers = (number for number in itertools.count(FIRST_TEST) if load_of(number) == load)
    return [folder[number] for number in itertools.islice(numbers, count)]


def accuracy(model: Model, pair: TrainingPair) -> Accuracy:
    """How well a model registers a pair at the sliders of the tissue table.

    Args:
        model: The model.
        pair: The pair.
    """
    displacement = model.displacement(pair, model.table())
    return Accuracy(
        endpoint_error_mm(pair, displacement),
        mean_dice(pair, displacement, CLASSES),
        100 * float(folding(displacement).float().mean()),
    )


def response(model: Model, pairs: Sequence[TrainingPair], label: int, parameter: int) -> dict[str, float]:
    """What one slider of one tissue does, the others as in the table.

    Looked at is the mean strain energy of the tissue without weights, along the slider.

    Args:
        model: The model.
        pairs: Phantoms.
        label: Of the tissue.
        parameter: 0 for λ, 1 for μ.

    Returns:
        ``falling_share``: steps at which the energy falls, of all pairs. ``ratio``: of its ends. ``selectivity``:
        relative change of the tissue's own strain against the largest among the others.
    """
    falling, energies = [], []
    for pair in pairs:
        along = np.array(
            [
                _energies(model, pair, _moved(model.table(), label, parameter, position), parameter)
                for position in POSITIONS
            ]
        )  # (positions, labels)
        energies.append(along)
        own = along[:, label]
        falling += list(own[1:] <= (1 + TOLERANCE) * own[:-1])
    mean = np.mean(energies, axis=0)
    change = np.abs(np.log(np.maximum(mean[0], 1e-12) / np.maximum(mean[-1], 1e-12)))
    others = [change[other] for other in TISSUE_NAMES if other != label]
    return {
        "falling_share": float(np.mean(falling)),
        "ratio": float(mean[0, label] / max(mean[-1, label], 1e-12)),
        "selectivity": float(change[label] / max(*others, 1e-12)),
    }


def _moved(sliders: np.ndarray, label: int, parameter: int, position: float) -> np.ndarray:
    sliders = sliders.copy()
    sliders[label, parameter] = position
    return sliders


def _energies(model: Model, pair: TrainingPair, sliders: np.ndarray, parameter: int) -> list[float]:
    """Mean squared divergence (0) or shear (1) of every label."""
    spacing = torch.tensor(pair.spacing_mm).view(1, -1, *[1] * len(pair.shape))
    shear, divergence = strain_invariants(model.displacement(pair, sliders) * spacing, pair.spacing_mm)
    density = (divergence, shear)[parameter][0, 0].numpy()
    return [float(density[pair.fixed_labels == label].mean()) for label in range(len(TISSUE_NAMES) + 1)]


def report(pack: str | Path, cache: str | Path, count: int, spacing_mm: float) -> dict[str, dict[str, float]]:
    """Accuracy per load and response per slider, by name.

    Args:
        pack: Folder or name of the pack.
        cache: Folder for data that is made once.
        count: Pairs of each load.
        spacing_mm: Voxel size.

    Raises:
        ValueError: There is no such pack or it is broken.
    """
    model = Model(named_pack(pack))
    table: dict[str, dict[str, float]] = {}
    for load in LOADS:
        pairs = unseen_pairs(cache, model.card.dimension, spacing_mm, count, load)
        rows = [vars(accuracy(model, pair)) for pair in pairs]
        table[load] = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        if load == "breathing":
            few = pairs[: max(1, count // 5)]
            table.update({name: response(model, few, label, parameter) for label, parameter, name in model.sliders()})
    return table


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__.splitlines()[0])
    parser.add_argument("pack", help="folder of the pack, or the name of an installed one")
    parser.add_argument("--count", type=int, default=30, help="pairs of each load")
    parser.add_argument("--spacing-mm", type=float, default=4.0, help="voxel size of the phantoms")
    parser.add_argument("--cache", default=CACHE, help="folder for data that is made once")
    parser.add_argument("--output", help="write the numbers to this file as JSON")
    arguments = parser.parse_args()
    try:
        table = report(arguments.pack, arguments.cache, arguments.count, arguments.spacing_mm)
    except ValueError as error:
        parser.error(str(error))
    for name, values in table.items():
        print(f"{name:<12}" + "  ".join(f"{key} {value:.4g}" for key, value in values.items()))
    if arguments.output:
        Path(arguments.output).write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
