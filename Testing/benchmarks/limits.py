"""Times and memory that must not grow, on the test host; ends with code 1 if one lies beyond its limit.

    python Testing/benchmarks/limits.py [--only rows frame inputs loop memory]

Seconds and megabytes depend on the machine and on what else runs there, so the tests do not ask for them. The limits
are several times what an idle core of 2024 needs: they find a wait for something that should not be waited for, work
for every voxel or row where none is due, and objects that are kept.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from live_latency import ROOT, start  # finds the rest
from measuring import print_table

sys.path[:0] = [str(ROOT / "Testing" / "Python" / folder) for folder in (".", "panel", "scene")]

Measured = tuple[str, float, float]  # what, how much, its limit
ROWS = 100
ACTIONS = 200
SEED = 1


def rows(host) -> Iterator[Measured]:
    """A hundred tissues in the panel, in CPU seconds, best of three; more than half of them is the host's."""
    from panel_rows import Panel, at, info

    tissues = [info(f"id{number}", f"rib {number}") for number in range(ROWS)]
    values = {tissue.id: at(1.5, 2.5) for tissue in tissues}
    seconds = []
    for _ in range(3):
        panel, times = Panel(), [time.process_time()]
        for step in (
            lambda panel=panel: panel.rows.set_tissues(tissues),
            lambda panel=panel: panel.rows.show(values),
            lambda panel=panel: panel.rows.show({**values, "id50": at(3.0, 2.5)}),
        ):
            step()
            times.append(time.process_time())
        seconds.append(np.diff(times))
    for name, found, limit in zip(
        ("made", "shown", "one changed"), np.min(seconds, 0), (0.8, 0.06, 0.015), strict=True
    ):
        yield f"{ROWS} rows {name} (s)", float(found), limit


def frame(host) -> Iterator[Measured]:
    """From a change of a parameter to the first deformation of a slice of 2 mm."""
    from synthetic_pairs import pair_of, prepared

    from TissueElasticRegistrationLib.core.data.progress import finish
    from TissueElasticRegistrationLib.core.data.tissues import Lame
    from TissueElasticRegistrationLib.core.registration.live import Frame
    from training.phantoms import make_case

    registrar = prepared(pair_of(make_case(2, 7, spacing_mm=2.0)), initial="none")
    finish(registrar.live(registrar.table_parameters()))
    lung = next(tissue.label for tissue in registrar.tissues if tissue.name == "lung")
    seconds = []
    for weight in (0.6, 0.8, 1.2, 2.0, 4.0):
        changed = registrar.table_parameters().with_tissue(lung, Lame(weight, weight))
        began = time.perf_counter()
        next(progress for progress in registrar.live(changed) if isinstance(progress, Frame))
        seconds.append(time.perf_counter() - began)
    yield "first frame of a slice (s)", median(seconds), 0.5


def inputs(host) -> Iterator[Measured]:
    """Whether the inputs can be used, for two CT volumes with twenty segments each: asked with every change."""
    from test_scene_checks import clinical_inputs

    from TissueElasticRegistrationLib.scene.checks import input_problem

    nodes, seconds = clinical_inputs(host.scene), []
    for _ in range(10):
        began = time.perf_counter()
        assert input_problem(nodes) is None
        seconds.append(time.perf_counter() - began)
    yield "check of clinical inputs (s)", min(seconds), 0.005


def loop(host) -> Iterator[Measured]:
    """How long the event loop is blocked while a job runs, best of three: other programs count too."""
    from test_panel_worker import busy_loop, python_steps, quick_steps, torch_steps

    from TissueElasticRegistrationLib.core.data.progress import finish
    from TissueElasticRegistrationLib.panel.job_runner import JobRunner

    runner = JobRunner()
    for make, count in ((torch_steps, 25), (python_steps, 15), (quick_steps, 100_000)):
        finish(make(2))
        blocked = min((busy_loop(runner, make(count)) for _ in range(3)), key=lambda found: found.longest_ms)
        yield f"event loop during {make.__name__}, 95 % (ms)", blocked.percentile_95_ms, 35.0
        yield f"event loop during {make.__name__}, longest (ms)", blocked.longest_ms, 60.0
    runner.close(5.0)


def memory(host) -> Iterator[Measured]:
    """What the process grows by in random actions, after a start that fills the pools of malloc, torch and VTK.

    A volume or a deformation that is kept each time the scene is closed, or a session for each change of the inputs,
    would be more.
    """
    from panel_actions import Actions
    from panel_case import PanelCase
    from test_panel_wild_use import nodes_after_closing, prepare, save_models

    folder = Path(tempfile.mkdtemp())
    save_models(folder / "models")
    with pytest.MonkeyPatch.context() as patch:
        prepare(patch, folder / "models")
        actions = Actions(PanelCase(host), SEED, folder, lambda: prepare(patch, folder / "models"))
        megabytes = []
        for number in (ACTIONS // 4, ACTIONS // 2):
            actions.start_again()
            actions.do(number, lambda: None, without="reload")  # Slicer keeps the widgets of a reloaded module
            nodes_after_closing()
            megabytes.append(memory_mb())
    yield f"growth in {ACTIONS // 2} actions (MB)", megabytes[1] - megabytes[0], 60.0


def memory_mb() -> float:
    """What the process uses, on Linux."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


LIMITS = {measure.__name__: measure for measure in (rows, frame, inputs, loop, memory)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=list(LIMITS), choices=list(LIMITS))
    options = parser.parse_args()
    host = start(Path(tempfile.mkdtemp()))
    found = []
    for name in options.only:
        found += LIMITS[name](host)
        host.reset()
    print_table(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores", ["what", "measured", "limit"], found)
    host.close()
    return int(any(measured > limit for _, measured, limit in found))


if __name__ == "__main__":
    sys.exit(main())
