"""The demonstration from beginning to end: files, scene, two registrations, results, picture, table."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from host.mrml import MrmlHost

from TissueElasticRegistrationLib.core.files.output_folder import output_folder
from TissueElasticRegistrationLib.progress_line import ProgressLine
from TissueElasticRegistrationLib.register_command import OUTPUT_FILES, read_pair, run_facts, write_results

from .case_files import simulated_case
from .overview import save_overview
from .patient_scene import add_pair, add_results, pair_in_scene
from .runs import register_twice
from .summary import summary

SCENE_FILE, PICTURE_FILE = "scene.mrb", "overview.png"
CASE_FOLDER = "case"
SEED = 0


def run(options: argparse.Namespace, host: MrmlHost, progress: ProgressLine,
        simulate: Callable[[Path], dict[str, str]] = simulated_case) -> str:
    """Do everything, write into ``options.output`` and return the text to print.

    options: as ``Testing/demo.py`` makes them. simulate: writes a case into a folder and returns the options that name
    its files; asked if ``options`` names none. Raises ValueError, naming the file, for bad input.
    """
    seconds: dict[str, float] = {}
    output = Path(options.output)
    if not options.fixed:
        with _timed(seconds, "simulate"), progress.busy("simulate", "a patient who breathes, by finite elements"):
            options = argparse.Namespace(**{**vars(options), **simulate(output / CASE_FOLDER)})
    with output_folder(output, (*OUTPUT_FILES, SCENE_FILE, PICTURE_FILE)) as folder:
        with _timed(seconds, "load"), progress.busy("load", "files into a Slicer scene"):
            files = read_pair(options)
            nodes = add_pair(host.scene, files, options.fixed, options.moving)
            pair = pair_in_scene(nodes, files)
        runs = register_twice(pair, progress)
        with _timed(seconds, "write"), progress.busy("write", "results as files"):
            began = time.perf_counter()
            write_results(folder, pair, runs.tissue.result, lambda: run_facts(SEED, time.perf_counter() - began))
        with _timed(seconds, "scene"), progress.busy("write", "results into the scene, scene.mrb"):
            for one in runs:
                add_results(nodes, one.result, one.name)
            host.save(folder / SCENE_FILE)
        with _timed(seconds, "picture"), progress.busy("draw", PICTURE_FILE):
            save_overview(pair, runs, folder / PICTURE_FILE)
    return summary(pair, runs, seconds, output)


@contextmanager
def _timed(seconds: dict[str, float], what: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    seconds[what] = time.perf_counter() - began
