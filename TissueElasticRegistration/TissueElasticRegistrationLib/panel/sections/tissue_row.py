"""One tissue of the panel: its name, what its elasticity means, and the sliders and fields for λ and μ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import qt

from ...core.data import glossary
from ...core.physics.parameter_scale import ParameterScale, SliderPositions, with_equal_ratio
from ..widgets.icons import Look
from ..widgets.labels import ElidedLabel
from ..widgets.number_texts import MAX_RATIO, ratio_text, weight_text
from .weight_field import WeightField

if TYPE_CHECKING:
    from ...core.data.tissues import Lame
    from ...scene.write.tissue_nodes import SegmentInfo

SLIDER_STEPS = 1000

RANGE = "Allowed: {lowest} to {highest}."
PRESET = "Set λ and μ of {name} to the start values of a common tissue (relative weights, no unit)."
LINK = "Keep the ratio λ/μ of {name}: moving one slider moves the other."
LOCK = (
    "Lock {name}: Auto-estimate, Reset all, and the sliders for all tissues do not change it. Its own "
    "sliders still work."
)
RESET = "Reset λ and μ of {name} to their start values."
MEANING = f"{{name}}. ν: {glossary.POISSON_RATIO.meaning}. ×: {glossary.STIFFNESS.meaning}."
NO_LAMBDA = "The model has one weight per tissue, μ; λ has no effect."
NO_LAMBDA_MEANING = "×: weight of {name} relative to soft tissue (no unit)."
EMPTY = "empty"
EMPTY_MEANING = "{name} has no voxels, so its elasticity has no effect."


@dataclass(frozen=True)
class RowCallbacks:
    """Whom the rows tell what the user did.

    dragged comes with every move of the mouse, changed when the slider is released, and released also when it is back
    where it was.
    """

    changed: Callable[[str, SliderPositions], None]
    dragged: Callable[[str, SliderPositions], None]
    released: Callable[[], None]
    linked: Callable[[str, bool], None]
    locked: Callable[[str, bool], None]
    reset: Callable[[str], None]


class TissueRow:
    """The widgets of one tissue, in ``widget``.

    positions: exact ones; sliders and fields show them rounded. weights: what they are on the scale.
    """

    def __init__(
        self,
        tissue: SegmentInfo,
        scale: ParameterScale,
        look: Look,
        callbacks: RowCallbacks,
        choose_preset: Callable[[TissueRow], None],
        parent: qt.QWidget,
        has_lambda: bool = True,
    ) -> None:
        self.tissue = tissue
        self._has_lambda = has_lambda
        self._look = look
        self.positions = self._told = SliderPositions(1.0, 1.0)  # shown; and what the callbacks know of it
        self._scale = scale
        self._callbacks = callbacks
        self._choose_preset = choose_preset
        self.widget = qt.QWidget(parent)
        self._make_widgets()
        self._arrange()
        self._describe()
        self._fit_summary()
        self._write(self.positions)
        self._connect()

    def update(self, tissue: SegmentInfo) -> None:
        """Another name or color of the same tissue, or whether it is empty."""
        if tissue != self.tissue:
            self.tissue = tissue
            self._describe()

    def show(self, positions: SliderPositions, linked: bool, locked: bool) -> None:
        """Write the widgets without telling anybody. A slider that is being dragged stays in the user's hand."""
        if not (self.lam_slider.sliderDown or self.mu_slider.sliderDown):
            self._told = positions
            if positions != self.positions:
                self._write(positions)
        for button, checked in ((self.link, linked), (self.lock, locked)):
            if button.checked != checked:
                _quietly(button, button.setChecked, checked)

    @property
    def acting(self) -> Lame:
        """What the model makes of the weights: λ is 0 where there is none."""
        return self.weights if self._has_lambda else replace(self.weights, lam=0.0)

    def show_stiffness(self, soft_stiffness: float) -> None:
        """What the weights mean, with ``soft_stiffness`` as unit."""
        parts = [EMPTY] if self.tissue.is_empty else []
        if not parts and self._has_lambda:
            parts.append(f"ν {self.weights.poisson_ratio:{glossary.POISSON_RATIO.layout}}")
        if not self.tissue.is_empty and soft_stiffness > 0:
            parts.append(f"{ratio_text(self.acting.stiffness / soft_stiffness)}×")
        text = _small(" · ".join(parts))
        if text != self._summary_text:
            self._summary_text = text
            self._summary.setText(text)

    def set_look(self, look: Look) -> None:
        """Follow the application's palette and font."""
        self._look = look
        for name, button in self._buttons.items():
            button.setIcon(look.icons[name])
        self._swatch.setPixmap(look.swatch(self.tissue.color_rgb))
        self._fit_summary()
        for field in (self._lam_field, self._mu_field):
            field.fit()

    # --- widgets ----------------------------------------------------------------------------------------------------

    def _make_widgets(self) -> None:
        """In the order of the Tab key."""
        self._swatch = self._named(qt.QLabel(self.widget), "swatch")
        self._name = self._named(ElidedLabel(self.widget), "name")
        self._summary = self._named(qt.QLabel(self.widget), "summary")
        self._summary.setAlignment(qt.Qt.AlignRight)
        self._summary_text = ""
        self.lam_slider = self._slider("lambda")
        self._lam_field = WeightField(self.lam_slider, self._on_lam_typed, self.widget)
        self.lam_box = self._named(self._lam_field.edit, "lambdaBox")
        self.preset = self._button("preset", checkable=False)
        self.link = self._button("link", checkable=True)
        self.mu_slider = self._slider("mu")
        self._mu_field = WeightField(self.mu_slider, self._on_mu_typed, self.widget)
        self.mu_box = self._named(self._mu_field.edit, "muBox")
        self.lock = self._button("lock", checkable=True)
        self.reset = self._button("reset", checkable=False)
        self._buttons = {"preset": self.preset, "link": self.link, "lock": self.lock, "reset": self.reset}

    def _named(self, widget: qt.QWidget, kind: str) -> qt.QWidget:
        widget.setObjectName(f"{kind}_{self.tissue.id}")
        return widget

    def _slider(self, kind: str) -> qt.QSlider:
        slider = self._named(qt.QSlider(qt.Qt.Horizontal, self.widget), kind)
        slider.setRange(0, SLIDER_STEPS)
        slider.setTracking(False)  # its value changes when it is released; sliderMoved tells the way there
        slider.singleStep = SLIDER_STEPS // 100
        slider.pageStep = SLIDER_STEPS // 20
        return slider

    def _button(self, kind: str, checkable: bool) -> qt.QToolButton:
        button = self._named(qt.QToolButton(self.widget), kind)
        button.setAutoRaise(True)
        button.setCheckable(checkable)
        button.setIconSize(qt.QSize(self._look.side, self._look.side))
        button.setIcon(self._look.icons[kind])
        return button

    def _arrange(self) -> None:
        heading = qt.QHBoxLayout()
        heading.setSpacing(self._look.side // 2)
        heading.addWidget(self._name, 1)
        heading.addWidget(self._summary)
        grid = qt.QGridLayout(self.widget)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(4)
        grid.setVerticalSpacing(0)
        grid.setColumnStretch(1, 1)
        grid.addWidget(self._swatch, 0, 0, qt.Qt.AlignCenter)
        grid.addLayout(heading, 0, 1, 1, 4)
        lines = (
            ("λ", self.lam_slider, self.lam_box, self.preset, self.link),
            ("μ", self.mu_slider, self.mu_box, self.lock, self.reset),
        )
        for line, (symbol, *widgets) in enumerate(lines, start=1):
            label = qt.QLabel(symbol, self.widget)
            label.setAlignment(qt.Qt.AlignCenter)
            for column, widget in enumerate((label, *widgets)):
                grid.addWidget(widget, line, column)

    def _connect(self) -> None:
        self.lam_slider.connect("valueChanged(int)", self._on_lam_slider)
        self.mu_slider.connect("valueChanged(int)", self._on_mu_slider)
        self.lam_slider.connect("sliderMoved(int)", self._on_lam_dragged)
        self.mu_slider.connect("sliderMoved(int)", self._on_mu_dragged)
        for slider in (self.lam_slider, self.mu_slider):
            slider.connect("sliderReleased()", self._callbacks.released)
        self.preset.connect("clicked()", self._on_preset)
        self.link.connect("toggled(bool)", self._on_link)
        self.lock.connect("toggled(bool)", self._on_lock)
        self.reset.connect("clicked()", self._on_reset)

    def _fit_summary(self) -> None:
        """Always room for its longest text: a label of any but a fixed size lays out the row with every text."""
        self._summary.setText(_small(max(f"ν 0.88 · {MAX_RATIO}×", EMPTY, key=len)))
        self._summary.setFixedSize(self._summary.sizeHint)
        self._summary.setText(self._summary_text)

    def _describe(self) -> None:
        """Name, color and tool tips."""
        tissue, name = self.tissue, self.tissue.name
        nothing = EMPTY_MEANING.format(name=name)
        self._swatch.setPixmap(self._look.swatch(tissue.color_rgb))
        self._name.show_text(name)
        self._name.toolTip = f"{name}\n{nothing}" if tissue.is_empty else name
        meaning = (MEANING if self._has_lambda else NO_LAMBDA_MEANING).format(name=name)
        self._summary.toolTip = nothing if tissue.is_empty else meaning
        limits = RANGE.format(lowest=weight_text(self._scale.lowest), highest=weight_text(self._scale.highest))
        for weight, widgets in (
            (glossary.LAMBDA, (self.lam_slider, self.lam_box)),
            (glossary.MU, (self.mu_slider, self.mu_box)),
        ):
            for widget in widgets:
                widget.toolTip = f"{weight.symbol} of {name}. {weight.meaning}. {limits}"
        if not self._has_lambda:
            self.lam_slider.toolTip = self.lam_box.toolTip = NO_LAMBDA
        for kind, text in (("preset", PRESET), ("link", LINK), ("lock", LOCK), ("reset", RESET)):
            self._buttons[kind].toolTip = text.format(name=name)
        for_lambda = (self.lam_slider, self.lam_box, self.link)
        for widget in (self.mu_slider, self.mu_box, *for_lambda, self.preset, self.lock, self.reset):
            acts = not tissue.is_empty and (self._has_lambda or widget not in for_lambda)
            if widget.enabled != acts:
                widget.setEnabled(acts)

    def _write(self, positions: SliderPositions) -> None:
        """What differs: this runs with every move of the mouse."""
        self.positions, self.weights = positions, positions.weights(self._scale)
        for slider, field, position, weight in (
            (self.lam_slider, self._lam_field, positions.lam, self.weights.lam),
            (self.mu_slider, self._mu_field, positions.mu, self.weights.mu),
        ):
            step = round(SLIDER_STEPS * position)
            if slider.value != step and not slider.sliderDown:
                _quietly(slider, slider.setValue, step)
            field.show(weight)

    # --- what the user does -----------------------------------------------------------------------------------------

    def _on_lam_slider(self, step: int) -> None:
        self._edit(self.positions._replace(lam=step / SLIDER_STEPS))

    def _on_mu_slider(self, step: int) -> None:
        self._edit(self.positions._replace(mu=step / SLIDER_STEPS))

    def _on_lam_dragged(self, step: int) -> None:
        self._drag(self.positions._replace(lam=step / SLIDER_STEPS))

    def _on_mu_dragged(self, step: int) -> None:
        self._drag(self.positions._replace(mu=step / SLIDER_STEPS))

    def _on_lam_typed(self, weight: float) -> None:
        self._edit(self.positions._replace(lam=self._scale.slider(weight)))

    def _on_mu_typed(self, weight: float) -> None:
        self._edit(self.positions._replace(mu=self._scale.slider(weight)))

    def _edit(self, wanted: SliderPositions) -> None:
        self._move(wanted)
        if self.positions != self._told:
            self._told = self.positions
            self._callbacks.changed(self.tissue.id, self.positions)

    def _drag(self, wanted: SliderPositions) -> None:
        self._move(wanted)
        self._callbacks.dragged(self.tissue.id, self.positions)

    def _move(self, wanted: SliderPositions) -> None:
        """To what is wanted; where λ and μ are linked, the other follows with the same factor."""
        if self.link.checked:
            weights = with_equal_ratio(self.weights, wanted.weights(self._scale), self._scale)
            wanted = SliderPositions.of(weights, self._scale)
        self._write(wanted)

    def _on_preset(self) -> None:
        self._choose_preset(self)

    def _on_link(self, checked: bool) -> None:
        self._callbacks.linked(self.tissue.id, checked)

    def _on_lock(self, checked: bool) -> None:
        self._callbacks.locked(self.tissue.id, checked)

    def _on_reset(self) -> None:
        self._callbacks.reset(self.tissue.id)


def _small(text: str) -> str:
    return f"<small>{text}</small>"


def _quietly(widget: qt.QWidget, write: Callable, value: object) -> None:
    """Write a widget without its signals."""
    blocked = widget.blockSignals(True)
    write(value)
    widget.blockSignals(blocked)
