"""The section Tissues: a row for each tissue, the sliders for all of them, and what they store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import slicer.util

from ...core.physics.parameter_scale import LogScale, ParameterScale, SliderPositions
from ...core.physics.tuning import moved_together
from ..pace import TELL_EVERY_S, Pace
from ..parameter_node import (
    STEPS_PER_DECADE,
    TissueElasticRegistrationParameterNode,
    linked_ids,
    locked_ids,
    row_positions,
    set_positions,
    unknown_ids,
    unknown_text,
)
from ..widgets.labels import show_text
from ..widgets.number_texts import together_text
from .tissue_row import RowCallbacks
from .tissue_rows import TissueRows

if TYPE_CHECKING:
    from ...scene.write.tissue_nodes import SegmentInfo


class TissueSection:
    """Shows the positions that the parameter node has, and stores what the user does, when a slider is released.

    Args:
        ui: The widgets of the panel.
        dragged: Called with the positions of all tissues at every move of the mouse, the sliders for all included.
        released: Called when any slider is released, also one that is back where it was.
    """

    def __init__(self, ui, dragged: Callable[[dict[str, SliderPositions]], None], released: Callable[[], None]) -> None:
        self._ui = ui
        self._dragged, self._released = dragged, released
        self._node: TissueElasticRegistrationParameterNode | None = None
        self._tissues: Sequence[SegmentInfo] = ()
        self._scale: ParameterScale = LogScale()
        self._positions: dict[str, SliderPositions] = {}  # of the rows in the parameter node
        # Where a slider that is held has led; the parameter node does not know of it yet.
        self.held_positions: dict[str, SliderPositions] | None = None
        self._telling = Pace(TELL_EVERY_S)
        callbacks = RowCallbacks(
            changed=lambda key, positions: self._store({key: positions}),
            dragged=lambda key, positions: self._drag({key: positions}),
            released=self._on_released,
            linked=self._on_linked,
            locked=self._on_locked,
            reset=lambda key: self._store({key: None}),
        )
        self.rows = TissueRows(ui.tissueRowsWidget, self._scale, callbacks)
        ui.resetAllButton.connect("clicked(bool)", self._on_reset_all)
        ui.chooseTissuesButton.connect("clicked(bool)", self._on_choose_tissues)
        for slider in (ui.allLambdaSlider, ui.allMuSlider):
            slider.connect("sliderMoved(int)", self._on_all_dragged)
            slider.connect("sliderReleased()", self._on_released)

    def set_tissues(self, tissues: Sequence[SegmentInfo]) -> None:
        """Rows for these tissues."""
        self.held_positions = None
        self.rows.set_tissues(tissues)

    def update(
        self,
        node: TissueElasticRegistrationParameterNode,
        tissues: Sequence[SegmentInfo],
        scale: ParameterScale,
        has_lambda: bool,
    ) -> None:
        """Show what the parameter node says about these tissues, as weights of the model; cheap."""
        self._node, self._tissues, self._scale = node, tissues, scale
        self.rows.set_scale(scale, has_lambda)
        self._ui.allLambdaSlider.enabled = has_lambda
        self._positions = row_positions(node, tissues)
        self.rows.show(self._positions, linked_ids(node), locked_ids(node))
        unknown = unknown_text(node, tissues)
        show_text(self._ui.unknownTissuesLabel, unknown)
        self._ui.chooseTissuesButton.visible = bool(unknown)
        self._show_factors()

    def forget(self) -> None:
        """There is no parameter node any more."""
        self._node = self.held_positions = None

    def _show_factors(self) -> None:
        """What the sliders for all tissues stand at, also while they are dragged."""
        ui = self._ui
        for label, slider in ((ui.allLambdaFactorLabel, ui.allLambdaSlider), (ui.allMuFactorLabel, ui.allMuSlider)):
            label.text = together_text(slider.sliderPosition / STEPS_PER_DECADE, self._scale)

    # --- what the user does -----------------------------------------------------------------------------------------

    def _store(self, positions: dict[str, SliderPositions | None]) -> None:
        if self._node is not None:
            set_positions(self._node, positions)

    def _drag(self, moved: dict[str, SliderPositions]) -> None:
        if self._node is not None:
            self.held_positions = moved_together(
                {**self._positions, **moved},
                locked_ids(self._node),
                self._ui.allLambdaSlider.sliderPosition / STEPS_PER_DECADE,
                self._ui.allMuSlider.sliderPosition / STEPS_PER_DECADE,
            )
            self._dragged(self.held_positions)

    def _on_released(self) -> None:
        self.held_positions = None
        self._released()

    def _on_all_dragged(self, _position: int) -> None:
        if self._telling.is_due():
            self._show_factors()
        self._drag({})

    def _on_linked(self, tissue_id: str, on: bool) -> None:
        self._node.tissueLinked[tissue_id] = on

    def _on_locked(self, tissue_id: str, on: bool) -> None:
        self._node.tissueLocked[tissue_id] = on

    def _on_reset_all(self) -> None:
        locked = locked_ids(self._node)
        with slicer.util.NodeModify(self._node.parameterNode):
            self._store({tissue.id: None for tissue in self._tissues if tissue.id not in locked})
            self._node.allLambda = self._node.allMu = 0

    def _on_choose_tissues(self) -> None:
        if self._node is not None:
            self.rows.choose_presets(unknown_ids(self._node, self._tissues))
