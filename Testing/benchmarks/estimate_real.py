"""Auto-estimate on patients: a 4DCT pair and three cardiac cine MR pairs, registered without a search and after
searches by Dice, by similarity alone and by landmarks, each with something held out to judge it by.

    python Testing/benchmarks/estimate_real.py [--data FOLDER] [--cases lung cardiac] [--models direct universal]

The lung's tissue map is divided at the carina: the left lung is held out when the right one tunes, and every second
landmark when the others do. Of the hearts only the cavity has labels in both phases; it is divided between slices, and
its lower part is held out. Every registration has the refinement of a usual one; seconds are processor seconds on one
thread. "universal": universal-3d for the lung, universal-2d for the hearts.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path

import cardiac
import lung_4dct
import numpy as np
from measuring import add_data_option, print_table

from TissueElasticRegistrationLib.commands.register_command import read_pair
from TissueElasticRegistrationLib.core.data.images import ImagePair, Segmentation
from TissueElasticRegistrationLib.core.data.progress import finish
from TissueElasticRegistrationLib.core.data.tissues import Tissue
from TissueElasticRegistrationLib.core.estimation.criteria.hold_out import HoldOut
from TissueElasticRegistrationLib.core.estimation.estimate import estimate
from TissueElasticRegistrationLib.core.registration.registrar import Registrar
from TissueElasticRegistrationLib.core.registration.solver import solver_for
from TissueElasticRegistrationLib.core.reporting.estimate_summary import landmark_errors_of

COLUMNS = ("TRE mm", "of held-out", "Dice tuned", "held-out", "folding %", "largest strain", "search s", "register s")
MODELS = {"lung": "universal-3d", "cardiac": "universal-2d"}


@dataclass(frozen=True)
class Case:
    """A pair, the objectives it can be searched by, and the names of what must not be looked at."""

    name: str
    kind: str
    pair: ImagePair
    objectives: tuple[str, ...]
    tuned: str
    held_out: str
    landmarks: tuple[str, ...] = ()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_option(parser)
    parser.add_argument("--cases", nargs="+", default=["lung", "cardiac"], choices=["lung", "cardiac"])
    parser.add_argument("--models", nargs="+", default=["direct", "universal"], choices=["direct", "universal"])
    options = parser.parse_args()
    rows = []
    for kind in options.cases:
        for case in (lung_cases if kind == "lung" else heart_cases)(options.data):
            for model in options.models:
                rows += rows_of(case, "direct" if model == "direct" else MODELS[kind])
    print_table("registered with the start values, and after searches", ("", *COLUMNS), rows)


def lung_cases(data: Path) -> list[Case]:
    folder = data / lung_4dct.CASE
    pair = pair_of(
        {
            "fixed": folder / "exhale_phase50_ct.nii.gz",
            "moving": folder / "inhale_phase00_ct.nii.gz",
            "segmentation": folder / "exhale_phase50_tissue.nii.gz",
            "tissues": "1=lung,2=soft,3=bone",
            "moving_segmentation": folder / "inhale_phase00_tissue.nii.gz",
            "landmarks": folder / "landmarks_fixed_exhale.csv",
        }
    )
    carina = pair.landmarks.all_names.index("Carina")
    points = pair.landmarks.fixed_ras_mm, pair.landmarks.moving_ras_mm
    cut = [
        divided(segmentation, "lung", ("right lung", "left lung"), 0, -float(own[carina][0]))
        for segmentation, own in zip((pair.fixed_segmentation, pair.moving_segmentation), points, strict=True)
    ]
    pair = replace(pair, fixed_segmentation=cut[0], moving_segmentation=cut[1])
    return [
        Case(
            "lung",
            "lung",
            pair,
            ("dice", "similarity", "landmarks"),
            "right lung",
            "left lung",
            tuple(pair.landmarks.all_names[1::2]),
        )
    ]


def heart_cases(data: Path) -> list[Case]:
    found = []
    for name in cardiac.CASES:
        folder = data / name
        pair = pair_of(
            {
                "fixed": folder / "ed.nii.gz",
                "moving": folder / "es.nii.gz",
                "segmentation": folder / "ed_labels.nii.gz",
                "tissues": cardiac.NAMES,
                "moving_segmentation": folder / "es_labels.nii.gz",
                "landmarks": None,
            }
        )
        # Both phases share one grid: the plane between the slices in which half of the cavity lies.
        labels = pair.fixed_segmentation.labels_kji
        counts = np.cumsum([(slice_ == cardiac.CAVITY).sum() for slice_ in labels])
        middle = int(np.searchsorted(counts, counts[-1] / 2))
        cut = [
            divided_at_slice(segmentation, middle)
            for segmentation in (pair.fixed_segmentation, pair.moving_segmentation)
        ]
        pair = replace(pair, fixed_segmentation=cut[0], moving_segmentation=cut[1])
        found.append(
            Case(
                name.removeprefix("cardiac-cine-"),
                "cardiac",
                pair,
                ("dice", "similarity"),
                "upper cavity",
                "lower cavity",
            )
        )
    return found


def pair_of(files: dict[str, object]) -> ImagePair:
    return read_pair(argparse.Namespace(**files))


def divided(segmentation: Segmentation, name: str, names: tuple[str, str], axis: int, place_mm: float) -> Segmentation:
    """A tissue cut in two: where minus the RAS coordinate is below ``place_mm``, the first of ``names``."""
    where = -segmentation.geometry.voxel_centers_ras_mm()[..., axis]
    return cut_in_two(segmentation, name, names, where >= place_mm)


def divided_at_slice(segmentation: Segmentation, first: int) -> Segmentation:
    """The cavity cut in two; slices from ``first`` on are its upper part."""
    lower = np.arange(len(segmentation.labels_kji))[:, None, None] < first
    return cut_in_two(segmentation, "cavity", ("upper cavity", "lower cavity"), lower)


def cut_in_two(segmentation: Segmentation, name: str, names: tuple[str, str], second: np.ndarray) -> Segmentation:
    tissue = next(tissue for tissue in segmentation.tissues if tissue.name == name)
    other = Tissue(1 + max(tissue.label for tissue in segmentation.tissues), names[1])
    labels = segmentation.labels_kji.copy()
    labels[(labels == tissue.label) & second] = other.label
    tissues = (*(Tissue(own.label, names[0]) if own is tissue else own for own in segmentation.tissues), other)
    return replace(segmentation, labels_kji=labels, tissues=tissues)


def rows_of(case: Case, model: str) -> list[tuple]:
    registrar = Registrar(case.pair, solver_for(model), initial="none", threads=1)
    finish(registrar.prepare())
    label = next(tissue.label for tissue in registrar.tissues if tissue.name == case.held_out)
    rows = []
    for objective in (None, *case.objectives):
        parameters, seconds = registrar.table_parameters(), 0.0
        if objective is not None:
            began = time.process_time()
            hold_out = HoldOut.of(
                [] if objective == "landmarks" else [label], case.landmarks if objective == "landmarks" else []
            )
            found = finish(estimate(registrar, parameters, objective=objective, hold_out=hold_out))
            parameters, seconds = found.parameters, time.process_time() - began
            print_found(case, model, objective, found)
        rows.append((f"{case.name}, {model}: {objective or 'none'}", *measured(case, registrar, parameters, seconds)))
        print(*(f"{cell:.3f}" if isinstance(cell, float) else cell for cell in rows[-1]), flush=True)
    return rows


def measured(case: Case, registrar: Registrar, parameters, search_seconds: float) -> tuple:
    """The columns for a registration with these parameters."""
    began = time.process_time()
    finish(registrar.register(parameters))
    if steps := registrar.solver.usual_refinement(registrar.working.dimension):
        finish(registrar.refine(parameters, steps))
    seconds = time.process_time() - began
    result = finish(registrar.result())
    dice = {row.tissue.name: row.dice_after for row in result.tissues}
    errors, kept = result.landmark_errors, landmark_errors_of(case.pair, result, case.landmarks)
    tre = tuple("-" if one is None else one.after_mean for one in (errors, kept))
    strain = max(row.strain_rms for row in result.tissues if row.tissue.label > 0)
    return (
        *tre,
        dice[case.tuned],
        dice[case.held_out],
        result.negative_jacobian_percent,
        strain,
        round(search_seconds, 1),
        round(seconds, 1),
    )


def print_found(case: Case, model: str, objective: str, found) -> None:
    values = ", ".join(
        f"{row.tissue.name} {row.lame.lam:.3g}/{row.lame.mu:.3g}" for row in found.per_tissue if row.is_estimated
    )
    print(f"{case.name}, {model}, by {objective}: λ/μ {values}")
    for warning in found.warnings:
        print(f"    {warning}", flush=True)


if __name__ == "__main__":
    main()
