"""Pictures as RGB arrays (rows, columns, 3) uint8: gray values, outlines, differences, deformed grids, Jacobians.

The sign of differences and the colors of changes of volume are told here, for the panel as well. Fixed minus moving is
what Slicer's views subtract (background minus foreground).
"""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

BLUE, WHITE, RED = (33, 90, 190), (248, 248, 248), (190, 40, 40)
FOLDED = (255, 0, 255)  # not yellow: that is the color of the grid, which may lie over it
DIFFERENCE_MEANS = (
    "fixed minus moving intensity: gray where they agree, bright where fixed is brighter, dark where moving is"
)
VOLUME_CHANGE_MEANS = "blue shrinks, white keeps its volume, red grows from fixed to moving, magenta folds"
NOTHING = (128, 128, 128)  # neither image has a value here
EQUAL, OUTSIDE = 128, (60, 70, 120)  # of a difference; the second where one of the images has no value
GRID_LINE = (255, 214, 90)
# Told apart by most color-blind people, and bright enough on gray values.
TISSUE_COLORS = (
    (240, 160, 20),
    (86, 180, 233),
    (0, 200, 130),
    (240, 228, 66),
    (235, 95, 60),
    (214, 125, 180),
    (95, 140, 255),
    (160, 220, 60),
)
DIFFERENCE_RANGE = 0.5  # of the gray window
JACOBIAN_RANGE = 2.0  # colors saturate at 1/2 and 2


def gray(values: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Gray values with a window from black to white.

    Args:
        values: (rows, columns).
        window: What becomes black and what becomes white.

    Returns:
        (rows, columns, 3) uint8.
    """
    shade = np.rint(255 * windowed(values, window)).astype(np.uint8)
    return np.repeat(shade[..., None], 3, axis=2)


def windowed(values: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Values clipped to a window and scaled to [0, 1].

    Args:
        values: Any shape.
        window: What becomes 0 and what becomes 1.
    """
    low, high = window
    return np.clip((np.asarray(values, np.float64) - low) / (high - low), 0, 1)


def tissue_color(number: int) -> tuple[int, int, int]:
    """Color of the tissue with this position in the list of tissues."""
    return TISSUE_COLORS[number % len(TISSUE_COLORS)]


def outlined(picture: np.ndarray, labels: np.ndarray, colors: dict[int, tuple[int, int, int]]) -> np.ndarray:
    """A copy with the inner edge of every label drawn in its color.

    Args:
        picture: (rows, columns, 3) uint8.
        labels: (rows, columns) integers.
        colors: Label -> RGB from 0 to 255; labels without a color are left out.
    """
    edge = np.zeros(labels.shape, bool)
    edge[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edge[:-1] |= labels[:-1] != labels[1:]
    edge[1:] |= labels[1:] != labels[:-1]
    drawn = picture.copy()
    for label, color in colors.items():
        drawn[edge & (labels == label)] = color
    return drawn


def difference(fixed: np.ndarray, moving: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Fixed minus moving: dark where negative, gray where equal, bright where positive.

    Args:
        fixed: (rows, columns), windowed to [0, 1].
        moving: (rows, columns), windowed to [0, 1].
        valid: (rows, columns) bool, where both images have values.

    Returns:
        (rows, columns, 3) uint8; ``OUTSIDE`` where not valid.
    """
    steps = EQUAL + 127 * np.clip((fixed - moving) / DIFFERENCE_RANGE, -1, 1)
    picture = np.repeat(np.rint(steps).astype(np.uint8)[..., None], 3, axis=2)
    picture[~valid] = OUTSIDE
    return picture


def jacobian(determinant: np.ndarray) -> np.ndarray:
    """Blue where the volume shrinks, white where it stays, red where it grows (logarithmic); folding in magenta.

    Args:
        determinant: (rows, columns), no unit.

    Returns:
        (rows, columns, 3) uint8.
    """
    folded = determinant <= 0
    growth = np.log(np.where(folded, 1, determinant)) / np.log(JACOBIAN_RANGE)
    picture = diverging(growth)
    picture[folded] = FOLDED
    return picture


def diverging(values: np.ndarray) -> np.ndarray:
    """Colors from blue by way of white to red.

    Args:
        values: Any shape: -1 is blue, 0 white, 1 red, saturated beyond.

    Returns:
        (..., 3) uint8.
    """
    strength = np.clip(np.abs(values), 0, 1)[..., None]
    end = np.where(np.asarray(values)[..., None] < 0, BLUE, RED)
    return np.rint((1 - strength) * np.array(WHITE) + strength * end).astype(np.uint8)


def with_curves(picture: np.ndarray, curves: list[np.ndarray], color: tuple[int, int, int] = GRID_LINE) -> np.ndarray:
    """A copy with smooth lines drawn along curves.

    Args:
        picture: (rows, columns, 3) uint8.
        curves: Each (N, 2: column, row), points less than a pixel apart; those outside of the picture are left out.
        color: RGB from 0 to 255.
    """
    cover = np.zeros(picture.shape[:2])
    for curve in curves:
        corner = np.floor(curve).astype(int)
        fraction = curve - corner
        for step in np.ndindex(2, 2):
            column, row = (corner + step).T
            weight = np.prod(np.where(step, fraction, 1 - fraction), axis=1)
            inside = (column >= 0) & (column < cover.shape[1]) & (row >= 0) & (row < cover.shape[0])
            np.maximum.at(cover, (row[inside], column[inside]), weight[inside])
    cover = np.sqrt(cover)[..., None]  # a line between two pixel rows looks as strong as one on a row
    return np.rint((1 - cover) * picture + cover * np.array(color)).astype(np.uint8)


def png(picture: np.ndarray) -> bytes:
    """A PNG file with 8 bit RGB; equal pictures give equal bytes.

    Args:
        picture: (rows, columns, 3) uint8.
    """
    rows, columns, _ = picture.shape
    above = np.vstack([np.zeros((1, columns, 3), np.uint8), picture[:-1]])
    filtered = np.empty((rows, 1 + 3 * columns), np.uint8)
    filtered[:, 0] = 2  # each row as the difference to the one above, which compresses better
    filtered[:, 1:] = (picture - above).reshape(rows, -1)
    header = struct.pack(">2I5B", columns, rows, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes(), 6)), (b"IEND", b""))
    )


def data_uri(picture: np.ndarray) -> str:
    """The picture as it can stand in an HTML file."""
    return "data:image/png;base64," + base64.b64encode(png(picture)).decode()
