"""Colours for 256 steps: the two greys whose difference is grey, and the Jacobian determinant."""

from __future__ import annotations

import numpy as np
import slicer
import slicer.util

STEPS = 256

BLUE, WHITE, RED, YELLOW = np.array([[0.10, 0.20, 0.85], [1, 1, 1], [0.85, 0.10, 0.10], [1.0, 0.9, 0.0]])

JACOBIAN_HIGHEST = 2.0
_JACOBIAN_STEP = JACOBIAN_HIGHEST / (STEPS - 2)
# Slicer maps this range to steps 0 to 255 and what is below or above to the first or the last one. So step 0 is J <= 0,
# step 255 is J >= 2, and J = 1 lies between the steps 127 and 128.
JACOBIAN_RANGE = (-_JACOBIAN_STEP, JACOBIAN_HIGHEST)


def difference_colors() -> tuple[np.ndarray, np.ndarray]:
    """Two tables (256, 3): the first, minus the second at the same step, is the grey 128 at every step.

    Slicer subtracts displayed colours and cuts below 0 and above 255; with greys from 128 to 255 and from 0 to 127
    nothing is cut.
    """
    half = np.arange(STEPS) // 2
    return tuple(np.repeat(grey[:, None], 3, 1) / 255 for grey in (128 + half, half))


def jacobian_colors() -> np.ndarray:
    """One table (256, 3) over JACOBIAN_RANGE: yellow where space folds, blue where it shrinks, white, red (grows).

    White is not transparent: Slicer knows no half transparent colours of a volume, and the border of a transparent
    range around 1 looked like a structure.
    """
    determinants = (np.arange(STEPS) - 0.5) * _JACOBIAN_STEP
    change = np.clip(determinants - 1, -1, 1)[:, None]
    colors = np.where(change < 0, WHITE + (WHITE - BLUE) * change, WHITE - (WHITE - RED) * change)
    colors[0] = YELLOW
    return colors


def fill_color_table(node: slicer.vtkMRMLColorTableNode, colors: np.ndarray) -> None:
    """Make the node a table of these colours (N, 3), 0 to 1, opaque."""
    with slicer.util.NodeModify(node):
        node.SetTypeToUser()
        node.SetNumberOfColors(len(colors))
        for step, color in enumerate(colors.tolist()):
            node.SetColor(step, f"{step}", *color, 1.0)
        node.GetLookupTable().SetTableRange(0, len(colors) - 1)
