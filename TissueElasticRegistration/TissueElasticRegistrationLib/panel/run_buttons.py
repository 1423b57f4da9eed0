"""The buttons Apply, Auto-estimate and Stiffness ratios: whether they can be pressed, and if not, why."""

from __future__ import annotations

from .controller import Activity

CANCEL = "Cancel"
STOP_APPLY = "Stop the registration; no output is written."
STOP_ESTIMATE = "Stop the search; the best values so far are used."
STOP_STIFFNESS = "Stop the estimate of the stiffness ratios."
WAIT_FOR_ESTIMATE = "Wait for the estimate to finish, or cancel it."
WAIT_FOR_APPLY = "Wait for the registration to finish, or cancel it."
WAIT = {
    Activity.APPLY: WAIT_FOR_APPLY,
    Activity.ESTIMATE: WAIT_FOR_ESTIMATE,
    Activity.STIFFNESS: WAIT_FOR_ESTIMATE,
}
APPLY_MEANING = "Run a complete registration with the current values and write all outputs to the scene."
ESTIMATE_MEANING = "Search for λ and μ of all unlocked tissues."


class RunButtons:
    """Each starts something and cancels it while it runs; meanwhile the others wait."""

    def __init__(self, ui) -> None:
        self._apply, self._estimate, self._stiffness = ui.applyButton, ui.estimatePushButton, ui.estimateStiffnessButton
        self._stiffness_text, self._stiffness_meaning = self._stiffness.text, self._stiffness.toolTip

    def show(self, activity: Activity, problem: str | None, estimate_problem: str | None) -> None:
        """problem: why nothing can be registered; estimate_problem: why there can be no estimate, or None."""
        wait = WAIT.get(activity)
        _show(
            self._apply,
            "Apply",
            activity is Activity.APPLY,
            STOP_APPLY,
            wait or problem,
            APPLY_MEANING,
        )
        _show(
            self._estimate,
            "Auto-estimate",
            activity is Activity.ESTIMATE,
            STOP_ESTIMATE,
            wait or estimate_problem,
            ESTIMATE_MEANING,
        )
        _show(
            self._stiffness,
            self._stiffness_text,
            activity is Activity.STIFFNESS,
            STOP_STIFFNESS,
            wait or problem,
            self._stiffness_meaning,
        )


def _show(button, text: str, runs: bool, stop: str, obstacle: str | None, meaning: str) -> None:
    button.enabled = runs or obstacle is None
    button.text = CANCEL if runs else text
    button.toolTip = stop if runs else obstacle or meaning
