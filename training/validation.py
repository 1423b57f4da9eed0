"""How good a network is on pairs it has never seen, by the same measures as the extension."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from TissueElasticRegistrationLib.core.evaluation.metrics import dice
from TissueElasticRegistrationLib.core.physics.deformation import folding, warp
from TissueElasticRegistrationLib.core.physics.objective import Objective
from TissueElasticRegistrationLib.core.reporting import pictures

from .datasets.pair import Batch, TrainingPair, collate
from .losses import batch_terms, displacement_of

PICTURE_ROWS = 4


@dataclass(frozen=True, eq=False)
class Validation:
    """Pairs with the sliders at which a user would begin, and a random set of sliders for each.

    Attributes:
        pairs: The pairs to validate on.
        sliders: (pairs, C, 2) at which a user would begin.
        random_sliders: (pairs, C, 2) random ones.
        judged: Labels whose overlap counts; None for all but the background.
        tissues: Labels above it are background to the network, but not when its result is judged.
    """

    pairs: Sequence[TrainingPair]
    sliders: np.ndarray
    random_sliders: np.ndarray
    judged: tuple[int, ...] | None = None
    tissues: int | None = None

    def batch(self, number: int, sliders: np.ndarray, device: torch.device | str) -> Batch:
        """One pair with its row of sliders.

        Args:
            number: Of the pair.
            sliders: (pairs, C, 2).
            device: Where the tensors go.
        """
        batch = collate([self.pairs[number].merged(self.tissues)], sliders[number : number + 1])
        return Batch(*[part.to(device) if isinstance(part, torch.Tensor) else part for part in batch])


@dataclass(frozen=True)
class Scores:
    """Means over pairs.

    Attributes:
        objective: J at both sets of sliders, lower is better.
        similarity: At both sets of sliders, higher is better.
        epe_mm: Mean distance to the true correspondence inside the body, NaN where it is unknown.
        dice: Of fixed labels and moved moving labels.
        folding_percent: Voxels at which the deformation folds.
        response_mm: Mean distance in the body between the deformations at both sets of sliders; 0 if the
            network ignores them.
    """

    objective: float
    similarity: float
    epe_mm: float
    dice: float
    folding_percent: float
    response_mm: float


@torch.no_grad()
def validate(
    network: nn.Module,
    objective: Objective,
    validation: Validation,
    integration_steps: int,
    device: torch.device | str = "cpu",
) -> Scores:
    """Scores of a network.

    Args:
        network: Called as (fixed, moving, labels, sliders) -> velocity.
        objective: The objective that is minimized.
        validation: What to validate on.
        integration_steps: Squarings from velocity to displacement.
        device: Where the network is.
    """
    totals, similarities, rows = [], [], []
    for number, pair in enumerate(validation.pairs):
        displacements = []
        for sliders in (validation.random_sliders, validation.sliders):
            batch = validation.batch(number, sliders, device)
            velocity = network(batch.fixed, batch.moving, batch.labels, batch.sliders)
            terms = batch_terms(objective, velocity, batch, integration_steps)
            totals.append(float(terms.total))
            similarities.append(float(terms.similarity))
            displacements.append(displacement_of(velocity, pair.shape, integration_steps).cpu())
        other, displacement = displacements  # the second at the user's sliders
        rows.append(
            (
                endpoint_error_mm(pair, displacement),
                mean_dice(pair, displacement, validation.judged),
                100 * float(folding(displacement).float().mean()),
                _mean(_length_mm(pair, (displacement - other)[0].numpy())[pair.fixed_labels > 0]),
            )
        )
    return Scores(
        float(np.mean(totals)), float(np.mean(similarities)), *(_mean(column) for column in zip(*rows, strict=True))
    )


def endpoint_error_mm(pair: TrainingPair, displacement: torch.Tensor) -> float:
    """Mean distance in mm to the truth over the body, where it is valid; NaN without a truth.

    Args:
        pair: The pair.
        displacement: (1, D, *shape) in voxels.
    """
    if pair.displacement is None:
        return float("nan")
    error_mm = _length_mm(pair, displacement[0].numpy() - pair.displacement)
    where = pair.fixed_labels > 0
    return _mean(error_mm[where if pair.valid is None else where & pair.valid])


def _length_mm(pair: TrainingPair, vectors: np.ndarray) -> np.ndarray:
    """(*shape) for vectors (D, *shape) in voxels."""
    return np.linalg.norm(vectors * np.array(pair.spacing_mm).reshape(-1, *[1] * len(pair.shape)), axis=0)


def mean_dice(pair: TrainingPair, displacement: torch.Tensor, judged: tuple[int, ...] | None = None) -> float:
    """Mean overlap of the labels that are in both images after moving; NaN without labels.

    Args:
        pair: The pair.
        displacement: (1, D, *shape) in voxels.
        judged: Labels that count; None for all but the background.
    """
    if pair.moving_labels is None:
        return float("nan")
    moved = moved_labels(pair, displacement)
    labels = judged or [label for label in np.unique(pair.fixed_labels).tolist() if label]
    return _mean([dice(pair.fixed_labels, moved, label) for label in labels])


def moved_labels(pair: TrainingPair, displacement: torch.Tensor) -> np.ndarray:
    """The moving labels at the displaced voxels, nearest.

    Args:
        pair: A pair with labels of the moving image.
        displacement: (1, D, *shape) in voxels.

    Returns:
        (*shape) uint8.
    """
    labels = torch.from_numpy(pair.moving_labels)[None, None].float()
    return warp(labels, displacement, mode="nearest")[0, 0].numpy().astype(np.uint8)


@torch.no_grad()
def picture(
    network: nn.Module, validation: Validation, integration_steps: int, device: torch.device | str = "cpu"
) -> np.ndarray:
    """Fixed, moving, moved, difference before and after, one row per pair; middle slices.

    Args:
        network: Called as (fixed, moving, labels, sliders) -> velocity.
        validation: Its first pairs are shown.
        integration_steps: Squarings from velocity to displacement.
        device: Where the network is.

    Returns:
        (rows, columns, 3) uint8.
    """
    rows = []
    for number, pair in enumerate(validation.pairs[:PICTURE_ROWS]):
        batch = validation.batch(number, validation.sliders, device)
        velocity = network(batch.fixed, batch.moving, batch.labels, batch.sliders)
        displacement = displacement_of(velocity, pair.shape, integration_steps)
        moved = warp(batch.moving, displacement)[0, 0].cpu().numpy()
        fixed, moving, moved = (_plane(image) for image in (pair.fixed, pair.moving, moved))
        everywhere = np.ones(fixed.shape, bool)
        rows.append(
            np.hstack(
                [
                    *[pictures.gray(image, (0, 1)) for image in (fixed, moving, moved)],
                    pictures.difference(fixed, moving, everywhere),
                    pictures.difference(fixed, moved, everywhere),
                ]
            )
        )
    return np.vstack(rows)


def _plane(image: np.ndarray) -> np.ndarray:
    return image if image.ndim == 2 else image[:, image.shape[1] // 2]


def _mean(values: Sequence[float]) -> float:
    """Mean of those that are numbers; NaN of none."""
    known = np.asarray(values, float)
    known = known[~np.isnan(known)]
    return float(known.mean()) if known.size else float("nan")
