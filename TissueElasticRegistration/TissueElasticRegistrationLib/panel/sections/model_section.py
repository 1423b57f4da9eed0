"""The section Model: which trained models there are, what the chosen one is, and whether it can register the pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import qt
import slicer

from ...core.models.model_card import CARD, DIRECT, ModelCard, is_path, list_cards, pack_folder, pack_state, read_card
from ...core.physics.parameter_scale import LogScale, ParameterScale
from ...scene.checks import model_problem
from ...scene.input_fingerprint import state_of
from ...scene.nodes import InputNodes
from ...scene.write.tissue_nodes import SegmentInfo
from ..widgets.labels import show_text

ELSEWHERE = ":"  # stands for no model: the entry that opens a dialog

DIRECT_NAME = "Direct solver"
DIRECT_MEANING = "Optimizes the deformation iteratively. Needs no training; supports any contrast and orientation."
CHOOSE = "Choose a folder..."
CHOOSE_MEANING = "Use your own model: choose the folder that contains its card.json and weights.pt."
NOT_INSTALLED = "The model '{name}' is not installed; choose another solver."
NOT_THERE = "The folder '{folder}' contains no model; choose another solver."
KINDS = {2: "for single slices and stacks of thick slices", 3: "for volumes"}
ANY_TISSUES = "any tissues"
ONE_FOR_ALL = "one elasticity for the whole body"
SUMMARY = "{name}: {images}, {tissues}. Trained on voxel sizes of {low:.3g} to {high:.3g} mm."
ZERO_TO_ONE = "λ and μ range from {lowest:g} to {highest:g}."
NO_LAMBDA = "It has one weight per tissue, μ; λ has no effect."
DETAILS = "{name} {version}\nTraining: {training}\nLicense: {license}\n{folder}"


class Entry(NamedTuple):
    """One line of the selector."""

    text: str
    model: str
    tool_tip: str


class ModelSection:
    """Selector and description of the model. ``chosen``: called with what the user chooses, as it is stored.

    card: of the model that is shown; None for the direct solver, and where there is no such model.
    """

    def __init__(self, ui, chosen: Callable[[str], None]) -> None:
        self.card: ModelCard | None = None
        self._ui = ui
        self._chosen = chosen
        self._shown: tuple | None = None  # the model and the state of its files
        self._fault: str | None = None
        self._folders: list[str] = []  # of the user's own models, as long as the panel lives
        self._entries: list[Entry] = []
        self._fit: tuple[object, str | None] = (None, None)
        ui.modelSelector.connect("activated(int)", self._on_activated)
        self.show(DIRECT)
        show_text(ui.modelLabel, "")

    @property
    def scale(self) -> ParameterScale:
        """Of λ and μ."""
        return LogScale() if self.card is None else self.card.parameter_scale

    @property
    def has_lambda(self) -> bool:
        return self.card is None or self.card.has_lambda

    def show(self, model: str) -> None:
        """Select a model; one that a scene names and this computer does not have is listed as such."""
        state = model, pack_state(model)
        if state != self._shown:
            self._shown = state
            self.card, self._fault = _read(model)
            if is_path(model) and model not in self._folders:
                self._folders.append(model)
            self._list(model)
        selector = self._ui.modelSelector
        place = [entry.model for entry in self._entries].index(model)
        if selector.currentIndex != place:
            selector.setCurrentIndex(place)
        self._ui.modelLabel.toolTip = self._entries[place].tool_tip

    def problem(self, inputs: InputNodes, finest_mm: float, tissues: Sequence[SegmentInfo]) -> str | None:
        """Why the shown model cannot register these nodes, one sentence; None if nothing speaks against it.

        Only for nodes without `input_problem`. Cheap: it is worked out when something has changed.
        """
        if self.card is None:
            return self._fault
        what = self._shown, state_of(inputs), finest_mm, tuple((tissue.id, tissue.name) for tissue in tissues)
        if what != self._fit[0]:
            self._fit = what, model_problem(self.card, inputs, finest_mm, tissues)
        return self._fit[1]

    def tell(self, problem: str | None) -> None:
        """Say what the model is, or why it cannot be used."""
        text = problem or self._fault or ("" if self.card is None else _summary(self.card))
        show_text(self._ui.modelLabel, text)

    def _list(self, model: str) -> None:
        """Read the installed models anew: one may have been added."""
        entries = [Entry(DIRECT_NAME, DIRECT, DIRECT_MEANING)]
        for entry in list_cards():
            name = entry.folder.name
            text = name if entry.card is not None else f"{name} (cannot be used)"
            entries.append(Entry(text, name, entry.problem or _details(entry.card, entry.folder)))
        entries += [self._own(folder) for folder in self._folders]
        if model not in [entry.model for entry in entries]:
            entries.append(Entry(f"{model} (not installed)", model, self._fault or ""))
        entries.append(Entry(CHOOSE, ELSEWHERE, CHOOSE_MEANING))
        if entries != self._entries:
            self._entries = entries
            selector = self._ui.modelSelector
            selector.clear()
            for number, entry in enumerate(entries):
                selector.addItem(entry.text)
                selector.setItemData(number, entry.tool_tip, qt.Qt.ToolTipRole)

    @staticmethod
    def _own(folder: str) -> Entry:
        card, fault = _read(folder)
        text = "{name} (own)" if card is not None else "{name} (cannot be used)"
        tool_tip = f"{fault}\n{folder}" if fault else _details(card, Path(folder))
        return Entry(text.format(name=Path(folder).name), folder, tool_tip)

    def _on_activated(self, index: int) -> None:
        model = self._entries[index].model
        if model == ELSEWHERE:
            before = self._shown[0]
            self._ui.modelSelector.setCurrentIndex([entry.model for entry in self._entries].index(before))
            model = self._ask_for_folder() or before
        self._chosen(model)

    def _ask_for_folder(self) -> str:
        """Empty if the user does not want one after all. In testing mode nobody is asked."""
        if slicer.app.testingEnabled():
            return ""
        before = self._folders[-1] if self._folders else ""
        found = qt.QFileDialog.getExistingDirectory(self._ui.modelSelector, "Choose Model Folder", before)
        installed = {str(entry.folder): entry.folder.name for entry in list_cards()}
        return installed.get(str(Path(found)), str(Path(found))) if found else ""


def _read(model: str) -> tuple[ModelCard | None, str | None]:
    """The card of a model, or in one sentence why there is none; neither for the direct solver."""
    if model == DIRECT:
        return None, None
    if is_path(model) and not (Path(model) / CARD).is_file():
        return None, NOT_THERE.format(folder=Path(model).name)
    try:
        folder = pack_folder(model)
    except ValueError:
        return None, NOT_INSTALLED.format(name=model)
    try:
        return read_card(folder), None
    except ValueError as error:
        return None, str(error)


def _summary(card: ModelCard) -> str:
    tissues = ", ".join(card.tissues) or (ANY_TISSUES if card.network.conditioning == "map" else ONE_FOR_ALL)
    low, high = card.spacing_mm
    sentences = [SUMMARY.format(name=card.name, images=KINDS[card.dimension], tissues=tissues, low=low, high=high)]
    if not isinstance(card.parameter_scale, LogScale):
        scale = card.parameter_scale
        sentences.append(ZERO_TO_ONE.format(lowest=scale.lowest, highest=scale.highest))
    if not card.has_lambda:
        sentences.append(NO_LAMBDA)
    return " ".join(sentences)


def _details(card: ModelCard, folder: Path) -> str:
    return DETAILS.format(
        name=card.name, version=card.version, training=card.training, license=card.license, folder=folder
    )
