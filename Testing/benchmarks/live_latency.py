"""How quickly the slice views follow a slider, and whether the event loop stays free meanwhile, on the test host.

    python Testing/benchmarks/live_latency.py [--cases 2d-192 2d-256 3d 3d-128] [--moves 20]

Drags real sliders in the unmodified module, with four software-rendered views and the event loop that keeps the
interpreter as Slicer's does. Drawing is slower here than in Slicer (there about 30 ms for three views), so it is listed
by itself.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import slicer.util

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing"), str(ROOT / "TissueElasticRegistration")]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from host import scene_builders  # noqa: E402
from host.event_loop import LoopWatch, run_loop  # noqa: E402
from host.mouse import click  # noqa: E402
from host.slicer_host import start  # noqa: E402
from measuring import print_table  # noqa: E402

from training.phantoms import make_case  # noqa: E402

MODULE = ROOT / "TissueElasticRegistration" / "TissueElasticRegistration.py"
SLICES = ("Red", "Green", "Yellow")
CASES = {
    "2d-192": (2, 1003, 2.0, None),
    "2d-256": (2, 1003, 1.5, None),
    "3d": (3, 3, 8.0, None),
    "3d-128": (3, 3, 8.0, 128),
}
MAX_WAIT_S = 180.0
HEADERS = [
    "case",
    "first (s)",
    "slider->drawn",
    "while running",
    "one view",
    "live p95",
    "live max",
    "first p95",
    "first max",
    "apply p95",
    "apply max",
    "cancel",
    "thread",
]


class Watched:
    """The opened module and when its slice views were drawn."""

    def __init__(self, host, add_nodes: Callable[[object], list]) -> None:
        """add_nodes: puts fixed, moving and segmentation into the scene it is called with, and returns them."""
        self.host = host
        self.panel = host.load_module(MODULE).panel
        nodes = add_nodes(host.scene)
        host.main_window(1300, 900)
        for selector, node in zip(("fixed", "moving", "segmentation"), nodes, strict=True):
            getattr(self.panel.ui, f"{selector}Selector").setCurrentNode(node)
        self.drawn: list[tuple[float, float]] = []  # when a slice view began to be drawn, and when it was done
        self.written: list[float] = []  # when a new displacement was in the transform
        for name in SLICES:
            self._watch_drawing(host.views.view(name))
        self._watch_writing()
        run_loop(timeout_s=0.3)

    @property
    def control(self):
        return self.panel.control

    def rest(self) -> None:
        run_loop(lambda: self.control.activity.value == "idle" and not self.panel._update_timer.active, MAX_WAIT_S)
        run_loop(timeout_s=0.2)  # the last picture

    def slider(self, kind: str, name: str):
        segmentation = self.panel._node.segmentation.GetSegmentation()
        return self.panel.ui.tissueRowsWidget.findChild(
            "QSlider", f"{kind}_{segmentation.GetSegmentIdBySegmentName(name)}"
        )

    def move(self, slider, steps: int) -> float:
        """Move a slider; milliseconds until a slice view shows a new displacement."""
        self.written.clear()
        began = time.perf_counter()
        slider.setValue(slider.value + steps)
        run_loop(lambda: bool(self._shown_after(began)), 10.0)
        return 1000 * (self._shown_after(began)[0] - began)

    def displacement(self) -> np.ndarray:
        """(K, J, I, 3) RAS mm: a copy of what the moving volume is under."""
        moving = self.panel._node.movingVolume
        return slicer.util.arrayFromGridTransform(moving.GetParentTransformNode()).copy()

    def frames(self, since: float, until: float) -> list[float]:
        """When a slice view had drawn a displacement that was not drawn before."""
        frames, written = [], sorted(at for at in self.written if at >= since)
        for began, done in sorted(self.drawn):
            if written and began > written[0] and done <= until:
                frames.append(done)
                written = [at for at in written if at > began]
        return frames

    def _shown_after(self, began: float) -> list[float]:
        """When slice views were done whose drawing began after the first new displacement was written."""
        return [done for start, done in self.drawn if self.written and start > self.written[0] > began]

    def _watch_drawing(self, view) -> None:
        render = view.render

        def watched() -> None:
            began = time.perf_counter()
            render()
            self.drawn.append((began, time.perf_counter()))

        view.render = watched

    def _watch_writing(self) -> None:
        listener = self.control._listener
        shown = listener.shown

        def watched(transform, seconds: float) -> None:
            self.written.append(time.perf_counter())
            shown(transform, seconds)

        listener.shown = watched


class Loop:
    """How long the event loop is blocked, with drawing and without."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._watch = LoopWatch()

    def __enter__(self) -> Loop:
        self._watched.drawn.clear()
        self._watch.__enter__()
        return self

    def __exit__(self, *error) -> None:
        self._watch.__exit__(*error)

    def texts(self) -> list[str]:
        """95th percentile and longest in ms, each with drawing / without."""
        all_ms = self._watch.result()
        times = np.array(self._watch._times_s)
        drawing = (
            np.array(
                [
                    np.clip(np.minimum(times[1:], done) - np.maximum(times[:-1], start), 0, None)
                    for start, done in self._watched.drawn
                ]
            )
            .reshape(-1, len(times) - 1)
            .sum(0)
        )
        rest_ms = np.sort(np.clip((np.diff(times) - drawing) * 1000 - 10, 0, None))
        rest_95 = rest_ms[round(0.95 * (len(rest_ms) - 1))]
        return [f"{all_ms.percentile_95_ms:.0f} / {rest_95:.0f}", f"{all_ms.longest_ms:.0f} / {rest_ms[-1]:.0f}"]


def add_case(scene, case, size: int | None) -> list:
    """Fixed, moving and the fixed segmentation as nodes; ``size``: resampled to that many voxels along each axis."""
    images = [case.fixed, case.moving]
    labels, geometry = case.fixed_segmentation.labels_kji, case.fixed_segmentation.geometry
    if size is not None:
        images, labels, geometry = enlarged(images, labels, geometry, size)
    nodes = []
    for name, image in zip(("fixed", "moving"), images, strict=True):
        node = scene_builders.add_volume(scene, name, image.array_kji, image.geometry.ijk_to_ras)
        node.CreateDefaultDisplayNodes()
        nodes.append(node)
    masks = {tissue.name: labels == tissue.label for tissue in case.fixed_segmentation.tissues}
    segmentation = scene_builders.add_segmentation(scene, "tissues", masks, geometry.ijk_to_ras)
    segmentation.GetDisplayNode().SetOpacity2DFill(0.0)
    return [*nodes, segmentation]


def enlarged(images, labels, geometry, size: int):
    """The same anatomy with size³ voxels: only the amount of work counts here."""
    import SimpleITK as sitk

    from TissueElasticRegistrationLib.core.data.images import Image
    from TissueElasticRegistrationLib.core.data.itk_bridge import resample_array
    from TissueElasticRegistrationLib.core.preparation.preprocessing import resampled_image

    grid = geometry.resampled(geometry.spacing_kji_mm * np.array(geometry.shape_kji) / size, (size,) * 3)
    labels = resample_array(
        labels.astype(np.int32), geometry, sitk.Transform(3, sitk.sitkIdentity), grid, 0, nearest=True
    )
    return [Image(resampled_image(image, grid), grid, image.name) for image in images], labels, grid


def measured(host, name: str, moves: int) -> list:
    """One row of the table."""
    dimension, seed, spacing_mm, size = CASES[name]
    watched = Watched(host, lambda scene: add_case(scene, make_case(dimension, seed, spacing_mm=spacing_mm), size))
    began = time.perf_counter()
    with Loop(watched) as first_loop:
        click(watched.panel.ui.liveCheckBox)
        watched.rest()
    first_s = time.perf_counter() - began
    first_texts = first_loop.texts()
    slider = watched.slider("mu", "liver")
    rested, busy = [], []
    with Loop(watched) as loop:
        for number in range(moves):
            step = 40 if number % 8 < 4 else -40
            rested.append(watched.move(slider, step))
            run_loop(timeout_s=0.15)
            if watched.control.activity.value == "live":
                busy.append(watched.move(slider, step // 2))
            watched.rest()
    texts = loop.texts()
    one_view_ms = 1000 * median(done - start for start, done in watched.drawn)
    with Loop(watched) as apply_loop:
        click(watched.panel.ui.applyButton)
        watched.rest()
    cancel_ms, thread_ms = canceled(watched)
    apply_texts = apply_loop.texts()
    host.reset()
    busy_text = f"{median(busy):.0f} ({max(busy):.0f})" if busy else "-"
    rested_text = f"{median(rested):.0f} ({max(rested):.0f})"
    return [
        name,
        f"{first_s:.1f}",
        rested_text,
        busy_text,
        f"{one_view_ms:.0f}",
        *texts,
        *first_texts,
        *apply_texts,
        f"{cancel_ms:.0f}",
        f"{thread_ms:.0f}",
    ]


def canceled(watched: Watched) -> tuple[float, float]:
    """Milliseconds from the click on Cancel until the panel, and the worker thread, are idle; worst of three."""
    panel, worst = watched.panel, (0.0, 0.0)
    for seconds in (0.3, 1.0, 2.0):
        click(panel.ui.applyButton)
        run_loop(timeout_s=seconds)
        if watched.control.activity.value != "apply":
            continue
        began = time.perf_counter()
        click(panel.ui.applyButton)
        panel_ms = 1000 * (time.perf_counter() - began)
        panel._node.live = False
        run_loop(lambda: watched.control._runner._thread.idle, 20.0)
        worst = max(worst[0], panel_ms), max(worst[1], 1000 * (time.perf_counter() - began))
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--moves", type=int, default=12)
    options = parser.parse_args()
    import torch  # noqa: F401  its import, about two seconds, belongs to the first use and not to a slider

    host = start(Path(tempfile.mkdtemp()))
    rows = [measured(host, name, options.moves) for name in options.cases]
    title = (
        f"ms: median (worst); event loop: with drawing / without; load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores"
    )
    print_table(title, HEADERS, rows)
    host.close()


if __name__ == "__main__":
    main()
