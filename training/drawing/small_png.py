"""A picture as a PNG of 256 colors, less than half the usual size."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import PIL.Image
from matplotlib.colors import Colormap

PALETTE_SIZE = 256
MAX_USED = 36  # plain areas such as the background, bars and letters


def save_small_png(rgb: np.ndarray, path: Path, exact: Iterable[Colormap] = (), most_used: int = MAX_USED) -> None:
    """Write a picture as a PNG of 256 colors.

    The shades of some color maps and the most used other colors stay what they are; the rest, such as the soft edges of
    letters, shares what is left of the palette.

    Args:
        rgb: (rows, columns, 3) uint8.
        path: Where.
        exact: The color maps.
        most_used: How many other colors stay.
    """
    codes, place, count = np.unique(_code(rgb), return_inverse=True, return_counts=True)
    shades = [np.rint(255 * colors(np.arange(colors.N))[:, :3]) for colors in exact]
    kept = np.unique(_code(np.concatenate([np.zeros((0, 3)), *shades]).astype(np.uint8)))
    others = np.setdiff1d(codes[np.argsort(-count)], kept, assume_unique=True)
    kept, others = np.concatenate([kept, others[:most_used]]), others[most_used:]
    if len(others):
        rest = PIL.Image.fromarray(_color(others)[None]).quantize(PALETTE_SIZE - len(kept), kmeans=2)
        kept = np.concatenate([kept, _code(np.reshape(rest.getpalette(), (-1, 3)))])[:PALETTE_SIZE]
    palette = _color(kept)
    picture = PIL.Image.fromarray(_nearest(_color(codes), palette)[place].reshape(rgb.shape[:2]), mode="P")
    picture.putpalette(palette.tobytes())
    picture.save(path, optimize=True)


def _nearest(colors: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """For each color (N, 3) the number of the palette's closest one."""
    best, number = np.full(len(colors), np.inf), np.zeros(len(colors), np.uint8)
    for candidate, color in enumerate(palette.astype(float)):
        distance = ((colors - color) ** 2).sum(1)
        closer = distance < best
        best[closer], number[closer] = distance[closer], candidate
    return number


def _code(rgb: np.ndarray) -> np.ndarray:
    """(..., 3) as one number for each color."""
    return rgb.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)


def _color(codes: np.ndarray) -> np.ndarray:
    """The inverse of `_code`, uint8."""
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], -1).astype(np.uint8)
