"""How figures look and are saved: the same on every computer, and without a change of matplotlib's own settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap
from matplotlib.figure import Figure

from .small_png import save_small_png

FORMATS = (".png", ".pdf", ".svg")
WIDTHS = (300, 10_000)  # pixels


@contextmanager
def same_look() -> Iterator[None]:
    """Whatever the user's settings of matplotlib are; afterwards they are again what they were."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"font.family": "DejaVu Sans", "axes.linewidth": 0.8, "svg.hashsalt": "figures"})
        yield


def check_format(path: Path, width: int | None = None) -> None:
    """Check that a figure can be saved under a name and with a width.

    Args:
        path: Of the figure.
        width: In pixels.

    Raises:
        ValueError: The ending is unknown, the folder does not exist, or the width is out of range.
    """
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"{path}: the name of a figure must end with {', '.join(FORMATS[:-1])} or {FORMATS[-1]}.")
    if not path.absolute().parent.is_dir():
        raise ValueError(f"{path}: there is no folder {path.absolute().parent}.")
    if width is not None and not WIDTHS[0] <= width <= WIDTHS[1]:
        raise ValueError(f"A figure must be {WIDTHS[0]} to {WIDTHS[1]} pixels wide, not {width}.")


def save_figure(figure: Figure, path: Path, exact: Iterable[Colormap] = (), width: int | None = None) -> None:
    """Write a figure; equal figures give equal files. A PNG has 256 colors.

    Args:
        figure: The figure.
        path: Where; the ending decides the format.
        exact: Color maps whose shades stay exact in a PNG.
        width: Of a PNG in pixels.

    Raises:
        ValueError: The file cannot be written.
    """
    check_format(path)
    if width is not None:
        figure.set_dpi(width / figure.get_figwidth())
    try:
        if path.suffix.lower() == ".png":
            save_small_png(pixels(figure), path, exact)
        else:
            date = {".pdf": "CreationDate", ".svg": "Date"}[path.suffix.lower()]
            figure.savefig(path, metadata={date: None})
    except OSError as error:
        raise ValueError(f"{path}: the figure cannot be written ({error.strerror}).") from error


def pixels(figure: Figure) -> np.ndarray:
    """A figure as an array.

    Args:
        figure: The figure.

    Returns:
        (rows, columns, 3) uint8.
    """
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def shortened(text: str, letters: int) -> str:
    """A text of limited length.

    Args:
        text: The text.
        letters: At most so many.
    """
    return text if len(text) <= letters else f"{text[: letters - 1]}…"
