"""Nodes for tests: volumes, segmentations, markups and transforms from arrays, in one line each."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import numpy_to_vtk


def oblique_matrix(spacing_ijk_mm=(1.0, 1.3, 2.5), origin_ras_mm=(-21.0, 14.0, 33.0), degrees_xyz=(20.0, -35.0, 50.0)):
    """4x4 voxel-to-RAS matrix of an anisotropic grid that is parallel to none of the coordinate planes."""
    rotation = np.eye(3)
    for axis, degrees in enumerate(degrees_xyz):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        turn = np.eye(3)
        others = [n for n in range(3) if n != axis]
        turn[np.ix_(others, others)] = [[c, -s], [s, c]]
        rotation = turn @ rotation
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * np.asarray(spacing_ijk_mm)
    matrix[:3, 3] = origin_ras_mm
    return matrix


def smooth_array(shape_kji, seed: int, sigma_voxels: float = 1.5) -> np.ndarray:
    """Smoothed noise: no symmetry at all, standard deviation 1."""
    noise = sitk.GetImageFromArray(np.random.default_rng(seed).normal(size=shape_kji))
    array = sitk.GetArrayFromImage(sitk.DiscreteGaussian(noise, [sigma_voxels**2] * 3))
    return array / array.std()


def transformed(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (..., 3) through a 4x4 matrix."""
    return np.asarray(points) @ matrix[:3, :3].T + matrix[:3, 3]


def add_volume(scene, name: str, array_kji: np.ndarray, ijk_to_ras=None) -> slicer.vtkMRMLScalarVolumeNode:
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(node, array_kji)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(np.eye(4) if ijk_to_ras is None else ijk_to_ras))
    return node


def labelmap_image(mask_kji: np.ndarray, ijk_to_ras: np.ndarray) -> slicer.vtkOrientedImageData:
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(mask_kji.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(mask_kji.astype(np.uint8).ravel(), deep=True))
    image.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(ijk_to_ras))
    return image


def add_segmentation(scene, name: str, masks_kji: dict[str, np.ndarray], ijk_to_ras) -> slicer.vtkMRMLSegmentationNode:
    """One segment for each mask, each with its own labelmap (they may overlap); the ID is "id_" + the name."""
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    for number, (segment_name, mask_kji) in enumerate(masks_kji.items(), start=1):
        segment = slicer.vtkSegment()
        segment.SetName(segment_name)
        segment.SetColor(number / 8, 1 - number / 8, 0.25)
        segment.AddRepresentation("Binary labelmap", labelmap_image(mask_kji, ijk_to_ras))
        node.GetSegmentation().AddSegment(segment, f"id_{segment_name}")
    return node


def add_surface_segmentation(scene, name: str, surfaces: dict[str, vtk.vtkPolyData]) -> slicer.vtkMRMLSegmentationNode:
    """Segments that have nothing but a closed surface."""
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.GetSegmentation().SetSourceRepresentationName("Closed surface")
    for segment_name, surface in surfaces.items():
        segment = slicer.vtkSegment()
        segment.SetName(segment_name)
        segment.AddRepresentation("Closed surface", surface)
        node.GetSegmentation().AddSegment(segment, f"id_{segment_name}")
    return node


def sphere(center_ras_mm, radius_mm: float) -> vtk.vtkPolyData:
    source = vtk.vtkSphereSource()
    source.SetCenter(*center_ras_mm)
    source.SetRadius(radius_mm)
    source.SetThetaResolution(48)
    source.SetPhiResolution(48)
    source.Update()
    return source.GetOutput()


def add_markups(scene, name: str, points_ras_mm: np.ndarray) -> slicer.vtkMRMLMarkupsFiducialNode:
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
    for point in np.asarray(points_ras_mm):
        node.AddControlPoint(vtk.vtkVector3d(*point))
    return node


def world_points(markups: slicer.vtkMRMLMarkupsNode) -> np.ndarray:
    """(N, 3) positions in world RAS mm, all parent transforms applied by Slicer itself."""
    return np.array([markups.GetNthControlPointPositionWorld(n) for n in range(markups.GetNumberOfControlPoints())])


def add_linear_transform(scene, name: str, to_parent: np.ndarray, parent=None) -> slicer.vtkMRMLLinearTransformNode:
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(to_parent))
    node.SetAndObserveTransformNodeID(parent.GetID() if parent else None)
    return node


def add_bend(scene, name: str = "bend", amplitude_mm: float = 3.0) -> slicer.vtkMRMLTransformNode:
    """A smooth transform that is far from linear, a grid from parent over the cube of 190 mm around the origin."""
    size, spacing_mm = 24, 8.0
    s, a, r = np.meshgrid(*[spacing_mm * (np.arange(size) - size / 2)] * 3, indexing="ij")
    displacement = amplitude_mm * np.stack([np.sin(a / 15), np.cos(s / 20 + r / 30), np.sin(r / 18) + 0.5], -1)
    image = vtk.vtkImageData()
    image.SetDimensions(size, size, size)
    image.SetSpacing([spacing_mm] * 3)
    image.SetOrigin([-spacing_mm * size / 2] * 3)
    image.GetPointData().SetScalars(numpy_to_vtk(displacement.reshape(-1, 3), deep=True))
    grid = slicer.vtkOrientedGridTransform()
    grid.SetDisplacementGridData(image)
    grid.SetInterpolationModeToLinear()
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode", name)
    node.SetAndObserveTransformFromParent(grid)
    return node


def put_under(node, transform) -> None:
    node.SetAndObserveTransformNodeID(transform.GetID())


def node_ids(scene) -> set[str]:
    return {scene.GetNthNode(n).GetID() for n in range(scene.GetNumberOfNodes())}


def count_events(node, event) -> list[int]:
    """A list that grows by one item with each event of the node."""
    calls: list[int] = []
    node.AddObserver(event, lambda *_: calls.append(1))
    return calls
