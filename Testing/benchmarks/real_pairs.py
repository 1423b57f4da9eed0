"""Every real pair of the patient images with default options: accuracy, and what is said against the result.

python Testing/benchmarks/real_pairs.py [--data FOLDER] [--cases lung-4dct-p102 ...] [--model direct]

TRE over the landmarks, Dice over all labels that both segmentations have, before and after.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from measuring import add_data_option, print_table, run_register

LUNG = {"tissues": "1=lung,2=soft,3=bone"}
HEART = {
    "fixed": "ed.nii.gz",
    "moving": "es.nii.gz",
    "segmentation": "ed_labels.nii.gz",
    "moving-segmentation": "es_labels.nii.gz",
    "tissues": "1=cavity,2=myocardium",
}
TUMOR = {
    "fixed": "pre_t1.nii.gz",
    "moving": "post_t1.nii.gz",
    "segmentation": "pre_labels.nii.gz",
    "moving-segmentation": "post_labels.nii.gz",
}
CASES = {
    "lung-4dct-p102": {
        "fixed": "exhale_phase50_ct.nii.gz",
        "moving": "inhale_phase00_ct.nii.gz",
        "segmentation": "exhale_phase50_tissue.nii.gz",
        "moving-segmentation": "inhale_phase00_tissue.nii.gz",
        "landmarks": "landmarks_fixed_exhale.csv",
        **LUNG,
    },
    "lung-ct-followup": {
        "fixed": "baseline_ct.nii.gz",
        "moving": "followup_ct.nii.gz",
        "segmentation": "baseline_tissue.nii.gz",
        "moving-segmentation": "followup_tissue.nii.gz",
        "landmarks": "landmarks.csv",
        **LUNG,
    },
    "cardiac-cine-scd0000101": HEART,
    "cardiac-cine-scd0000301": HEART,
    "cardiac-cine-scd0000401": HEART,
    "brain-tumor-05": TUMOR,
    "brain-tumor-08": TUMOR,
}


def main() -> None:
    """Register all cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_option(parser)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--model", default="direct")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case in options.cases:
            files = {name: _found(options.data / case, value) for name, value in CASES[case].items()}
            result = run_register(Path(folder) / case, {**files, "model": options.model}).result
            rows.append(_row(case, result))
            for sentence in (*result.get("unreliable", ()), *result["warnings"]):
                print(f"{case}: {sentence}", flush=True)
    print_table(
        f"{options.model}, default options",
        (
            "",
            "TRE before",
            "after",
            "Dice before",
            "after",
            "similarity",
            "kept",
            "most strain",
            "folding %",
            "unreliable",
        ),
        rows,
    )


def _found(folder: Path, value: str) -> Path | str:
    return folder / value if value.endswith((".gz", ".csv")) else value


def _row(case: str, result: dict) -> tuple:
    tre = result["tre_mm"] or {"before_mean": float("nan"), "after_mean": float("nan")}
    tissues = result["tissues"]
    dice = [(t["dice_before"], t["dice_after"]) for t in tissues if t["dice_after"] is not None]
    before, after = np.mean(dice, axis=0) if dice else (float("nan"), float("nan"))
    return (
        case,
        tre["before_mean"],
        tre["after_mean"],
        float(before),
        float(after),
        result["similarity"]["after"],
        result.get("kept_share", float("nan")),
        max(t["strain_rms"] or 0.0 for t in tissues if t["name"] != "background"),
        result["negative_jacobian_percent"],
        len(result.get("unreliable", ())),
    )


if __name__ == "__main__":
    main()
