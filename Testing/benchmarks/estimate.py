"""Auto-estimate on fresh 2D phantom pairs: how long the searches take, and whether what they choose registers better
than one pair of λ and μ for the whole image.

    python Testing/benchmarks/estimate.py --model FOLDER [--subjects 30] [--spacing-mm 2] [--tissues 4]

Times are processor seconds on one thread. "naive": the paper's full-resolution hypernetwork (six dense layers of 128
make every kernel) evaluated at every place of the grid, encoder and all, with labels warped one by one; its weights are
random, which does not change its time. --tissues 8 or more: the phantom's tissues are cut into parts, for the gradient
search. time3d: the grid on volumes of 96x64x96 voxels.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from statistics import median

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "TissueElasticRegistration")]

import torch  # noqa: E402
from measuring import print_table  # noqa: E402
from scipy import stats  # noqa: E402

from TissueElasticRegistrationLib.core.data.images import ImagePair, Segmentation  # noqa: E402
from TissueElasticRegistrationLib.core.data.progress import finish  # noqa: E402
from TissueElasticRegistrationLib.core.data.tissues import Lame, Tissue, TissueParameters  # noqa: E402
from TissueElasticRegistrationLib.core.estimation import grid_search as grid  # noqa: E402
from TissueElasticRegistrationLib.core.estimation.criteria.criterion import Criterion, criterion_for  # noqa: E402
from TissueElasticRegistrationLib.core.estimation.criteria.hold_out import NOTHING_HELD_OUT, HoldOut  # noqa: E402
from TissueElasticRegistrationLib.core.estimation.estimate_result import Estimate, EstimateProgress  # noqa: E402
from TissueElasticRegistrationLib.core.estimation.gradient_search import estimate_by_gradient  # noqa: E402
from TissueElasticRegistrationLib.core.evaluation.metrics import map_points_ras_mm  # noqa: E402
from TissueElasticRegistrationLib.core.models.network import NetworkConfig, RegistrationNetwork  # noqa: E402
from TissueElasticRegistrationLib.core.physics.deformation import integrate  # noqa: E402
from TissueElasticRegistrationLib.core.registration.registrar import Registrar  # noqa: E402
from TissueElasticRegistrationLib.core.registration.solver import solver_for  # noqa: E402
from training.phantoms import PhantomCase, make_case  # noqa: E402

POINTS = 11
SPACING_3D_MM = 4.0  # 96 x 64 x 96 voxels
PAPER_2D = NetworkConfig(2, "hyper", 2, half_resolution=False, hyper_widths=(128,) * 6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="direct", help="name or folder of a model pack, or direct")
    parser.add_argument("--subjects", type=int, default=30)
    parser.add_argument("--first-seed", type=int, default=5000)
    parser.add_argument("--spacing-mm", type=float, default=2.0)
    parser.add_argument("--tissues", type=int, default=4, help="at least; the phantom's 4 are cut into parts")
    parser.add_argument(
        "--start",
        default="table",
        choices=["table", "equal"],
        help="where searches start: the table of tissues, or equal parameters everywhere",
    )
    parser.add_argument(
        "--parts",
        nargs="+",
        default=["time", "accuracy", "gradient"],
        choices=["time", "accuracy", "gradient", "time3d"],
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    parts = {"time": print_times, "accuracy": print_accuracy, "gradient": print_gradient}
    wanted = [name for name in options.parts if name in parts]
    if wanted:
        subjects = made_up(options, 2)
        for name in wanted:
            parts[name](subjects)
    if "time3d" in options.parts:
        options.spacing_mm = SPACING_3D_MM
        print_times_3d(made_up(options, 3))


def made_up(options: argparse.Namespace, dimension: int) -> list[Subject]:
    """So many subjects, seed after seed; for a few seeds the phantoms find no motion."""
    found, seed = [], options.first_seed
    while len(found) < options.subjects:
        subject = Subject(options, dimension, seed)
        try:
            subject.case  # noqa: B018  made here
            found.append(subject)
        except RuntimeError as error:
            print(f"seed {seed} is left out: {error}")
        seed += 1
    return found


class Subject:
    """One phantom pair, prepared when first needed."""

    def __init__(self, options: argparse.Namespace, dimension: int, seed: int) -> None:
        self.seed, self._options, self._dimension = seed, options, dimension
        self._known: dict[tuple, tuple] = {}

    @cached_property
    def case(self) -> PhantomCase:
        return make_case(self._dimension, self.seed, spacing_mm=self._options.spacing_mm)

    @cached_property
    def registrar(self) -> Registrar:
        pair = ImagePair(self.case.fixed, self.case.moving, *parts_of(self.case, self._options.tissues))
        registrar = Registrar(pair, solver_for(self._options.model), initial="none", threads=1)
        finish(registrar.prepare())
        return registrar

    @property
    def start(self) -> TissueParameters:
        registrar = self.registrar
        if self._options.start == "table":
            return registrar.table_parameters()
        weight = registrar.solver.objective.scale.weight(0.6)
        return TissueParameters({}, default=Lame(weight, weight))

    def grid(self, points: int | None = POINTS, hold_out: HoldOut = NOTHING_HELD_OUT) -> tuple[Estimate, float]:
        """The estimate and its processor seconds."""
        registrar, start = self.registrar, self.start  # prepared before time is taken
        began = time.process_time()
        job = grid.estimate_by_grid(registrar, start, points=points, hold_out=hold_out)
        return finish(job), time.process_time() - began

    def grid_by_parts(self, points: int | None = POINTS) -> tuple[Estimate, list[float]]:
        """Processor seconds until the grid is known, and until one of the candidates has been selected."""
        registrar, start = self.registrar, self.start
        began, grid_seconds = time.process_time(), None
        for progress in grid.estimate_by_grid(registrar, start, points=points):
            if grid_seconds is None and progress.fraction >= grid.GRID_PART:
                grid_seconds = time.process_time() - began
            estimate = getattr(progress, "estimate", None)
        return estimate, [grid_seconds, time.process_time() - began]

    def tissue_to_hold_out(self) -> int:
        """Another one for every subject."""
        labels = self.criterion.labels
        return labels[self.seed % len(labels)]

    @cached_property
    def criterion(self) -> Criterion:
        return criterion_for("dice", self.registrar, NOTHING_HELD_OUT)

    def registered(self, parameters: TissueParameters, label: int | None = None) -> tuple[float, ...]:
        """Dice (of one tissue or the mean of all) and EPE of a registration with these parameters, then the same
        refined as by default.
        """
        key = tuple((one.lam, one.mu) for one in (parameters[tissue.label] for tissue in self.registrar.tissues))
        if key not in self._known:
            finish(self.registrar.register(parameters))
            found = [self._scores(), self.epe_mm()]
            steps = self.registrar.solver.usual_refinement(2)
            if steps:
                finish(self.registrar.refine(parameters, steps))
            self._known[key] = (*found, self._scores(), self.epe_mm())
        return tuple(
            float(
                one if np.ndim(one) == 0 else one.mean() if label is None else one[self.criterion.labels.index(label)]
            )
            for one in self._known[key]
        )

    def dice(self, parameters: TissueParameters) -> float:
        """Mean over the tissues, on the working grid, of a registration with these parameters."""
        finish(self.registrar.register(parameters))
        return float(self._scores().mean())

    def _scores(self) -> np.ndarray:
        return self.criterion.scores(self.registrar.solution.displacement)

    def epe_mm(self) -> float:
        """Of the last registration, in the body, where the true counterpart is in the moving image."""
        field, geometry = self.registrar.displacement_ras_mm()
        centers = self.case.fixed.geometry.voxel_centers_ras_mm()
        mapped = map_points_ras_mm(centers.reshape(-1, 3), field, geometry).reshape(centers.shape)
        error_mm = np.linalg.norm(mapped - centers - self.case.displacement_ras_mm, axis=-1)
        return float(error_mm[self.case.valid & (self.case.fixed_segmentation.labels_kji > 0)].mean())


def parts_of(case: PhantomCase, count: int) -> tuple[Segmentation, Segmentation]:
    """The segmentations, their tissues cut into parts by the fixed image's columns until there are ``count``."""
    fixed, moving = case.fixed_segmentation, case.moving_segmentation
    pieces = -(-count // len(fixed.tissues))
    if pieces == 1:
        return fixed, moving
    found = []
    for segmentation in (fixed, moving):
        labels = segmentation.labels_kji.astype(np.int32)
        edges = np.quantile(np.nonzero(fixed.labels_kji)[2], np.linspace(0, 1, pieces + 1)[1:-1])
        piece = np.searchsorted(edges, np.arange(labels.shape[2]))
        names = {tissue.label: tissue.name for tissue in segmentation.tissues}
        tissues = tuple(
            Tissue(label * pieces + n, f"{name} {n}") for label, name in names.items() for n in range(pieces)
        )
        cut = np.where(labels > 0, labels * pieces + piece, 0)
        found.append(replace(segmentation, labels_kji=cut, tissues=tissues))
    return tuple(found)


# --- Time and agreement ----------------------------------------------------------------------------------------------


def print_times(subjects: list[Subject]) -> None:
    naive = naive_seconds(subjects[0])
    times = np.array([subject.grid_by_parts()[1] for subject in subjects])
    size = "x".join(map(str, subjects[0].case.fixed.array_kji.shape[1:]))
    grid_alone, whole = np.median(times, 0)
    print_table(
        f"grid {POINTS} x {POINTS}, {len(subjects)} pairs of {size} voxels; processor seconds, one thread",
        ("grid", "and candidates", "longest", "naive hypernetwork", "naive / grid"),
        [(*(f"{value:.2f}" for value in (grid_alone, whole, times[:, 1].max(), naive)), f"{naive / grid_alone:.1f}")],
    )


@torch.no_grad()
def naive_seconds(subject: Subject) -> float:
    """What the grid takes when the whole network is evaluated at each place (a tenth of the places, times ten)."""
    network = RegistrationNetwork(PAPER_2D).eval()
    pair = subject.registrar.pyramid.pair
    criterion = criterion_for("dice", subject.registrar, NOTHING_HELD_OUT)
    spent = []
    for number in range(2 + POINTS**2 // 10):  # the first two warm up
        began = time.process_time()
        velocity = network(pair.fixed, pair.moving, torch.rand(1, 2))
        criterion.scores(integrate(velocity, PAPER_2D.integration_steps))
        spent += [time.process_time() - began] if number > 1 else []
    return median(spent) * POINTS**2


def print_times_3d(subjects: list[Subject]) -> None:
    """Wall-clock and processor seconds with two threads and with one, in turn; the load is that of the whole machine.

    candidates: the part in which they are registered as a user would register.
    """
    rows = []
    for subject in subjects:
        for threads in (2, 1):
            subject.registrar.threads = threads
            load, began, spent, candidates = os.getloadavg()[0], time.perf_counter(), time.process_time(), None
            for progress in grid.estimate_by_grid(subject.registrar, subject.start, points=POINTS):
                if candidates is None and progress.fraction >= grid.GRID_PART:
                    candidates = time.perf_counter(), time.process_time()
            ends = time.perf_counter(), time.process_time()
            rows.append(
                (
                    f"{subject.seed}, {threads} threads",
                    ends[0] - began,
                    ends[0] - candidates[0],
                    ends[1] - spent,
                    ends[1] - candidates[1],
                    load,
                )
            )
            print(rows[-1], flush=True)
    size = "x".join(map(str, subjects[0].case.fixed.array_kji.shape))
    print_table(
        f"grid {POINTS} x {POINTS}, volumes of {size} voxels",
        ("", "seconds", "of these candidates", "processor s", "of these candidates", "load before"),
        rows,
    )


# --- Accuracy --------------------------------------------------------------------------------------------------------

ONE, ESTIMATED = "best global pair", "estimated"
MEASURES = ("Dice", "EPE mm", "Dice", "EPE mm")


def print_accuracy(subjects: list[Subject]) -> None:
    """Dice of the tissues the search has seen is no independent evidence; EPE and Dice of a held-out one are."""
    found = {name: [] for name in ("table", "chosen one by one", ESTIMATED, ONE)}
    kept = {name: [] for name in ("table", ESTIMATED, ONE)}
    for subject in subjects:
        seen = [
            progress
            for progress in grid.estimate_by_grid(subject.registrar, subject.start)
            if isinstance(progress, EstimateProgress)
        ]
        alone = next(progress.estimate for progress in reversed(seen) if progress.fraction <= grid.GRID_PART)
        estimate = seen[-1].estimate
        for name, parameters in (
            ("table", subject.start),
            ("chosen one by one", alone.parameters),
            (ESTIMATED, estimate.parameters),
            (ONE, best_global(estimate)),
        ):
            found[name].append(subject.registered(parameters))
        label = subject.tissue_to_hold_out()
        estimate, _ = subject.grid(None, HoldOut.of([label]))
        for name, parameters in (
            ("table", subject.start),
            (ESTIMATED, estimate.parameters),
            (ONE, best_global(estimate)),
        ):
            kept[name].append(subject.registered(parameters, label))
    steps = subjects[0].registrar.solver.usual_refinement(2)
    heads = tuple(f"{what}{', alone' if n < 2 else ''}" for n, what in enumerate(MEASURES))
    print_paired(f"{len(subjects)} pairs registered with (refined by {steps} steps; alone: without)", heads, found)
    print_paired(
        "Dice of one tissue that the search has not looked at",
        heads[::2],
        {name: np.array(values)[:, ::2] for name, values in kept.items()},
    )


def print_paired(title: str, heads: Sequence[str], found: dict[str, list]) -> None:
    """Means of every row, and how each differs from the best global pair."""
    values = {name: np.array(rows) for name, rows in found.items()}
    print_table(
        title, ("", *heads), [(name, *(f"{value:.4f}" for value in rows.mean(0))) for name, rows in values.items()]
    )
    for name in (name for name in values if name != ONE):
        for column, head in enumerate(heads):
            difference = values[name][:, column] - values[ONE][:, column]
            better = difference > 0 if head.startswith("Dice") else difference < 0
            reach = stats.t.ppf(0.975, len(difference) - 1) * stats.sem(difference)
            decided = np.count_nonzero(difference)
            p = stats.binomtest(int(better.sum()), decided).pvalue if decided else 1.0
            print(
                f"{name} minus {ONE}, {head}: {difference.mean():+.4f} (95 %: {difference.mean() - reach:+.4f} to "
                f"{difference.mean() + reach:+.4f}), better in {better.sum()}, worse in {decided - better.sum()}, "
                f"sign test p = {p:.4f}"
            )


def best_global(estimate: Estimate) -> TissueParameters:
    """The pair with the best mean score over the tissues, for the whole image."""
    is_estimated = [row.is_estimated for row in estimate.per_tissue]
    mean = estimate.landscape.scores[is_estimated].mean(0)
    a, b = np.unravel_index(np.nanargmax(mean), mean.shape)
    return TissueParameters({}, default=Lame(float(estimate.landscape.lam[a]), float(estimate.landscape.mu[b])))


# --- Gradient --------------------------------------------------------------------------------------------------------


def print_gradient(subjects: list[Subject]) -> None:
    """When the gradient search is as good as what the grid takes, both registered without refinement.

    As good: to 0.0005.
    """
    rows = []
    for subject in subjects:
        searched, (alone, together) = subject.grid_by_parts(None)
        wanted = subject.dice(searched.parameters)
        began, seconds, tried = time.process_time(), float("nan"), {}
        for progress in estimate_by_gradient(subject.registrar, subject.start):
            if isinstance(progress, EstimateProgress):
                now = time.process_time()
                spent = now - began
                key = tuple((row.lame.lam, row.lame.mu) for row in progress.estimate.per_tissue)
                if key not in tried:
                    tried[key] = subject.dice(progress.estimate.parameters)
                began += time.process_time() - now  # judging it is no part of the search
                if np.isnan(seconds) and tried[key] >= wanted - 0.0005:
                    seconds = spent
        rows.append(
            (
                alone,
                together,
                time.process_time() - began,
                seconds,
                wanted,
                list(tried.values())[-1],
                subject.dice(subject.start),
            )
        )
        print(subject.seed, *(f"{value:.4f}" for value in rows[-1]), flush=True)
    values = np.array(rows)
    reached = np.isfinite(values[:, 3])
    ratio = np.where(reached, values[:, 3], np.inf) / values[:, 1]  # never as good: infinitely long
    print_table(
        f"gradient search, {sum(row.is_estimated for row in searched.per_tissue)} tissues; processor seconds, medians",
        (
            "grid alone",
            "grid and candidates",
            "gradient",
            "until as good",
            "of the grid's time",
            "as good in",
            "Dice table",
            "Dice grid",
            "Dice gradient",
        ),
        [
            (
                *(f"{np.median(values[:, column]):.2f}" for column in range(3)),
                f"{np.median(values[reached, 3]):.2f}" if reached.any() else "-",
                f"{np.median(ratio):.2f}",
                f"{reached.sum()} of {len(rows)}",
                *(f"{values[:, column].mean():.4f}" for column in (6, 4, 5)),
            )
        ],
    )


if __name__ == "__main__":
    main()
