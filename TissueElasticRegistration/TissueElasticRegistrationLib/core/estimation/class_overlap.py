"""The score of the paper's search: class-wise Dice of the warped moving labels against the fixed ones."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
import torch
import torch.nn.functional as F

from ..deformation import sampling_grid
from ..evaluation import FEW_VOXELS
from ..files.segmentation_files import matched_to
from ..images import ImagePair
from ..itk_bridge import resample_array
from ..preprocessing import WorkingPair
from ..tissues import BACKGROUND


class ClassOverlap:
    """Dice of every tissue that both segmentations show with at least 50 voxels of the working grid.

    Tissues are those of the same name. Only what the fixed image shows counts; where the deformation leads out of the
    working grid there is no tissue.

    initial: the alignment done first, from fixed to moving LPS mm. device: where displacements will be.
    labels: the tissues that have a score, as labels of the fixed segmentation. silent: the other ones that have a
    segment, and one sentence each on why.

    Raises ValueError if no tissue has a score.
    """

    name = "class-wise Dice"

    def __init__(self, pair: ImagePair, working: WorkingPair, initial: sitk.Transform, device: torch.device) -> None:
        if pair.moving_segmentation is None:
            raise ValueError("To estimate parameters, the moving image needs a segmentation too: its overlap with the "
                             "fixed one is what they are judged by.")
        moving = matched_to(pair.moving_segmentation, pair.fixed_segmentation)
        moving_labels = resample_array(moving.labels_kji.astype(np.int32), moving.geometry, initial, working.geometry,
                                       BACKGROUND, nearest=True)
        fixed_labels = np.where(working.volume(working.fixed_mask) > 0, working.volume(working.labels), BACKGROUND)
        self.labels, self.silent = _sorted_out(pair, {tissue.name.casefold() for tissue in moving.tissues},
                                               fixed_labels, moving_labels)
        if not self.labels:
            raise ValueError("No tissue can be judged: the segmentations have no tissue of the same name with at least "
                             f"{FEW_VOXELS} voxels in both.")
        shape = working.labels.shape
        outside = torch.from_numpy(working.volume(working.fixed_mask) == 0).reshape(shape).to(device)
        self._classes = len(self.labels) + 1
        self._moving = _numbered(moving_labels, self.labels).reshape(shape).to(device, torch.float32)
        # One number for each pair of classes; what the fixed image does not show gets numbers behind all of them.
        fixed = _numbered(fixed_labels, self.labels).reshape(shape).to(device)
        self._first_number = self._classes * torch.where(outside, self._classes, fixed)

    def warp(self, displacement: torch.Tensor) -> torch.Tensor:
        """The moving classes at x + u(x), (1, 1, *shape); displacement: (1, D, *shape) in voxels of the working grid.

        Outside they are 0, which is no tissue.
        """
        return F.grid_sample(self._moving, sampling_grid(displacement), mode="nearest", padding_mode="zeros",
                             align_corners=False)

    def dice(self, warped: torch.Tensor) -> np.ndarray:
        """Dice of each of ``labels`` for what `warp` returned."""
        n = self._classes
        counts = torch.bincount((self._first_number + warped.long()).ravel(), minlength=n * (n + 1))
        pairs = counts[:n * n].reshape(n, n).cpu().numpy().astype(float)
        return (2 * np.diag(pairs) / (pairs.sum(0) + pairs.sum(1)))[1:]


def _sorted_out(pair: ImagePair, moving_names: set[str], fixed_labels: np.ndarray,
                moving_labels: np.ndarray) -> tuple[tuple[int, ...], dict[int, str]]:
    """Labels of the tissues that can be scored, and why the others cannot."""
    labels, silent = [], {}
    for tissue in pair.fixed_segmentation.tissues:
        if tissue.label == BACKGROUND:
            continue
        few = min(np.count_nonzero(fixed_labels == tissue.label), np.count_nonzero(moving_labels == tissue.label))
        if tissue.name.casefold() not in moving_names:
            silent[tissue.label] = f"'{tissue.name}' is not in the moving segmentation: it keeps its values."
        elif few < FEW_VOXELS:
            silent[tissue.label] = f"'{tissue.name}' has only {few} voxels in one of the images: it keeps its values."
        else:
            labels.append(tissue.label)
    return tuple(labels), silent


def _numbered(labels_kji: np.ndarray, labels: tuple[int, ...]) -> torch.Tensor:
    """1, 2, ... where ``labels`` are, in their order, 0 elsewhere; int64."""
    numbers = np.zeros(1 + int(max(labels_kji.max(), *labels)), np.int64)
    numbers[list(labels)] = range(1, len(labels) + 1)
    return torch.from_numpy(numbers[labels_kji])
