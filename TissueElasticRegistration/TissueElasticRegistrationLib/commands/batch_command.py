"""The command ``batch``: a list of pairs, one folder for each, one table for all."""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..core.files.result_file import json_text
from ..core.preparation.alignment import MODES
from .register_command import Registered, Report, check_options, register_files

TABLE, RECORD = "batch.csv", "subject.json"
REQUIRED = ("fixed", "moving", "segmentation")
FILES = (*REQUIRED, "moving_segmentation", "landmarks")
OPTIONAL = ("subject", "moving_segmentation", "landmarks", "tissues", "initial", "parameters")
# Options that change what is computed: with other ones a subject is registered again.
CHOICES = (
    "tissues",
    "initial",
    "model",
    "parameters",
    "estimate",
    "objective",
    "grid_points",
    "search_model",
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
    "message",
)
SIGNIFICANT_DIGITS = 6


def register_list(options: argparse.Namespace, report: Report) -> list[tuple[str, str]]:
    """Register all pairs of a csv.

    Subjects that were finished before, with the same files and options, are skipped. The table is written anew
    after every subject.

    Args:
        options: The options of the command line.
        report: Called with stage, fraction and text.

    Returns:
        The subjects that failed, each with one sentence.

    Raises:
        ValueError: The list cannot be used, before anything is registered; or all subjects fail.
    """
    if options.scheduler is not None:
        raise ValueError(
            "--scheduler: not supported; subjects are registered one at a time on this computer. Split the "
            "list and start several commands instead."
        )
    check_options(options)
    folder = Path(options.output)
    requests = read_list(options)
    table: dict[str, list[dict[str, Any]]] = {}
    failed = []
    for number, (subject, request) in enumerate(requests.items()):

        def tell(stage: str, fraction: float, text: str, done: int = number, name: str = subject) -> None:
            report(f"{done + 1} of {len(requests)}, {name}: {stage}", fraction, text)

        request.output = str(folder / subject)
        rows = _finished(request)
        if rows is None:
            try:
                rows = _register(subject, request, tell)
            except (ValueError, RuntimeError, ArithmeticError, OSError) as error:
                message = " ".join(str(error).split())
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
    return failed


def read_list(options: argparse.Namespace) -> dict[str, argparse.Namespace]:
    """For each subject what the command ``register`` would be given.

    Args:
        options: The options of the command line; paths in the csv ``options.pairs`` start from its folder.

    Returns:
        Subject -> options, in the order of the lines.

    Raises:
        ValueError: Naming the file and line: columns missing or unknown, a name twice, a required entry empty.
    """
    path = Path(options.pairs)
    requests: dict[str, argparse.Namespace] = {}
    for line, row in _rows(path):
        empty = [title for title in REQUIRED if not row.get(title)]
        if empty:
            raise ValueError(f"{path}, line {line}: {empty[0]} is empty.")
        subject = row.get("subject") or f"subject-{len(requests) + 1:03d}"
        if subject in requests or Path(subject).name != subject or subject.startswith("."):
            raise ValueError(f"{path}, line {line}: '{subject}' is not a unique, valid folder name.")
        given = {**vars(options), "moving_segmentation": None, "landmarks": None}
        for title, value in row.items():
            if value and title != "subject":
                is_word = title == "tissues" or (title == "initial" and value in MODES)
                given[title] = value if is_word else str(path.parent / value)
        requests[subject] = argparse.Namespace(**given)
    return requests


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream)
            titles = [title.strip().lower() for title in next(reader, [])]
            lines = [(reader.line_num, [value.strip() for value in row]) for row in reader]
    except OSError as error:
        raise ValueError(f"{path}: the file cannot be read ({error.strerror}).") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: not a readable CSV file.") from error
    missing = [title for title in REQUIRED if titles.count(title) != 1]
    unknown = [title for title in titles if title not in (*REQUIRED, *OPTIONAL)]
    if missing or unknown:
        raise ValueError(
            f"{path}: the header must contain {', '.join(REQUIRED)} once each and may contain "
            f"{', '.join(OPTIONAL)}; '{(missing + unknown)[0]}' is missing, repeated, or unknown."
        )
    rows = [(line, dict(zip(titles, row, strict=False))) for line, row in lines if any(row)]
    if not rows:
        raise ValueError(f"{path}: the file lists no subjects.")
    return rows


def _register(subject: str, request: argparse.Namespace, report: Report) -> list[dict[str, Any]]:
    (Path(request.output) / RECORD).unlink(missing_ok=True)  # from now on the folder is not finished
    registered = register_files(request, report)
    rows = [_plain(row) for row in _table_rows(subject, registered)]
    (Path(request.output) / RECORD).write_text(
        json_text({"request": _described(request), "rows": rows}), encoding="utf-8"
    )
    return rows


def _finished(request: argparse.Namespace) -> list[dict[str, Any]] | None:
    """The rows of an earlier run with the same request, None if there is none."""
    try:
        record = json.loads((Path(request.output) / RECORD).read_text(encoding="utf-8"))
        rows = record["rows"] if record["request"] == _described(request) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return rows if rows and (Path(request.output) / "result.json").is_file() else None


def _described(request: argparse.Namespace) -> dict[str, Any]:
    """What a result depends on: options, files and when these were changed."""
    described = {name: getattr(request, name) for name in CHOICES}
    for name in (*FILES, "parameters"):
        file = getattr(request, name)
        described[name] = None if file is None else [os.path.abspath(file), _changed(file)]
    return described


def _changed(file: str) -> int | None:
    return os.stat(file).st_mtime_ns if os.path.exists(file) else None


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
    unfinished = folder / f".unfinished-{TABLE}"
    with open(unfinished, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows({key: "" if value is None else value for key, value in row.items()} for row in rows)
    os.replace(unfinished, folder / TABLE)
