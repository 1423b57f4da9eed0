"""The numbers of all registrations as text."""

from __future__ import annotations

from itertools import accumulate, chain
from pathlib import Path

import numpy as np

from TissueElasticRegistrationLib.core.data.images import ImagePair
from TissueElasticRegistrationLib.core.data.result import TissueResult
from TissueElasticRegistrationLib.core.data.tissues import Lame

from .runs import Runs

MISSING = "-"
MEANINGS = {
    "case": "the simulated patient",
    "panel.png": "the module with the result",
    "overview.png": "all registrations in one picture",
    "scene.mrb": "what the module shows: open it in Slicer",
    "transform.h5": "deformation, for Slicer and ITK",
    "warped.nii.gz": "moving image on the fixed grid",
    "warped_labels.nii.gz": "moving segmentation likewise",
    "jacobian.nii.gz": "local change of volume",
    "report.html": "report with pictures",
    "result.json": "the numbers",
}


def summary(pair: ImagePair, runs: Runs, seconds: float, output: Path) -> str:
    """A table of tissues, landmarks and similarity below it, seconds, and where the files are."""
    names = [run.name for run in runs]
    head = {"": [""], "λ, μ": names, "Dice": ["before", *names], "strain, %": names}
    rows = [list(chain.from_iterable(head.values())), *(_row(results) for results in runs.tissues())]
    lines = [
        f"{pair.moving.name} registered to {pair.fixed.name}, with {len(runs)} tables of λ and μ",
        "",
        *_aligned(list(head), [len(group) for group in head.values()], rows),
        "",
        *_whole(runs),
        "",
        _seconds(runs, seconds),
        "",
        *_files(output, runs),
    ]
    return "\n".join(lines)


def weight_text(lame: Lame) -> str:
    """λ and μ, as one number where they are equal."""
    return f"{lame.lam:.2g}" if lame.lam == lame.mu else f"{lame.lam:.2g}, {lame.mu:.2g}"


def _row(results: tuple[TissueResult, ...]) -> list[str]:
    """One tissue in all runs."""
    dice = [results[0].dice_before, *(row.dice_after for row in results)]
    return [
        results[0].tissue.name,
        *(weight_text(row.parameters) for row in results),
        *(_number(value, 3) for value in dice),
        *(_number(100 * row.strain_rms, 1) for row in results),
    ]


def _aligned(titles: list[str], sizes: list[int], rows: list[list[str]]) -> list[str]:
    """Lines of groups of columns, a title over each group."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        _joined(
            [
                f"{cell:<{width}}" if column == 0 else f"{cell:>{width}}"
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ],
            sizes,
        )
        for row in rows
    ]
    spans = [len(cells) for cells in _joined([" " * width for width in widths], sizes).split(" | ")]
    title = " | ".join(f"{text:<{span}}" for text, span in zip(titles, spans, strict=True)).rstrip()
    return [title, lines[0], "-" * len(lines[0]), *lines[1:]]


def _joined(cells: list[str], sizes: list[int]) -> str:
    return " | ".join("  ".join(cells[end - size : end]) for size, end in zip(sizes, accumulate(sizes), strict=True))


def _whole(runs: Runs) -> list[str]:
    """What is measured over the whole image."""
    first = runs[0].result
    lines = []
    if first.landmark_errors is not None:
        after = ", ".join(
            f"{run.result.landmark_errors.after_mean:.2f} ({run.result.landmark_errors.after_max:.1f}) {run.name}"
            for run in runs
        )
        before = first.landmark_errors
        lines.append(
            f"Landmark error in mm, mean (largest) of {before.n}: {before.before_mean:.2f} "
            f"({before.before_max:.1f}) before -> {after}"
        )
    similarities = ", ".join(f"{run.result.similarity_after:.3f} {run.name}" for run in runs)
    lines.append(f"Similarity: {first.similarity_before:.3f} before -> {similarities}")
    folding = ", ".join(f"{run.result.negative_jacobian_percent:.2g} % {run.name}" for run in runs)
    lines.append(f"Folding: {folding}")
    return lines + [f"Note: {warning}" for warning in runs.applied.result.warnings]


def _seconds(runs: Runs, seconds: float) -> str:
    parts = ", ".join(f"{run.name} {run.seconds:.1f}" for run in runs)
    return f"Seconds: registration alone {parts}; everything {seconds:.0f}"


def _files(output: Path, runs: Runs) -> list[str]:
    """The files that are there, with what they are for."""
    return [
        f"Files in {output}/, results of '{runs.applied.name}':",
        *(f"  {name:<22} {meaning}" for name, meaning in MEANINGS.items() if (output / name).exists()),
    ]


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else MISSING
