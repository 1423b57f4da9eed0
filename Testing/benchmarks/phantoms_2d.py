"""Accuracy and speed of the direct solver on fresh 2D phantom pairs, whose true displacement is known.

python Testing/benchmarks/phantoms_2d.py [--pairs 30] [--first-seed 1000]

The same for networks: network_accuracy.py.

EPE: mean distance in mm between found and true displacement, in the body where the true counterpart is in the moving
image. Dice: mean over lung, bone and liver of the moving labels warped by the result.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from time import process_time

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # for `training`, which is not installed

from measuring import dice, print_table

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.data.images import ImagePair
from TissueElasticRegistrationLib.core.data.itk_bridge import displacement_transform, resample_array
from TissueElasticRegistrationLib.core.data.progress import finish
from TissueElasticRegistrationLib.core.data.tissues import Lame, TissueParameters
from TissueElasticRegistrationLib.core.evaluation.metrics import map_points_ras_mm
from TissueElasticRegistrationLib.core.registration.direct_solver import DirectSolver
from TissueElasticRegistrationLib.core.registration.registrar import Registrar
from training.phantoms import LOADS, PhantomCase, make_case

TISSUES = {1: "lung", 2: "bone", 3: "liver", 4: "soft"}
DICE_LABELS = (1, 2, 3)


@dataclass(frozen=True)
class Scores:
    """One registered pair. Distances in mm, processor times in seconds; J before (no deformation) and after."""

    epe_mm: float
    tissue_epe_mm: dict[int, float]
    dice: float
    folding_percent: float
    objective_before: float
    objective_after: float
    solver_seconds: float
    whole_seconds: float


def main() -> None:
    """Make the pairs, register them in every way asked for and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("--load", choices=list(LOADS), default="breathing")
    parser.add_argument("--spacing-mm", type=float, default=4.0)
    parser.add_argument("--uniform-weight", type=float, default=1.0, help="λ and μ of every tissue (default 1)")
    parser.add_argument("--no-copies", action="store_true", help="leave out the flipped and transposed copies")
    options = parser.parse_args()

    seeds = range(options.first_seed, options.first_seed + options.pairs)
    cases = [make_case(2, seed, load=options.load, spacing_mm=options.spacing_mm) for seed in seeds]
    uniform = TissueParameters({}, default=Lame(options.uniform_weight, options.uniform_weight))
    table = [score(case) for case in cases]
    rows = [
        _row("tissue table", table),
        _row(f"uniform {options.uniform_weight:g}", [score(case, parameters=uniform) for case in cases]),
    ]
    print_table(
        f"{options.pairs} pairs from seed {options.first_seed}, {options.load}, one thread; EPE in mm",
        ("", "EPE", *TISSUES.values(), "worst", "Dice", "folded pairs", "CPU s solver", "whole"),
        rows,
    )
    print(
        f"EPE without registration {np.mean([_epe(case, 0)[0] for case in cases]):.3f} mm; "
        f"Dice before {np.mean([_true_dice(case, 0) for case in cases]):.4f}, "
        f"of the true displacement {np.mean([_true_dice(case, 1) for case in cases]):.4f}"
    )
    if not options.no_copies:
        _print_copies(cases, table)


def _print_copies(cases: list[PhantomCase], originals: list[Scores]) -> None:
    rows = []
    for name, copy in (
        ("flipped left-right", lambda c: flipped(c, 2)),
        ("flipped up-down", lambda c: flipped(c, 1)),
        ("transposed", transposed),
    ):
        copies = [score(copy(case)) for case in cases]
        differences = [b.epe_mm - a.epe_mm for a, b in zip(originals, copies, strict=True)]
        rows.append(
            (
                name,
                float(np.mean([score.epe_mm for score in copies])),
                float(np.mean(differences)),
                float(np.abs(differences).max()),
            )
        )
    print_table(
        "copies of the same pairs, tissue table; EPE in mm", ("", "EPE", "mean difference", "largest of a pair"), rows
    )


def flipped(case: PhantomCase, axis: int) -> PhantomCase:
    """The mirrored pair: all voxels in reverse order along one axis (1 rows, 2 columns), on the same grid."""
    geometry = case.fixed.geometry
    grid = np.flip(geometry.displacement_grid(case.displacement_ras_mm), axis + 1).copy()
    grid[axis] *= -1
    return _rearranged(case, geometry, lambda array: np.ascontiguousarray(np.flip(array, axis)), grid)


def transposed(case: PhantomCase) -> PhantomCase:
    """The pair with rows and columns exchanged."""
    old = case.fixed.geometry
    shape, spacing = np.array(old.shape_kji), old.spacing_kji_mm
    geometry = old.resampled(spacing[[0, 2, 1]], shape[[0, 2, 1]])
    grid = np.swapaxes(old.displacement_grid(case.displacement_ras_mm), 2, 3)[[0, 2, 1]]
    return _rearranged(case, geometry, lambda array: np.ascontiguousarray(np.swapaxes(array, 1, 2)), grid)


def _rearranged(case: PhantomCase, geometry: Geometry, move, grid: np.ndarray) -> PhantomCase:
    images = {
        name: replace(getattr(case, name), array_kji=move(getattr(case, name).array_kji), geometry=geometry)
        for name in ("fixed", "moving")
    }
    labels = {
        name: replace(getattr(case, name), labels_kji=move(getattr(case, name).labels_kji), geometry=geometry)
        for name in ("fixed_segmentation", "moving_segmentation")
    }
    return replace(
        case, **images, **labels, displacement_ras_mm=geometry.displacement_ras_mm(grid), valid=move(case.valid)
    )


def score(
    case: PhantomCase, solver: DirectSolver | None = None, refine: int = 0, parameters: TissueParameters | None = None
) -> Scores:
    """Register one pair on one thread. parameters: None for the table; refine: further steps at full resolution."""
    began = process_time()
    pair = ImagePair(case.fixed, case.moving, case.fixed_segmentation, case.moving_segmentation)
    registrar = Registrar(pair, solver, threads=1)
    finish(registrar.prepare())
    parameters = parameters or registrar.table_parameters()
    solving = process_time()
    finish(registrar.register(parameters))
    if refine:
        finish(registrar.refine(parameters, refine))
    solved = process_time()
    result = finish(registrar.result())
    whole_seconds = process_time() - began
    centers = case.fixed.geometry.voxel_centers_ras_mm()
    mapped = map_points_ras_mm(centers.reshape(-1, 3), result.displacement_ras_mm, result.geometry)
    epe, by_tissue = _epe(case, mapped.reshape(centers.shape) - centers)
    return Scores(
        epe,
        by_tissue,
        _mean_dice(case, result.warped_segmentation.labels_kji),
        result.negative_jacobian_percent,
        result.objective_values.objective_before,
        result.objective_values.objective_after,
        solved - solving,
        whole_seconds,
    )


def _epe(case: PhantomCase, displacement_ras_mm: np.ndarray | float) -> tuple[float, dict[int, float]]:
    error_mm = np.linalg.norm(displacement_ras_mm - case.displacement_ras_mm, axis=-1)
    labels = np.where(case.valid, case.fixed_segmentation.labels_kji, 0)
    return float(error_mm[labels > 0].mean()), {label: float(error_mm[labels == label].mean()) for label in TISSUES}


def _true_dice(case: PhantomCase, factor: float) -> float:
    """Dice when the moving labels are warped by the true displacement times ``factor``."""
    geometry, moving = case.fixed.geometry, case.moving_segmentation
    transform = displacement_transform(factor * case.displacement_ras_mm, geometry)
    return _mean_dice(case, resample_array(moving.labels_kji, moving.geometry, transform, geometry, 0, nearest=True))


def _mean_dice(case: PhantomCase, warped_kji: np.ndarray) -> float:
    return float(np.mean([dice(case.fixed_segmentation.labels_kji, warped_kji, label) for label in DICE_LABELS]))


def _row(name: str, scores: list[Scores]) -> tuple:
    return (
        name,
        float(np.mean([s.epe_mm for s in scores])),
        *[float(np.mean([s.tissue_epe_mm[label] for s in scores])) for label in TISSUES],
        max(s.epe_mm for s in scores),
        f"{np.mean([s.dice for s in scores]):.4f}",
        sum(s.folding_percent > 0 for s in scores),
        float(np.median([s.solver_seconds for s in scores])),
        float(np.median([s.whole_seconds for s in scores])),
    )


if __name__ == "__main__":
    main()
