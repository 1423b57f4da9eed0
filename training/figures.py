"""The figures of Reithmeir et al. 2024, from your own subjects and models.

    python -m training.figures tissues BATCH.csv [MORE.csv ...] --output fig2.png
    python -m training.figures registrations MODEL MODEL [...] --output fig3.png

``tissues`` (Fig. 2) draws λ against μ for each tissue, one dot for each subject, from the tables of the command
``batch --estimate``. ``registrations`` (Fig. 3) registers one pair with several models and shows images, deformation,
Jacobian determinant, difference and outlines, a row for each model. Names end with .png, .pdf or .svg.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from TissueElasticRegistrationLib.commands.console_progress import ProgressLine
from TissueElasticRegistrationLib.commands.register_command import read_pair, search_solver
from TissueElasticRegistrationLib.core.data.images import ImagePair
from TissueElasticRegistrationLib.core.files.transform_files import read_transform
from TissueElasticRegistrationLib.core.physics.parameter_scale import SCALES
from TissueElasticRegistrationLib.core.preparation.alignment import MODES
from TissueElasticRegistrationLib.core.registration.solver import solver_for
from TissueElasticRegistrationLib.core.registration.threads import thread_count

from .datasets.phantom_pairs import load_of, phantom_case

EXAMPLE = 950_001  # number of the phantom that is shown if no files are named; no model was trained on it
FILES = ("fixed", "moving", "segmentation")


def main(arguments: list[str] | None = None) -> int:
    """Make one figure.

    Args:
        arguments: Words of the command line; None: those of this process.

    Returns:
        0, or 2 after one sentence on stderr about what cannot be used.
    """
    options = _parser().parse_args(arguments)
    progress = ProgressLine()
    try:
        options.draw(options, progress)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("matplotlib", "contourpy", "PIL"):
            raise
        problem = "figures need matplotlib: pip install -c constraints.txt -e .[training]"
    except ValueError as error:
        problem = " ".join(str(error).split())
    else:
        return 0
    finally:
        progress.close()
    print(f"error: {problem}", file=sys.stderr)
    return 2


def draw_tissues(options: argparse.Namespace, progress: ProgressLine) -> None:
    """Figure 2.

    Args:
        options: The options of the command line.
        progress: Shows how far the work is.

    Raises:
        ValueError: A table cannot be used.
    """
    from .drawing.batch_table import read_table
    from .drawing.pages import check_format, same_look, save_figure
    from .drawing.tissue_dots import tissue_figure

    check_format(options.output, options.width)
    tables = [read_table(path, options.scale) for path in options.tables]
    with same_look():
        save_figure(tissue_figure(tables), options.output, width=options.width)
    for table in tables:
        failed = f", {len(table.failed)} failed" if table.failed else ""
        print(
            f"{table.name}: {len(table.subjects)} subjects{failed}, {len(table.dots)} estimates of λ and μ, "
            f"{sum(dot.flat for dot in table.dots)} of them undecided"
        )
    print(options.output)


def draw_registrations(options: argparse.Namespace, progress: ProgressLine) -> None:
    """Figure 3.

    Args:
        options: The options of the command line.
        progress: Shows how far the work is.

    Raises:
        ValueError: A file or a model cannot be used.
    """
    from .drawing.compared import Choice, compare
    from .drawing.comparison import EXACT, comparison_figure, row_text
    from .drawing.pages import check_format, same_look, save_figure
    from .drawing.planes import shown_plane

    check_format(options.output, options.width)
    if options.refine < 0:
        raise ValueError(f"--refine {options.refine}: the number of steps must be at least 0.")
    names = [Path(model).name for model in options.models]
    if len(set(names)) < len(names):
        raise ValueError("Each model can be shown once, and two folders need different names.")
    solvers = {name: solver_for(model) for name, model in zip(names, options.models, strict=True)}
    pair, title = _pair(options)
    plane = shown_plane(pair, options.view, options.at_mm)
    method = options.estimate or ("none" if options.parameters or pair.moving_segmentation is None else "grid")
    options.estimate = method
    initial = options.initial if options.initial in MODES else read_transform(options.initial)
    choice = Choice(
        None if method == "none" else method,
        options.grid_points,
        search_solver(options),
        options.parameters,
        options.refine,
        initial,
        thread_count(pair.fixed.geometry.shape_kji),
    )
    rows = compare(pair, solvers, choice, progress)
    with same_look():
        figure = comparison_figure(pair, plane, rows, f"{title}, {plane.name}")
        save_figure(figure, options.output, EXACT, options.width)
    for row in rows:
        print(f"{row.name}: {row_text(row, pair)}")
        for warning in row.result.warnings:
            print(f"{row.name}: {warning}", file=sys.stderr)
    print(options.output)


def _pair(options: argparse.Namespace) -> tuple[ImagePair, str]:
    """The pair from files, or a synthetic patient, and what is shown."""
    named = [title for title in FILES if getattr(options, title)]
    if named and len(named) < len(FILES):
        missing = next(title for title in FILES if title not in named)
        raise ValueError(f"--{missing} is missing: own images need --fixed, --moving and --segmentation.")
    if named:
        return read_pair(options), f"{Path(options.moving).name} on {Path(options.fixed).name}"
    case = phantom_case(options.dimension, options.phantom, options.spacing_mm)
    pair = ImagePair(case.fixed, case.moving, case.fixed_segmentation, case.moving_segmentation, case.landmarks())
    return pair, f"phantom {options.phantom} ({load_of(options.phantom)})"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.figures", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="figure")
    tissues = commands.add_parser("tissues", help="λ against μ of every subject", allow_abbrev=False)
    tissues.set_defaults(draw=draw_tissues)
    tissues.add_argument("tables", nargs="+", metavar="BATCH.csv", help="tables of the command batch")
    tissues.add_argument("--scale", choices=list(SCALES), help="of λ and μ; if it is not given, their values tell")
    tissues.add_argument("--output", required=True, type=Path, help=".png, .pdf or .svg")
    registrations = commands.add_parser("registrations", help="one pair, several models", allow_abbrev=False)
    registrations.set_defaults(draw=draw_registrations)
    _add_registration_options(registrations)
    for command in (tissues, registrations):
        command.add_argument("--width", type=int, metavar="PIXELS", help="of a .png")
    return parser


def _add_registration_options(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("models", nargs="+", metavar="MODEL", help="names or folders of models, or direct")
    add("--output", required=True, type=Path, help=".png, .pdf or .svg")
    add("--phantom", type=int, default=EXAMPLE, metavar="N", help="number of a synthetic patient")
    add("--dimension", type=int, default=2, choices=[2, 3], help="of the synthetic patient")
    add("--spacing-mm", type=float, help="voxel size of the synthetic patient (4, in volumes 6)")
    add("--fixed", help="own images instead: the one that stays as it is,")
    add("--moving", help="the one that is deformed onto it,")
    add("--segmentation", help="and the tissues of the fixed one")
    add("--moving-segmentation", help="tissues of the moving image, to estimate and to judge by")
    add("--tissues", help="label names, for example 1=lung,2=soft,3=bone")
    add("--landmarks", help="CSV file with the columns fixed_x,fixed_y,fixed_z,moving_x,moving_y,moving_z in LPS mm")
    add("--initial", default="auto", metavar="auto|none|rigid|centers|segments|T.h5", help="initial alignment")
    add(
        "--estimate",
        choices=["none", "grid", "gradient"],
        help="how λ and μ are found (grid, if there is a moving "
        "segmentation and no --parameters); a global model takes the best pair for all tissues",
    )
    add("--parameters", help="json with λ and μ per tissue instead")
    add("--grid-points", type=int, metavar="N", help="grid points for each of λ and μ (11, without a model 5)")
    add(
        "--search-model",
        metavar="MODEL",
        help="the model that the grid asks for models with λ and μ per tissue "
        "(the global one of the same kind, if it is compared too)",
    )
    add("--refine", type=int, default=0, metavar="N", help="further solver steps after a model's answer")
    add("--view", choices=["axial", "coronal", "sagittal"], help="which plane of a volume")
    add("--at-mm", type=float, metavar="X", help="where: R of a sagittal, A of a coronal, S of an axial plane")


if __name__ == "__main__":
    sys.exit(main())
