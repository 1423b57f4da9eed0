"""A slice view without a window: what Slicer's own slice logic makes of the layers, voxel by voxel."""

from __future__ import annotations

import numpy as np
import slicer
from host.scene_builders import add_volume, node_ids

from TissueElasticRegistrationLib.scene.vtk_images import image_array

COLUMNS, ROWS = 8, 6


class SliceView:
    """The middle slice of small volumes (3 slices of ROWS x COLUMNS voxels of 1 mm), one pixel for each voxel."""

    def __init__(self, host, name: str) -> None:
        before = node_ids(host.scene)
        self.scene = host.scene
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(host.application_logic)
        self.logic.SetMRMLScene(host.scene)
        self.node = self.logic.AddSliceNode(name)
        self.layers = self.logic.GetSliceCompositeNode()
        self.node.SetDimensions(COLUMNS, ROWS, 1)
        self.node.SetFieldOfView(COLUMNS, ROWS, 1)
        # Rows and columns as in the array: x to the right, y upwards, voxel centers on pixel centers.
        center = [(COLUMNS - 1) / 2, (ROWS - 1) / 2, 1]
        for row, position in enumerate(center):
            for column in range(3):
                self.node.GetSliceToRAS().SetElement(row, column, float(row == column))
            self.node.GetSliceToRAS().SetElement(row, 3, position + (0.5 if row < 2 else 0))
        self.node.UpdateMatrices()
        self.node_ids = node_ids(host.scene) - before

    def pixels(self) -> np.ndarray:
        """(ROWS, COLUMNS, 4) RGBA of the blended layers."""
        self.logic.UpdatePipeline()
        producer = self.logic.GetImageDataConnection().GetProducer()
        producer.Update()
        return image_array(producer.GetOutputDataObject(0))[0].copy()

    def close(self) -> None:
        """Nodes of views outlive the scene."""
        self.logic.SetMRMLScene(None)
        for node_id in self.node_ids:
            if self.scene.GetNodeByID(node_id) is not None:
                self.scene.RemoveNode(self.scene.GetNodeByID(node_id))


def add_image(scene, name: str, plane: np.ndarray, window: float, level: float):
    """Three equal slices with a window and level of their own."""
    node = add_volume(scene, name, np.repeat(plane[None].astype(np.float32), 3, 0))
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAutoWindowLevel(False)
    node.GetDisplayNode().SetWindowLevel(window, level)
    node.GetDisplayNode().SetInterpolate(False)
    return node


def ramp() -> np.ndarray:
    """0, 20 ... 140 along a row: partly below and partly above the window 20 to 120 used here."""
    return np.tile(np.arange(COLUMNS) * 20.0, (ROWS, 1))


def add_pair(scene):
    """Moving is equal in rows 0 and 1, darker by 10 in 2 and 3, brighter by 30 in 4 and 5."""
    moving = ramp()
    moving[2:4] -= 10
    moving[4:6] += 30
    return add_image(scene, "exhale", ramp(), 100, 70), add_image(scene, "inhale", moving, 300, 0)
