"""Pictures of the module's panel for the README and the extension catalog."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import qt
from matplotlib.colors import LinearSegmentedColormap, ListedColormap

from TissueElasticRegistrationLib.core.reporting.landscape_picture import COLORS as LANDSCAPE_COLORS
from TissueElasticRegistrationLib.core.reporting.pictures import TISSUE_COLORS
from training.drawing.small_png import save_small_png

from .panel_user import PanelUser

GAP, ABOVE = 16, 3  # pixels between the columns, and above the first section of each
MAX_USED = 180  # colors that are kept
# Kept too, though a swatch or a landscape has few pixels.
SMALL_AREAS = (
    ListedColormap(np.array(TISSUE_COLORS) / 255),
    LinearSegmentedColormap.from_list("landscape", LANDSCAPE_COLORS / 255, N=48),
)


def save_window(user: PanelUser, path: Path) -> None:
    """The whole window as a small file."""
    save_small_png(_array(user.window.save_picture), path, SMALL_AREAS, MAX_USED)


def save_side_by_side(columns: Sequence[np.ndarray], path: Path) -> None:
    """Pictures (rows, columns, 3) beside each other; below the shorter ones, their last row goes on."""
    height = max(len(column) for column in columns)
    gap = np.full((height, GAP, 3), 255, np.uint8)
    parts = [
        part
        for column in columns
        for part in (np.pad(column, ((0, height - len(column)), (0, 0), (0, 0)), mode="edge"), gap)
    ]
    save_small_png(np.ascontiguousarray(np.hstack(parts[:-1])), path, SMALL_AREAS, MAX_USED)


def panel_in_columns(user: PanelUser, count: int) -> list[np.ndarray]:
    """The whole panel, divided between sections into ``count`` pieces of about the same height, or fewer."""
    whole = _array(lambda path: user.panel.grab().save(str(path)))
    tops = sorted(max(0, section.mapTo(user.panel, qt.QPoint(0, 0)).y() - ABOVE) for section in user.sections())
    cuts = {min(tops, key=lambda top: abs(top - len(whole) * part / count)) for part in range(1, count)}
    return np.split(whole[: len(whole) - tops[0]], sorted(cuts | {tops[0]}))[1:]


def _array(save: Callable[[Path], object]) -> np.ndarray:
    """What ``save`` writes as PNG, (rows, columns, 3) uint8."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "picture.png"
        save(file)
        with PIL.Image.open(file) as picture:
            return np.asarray(picture.convert("RGB"))
