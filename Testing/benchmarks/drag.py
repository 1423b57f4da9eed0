"""Whether the picture follows a slider that is dragged with the mouse, on the test host.

    python Testing/benchmarks/drag.py [--cases 2d 3d 4dct] [--model universal-2d] [--every-ms 12]

A real slider is dragged for four seconds by mouse events at a fixed rate, in the unmodified module, beside four drawn
views and with the event loop that keeps the interpreter as Slicer's does. A frame counts when a slice view has drawn a
new displacement. Afterwards the same value is set by one single move from the same settled state: what both end with
must agree.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from live_latency import Loop, Watched, add_case, click, make_case, run_loop, scene_builders, start  # finds the rest
from measuring import DATA, print_table

from host.mouse import hold, let_go, move_to  # isort: skip
from host.qt_binding import QtCore  # isort: skip

LASTS_S = 4.0
HEADERS = [
    "case",
    "torch (s)",
    "first (s)",
    "settled (s)",
    "frames/s",
    "longest gap",
    "events",
    "loop p95",
    "loop max",
    "settled after",
    "difference (mm)",
    "moved (mm)",
]


@dataclass(frozen=True)
class Case:
    """``slider``: name of a tissue, whose μ is dragged."""

    add: object
    slider: str


def _phantom(dimension: int, seed: int, spacing_mm: float):
    return lambda scene: add_case(scene, make_case(dimension, seed, spacing_mm=spacing_mm), None)


def _lung_4dct(scene) -> list:
    """The pair of `lung_4dct.py` as nodes: fixed, moving, segmentation of the fixed one."""
    import SimpleITK as sitk

    from TissueElasticRegistrationLib.core.data.itk_bridge import geometry_of

    folder = DATA / "lung-4dct-p102"
    nodes = []
    for name in ("exhale_phase50_ct", "inhale_phase00_ct"):
        image = sitk.ReadImage(str(folder / f"{name}.nii.gz"))
        node = scene_builders.add_volume(scene, name, sitk.GetArrayFromImage(image), geometry_of(image).ijk_to_ras)
        node.CreateDefaultDisplayNodes()
        nodes.append(node)
    labels = sitk.ReadImage(str(folder / "exhale_phase50_tissue.nii.gz"))
    array, names = sitk.GetArrayFromImage(labels), {1: "lung", 2: "soft tissue", 3: "bone"}
    masks = {name: array == label for label, name in names.items()}
    return [*nodes, scene_builders.add_segmentation(scene, "tissues", masks, geometry_of(labels).ijk_to_ras)]


CASES = {
    "2d": Case(_phantom(2, 1003, 2.0), "liver"),
    "3d": Case(_phantom(3, 3, 6.0), "liver"),
    "4dct": Case(_lung_4dct, "lung"),
}


class Hand:
    """Moves the handle of a slider with the mouse as time goes on, one event every ``every_ms`` as they come."""

    def __init__(self, slider, every_ms: int) -> None:
        self._slider = slider
        self.events = 0
        self._timer = QtCore.QTimer()
        self._timer.setTimerType(QtCore.Qt.PreciseTimer)
        self._timer.setInterval(every_ms)
        self._timer.timeout.connect(self._move)

    def drag(self, seconds: float, meanwhile) -> None:
        """Far to the right, back, and on to the end."""
        self._from = hold(self._slider)
        self._began, self._seconds = time.perf_counter(), seconds
        self._timer.start()
        meanwhile()
        self._timer.stop()
        move_to(self._slider, 0.8)
        let_go(self._slider, 0.8)

    def _move(self) -> None:
        part = min((time.perf_counter() - self._began) / self._seconds, 1.0)
        self.events += 1
        move_to(self._slider, self._from + (0.8 - self._from) * part + 0.15 * math.sin(2 * math.pi * part))


def measured(host, name: str, model: str, every_ms: int) -> list:
    """One row of the table."""
    case = CASES[name]
    watched = Watched(host, case.add)
    torch_s = waited_for_torch(watched)
    if model != "direct":
        watched.panel._node.model = model
    first_s, settled_s = first_registration(watched)
    slider = watched.slider("mu", case.slider)
    before_position, before = slider.value, watched.displacement()
    hand = Hand(slider, every_ms)
    frames = []
    with Loop(watched) as loop:
        began = time.perf_counter()
        watched.written.clear()
        hand.drag(LASTS_S, lambda: run_loop(timeout_s=LASTS_S))
        frames = watched.frames(began, began + LASTS_S)
    gaps = np.diff([began, *frames, began + LASTS_S])
    released = time.perf_counter()
    watched.rest()
    after_s = time.perf_counter() - released
    position, dragged = slider.value, watched.displacement()
    host.reset()

    watched = Watched(host, case.add)
    if model != "direct":
        watched.panel._node.model = model
    first_registration(watched)
    assert np.array_equal(watched.displacement(), before), "the settled states differ"
    slider = watched.slider("mu", case.slider)
    assert slider.value == before_position
    slider.setValue(position)
    run_loop(timeout_s=0.1)
    watched.rest()
    single = watched.displacement()
    host.reset()
    p95, longest = loop.texts()
    return [
        name,
        f"{torch_s:.1f}",
        f"{first_s:.2f}",
        f"{settled_s:.1f}",
        f"{len(frames) / LASTS_S:.1f}",
        f"{1000 * gaps.max():.0f}",
        hand.events,
        p95,
        longest,
        f"{after_s:.1f}",
        f"{rms(dragged - single):.3f}",
        f"{rms(single - before):.2f}",
    ]


def waited_for_torch(watched: Watched) -> float:
    """Seconds until torch is imported, if it was wanted when the inputs were chosen; nan if nobody wanted it."""
    began = time.perf_counter()
    found = run_loop(lambda: "torch.optim" in sys.modules and not watched.control._runner.busy, 20.0)
    return time.perf_counter() - began if found else float("nan")


def first_registration(watched: Watched) -> tuple[float, float]:
    """Seconds from the click on Live to the first picture, and until it rested."""
    began = time.perf_counter()
    watched.written.clear()
    watched.drawn.clear()
    click(watched.panel.ui.liveCheckBox)
    watched.rest()
    rested = time.perf_counter()
    return watched.frames(began, rested)[0] - began, rested - began


def rms(displacement_mm: np.ndarray) -> float:
    return float(np.sqrt((displacement_mm**2).sum(-1).mean()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--model", default="direct")
    parser.add_argument("--every-ms", type=int, default=12)
    options = parser.parse_args()
    host = start(Path(tempfile.mkdtemp()))
    rows = [measured(host, name, options.model, options.every_ms) for name in options.cases]
    title = (
        f"{options.model}, a mouse event every {options.every_ms} ms for {LASTS_S:g} s; ms; event loop: with "
        f"drawing / without; load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores"
    )
    print_table(title, HEADERS, rows)
    host.close()


if __name__ == "__main__":
    main()
