"""Command line: ``python -m TissueElasticRegistrationLib register --fixed F --moving M --segmentation S --output DIR``,
``... batch pairs.csv --output DIR`` and ``... models``.

Exit codes: 0 done, 2 bad input (one sentence on stderr, nothing written), 1 anything else.
"""

from __future__ import annotations

import argparse
import sys

from .commands.console_progress import ProgressLine


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options) or 0
    except ValueError as error:
        print(f"error: {_one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("canceled, nothing was written", file=sys.stderr)
        return 1


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        self.exit(2, f"error: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="TissueElasticRegistrationLib", description="Tissue-elastic image registration.")
    commands = parser.add_subparsers(required=True, metavar="command", parser_class=_Parser)
    # Without abbreviations: a mistyped option must not pass for another one.
    register = commands.add_parser("register", help="register one pair of images", allow_abbrev=False)
    register.set_defaults(run=_register)
    register.add_argument("--fixed", required=True, help="image that stays as it is")
    register.add_argument("--moving", required=True, help="image that is deformed onto it")
    register.add_argument("--segmentation", required=True, help="tissues of the fixed image: label map or .seg.nrrd")
    register.add_argument("--moving-segmentation", help="tissues of the moving image, for evaluation and estimate")
    register.add_argument("--landmarks", help="csv with fixed_x,fixed_y,fixed_z,moving_x,moving_y,moving_z in LPS mm")
    _add_shared_options(register)
    register.add_argument("--output", required=True, metavar="DIR", help="folder for the results")
    batch = commands.add_parser("batch", help="register a list of pairs", allow_abbrev=False)
    batch.set_defaults(run=_batch)
    batch.add_argument(
        "pairs",
        metavar="pairs.csv",
        help="one subject per line; columns fixed, moving, segmentation, "
        "and optionally subject, moving_segmentation, landmarks, tissues, initial, parameters",
    )
    _add_shared_options(batch)
    batch.add_argument("--scheduler", metavar="ADDRESS", help="not available: subjects are registered one by one")
    batch.add_argument("--output", required=True, metavar="DIR", help="one folder per subject, and batch.csv")
    models = commands.add_parser("models", help="list the networks that can be used", allow_abbrev=False)
    models.set_defaults(run=_models)
    models.add_argument("--folder", help="where the model packs are (default: those that come with the module)")
    return parser


def _add_shared_options(command: argparse.ArgumentParser) -> None:
    """What one pair and a list of pairs are registered with."""
    add = command.add_argument
    add("--tissues", help="names of the labels, such as 1=lung,2=soft,3=bone")
    add(
        "--initial",
        default="auto",
        metavar="auto|none|rigid|T.h5",
        help="alignment done first (auto: rigid if the images' frames do not fit)",
    )
    add(
        "--model",
        default="direct",
        metavar="direct|NAME|FOLDER",
        help="direct: the solver without a network; or a model pack (see the command models)",
    )
    add("--parameters", help="json with λ and μ per tissue; default: the table of tissues")
    add("--estimate", default="none", choices=["none", "grid", "gradient"], help="search for this patient's parameters")
    add("--objective", default="dice", choices=["dice", "landmarks", "similarity"], help="what the search judges by")
    add("--grid-points", type=int, metavar="N", help="places per slider (default: 11 with a model, 5 without)")
    add("--search-model", metavar="NAME|FOLDER", help="the model that --estimate grid asks, if it is another one")
    add("--hold-out", metavar="A,B", help="tissues that the search must not look at; they keep their values")
    add("--hold-out-landmarks", metavar="A,B|half", help="landmarks that the search must not look at")
    add(
        "--shear-modulus-ratio",
        action="store_true",
        help="experimental: estimate the ratios of the tissues' shear moduli from the deformation",
    )
    add(
        "--refine",
        type=int,
        metavar="N",
        help="further solver steps at full resolution (default after a model: 40, in volumes 5)",
    )
    add(
        "--device",
        default="auto",
        choices=["auto", "cpu", "cuda"],
        help="where to compute (auto: a graphics card with CUDA if there is one that can be used)",
    )
    add("--seed", type=int, default=0, metavar="N", help="recorded in result.json; results do not depend on it")


def _register(options: argparse.Namespace) -> None:
    # Imported here: asking for help or mistyping an option should not wait for torch.
    from .commands.register_command import register_files

    progress = ProgressLine()
    try:
        register_files(options, progress)
    finally:
        progress.close()


def _batch(options: argparse.Namespace) -> int:
    from .commands.batch_command import register_list

    progress = ProgressLine()
    try:
        failed = register_list(options, progress)
    except KeyboardInterrupt:
        progress.close()
        print("canceled, only the subjects that were finished are written", file=sys.stderr)
        return 1
    finally:
        progress.close()
    for subject, message in failed:
        print(f"{subject}: {message}", file=sys.stderr)
    return 1 if failed else 0


def _models(options: argparse.Namespace) -> None:
    from .commands.models_command import models_text

    print(models_text(options.folder))


def _one_line(error: ValueError) -> str:
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main())
