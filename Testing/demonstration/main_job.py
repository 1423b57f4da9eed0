"""The demonstration from beginning to end: files, scene, the module's panel, results, picture, table."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from host.slicer_host import SlicerHost

from TissueElasticRegistrationLib.commands.checked_options import FILES
from TissueElasticRegistrationLib.commands.console_progress import ProgressLine
from TissueElasticRegistrationLib.commands.register_command import OUTPUT_FILES, read_pair, run_facts, write_results
from TissueElasticRegistrationLib.core.data.images import ImagePair
from TissueElasticRegistrationLib.core.estimation.estimate_result import Estimate
from TissueElasticRegistrationLib.core.files.output_folder import output_folder
from TissueElasticRegistrationLib.core.physics.tuning import with_values
from TissueElasticRegistrationLib.core.registration.registrar import Registrar
from TissueElasticRegistrationLib.core.reporting.estimate_summary import summarize_estimate
from TissueElasticRegistrationLib.scene.nodes import find_outputs

from .case_files import simulated_case
from .overview import save_overview
from .panel_user import WINDOW_SIZE, PanelUser
from .patient_scene import add_pair, hide, show_outlines, without_named_background
from .runs import ESTIMATE, TABLE, UNIFORM, Runs, prepared, registered, uniform_parameters
from .summary import summary

SCENE_FILE, PANEL_FILE, PICTURE_FILE = "scene.mrb", "panel.png", "overview.png"
CASE_FOLDER = "case"
SEED = 0


class Finished(NamedTuple):
    """``text`` for the terminal; ``user`` sits in front of the panel, which shows the result."""

    text: str
    user: PanelUser


def run(
    options: argparse.Namespace,
    host: SlicerHost,
    progress: ProgressLine,
    window: dict[str, int] = WINDOW_SIZE,
    simulate: Callable[[Path], dict[str, str]] = simulated_case,
) -> Finished:
    """Do everything and write into ``options.output``.

    options: as ``Testing/demo.py`` makes them. window: as for `SlicerHost.main_window`. simulate: writes a case into a
    folder and returns the options that name its files; asked if ``options`` names none. Raises ValueError, naming the
    file, for bad input.
    """
    began = time.perf_counter()
    output = Path(options.output)
    if not options.fixed:
        with progress.busy("simulate", "a patient who breathes, by finite elements"):
            options = argparse.Namespace(**{**vars(options), **simulate(output / CASE_FOLDER)})
    inputs = [file for name in FILES if (file := getattr(options, name, None))]
    with output_folder(output, (*OUTPUT_FILES, SCENE_FILE, PANEL_FILE, PICTURE_FILE), inputs) as folder:
        pair = without_named_background(read_pair(options))
        registrar = prepared(pair, progress)
        table = registrar.table_parameters()
        runs = [
            registered(registrar, UNIFORM, uniform_parameters(registrar.tissues), progress),
            registered(registrar, TABLE, table, progress),
        ]
        user, estimate = use_panel(host, pair, options, progress, **window)
        with progress.busy("write", "what the panel shows"):
            host.grab_window(folder / PANEL_FILE)
            host.mrml.save(folder / SCENE_FILE)
        if estimate is not None:
            parameters = with_values(table, registrar.tissues, user.values(), ignore_unknown=True)
            runs.append(registered(registrar, ESTIMATE, parameters, progress))
        runs = Runs(runs)
        with progress.busy("write", "results as files"):
            _write_files(folder, pair, registrar, runs, estimate)
            save_overview(pair, runs, folder / PICTURE_FILE)
    return Finished(summary(pair, runs, time.perf_counter() - began, output), user)


def use_panel(
    host: SlicerHost, pair: ImagePair, options: argparse.Namespace, progress: ProgressLine, **window: float
) -> tuple[PanelUser, Estimate | None]:
    """Load the pair into the scene, open the module, estimate and register with its buttons.

    options: name the image files. window: as for `SlicerHost.main_window`.
    """
    with progress.busy("open", "the module beside four views"):
        inputs = add_pair(host.scene, pair, options.fixed, options.moving)
        show_outlines(inputs)
        user = PanelUser(host, inputs, progress, **window)
    user.lock_bones()
    estimate = user.estimate()
    user.apply()
    user.show_grid()
    hide(find_outputs(inputs).warped_segmentation)
    if host.layout is not None:
        host.layout.resetSliceViews()
        host.layout.resetThreeDViews()
    return user, estimate


def _write_files(folder: Path, pair: ImagePair, registrar: Registrar, runs: Runs, estimate: Estimate | None) -> None:
    began = time.perf_counter()

    def facts() -> dict[str, Any]:
        known = run_facts(registrar, SEED, time.perf_counter() - began)
        if estimate is not None:
            known["estimate"] = summarize_estimate(estimate, pair, runs.applied.result)
            known["seconds"]["estimate"] = estimate.seconds
        return known

    write_results(folder, pair, runs.applied.result, facts, estimate)
