"""Accuracy of a 2D network on fresh phantom pairs: alone, refined, and beside the direct solver.

python Testing/benchmarks/network_accuracy.py --model universal-2d [--pairs 30] [--first-seed 1000] [--refine 40]

Then the same on images unlike those of the training, and how often a result was worse than its start (J, the
objective): the network's answer than no deformation, the refined one than the answer. That table ends with inputs and
networks that are broken on purpose. Measures as in phantoms_2d.py; seconds are processor time of the solver.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from measuring import print_table
from phantoms_2d import Scores, flipped, score, transposed

from TissueElasticRegistrationLib.core.data.images import Image
from TissueElasticRegistrationLib.core.models.model_pack import ModelPack
from TissueElasticRegistrationLib.core.preparation.preprocessing import CT_WINDOW_HU, normalized
from TissueElasticRegistrationLib.core.registration.direct_solver import DirectSolver
from TissueElasticRegistrationLib.core.registration.network_solver import NetworkSolver
from TissueElasticRegistrationLib.core.registration.solver import solver_for
from training.datasets.phantom_pairs import FIRST_TEST
from training.phantoms import PhantomCase, make_case

SPACING_MM = 4.0
OTHER_SPACINGS_MM = (2.5, 6.0)
# Largest EPE alone and refined in mm, least Dice alone; refined on unlike images: ratio to the direct solver's EPE.
MAX_EPE_MM, MAX_REFINED_EPE_MM, MIN_DICE, MAX_RATIO = 1.2, 0.65, 0.97, 1.2
# Objectives are sums of many float32 numbers.
ROUNDING = 1e-6


def main() -> None:
    """Make the pairs, register them in every way and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="universal-2d", help="name of a model pack or, with a /, its folder")
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--unlike-pairs", type=int, default=10, help="of them for each kind of unlike images")
    parser.add_argument("--first-seed", type=int, default=FIRST_TEST + 10_000, help="default: never trained on")
    parser.add_argument("--refine", type=int, default=40, help="steps at full resolution after the network's answer")
    options = parser.parse_args()
    network = solver_for(options.model)
    seeds = range(options.first_seed, options.first_seed + options.pairs)
    few = seeds[: options.unlike_pairs]

    cases = [make_case(2, seed, spacing_mm=SPACING_MM) for seed in seeds]
    _print_fresh(network, cases, options)
    unlike = {name: [change(case) for case in cases[: len(few)]] for name, change in UNLIKE.items()}
    unlike |= {
        f"{spacing:g} mm": [make_case(2, seed, spacing_mm=spacing) for seed in few] for spacing in OTHER_SPACINGS_MM
    }
    _print_unlike(network, unlike, options.refine)
    _print_referee(network, cases[: len(few)], options.refine)


def _print_fresh(network: NetworkSolver, cases: list[PhantomCase], options: argparse.Namespace) -> None:
    alone, refined, direct = _three_ways(network, cases, options.refine)
    rows = [
        (
            name,
            *_means(scores),
            max(s.epe_mm for s in scores),
            sum(s.folding_percent > 0 for s in scores),
            float(np.mean([s.objective_after for s in scores])),
            float(np.median([s.solver_seconds for s in scores])),
        )
        for name, scores in zip(
            ("network", f"and {options.refine} steps", "direct solver"), (alone, refined, direct), strict=True
        )
    ]
    print_table(
        f"{options.model}: {len(cases)} pairs from seed {options.first_seed}, EPE in mm",
        ("", "EPE", "Dice", "worst EPE", "folded pairs", "J", "CPU s"),
        rows,
    )
    (epe, dice), (refined_epe, _) = _means(alone), _means(refined)
    for value, kept, wanted in (
        (epe, epe <= MAX_EPE_MM, f"EPE <= {MAX_EPE_MM}"),
        (dice, dice >= MIN_DICE, f"Dice >= {MIN_DICE}"),
        (refined_epe, refined_epe <= MAX_REFINED_EPE_MM, f"refined EPE <= {MAX_REFINED_EPE_MM}"),
    ):
        print(f"{wanted}: {value:.4f} {'kept' if kept else 'MISSED'}")


def _print_unlike(network: NetworkSolver, unlike: dict[str, list[PhantomCase]], steps: int) -> None:
    rows = []
    for name, cases in unlike.items():
        alone, refined, direct = _three_ways(network, cases, steps)
        epes = [_means(scores)[0] for scores in (alone, refined, direct)]
        ratio = epes[1] / epes[2]
        rows.append((name, *epes, ratio, "kept" if ratio <= MAX_RATIO else "MISSED", _worse(alone, refined)))
    print_table(
        f"images unlike the training's, {len(cases)} pairs each, EPE in mm",
        ("", "network", f"and {steps} steps", "direct solver", "ratio", f"<= {MAX_RATIO}", "worse than start"),
        rows,
    )


def _print_referee(network: NetworkSolver, cases: list[PhantomCase], steps: int) -> None:
    random = np.random.default_rng(0)
    others = [*cases[1:], cases[0]]
    broken = {
        "two patients": (network, [replace(a, moving=b.moving) for a, b in zip(cases, others, strict=True)]),
        "moving image of noise": (
            network,
            [
                _recolored(case, lambda image: random.normal(0, 300, image.array_kji.shape), only_moving=True)
                for case in cases
            ],
        ),
        "moving image a ramp": (
            network,
            [_recolored(case, lambda image: np.indices(image.array_kji.shape)[2], only_moving=True) for case in cases],
        ),
        "random weights": (_with_weights(network.pack, lambda w: 0.3 * random.normal(size=w.shape)), cases),
        "weights times 3": (_with_weights(network.pack, lambda w: 3 * w), cases),
        "weights not a number": (_with_weights(network.pack, lambda w: w * np.nan), cases),
    }
    rows = []
    for name, (solver, pairs) in broken.items():
        alone, refined = ([score(case, solver, refine) for case in pairs] for refine in (0, steps))
        rows.append(
            (
                name,
                *(
                    float(np.mean(values))
                    for values in zip(
                        *[
                            (a.objective_before, a.objective_after, r.objective_after)
                            for a, r in zip(alone, refined, strict=True)
                        ],
                        strict=True,
                    )
                ),
                _worse(alone, refined),
            )
        )
    print_table(
        f"broken on purpose, {len(cases)} pairs each",
        ("", "J before", "network", f"and {steps} steps", "worse than start"),
        rows,
    )


def _three_ways(network: NetworkSolver, cases: list[PhantomCase], steps: int) -> tuple[list[Scores], ...]:
    """Of the network alone, the network with further steps, the direct solver."""
    return (
        [score(case, network) for case in cases],
        [score(case, network, steps) for case in cases],
        [score(case, DirectSolver()) for case in cases],
    )


def _means(scores: list[Scores]) -> tuple[float, float]:
    return float(np.mean([s.epe_mm for s in scores])), float(np.mean([s.dice for s in scores]))


def _worse(alone: list[Scores], refined: list[Scores]) -> int:
    """How many results have a higher objective than they started with."""
    return sum(
        (a.objective_after > a.objective_before + ROUNDING) + (r.objective_after > a.objective_after + ROUNDING)
        for a, r in zip(alone, refined, strict=True)
    )


def _recolored(case: PhantomCase, values: Callable[[Image], np.ndarray], only_moving: bool = False) -> PhantomCase:
    """The pair with other intensities at the same places."""
    names = ("moving",) if only_moving else ("fixed", "moving")
    return replace(
        case,
        **{
            name: replace(image, array_kji=values(image).astype(np.float32))
            for name, image in ((name, getattr(case, name)) for name in names)
        },
    )


def _gamma(image: Image) -> np.ndarray:
    low, high = CT_WINDOW_HU
    return low + (high - low) * normalized(image.array_kji, CT_WINDOW_HU) ** 0.4


def _with_weights(pack: ModelPack, change: Callable[[np.ndarray], np.ndarray]) -> NetworkSolver:
    """A network of the same kind with other weights."""
    network = copy.deepcopy(pack.network)
    for weights in network.parameters():
        weights.data = torch.from_numpy(np.asarray(change(weights.detach().numpy()), np.float32))
    return NetworkSolver(replace(pack, network=network))


UNLIKE: dict[str, Callable[[PhantomCase], PhantomCase]] = {
    "inverted contrast": lambda case: _recolored(case, lambda image: -image.array_kji),
    "gamma 0.4": lambda case: _recolored(case, _gamma),
    "upside down": lambda case: flipped(case, 1),
    "transposed": transposed,
}


if __name__ == "__main__":
    main()
