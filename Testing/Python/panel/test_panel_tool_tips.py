"""Every control of the panel says what it does, each text is written once, and labels say it too."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
UI = ROOT / "TissueElasticRegistration" / "Resources" / "UI" / "TissueElasticRegistration.ui"
NO_CONTROL = {"QLabel", "QWidget", "qMRMLWidget"}


def texts_of(widget: ElementTree.Element, name: str) -> list[str]:
    return [found.text for found in widget.findall(f"property[@name='{name}']/*")]


WIDGETS = list(ElementTree.parse(UI).iter("widget"))
CONTROLS = [widget.get("name") for widget in WIDGETS if widget.get("class") not in NO_CONTROL]
BUDDIES = {widget.get("name"): buddy for widget in WIDGETS for buddy in texts_of(widget, "buddy")}


def test_no_tool_tip_is_written_twice():
    texts = [text for widget in WIDGETS for text in texts_of(widget, "toolTip")]
    assert len(texts) > 40
    assert sorted(text for text in set(texts) if texts.count(text) > 1) == []


def test_every_control_has_one_tool_tip_that_is_a_sentence():
    for widget in WIDGETS:
        if widget.get("name") in CONTROLS:
            (text,) = texts_of(widget, "toolTip")
            assert text[0].isupper() and text[-1] in ".)", widget.get("name")


def test_every_label_has_the_tool_tip_of_its_control(panel):
    assert len(BUDDIES) > 20
    for label, control in BUDDIES.items():
        assert getattr(panel.ui, label).toolTip == getattr(panel.ui, control).toolTip != "", label
