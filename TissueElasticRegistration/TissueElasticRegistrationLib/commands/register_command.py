"""The command ``register``: files in, one registration, files out."""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import SimpleITK as sitk
import torch

from .. import __version__
from ..core.data.images import ImagePair
from ..core.data.itk_bridge import resample_array
from ..core.data.progress import Job, Progress, Result, finish
from ..core.data.result import RegistrationResult
from ..core.data.tissues import (
    BACKGROUND,
    BACKGROUND_ID,
    BACKGROUND_NAME,
    UNSEGMENTED_ID,
    UNSEGMENTED_NAME,
    Tissue,
    TissueParameters,
    find_tissue,
)
from ..core.estimation.criteria.hold_out import HoldOut
from ..core.estimation.estimate import estimate as estimated
from ..core.estimation.estimate_result import Estimate
from ..core.files.image_files import read_image, write_image, write_labels, write_map, write_transform
from ..core.files.landmark_files import read_landmarks
from ..core.files.output_folder import output_folder
from ..core.files.parameter_files import read_parameters
from ..core.files.result_file import json_text, result_json
from ..core.files.segmentation_files import comma_separated, has_own_names, parse_tissue_names, read_segmentation
from ..core.files.transform_files import read_transform
from ..core.physics.tissue_presets import names_warning
from ..core.preparation.alignment import MODES
from ..core.registration.network_solver import NetworkSolver
from ..core.registration.registrar import Registrar
from ..core.registration.solver import Solver, solver_for
from ..core.registration.threads import thread_count
from ..core.reporting.estimate_summary import summarize_estimate
from ..core.reporting.report import report_html
from ..core.stiffness.shear_modulus_ratio import ShearModulusRatios, estimate_shear_modulus_ratios
from .checked_options import check_options, input_files

try:
    import resource
except ImportError:  # Windows
    resource = None

OUTPUT_FILES = (
    "transform.h5",
    "warped.nii.gz",
    "warped_labels.nii.gz",
    "jacobian.nii.gz",
    "report.html",
    "result.json",
)
TEXT = {"encoding": "utf-8", "errors": "backslashreplace"}  # names of segments may hold what is no UTF-8
RECORD = "subject.json"  # of `batch`, about results that other ones replace

Report = Callable[[str, float, str], None]


class Registered(NamedTuple):
    """What a command has found.

    Attributes:
        result: The registration.
        estimate: None if none was asked for.
        account: The block "estimate" of ``result.json``; None if nothing was estimated.
    """

    result: RegistrationResult
    estimate: Estimate | None
    account: dict[str, Any] | None


def register_files(options: argparse.Namespace, report: Report) -> Registered:
    """Run the command.

    Args:
        options: The options of the command line (see `__main__`).
        report: Called with stage, fraction and text.

    Returns:
        What was written to the output folder.

    Raises:
        ValueError: Any bad input, in one sentence; nothing is written then.
    """
    check_options(options)
    solver, search = _solver(options.model), search_solver(options)
    with output_folder(options.output, (*OUTPUT_FILES, RECORD), input_files(options).values()) as folder:
        report("read", 0.0, "files")
        pair = read_pair(options)
        _check_parameters(options, pair, solver)
        registrar, result, estimate, ratios = _registered(pair, options, solver, search, report)
        report("write", 0.0, "results")
        began = time.perf_counter()
        known = None
        if estimate is not None or options.shear_modulus_ratio:
            asked = None if search is None else model_facts(search)
            known = summarize_estimate(estimate, pair, result, ratios) | {"search_model": asked}
        write_results(
            folder,
            pair,
            result,
            lambda: run_facts(registrar, options.seed, time.perf_counter() - began) | {"estimate": known},
            estimate,
            ratios,
        )
        report("write", 1.0, "done")
    return Registered(result, estimate, known)


def read_pair(options: argparse.Namespace) -> ImagePair:
    """The image pair of the command's files.

    Args:
        options: The options of the command line.

    Raises:
        ValueError: Naming the file that is at fault.
    """
    moving_landmarks = vars(options).get("moving_landmarks")  # the demo and benchmarks know csv files only
    if moving_landmarks and not options.landmarks:
        raise ValueError("--moving-landmarks: requires --landmarks.")
    fixed, moving = read_image(options.fixed), read_image(options.moving)
    names = parse_tissue_names(options.tissues) if options.tissues else None
    moving_segmentation = None
    segmentation = read_segmentation(options.segmentation, fixed, names)
    if options.moving_segmentation:
        moving_segmentation = read_segmentation(options.moving_segmentation, moving, names)
    files = [file for file in (options.segmentation, options.moving_segmentation) if file]
    if names and all(map(has_own_names, files)):
        raise ValueError(f"--tissues: {files[0]} contains its own segment names, and there is no label map to name.")
    landmarks = read_landmarks(options.landmarks, moving_landmarks) if options.landmarks else None
    return ImagePair(fixed, moving, segmentation, moving_segmentation, landmarks)


def write_results(
    folder: Path,
    pair: ImagePair,
    result: RegistrationResult,
    facts: Callable[[], dict],
    estimate: Estimate | None = None,
    ratios: ShearModulusRatios | None = None,
) -> None:
    """The files of the contract (``OUTPUT_FILES``).

    Args:
        folder: Where to write.
        pair: The images that were registered.
        result: The result of the registration.
        facts: Returns what `result_json` needs; called again at the end, when the time of writing is known.
        estimate: For a section of its own in the report.
        ratios: Of shear moduli, for a section of their own in the report.
    """
    fixed = pair.fixed.geometry
    write_transform(result.displacement_ras_mm, result.geometry, folder / "transform.h5")
    write_image(result.warped, folder / "warped.nii.gz")
    if result.warped_segmentation is not None:
        write_labels(result.warped_segmentation, folder / "warped_labels.nii.gz")
    jacobian = resample_array(result.jacobian_kji, result.geometry, sitk.Transform(3, sitk.sitkIdentity), fixed, 1.0)
    write_map(jacobian.astype(np.float32), fixed, folder / "jacobian.nii.gz")
    (folder / "report.html").write_text(report_html(pair, result, facts(), estimate, ratios), **TEXT)
    (folder / "result.json").write_text(json_text(result_json(result, facts())), **TEXT)


def _solver(model: str, option: str = "--model") -> Solver:
    try:
        return solver_for(model)
    except ValueError as error:
        raise ValueError(f"{option} {model}: {error}") from error


def search_solver(options: argparse.Namespace) -> NetworkSolver | None:
    """The network of ``--search-model``.

    Args:
        options: The options of the command line.

    Returns:
        None if the option is not given.

    Raises:
        ValueError: It is not the solver of a model, or no other option needs it.
    """
    if options.search_model is None:
        return None
    network = _solver(options.search_model, "--search-model").network if options.estimate == "grid" else None
    if network is None:
        raise ValueError("--search-model: requires --estimate grid.")
    return network


def run_facts(registrar: Registrar, seed: int, write_seconds: float) -> dict:
    """What the last result of a registrar does not know about its run (see `result_json`).

    Args:
        registrar: The registrar of the run.
        seed: The seed of the random numbers.
        write_seconds: How long writing took.
    """
    return {
        "model": model_facts(registrar.solver),
        "solver": registrar.solver.name,
        "device": registrar.device_choice.device.type,
        "seed": seed,
        "versions": {
            "TissueElasticRegistration": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "SimpleITK": sitk.Version_VersionString(),
            "numpy": np.__version__,
        },
        "peak_memory_mb": _peak_memory_mb(),
        "seconds": {"write": write_seconds},
        "estimate": None,
    }


def model_facts(solver: Solver) -> dict[str, str | None]:
    """Name, version and, of a network, checksum.

    Args:
        solver: The solver.

    Returns:
        ``name``, ``version`` and ``sha256``, None for a solver without a network.
    """
    if solver.network is None:
        return {"name": solver.name, "version": __version__, "sha256": None}
    card = solver.network.pack.card
    return {"name": card.name, "version": card.version, "sha256": card.sha256}


def _check_parameters(options: argparse.Namespace, pair: ImagePair, solver: Solver) -> None:
    """Refuse a bad parameter file before any computing; which tissues there really are is known after preparing."""
    if options.parameters:
        possible = (*pair.fixed_segmentation.tissues, Tissue(BACKGROUND, BACKGROUND_NAME), Tissue(-1, UNSEGMENTED_NAME))
        read_parameters(options.parameters, possible, TissueParameters(), solver.objective.scale)


def _registered(
    pair: ImagePair, options: argparse.Namespace, solver: Solver, search: NetworkSolver | None, report: Report
) -> tuple[Registrar, RegistrationResult, Estimate | None, ShearModulusRatios | None]:
    """Prepare, estimate, register, refine and evaluate, as far as the options ask for each."""
    torch.manual_seed(options.seed)
    initial = options.initial
    if initial not in MODES:
        initial = read_transform(initial)
    registrar = Registrar(
        pair, solver, initial, threads=thread_count(pair.fixed.geometry.shape_kji), device=options.device
    )

    def run(stage: str, job: Job[Result]) -> Result:
        return finish(job, lambda progress: _tell(report, stage, progress))

    run("prepare", registrar.prepare())
    parameters, set_labels = registrar.table_parameters(), set()
    if options.parameters:
        scale = registrar.solver.objective.scale
        set_labels.update(read_parameters(options.parameters, registrar.tissues, TissueParameters(), scale).by_label)
        parameters = read_parameters(options.parameters, registrar.tissues, parameters, scale)
    estimate, ratios, warnings, began = None, None, (), time.perf_counter()
    if options.estimate != "none":
        hold_out = HoldOut.of(held_out_tissues(options, registrar.tissues), held_out_landmarks(options, pair))
        estimate = run(
            "estimate",
            estimated(
                registrar,
                parameters,
                options.estimate,
                points=options.grid_points,
                objective=options.objective,
                hold_out=hold_out,
                grid_solver=search,
            ),
        )
        parameters = estimate.parameters
        set_labels.update(tissue.label for tissue in estimate.tuned_on)
        report("estimate", 1.0, f"λ and μ of {len(estimate.tuned_on)} tissues by {estimate.criterion_name}")
        warnings += estimate.warnings
    if options.shear_modulus_ratio:
        ratios, of_ratios = _shear_modulus_ratios(registrar, report)
        warnings += of_ratios
    estimate_seconds = time.perf_counter() - began
    run("register", registrar.register(parameters))
    steps = solver.usual_refinement(registrar.working.dimension) if options.refine is None else options.refine
    if steps:
        run("refine", registrar.refine(parameters, steps))
    result = run("evaluate", registrar.result())
    warnings += result.warnings
    of_names = names_warning(
        pair.fixed_segmentation.present_tissues,
        [tissue.id for tissue in pair.fixed_segmentation.tissues if tissue.label in set_labels],
    )
    warnings += (of_names,) if of_names else ()
    seconds = {**result.seconds, "estimate": estimate_seconds}
    result = replace(result, seconds=seconds, warnings=tuple(dict.fromkeys(warnings)))
    return registrar, result, estimate, ratios


def _shear_modulus_ratios(registrar: Registrar, report: Report) -> tuple[ShearModulusRatios | None, tuple[str, ...]]:
    """The ratios and their warnings. Where they cannot be estimated a warning says why: the registration goes on."""
    stage = "shear modulus ratio"
    job = estimate_shear_modulus_ratios(registrar)
    try:
        ratios = finish(job, lambda progress: _tell(report, stage, progress))
    except (ValueError, ArithmeticError, RuntimeError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        report(stage, 1.0, "none")
        return None, (f"There is no shear modulus ratio: {reason}",)
    others = [row for row in ratios.per_tissue if row.tissue != ratios.reference]
    report(stage, 1.0, f"{sum(row.supported for row in others)} of {len(others)} tissues")
    return ratios, ratios.warnings


def held_out_tissues(options: argparse.Namespace, tissues: tuple[Tissue, ...]) -> list[int]:
    """The tissues of ``--hold-out``.

    Args:
        options: The options of the command line.
        tissues: The tissues there are.

    Returns:
        Their labels.

    Raises:
        ValueError: An unknown tissue (the message lists those there are), or nothing is left to search.
    """
    try:
        names = [name for text in options.hold_out or () for name in comma_separated(text) if name]
        labels = [find_tissue(tissues, name).label for name in names]
    except ValueError as error:
        raise ValueError(f"--hold-out: {error}") from error
    segments = {tissue.label for tissue in tissues if tissue.id not in (BACKGROUND_ID, UNSEGMENTED_ID)}
    if segments <= set(labels):
        raise ValueError("--hold-out: all tissues are held out; none is left to estimate.")
    return labels


def held_out_landmarks(options: argparse.Namespace, pair: ImagePair) -> list[str]:
    """The landmarks of ``--hold-out-landmarks``; "half" is every second one.

    Args:
        options: The options of the command line.
        pair: The images, with the landmarks there are.

    Returns:
        Their names.

    Raises:
        ValueError: There are no landmarks, or none is named.
    """
    wanted = options.hold_out_landmarks
    if not wanted:
        return []
    if pair.landmarks is None:
        raise ValueError("--hold-out-landmarks: no landmarks were given.")
    landmarks = pair.landmarks
    try:
        named = tuple(name for text in wanted for name in comma_separated(text) if name)
    except ValueError as error:
        raise ValueError(f"--hold-out-landmarks: {error}") from error
    names = landmarks.every_second if wanted == ["half"] else named
    if not names:
        raise ValueError(f"--hold-out-landmarks: names none of the {len(landmarks.all_names)} landmarks.")
    return list(names)


def _tell(report: Report, stage: str, progress: Progress) -> None:
    report(stage, progress.fraction, progress.text)


def _peak_memory_mb() -> float | None:
    """Largest resident memory of this process so far, None on Windows; Linux counts in kB, macOS in bytes."""
    if resource is None:
        return None
    unit = 1024.0 if sys.platform != "darwin" else 1024.0**2
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)
