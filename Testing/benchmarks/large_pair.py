"""Memory and time of the command line for a large pair: a thorax phantom resampled to 512 x 512 x 600 voxels.

python Testing/benchmarks/large_pair.py [--size 512 512 600] [--folder KEPT]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from measuring import print_table, run_register

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # for `training`, which is not installed

from training.phantoms import make_case


def main() -> None:
    """Make the files, register them and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs=3, default=(512, 512, 600))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make_case(3, 5, spacing_mm=12).save(folder / "case")
        files = {name: _enlarged(folder, name, options.size) for name in ("fixed", "moving", "segmentation")}
        run = run_register(folder / "output", {**files, "tissues": "1=lung,2=bone,3=liver,4=soft"})
        sizes = {file.name: file.stat().st_size / 1e6 for file in (folder / "output").iterdir()}
    print_table(
        " x ".join(map(str, options.size)),
        ("", "value"),
        [
            ("peak memory in MB", run.peak_memory_mb),
            ("seconds", run.seconds),
            *((f"seconds: {name}", seconds) for name, seconds in run.result["seconds"].items()),
            *((f"MB of {name}", size) for name, size in sizes.items()),
        ],
    )


def _enlarged(folder: Path, name: str, size: tuple[int, int, int]) -> Path:
    """A file of a phantom on a finer grid, int16 with noise, or labels."""
    image = sitk.ReadImage(str(folder / "case" / f"{name}.nii.gz"))
    grid = sitk.Image(list(size), sitk.sitkUInt8)
    grid.SetDirection(image.GetDirection())
    grid.SetSpacing([n * s / m for n, s, m in zip(image.GetSize(), image.GetSpacing(), size, strict=True)])
    first = [(new / old - 1) / 2 for new, old in zip(grid.GetSpacing(), image.GetSpacing(), strict=True)]
    grid.SetOrigin(image.TransformContinuousIndexToPhysicalPoint(first))
    is_image = name != "segmentation"
    image = sitk.Resample(
        image,
        grid,
        sitk.Transform(),
        sitk.sitkLinear if is_image else sitk.sitkNearestNeighbor,
        -1000.0 if is_image else 0,
    )
    if is_image:
        image = sitk.Cast(image, sitk.sitkInt16)
        values = sitk.GetArrayViewFromImage(image)
        generator = np.random.default_rng(len(name))
        noise = np.stack(
            [values[k] + generator.integers(-20, 20, values.shape[1:], np.int16) for k in range(len(values))]
        )
        noisy = sitk.GetImageFromArray(noise)
        noisy.CopyInformation(image)
        image = noisy
    path = folder / f"{name}.nii"
    sitk.WriteImage(image, str(path))
    return path


if __name__ == "__main__":
    main()
