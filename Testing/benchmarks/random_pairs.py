"""Random pairs with a known deformation that share little, lie apart, are turned, noisy or of two patients.

python Testing/benchmarks/random_pairs.py [--pairs 200] [--first-seed 0] [--jobs 2] [--rows ROWS.csv] [--model direct]

Counts the registrations that end worse than they began, by the true error (points of the fixed body whose true
counterparts lie inside the moving scan; of two patients, by the overlap), and how often a result was called unreliable
rightly and wrongly. A pair is bad if it ends worse than it began or with a large error (see `Row.is_bad`), or if its
images have nothing to do with each other.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # for `training`, which is not installed

from measuring import print_table

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.data.images import Image, ImagePair, Segmentation
from TissueElasticRegistrationLib.core.data.progress import finish
from TissueElasticRegistrationLib.core.data.tissues import Tissue
from TissueElasticRegistrationLib.core.evaluation.metrics import map_points_ras_mm
from TissueElasticRegistrationLib.core.registration.registrar import Registrar
from TissueElasticRegistrationLib.core.registration.solver import solver_for
from training.phantoms import make_case

MIN_BAD_MM, BAD_VOXELS = 5.0, 2.0
TOLERANCE_MM = 0.1
MIN_POINTS = 30
POINTS = 2000
BLOCK_TISSUES = (Tissue(1, "soft"), Tissue(2, "lung"), Tissue(3, "bone"))


@dataclass(frozen=True)
class Drawn:
    """What was drawn for one pair; ``points`` lie in the body of the fixed image, ``counterparts`` in the moving scan.

    ``related``: whether the moving image shows the same patient at all.
    """

    pair: ImagePair
    points_ras_mm: np.ndarray
    counterparts_ras_mm: np.ndarray
    related: bool
    description: dict[str, object]


@dataclass(frozen=True)
class Row:
    """One registered pair; errors in mm, NaN where nothing is shared."""

    seed: int
    anatomy: str
    shape: str
    voxel_mm: float
    kept: float
    shift_mm: float
    turn_degrees: float
    noise: float
    related: bool
    labels: bool
    points: int
    before_mm: float
    after_mm: float
    refused: str
    unreliable: str
    initial: str
    kept_share: float
    covered_share: float
    similarity_before: float
    similarity_after: float
    dice_before: float
    dice_after: float
    seconds: float

    @property
    def is_worse(self) -> bool:
        """Ends worse than it began; where nothing is known of the truth: the overlap fell."""
        if not self.points:
            return self.dice_after < self.dice_before
        return self.after_mm > self.before_mm + TOLERANCE_MM

    @property
    def is_bad(self) -> bool:
        """Nobody should use the result."""
        return self.is_worse or not self.related or not self.after_mm <= max(MIN_BAD_MM, BAD_VOXELS * self.voxel_mm)


def main() -> None:
    """Draw the pairs, register them and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--rows", type=Path, help="write one line for each pair to this file")
    parser.add_argument("--model", default="direct")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    seeds = range(options.first_seed, options.first_seed + options.pairs)
    rows = []
    with ProcessPoolExecutor(options.jobs) as pool:
        for row in pool.map(partial(registered, model=options.model), seeds):
            rows.append(row)
            if options.rows:
                _write(options.rows, rows)
    _print(rows)


def _print(rows: list[Row]) -> None:
    done = [row for row in rows if not row.refused]
    worse = [row for row in done if row.is_worse]
    silent = [row for row in worse if not row.unreliable]
    print(f"{len(rows)} pairs, {len(rows) - len(done)} refused; one thread each")
    print(f"worse than at the start: {len(worse)}, silently {len(silent)} (seeds {[row.seed for row in silent]})")
    said = [
        (name, len(part), sum(bool(row.unreliable) for row in part))
        for name, part in (
            ("bad", [row for row in done if row.is_bad]),
            ("good", [row for row in done if not row.is_bad]),
            ("two patients or noise", [row for row in done if not row.related]),
        )
    ]
    print_table(
        "said to be unreliable", ("", "pairs", "said", "not said"), [(a, n, yes, n - yes) for a, n, yes in said]
    )
    related = [row for row in done if row.related and row.points >= MIN_POINTS]
    print_table(
        "error of related pairs in mm",
        ("", "pairs", "before", "after", "median after"),
        [
            (
                anatomy,
                len(part),
                float(np.mean([row.before_mm for row in part])),
                float(np.mean([row.after_mm for row in part])),
                float(np.median([row.after_mm for row in part])),
            )
            for anatomy in ("block", "thorax")
            if (part := [row for row in related if row.anatomy == anatomy])
        ],
    )


def _write(path: Path, rows: list[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def registered(seed: int, model: str = "direct") -> Row:
    """Draw one pair and register it with default options."""
    import torch

    torch.set_num_threads(1)
    drawn = draw_pair(seed)
    began = perf_counter()
    before = drawn.counterparts_ras_mm - drawn.points_ras_mm
    nan = float("nan")
    known = {
        "seed": seed,
        **drawn.description,
        "related": drawn.related,
        "labels": drawn.pair.moving_segmentation is not None,
        "points": len(before),
        "before_mm": _mean_length(before),
    }
    try:
        registrar = Registrar(drawn.pair, solver_for(model))
        finish(registrar.prepare())
        finish(registrar.register(registrar.table_parameters()))
        result = finish(registrar.result())
    except ValueError as error:
        rest = dict.fromkeys(
            (
                "after_mm",
                "kept_share",
                "covered_share",
                "similarity_before",
                "similarity_after",
                "dice_before",
                "dice_after",
            ),
            nan,
        )
        return Row(**known, **rest, refused=str(error), unreliable="", initial="", seconds=perf_counter() - began)
    found = map_points_ras_mm(drawn.points_ras_mm, result.displacement_ras_mm, result.geometry)
    dice = np.array([(tissue.dice_before, tissue.dice_after) for tissue in result.tissues]).reshape(-1, 2)
    dice = dice[np.isfinite(dice).all(1)]
    return Row(
        **known,
        after_mm=_mean_length(drawn.counterparts_ras_mm - found),
        refused="",
        unreliable=" | ".join(result.unreliable),
        initial=result.initial,
        kept_share=result.objective_values.kept_share,
        covered_share=float(result.valid_kji.mean()),
        similarity_before=result.similarity_before,
        similarity_after=result.similarity_after,
        dice_before=float(dice[:, 0].mean()) if len(dice) else nan,
        dice_after=float(dice[:, 1].mean()) if len(dice) else nan,
        seconds=perf_counter() - began,
    )


def draw_pair(seed: int) -> Drawn:
    """One random pair; the same seed always gives the same."""
    generator = np.random.default_rng([seed, 13])
    chance = generator.random(8)
    kept = float(generator.uniform(0.2, 1.0)) if chance[0] < 0.6 else 1.0
    shift_mm = float(generator.uniform(0, 60)) if chance[1] < 0.5 else 0.0
    turn = float(generator.uniform(0, 180)) if chance[2] < 0.3 else 0.0
    noise = float(generator.uniform(0, 1)) if chance[3] < 0.4 else 0.0
    is_noise, is_swapped = chance[4] < 0.05, 0.05 <= chance[4] < 0.15
    anatomy = "block" if chance[5] < 0.6 else "thorax"
    fixed, moving, fixed_labels, moving_labels, mapping = (_block if anatomy == "block" else _thorax)(
        generator, is_swapped
    )
    rigid = _rigid(generator, turn, shift_mm, fixed.geometry.corners_ras_mm().mean(0))
    spread = float(np.subtract(*np.percentile(moving.array_kji, (90, 10))))
    values = moving.array_kji.astype(np.float32)
    values = values + noise * spread / 3 * generator.normal(size=values.shape).astype(np.float32)
    if is_noise:
        values = generator.normal(float(values.mean()), spread / 2, values.shape).astype(np.float32)
    cut = _cut(generator, values.shape, kept)
    geometry = Geometry(moving.geometry.shape_kji, rigid @ moving.geometry.ijk_to_ras)
    geometry = _cropped(geometry, cut)
    image = Image(np.ascontiguousarray(values[cut]), geometry, "moving")
    labels = None
    if chance[6] < 0.5 and moving_labels.labels_kji[cut].any():
        labels = Segmentation(
            np.ascontiguousarray(moving_labels.labels_kji[cut]), geometry, moving_labels.tissues, "moving segmentation"
        )
    points = _body_points(generator, fixed_labels)
    counterparts = mapping(points) @ rigid[:3, :3].T + rigid[:3, 3]
    inside = _lie_inside(counterparts, geometry) & (not is_swapped)
    related = not (is_noise or is_swapped)
    return Drawn(
        ImagePair(fixed, image, fixed_labels, labels),
        points[inside],
        counterparts[inside],
        related,
        {
            "anatomy": anatomy,
            "shape": "x".join(map(str, fixed.geometry.shape_kji)),
            "voxel_mm": float(fixed.geometry.spacing_kji_mm.max()),
            "kept": kept,
            "shift_mm": shift_mm,
            "turn_degrees": turn,
            "noise": 9.0 if is_noise else noise,
        },
    )


Mapping = Callable[[np.ndarray], np.ndarray]  # points of the fixed patient to those of the moving one, RAS mm


def _block(
    generator: np.random.Generator, is_swapped: bool
) -> tuple[Image, Image, Segmentation, Segmentation, Mapping]:
    """A body of Gaussian blobs, asymmetric in every axis, on random grids of 24 to 96 voxels a side."""
    half_mm = generator.uniform(35, 150) * generator.uniform(0.8, 1.2, 3)
    scale = float(half_mm.mean())
    amplitude_mm = scale * generator.uniform(0.05, 0.2)
    bumps = [
        (generator.uniform(-0.5, 0.5, 3) * half_mm, scale * generator.uniform(0.4, 0.8), generator.normal(size=3))
        for _ in range(2)
    ]

    def mapping(points: np.ndarray) -> np.ndarray:
        moved = points.copy()
        for center, width, direction in bumps:
            weight = np.exp(-np.sum((points - center) ** 2, -1, keepdims=True) / (2 * width**2))
            moved = moved + weight * amplitude_mm * direction / np.linalg.norm(direction)
        return moved

    patients = [_Blobs(generator, half_mm) for _ in range(2)]
    fixed_patient, moving_patient = patients[0], patients[1 if is_swapped else 0]
    shapes = [tuple(int(n) for n in np.exp(generator.uniform(np.log(24), np.log(96), 3))) for _ in range(2)]
    images = []
    for shape, patient, at, name in (
        (shapes[0], fixed_patient, mapping, "fixed"),
        (shapes[1], moving_patient, lambda points: points, "moving"),
    ):
        spacing_kji = 2.3 * half_mm[::-1] / shape
        matrix = np.diag([*spacing_kji[::-1], 1.0])
        matrix[:3, 3] = -(np.array(shape[::-1]) - 1) / 2 * spacing_kji[::-1]
        geometry = Geometry(shape, matrix)
        index = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), -1)[..., ::-1]
        points = at(index @ matrix[:3, :3].T + matrix[:3, 3])
        images += [
            Image(patient.intensity(points, generator), geometry, name),
            Segmentation(patient.labels(points), geometry, BLOCK_TISSUES, f"{name} segmentation"),
        ]
    return images[0], images[2], images[1], images[3], mapping


class _Blobs:
    """One made patient: smooth blobs and texture in an ellipsoid."""

    def __init__(self, generator: np.random.Generator, half_mm: np.ndarray) -> None:
        self._half_mm, scale = half_mm * 0.9, float(half_mm.mean())
        self._blobs = [
            (generator.uniform(-0.55, 0.55, 3) * half_mm, scale * generator.uniform(0.15, 0.4), height)
            for height in (-0.9, 0.7, 0.5, -0.4, 0.3, -0.3)
        ]
        self._waves = generator.normal(size=(6, 3)) * 4 / scale
        self._phases = generator.uniform(0, 6.28, 6)

    def _inside(self, points: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp((np.linalg.norm(points / self._half_mm, axis=-1) - 1) * 15))

    def intensity(self, points: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        values = 1.3 * np.ones(points.shape[:-1])
        for center, width, height in self._blobs:
            values += height * np.exp(-np.sum((points - center) ** 2, -1) / (2 * width**2))
        for wave, phase in zip(self._waves, self._phases, strict=True):
            values += 0.12 * np.sin(points @ wave + phase)
        values = 200 * self._inside(points) * values + 100
        return (values + 4 * generator.normal(size=values.shape)).astype(np.float32)

    def labels(self, points: np.ndarray) -> np.ndarray:
        found = (self._inside(points) > 0.5).astype(np.int16)
        for label, (center, width, _) in zip((2, 3), self._blobs, strict=False):
            found[np.sum((points - center) ** 2, -1) < width**2] = label
        return found


def _thorax(
    generator: np.random.Generator, is_swapped: bool
) -> tuple[Image, Image, Segmentation, Segmentation, Mapping]:
    """A thorax phantom of 8 or 12 mm voxels."""
    spacing_mm = float(generator.choice([8.0, 12.0]))
    seed = int(generator.integers(10**9))
    case = make_case(3, seed, spacing_mm=spacing_mm)
    other = make_case(3, seed + 1, spacing_mm=spacing_mm) if is_swapped else case

    def mapping(points: np.ndarray) -> np.ndarray:
        return map_points_ras_mm(points, case.displacement_ras_mm, case.fixed.geometry)

    return case.fixed, other.moving, case.fixed_segmentation, other.moving_segmentation, mapping


def _rigid(generator: np.random.Generator, turn_degrees: float, shift_mm: float, center: np.ndarray) -> np.ndarray:
    """4 x 4 rotation about a center and shift, both in random directions."""
    axis, direction = (vector / np.linalg.norm(vector) for vector in generator.normal(size=(2, 3)))
    angle = np.radians(turn_degrees)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    rotation = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    rigid = np.eye(4)
    rigid[:3, :3] = rotation
    rigid[:3, 3] = center - rotation @ center + shift_mm * direction
    return rigid


def _cut(generator: np.random.Generator, shape: tuple[int, ...], kept: float) -> tuple[slice, ...]:
    """Slices that keep a part of one axis, at its lower or upper end; never fewer than six voxels."""
    axis, at_end = int(generator.integers(3)), bool(generator.integers(2))
    count = max(6, round(kept * shape[axis]))
    slices = [slice(None)] * 3
    slices[axis] = slice(shape[axis] - count, None) if at_end else slice(count)
    return tuple(slices)


def _cropped(geometry: Geometry, cut: tuple[slice, ...]) -> Geometry:
    starts = [part.indices(n)[0] for part, n in zip(cut, geometry.shape_kji, strict=True)]
    shape = [len(range(*part.indices(n))) for part, n in zip(cut, geometry.shape_kji, strict=True)]
    matrix = geometry.ijk_to_ras.copy()
    matrix[:3, 3] += matrix[:3, :3] @ np.array(starts[::-1], float)
    return Geometry(tuple(shape), matrix)


def _body_points(generator: np.random.Generator, segmentation: Segmentation) -> np.ndarray:
    """Voxel centers of the body, RAS mm."""
    index = np.argwhere(segmentation.labels_kji > 0)
    index = generator.permutation(index)[:POINTS, ::-1]
    matrix = segmentation.geometry.ijk_to_ras
    return index @ matrix[:3, :3].T + matrix[:3, 3]


def _lie_inside(points: np.ndarray, geometry: Geometry) -> np.ndarray:
    inverse = np.linalg.inv(geometry.ijk_to_ras)
    index = points @ inverse[:3, :3].T + inverse[:3, 3]
    return ((index >= 0) & (index <= np.array(geometry.shape_kji[::-1]) - 1)).all(1)


def _mean_length(vectors: np.ndarray) -> float:
    return float(np.linalg.norm(vectors, axis=1).mean()) if len(vectors) >= MIN_POINTS else float("nan")


if __name__ == "__main__":
    main()
