"""The unmodified module opened in the host beside a small image pair, and the ways a user goes in it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import slicer
import slicer.util
from host.event_loop import run_loop
from host.mouse import choose, click
from host.scene_builders import add_markups, add_segmentation, add_volume, transformed

from TissueElasticRegistrationLib.core.data.images import ImagePair, Segmentation
from TissueElasticRegistrationLib.core.physics.parameter_scale import LogScale
from TissueElasticRegistrationLib.scene.nodes import InputNodes
from TissueElasticRegistrationLib.scene.write.tissue_nodes import describe_tissues
from training.phantoms import PhantomCase, make_case

NAME = "TissueElasticRegistration"
MODULE = Path(__file__).parents[3] / NAME / f"{NAME}.py"
# Selectors of the inputs, in the order of InputNodes.
SELECTORS = (
    "fixedSelector",
    "movingSelector",
    "segmentationSelector",
    "movingSegmentationSelector",
    "fixedLandmarksSelector",
    "movingLandmarksSelector",
)
PATIENCE_S = 60.0
RESTING_POLLS = 3  # the panel looks at changed parameters a moment later: one quiet look is not enough


@cache
def phantom(seed: int = 5, spacing_mm: float = 8.0) -> PhantomCase:
    """A coronal slice through a thorax, symmetric in no direction."""
    return make_case(2, seed, spacing_mm=spacing_mm)


def add_phantom(scene: slicer.vtkMRMLScene, prefix: str = "", **options) -> InputNodes:
    """A phantom with landmarks as a user has it after loading; ``prefix`` of all names. Segment IDs: "id_" + name."""
    case = phantom(**options)
    pair = ImagePair(case.fixed, case.moving, case.fixed_segmentation, case.moving_segmentation, case.landmarks(12))
    return add_pair(scene, pair, prefix)


def add_pair(scene: slicer.vtkMRMLScene, pair: ImagePair, prefix: str = "") -> InputNodes:
    """Volumes, segmentations and, if there are any, landmarks of a pair; the fixed volume is shown and fitted."""
    fixed, moving = (
        add_volume(scene, prefix + name, image.array_kji, image.geometry.ijk_to_ras)
        for name, image in (("fixed", pair.fixed), ("moving", pair.moving))
    )
    for volume in (fixed, moving):
        volume.CreateDefaultDisplayNodes()
    nodes = [
        fixed,
        moving,
        _add_tissues(scene, f"{prefix}fixed tissues", pair.fixed_segmentation),
        _add_tissues(scene, f"{prefix}moving tissues", pair.moving_segmentation),
    ]
    if pair.landmarks is not None:
        nodes += [
            add_markups(scene, f"{prefix}fixed points", pair.landmarks.fixed_ras_mm),
            add_markups(scene, f"{prefix}moving points", pair.landmarks.moving_ras_mm),
        ]
    slicer.util.setSliceViewerLayers(background=fixed, fit=True)
    return InputNodes(*nodes)


def _add_tissues(scene: slicer.vtkMRMLScene, name: str, labels: Segmentation) -> slicer.vtkMRMLSegmentationNode:
    masks = {tissue.name: labels.labels_kji == tissue.label for tissue in labels.tissues}
    return add_segmentation(scene, name, masks, labels.geometry.ijk_to_ras)


class PanelCase:
    """The module's panel in a window beside the green view. ``nodes``: the pair in the scene, not chosen yet."""

    def __init__(self, host) -> None:
        self.host = host
        slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpGreenSliceView)
        self.window = host.main_window(800, 640)
        host.load_module(MODULE)
        self.nodes = add_phantom(slicer.mrmlScene)

    @property
    def widget(self):
        """The module's widget object; another one after a reload."""
        return slicer.util.getModuleWidget(NAME)

    @property
    def ui(self):
        return self.widget.ui

    @property
    def logic(self):
        return slicer.util.getModuleLogic(NAME)

    @property
    def parameters(self):
        """The parameter node."""
        return self.widget.logic.getParameterNode()

    @property
    def stored_weights(self) -> tuple[dict[str, float], dict[str, float]]:
        """λ and μ that were set, by segment ID: the stored positions as weights of the log scale, to 12 digits."""
        stored = self.parameters.lambdaPositions, self.parameters.muPositions
        return tuple({key: twelve_digits(LogScale().weight(place)) for key, place in d.items()} for d in stored)

    @property
    def control(self):
        """What runs registrations for the panel."""
        return self.widget.panel.control

    @property
    def tissue_ids(self) -> list[str]:
        """In the order of the rows."""
        return self.widget.panel.tissues.rows.ids

    @property
    def preset_menu(self):
        """Of all rows."""
        return self.ui.tissueRowsWidget.findChildren("QMenu")[0]

    @property
    def request(self):
        """What a click on Apply or Auto-estimate asks for."""
        from TissueElasticRegistrationLib.panel.parameter_node import request_of

        node = self.parameters
        return request_of(node, describe_tissues(node.segmentation), self.widget.panel.model.scale)

    @property
    def activity(self) -> str:
        """What runs: "idle", "live", "apply", "estimate" or "stiffness"."""
        return self.control.activity.value

    @property
    def transform(self) -> slicer.vtkMRMLTransformNode | None:
        """What the moving volume is under."""
        return self.nodes.moving.GetParentTransformNode()

    def choose_inputs(self, nodes: InputNodes | None = None, number: int = len(SELECTORS)) -> None:
        """Choose the first ``number`` inputs in the selectors, with the mouse."""
        for name, node in list(zip(SELECTORS, nodes or self.nodes, strict=True))[:number]:
            if node is not None:
                choose(getattr(self.ui, name), node.GetName())
        self.rest()

    def open(self, section: str) -> None:
        """Open a section that is closed at the start."""
        button = getattr(self.ui, section)
        assert button.collapsed
        click(button)

    def tissue(self, segment_id: str, kind: str):
        """A widget of a tissue's row; kind: "lambda", "lambdaBox", "mu", "muBox", "link", "lock", "reset", ..."""
        return slicer.util.findChild(self.ui.tissueRowsWidget, f"{kind}_{segment_id}")

    def switch_live_on(self) -> None:
        """Click on Live and wait for the first registration."""
        click(self.ui.liveCheckBox)
        self.rest()

    def rest(self) -> None:
        """Let the panel do what it has to do until nothing runs any more."""
        quiet = []

        def resting() -> bool:
            quiet.append(self.activity == "idle")
            return len(quiet) >= RESTING_POLLS and all(quiet[-RESTING_POLLS:])

        self.wait(resting)

    def wait(self, until: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
        """Run the event loop until that is true; fails after ``timeout_s``."""
        ui = self.ui
        texts = (ui.liveStatusLabel, ui.statusLabel, ui.estimateStatusLabel)
        assert run_loop(until, timeout_s), [label.text for label in texts]

    def pixels(self) -> np.ndarray:
        """(height, width, 3) uint8: what the view shows, without asking it to draw."""
        return self.host.views.view("Green").pixels().copy()

    def probe(self, step: int = 5) -> tuple[np.ndarray, np.ndarray]:
        """Every ``step``-th pixel of what the view shows: where it is, (N, 3) RAS mm, and its color, (N, 3) floats."""
        pixels = self.pixels()
        rows, columns = (places.ravel() for places in np.mgrid[: pixels.shape[0] : step, : pixels.shape[1] : step])
        xy = np.stack([columns, pixels.shape[0] - 1 - rows, 0 * rows], -1)
        matrix = slicer.util.arrayFromVTKMatrix(self.host.views.view("Green").node.GetXYToRAS())
        return transformed(matrix, xy), pixels[rows, columns].astype(float)


def twelve_digits(weight: float) -> float:
    """A weight without its last bits, which change on the way to the position of a slider and back."""
    return float(f"{weight:.12g}")


def pause(seconds: float) -> None:
    """Let the application run."""
    run_loop(timeout_s=seconds)
