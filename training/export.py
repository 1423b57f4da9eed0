"""A trained network as a model pack, with a card that says what was really done.

python -m training.export OUTPUT_OF_A_RUN FOLDER_OF_THE_PACK --version 1.0
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import platform
from pathlib import Path

import torch

from TissueElasticRegistrationLib import __version__
from TissueElasticRegistrationLib.core.models.model_pack import ModelCard, save_pack
from TissueElasticRegistrationLib.core.models.network import RegistrationNetwork

from .augmentation import AugmentationSettings
from .checkpoints import BEST, read_checkpoint
from .config import TrainingConfig, from_dict
from .datasets.prepared import ORIENTATION
from .run_data import spacings_mm, validation_set
from .trainee import Trainee
from .validation import Scores, validate

LICENSE = "Apache-2.0"
REST_OF_BODY = "background"
# Labels that no hypernetwork of the paper has a place for.
MERGED_INTO_REST = ("soft", "unsegmented")
WHAT_SOURCES_ARE = {
    "phantoms": "synthetic thoraxes with finite-element deformation (this project)",
    "shapes": "synthetic shapes with random contrast (this project)",
    "simulated-thorax": "a thorax CT with simulated motion (TCIA 4D-Lung, patient 103, CC BY 3.0)",
    "simulated-abdomen": "an abdominal CT with simulated motion (TotalSegmentator's example, Apache-2.0)",
    "simulated-mr": "an abdominal MR with simulated motion (TotalSegmentator's example, Apache-2.0)",
    "simulated-brain": "a brain MR with simulated motion (VoxelMorph's test scan, Apache-2.0)",
    "own": "real pairs that are not published with this model",
    "nlst": "NLST (Learn2Reg)",
    "lungct": "LungCT (Learn2Reg)",
    "acdc": "ACDC",
}


def export(run: str | Path, folder: str | Path, version: str, checkpoint: str = BEST, note: str = "") -> ModelCard:
    """Write the pack of a run, scored once more on its validation pairs.

    Args:
        run: Output folder of the run.
        folder: Of the pack.
        version: Of the model.
        checkpoint: File in the output folder.
        note: Added to the card's account of the training.

    Raises:
        ValueError: There is no such checkpoint.
    """
    stored = read_checkpoint(Path(run).expanduser() / checkpoint)
    config = from_dict(stored["config"])
    trainee = Trainee(config.network())
    trainee.load_state_dict(stored["model"])
    trainee.eval()
    scores = validate(trainee, config.objective(), validation_set(config), config.integration_steps)
    return export_network(config, trainee.network, stored["step"], scores, folder, version, note)


def export_network(
    config: TrainingConfig,
    network: RegistrationNetwork,
    step: int,
    scores: Scores,
    folder: str | Path,
    version: str,
    note: str = "",
) -> ModelCard:
    """Write the pack of a network.

    Args:
        config: The configuration of the run it comes from.
        network: The network.
        step: Number of training steps.
        scores: On its validation pairs.
        folder: Of the pack.
        version: Of the model.
        note: Added to the card's account of the training.
    """
    zoom = AugmentationSettings().zoom if config.augment else 1.0
    finest_mm, coarsest_mm = spacings_mm(config)
    vector = config.conditioning == "hyper" and config.adaptive
    card = ModelCard(
        name=config.name,
        version=version,
        network=network.config,
        regularizer=config.regularizer,
        scale=config.scale,
        spacing_mm=(finest_mm / zoom, coarsest_mm * zoom),
        orientation="any" if config.any_orientation else ORIENTATION[config.dimension],
        training=account(config, step, note),
        license=LICENSE,
        tissues=(REST_OF_BODY, *config.tissues) if vector else (),
        rest=MERGED_INTO_REST if vector else (),
        metrics={
            f"validation_{name}": value for name, value in dataclasses.asdict(scores).items() if math.isfinite(value)
        },
        software={
            "TissueElasticRegistration": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    )
    return save_pack(folder, network, card)


def account(config: TrainingConfig, step: int, note: str = "") -> str:
    """What a network was trained on, in words.

    Args:
        config: The configuration of the run.
        step: Number of training steps.
        note: What is added at the end.
    """
    data = ", ".join(
        f"{100 * share:.0f} % {WHAT_SOURCES_ARE.get(name, name)}" for name, share in config.shares().items()
    )
    shape = " x ".join(map(str, config.shape))
    changed = ["contrast", *["orientation"] * config.flips, "size"] if config.augment else []
    changes = f"with augmentation of {', '.join(changed)}" if changed else "without augmentation"
    begun = f"Initialized with the weights of {Path(config.start_from).name}. " if config.start_from else ""
    pairs = "1 pair" if config.batch == 1 else f"{config.batch} pairs"
    return (
        f"{begun}{step} of {config.steps} steps of {pairs} of {shape} voxels: {data}; {changes}; "
        f"seed {config.seed}. {note}"
    ).strip()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m training.export", description=__doc__.splitlines()[0])
    parser.add_argument("run", help="output folder of the run")
    parser.add_argument("folder", help="folder of the pack")
    parser.add_argument("--version", required=True, help="of the model")
    parser.add_argument("--checkpoint", default=BEST, help="file in the output folder")
    parser.add_argument("--note", default="", help="what else the card should say about the training")
    arguments = parser.parse_args()
    card = export(arguments.run, arguments.folder, arguments.version, arguments.checkpoint, arguments.note)
    print(f"{card.name} {card.version}: " + ", ".join(f"{name} {value:.4g}" for name, value in card.metrics.items()))


if __name__ == "__main__":
    main()
