"""The second experiment of Reithmeir et al. 2024 on phantoms nobody has seen: is elasticity per tissue and subject
better than the same for all?

    python -m training.compare_paper_models DIFF-G DIFF-SAS ELAS-G ELAS-SAS [--count 30] [--output FILE]

Takes the folders of the packs or the names of installed ones, in any order. A global model (g) registers every pair
with each place of a grid of λ and μ; diffusion has one weight. From the Dice of these registrations follows, as in the
paper,

- for the global model the one place that is best for all pairs together (mean Dice of lung, bone and liver);
- for the adaptive model (sas), pair by pair and tissue by tissue, the place that is best for that tissue. What is no
  tissue of the model takes the place with the pair's best mean Dice.

Beyond the paper: the global model at each pair's own best place, as its competitor has parameters per subject too; and
the adaptive model with all weights of the background 0, as the published code has it.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import stats

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.evaluation.metrics import dice, surface_distances
from TissueElasticRegistrationLib.core.physics.deformation import folding, jacobian_determinant
from training.phantoms.subject import TISSUE_NAMES

from .config import CACHE
from .datasets.pair import TrainingPair
from .datasets.phantom_pairs import FIRST_TEST, phantom_folder
from .evaluate import CLASSES, Model, named_pack
from .validation import endpoint_error_mm, moved_labels

NO_DEFORMATION = "initial"
SUBJECT, BARE = "g, best of each pair", "sas, background 0"


@dataclass(frozen=True)
class Scores:
    """How well one pair was registered.

    Attributes:
        class_dice: Dice of lung, bone and liver.
        dice: Their mean.
        hd95_mm: Mean 95 % Hausdorff distance of the three.
        epe_mm: Mean distance to the true correspondence in the body.
        folding_percent: Voxels at which the deformation folds.
        jacobian_deviation: Standard deviation of the Jacobian determinant in the body.
    """

    class_dice: tuple[float, ...]
    dice: float
    hd95_mm: float
    epe_mm: float
    folding_percent: float
    jacobian_deviation: float


@dataclass(frozen=True, eq=False)
class Search:
    """What a global model reaches at each place of a grid of λ and μ.

    Attributes:
        places: (places, 2) slider positions.
        dice: (pairs, places, classes).
    """

    places: np.ndarray
    dice: np.ndarray

    def for_all(self) -> np.ndarray:
        """(2,) best for all pairs together."""
        return self.places[self._mean().mean(0).argmax()]

    def for_pair(self, number: int) -> np.ndarray:
        """(2,) best for one pair."""
        return self.places[self._mean()[number].argmax()]

    def for_tissues(self, number: int) -> np.ndarray:
        """(classes, 2) best for each tissue of one pair; of equal ones the softest."""
        return self.places[self.dice[number].argmax(0)]

    def _mean(self) -> np.ndarray:
        return self.dice.mean(2)


def search(model: Model, pairs: Sequence[TrainingPair], points: int = 11) -> Search:
    """Register with a grid of slider positions, ends included.

    Args:
        model: A global model.
        pairs: The pairs to register.
        points: Positions of each slider.
    """
    axis = np.linspace(0, 1, points, dtype=np.float32)
    one_weight = not model.card.has_lambda
    places = np.array([(p, p) for p in axis] if one_weight else list(itertools.product(axis, axis)))
    return Search(
        places,
        np.array([[class_dice(pair, model.displacement(pair, place[None])) for place in places] for pair in pairs]),
    )


def register(searched: Search, model: Model, adaptive: Model, pairs: Sequence[TrainingPair]) -> dict[str, list[Scores]]:
    """Scores of every pair for each way to choose parameters.

    Args:
        searched: What the global model has reached.
        model: The global model.
        adaptive: The model with parameters per tissue.
        pairs: Those that were searched.

    Returns:
        Way -> scores of the pairs.
    """
    everywhere = searched.for_all()
    rows: dict[str, list[Scores]] = {"g": [], SUBJECT: [], "sas": [], BARE: []}
    for number, pair in enumerate(pairs):
        own, tissues = searched.for_pair(number), searched.for_tissues(number)
        for name, asked, sliders in (
            ("g", model, everywhere[None]),
            (SUBJECT, model, own[None]),
            ("sas", adaptive, np.vstack([own, tissues])),
            (BARE, adaptive, np.vstack([0 * own, tissues])),
        ):
            rows[name].append(scores(pair, asked.displacement(pair, sliders)))
    return rows


def class_dice(pair: TrainingPair, displacement: torch.Tensor) -> tuple[float, ...]:
    """Dice of lung, bone and liver.

    Args:
        pair: A slice with labels of both images.
        displacement: (1, 2, *shape) in voxels.
    """
    moved = moved_labels(pair, displacement)
    return tuple(dice(pair.fixed_labels, moved, label) for label in CLASSES)


def scores(pair: TrainingPair, displacement: torch.Tensor) -> Scores:
    """How well a displacement registers a slice.

    Args:
        pair: The slice, with labels of both images.
        displacement: (1, 2, *shape) in voxels.
    """
    overlaps = class_dice(pair, displacement)
    down_mm, left_mm = pair.spacing_mm
    geometry = Geometry((1, *pair.shape), np.diag([left_mm, down_mm, 1.0, 1.0]))
    labels = pair.fixed_labels[None], moved_labels(pair, displacement)[None]
    hd95_mm = np.mean([surface_distances(*labels, label, geometry)[0] for label in CLASSES])
    jacobian = jacobian_determinant(displacement)[0].numpy()
    return Scores(
        overlaps,
        float(np.mean(overlaps)),
        float(hd95_mm),
        endpoint_error_mm(pair, displacement),
        100 * float(folding(displacement).float().mean()),
        float(jacobian[pair.fixed_labels > 0].std()),
    )


def paired_difference(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """Mean of ours - theirs over pairs, and its 95 % confidence interval (Student's t).

    Args:
        ours: One number for each pair.
        theirs: The numbers of the same pairs.

    Returns:
        Mean, lower and upper bound.
    """
    differences = np.subtract(ours, theirs)
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    reach = float(stats.t.ppf(0.975, len(differences) - 1) * error)
    return float(differences.mean()), float(differences.mean()) - reach, float(differences.mean()) + reach


def sorted_models(folders: Sequence[str | Path]) -> dict[str, Model]:
    """The four models by the names of the paper.

    Args:
        folders: Folders of packs or names of installed ones, in any order.

    Raises:
        ValueError: They are not these four.
    """
    models = {}
    for folder in folders:
        pack = named_pack(folder)
        kind = "elas" if pack.card.has_lambda else "diff"
        models[f"{kind}-{'sas' if pack.card.tissues else 'g'}"] = Model(pack)
        tissues = tuple(TISSUE_NAMES[label] for label in CLASSES)
        if (
            pack.card.network.conditioning != "hyper"
            or pack.card.dimension != 2
            or pack.card.tissues[1:] not in ((), tissues)
        ):
            raise ValueError(f"{folder}: this is no 2D hypernetwork for {', '.join(tissues)}.")
    if len(models) != 4:
        raise ValueError(f"Packs of diff-g, diff-sas, elas-g and elas-sas are needed, not only {', '.join(models)}.")
    return models


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training.compare_paper_models",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("packs", nargs=4, help="folders of the four packs, or their names")
    parser.add_argument("--count", type=int, default=30, help="pairs; the loads of the phantoms take turns")
    parser.add_argument("--points", type=int, default=11, help="positions of each slider")
    parser.add_argument("--spacing-mm", type=float, default=4.0, help="voxel size of the phantoms")
    parser.add_argument("--cache", default=CACHE, help="folder for data that is made once")
    parser.add_argument("--output", help="write all numbers to this file as JSON")
    arguments = parser.parse_args()
    try:
        models = sorted_models(arguments.packs)
    except ValueError as error:
        parser.error(str(error))
    folder = phantom_folder(arguments.cache, 2, arguments.spacing_mm)
    pairs = [folder[FIRST_TEST + number] for number in range(arguments.count)]
    report = compare(models, pairs, arguments.points)
    print_report(report, len(pairs))
    if arguments.output:
        Path(arguments.output).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def compare(models: dict[str, Model], pairs: Sequence[TrainingPair], points: int) -> dict[str, dict]:
    """All numbers of the experiment.

    Args:
        models: The four models, by the names of the paper.
        pairs: Phantoms that no model has seen.
        points: Positions of each slider.

    Returns:
        ``scores``: by model the `Scores` of all pairs; ``differences``: by comparison and measure mean, lower and upper
        bound; ``parameters``: by regularizer the place for all and for each pair's tissues.
    """
    rows = {NO_DEFORMATION: [scores(pair, torch.zeros(1, 2, *pair.shape)) for pair in pairs]}
    differences, parameters = {}, {}
    for kind in ("diff", "elas"):
        searched = search(models[f"{kind}-g"], pairs, points)
        found = register(searched, models[f"{kind}-g"], models[f"{kind}-sas"], pairs)
        rows.update({f"{kind}-{name}": row for name, row in found.items()})
        differences.update(
            {
                f"{kind}-{one} minus {kind}-{other}": {
                    measure: paired_difference(
                        *([getattr(score, measure) for score in found[name]] for name in (one, other))
                    )
                    for measure in ("dice", "hd95_mm", "epe_mm")
                }
                for one, other in (("sas", "g"), ("sas", SUBJECT), (BARE, "g"))
            }
        )
        parameters[kind] = {
            "for all": searched.for_all().tolist(),
            "for tissues": [searched.for_tissues(n).tolist() for n in range(len(pairs))],
        }
    return {
        "scores": {name: [asdict(score) for score in row] for name, row in rows.items()},
        "differences": differences,
        "parameters": parameters,
    }


def print_report(report: dict[str, dict], count: int) -> None:
    """The numbers as tables on the terminal.

    Args:
        report: What `compare` has returned.
        count: Number of pairs.
    """
    print(f"{count} pairs, mean (standard deviation)")
    print(
        f"{'':<27}Dice of {', '.join(TISSUE_NAMES[label] for label in CLASSES)}   mean Dice        HD95 mm       "
        "EPE mm        folding %  std J"
    )
    for model, row in report["scores"].items():
        classes = "  ".join(f"{value:.4f}" for value in np.mean([score["class_dice"] for score in row], 0))
        columns = {measure: [score[measure] for score in row] for measure in row[0] if measure != "class_dice"}
        spread = {name: f"{np.mean(values):.3f} ({np.std(values, ddof=1):.3f})" for name, values in columns.items()}
        print(
            f"{model:<27}{classes}   {np.mean(columns['dice']):.4f} ({np.std(columns['dice'], ddof=1):.4f})  "
            f"{spread['hd95_mm']}  {spread['epe_mm']}  {np.mean(columns['folding_percent']):.4f}     "
            f"{np.mean(columns['jacobian_deviation']):.4f}"
        )
    print("\nmean difference over pairs, 95 % confidence interval")
    for name, measures in report["differences"].items():
        print(
            f"{name:<45}"
            + "   ".join(
                f"{measure} {mean:+.4f} [{low:+.4f}, {high:+.4f}]" for measure, (mean, low, high) in measures.items()
            )
        )
    for kind, chosen in report["parameters"].items():
        print(f"{kind}: best for all pairs λ = {chosen['for all'][0]:.1f}, μ = {chosen['for all'][1]:.1f}")


if __name__ == "__main__":
    main()
