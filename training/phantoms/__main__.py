"""Write synthetic patients as files, and the list of them that the command ``batch`` takes.

    python -m training.phantoms FOLDER [--count 30] [--dimension 2]

Every patient gets a folder with both images, both segmentations, landmarks and ``material.json``, the true λ and μ in
kPa; ``FOLDER/pairs.csv`` lists all of them. No model was trained on these patients.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

from training.datasets.phantom_pairs import FIRST_TEST, load_of, phantom_case

from .case import PhantomCase
from .loads import LOADS
from .subject import TISSUE_NAMES

LIST, MATERIAL = "pairs.csv", "material.json"
FILES = {
    "fixed": "fixed.nii.gz",
    "moving": "moving.nii.gz",
    "segmentation": "segmentation.nii.gz",
    "moving_segmentation": "moving_segmentation.nii.gz",
    "landmarks": "landmarks.csv",
}
NAMES = ",".join(f"{label}={name}" for label, name in TISSUE_NAMES.items())


def write_subjects(folder: Path, dimension: int, numbers: list[int], spacing_mm: float | None = None) -> Path:
    """Make subjects, one folder for each.

    Args:
        folder: Where they go.
        dimension: 2 or 3.
        numbers: Of the subjects.
        spacing_mm: Voxel size; None: see `make_case`.

    Returns:
        The list of them, which is written last.
    """
    rows = []
    for place, number in enumerate(numbers, start=1):
        subject = f"phantom-{place:03d}"
        case = phantom_case(dimension, number, spacing_mm)
        case.save(folder / subject)
        (folder / subject / MATERIAL).write_text(json.dumps(_material(case, number), indent=1) + "\n", encoding="utf-8")
        rows.append(
            {"subject": subject, **{title: f"{subject}/{name}" for title, name in FILES.items()}, "tissues": NAMES}
        )
        print(f"{place} of {len(numbers)}: {subject}", flush=True)
    with open(folder / LIST, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, ["subject", *FILES, "tissues"])
        writer.writeheader()
        writer.writerows(rows)
    return folder / LIST


def _material(case: PhantomCase, number: int) -> dict:
    """What a registration may be compared with: λ and μ in kPa by tissue, and what has moved the body."""
    return {
        "number": number,
        "load": load_of(number),
        "tissues": {
            name: {"lambda_kpa": case.lam_kpa[label], "mu_kpa": case.mu_kpa[label]}
            for label, name in TISSUE_NAMES.items()
        },
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training.phantoms", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where they are written")
    parser.add_argument("--count", type=int, default=30, help="patients")
    parser.add_argument("--dimension", type=int, default=2, choices=[2, 3], help="2: single slices, 3: volumes")
    parser.add_argument("--first", type=int, default=FIRST_TEST, help="number of the first patient")
    parser.add_argument("--load", choices=list(LOADS), help="what moves all of them; without it the loads take turns")
    parser.add_argument("--spacing-mm", type=float, help="voxel size (4 mm in slices, 6 mm in volumes)")
    arguments = parser.parse_args()
    if arguments.count < 1 or arguments.first < 0:
        parser.error("--count must be at least 1 and --first at least 0.")
    try:
        print(write_subjects(arguments.folder, arguments.dimension, _numbers(arguments), arguments.spacing_mm))
    except (ValueError, OSError) as error:
        parser.error(str(error))


def _numbers(arguments: argparse.Namespace) -> list[int]:
    """The first ``count`` numbers from ``first`` on, of those with the load that is wanted."""
    last = arguments.first + len(LOADS) * arguments.count
    fitting = [number for number in range(arguments.first, last) if arguments.load in (None, load_of(number))]
    return fitting[: arguments.count]


if __name__ == "__main__":
    main()
