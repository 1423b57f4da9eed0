"""The numbers of both registrations as text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from TissueElasticRegistrationLib.core.images import ImagePair
from TissueElasticRegistrationLib.core.result import TissueResult
from TissueElasticRegistrationLib.core.tissues import BACKGROUND, Lame

from .runs import Runs

MISSING = "-"
HEAD = ("", "λ = μ", "Dice", "", "", "HD95, mm", "", "", "folding, %", "", "strain, %", "")
SUBHEAD = ("", "tissue", "before", "tissue", "uniform", "before", "tissue", "uniform", "tissue", "uniform", "tissue",
           "uniform")
GROUP_STARTS = (1, 2, 5, 8, 10)


def summary(pair: ImagePair, runs: Runs, seconds: Mapping[str, float], output: Path) -> str:
    """A table of tissues, landmarks and similarity below it, seconds, and where the files are."""
    rows = [HEAD, SUBHEAD, *(_row(*rows) for rows in zip(runs.tissue.result.tissues, runs.uniform.result.tissues,
                                                         strict=True))]
    lines = [f"{pair.moving.name} registered to {pair.fixed.name}, with the tissue table and with a uniform one "
             "(λ = μ = 1 everywhere)", "", *_aligned(rows), "", *_whole(runs), "", _seconds(runs, seconds), "",
             *_files(output)]
    return "\n".join(lines)


def _row(tissue: TissueResult, uniform: TissueResult) -> tuple[str, ...]:
    return (
        tissue.tissue.name, weight_text(tissue.parameters),
        _number(tissue.dice_before, 3), _number(tissue.dice_after, 3), _number(uniform.dice_after, 3),
        _number(tissue.hd95_mm_before, 1), _number(tissue.hd95_mm_after, 1), _number(uniform.hd95_mm_after, 1),
        _number(tissue.negative_jacobian_percent, 2), _number(uniform.negative_jacobian_percent, 2),
        _number(100 * tissue.strain_rms, 1), _number(100 * uniform.strain_rms, 1),
    )


def weight_text(lame: Lame) -> str:
    """λ and μ, as one number where they are equal."""
    return f"{lame.lam:g}" if lame.lam == lame.mu else f"{lame.lam:g}, {lame.mu:g}"


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[n]) for row in rows[1:]) for n in range(len(HEAD))]
    lines = []
    for row in rows:
        cells = [f"{cell:<{width}}" if n == 0 or row is HEAD else f"{cell:>{width}}"
                 for n, (cell, width) in enumerate(zip(row, widths, strict=True))]
        if row is HEAD:  # a heading runs over all columns of its group
            ends = (*GROUP_STARTS[1:], len(HEAD))
            spans = [sum(widths[a:b]) + 2 * (b - a - 1) for a, b in zip(GROUP_STARTS, ends, strict=True)]
            cells = [cells[0]] + [f"{row[a]:<{span}}" for a, span in zip(GROUP_STARTS, spans, strict=True)]
            lines.append(" | ".join(cells).rstrip())
        else:
            groups = np.split(np.array(cells, dtype=object), GROUP_STARTS)
            lines.append(" | ".join("  ".join(group) for group in groups))
    return [*lines[:2], "-" * max(map(len, lines)), *lines[2:]]


def _whole(runs: Runs) -> list[str]:
    """What is measured over the whole image."""
    tissue, uniform = runs.tissue.result, runs.uniform.result
    lines = []
    if tissue.landmark_errors is not None:
        a, b = tissue.landmark_errors, uniform.landmark_errors
        means = [f"{mean:.2f} ({largest:.1f})" for mean, largest in
                 ((a.before_mean, a.before_max), (a.after_mean, a.after_max), (b.after_mean, b.after_max))]
        lines.append(f"Landmark error in mm, mean (largest) of {a.n} points: "
                     f"{means[0]} before -> {means[1]} tissue, {means[2]} uniform")
    lines.append(f"Similarity: {tissue.similarity_before:.3f} before -> {tissue.similarity_after:.3f} tissue, "
                 f"{uniform.similarity_after:.3f} uniform")
    lines.append(f"Folding, whole image: {tissue.negative_jacobian_percent:.2g} % tissue, "
                 f"{uniform.negative_jacobian_percent:.2g} % uniform")
    return lines + [f"Note: {warning}" for warning in tissue.warnings]


def _seconds(runs: Runs, seconds: Mapping[str, float]) -> str:
    result = runs.tissue.result
    steps = {"simulate": seconds.get("simulate"), "load": seconds["load"], "prepare": result.seconds["prepare"],
             "register tissue": runs.tissue.seconds, "register uniform": runs.uniform.seconds,
             "evaluate both": result.seconds["evaluate"] + runs.uniform.result.seconds["evaluate"],
             "write": seconds["write"], "scene": seconds["scene"], "picture": seconds["picture"]}
    known = {step: value for step, value in steps.items() if value is not None}
    parts = ", ".join(f"{step} {value:.1f}" for step, value in known.items())
    return f"Seconds: {parts}; together {sum(known.values()):.1f}"


def _files(output: Path) -> list[str]:
    """The files that are there, with what they are for."""
    meanings = {
        "case": "the simulated patient", "transform.h5": "deformation (tissue table), for Slicer and ITK",
        "warped.nii.gz": "moving image on the fixed grid", "warped_labels.nii.gz": "moving segmentation likewise",
        "jacobian.nii.gz": "local change of volume", "report.html": "report with pictures",
        "result.json": "the numbers", "scene.mrb": "inputs and both results, open it in Slicer",
        "overview.png": "both results in one picture"}
    return [f"Files in {output}/", *(f"  {name:<22} {meaning}" for name, meaning in meanings.items()
                                     if (output / name).exists())]


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else MISSING


def shown_tissues(runs: Runs) -> list[tuple[TissueResult, TissueResult]]:
    """The results of every segmented tissue: with the tissue table, with the uniform one."""
    both = zip(runs.tissue.result.tissues, runs.uniform.result.tissues, strict=True)
    return [rows for rows in both if rows[0].tissue.label != BACKGROUND]
