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
    """(K, J, I) bool: dark voxels connected to the border of their slice, without holes of the body such as lungs.

    Brighter than ``CT_BODY_HU`` in CT, than Huang's fuzzy threshold elsewhere (Otsu's falls between muscle and fat in
    MR). The largest component is the body (a couch is not), its surface is closed over small gaps, and each slice is
    filled separately because the lungs of a cropped volume are open at its ends.
    """
    image = sitk.GetImageFromArray(array_kji.astype(np.float32))
    smooth = sitk.DiscreteGaussian(image, variance=1.0, maximumKernelWidth=9, maximumError=0.1, useImageSpacing=False)
    bright = smooth > CT_BODY_HU if ct else sitk.HuangThreshold(smooth, 0, 1)
    labelled = sitk.RelabelComponent(sitk.ConnectedComponent(bright), sortByObjectSize=True)
    radius = [int(round(CLOSING_MM / size)) for size in spacing_kji_mm[:0:-1]] + [0]
    body = sitk.GetArrayFromImage(sitk.BinaryMorphologicalClosing(labelled == 1, radius)).astype(bool)
    return np.stack([_connected_to_border(~plane) for plane in body])


def _connected_to_border(dark: np.ndarray) -> np.ndarray:
    # One dark voxel all around connects everything that touches the border into one component.
    framed = np.pad(dark.astype(np.uint8), 1, constant_values=1)
    component = sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray(framed)))
    return (component == component[0, 0])[1:-1, 1:-1]
