"""The command ``batch``: a list of pairs, one folder for each, one table for all."""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .. import __version__
from ..core.files.content_hash import content_hash
from ..core.files.output_folder import output_folder, refuse_inputs
from ..core.files.result_file import json_text
from ..core.files.text_files import read_table
from ..core.models.model_card import CARD, DIRECT, pack_folder
from ..core.preparation.alignment import MODES
from .checked_options import check_options, input_files
from .failures import FAILURES, failure_sentence
from .register_command import OUTPUT_FILES, RECORD, TEXT, Registered, Report, register_files
from .subject_names import named_subjects

TABLE = "batch.csv"
REQUIRED = ("fixed", "moving", "segmentation")
OPTIONAL = ("subject", "moving_segmentation", "landmarks", "moving_landmarks", "tissues", "initial", "parameters")
# Options that change what is computed, besides files and models: with other ones a subject is registered again.
CHOICES = (
    "tissues",
    "estimate",
    "objective",
    "grid_points",
    "hold_out",
    "hold_out_landmarks",
    "shear_modulus_ratio",
    "refine",
    "device",
    "seed",
)
# young_relative_used follows from lambda and mu; shear_modulus_ratio is what the deformation says, where it does.
COLUMNS = (
    "subject",
    "status",
    "tissue_id",
    "tissue",
    "lambda",
    "mu",
    "poisson_ratio",
    "young_relative_used",
    "estimated",
    "score",
    "flat",
    "confidence",
    "shear_modulus_ratio",
    "shear_modulus_ratio_low",
    "shear_modulus_ratio_high",
    "shear_modulus_ratio_supported",
    "held_out",
    "dice_before",
    "dice_after",
    "hd95_mm_before",
    "hd95_mm_after",
    "tre_mm_before",
    "tre_mm_after",
    "held_out_tre_mm_after",
    "negative_jacobian_percent",
    "unreliable",
    "message",
)
SIGNIFICANT_DIGITS = 6


class ListOutcome(NamedTuple):
    """What became of a list, besides results that nothing speaks against.

    Attributes:
        failed: The subjects that failed, each with one sentence.
        unreliable: The subjects whose results should not be relied on, each with the reasons.
    """

    failed: list[tuple[str, str]]
    unreliable: list[tuple[str, str]]


def register_list(options: argparse.Namespace, report: Report) -> ListOutcome:
    """Register all pairs of a csv.

    Subjects that were finished before, with the same content of files, options and models, are skipped if their results
    are still there. The table is written anew after every subject.

    Args:
        options: The options of the command line.
        report: Called with stage, fraction and text.

    Returns:
        The subjects that need attention.

    Raises:
        ValueError: The list cannot be used or would overwrite an input, before anything is registered; or all subjects
            fail.
    """
    if options.scheduler is not None:
        raise ValueError(
            "--scheduler: not supported; subjects are registered one at a time on this computer. Split the "
            "list and start several commands instead."
        )
    check_options(options)
    folder = Path(options.output)
    requests = read_list(options)
    _refuse_to_overwrite(folder, options.pairs, requests)
    table: dict[str, list[dict[str, Any]]] = {}
    failed = []
    for number, (subject, request) in enumerate(requests.items()):

        def tell(stage: str, fraction: float, text: str, done: int = number, name: str = subject) -> None:
            report(f"{done + 1} of {len(requests)}, {name}: {stage}", fraction, text)

        described = _described(request)
        rows = _finished(request, described)
        if rows is None:
            try:
                rows = _register(subject, request, described, tell)
            except (ValueError, *FAILURES) as error:
                message = failure_sentence(error)
                failed.append((subject, message))
                rows = [{"subject": subject, "status": "failed", "message": message}]
                tell("failed", 1.0, message)
        else:
            tell("already registered", 1.0, "skipped")
        table[subject] = rows
        if any(row["status"] == "done" for row in rows):
            _write_table(folder, [row for subject_rows in table.values() for row in subject_rows])
    if len(failed) == len(requests):
        raise ValueError(f"No subject could be registered. {failed[0][0]}: {failed[0][1]}")
    _write_table(folder, [row for subject_rows in table.values() for row in subject_rows])
    unreliable = [(subject, rows[0]["unreliable"]) for subject, rows in table.items() if rows[0].get("unreliable")]
    return ListOutcome(failed, unreliable)


def read_list(options: argparse.Namespace) -> dict[str, argparse.Namespace]:
    """For each subject what the command ``register`` would be given.

    Args:
        options: The options of the command line; paths in the csv ``options.pairs`` start from its folder.

    Returns:
        Subject -> options, in the order of the lines.

    Raises:
        ValueError: Naming the file and line: columns missing or unknown, a name twice or none for a folder, a required
            entry empty.
    """
    path = Path(options.pairs)
    rows = read_table(path, REQUIRED, OPTIONAL).rows
    for line, row in rows:
        empty = [title for title in REQUIRED if not row.get(title)]
        if empty:
            raise ValueError(f"{path}, line {line}: {empty[0]} is empty.")
    try:
        subjects = list(named_subjects([(line, row.get("subject", "")) for line, row in rows], TABLE))
    except ValueError as error:
        raise ValueError(f"{path}, {error}") from error
    requests: dict[str, argparse.Namespace] = {}
    for subject, (_line, row) in zip(subjects, rows, strict=True):
        given = {**vars(options), "moving_segmentation": None, "landmarks": None, "moving_landmarks": None}
        given["output"] = str(Path(options.output) / subject)
        for title, value in row.items():
            if value and title != "subject":
                is_word = title == "tissues" or (title == "initial" and value in MODES)
                given[title] = value if is_word else str(path.parent / value)
        requests[subject] = argparse.Namespace(**given)
    return requests


def _refuse_to_overwrite(folder: Path, pairs: str, requests: Mapping[str, argparse.Namespace]) -> None:
    """Raise ValueError if the results of any subject would replace the list or an input of any subject."""
    if os.path.lexists(folder) and not folder.is_dir():
        raise ValueError(f"{folder}: the output folder cannot be created, because a file has this name.")
    names = (*OUTPUT_FILES, RECORD)
    outputs = [Path(request.output) / name for request in requests.values() for name in names]
    inputs = [file for request in requests.values() for file in input_files(request).values()]
    refuse_inputs([folder / TABLE, *outputs], [pairs, *inputs])


def _register(
    subject: str, request: argparse.Namespace, described: dict[str, Any], report: Report
) -> list[dict[str, Any]]:
    registered = register_files(request, report)
    rows = [_plain(row) for row in _table_rows(subject, registered)]
    written = {name: size for name in OUTPUT_FILES if (size := _size(Path(request.output) / name)) is not None}
    with output_folder(request.output, [RECORD]) as folder:
        record = {"request": described, "files": written, "rows": rows}
        (folder / RECORD).write_text(json_text(record), **TEXT)
    return rows


def _finished(request: argparse.Namespace, described: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The rows of an earlier run with the same request, None if there is none or a file of its results is gone."""
    output = Path(request.output)
    try:
        record = json.loads((output / RECORD).read_text(encoding="utf-8"))
        is_complete = record["files"] and all(_size(output / name) == size for name, size in record["files"].items())
        return record["rows"] if is_complete and record["request"] == described else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _size(file: Path) -> int | None:
    return file.stat().st_size if file.is_file() else None


def _described(request: argparse.Namespace) -> dict[str, Any]:
    """What a result depends on: options, and the content of files and models, wherever they lie."""
    described: dict[str, Any] = {name: getattr(request, name) for name in CHOICES}
    described["initial"] = request.initial if request.initial in MODES else "file"
    for name, file in input_files(request).items():
        described[f"{name}_sha256"] = content_hash(file)
    for name in ("model", "search_model"):
        described[name] = model_state(getattr(request, name))
    return described | {"version": __version__}


def model_state(model: str | None) -> str | None:
    """What tells a model from others of the same name: the SHA-256 of its card, which holds that of the weights.

    Args:
        model: As in ``--model``.

    Returns:
        None also for a model that cannot be used: the registration refuses it.
    """
    if model is None or model == DIRECT:
        return model
    try:
        return content_hash(pack_folder(model) / CARD)
    except ValueError:
        return None


def _table_rows(subject: str, registered: Registered) -> Iterable[dict[str, Any]]:
    """One row for each tissue; where nothing was estimated, its columns stay empty."""
    result, account = registered.result, registered.account or {}
    searched = {row["id"]: row for row in account.get("per_tissue", ())}
    stiffness = {row["id"]: row for row in (account.get("shear_modulus_ratio") or {}).get("per_tissue", ())}
    held_out = account.get("held_out", {"tissues": [], "tre_mm": None})
    errors, kept_errors = result.landmark_errors, held_out["tre_mm"]
    for tissue in result.tissues:
        found = searched.get(tissue.tissue.id, {})
        yield {
            "subject": subject,
            "status": "done",
            "tissue_id": tissue.tissue.id,
            "tissue": tissue.tissue.name,
            "lambda": tissue.parameters.lam,
            "mu": tissue.parameters.mu,
            "poisson_ratio": tissue.parameters.poisson_ratio,
            "young_relative_used": tissue.relative_stiffness,
            "estimated": bool(found),
            **{name: found.get(name) for name in ("score", "flat", "confidence")},
            **_stiffness(stiffness.get(tissue.tissue.id)),
            "held_out": tissue.tissue.id in held_out["tissues"],
            "dice_before": tissue.dice_before,
            "dice_after": tissue.dice_after,
            "hd95_mm_before": tissue.hd95_mm_before,
            "hd95_mm_after": tissue.hd95_mm_after,
            "tre_mm_before": None if errors is None else errors.before_mean,
            "tre_mm_after": None if errors is None else errors.after_mean,
            "held_out_tre_mm_after": None if kept_errors is None else kept_errors["after_mean"],
            "negative_jacobian_percent": tissue.negative_jacobian_percent,
            "unreliable": " ".join(result.unreliable),
            "message": "",
        }


def _stiffness(row: Mapping[str, Any] | None) -> dict[str, Any]:
    """Numbers only where the deformation supports them: others would be taken for measurements."""
    if row is None:
        return {}
    numbers = {
        "shear_modulus_ratio": row["mu"],
        "shear_modulus_ratio_low": row["low"],
        "shear_modulus_ratio_high": row["high"],
    }
    return {**(numbers if row["supported"] else {}), "shear_modulus_ratio_supported": row["supported"]}


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """As it is written: rounded, None where nothing was measured."""
    return {
        key: (float(f"{value:.{SIGNIFICANT_DIGITS}g}") if math.isfinite(value) else None)
        if isinstance(value, float)
        else value
        for key, value in row.items()
    }


def _write_table(folder: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """All rows, replacing the table of before at once."""
    with output_folder(folder, [TABLE]) as place, open(place / TABLE, "w", newline="", **TEXT) as stream:
        writer = csv.DictWriter(stream, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows({key: "" if value is None else value for key, value in row.items()} for row in rows)
