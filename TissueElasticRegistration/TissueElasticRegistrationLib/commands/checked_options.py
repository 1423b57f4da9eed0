"""The options of the command line, before any file is read."""

from __future__ import annotations

import argparse

from ..core.data.limits import check_grid_points, check_refine_steps, check_seed
from ..core.files.file_names import is_utf8, require_utf8
from ..core.preparation.alignment import MODES
from ..core.registration.devices import choose_device

FILES = ("fixed", "moving", "segmentation", "moving_segmentation", "landmarks", "moving_landmarks", "parameters")
NAMES = (*FILES, "initial", "model", "search_model", "output", "pairs")  # options that name a file or a folder
TEXTS = ("tissues", "hold_out", "hold_out_landmarks")


def check_options(options: argparse.Namespace) -> None:
    """Check the options before any file is read.

    Args:
        options: The options of the command line.

    Raises:
        ValueError: Options that contradict each other or are out of range, names that cannot be those of files, or a
            device that is not there.
    """
    for name in NAMES:
        _check_name(name, getattr(options, name, None))
    for name in TEXTS:
        text = "".join(getattr(options, name) or ())
        if not is_utf8(text):
            raise ValueError(f"--{name.replace('_', '-')}: '{text}' is not UTF-8.")
    for name, check in (("seed", check_seed), ("refine", check_refine_steps), ("grid_points", check_grid_points)):
        if getattr(options, name) is not None:
            try:
                check(getattr(options, name))
            except ValueError as error:
                raise ValueError(f"--{name.replace('_', '-')}: {error}") from error
    try:
        choose_device(options.device)
    except ValueError as error:
        raise ValueError(f"--device {options.device}: {error}") from error
    if options.grid_points is not None and options.estimate != "grid":
        raise ValueError("--grid-points: requires --estimate grid.")
    for name in ("objective", "hold_out", "hold_out_landmarks"):
        if options.estimate == "none" and getattr(options, name) not in (None, "dice"):
            raise ValueError(f"--{name.replace('_', '-')}: requires --estimate grid or gradient.")


def input_files(options: argparse.Namespace) -> dict[str, str]:
    """The files that the options name, by the name of the option.

    Args:
        options: The options of the command line.
    """
    named = {name: getattr(options, name, None) for name in FILES}
    if options.initial not in MODES:
        named["initial"] = options.initial
    return {name: file for name, file in named.items() if file is not None}


def _check_name(option: str, name: str | None) -> None:
    """Raise ValueError for a name of a file that would be taken for another one, or end the process inside of ITK."""
    if name is None:
        return
    if not name.strip():
        raise ValueError(f"--{option.replace('_', '-')}: the name is empty.")
    require_utf8(name)
