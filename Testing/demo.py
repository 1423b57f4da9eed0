"""The module in a window of its own, beside four views, with a patient in it: estimated, registered, saved as files.

``make demo``, or ``python Testing/demo.py [--fixed F --moving M --segmentation S ...] [--output DIR]``. Without files
it simulates a patient; without a display it takes a picture of the window. Exit codes: 0 done, 2 bad input (one
sentence on stderr, nothing written), 1 anything else.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NEEDED = ("fixed", "moving", "segmentation")
ADDITIONAL = ("moving_segmentation", "landmarks", "tissues")
PLATFORM, NO_DISPLAY = "QT_QPA_PLATFORM", "offscreen"
DISPLAYS = {"DISPLAY": "xcb", "WAYLAND_DISPLAY": "wayland"}  # variable: Qt's name of the platform
UNUSABLE = "No window: Qt cannot use the display (libxcb-cursor0 may be missing). Look at panel.png instead."
PROBE = "from PySide6.QtGui import QGuiApplication; QGuiApplication([])"


def main(arguments: list[str] | None = None) -> int:
    """Run the demonstration and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        check_options(options)
        return _demonstrate(options)
    except ValueError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("canceled", file=sys.stderr)
        return 1


def check_options(options: argparse.Namespace) -> None:
    """Raise ValueError unless there is a complete pair of images, or none at all."""
    missing = [_flag(name) for name in NEEDED if not getattr(options, name)]
    given = [_flag(name) for name in (*NEEDED, *ADDITIONAL) if getattr(options, name)]
    if missing and given:
        raise ValueError(f"{', '.join(missing)} must be given too: {given[0]} alone does not say what to register.")


def choose_platform() -> str:
    """Where Qt draws: what QT_QPA_PLATFORM says, else on the display, if there is one and Qt can use it."""
    chosen = os.environ.get(PLATFORM)
    if chosen:
        return chosen
    there = [platform for variable, platform in DISPLAYS.items() if os.environ.get(variable)]
    usable = next((platform for platform in there if _qt_starts_on(platform)), None)
    if there and usable is None:
        print(UNUSABLE, file=sys.stderr)
    return usable or NO_DISPLAY


def _qt_starts_on(platform: str) -> bool:
    """Qt ends the process where it cannot draw, so another process tries first."""
    probe = subprocess.run(
        [sys.executable, "-c", PROBE],
        env={**os.environ, PLATFORM: platform},
        capture_output=True,
        timeout=60,
        check=False,
    )
    return probe.returncode == 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        self.exit(2, f"error: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="demo",
        description="Open the module with a pair of images, estimate and register. "
        "Without files, a patient is simulated.",
    )
    parser.add_argument("--fixed", help="fixed (reference) image")
    parser.add_argument("--moving", help="moving image, registered to the fixed image")
    parser.add_argument("--segmentation", help="segmentation of the fixed image: label map or .seg.nrrd")
    parser.add_argument("--moving-segmentation", help="tissues of the moving image: for the estimate and the overlap")
    parser.add_argument(
        "--landmarks", help=("CSV file with the columns fixed_x,fixed_y,fixed_z,moving_x,moving_y,moving_z in LPS mm")
    )
    parser.add_argument("--tissues", help="label names, for example 1=lung,2=soft,3=bone")
    parser.add_argument("--output", default="demo-output", metavar="DIR", help="output folder")
    return parser


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _demonstrate(options: argparse.Namespace) -> int:
    os.environ[PLATFORM] = choose_platform()
    # Only now: a mistyped option should not wait for torch, Slicer and matplotlib.
    sys.path[:0] = [str(ROOT), str(ROOT / "Testing"), str(ROOT / "TissueElasticRegistration")]
    from demonstration.calm import keep_terminal_calm
    from demonstration.main_job import run
    from demonstration.panel_user import WINDOW_SIZE, WindowClosed, size_on_screen
    from host.slicer_host import start

    from TissueElasticRegistrationLib.commands.console_progress import ProgressLine

    keep_terminal_calm()
    has_window = os.environ[PLATFORM] != NO_DISPLAY
    size = size_on_screen() if has_window else WINDOW_SIZE
    with tempfile.TemporaryDirectory() as scratch:
        host, progress = start(Path(scratch)), ProgressLine()
        try:
            finished = run(options, host, progress, size)
            print(finished.text)
            if has_window:
                print("\nThe window stays open: move the sliders. Close it to end.", flush=True)
                finished.user.stay()
        except WindowClosed:
            progress.close()
            print("canceled: the window was closed", file=sys.stderr)
            return 1
        finally:
            progress.close()
            host.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
