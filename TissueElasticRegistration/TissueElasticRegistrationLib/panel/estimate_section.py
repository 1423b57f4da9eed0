"""The section Auto-estimate: the landscape while it grows, its values into the sliders, and back again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slicer.i18n import tr as _

from ..core.parameter_scale import ParameterScale
from ..core.tuning import on_scale
from .labels import show_text
from .landscape_view import LandscapeView
from .parameter_node import (
    SCALE,
    TissueElasticRegistrationParameterNode,
    Tuning,
    restore_tuning,
    take_values,
    tuning_of,
)

if TYPE_CHECKING:
    from ..core.estimation.result import Estimate


class EstimateSection:
    """What it finds belongs to the segmentation that was chosen when the search began.

    latest: the last `Estimate`, also a partial one; None before there is anything.
    """

    def __init__(self, ui) -> None:
        self._ui = ui
        self._view = LandscapeView(ui.landscapeWidget)
        self._node: TissueElasticRegistrationParameterNode | None = None
        self._before: Tuning | None = None
        self._scale: ParameterScale = SCALE
        self.latest: Estimate | None = None
        ui.undoEstimateButton.connect("clicked(bool)", self.undo)

    def begin(self, node: TissueElasticRegistrationParameterNode, scale: ParameterScale = SCALE) -> None:
        """A search starts; what is set now is what `undo` goes back to. scale: of the values that it will find."""
        self._node, self._before, self._scale = node, tuning_of(node), scale
        self.latest = None
        self._view.clear()
        self._ui.undoEstimateButton.visible = False

    def show(self, estimate, is_complete: bool) -> None:
        """A partial estimate, or the end: then its values go into the sliders."""
        self.latest = estimate
        self._view.show(estimate)
        if is_complete:
            self._take(estimate)
            flat = [row.tissue.name for row in estimate.per_tissue if row.flat]
            text = _("Estimated in {seconds:.1f} s.").format(seconds=estimate.seconds)
            if flat:
                text += " " + _("Hardly any difference for: {names}.").format(names=", ".join(flat))
            show_text(self._ui.estimateStatusLabel, "\n".join((text, *estimate.warnings)))

    def cancelled(self) -> None:
        """The search ends early: the best so far is taken, if there is anything yet."""
        if self.latest is None:
            show_text(self._ui.estimateStatusLabel, _("Cancelled."))
            return
        self._take(self.latest)
        show_text(self._ui.estimateStatusLabel, _("Cancelled; the best values so far were taken."))

    def undo(self) -> None:
        """Back to the values before the search."""
        restore_tuning(self._node, self._before)
        self._ui.undoEstimateButton.visible = False
        show_text(self._ui.estimateStatusLabel, _("The values are what they were before the estimate."))

    def forget(self) -> None:
        """The scene closes, or another segmentation is chosen."""
        self._node = self._before = self.latest = None
        self._view.clear()
        self._ui.undoEstimateButton.visible = False
        show_text(self._ui.estimateStatusLabel, "")

    def _take(self, estimate) -> None:
        take_values(self._node, on_scale(estimate.values(), self._scale, SCALE))
        self._ui.undoEstimateButton.visible = True
