"""Panel, report and guide tell and draw differences and changes of volume alike: one sign, one set of colors."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from TissueElasticRegistrationLib.core.reporting import pictures
from TissueElasticRegistrationLib.core.reporting.report import PICTURE_NOTES
from TissueElasticRegistrationLib.scene.display.color_tables import (
    JACOBIAN_RANGE,
    STEPS,
    difference_colors,
    jacobian_colors,
)

ROOT = Path(__file__).resolve().parents[3]
PANEL = ROOT / "TissueElasticRegistration" / "Resources" / "UI" / "TissueElasticRegistration.ui"
MEANINGS = {"differenceCheckBox": pictures.DIFFERENCE_MEANS, "jacobianCheckBox": pictures.VOLUME_CHANGE_MEANS}


@pytest.mark.parametrize(("name", "meaning"), MEANINGS.items())
def test_tooltip_report_and_guide_have_the_same_words(name, meaning):
    tooltip = ElementTree.parse(PANEL).find(f".//widget[@name='{name}']/property[@name='toolTip']/string").text
    guide = " ".join((ROOT / "Resources" / "Docs" / "panel.md").read_text(encoding="utf-8").split())
    assert meaning in tooltip
    assert meaning in guide
    assert sum(meaning in note for note in PICTURE_NOTES) == 1


@pytest.mark.parametrize(("fixed", "moving"), [(0.0, 1.0), (0.3, 0.4), (0.6, 0.6), (0.8, 0.5), (1.0, 0.0)])
def test_panel_and_report_draw_a_difference_with_the_same_sign(fixed, moving):
    of_fixed, of_moving = difference_colors()
    in_panel = 255 * (of_fixed[round(255 * fixed)] - of_moving[round(255 * moving)])
    drawn = pictures.difference(np.array([[fixed]]), np.array([[moving]]), np.ones((1, 1), bool))
    in_report = drawn[0, 0].astype(int)
    assert np.ptp(in_panel) == np.ptp(in_report) == 0
    assert np.sign(in_panel[0] - pictures.EQUAL) == np.sign(in_report[0] - pictures.EQUAL) == np.sign(fixed - moving)


@pytest.mark.parametrize("determinant", [-1.0, 1.0, 2.0, 3.0])
def test_panel_and_report_draw_a_change_of_volume_in_the_same_colors(determinant):
    low, high = JACOBIAN_RANGE
    step = int(np.clip((determinant - low) / (high - low) * (STEPS - 1) + 0.5, 0, STEPS - 1))
    in_panel = 255 * jacobian_colors()[step]
    np.testing.assert_allclose(in_panel, pictures.jacobian(np.array([[determinant]]))[0, 0], atol=1)
