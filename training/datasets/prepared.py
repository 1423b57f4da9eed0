"""Pairs of image files as the registrar prepares them, to learn from without any truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch

from TissueElasticRegistrationLib.core.data.images import ImagePair
from TissueElasticRegistrationLib.core.files.image_files import read_image
from TissueElasticRegistrationLib.core.files.segmentation_files import read_segmentation
from TissueElasticRegistrationLib.core.models.orientation import AxisOrder, axis_order
from TissueElasticRegistrationLib.core.preparation.preprocessing import WorkingPair, prepare_pair

from .pair import TrainingPair

# As on the cards of models that know one orientation only.
ORIENTATION = {2: "radiological", 3: "SPL"}
MIN_BODY = 0.2  # part of a slice that must be body for it to be worth learning from


def prepared_pairs(
    fixed: Path, moving: Path, segmentation: Path, dimension: int, finest_mm: float | None = None
) -> list[TrainingPair]:
    """One volume, or in 2D every slice that shows enough of the body.

    The images are taken as they lie in space, and turned as a network will see them that was not trained with every
    orientation. Labels of the moving image are left out: they would need a body of their own to be swapped.

    Args:
        fixed: File of the fixed image.
        moving: File of the moving image.
        segmentation: File of the tissues of the fixed image.
        dimension: 2 or 3.
        finest_mm: Voxels are not made smaller than this.

    Raises:
        ValueError: Naming the file that cannot be read.
    """
    fixed_image, moving_image = read_image(fixed), read_image(moving)
    images = ImagePair(fixed_image, moving_image, read_segmentation(segmentation, fixed_image))
    pair = prepare_pair(images, sitk.Transform(3, sitk.sitkIdentity), finest_mm)
    order = axis_order(pair.geometry, ORIENTATION[dimension], dimension)
    spacing_mm = tuple(pair.spacing_mm[-dimension:][axis] for axis in order.axes)
    pieces = [_pieces(pair, tensor, order) for tensor in (pair.fixed, pair.moving, pair.labels, pair.fixed_mask)]
    return [
        TrainingPair(fixed, moving, labels.astype(np.uint8), None, spacing_mm, None, valid > 0.5)
        for fixed, moving, labels, valid in zip(*pieces, strict=True)
        if dimension == 3 or (np.mean(labels > 0) > MIN_BODY and (valid > 0.5).any())
    ]


def _pieces(pair: WorkingPair, tensor: torch.Tensor, order: AxisOrder) -> np.ndarray:
    """(pieces, *shape), turned: one volume, or all slices."""
    volume = torch.from_numpy(pair.volume(tensor))
    return order.turned(volume[:, None] if len(order.axes) == 2 else volume[None, None])[:, 0].numpy()
