"""Small data on an oblique, anisotropic grid that the tests of files share."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.data.images import Image

SHAPE = (6, 8, 10)


def oblique_geometry(shape=SHAPE) -> Geometry:
    rotation = np.linalg.qr(np.array([[2.0, 0.3, -0.2], [0.1, 1.5, 0.4], [0.3, -0.2, 1.0]]))[0]
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * [0.8, 1.3, 3.1]
    matrix[:3, 3] = [11.0, -23.0, 41.0]
    return Geometry(shape, matrix)


def an_image(dtype=np.int16, geometry=None) -> Image:
    geometry = geometry or oblique_geometry()
    values = np.random.default_rng(3).integers(-900, 1800, geometry.shape_kji)
    return Image(values.astype(dtype), geometry, "an image")


def sentence(call) -> str:
    """The message of the ValueError of ``call``, checked to be one sentence on one line."""
    with pytest.raises(ValueError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".") and ". " not in message, message
    return message


def a_label_map() -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:4, 2:7, 1:5] = 1
    labels[2:5, 3:6, 5:9] = 205
    return labels


def write_label_map(path, labels, geometry=None):
    volume = sitk.GetImageFromArray(labels)
    geometry = geometry or oblique_geometry()
    volume.SetOrigin(geometry.origin_lps_mm.tolist())
    volume.SetSpacing(geometry.spacing_ijk_mm.tolist())
    volume.SetDirection(geometry.direction_lps.ravel().tolist())
    sitk.WriteImage(volume, str(path))
    return path
