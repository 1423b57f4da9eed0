"""The section Auto-estimate of the running panel: what a user does there and sees, and searches that wait."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
import slicer.util
from host.mouse import click, type_value
from panel_case import PanelCase, twelve_digits
from panel_faults import library

LUNG, BONE, LIVER, SOFT = TISSUES = ("id_lung", "id_bone", "id_liver", "id_soft")
START = {LUNG: 0.5, BONE: 30.0, LIVER: 1.0, SOFT: 1.0}
POINTS = 3
HEADINGS = ("Tissue", "λ", "μ", "ν", "Shear\nmodulus\nratio", "Confidence", "")


def make_ready(panel: PanelCase) -> PanelCase:
    """All inputs chosen, the section open, a small grid."""
    panel.choose_inputs()
    panel.open("estimateButton")
    type_value(panel.ui.gridPointsSpinBox, str(POINTS))
    panel.rest()
    return panel


def stored(panel: PanelCase) -> tuple[dict[str, float], dict[str, float]]:
    return panel.stored_weights


def as_stored(values) -> tuple[dict[str, float], dict[str, float]]:
    """What `stored` is when these values, λ and μ by tissue id, are taken."""
    return tuple({key: twelve_digits(getattr(lame, what)) for key, lame in values.items()} for what in ("lam", "mu"))


def estimate(panel: PanelCase) -> None:
    """Click, and wait for the end."""
    click(panel.ui.estimatePushButton)
    panel.rest()
    assert panel.ui.estimateStatusLabel.text.startswith("Estimated in "), panel.ui.estimateStatusLabel.text


def latest(panel: PanelCase):
    """The last estimate, also a partial one."""
    return panel.widget.panel.estimate.latest


def known_points(panel: PanelCase) -> int:
    """How many places of the grid have a score."""
    return 0 if latest(panel) is None else int(np.isfinite(latest(panel).landscape.scores).any(0).sum())


def landscape(panel: PanelCase, segment_id: str) -> bytes:
    """The picture of a tissue's landscape as it is shown; empty if there is none."""
    for label in slicer.util.findChildren(panel.ui.landscapeWidget, f"landscapePicture_{segment_id}"):
        image = label.pixmap.toImage()
        return bytes(image.bits()) if label.visible and not image.isNull() else b""
    return b""


def row_of(panel: PanelCase, segment_id: str) -> int:
    return panel.tissue_ids.index(segment_id)


def cell(panel: PanelCase, segment_id: str, heading: str):
    """The item of the table of estimates; None if its column is not shown."""
    table, column = panel.ui.estimateTable, HEADINGS.index(heading)
    return None if table.isColumnHidden(column) else table.item(row_of(panel, segment_id), column)


def take_button(panel: PanelCase, segment_id: str):
    """The button "Revert" or "Use" in the row of a tissue."""
    return slicer.util.findChild(panel.ui.estimateTable, f"estimateTake_{segment_id}")


class Searches:
    """Estimates of the panel wait before they go on, so that a test can look for as long as it takes.

    stop: called with each item that a search yields; true where it has to wait for `go_on`.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, stop: Callable[[object], bool]) -> None:
        session = library("scene.session").PairSession
        original, self._permits, self._open = session.estimate, threading.Semaphore(0), threading.Event()

        def waiting(*arguments, **options):
            job = original(*arguments, **options)
            while True:
                try:
                    progress = next(job)
                except StopIteration as end:
                    return end.value
                yield progress
                while stop(progress) and not self._open.is_set() and not self._permits.acquire(timeout=0.005):
                    yield library("core.data.progress").Progress(progress.fraction, progress.text)

        monkeypatch.setattr(session, "estimate", waiting)

    def go_on(self) -> None:
        """To the next stop."""
        self._permits.release()

    def go_on_to_the_end(self) -> None:
        self._open.set()


def is_partial(progress) -> bool:
    """Something new is known."""
    return hasattr(progress, "estimate")
