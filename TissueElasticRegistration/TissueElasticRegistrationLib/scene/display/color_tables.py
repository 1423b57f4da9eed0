"""Colors for 256 steps: the two grays whose difference is gray, and the Jacobian determinant."""

from __future__ import annotations

import numpy as np
import slicer
import slicer.util

from ...core.reporting import pictures

STEPS = 256

BLUE, WHITE, RED, FOLDED = np.array([pictures.BLUE, pictures.WHITE, pictures.RED, pictures.FOLDED]) / 255

JACOBIAN_HIGHEST = 2.0
_JACOBIAN_STEP = JACOBIAN_HIGHEST / (STEPS - 2)
# Slicer maps this range to steps 0 to 255 and what is below or above to the first or the last one. So step 0 is J <= 0,
# step 255 is J >= 2, and J = 1 lies between the steps 127 and 128.
JACOBIAN_RANGE = (-_JACOBIAN_STEP, JACOBIAN_HIGHEST)


def difference_colors() -> tuple[np.ndarray, np.ndarray]:
    """Two tables (256, 3), for fixed and moving: the first minus the second is what `pictures.DIFFERENCE_MEANS` says.

    Slicer subtracts displayed colors and cuts below 0 and above 255; with grays from 128 to 255 and from 0 to 127
    nothing is cut. Outside of moving it subtracts 0, so that nothing but gray, and no other sign, looks right there.
    """
    half = np.arange(STEPS) // 2
    return tuple(np.repeat(gray[:, None], 3, 1) / 255 for gray in (pictures.EQUAL + half, half))


def jacobian_colors() -> np.ndarray:
    """One table (256, 3) over JACOBIAN_RANGE: `pictures.VOLUME_CHANGE_MEANS`.

    White is not transparent: Slicer knows no half transparent colors of a volume, and the border of a transparent
    range around 1 looked like a structure.
    """
    determinants = (np.arange(STEPS) - 0.5) * _JACOBIAN_STEP
    change = np.clip(determinants - 1, -1, 1)[:, None]
    colors = np.where(change < 0, WHITE + (WHITE - BLUE) * change, WHITE - (WHITE - RED) * change)
    colors[0] = FOLDED
    return colors


def fill_color_table(node: slicer.vtkMRMLColorTableNode, colors: np.ndarray) -> None:
    """Make a node a table of colors.

    Args:
        node: The node to fill.
        colors: (N, 3) RGB from 0 to 1, opaque.
    """
    with slicer.util.NodeModify(node):
        node.SetTypeToUser()
        node.SetNumberOfColors(len(colors))
        for step, color in enumerate(colors.tolist()):
            node.SetColor(step, f"{step}", *color, 1.0)
        node.GetLookupTable().SetTableRange(0, len(colors) - 1)
