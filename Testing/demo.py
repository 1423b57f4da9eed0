"""The project's main job from files to files: register one pair twice, with and without knowing its tissues.

``make demo``, or ``python Testing/demo.py [--fixed F --moving M --segmentation S ...] [--output DIR]``. Without files
it simulates a patient. Exit codes: 0 done, 2 bad input (one sentence on stderr, nothing written), 1 anything else.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NEEDED = ("fixed", "moving", "segmentation")
ADDITIONAL = ("moving_segmentation", "landmarks", "tissues")


def main(arguments: list[str] | None = None) -> int:
    """Run the demonstration and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        check_options(options)
        _demonstrate(options)
    except ValueError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("cancelled", file=sys.stderr)
        return 1
    return 0


def check_options(options: argparse.Namespace) -> None:
    """Raise ValueError unless there is a complete pair of images, or none at all."""
    missing = [_flag(name) for name in NEEDED if not getattr(options, name)]
    given = [_flag(name) for name in (*NEEDED, *ADDITIONAL) if getattr(options, name)]
    if missing and given:
        raise ValueError(f"{', '.join(missing)} must be given too: {given[0]} alone does not say what to register.")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        self.exit(2, f"error: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="demo", description="Register one pair of images with a tissue table and with a uniform one. "
                                              "Without files, a simulated patient is registered.")
    parser.add_argument("--fixed", help="image that stays as it is")
    parser.add_argument("--moving", help="image that is deformed onto it")
    parser.add_argument("--segmentation", help="tissues of the fixed image: label map or .seg.nrrd")
    parser.add_argument("--moving-segmentation", help="tissues of the moving image, to measure the overlap")
    parser.add_argument("--landmarks", help="csv with fixed_x,fixed_y,fixed_z,moving_x,moving_y,moving_z in LPS mm")
    parser.add_argument("--tissues", help="names of the labels, such as 1=lung,2=soft,3=bone")
    parser.add_argument("--output", default="demo-output", metavar="DIR", help="folder for the results")
    return parser


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _demonstrate(options: argparse.Namespace) -> None:
    # Only now: a mistyped option should not wait for torch, Slicer and matplotlib.
    sys.path[:0] = [str(ROOT), str(ROOT / "Testing"), str(ROOT / "TissueElasticRegistration")]
    from demonstration.main_job import run
    from host.mrml import MrmlHost

    from TissueElasticRegistrationLib.progress_line import ProgressLine

    with tempfile.TemporaryDirectory() as scratch:
        host, progress = MrmlHost(Path(scratch)), ProgressLine()
        try:
            print(run(options, host, progress))
        finally:
            progress.close()
            host.close()


if __name__ == "__main__":
    sys.exit(main())
