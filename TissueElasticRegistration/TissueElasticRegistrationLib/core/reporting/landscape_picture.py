"""A picture of how the score of one tissue depends on λ and μ, as an RGB array (rows, columns, 3) uint8."""

from __future__ import annotations

import numpy as np

from .pictures import NOTHING

# Dark to bright, with equal steps for the eye and without need of telling red from green (the colors of "viridis").
COLORS = np.array(
    [
        (68, 1, 84),
        (72, 40, 120),
        (62, 73, 137),
        (49, 104, 142),
        (38, 130, 142),
        (31, 158, 137),
        (53, 183, 121),
        (110, 206, 88),
        (181, 222, 43),
        (253, 231, 37),
    ],
    float,
)
PIXELS = 140
# Equal colors mean equal losses in all pictures: a landscape without differences must not look like one with some.
SPAN = 0.1
HATCH_PERIOD, HATCH_WIDTH, HATCH_STRENGTH = 9.0, 2.0, 0.45  # of PIXELS
FRAME = (60, 60, 60)


def landscape_picture(
    scores: np.ndarray,
    chosen: tuple[int, int] | None = None,
    hatched: np.ndarray | None = None,
    pixels: int = PIXELS,
    span: float = SPAN,
) -> np.ndarray:
    """A square heat map with λ from left to right and μ from bottom to top.

    The best score is yellow, ``span`` below it and less is dark violet.

    Args:
        scores: (λ, μ), NaN where nothing is known yet: gray.
        chosen: Indices of the point to mark with a ring.
        hatched: bool (λ, μ), cells that are as good as the best.
        pixels: Side of the picture; everything in it grows along.
        span: Loss against the best score at which the colors end.

    Returns:
        (pixels, pixels, 3) uint8.
    """
    rows, columns = np.mgrid[:pixels, :pixels].astype(float) + 0.5
    a = (columns * scores.shape[0] / pixels).astype(int)
    b = ((pixels - rows) * scores.shape[1] / pixels).astype(int)
    picture = _colored(scores, span)[a, b]
    size = pixels / PIXELS
    if hatched is not None:
        across = (rows + columns) / np.sqrt(2) % (HATCH_PERIOD * size)
        line = _line(np.abs(across - HATCH_PERIOD * size / 2), HATCH_WIDTH * size)
        picture = _blended(picture, (0, 0, 0), HATCH_STRENGTH * line * hatched[a, b])
    if chosen is not None:
        x = (chosen[0] + 0.5) * pixels / scores.shape[0]
        y = pixels - (chosen[1] + 0.5) * pixels / scores.shape[1]
        radius = min(0.3 * pixels / max(scores.shape), 7 * size)
        from_ring = np.abs(np.hypot(columns - x, rows - y) - radius)
        picture = _blended(picture, (0, 0, 0), _line(from_ring, 5 * size))
        picture = _blended(picture, (255, 255, 255), _line(from_ring, 2.5 * size))
    to_edge = np.minimum(np.minimum(rows, columns), pixels - np.maximum(rows, columns))
    return np.rint(_blended(picture, FRAME, to_edge < size)).astype(np.uint8)


def _colored(scores: np.ndarray, span: float) -> np.ndarray:
    """Colors (λ, μ, 3) from the best score down to ``span`` below it."""
    known = np.isfinite(scores)
    colors = np.broadcast_to(np.array(NOTHING, float), (*scores.shape, 3)).copy()
    if known.any():
        height = np.clip(1 - (scores[known].max() - scores[known]) / span, 0, 1) * (len(COLORS) - 1)
        colors[known] = np.stack([np.interp(height, range(len(COLORS)), channel) for channel in COLORS.T], -1)
    return colors


def _line(distance: np.ndarray, width: float) -> np.ndarray:
    """How much of each pixel a line of this width covers, from the distance of the pixel to its middle."""
    return np.clip(width / 2 - distance + 0.5, 0, 1)


def _blended(picture: np.ndarray, color: tuple[int, int, int], part: np.ndarray) -> np.ndarray:
    return picture + part[..., None] * (np.array(color, float) - picture)
