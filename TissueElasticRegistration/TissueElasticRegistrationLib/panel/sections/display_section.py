"""The section Display: fade, flicker, before and after, outlines, grid, Jacobian, difference.

Acts only when a setting changes or there is a result to show. What the scene shows otherwise belongs to the user: a
scene that is loaded keeps its layers.
"""

from __future__ import annotations

from typing import NamedTuple

import qt
import slicer

from ...scene.display.outlines import hide_outlines, show_outlines
from ...scene.display.overlays import (
    jacobian_overlay_of,
    remove_jacobian_overlay,
    show_grid,
    show_jacobian_overlay,
    write_jacobian_of_transform,
)
from ...scene.display.views import ALPHA, Layers, current_layers, restore_layers, show_difference, show_fade
from ...scene.display.volume_rendering import pause_volume_rendering, resume_volume_rendering
from ...scene.nodes import InputNodes, find_outputs
from ...scene.transform_hierarchy import put_under, take_off
from ..widgets.labels import show_text

FLICKER_MS = 500
REST_MS = 300  # after the last move of a slider


class DisplaySettings(NamedTuple):
    """``fade`` in percent; see the parameter node."""

    fade: int
    deformed: bool
    grid: bool
    jacobian: bool
    difference: bool
    outlines: bool
    live: bool


class DisplaySection:
    """Shows one pair as the settings say. Everything is a no-op until both volumes are there.

    Difference, Jacobian and flicker cover what the views show, and it comes back without them. What cannot be shown is
    explained in ``problem_label``.

    Outlines and paused volume rendering last while the module shows a result: from the first picture of Live or an
    Apply until another pair is chosen, with a break while the user is in another module.
    """

    def __init__(self, problem_label: qt.QLabel) -> None:
        self._problem_label = problem_label
        self._inputs: InputNodes | None = None
        self._settings: DisplaySettings | None = None
        self._was_covered = False  # in the scene that was loaded
        self._covered: dict[str, Layers] | None = None  # what the views showed before they were covered
        self._cover: dict[str, Layers] = {}
        self._drawn_on: slicer.vtkMRMLTransformNode | None = None  # may have a grid or a Jacobian
        self._moving_in_front = False
        self._shows_result = False  # of this pair
        self._entered = False
        self._problem = ""
        self._at_rest = True
        self._rest = qt.QTimer()
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.connect("timeout()", self._on_rest)
        self._flicker = qt.QTimer()
        self._flicker.setInterval(FLICKER_MS)
        self._flicker.connect("timeout()", self._on_flicker)

    def update(self, inputs: InputNodes, settings: DisplaySettings) -> None:
        """Act on what differs from the last call; with other volumes, nothing is shown until a setting changes."""
        before, self._settings = self._settings, settings
        if before is None:
            self._was_covered = settings.jacobian or settings.difference
        elif inputs[:2] != self._inputs[:2]:
            self._clear_views()
            before = None
            self._shows_result = False
        self._inputs = inputs
        self._entered = True
        if before not in (None, settings) and self._complete():
            try:
                self._change(before, settings)
            except ValueError as problem:  # a transform that somebody else has changed
                self._problem = str(problem)
            else:
                self._problem = ""
        self._show_segments_and_rendering()

    def leave(self) -> None:
        """The user opens another module: there, segments are as they were."""
        self._entered = False
        self._show_segments_and_rendering()

    def _change(self, before: DisplaySettings, settings: DisplaySettings) -> None:
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
        self._rest.stop()
        self._shows_result, self._at_rest, self._problem = False, True, ""
        self._show_segments_and_rendering()
        self._inputs = self._settings = self._covered = self._drawn_on = None
        self._cover = {}

    def slider_moves(self) -> None:
        """The user drags a slider: as long as this is said again and again, only what is quickly drawn is shown."""
        self._rest.start()
        if self._at_rest:
            self._at_rest = False
            self._show_segments_and_rendering()

    def set_flicker(self, on: bool) -> None:
        """Show fixed and moving in turn; afterwards what was shown before."""
        if on:
            self._flicker.start()
        else:
            self._flicker.stop()
            if self._complete():
                self._show_layers()

    def show_pair(self) -> None:
        """Fixed and moving in all slice views, as the settings say: after Apply, or when following begins."""
        if self._complete():
            self._covered = None
            show_fade(self._inputs.fixed, self._inputs.moving, self._settings.fade / 100)
            self._show_layers()
            self.show_grid()
            self._result_shown()

    def show_grid(self) -> None:
        """The deformation grid on or off, also on a transform that has just been made."""
        transform = self._transform()
        if transform is not None:
            show_grid(transform, self._settings.grid, region=self._inputs.fixed)

    def deformation_shown(self) -> None:
        """Following has shown its first picture: the transform and its Jacobian may have been made just now."""
        self.show_grid()
        overlay = self._overlay()
        if overlay is not None and overlay.GetID() not in [layers.foreground_id for layers in self._cover.values()]:
            self._show_layers()
        self._result_shown()

    def deformation_changed(self) -> None:
        """There is a new result that came without a Jacobian."""
        transform = self._transform()
        if transform is not None and self._settings.jacobian:
            write_jacobian_of_transform(transform)

    def _result_shown(self) -> None:
        self._shows_result = True
        self._show_segments_and_rendering()

    def _show_segments_and_rendering(self) -> None:
        """As it suits a result that is shown, or as the user has them. Cheap if that is how they are."""
        showing = self._shows_result and self._entered and self._complete()
        texts = [self._problem]
        try:
            if showing and self._settings.outlines:
                show_outlines(self._inputs, self._at_rest)
            else:
                hide_outlines(slicer.mrmlScene)
        except ValueError as problem:  # moving segments that somebody else has put where they cannot be moved
            texts.append(str(problem))
        if not (showing and self._settings.live):
            resume_volume_rendering(slicer.mrmlScene)
        elif pause_volume_rendering(self._inputs.moving):
            texts.append(f"The volume rendering of '{self._inputs.moving.GetName()}' is paused while Live is on.")
        show_text(self._problem_label, "\n".join(filter(None, texts)))

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
        if transform is not None and self._settings.jacobian:
            write_jacobian_of_transform(transform)
        self._show_layers()
        if transform is not None and not self._settings.jacobian:
            remove_jacobian_overlay(transform)

    def _show_fade(self) -> None:
        """While the slider is dragged: only the opacity. A difference has none."""
        fixed, moving, opacity = self._inputs.fixed, self._inputs.moving, self._settings.fade / 100
        overlay = self._overlay()
        if overlay is not None:
            show_jacobian_overlay(overlay, opacity)
        elif not self._settings.difference:
            show_fade(fixed, moving, opacity)
        if self._covered is not None:
            self._covered = {
                view_id: Layers(fixed.GetID(), moving.GetID(), layers.label_id, opacity, layers.label_opacity, ALPHA)
                for view_id, layers in self._covered.items()
            }

    # --- covering what the views show -------------------------------------------------------------------------------

    def _show_layers(self) -> None:
        """Cover what the views show, or no longer, as the settings say."""
        overlay = self._overlay()
        if overlay is not None:
            self._show_over(self._settings.fade / 100)
            show_jacobian_overlay(overlay, self._settings.fade / 100)
        elif self._settings.difference:
            self._show_over(self._settings.fade / 100)
            show_difference(self._inputs.fixed.GetScene(), True)
        elif not self._flicker.active:
            self._uncover()
        self._cover = current_layers(self._inputs.fixed.GetScene())

    def _show_over(self, opacity: float) -> None:
        """The pair over whatever the views show."""
        if self._covered is None:
            self._covered = current_layers(self._inputs.fixed.GetScene())
        show_fade(self._inputs.fixed, self._inputs.moving, opacity)

    def _uncover(self) -> None:
        covered, self._covered = self._covered, None
        if covered is not None:
            # Where the user has chosen other volumes meanwhile, they stay.
            now = current_layers(slicer.mrmlScene)
            restore_layers(
                slicer.mrmlScene,
                {
                    view_id: layers
                    for view_id, layers in covered.items()
                    if view_id in now and now[view_id][:2] == self._cover.get(view_id, layers)[:2]
                },
            )
        elif self._was_covered:
            show_fade(self._inputs.fixed, self._inputs.moving, self._settings.fade / 100)
        self._was_covered = False

    def _clear_views(self) -> None:
        """Another pair is chosen: nothing that was drawn for the one before stays."""
        if self._covered is not None:
            self._uncover()
        show_difference(slicer.mrmlScene, False)
        transform, self._drawn_on, self._cover = self._drawn_on, None, {}
        if transform is not None and transform.GetScene() is not None:
            show_grid(transform, False)
            remove_jacobian_overlay(transform)

    def _on_rest(self) -> None:
        self._at_rest = True
        self._show_segments_and_rendering()

    def _on_flicker(self) -> None:
        if self._complete():
            self._moving_in_front = not self._moving_in_front
            self._show_over(float(self._moving_in_front))
            self._cover = current_layers(slicer.mrmlScene)

    def _overlay(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        transform = self._transform() if self._settings.jacobian else None
        return None if transform is None else jacobian_overlay_of(transform)

    def _complete(self) -> bool:
        inputs = self._inputs
        return inputs is not None and all(node is not None and node.GetScene() is not None for node in inputs[:2])

    def _transform(self) -> slicer.vtkMRMLTransformNode | None:
        """The pair's result."""
        self._drawn_on = find_outputs(self._inputs).transform if self._complete() else None
        return self._drawn_on
