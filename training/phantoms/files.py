"""Write a phantom case as files that any viewer opens: NIfTI volumes and a table of landmarks."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from TissueElasticRegistrationLib.core.data.geometry import flip_ras_lps
from TissueElasticRegistrationLib.core.data.images import Image, Landmarks, Segmentation
from TissueElasticRegistrationLib.core.files.image_files import write_image, write_labels

LANDMARK_COLUMNS = ("name", "fixed_x", "fixed_y", "fixed_z", "moving_x", "moving_y", "moving_z")


def write_case(
    folder: Path, images: dict[str, Image], segmentations: dict[str, Segmentation], landmarks: Landmarks
) -> None:
    """Write ``<name>.nii.gz`` for every image and segmentation, and ``landmarks.csv``.

    Args:
        folder: Where; it is made if needed.
        images: By name.
        segmentations: By name.
        landmarks: Written in LPS mm.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in images.items():
        write_image(image, folder / f"{name}.nii.gz")
    for name, segmentation in segmentations.items():
        write_labels(segmentation, folder / f"{name}.nii.gz")
    _write_landmarks(landmarks, folder / "landmarks.csv")


def _write_landmarks(landmarks: Landmarks, path: Path) -> None:
    """Positions in LPS mm, as ITK writes points."""
    positions = np.hstack([flip_ras_lps(landmarks.fixed_ras_mm), flip_ras_lps(landmarks.moving_ras_mm)])
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(LANDMARK_COLUMNS)
        for name, row in zip(landmarks.names, positions, strict=True):
            writer.writerow([name, *[f"{value:.4f}" for value in row]])
