"""The section Display: fade, flicker, before and after, grid, Jacobian, difference. Acts only when a setting changes.

What the scene shows otherwise belongs to the user: a scene that is loaded keeps its layers.
"""

from __future__ import annotations

from typing import NamedTuple

import qt
import slicer

from ..scene.moving_parent import put_under, take_off
from ..scene.nodes import InputNodes, find_outputs
from ..scene.overlays import (
    jacobian_overlay_of,
    remove_jacobian_overlay,
    show_grid,
    show_jacobian_overlay,
    write_jacobian_of_transform,
)
from ..scene.views import show_difference, show_fade

FLICKER_MS = 500


class DisplaySettings(NamedTuple):
    """``fade`` in percent; see the parameter node."""

    fade: int
    deformed: bool
    grid: bool
    jacobian: bool
    difference: bool


class DisplaySection:
    """Shows one pair as the settings say. Everything is a no-op until both volumes are there."""

    def __init__(self) -> None:
        self._inputs: InputNodes | None = None
        self._settings: DisplaySettings | None = None
        self._moving_in_front = False
        self._flicker = qt.QTimer()
        self._flicker.setInterval(FLICKER_MS)
        self._flicker.connect("timeout()", self._on_flicker)

    def update(self, inputs: InputNodes, settings: DisplaySettings) -> None:
        """Act on what differs from the last call; with other volumes, nothing is shown until a setting changes."""
        before, self._settings = self._settings, settings
        if self._inputs is None or inputs[:2] != self._inputs[:2] or before is None:
            self._inputs = inputs
            return
        self._inputs = inputs
        if before == settings or not self._complete():
            return
        if settings.deformed != before.deformed:
            self._show_deformed()
        if settings.grid != before.grid:
            self.show_grid()
        if settings.jacobian != before.jacobian:
            self._show_jacobian()
        elif settings.difference != before.difference:
            self._show_layers()
        elif settings.fade != before.fade:
            self._show_fade()

    def forget(self) -> None:
        """The scene closes: hold no node."""
        self._flicker.stop()
        self._inputs = self._settings = None

    def set_flicker(self, on: bool) -> None:
        """Show fixed and moving in turn; afterwards as the settings say."""
        if on:
            self._flicker.start()
        else:
            self._flicker.stop()
            if self._complete():
                self._show_layers()

    def show_pair(self) -> None:
        """Fixed and moving in all slice views, as the settings say: after Apply, or when following begins."""
        if self._complete():
            self._show_layers()
            self.show_grid()

    def show_grid(self) -> None:
        """The deformation grid on or off, also on a transform that has just been made."""
        transform = self._transform()
        if transform is not None:
            show_grid(transform, self._settings.grid, region=self._inputs.fixed)

    def deformation_changed(self) -> None:
        """There is a new result that came without a Jacobian."""
        transform = self._transform()
        if transform is not None and self._settings.jacobian:
            write_jacobian_of_transform(transform)
            self._show_layers()

    def _show_deformed(self) -> None:
        transform = self._transform()
        if transform is None:
            return
        if self._settings.deformed:
            put_under(self._inputs.moving, transform, self._inputs.fixed)
        else:
            take_off(self._inputs.moving, transform)

    def _show_jacobian(self) -> None:
        transform = self._transform()
        if transform is not None:
            if self._settings.jacobian:
                write_jacobian_of_transform(transform)
            else:
                remove_jacobian_overlay(transform)
        self._show_layers()

    def _show_layers(self) -> None:
        inputs, settings = self._inputs, self._settings
        show_fade(inputs.fixed, inputs.moving, settings.fade / 100)
        overlay = self._overlay()
        if overlay is not None:
            show_jacobian_overlay(overlay, settings.fade / 100)
        elif settings.difference:
            show_difference(inputs.fixed.GetScene(), True)

    def _show_fade(self) -> None:
        """While the slider is dragged: only the opacity. A difference has none."""
        overlay = self._overlay()
        if overlay is not None:
            show_jacobian_overlay(overlay, self._settings.fade / 100)
        elif not self._settings.difference:
            show_fade(self._inputs.fixed, self._inputs.moving, self._settings.fade / 100)

    def _overlay(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        transform = self._transform() if self._settings.jacobian else None
        return None if transform is None else jacobian_overlay_of(transform)

    def _on_flicker(self) -> None:
        if self._complete():
            self._moving_in_front = not self._moving_in_front
            show_fade(self._inputs.fixed, self._inputs.moving, float(self._moving_in_front))

    def _complete(self) -> bool:
        inputs = self._inputs
        return inputs is not None and all(node is not None and node.GetScene() is not None for node in inputs[:2])

    def _transform(self) -> slicer.vtkMRMLTransformNode | None:
        return find_outputs(self._inputs).transform if self._complete() else None
