"""What the benchmarks share: a table on the console, the command line as a measured process, checks of its files."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("PATIENT_DATA", ROOT / "patient-data")).expanduser()


@dataclass(frozen=True)
class Run:
    """One finished ``register`` command: its folder, times, peak memory and ``result.json``.

    ``seconds``: wall clock; ``cpu_seconds``: of all its threads together, which others on the machine disturb less.
    """

    output: Path
    seconds: float
    cpu_seconds: float
    peak_memory_mb: float
    result: dict[str, Any]


def add_data_option(parser: argparse.ArgumentParser) -> None:
    """``--data``: where the patient images are, by default where PATIENT_DATA says or in ``patient-data``."""
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the patient images (default: %(default)s)")


def run_register(output: Path, options: dict[str, object]) -> Run:
    """Run the command line as users do, in its own process. Stops the program if it fails.

    Linux counts the memory of the caller at the start as the child's: keep the caller smaller than the command.
    """
    command = [sys.executable, "-m", "TissueElasticRegistrationLib", "register", "--output", str(output)]
    command += [str(part) for name, value in options.items() for part in (f"--{name}", value)]
    began = perf_counter()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        messages = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = perf_counter() - began
    if process.returncode:
        sys.exit(f"{' '.join(command)}\nended with exit code {process.returncode}:\n{messages}")
    unit = 1024.0 if sys.platform != "darwin" else 1024.0**2
    result = json.loads((output / "result.json").read_text(encoding="utf-8"))
    return Run(output, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit, result)


def dice(a: np.ndarray, b: np.ndarray, label: int) -> float:
    """2 |A ∩ B| / (|A| + |B|), not a number if neither has the label."""
    in_a, in_b = a == label, b == label
    total = int(in_a.sum()) + int(in_b.sum())
    return 2 * int((in_a & in_b).sum()) / total if total else float("nan")


def label_overlaps(fixed: Path, moving: Path, labels: Iterable[int], transform: Path) -> dict[int, tuple[float, float]]:
    """Dice before and after for label maps in files; ``transform`` is applied by SimpleITK, nearest neighbor."""
    reference, source = sitk.ReadImage(str(fixed)), sitk.ReadImage(str(moving))
    target = sitk.GetArrayFromImage(reference)
    before, after = (
        sitk.GetArrayFromImage(sitk.Resample(source, reference, mapping, sitk.sitkNearestNeighbor, 0))
        for mapping in (sitk.Transform(3, sitk.sitkIdentity), sitk.ReadTransform(str(transform)))
    )
    return {label: (dice(target, before, label), dice(target, after, label)) for label in labels}


def transform_difference_percent(moving: Path, output: Path) -> float:
    """Largest difference of ``transform.h5`` applied to the moving file and ``warped.nii.gz``.

    In percent of the moving image's intensity range, where the transform leads into the moving image.
    """
    source = sitk.ReadImage(str(moving), sitk.sitkFloat32)
    warped = sitk.ReadImage(str(output / "warped.nii.gz"), sitk.sitkFloat32)
    transform = sitk.ReadTransform(str(output / "transform.h5"))
    applied = sitk.GetArrayFromImage(sitk.Resample(source, warped, transform, sitk.sitkLinear, 0.0))
    ones = sitk.Image(source.GetSize(), sitk.sitkUInt8) + 1
    ones.CopyInformation(source)
    valid = sitk.GetArrayFromImage(sitk.Resample(ones, warped, transform, sitk.sitkNearestNeighbor, 0)) > 0
    values = sitk.GetArrayViewFromImage(source)
    difference = np.abs(applied - sitk.GetArrayFromImage(warped))[valid].max()
    return float(100 * difference / (values.max() - values.min()))


def print_table(title: str, headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows below their headers, columns aligned, numbers with three decimals."""
    cells = [[_cell(value) for value in row] for row in (headers, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headers))]
    print(f"\n{title}")
    for number, row in enumerate(cells):
        first, *rest = (
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join([first, *rest]), flush=True)
        if number == 0:
            print("  ".join("-" * width for width in widths), flush=True)


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
