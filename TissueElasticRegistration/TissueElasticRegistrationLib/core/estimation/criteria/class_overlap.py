"""The score of the paper's search: class-wise Dice of the warped moving labels against the fixed ones."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import SimpleITK as sitk
import torch
import torch.nn.functional as F

from ...data.geometry import Geometry, flip_ras_lps
from ...data.images import ImagePair, Segmentation
from ...data.itk_bridge import resample_array
from ...data.tissues import BACKGROUND, Tissue
from ...evaluation.evaluation import FEW_VOXELS
from ...preparation.preprocessing import WorkingPair
from ..landscape import INSENSITIVE_RANGE, TOLERANCE


class ClassOverlap:
    """Dice, on the working grid, of every tissue that both segmentations show with at least 50 voxels.

    `pair_tissues` says which tissues are the same. Only what the fixed image shows counts; outside of the moving
    segmentation there is no tissue.

    Args:
        pair: With both segmentations.
        working: The pair on its working grid.
        initial: The alignment done first, from fixed to moving LPS mm.
        device: Where displacements will be.
        held_out: Labels of tissues that are not used.

    Attributes:
        labels: The tissues that have a score, as labels of the fixed segmentation.
        not_scored: For the other ones that have a segment, one sentence each on why.

    Raises:
        ValueError: If no tissue has a score.
    """

    key = "dice"
    tolerance, insensitive_range = TOLERANCE, INSENSITIVE_RANGE
    warnings = ()

    def __init__(
        self,
        pair: ImagePair,
        working: WorkingPair,
        initial: sitk.Transform,
        device: torch.device,
        held_out: Collection[int] = (),
    ) -> None:
        if pair.moving_segmentation is None:
            raise ValueError("An estimate by overlap requires a segmentation of the moving image.")
        moving = pair.matched_moving_segmentation
        shown = working.volume(working.fixed_mask) > 0
        fixed_kji = np.where(shown, working.volume(working.labels), BACKGROUND)
        judged = tuple(tissue for tissue in pair.fixed_segmentation.tissues if tissue.label not in held_out)
        self.labels, self.not_scored = _sorted_out(judged, moving, fixed_kji)
        if not self.labels:
            raise ValueError(
                f"No tissue can be scored: the segmentations share no tissue with at least {FEW_VOXELS} voxels in both."
            )
        self._classes = len(self.labels) + 1
        # One number for each pair of classes; what the fixed image does not show gets numbers behind all of them.
        fixed = np.where(shown, _numbered(fixed_kji, self.labels), self._classes)
        self._first_number = torch.from_numpy(self._classes * fixed).reshape(working.labels.shape).to(device)
        self._fixed = torch.from_numpy(fixed).reshape(working.labels.shape).to(device)
        self._shown = self._fixed != self._classes
        self._sampler = _LabelSampler(moving, _numbered(moving.labels_kji, self.labels), working, initial, device)

    def warp(self, displacement: torch.Tensor) -> torch.Tensor:
        """The moving classes 0, 1, ... at x + u(x).

        Args:
            displacement: (1, D, *shape) in voxels of the working grid.

        Returns:
            (1, 1, *shape).
        """
        return self._sampler(displacement)

    def dice(self, warped: torch.Tensor) -> np.ndarray:
        """Dice of each of ``labels`` for what `warp` returned."""
        n = self._classes
        counts = torch.bincount((self._first_number + warped.long()).ravel(), minlength=n * (n + 1))
        pairs = counts[: n * n].reshape(n, n).cpu().numpy().astype(float)
        return (2 * np.diag(pairs) / (pairs.sum(0) + pairs.sum(1)))[1:]

    def scores(self, displacement: torch.Tensor) -> np.ndarray:
        """Dice of each of ``labels`` for a displacement as `warp` takes it."""
        with torch.no_grad():
            return self.dice(self.warp(displacement))

    def soft_scores(self, displacement: torch.Tensor) -> torch.Tensor:
        """Dice of linearly sampled labels, which has a derivative by the displacement."""
        shown, scores = self._shown[0, 0], []
        fixed = self._fixed[0, 0]
        for number, warped in enumerate(self._sampler.parts(displacement, len(self.labels)), start=1):
            warped, wanted = warped[shown], (fixed == number)[shown]
            scores.append(2 * (warped * wanted).sum() / (warped.sum() + wanted.sum()))
        return torch.stack(scores)


class _LabelSampler:
    """Labels of the moving segmentation, nearest, at displaced voxels of the working grid; 0 outside.

    They are taken from their own grid: brought to the working grid first, they would be rounded to voxels twice, which
    moves a small tissue's Dice by more than λ and μ do.
    """

    def __init__(
        self,
        moving: Segmentation,
        labels_kji: np.ndarray,
        working: WorkingPair,
        initial: sitk.Transform,
        device: torch.device,
    ) -> None:
        grid = moving.geometry
        if not initial.IsLinear():
            labels_kji = resample_array(labels_kji.astype(np.int32), grid, initial, working.geometry, 0, nearest=True)
            grid, initial = working.geometry, sitk.Transform(3, sitk.sitkIdentity)
        matrix, offset = _positions(working.geometry, grid, initial)
        axes = slice(3 - working.dimension, 3)  # a single slice is sampled in its plane
        shape = np.array(grid.shape_kji)[axes]
        # grid_sample counts from -1 to 1 over the whole axis: twice the position in voxels by their number, shifted.
        self._matrix = (2 * matrix[axes, axes] / shape[:, None]).tolist()
        zero = ((2 * offset[axes] + 1) / shape - 1).tolist()
        labels = labels_kji[0] if working.dimension == 2 else labels_kji
        self._labels = torch.from_numpy(labels.astype(np.float32))[None, None].to(device)
        self._masks: torch.Tensor | None = None
        indices = torch.meshgrid(
            *[torch.arange(n, dtype=torch.float32, device=device) for n in working.labels.shape[2:]], indexing="ij"
        )
        self._rest = [_mixed(row, indices) + start for row, start in zip(self._matrix, zero, strict=True)]

    def __call__(self, displacement: torch.Tensor) -> torch.Tensor:
        return F.grid_sample(
            self._labels, self._places(displacement), mode="nearest", padding_mode="zeros", align_corners=False
        )

    def parts(self, displacement: torch.Tensor, count: int) -> torch.Tensor:
        """(count, *shape): how much of each of the classes 1, 2, ... is there, linear between voxels."""
        if self._masks is None:
            self._masks = torch.cat([(self._labels == number).float() for number in range(1, count + 1)], 1)
        return F.grid_sample(
            self._masks, self._places(displacement), mode="bilinear", padding_mode="zeros", align_corners=False
        )[0]

    def _places(self, displacement: torch.Tensor) -> torch.Tensor:
        places = [at_rest + _mixed(row, displacement[0]) for row, at_rest in zip(self._matrix, self._rest, strict=True)]
        return torch.stack(places[::-1], -1)[None]


def _positions(source: Geometry, target: Geometry, transform: sitk.Transform) -> tuple[np.ndarray, np.ndarray]:
    """Matrix and offset from voxels of ``source`` to those of ``target``, both (k, j, i), for a linear transform from
    the one's LPS mm to the other's.
    """
    corners = flip_ras_lps(source.points_ras_mm(np.vstack([np.zeros(3), np.eye(3)[::-1]])))
    mapped = np.array([transform.TransformPoint(corner) for corner in corners.tolist()])
    voxels_kji = target.points_ijk(flip_ras_lps(mapped))[:, ::-1]
    return (voxels_kji[1:] - voxels_kji[0]).T, voxels_kji[0]


def _mixed(row: list[float], components) -> torch.Tensor:
    """Σ row[n] components[n], without those that do not count."""
    return sum(weight * component for weight, component in zip(row, components, strict=True) if abs(weight) > 1e-12)


def _sorted_out(
    tissues: tuple[Tissue, ...], moving: Segmentation, fixed_kji: np.ndarray
) -> tuple[tuple[int, ...], dict[int, str]]:
    """Labels of the tissues that can be scored, and why the others cannot."""
    known = {tissue.label for tissue in moving.tissues}
    labels, not_scored = [], {}
    for tissue in tissues:
        few = min(np.count_nonzero(array == tissue.label) for array in (fixed_kji, moving.labels_kji))
        if tissue.label == BACKGROUND:
            continue
        if tissue.label not in known:
            not_scored[tissue.label] = (
                f"'{tissue.name}' is not in the moving segmentation; its values were not changed."
            )
        elif few < FEW_VOXELS:
            not_scored[tissue.label] = (
                f"'{tissue.name}' has only {few} voxels in one of the images; its values were not changed."
            )
        else:
            labels.append(tissue.label)
    return tuple(labels), not_scored


def _numbered(labels_kji: np.ndarray, labels: tuple[int, ...]) -> np.ndarray:
    """1, 2, ... where ``labels`` are, in their order, 0 elsewhere; int64."""
    numbers = np.zeros(1 + int(max(labels_kji.max(), *labels)), np.int64)
    numbers[list(labels)] = range(1, len(labels) + 1)
    return numbers[labels_kji]
