"""The buttons Apply and Auto-estimate: whether they can be pressed, and if not, why."""

from __future__ import annotations

from slicer.i18n import tr as _

from .controller import Activity

CANCEL = _("Cancel")
STOP_APPLY = _("Stop the registration; nothing is written.")
STOP_ESTIMATE = _("Stop the search; the best values so far are kept.")
WAIT_FOR_ESTIMATE = _("Wait for the estimate to end, or cancel it.")
WAIT_FOR_APPLY = _("Wait for the registration to end, or cancel it.")
APPLY_MEANING = _("Register from the beginning with these values and write all outputs into the scene.")
ESTIMATE_MEANING = _("Search λ and μ of every tissue that is not locked, for this patient.")


class RunButtons:
    """Each starts something and cancels it while it runs; meanwhile the other one waits."""

    def __init__(self, ui) -> None:
        self._apply, self._estimate = ui.applyButton, ui.estimatePushButton

    def show(self, activity: Activity, problem: str | None, estimate_problem: str | None) -> None:
        """problem: why nothing can be registered; estimate_problem: why there can be no estimate, or None."""
        _show(
            self._apply,
            _("Apply"),
            activity is Activity.APPLY,
            STOP_APPLY,
            WAIT_FOR_ESTIMATE if activity is Activity.ESTIMATE else problem,
            APPLY_MEANING,
        )
        _show(
            self._estimate,
            _("Auto-estimate"),
            activity is Activity.ESTIMATE,
            STOP_ESTIMATE,
            WAIT_FOR_APPLY if activity is Activity.APPLY else estimate_problem,
            ESTIMATE_MEANING,
        )


def _show(button, text: str, runs: bool, stop: str, obstacle: str | None, meaning: str) -> None:
    button.enabled = runs or obstacle is None
    button.text = CANCEL if runs else text
    button.toolTip = stop if runs else obstacle or meaning
