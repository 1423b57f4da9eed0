"""Command line: ``python -m TissueElasticRegistrationLib register --fixed F --moving M --segmentation S --output DIR``,
and ``... models``.

Exit codes: 0 done, 2 bad input (one sentence on stderr, nothing written), 1 anything else.
"""

from __future__ import annotations

import argparse
import sys

from .progress_line import ProgressLine


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except ValueError as error:
        print(f"error: {_one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("cancelled, nothing was written", file=sys.stderr)
        return 1
    return 0


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
    register.add_argument("--moving-segmentation", help="tissues of the moving image, for the evaluation")
    register.add_argument("--tissues", help="names of the labels, such as 1=lung,2=soft,3=bone")
    register.add_argument("--initial", default="auto", metavar="auto|none|rigid|T.h5",
                          help="alignment done first (auto: rigid if the images' frames do not fit)")
    register.add_argument("--landmarks", help="csv with fixed_x,fixed_y,fixed_z,moving_x,moving_y,moving_z in LPS mm")
    register.add_argument("--model", default="direct", metavar="direct|NAME|FOLDER",
                          help="direct: the solver without a network; or a model pack (see the command models)")
    register.add_argument("--parameters", help="json with λ and μ per tissue; default: the table of tissues")
    register.add_argument("--estimate", default="none", choices=["none", "grid", "gradient"],
                          help="search for this patient's parameters")
    register.add_argument("--refine", type=int, metavar="N",
                          help="further solver steps at full resolution (default after a model: 40, in volumes 5)")
    register.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    register.add_argument("--seed", type=int, default=0)
    register.add_argument("--output", required=True, metavar="DIR", help="folder for the results")
    models = commands.add_parser("models", help="list the networks that can be used", allow_abbrev=False)
    models.set_defaults(run=_models)
    models.add_argument("--folder", help="where the model packs are (default: those that come with the module)")
    return parser


def _register(options: argparse.Namespace) -> None:
    # Imported here: asking for help or mistyping an option should not wait for torch.
    from .register_command import register_files

    progress = ProgressLine()
    try:
        register_files(options, progress)
    finally:
        progress.close()


def _models(options: argparse.Namespace) -> None:
    from .models_command import models_text

    print(models_text(options.folder))


def _one_line(error: ValueError) -> str:
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main())
