"""Command line: ``python -m TissueElasticRegistrationLib register --fixed F --moving M --segmentation S --output DIR``,
``... batch pairs.csv --output DIR`` and ``... models``.

Exit codes: 0 done, 2 bad input (one sentence on stderr, nothing written), 1 anything else: canceled, or
no more memory or disk space.
"""

from __future__ import annotations

import argparse
import sys

from .commands.console_progress import ProgressLine
from .commands.failures import FAILURES, failure_sentence, interruptible
from .commands.terminal import accept_any_output, one_line, printable
from .core.estimation.criteria.criterion import CRITERIA


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        with interruptible():
            return options.run(options) or 0
    except ValueError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("canceled; nothing was written", file=sys.stderr)
        return 1
    except FAILURES as error:
        print(f"error: {failure_sentence(error)}", file=sys.stderr)
        return 1


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        self.exit(2, f"error: {one_line(message)}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="TissueElasticRegistrationLib", description="Tissue-elastic image registration.")
    commands = parser.add_subparsers(required=True, metavar="command", parser_class=_Parser)
    # Without abbreviations: a mistyped option must not pass for another one.
    register = commands.add_parser("register", help="register one image pair", allow_abbrev=False)
    register.set_defaults(run=_register)
    register.add_argument("--fixed", required=True, help="fixed (reference) image")
    register.add_argument("--moving", required=True, help="moving image, registered to the fixed image")
    register.add_argument(
        "--segmentation", required=True, help=("segmentation of the fixed image: label map or .seg.nrrd")
    )
    register.add_argument(
        "--moving-segmentation",
        help=("segmentation of the moving image, for evaluation and as a criterion of --estimate"),
    )
    register.add_argument(
        "--landmarks",
        help=(
            "CSV file with the columns fixed_x,fixed_y,fixed_z,moving_x,moving_y,moving_z in LPS mm, or .mrk.json or "
            ".fcsv with the points of the fixed image"
        ),
    )
    register.add_argument(
        "--moving-landmarks", help="the same points in the moving image, if --landmarks is .mrk.json or .fcsv"
    )
    _add_shared_options(register)
    register.add_argument("--output", required=True, metavar="DIR", help="output folder")
    batch = commands.add_parser("batch", help="register a list of image pairs", allow_abbrev=False)
    batch.set_defaults(run=_batch)
    batch.add_argument(
        "pairs",
        metavar="pairs.csv",
        help=(
            "CSV file with one subject per line; required columns: fixed, moving, segmentation; optional "
            "columns: subject, moving_segmentation, landmarks, moving_landmarks, tissues, initial, parameters"
        ),
    )
    _add_shared_options(batch)
    batch.add_argument("--scheduler", metavar="ADDRESS", help="not supported; subjects are registered one at a time")
    batch.add_argument(
        "--output", required=True, metavar="DIR", help=("output folder, with one subfolder per subject and batch.csv")
    )
    models = commands.add_parser("models", help="list the available models", allow_abbrev=False)
    models.set_defaults(run=_models)
    models.add_argument("--folder", help="folder of the models (default: the models included with the module)")
    return parser


def _add_shared_options(command: argparse.ArgumentParser) -> None:
    """What one pair and a list of pairs are registered with."""
    add = command.add_argument
    add("--tissues", help="label names, for example 1=lung,2=soft,3=bone")
    add(
        "--initial",
        default="auto",
        metavar="auto|none|rigid|centers|segments|T.h5",
        help=(
            "initial alignment (auto: rigid if the images are far apart or turned; centers: a shift of the centers of "
            "mass; segments: rigid, by the segments of both segmentations)"
        ),
    )
    add(
        "--model",
        default="direct",
        metavar="direct|NAME|FOLDER",
        help="direct solver (no network), or the name or folder of a model (see the command models)",
    )
    add("--parameters", help="JSON file with λ and μ for each tissue (default: start values by tissue name)")
    add(
        "--estimate",
        default="none",
        choices=["none", "grid", "gradient"],
        help=("search for the λ and μ that fit this image pair best"),
    )
    add("--objective", default="dice", choices=list(CRITERIA), help="criterion of the search")
    add(
        "--grid-points",
        type=int,
        metavar="N",
        help=("grid points for each of λ and μ (default: 11 with a model, otherwise 5)"),
    )
    add("--search-model", metavar="NAME|FOLDER", help="model for --estimate grid, if different from --model")
    add(
        "--hold-out",
        metavar="A,B",
        action="append",
        help=(
            "tissues to exclude from the search; their values do not change (may be repeated; a name that contains a "
            "comma in double quotes)"
        ),
    )
    add("--hold-out-landmarks", metavar="A,B|half", action="append", help="landmarks to exclude from the search")
    add(
        "--shear-modulus-ratio",
        action="store_true",
        help="experimental: estimate the ratios of the tissues' shear moduli from the deformation",
    )
    add(
        "--refine",
        type=int,
        metavar="N",
        help=(
            "additional full-resolution iterations (default: none for the direct solver; after a model 40 in 2D, "
            "5 in 3D)"
        ),
    )
    add(
        "--device",
        default="auto",
        choices=["auto", "cpu", "cuda"],
        help="computing device (auto: a CUDA GPU if available, otherwise the CPU)",
    )
    add("--seed", type=int, default=0, metavar="N", help="recorded in result.json; results do not depend on it")


def _register(options: argparse.Namespace) -> None:
    # Imported here: asking for help or mistyping an option should not wait for torch.
    from .commands.register_command import register_files

    progress = ProgressLine()
    try:
        registered = register_files(options, progress)
    finally:
        progress.close()
    if registered.result.unreliable:
        print(one_line(" ".join(("unreliable:", *registered.result.unreliable))), file=sys.stderr)


def _batch(options: argparse.Namespace) -> int:
    from .commands.batch_command import register_list

    progress = ProgressLine()
    try:
        outcome = register_list(options, progress)
    except KeyboardInterrupt:
        progress.close()
        print("canceled; only the results of completed subjects were written", file=sys.stderr)
        return 1
    finally:
        progress.close()
    for subject, reasons in outcome.unreliable:
        print(one_line(f"{subject}: unreliable: {reasons}"), file=sys.stderr)
    for subject, message in outcome.failed:
        print(printable(f"{subject}: {message}"), file=sys.stderr)
    return 1 if outcome.failed else 0


def _models(options: argparse.Namespace) -> None:
    from .commands.models_command import models_text

    print(models_text(options.folder))


if __name__ == "__main__":
    accept_any_output()
    sys.exit(main())
