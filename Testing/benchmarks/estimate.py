"""Auto-estimate on fresh 2D phantom pairs: how long the searches take, whether interpolation changes what they choose,
and whether what they choose registers better than one pair of λ and μ for the whole image.

    python Testing/benchmarks/estimate.py --model FOLDER [--subjects 30] [--spacing-mm 2] [--tissues 4]

Times are processor seconds on one thread. "naive": the paper's full-resolution hypernetwork (six dense layers of 128
make every kernel) evaluated at every place of the grid, encoder and all, with labels warped one by one; its weights are
random, which does not change its time. "exact": our network asked at every place. Agreement: the share of tissues whose
choice is at most one place away from that of the exact search. --tissues 8 or more: the phantom's tissues are cut into
parts, for the gradient search.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "TissueElasticRegistration")]

import torch  # noqa: E402
from measuring import print_table  # noqa: E402

from TissueElasticRegistrationLib.core.deformation import integrate  # noqa: E402
from TissueElasticRegistrationLib.core.estimation import network_sweep  # noqa: E402
from TissueElasticRegistrationLib.core.estimation.criterion import NOTHING_HELD_OUT, criterion_for  # noqa: E402
from TissueElasticRegistrationLib.core.estimation.gradient import estimate_by_gradient  # noqa: E402
from TissueElasticRegistrationLib.core.estimation.grid import estimate_by_grid  # noqa: E402
from TissueElasticRegistrationLib.core.estimation.result import Estimate, EstimateProgress  # noqa: E402
from TissueElasticRegistrationLib.core.images import ImagePair, Segmentation  # noqa: E402
from TissueElasticRegistrationLib.core.metrics import map_points_ras_mm  # noqa: E402
from TissueElasticRegistrationLib.core.network import NetworkConfig, RegistrationNetwork  # noqa: E402
from TissueElasticRegistrationLib.core.progress import finish  # noqa: E402
from TissueElasticRegistrationLib.core.registrar import Registrar  # noqa: E402
from TissueElasticRegistrationLib.core.solvers.network import solver_for  # noqa: E402
from TissueElasticRegistrationLib.core.tissues import Lame, Tissue, TissueParameters  # noqa: E402
from training.phantoms import PhantomCase, make_case  # noqa: E402

POINTS = 11
PAPER_2D = NetworkConfig(2, "hyper", 2, half_resolution=False, hyper_widths=(128,) * 6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="direct", help="name or folder of a model pack, or direct")
    parser.add_argument("--subjects", type=int, default=30)
    parser.add_argument("--first-seed", type=int, default=5000)
    parser.add_argument("--spacing-mm", type=float, default=2.0)
    parser.add_argument("--tissues", type=int, default=4, help="at least; the phantom's 4 are cut into parts")
    parser.add_argument("--start", default="table", choices=["table", "equal"],
                        help="where searches start: the table of tissues, or equal parameters everywhere")
    parser.add_argument("--parts", nargs="+", default=["time", "accuracy", "gradient"],
                        choices=["time", "accuracy", "gradient"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    parts = {"time": print_times, "accuracy": print_accuracy, "gradient": print_gradient}
    subjects = [Subject(options, seed) for seed in range(options.first_seed, options.first_seed + options.subjects)]
    for name in options.parts:
        parts[name](subjects)


class Subject:
    """One phantom pair, prepared when first needed."""

    def __init__(self, options: argparse.Namespace, seed: int) -> None:
        self.seed, self._options = seed, options
        self._registrar: Registrar | None = None

    @property
    def registrar(self) -> Registrar:
        if self._registrar is None:
            self.case: PhantomCase = make_case(2, self.seed, spacing_mm=self._options.spacing_mm)
            pair = ImagePair(self.case.fixed, self.case.moving, *parts_of(self.case, self._options.tissues))
            self._registrar = Registrar(pair, solver_for(self._options.model), initial="none", threads=1)
            finish(self._registrar.prepare())
        return self._registrar

    @property
    def start(self) -> TissueParameters:
        registrar = self.registrar
        if self._options.start == "table":
            return registrar.table_parameters()
        weight = registrar.solver.objective.scale.weight(0.6)
        return TissueParameters({}, default=Lame(weight, weight))

    def grid(self, points: int | None = POINTS) -> tuple[Estimate, float]:
        """The estimate and its processor seconds."""
        registrar, start = self.registrar, self.start  # prepared before time is taken
        began = time.process_time()
        return finish(estimate_by_grid(registrar, start, points=points)), time.process_time() - began

    def dice(self, parameters: TissueParameters) -> float:
        """Mean over the tissues, on the working grid, of a registration with these parameters."""
        finish(self.registrar.register(parameters))
        criterion = criterion_for("dice", self.registrar, NOTHING_HELD_OUT)
        return float(criterion.scores(self.registrar._solution.displacement).mean())

    def epe_mm(self) -> float:
        """Of the last registration, in the body, where the true counterpart is in the moving image."""
        field, geometry = self.registrar.displacement_ras_mm()
        centres = self.case.fixed.geometry.voxel_centres_ras_mm()
        mapped = map_points_ras_mm(centres.reshape(-1, 3), field, geometry).reshape(centres.shape)
        error_mm = np.linalg.norm(mapped - centres - self.case.displacement_ras_mm, axis=-1)
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
        tissues = tuple(Tissue(label * pieces + n, f"{name} {n}") for label, name in names.items()
                        for n in range(pieces))
        cut = np.where(labels > 0, labels * pieces + piece, 0)
        found.append(replace(segmentation, labels_kji=cut, tissues=tissues))
    return tuple(found)


# --- Time and agreement ----------------------------------------------------------------------------------------------


def print_times(subjects: list[Subject]) -> None:
    rows, agree, argmax, loss = [], [], [], []
    naive = naive_seconds(subjects[0])
    for subject in subjects:
        ours, seconds = subject.grid()
        with all_places_asked():
            exact, exact_seconds = subject.grid()
        rows.append((seconds, exact_seconds))
        for number, (one, other) in enumerate(zip(ours.per_tissue, exact.per_tissue, strict=True)):
            if not one.votes:
                continue
            scores = exact.landscape.scores[number]
            agree.append(distance(one.point, other.point) <= 1)
            best = [np.unravel_index(np.nanargmax(e.landscape.scores[number]), scores.shape) for e in (ours, exact)]
            argmax.append(distance(*best) <= 1)
            loss.append(scores.max() - scores[one.point])
    times = np.array(rows)
    size = "x".join(map(str, subjects[0].case.fixed.array_kji.shape[1:]))
    print_table(f"grid {POINTS} x {POINTS}, {len(subjects)} pairs of {size} voxels; processor seconds, one thread",
                ("interpolated", "longest", "exact", "naive hypernetwork", "naive / interpolated"),
                [(f"{np.median(times[:, 0]):.2f}", f"{times[:, 0].max():.2f}", f"{np.median(times[:, 1]):.2f}",
                  f"{naive:.2f}", f"{naive / np.median(times[:, 0]):.1f}")])
    print(f"choice within one place of the exact search's: {100 * np.mean(agree):.1f} % of {len(agree)} tissues; raw "
          f"argmax: {100 * np.mean(argmax):.1f} %; the chosen score is below the exact best by {np.mean(loss):.4f} on "
          f"average, {np.max(loss):.4f} at most")


def distance(one: tuple[int, int], other: tuple[int, int]) -> int:
    return max(abs(int(a) - int(b)) for a, b in zip(one, other, strict=True))


class all_places_asked:  # noqa: N801  used as a statement
    """Inside, nothing is interpolated."""

    def __enter__(self) -> None:
        self._before, network_sweep.NODES = network_sweep.NODES, 10**6

    def __exit__(self, *error) -> None:
        network_sweep.NODES = self._before


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


# --- Accuracy --------------------------------------------------------------------------------------------------------


def print_accuracy(subjects: list[Subject]) -> None:
    found = {name: [] for name in ("table", "estimated vector", "best global pair")}
    for subject in subjects:
        estimate, _ = subject.grid(None)
        for name, parameters in (("table", subject.start), ("estimated vector", estimate.parameters),
                                 ("best global pair", best_global(estimate, subject.start))):
            found[name].append((subject.dice(parameters), subject.epe_mm()))
    scores = {name: np.array(values) for name, values in found.items()}
    print_table("registered with", ("", "Dice", "EPE mm"),
                [(name, f"{values[:, 0].mean():.4f}", f"{values[:, 1].mean():.3f}") for name, values in scores.items()])
    for column, what in enumerate(("Dice", "EPE mm")):
        difference = scores["estimated vector"][:, column] - scores["best global pair"][:, column]
        low, high = (difference.mean() + sign * 2.05 * error(difference) for sign in (-1, 1))
        print(f"{what}, estimated minus best global: {difference.mean():+.4f} (95 %: {low:+.4f} to {high:+.4f}), "
              f"better in {np.sum(difference > 0 if column == 0 else difference < 0)} of {len(difference)}, "
              f"sign test p = {sign_test(difference):.3f}")


def best_global(estimate: Estimate, start: TissueParameters) -> TissueParameters:
    """The pair with the best mean Dice over the tissues, for the whole image."""
    votes = [row.votes for row in estimate.per_tissue]
    mean = estimate.landscape.scores[votes].mean(0)
    a, b = np.unravel_index(np.nanargmax(mean), mean.shape)
    return TissueParameters({}, default=Lame(float(estimate.landscape.lam[a]), float(estimate.landscape.mu[b])))


def error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def sign_test(values: np.ndarray) -> float:
    """Two-sided, ties left out."""
    from math import comb

    wins, count = int(np.sum(values > 0)), int(np.sum(values != 0))
    tail = sum(comb(count, k) for k in range(min(wins, count - wins) + 1)) / 2**count
    return min(1.0, 2 * tail)


# --- Gradient --------------------------------------------------------------------------------------------------------


def print_gradient(subjects: list[Subject]) -> None:
    """When the gradient search is as good as the vector of the grid, both registered with a vector of all tissues."""
    rows = []
    for subject in subjects:
        grid, grid_seconds = subject.grid(None)
        wanted = subject.dice(grid.parameters)
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
        rows.append((grid_seconds, time.process_time() - began, seconds, wanted, list(tried.values())[-1],
                     subject.dice(subject.start)))
    values = np.array(rows)
    reached = np.isfinite(values[:, 2])
    print_table(f"gradient search, {sum(row.votes for row in grid.per_tissue)} tissues; processor seconds, medians",
                ("grid s", "gradient s", "until as good s", "reached by", "Dice table", "Dice grid", "Dice gradient"),
                [(f"{np.median(values[:, 0]):.2f}", f"{np.median(values[:, 1]):.2f}",
                  f"{np.median(values[reached, 2]):.2f}" if reached.any() else "-", f"{reached.sum()} of {len(rows)}",
                  *(f"{values[:, column].mean():.4f}" for column in (5, 3, 4)))])


if __name__ == "__main__":
    main()
