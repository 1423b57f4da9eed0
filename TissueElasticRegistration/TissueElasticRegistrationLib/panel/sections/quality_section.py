"""The section Quality: how the last registration did, and what of that is independent evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .quality_table import QualityTable

if TYPE_CHECKING:
    from ...core.data.images import ImagePair
    from ...core.data.result import RegistrationResult
    from ...core.estimation.estimate_result import Estimate


class QualitySection:
    """Empty until the first registration of a pair."""

    def __init__(self, ui) -> None:
        self._ui = ui
        self._table = QualityTable(ui.qualityTable, ui.qualityLabel)
        ui.copyQualityButton.connect("clicked(bool)", self._table.copy)
        self.clear()

    def show(self, pair: ImagePair, result: RegistrationResult, estimate: Estimate | None) -> None:
        """estimate: what has chosen the parameters of the result, None if no search has."""
        from ...core.reporting.estimate_summary import summarize_estimate
        from ...core.reporting.verdict import findings

        account = None if estimate is None else summarize_estimate(estimate, pair, result)
        self._table.show(result, findings(pair, result, {"estimate": account}), account)
        self._set_visible(True)

    def clear(self) -> None:
        self._table.clear()
        self._set_visible(False)
        self._ui.qualityLabel.text = "Click Apply to measure the registration."

    def _set_visible(self, on: bool) -> None:
        self._ui.qualityTable.visible = on
        self._ui.copyQualityButton.visible = on
