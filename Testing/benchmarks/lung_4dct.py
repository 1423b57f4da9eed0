"""The command line on the 4DCT pair, exhale fixed and inhale moving: accuracy, time, memory, a displaced header.

python Testing/benchmarks/lung_4dct.py [--data FOLDER] [--no-displaced] [--no-repeat] [--model universal-3d --refine 5]

The displaced runs move the moving image in its header by 35 mm and 5 degrees about the middle of the image, and the
moving landmarks with it: a registration that finds the displacement again has the same landmark errors. With a model,
the last table compares it with the direct solver alone: J, the objective, and processor time on one thread.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from pathlib import Path
from time import process_time

import numpy as np
import SimpleITK as sitk
from measuring import Run, add_data_option, label_overlaps, print_table, run_register, transform_difference_percent

from TissueElasticRegistrationLib.commands.register_command import read_pair
from TissueElasticRegistrationLib.core.data.progress import finish
from TissueElasticRegistrationLib.core.registration.registrar import Registrar
from TissueElasticRegistrationLib.core.registration.solver import solver_for

CASE = "lung-4dct-p102"
STRUCTURES = {1: "right lung", 2: "left lung", 3: "heart", 4: "esophagus", 6: "tumour", 7: "lymph node"}
DISPLACEMENT_MM, DEGREES = 35.0, 5.0
# Direction of the shift and axis of the turn, LPS.
DISPLACED = {
    "left, about z": ((1, 0, 0), (0, 0, 1)),
    "back, about x": ((0, 1, 0), (1, 0, 0)),
    "up, about y": ((0, 0, 1), (0, 1, 0)),
    "oblique": ((-1, -1, -1), (1, -1, 1)),
}
POINT_COLUMNS = ("moving_x", "moving_y", "moving_z")
MAY_DIFFER = ("seconds", "peak_memory_mb")
MIN_GAIN, MAX_TRE_MM = 3.0, 1.25  # a refined network against the direct solver alone


def main() -> None:
    """Run everything asked for and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_option(parser)
    parser.add_argument("--no-displaced", action="store_true", help="leave out the runs with a displaced header")
    parser.add_argument("--no-repeat", action="store_true", help="leave out the second, equal run")
    parser.add_argument("--model", default="direct", help="name of a model pack or, with a /, its folder")
    parser.add_argument("--refine", type=int, default=0, help="further steps at full resolution (default 0)")
    options = parser.parse_args()
    case = options.data / CASE
    moving = case / "inhale_phase00_ct.nii.gz"
    register = {
        "fixed": case / "exhale_phase50_ct.nii.gz",
        "moving": moving,
        "segmentation": case / "exhale_phase50_tissue.nii.gz",
        "tissues": "1=lung,2=soft,3=bone",
        "landmarks": case / "landmarks_fixed_exhale.csv",
        "refine": options.refine,
        "model": options.model,
    }
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        run = run_register(work / "first", register)
        _print_run(run)
        _print_files(run, moving)
        _print_overlaps(run, case)
        if not options.no_repeat:
            _print_repeated(run, run_register(work / "second", register))
        if not options.no_displaced:
            _print_displaced(run, register, work)
    if options.model != "direct":
        _print_against_direct(register)


def _print_run(run: Run) -> None:
    tre, seconds = run.result["tre_mm"], run.result["seconds"]
    print_table(
        "the command",
        ("TRE before", "after", "max before", "after", "folding %", "seconds", "CPU s", "peak MB"),
        [
            (
                tre["before_mean"],
                tre["after_mean"],
                tre["before_max"],
                tre["after_max"],
                run.result["negative_jacobian_percent"],
                run.seconds,
                run.cpu_seconds,
                run.peak_memory_mb,
            )
        ],
    )
    print("seconds by part: " + ", ".join(f"{name} {value:.1f}" for name, value in seconds.items()))
    print(f"grid (k, j, i): {run.result['grid']}")
    for warning in run.result["warnings"]:
        print(f"warning: {warning}")
    tissues = run.result["tissues"]
    print_table(
        "tissues",
        ("", "lambda", "mu", "strain rms", "folding %"),
        [(t["name"], t["lambda"], t["mu"], t["strain_rms"], t["negative_jacobian_percent"]) for t in tissues],
    )


def _print_files(run: Run, moving: Path) -> None:
    print(
        f"\ntransform.h5 applied by SimpleITK against warped.nii.gz: largest difference "
        f"{transform_difference_percent(moving, run.output):.4f} % of the intensity range"
    )


def _print_overlaps(run: Run, case: Path) -> None:
    overlaps = label_overlaps(
        case / "exhale_phase50_labels.nii.gz",
        case / "inhale_phase00_labels.nii.gz",
        STRUCTURES,
        run.output / "transform.h5",
    )
    print_table(
        "clinical contours (not seen by the registration)",
        ("", "Dice before", "after"),
        [(STRUCTURES[label], *values) for label, values in overlaps.items()],
    )


def _print_repeated(first: Run, second: Run) -> None:
    rows = []
    for file in sorted(first.output.iterdir()):
        if file.name == "result.json":
            same = _lasting(first) == _lasting(second)
        elif file.name == "transform.h5":  # HDF5 holds the time of writing
            same = _transform(first) == _transform(second)
        else:
            same = file.read_bytes() == (second.output / file.name).read_bytes()
        rows.append((file.name, "identical" if same else "DIFFERENT"))
    if {file.name for file in second.output.iterdir()} != {row[0] for row in rows}:
        rows.append(("list of files", "DIFFERENT"))
    print_table(f"the same command again (result.json without {' and '.join(MAY_DIFFER)})", ("", ""), rows)


def _transform(run: Run) -> tuple[tuple[float, ...], bytes]:
    """Grid and displacement of the run's transform file."""
    transform = sitk.ReadTransform(str(run.output / "transform.h5"))
    return transform.GetFixedParameters(), np.array(transform.GetParameters()).tobytes()


def _lasting(run: Run) -> str:
    return json.dumps({key: value for key, value in run.result.items() if key not in MAY_DIFFER})


def _print_displaced(undisturbed: Run, register: dict[str, object], work: Path) -> None:
    rows = []
    for number, (name, (direction, axis)) in enumerate(DISPLACED.items()):
        inputs = work / f"displaced-{number}"
        inputs.mkdir()
        mapping = _displacement(register["moving"], direction, axis)
        displaced = {
            "moving": _displaced_image(register["moving"], mapping, inputs / "moving.nii.gz"),
            "landmarks": _displaced_landmarks(register["landmarks"], mapping, inputs / "landmarks.csv"),
        }
        run = run_register(inputs / "output", {**register, **displaced})
        tre, normal = run.result["tre_mm"], undisturbed.result["tre_mm"]
        rows.append(
            (
                name,
                tre["before_mean"],
                tre["after_mean"],
                tre["after_mean"] - normal["after_mean"],
                run.result["negative_jacobian_percent"],
                run.seconds,
                run.peak_memory_mb,
            )
        )
        displaced["moving"].unlink()
    print_table(
        f"header of the moving image displaced by {DISPLACEMENT_MM:g} mm and {DEGREES:g} degrees",
        ("", "TRE before", "after", "difference", "folding %", "seconds", "peak MB"),
        rows,
    )


def _print_against_direct(register: dict[str, object]) -> None:
    """In this process, after the commands, whose memory is measured."""
    pair = read_pair(argparse.Namespace(**register, moving_segmentation=None))
    accounts = {}
    for model, steps in (("direct", 0), (register["model"], register["refine"])):
        registrar = Registrar(pair, solver_for(model), threads=1)
        began = process_time()
        finish(registrar.prepare())
        solving = process_time()
        finish(registrar.register(registrar.table_parameters()))
        if steps:
            finish(registrar.refine(registrar.table_parameters(), steps))
        solved = process_time()
        result = finish(registrar.result())
        accounts[model] = (
            result.objective_values.objective_after,
            result.landmark_errors.after_mean,
            result.negative_jacobian_percent,
            solved - solving,
            solving - began,
        )
        for note in registrar.notes:
            print(f"{model}: {note}")
    print_table(
        "beside the direct solver, one thread",
        ("", "J", "TRE", "folding %", "CPU s solver", "preparing"),
        [(name, *account) for name, account in accounts.items()],
    )
    direct, model = accounts.values()
    print(
        f"{direct[3] / model[3]:.2f} times faster (wanted >= {MIN_GAIN:g}), J {model[0] - direct[0]:+.4f} "
        f"(wanted <= 0), TRE {model[1]:.3f} mm (wanted <= {MAX_TRE_MM:g})"
    )


def _displacement(moving: Path, direction: tuple[int, ...], axis: tuple[int, ...]) -> sitk.VersorRigid3DTransform:
    """Where a point of the moving image lies after its header was displaced, LPS mm."""
    image = sitk.ReadImage(str(moving))
    mapping = sitk.VersorRigid3DTransform()
    mapping.SetCenter(image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()]))
    mapping.SetRotation([float(value) for value in axis], float(np.radians(DEGREES)))
    mapping.SetTranslation((DISPLACEMENT_MM * np.array(direction) / np.linalg.norm(direction)).tolist())
    return mapping


def _displaced_image(moving: Path, mapping: sitk.VersorRigid3DTransform, path: Path) -> Path:
    """The same voxels with another origin and direction in the header."""
    image = sitk.ReadImage(str(moving))
    direction = np.reshape(mapping.GetMatrix(), (3, 3)) @ np.reshape(image.GetDirection(), (3, 3))
    image.SetOrigin(mapping.TransformPoint(image.GetOrigin()))
    image.SetDirection(direction.ravel().tolist())
    sitk.WriteImage(image, str(path))
    return path


def _displaced_landmarks(landmarks: Path, mapping: sitk.Transform, path: Path) -> Path:
    with landmarks.open(newline="", encoding="utf-8") as source, path.open("w", newline="", encoding="utf-8") as target:
        reader = csv.DictReader(source)
        writer = csv.DictWriter(target, reader.fieldnames)
        writer.writeheader()
        for row in reader:
            point = mapping.TransformPoint([float(row[column]) for column in POINT_COLUMNS])
            writer.writerow({**row, **dict(zip(POINT_COLUMNS, point, strict=True))})
    return path


if __name__ == "__main__":
    main()
