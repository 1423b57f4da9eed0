"""The command line on three cardiac cine MR pairs, end-diastole fixed and end-systole moving.

python Testing/benchmarks/cardiac.py [--data FOLDER] [--model universal-2d --refine 40]

The first row of a case names the tissues (the table's parameters), the second does not (soft tissue everywhere). The
moving segmentation holds the cavity only: the myocardium was not contoured in end-systole.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from measuring import add_data_option, label_overlaps, print_table, run_register, transform_difference_percent

CASES = ("cardiac-cine-scd0000101", "cardiac-cine-scd0000301", "cardiac-cine-scd0000401")
NAMES = "1=cavity,2=myocardium"
CAVITY = 1


def main() -> None:
    """Run all cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_option(parser)
    parser.add_argument("--refine", type=int, default=0, help="further steps at full resolution (default 0)")
    parser.add_argument("--model", default="direct", help="name of a model pack or, with a /, its folder")
    options = parser.parse_args()
    rows, named = [], []
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            for tissues in (NAMES, None):
                row = _row(options.data / case, tissues, options, Path(folder) / f"{case}-{bool(tissues)}")
                rows.append(row)
                named += [row[2]] if tissues else []
    print_table(
        "LV cavity, end-diastole fixed, end-systole moving",
        (
            "",
            "Dice before",
            "after",
            "HD95 mm before",
            "after",
            "folding %",
            "seconds",
            "CPU s",
            "peak MB",
            "transform %",
        ),
        rows,
    )
    print(f"tissues named: mean Dice {np.mean(named):.3f}, worst {min(named):.3f}")


def _row(case: Path, tissues: str | None, options: argparse.Namespace, output: Path) -> tuple:
    moving = case / "es.nii.gz"
    register = {
        "fixed": case / "ed.nii.gz",
        "moving": moving,
        "segmentation": case / "ed_labels.nii.gz",
        "moving-segmentation": case / "es_labels.nii.gz",
        "refine": options.refine,
        "model": options.model,
    }
    run = run_register(output, {**register, "tissues": tissues} if tissues else register)
    for warning in run.result["warnings"]:
        print(f"{output.name}: {warning}")
    # From the files, not from result.json: what somebody would find who applies the transform.
    before, after = label_overlaps(
        register["segmentation"], register["moving-segmentation"], [CAVITY], output / "transform.h5"
    )[CAVITY]
    cavity = next(tissue for tissue in run.result["tissues"] if tissue["id"] == str(CAVITY))
    return (
        f"{case.name} {'named' if tissues else 'unnamed'}",
        before,
        after,
        cavity["hd95_mm_before"],
        cavity["hd95_mm_after"],
        run.result["negative_jacobian_percent"],
        run.seconds,
        run.cpu_seconds,
        run.peak_memory_mb,
        transform_difference_percent(moving, output),
    )


if __name__ == "__main__":
    main()
