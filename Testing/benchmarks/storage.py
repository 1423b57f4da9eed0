"""One pair in eight storage orders, three file formats and two paddings: how far the results differ.

python Testing/benchmarks/storage.py [--spacing-mm 8]

A thorax phantom is written with its axes flipped and exchanged, as .nii.gz, .nrrd and .mha, and with -1024 or -3024
outside of a circle; the landmarks of the fixed body are moved by each ``transform.h5``, read by SimpleITK. All
combinations are compared with the first one.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from measuring import print_table, run_register

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # for `training`, which is not installed

from training.phantoms import make_case

ORDERS = {
    "as scanned": ((0, 1, 2), ()),
    "left to right": ((0, 1, 2), (0,)),
    "back to front": ((0, 1, 2), (1,)),
    "feet to head": ((0, 1, 2), (2,)),
    "all reversed": ((0, 1, 2), (0, 1, 2)),
    "coronal": ((0, 2, 1), ()),
    "sagittal": ((1, 2, 0), ()),
    "sagittal, reversed": ((1, 2, 0), (0, 2)),
}
FORMATS = (".nii.gz", ".nrrd", ".mha")
PADDINGS_HU = (-1024, -3024)


def main() -> None:
    """Write, register and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spacing-mm", type=float, default=8.0)
    parser.add_argument("--seed", type=int, default=4)
    options = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as place:
        make_case(3, options.seed, spacing_mm=options.spacing_mm).save(Path(place) / "case")
        points_lps_mm = _points(Path(place) / "case" / "landmarks.csv")
        for order, ending, padding_hu in itertools.product(ORDERS, FORMATS, PADDINGS_HU):
            name = f"{order}, {ending}, {padding_hu} HU"
            folder = Path(place) / name
            files = _written(Path(place) / "case", folder, *ORDERS[order], ending, padding_hu)
            run_register(folder / "output", {**files, "tissues": "1=lung,2=bone,3=liver,4=soft", "initial": "none"})
            transform = sitk.ReadTransform(str(folder / "output" / "transform.h5"))
            found[name] = np.array([transform.TransformPoint(point) for point in points_lps_mm.tolist()])
    first = next(iter(found.values()))
    length = np.linalg.norm(first - points_lps_mm, axis=1)
    print(f"{len(found)} registrations, {len(points_lps_mm)} points moved by {length.mean():.2f} mm on average")
    print_table(
        "largest difference to the first in mm",
        ("", *FORMATS),
        [
            (
                f"{order}, {padding_hu} HU",
                *(
                    float(np.linalg.norm(found[f"{order}, {ending}, {padding_hu} HU"] - first, axis=1).max())
                    for ending in FORMATS
                ),
            )
            for order, padding_hu in itertools.product(ORDERS, PADDINGS_HU)
        ],
    )


def _points(path: Path) -> np.ndarray:
    """(N, 3) LPS mm, landmarks of the fixed image."""
    points_ras_mm = np.loadtxt(path, delimiter=",", skiprows=1, usecols=(1, 2, 3))
    return points_ras_mm * (-1, -1, 1)


def _written(
    case: Path, folder: Path, permutation: tuple[int, ...], flipped: tuple[int, ...], ending: str, padding_hu: int
) -> dict[str, Path]:
    """The files of a case, stored otherwise at the same place."""
    folder.mkdir()
    files = {}
    for name in ("fixed", "moving", "segmentation"):
        image = sitk.ReadImage(str(case / f"{name}.nii.gz"))
        if name != "segmentation":
            image = _padded(image, padding_hu)
        image = sitk.PermuteAxes(image, permutation)
        image = sitk.Flip(image, [axis in flipped for axis in range(3)])
        files[name] = folder / f"{name}{ending}"
        sitk.WriteImage(image, str(files[name]))
    return files


def _padded(image: sitk.Image, padding_hu: int) -> sitk.Image:
    """Padding outside of the scanner's circle, around the long axis (the first one of the phantom's arrays)."""
    values = sitk.GetArrayFromImage(image)
    j, i = np.meshgrid(*[np.arange(n) - (n - 1) / 2 for n in values.shape[1:]], indexing="ij")
    values[:, np.hypot(j, i) > max(values.shape[1:]) / 2] = padding_hu
    result = sitk.GetImageFromArray(values)
    result.CopyInformation(image)
    return result


if __name__ == "__main__":
    main()
