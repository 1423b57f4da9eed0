"""Landmarks as the measure: how far the registration brings fixed points from where they are in the moving image.

A landmark counts for the tissue it lies in; one that lies in no segment counts for all tissues.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
import torch
import torch.nn.functional as F

from ...data.geometry import flip_ras_lps
from ...data.images import ImagePair
from ...data.tissues import BACKGROUND_ID, UNSEGMENTED_ID
from ...preparation.preprocessing import WorkingPair
from .hold_out import HoldOut

MIN_LANDMARKS = 3
PULL_BACK_STEPS = 30


class LandmarkDistance:
    """Minus the mean distance in mm, for every tissue that has at least 3 landmarks.

    Distances are measured on the working grid, where the initial alignment has already happened; for a single slice in
    its plane.

    Args:
        pair: With landmarks.
        working: The pair on its working grid.
        initial: The alignment done first, from fixed to moving LPS mm.
        device: Where displacements will be.
        hold_out: Tissues and landmarks that are not used.

    Raises:
        ValueError: If the pair has no landmarks or no tissue has enough of them.
    """

    key = "landmarks"
    tolerance, insensitive_range = 0.02, 0.05
    warnings = ()

    def __init__(
        self, pair: ImagePair, working: WorkingPair, initial: sitk.Transform, device: torch.device, hold_out: HoldOut
    ) -> None:
        if pair.landmarks is None:
            raise ValueError("An estimate by landmarks requires corresponding landmarks.")
        landmarks, axes = pair.landmarks, slice(3 - working.dimension, 3)
        fixed_kji = working.geometry.points_ijk(landmarks.fixed_ras_mm)[:, ::-1]
        moving_kji = working.geometry.points_ijk(_pulled_back(landmarks.moving_ras_mm, initial))[:, ::-1]
        where = _labels_at(working, fixed_kji)
        used = [
            number
            for number, (name, label) in enumerate(zip(landmarks.all_names, where, strict=True))
            if label is not None and name not in hold_out.landmarks and label not in hold_out.tissues
        ]
        self.labels, self.not_scored, self._members = _landmarks_of(working, where, used, hold_out)
        if not self.labels:
            raise ValueError(f"No tissue can be scored: at least {MIN_LANDMARKS} landmarks are needed per tissue.")
        shape = np.array(working.geometry.shape_kji)[axes]
        size_mm = np.array(working.spacing_mm)
        points = np.ascontiguousarray(fixed_kji[:, axes])
        place = (2 * points + 1) / shape - 1
        grid = torch.from_numpy(place[:, ::-1].astype(np.float32)).to(device)
        self._grid = grid.view(1, -1, *[1] * (working.dimension - 1), working.dimension)
        to_go = (moving_kji[:, axes] - points) * size_mm
        self._to_go_mm = torch.from_numpy(to_go.T.astype(np.float32)).to(device)
        self._size_mm = torch.tensor(size_mm, dtype=torch.float32, device=device)[:, None]

    def scores(self, displacement: torch.Tensor) -> np.ndarray:
        with torch.no_grad():
            return self.soft_scores(displacement).cpu().numpy().astype(float)

    def soft_scores(self, displacement: torch.Tensor) -> torch.Tensor:
        moved = F.grid_sample(displacement, self._grid, mode="bilinear", padding_mode="border", align_corners=False)
        away_mm = (moved.flatten(2)[0] * self._size_mm - self._to_go_mm).square().sum(0)
        distance_mm = (away_mm + 1e-6).sqrt()  # a derivative exists at 0 too
        return -torch.stack([distance_mm[members].mean() for members in self._members])


def _pulled_back(points_ras_mm: np.ndarray, initial: sitk.Transform) -> np.ndarray:
    """RAS mm in the frame of the fixed image that the initial alignment (LPS mm) brings to these moving points."""
    wanted = flip_ras_lps(np.asarray(points_ras_mm, float))
    if initial.IsLinear():
        inverse = initial.GetInverse()
        return flip_ras_lps(np.array([inverse.TransformPoint(point) for point in wanted.tolist()]))
    found = wanted.copy()
    for _ in range(PULL_BACK_STEPS):
        found += wanted - np.array([initial.TransformPoint(point) for point in found.tolist()])
    return flip_ras_lps(found)


def _labels_at(working: WorkingPair, points_kji: np.ndarray) -> list[int | None]:
    """The tissue at each point; None outside of the grid."""
    labels = working.volume(working.labels)
    found = []
    for voxel in np.round(points_kji).astype(int):
        inside = all(0 <= index < size for index, size in zip(voxel, labels.shape, strict=True))
        found.append(int(labels[tuple(voxel)]) if inside else None)
    return found


def _landmarks_of(
    working: WorkingPair, where: list[int | None], used: list[int], hold_out: HoldOut
) -> tuple[tuple[int, ...], dict[int, str], list[list[int]]]:
    """Labels that have a score, why others have none, and the numbers of the landmarks of each."""
    segments = [tissue for tissue in working.tissues if tissue.id not in (BACKGROUND_ID, UNSEGMENTED_ID)]
    own = {tissue.label for tissue in segments}
    labels, not_scored, members = [], {}, []
    for tissue in segments:
        if tissue.label in hold_out.tissues:
            continue
        own_landmarks = [number for number in used if where[number] == tissue.label or where[number] not in own]
        if len(own_landmarks) < MIN_LANDMARKS:
            not_scored[tissue.label] = (
                f"'{tissue.name}' has only {len(own_landmarks)} landmarks; its values were not changed."
            )
        else:
            labels.append(tissue.label)
            members.append(own_landmarks)
    return tuple(labels), not_scored, members
