"""Air around the body, found in the image where the segmentation says nothing about it.

Unsegmented voxels are of two kinds with opposite needs: air must be soft or it holds the body's surface back, tissue
that nobody segmented must not be as loose as air.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

CT_BODY_HU = -350.0
CLOSING_MM = 8.0


def outside_body(array_kji: np.ndarray, spacing_kji_mm: np.ndarray, ct: bool) -> np.ndarray:
    """Air around the body: dark voxels connected to the border of their slice, without holes of the body such as lungs.

    The body is brighter than ``CT_BODY_HU`` in CT, than Huang's fuzzy threshold elsewhere (Otsu's falls between muscle
    and fat in MR). The largest component is the body (a couch is not), its surface is closed over small gaps, and each
    slice is filled separately because the lungs of a cropped volume are open at its ends.

    Args:
        array_kji: (K, J, I) intensities, Hounsfield units if ``ct``.
        spacing_kji_mm: Voxel sizes along k, j, i.
        ct: Whether the image is a CT.

    Returns:
        (K, J, I) bool.
    """
    image = sitk.GetImageFromArray(array_kji.astype(np.float32))
    smooth = sitk.DiscreteGaussian(image, variance=1.0, maximumKernelWidth=9, maximumError=0.1, useImageSpacing=False)
    bright = smooth > CT_BODY_HU if ct else sitk.HuangThreshold(smooth, 0, 1)
    labeled = sitk.RelabelComponent(sitk.ConnectedComponent(bright), sortByObjectSize=True)
    radius = [int(round(CLOSING_MM / size)) for size in spacing_kji_mm[:0:-1]] + [0]
    body = sitk.GetArrayFromImage(sitk.BinaryMorphologicalClosing(labeled == 1, radius)).astype(bool)
    return _connected_to_border(~body)


def _connected_to_border(dark_kji: np.ndarray) -> np.ndarray:
    """Which dark voxels are connected to the border of their slice, within the slice."""
    # One dark voxel all around connects everything that touches the border into one component, and nothing dark lies
    # between two slices: all of them in one call.
    framed = np.zeros((2 * len(dark_kji), dark_kji.shape[1] + 2, dark_kji.shape[2] + 2), np.uint8)
    framed[::2] = np.pad(dark_kji, ((0, 0), (1, 1), (1, 1)), constant_values=True)
    component = sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray(framed)))[::2]
    return (component == component[:, :1, :1])[:, 1:-1, 1:-1]
