"""Air around the body, found in the image where the segmentation says nothing about it.

Unsegmented voxels are of two kinds with opposite needs: air must be soft or it holds the body's surface back, tissue
that nobody segmented must not be as loose as air.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from ..data.geometry import Geometry

CT_BODY_HU = -350.0
CLOSING_MM = 8.0  # in patients, see `Geometry.patient_mm`
THICK_SLICE_RATIO = 1.5
# A further component is part of the body (an arm, the other leg) if it is about round: the largest ball in it has at
# least this part of the radius of that in the trunk. A couch is flat, a cable thin.
MIN_RELATIVE_RADIUS = 0.15
MIN_RELATIVE_SIZE = 0.01


def outside_body(array_kji: np.ndarray, geometry: Geometry, ct: bool) -> np.ndarray:
    """Air around the body: dark voxels connected to the border of their slice, without holes of the body such as lungs.

    The body is brighter than ``CT_BODY_HU`` in CT, than Huang's fuzzy threshold elsewhere (Otsu's falls between muscle
    and fat in MR). Its surface is closed over small gaps, and each slice is filled separately because the lungs of a
    cropped volume are open at its ends.

    Args:
        array_kji: (K, J, I) intensities, Hounsfield units if ``ct``.
        geometry: Where the voxels lie; decides what a slice is (see `slice_axis`), not the order of the array.
        ct: Whether the image is a CT.

    Returns:
        (K, J, I) bool.
    """
    axis = slice_axis(geometry)
    spacing_mm = np.delete(geometry.spacing_kji_mm, axis)
    slices = np.ascontiguousarray(np.moveaxis(array_kji, axis, 0), np.float32)
    image = sitk.GetImageFromArray(slices)
    smooth = sitk.DiscreteGaussian(image, variance=1.0, maximumKernelWidth=9, maximumError=0.1, useImageSpacing=False)
    bright = smooth > CT_BODY_HU if ct else sitk.HuangThreshold(smooth, 0, 1)
    bright.SetSpacing((*spacing_mm[::-1].tolist(), float(geometry.spacing_kji_mm[axis])))
    radius = [int(round(CLOSING_MM * geometry.patient_mm / size)) for size in spacing_mm[::-1]] + [0]
    body = sitk.GetArrayFromImage(sitk.BinaryMorphologicalClosing(_body(bright), radius)).astype(bool)
    return np.moveaxis(_connected_to_border(~body), 0, axis)


def slice_axis(geometry: Geometry) -> int:
    """The array axis across the slices: the one with one voxel, with thick slices, or nearest to head-foot.

    Args:
        geometry: The grid.
    """
    single = [axis for axis, n in enumerate(geometry.shape_kji) if n == 1]
    if single:
        return single[0]
    spacing = geometry.spacing_kji_mm
    thickest = int(np.argmax(spacing))
    if spacing[thickest] > THICK_SLICE_RATIO * np.delete(spacing, thickest).max():
        return thickest
    return int(np.argmax(np.abs(geometry.direction_lps[2, ::-1])))


def _body(bright: sitk.Image) -> sitk.Image:
    """The components that are parts of a body: the largest, and others that are as round as a limb."""
    relabel = sitk.RelabelComponentImageFilter()  # the largest becomes 1, the second 2, ...
    labeled = relabel.Execute(sitk.ConnectedComponent(bright))
    sizes = relabel.GetSizeOfObjectsInPixels()
    last = sum(size >= MIN_RELATIVE_SIZE * sizes[0] for size in sizes)
    if last <= 1:
        return labeled == 1
    depth_mm = sitk.SignedMaurerDistanceMap(bright, insideIsPositive=True, squaredDistance=False, useImageSpacing=True)
    depth = sitk.LabelStatisticsImageFilter()
    depth.Execute(depth_mm, sitk.Threshold(labeled, 0, last))
    radius_mm = [depth.GetMaximum(label) for label in range(1, last + 1)]
    parts = [label for label, radius in enumerate(radius_mm, 1) if radius >= MIN_RELATIVE_RADIUS * radius_mm[0]]
    body = sitk.GetImageFromArray(np.isin(sitk.GetArrayViewFromImage(labeled), parts).astype(np.uint8))
    body.CopyInformation(labeled)
    return body


def _connected_to_border(dark_kji: np.ndarray) -> np.ndarray:
    """Which dark voxels are connected to the border of their slice, within the slice."""
    # One dark voxel all around connects everything that touches the border into one component, and nothing dark lies
    # between two slices: all of them in one call.
    framed = np.zeros((2 * len(dark_kji), dark_kji.shape[1] + 2, dark_kji.shape[2] + 2), np.uint8)
    framed[::2] = np.pad(dark_kji, ((0, 0), (1, 1), (1, 1)), constant_values=True)
    component = sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray(framed)))[::2]
    return (component == component[:, :1, :1])[:, 1:-1, 1:-1]
