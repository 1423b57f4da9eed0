"""Does the shear modulus ratio follow the true one? Fresh phantoms, moved by every kind of load.

python Testing/benchmarks/stiffness.py [--subjects 10] [--first-seed 960000] [--dimension 2] [--spacing MM] [--grid]
                                       [--parts]

Spearman rank correlation of the estimated with the true shear modulus, both relative to soft tissue: pooled over lung,
bone and liver, and within lung and within liver. --grid adds the μ of the Dice grid (long). --parts tells where
errors come from: the same estimate from the true displacement, and from it with noise of 0.5 mm in every voxel.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from time import process_time

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # for `training`, which is not installed

from measuring import print_table

from TissueElasticRegistrationLib.core.data.images import ImagePair
from TissueElasticRegistrationLib.core.data.progress import finish
from TissueElasticRegistrationLib.core.data.tissues import Tissue, TissueParameters
from TissueElasticRegistrationLib.core.estimation.grid_search import estimate_by_grid
from TissueElasticRegistrationLib.core.registration.direct_solver import DirectSolver
from TissueElasticRegistrationLib.core.registration.registrar import Registrar
from TissueElasticRegistrationLib.core.stiffness.shear_modulus_ratio import (
    WEAK,
    ShearModulusRatios,
    estimate_shear_modulus_ratios,
    ratios_from_displacement,
)
from training.phantoms import LOADS, PhantomCase, make_case

TISSUES = {1: "lung", 2: "bone", 3: "liver"}
SOFT = 4
NOISE_MM = 0.5
# method -> list of (load, label, estimated log ratio, true log ratio)
Answers = dict[str, list[tuple[str, int, float, float]]]


def main() -> None:
    """Estimate for every subject and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, default=10, help="of each load (default 10)")
    parser.add_argument("--first-seed", type=int, default=960_000)
    parser.add_argument("--dimension", type=int, choices=(2, 3), default=2)
    parser.add_argument("--spacing", type=float, help="voxel size in mm (default 4 in 2D, 6 in 3D)")
    parser.add_argument("--grid", action="store_true")
    parser.add_argument("--parts", action="store_true")
    options = parser.parse_args()

    answers: Answers = defaultdict(list)
    reports: list[tuple[ShearModulusRatios, PhantomCase]] = []
    seconds, alone = [], []
    for number in range(options.subjects * len(LOADS)):
        load = list(LOADS)[number % len(LOADS)]
        case = _case(options.first_seed + number, load, options)
        registrar = Registrar(
            ImagePair(case.fixed, case.moving, case.fixed_segmentation, case.moving_segmentation),
            threads=1,
            initial="none",
        )
        finish(registrar.prepare())
        began = process_time()
        try:
            report = finish(estimate_shear_modulus_ratios(registrar))
        except ValueError as error:
            print(f"{number + 1}: {load}, no answer: {error}", flush=True)
            continue
        seconds.append(process_time() - began)
        began = process_time()
        solution = finish(DirectSolver().solve(registrar.pyramid, TissueParameters({}, default=WEAK)))
        alone.append(process_time() - began)
        reports.append((report, case))
        _note(answers["shear modulus ratio"], load, case, _ratios(report))
        _note(answers["strain index"], load, case, {row.tissue.label: row.strain_index for row in report.per_tissue})
        print(
            f"{number + 1}: {load}, "
            + ", ".join(
                f"{name} {row[2]:.2f} (strain index {other[2]:.2f}, true {row[3]:.2f})"
                for name, row, other in zip(
                    TISSUES.values(), answers["shear modulus ratio"][-3:], answers["strain index"][-3:], strict=True
                )
            ),
            flush=True,
        )
        if options.parts:
            _parts(answers, load, case, registrar.tissues, solution.displacement[0].double().numpy())
        if options.grid:
            estimate = finish(estimate_by_grid(registrar, registrar.table_parameters()))
            mu = {row.tissue.label: np.log(row.lame.mu) for row in estimate.per_tissue}
            _note(answers["Dice grid"], load, case, {label: mu[label] - mu[SOFT] for label in TISSUES})
    _print(answers, options)
    _print_honesty(reports)
    print(
        f"CPU seconds per subject, medians: {np.median(seconds):.2f}, its registration {np.median(alone):.2f}; "
        f"peak memory {getrusage(RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"
    )


def _case(seed: int, load: str, options: argparse.Namespace) -> PhantomCase:
    """One whose motion cannot be inverted (1 of 600) is replaced."""
    try:
        return make_case(options.dimension, seed, load=load, spacing_mm=options.spacing)
    except RuntimeError:
        return make_case(options.dimension, seed + 10_000_000, load=load, spacing_mm=options.spacing)


def _parts(answers: Answers, load: str, case: PhantomCase, tissues: tuple[Tissue, ...], registered: np.ndarray) -> None:
    axes, place = (slice(1, None), 0) if len(registered) == 2 else (slice(None), slice(None))
    spacing_mm = case.fixed.geometry.spacing_kji_mm[axes]
    true = case.fixed.geometry.displacement_grid(case.displacement_ras_mm)[axes, place].astype(float)
    labels, valid = case.fixed_segmentation.labels_kji[place], case.valid[place]
    size_mm = np.reshape(spacing_mm, (-1, *[1] * len(true)))
    noise = np.random.default_rng(0).normal(0, NOISE_MM, true.shape) / size_mm
    displacements = {"true displacement": true, f"true, noise {NOISE_MM:g} mm": true + noise}
    if registered.shape == true.shape:
        displacements["registered, without images"] = registered
    for name, displacement in displacements.items():
        report = finish(ratios_from_displacement(displacement, spacing_mm, labels, tissues, inside=valid))
        _note(answers[name], load, case, _ratios(report))


def _ratios(report: ShearModulusRatios) -> dict[int, float]:
    return {row.tissue.label: float(np.log(row.mu)) for row in report.per_tissue}


def _note(rows: list, load: str, case: PhantomCase, ratios: dict[int, float]) -> None:
    for label in TISSUES:
        if np.isfinite(ratios.get(label, np.nan)):
            rows.append((load, label, ratios[label], np.log(case.mu_kpa[label] / case.mu_kpa[SOFT])))


def _print(answers: Answers, options: argparse.Namespace) -> None:
    for load in (*LOADS, "all loads"):
        rows = []
        for method, found in answers.items():
            mine = [row for row in found if load in (row[0], "all loads")]
            error = np.array([row[2] - row[3] for row in mine if row[1] in (1, 3)])
            rows.append(
                (
                    method,
                    _rank(mine),
                    *[_rank(row for row in mine if row[1] == label) for label in TISSUES],
                    float(np.sqrt(np.mean(error**2))),
                    float(np.mean(error)),
                )
            )
        count = options.subjects * (1 if load in LOADS else len(LOADS))
        print_table(
            f"{load}: {count} subjects from seed {options.first_seed}; rank correlation with the true ratio",
            ("", "pooled", *TISSUES.values(), "rms error of ln (lung, liver)", "mean error"),
            rows,
        )


def _print_honesty(reports: list[tuple[ShearModulusRatios, PhantomCase]]) -> None:
    rows, everywhere = [], []
    for label, name in TISSUES.items():
        claims = []
        for report, case in reports:
            row = next(row for row in report.per_tissue if row.tissue.label == label)
            claims.append((row.supported, row.low <= case.mu_kpa[label] / case.mu_kpa[SOFT] <= row.high))
        everywhere += claims
        rows.append((name, *_shares(claims)))
    rows.append(("all", *_shares(everywhere)))
    print_table("what is claimed", ("", "supported", "truth within the 95 % interval", "of those supported"), rows)
    conditions = [report.condition for report, _ in reports]
    print(f"condition: median {np.median(conditions):.1f}, largest {np.max(conditions):.1f}")


def _shares(claims: list[tuple[bool, bool]]) -> tuple[str, str, str]:
    supported = [covered for claimed, covered in claims if claimed]
    return (
        f"{len(supported) / len(claims):.0%}",
        f"{np.mean([covered for _, covered in claims]):.0%}",
        f"{np.mean(supported):.0%}" if supported else "-",
    )


def _rank(rows: Iterable[tuple[str, int, float, float]]) -> float:
    rows = list(rows)
    if len(rows) < 3:
        return float("nan")
    ranks = [np.argsort(np.argsort([row[column] for row in rows])) for column in (2, 3)]
    return float(np.corrcoef(*ranks)[0, 1])


if __name__ == "__main__":
    main()
