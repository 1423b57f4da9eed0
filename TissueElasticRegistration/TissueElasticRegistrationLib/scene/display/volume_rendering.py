"""Volume rendering of the moving volume, paused while it follows the sliders.

Slicer 5.11 and newer resample a volume under a bent transform in the main thread whenever the transform changes.
"""

from __future__ import annotations

import slicer

from ..nodes import PREFIX, nodes_of_class

DISPLAY_CLASS = "vtkMRMLVolumeRenderingDisplayNode"
PAUSED = PREFIX + "VolumeRenderingPaused"


def pause_volume_rendering(volume: slicer.vtkMRMLVolumeNode) -> bool:
    """Switch off the volume rendering of one volume, and resume that of others.

    It stays on where the user has switched it on again since.

    Args:
        volume: The volume.

    Returns:
        Whether it is off because of this.
    """
    displays = [volume.GetNthDisplayNode(n) for n in range(volume.GetNumberOfDisplayNodes())]
    displays = [display for display in displays if display is not None and display.IsA(DISPLAY_CLASS)]
    _resume(volume.GetScene(), but=displays)
    for display in displays:
        if display.GetVisibility() and not display.GetAttribute(PAUSED):
            display.SetAttribute(PAUSED, "1")
            display.SetVisibility(False)
    return any(display.GetAttribute(PAUSED) and not display.GetVisibility() for display in displays)


def resume_volume_rendering(scene: slicer.vtkMRMLScene) -> None:
    """Switch on again what was paused, also in a scene that was saved meanwhile and loaded."""
    _resume(scene)


def _resume(scene: slicer.vtkMRMLScene, but: list[slicer.vtkMRMLDisplayNode] = ()) -> None:
    for display in nodes_of_class(scene, DISPLAY_CLASS):
        if display.GetAttribute(PAUSED) and display not in but:
            display.RemoveAttribute(PAUSED)
            display.SetVisibility(True)
