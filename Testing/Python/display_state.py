"""What a scene file says about segmentations."""

from __future__ import annotations

import slicer


def saved(scene: slicer.vtkMRMLScene) -> list[str]:
    """Every line of the scene file about segmentations and how they are displayed."""
    scene.SetSaveToXMLString(1)
    scene.Commit("unused.mrml")
    scene.SetSaveToXMLString(0)
    return [
        line
        for part in scene.GetSceneXMLString().split("<")
        if part.startswith("Segmentation")
        for line in part.splitlines()
    ]
