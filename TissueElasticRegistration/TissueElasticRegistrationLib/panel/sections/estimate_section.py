"""The section Auto-estimate: what is asked, what is found while it grows, its values into the sliders, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...core.physics.parameter_scale import LogScale, ParameterScale, SliderPositions
from ...scene.nodes import InputNodes
from ...scene.write.estimate_nodes import write_estimate
from ...scene.write.estimate_rows import estimate_rows
from ...scene.write.stiffness_table import write_shear_modulus_ratios
from ...scene.write.tissue_nodes import SegmentInfo, describe_tissues
from ..choices import EstimateMethod
from ..parameter_node import (
    TissueElasticRegistrationParameterNode,
    Tuning,
    held_out_ids,
    inputs_of,
    restore_tuning,
    set_positions,
    take_positions,
    tuning_of,
    used_positions,
)
from ..widgets.labels import show_text
from .estimate_table_widget import EstimateTable
from .landscape_view import LandscapeView

if TYPE_CHECKING:
    from ...core.estimation.estimate_result import Estimate
    from ...core.stiffness.shear_modulus_ratio import ShearModulusRatios

SAME = 0.0005  # of the length of a slider: half a step
DONE = "Estimated in {seconds:.1f} s."
FLAT = "λ and μ have little effect on the fit of: {names}."
KEPT = "Excluded from the estimate as an independent check: {what}."
LANDMARKS = "{count} landmarks"
CANCELED = "Canceled."
CANCELED_SEARCH = "Canceled; the best values so far are used."
RATIOS_DONE = "Stiffness ratios were estimated for {count} of {total} tissues."
UNDONE = "Previous values restored."


class EstimateSection:
    """What it finds belongs to the segmentation that was chosen when the search began.

    latest: the last `Estimate`, also a partial one; None before there is anything. ratios: the last
    `ShearModulusRatios`, None before there are any.
    """

    def __init__(self, ui) -> None:
        self._ui = ui
        self._view = LandscapeView(ui.landscapeWidget)
        self._table = EstimateTable(ui.estimateTable, self._on_held_out, self._on_taken)
        self._shown_node: TissueElasticRegistrationParameterNode | None = None
        self._node: TissueElasticRegistrationParameterNode | None = None  # of what was estimated
        self._inputs: InputNodes | None = None
        self._before: Tuning | None = None
        self._used_before: dict[str, SliderPositions] = {}
        self._scale: ParameterScale = LogScale()
        self._has_lambda = True
        self._is_in_use = False
        self._taken: dict[str, SliderPositions] = {}  # where the estimate has put the sliders
        self.latest: Estimate | None = None
        self.ratios: ShearModulusRatios | None = None
        ui.undoEstimateButton.connect("clicked(bool)", self.undo)

    def update(self, node: TissueElasticRegistrationParameterNode, tissues: Sequence[SegmentInfo]) -> None:
        """Show what the parameter node says about the search, for these tissues."""
        self._shown_node = node
        ui, is_grid = self._ui, node.estimateMethod is EstimateMethod.GRID
        for widget in (ui.gridPointsSpinBox, ui.gridPointsSpinBoxLabel):
            widget.setVisible(is_grid)
        ui.holdOutLandmarksCheckBox.setVisible(None not in (node.fixedLandmarks, node.movingLandmarks))
        is_empty = self._table.set_tissues(tissues)
        ui.estimateTable.setVisible(bool(tissues))
        if is_empty and self._node is not None:
            self._show_found()
        self._table.show_switches(held_out_ids(node), self._ids_in_use(node))

    def begin(self, node: TissueElasticRegistrationParameterNode, scale: ParameterScale, has_lambda: bool) -> None:
        """A search starts; what is set now is what `undo` goes back to. scale: of the values that it will find."""
        ratios = self.ratios if self._inputs == inputs_of(node) else None
        self.forget()
        self._node, self._inputs, self._before, self.ratios = node, inputs_of(node), tuning_of(node), ratios
        self._used_before = used_positions(node, describe_tissues(node.segmentation, find_empty=False))
        self._scale, self._has_lambda = scale, has_lambda
        self._show_found()

    def show(self, estimate: Estimate, is_end: bool) -> None:
        """A partial estimate, or the final one, whose values go into the sliders."""
        self.latest = estimate
        self._view.show(estimate)
        if is_end:
            self._take(estimate)
            write_estimate(estimate, self._node.segmentation, self._node.parameterNode, self._node.fixedVolume)
            show_text(self._ui.estimateStatusLabel, _summary(estimate))
        self._show_found()

    def begin_ratios(self, node: TissueElasticRegistrationParameterNode) -> None:
        """The estimate of the shear modulus ratios starts; what was found for other inputs is shown no longer."""
        if self._inputs != inputs_of(node):
            self.forget()
            self._node, self._inputs = node, inputs_of(node)

    def show_ratios(self, ratios: ShearModulusRatios) -> None:
        """The shear modulus ratios into the table and the scene."""
        self.ratios = ratios
        write_shear_modulus_ratios(ratios, self._node.parameterNode, self._node.fixedVolume)
        self._show_found()
        others = [row for row in ratios.per_tissue if row.tissue != ratios.reference]
        text = RATIOS_DONE.format(count=sum(row.supported for row in others), total=len(others))
        show_text(self._ui.estimateStatusLabel, "\n".join((text, *ratios.warnings)))

    def canceled(self) -> None:
        """The search ends early: the best so far is taken, if there is anything yet."""
        if self.latest is None:
            text = CANCELED
        else:
            self._take(self.latest)
            self._show_found()
            text = CANCELED_SEARCH
        show_text(self._ui.estimateStatusLabel, text)

    def undo(self) -> None:
        """Back to the values before the search."""
        restore_tuning(self._node, self._before)
        self._is_in_use = False
        self._ui.undoEstimateButton.visible = False
        show_text(self._ui.estimateStatusLabel, UNDONE)

    def forget(self) -> None:
        """The scene closes, another segmentation is chosen, or another search begins."""
        self._node = self._inputs = self._before = self.latest = self.ratios = None
        self._taken, self._is_in_use = {}, False
        self._view.clear()
        self._table.clear()
        self._ui.undoEstimateButton.visible = False
        show_text(self._ui.estimateStatusLabel, "")

    def in_use(self, inputs: InputNodes) -> Estimate | None:
        """The estimate that has set the sliders, if it was one of these inputs and nobody has undone it."""
        return self.latest if self._is_in_use and inputs == self._inputs else None

    def _take(self, estimate: Estimate) -> None:
        self._taken = {key: SliderPositions.of(lame, self._scale) for key, lame in estimate.values().items()}
        take_positions(self._node, self._taken)
        self._is_in_use = True
        self._ui.undoEstimateButton.visible = True

    def _show_found(self) -> None:
        before = self._used_before
        changed = [key for key, place in self._taken.items() if key in before and not _same(place, before[key])]
        if self.latest is not None:
            self._table.show(estimate_rows(self.latest), self._has_lambda, changed)
        if self.ratios is not None:
            self._table.show_ratios(self.ratios)
        self._table.show_switches(held_out_ids(self._node), self._ids_in_use(self._node))

    def _ids_in_use(self, node: TissueElasticRegistrationParameterNode) -> set[str]:
        """Tissues whose sliders stand where the estimate has put them."""
        if not self._is_in_use:
            return set()
        used = used_positions(node, describe_tissues(node.segmentation, find_empty=False))
        return {key for key, place in self._taken.items() if key in used and _same(place, used[key])}

    def _on_held_out(self, tissue_id: str, on: bool) -> None:
        self._shown_node.tissueHeldOut[tissue_id] = on

    def _on_taken(self, tissue_id: str, on: bool) -> None:
        """One tissue takes what was found, or goes back to what it had."""
        if on:
            take_positions(self._node, {tissue_id: self._taken[tissue_id]})
            self._is_in_use = True
            self._ui.undoEstimateButton.visible = True
        else:
            before = self._before
            was_set = tissue_id in (*before.lam, *before.mu) or before.all_lambda or before.all_mu
            set_positions(self._node, {tissue_id: self._used_before[tissue_id] if was_set else None})


def _same(one: SliderPositions, other: SliderPositions) -> bool:
    return max(abs(one.lam - other.lam), abs(one.mu - other.mu)) <= SAME


def _summary(estimate: Estimate) -> str:
    """What there is to say about an estimate besides its values."""
    text = DONE.format(seconds=estimate.seconds)
    flat = [row.tissue.name for row in estimate.per_tissue if row.insensitive and row.is_estimated]
    if flat:
        text += " " + FLAT.format(names=", ".join(flat))
    kept = [tissue.name for tissue in estimate.held_out]
    kept += [LANDMARKS.format(count=len(estimate.held_out_landmarks))] if estimate.held_out_landmarks else []
    if kept:
        text += " " + KEPT.format(what=", ".join(kept))
    return "\n".join((text, *estimate.warnings))
