"""Can these nodes be registered? Answered from bounds and counts alone, so that the panel may ask at every change."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

import numpy as np
import slicer

from ..core.data.images import MIN_VOXELS_PER_AXIS
from ..core.data.landmark_pairs import counterparts
from ..core.estimation.criteria.criterion import CRITERIA
from ..core.models.model_card import ModelCard
from ..core.models.model_fit import Named, fit_problem
from .nodes import InputNodes, require_in_scene, require_scalar_volume, results_of_pair
from .read import point_labels, volume_geometry
from .transform_hierarchy import shared_parent, shared_parent_problem
from .transforms import (
    array_to_local,
    general_to_world,
    native_geometry,
    shape_kji,
    transform_chain,
    transformed_points,
)
from .write.tissue_nodes import describe_segments

MIN_OVERLAP = 0.3
POINTS_PER_EDGE = 4  # of a box that a bent transform maps; a linear one needs the corners only

REQUIRED = {
    "fixed": "a fixed volume",
    "moving": "a moving volume",
    "segmentation": "a segmentation of the fixed volume",
}
NODES_OF = {"moving_segmentation": ("moving_segmentation",), "landmarks": ("fixed_landmarks", "moving_landmarks")}
MISSING = {
    "moving_segmentation": "Choose a segmentation of the moving volume, or choose another criterion.",
    "landmarks": "Choose landmarks in both volumes, or choose another criterion.",
}
LABELS = {"segmentation": "segmentation", "moving_segmentation": "moving segmentation"}

Transforms = Collection[slicer.vtkMRMLTransformNode]


class Box(NamedTuple):
    """A box along the axes of world RAS, in mm.

    Attributes:
        lowest: (3,) its smallest coordinates.
        highest: (3,) its largest coordinates.
    """

    lowest: np.ndarray
    highest: np.ndarray

    def overlap_with(self, other: Box) -> float:
        """How much of two boxes is the same space.

        Args:
            other: The other box.

        Returns:
            The common part, as a fraction of the smaller box along each axis, multiplied; 0 if they are apart.
        """
        common = np.minimum(self.highest, other.highest) - np.maximum(self.lowest, other.lowest)
        sizes = np.minimum(self.highest - self.lowest, other.highest - other.lowest)
        return float(np.prod(np.clip(common / np.maximum(sizes, 1e-9), 0, 1)))


def input_problem(inputs: InputNodes) -> str | None:
    """Why these nodes cannot be registered.

    Voxels are not looked at: a constant image or a segmentation that only looks as if it overlapped is
    found by `read.read_pair`.

    Args:
        inputs: Members may be None, of the wrong kind or no longer in the scene; nothing is raised.

    Returns:
        One sentence that names the nodes; None if nothing speaks against them.
    """
    try:
        _check_chosen(inputs)
        results = results_of_pair(inputs.fixed, inputs.moving)
        _check_volumes(inputs, results)
        _check_segmentations(inputs, results)
        _check_landmarks(inputs)
        _check_parents(inputs, results)
    except ValueError as problem:
        return str(problem)
    return None


def objective_problem(objective: str, inputs: InputNodes) -> str | None:
    """What is missing for an estimate.

    Args:
        objective: Key in `CRITERIA` of what it judges by.
        inputs: The nodes that were chosen.

    Returns:
        One sentence; None if nothing is missing.
    """
    for needed in CRITERIA[objective].needs:
        if any(getattr(inputs, field) is None for field in NODES_OF[needed]):
            return MISSING[needed]
    return None


def model_problem(card: ModelCard, inputs: InputNodes, finest_mm: float, tissues: Iterable[Named]) -> str | None:
    """Why a model cannot register these nodes.

    Args:
        card: Of the model.
        inputs: Nodes without an `input_problem`.
        finest_mm: Smallest voxel of the working grid; 0 for as fine as the images allow.
        tissues: All that have parameters.

    Returns:
        One sentence; None if it can.
    """
    fixed = volume_geometry(inputs.fixed, results_of_pair(inputs.fixed, inputs.moving))
    return fit_problem(card, fixed, finest_mm or None, tissues)


def input_hints(inputs: InputNodes) -> tuple[str, ...]:
    """What is worth saying about nodes that can be registered.

    Looks for empty segments, so it takes longer than `input_problem`: ask when the nodes change.

    Args:
        inputs: The nodes that were chosen.

    Returns:
        One sentence each; none if there is an `input_problem`.
    """
    if input_problem(inputs) is not None:
        return ()
    hints = []
    for field, what in LABELS.items():
        node = getattr(inputs, field)
        empty = [info.name for info in describe_segments(node) if info.is_empty] if node is not None else []
        if empty:
            hints.append(f"The {what} '{node.GetName()}' has empty segments: {', '.join(empty)}.")
    if inputs.moving_segmentation is None:
        hints.append("Without a segmentation of the moving volume, Dice and surface distance cannot be computed.")
    results = results_of_pair(inputs.fixed, inputs.moving)
    overlap = _volume_box(inputs.fixed, results).overlap_with(_volume_box(inputs.moving, results))
    if overlap < MIN_OVERLAP:
        hints.append(
            f"'{inputs.moving.GetName()}' and '{inputs.fixed.GetName()}' "
            + (f"overlap by only {100 * overlap:.0f} %" if overlap > 0 else "do not overlap")
            + "; check the result of the initial alignment, or move them closer together with a transform."
        )
    return tuple(hints)


def _check_chosen(inputs: InputNodes) -> None:
    missing = [what for field, what in REQUIRED.items() if getattr(inputs, field) is None]
    if missing:
        raise ValueError(f"Choose {_listed(missing)}.")
    require_in_scene(inputs.segmentation, "vtkMRMLSegmentationNode", "segmentation")
    if inputs.moving_segmentation is not None:
        require_in_scene(inputs.moving_segmentation, "vtkMRMLSegmentationNode", "moving segmentation")
    for field in ("fixed_landmarks", "moving_landmarks"):
        if getattr(inputs, field) is not None:
            require_in_scene(getattr(inputs, field), "vtkMRMLMarkupsNode", field.replace("_", " "))
    require_scalar_volume(inputs.fixed, "fixed volume")
    require_scalar_volume(inputs.moving, "moving volume")


def _check_volumes(inputs: InputNodes, results: Transforms) -> None:
    fixed, moving = inputs.fixed, inputs.moving
    if fixed is moving:
        raise ValueError(
            f"'{fixed.GetName()}' is selected as both fixed and moving volume; choose two different volumes."
        )
    for node in (fixed, moving):
        native_geometry(node, results)  # raises if the axes do not span space
        if sorted(shape_kji(node))[1] < MIN_VOXELS_PER_AXIS:
            raise ValueError(f"The volume '{node.GetName()}' has fewer than {MIN_VOXELS_PER_AXIS} rows or columns.")
    single = [min(shape_kji(node)) == 1 for node in (fixed, moving)]
    if single[0] != single[1]:
        slice_name, volume_name = [node.GetName() for node in ((fixed, moving) if single[0] else (moving, fixed))]
        raise ValueError(
            f"'{slice_name}' is a single slice and '{volume_name}' is not; choose two volumes or two single slices."
        )
    for node in (fixed, moving):
        _volume_box(node, results)  # raises if a transform above it leads nowhere


def _check_segmentations(inputs: InputNodes, results: Transforms) -> None:
    if inputs.moving_segmentation is inputs.segmentation:
        raise ValueError(
            f"'{inputs.segmentation.GetName()}' is selected as both fixed and moving segmentation; choose "
            "another moving segmentation, or none."
        )
    for node, volume in ((inputs.segmentation, inputs.fixed), (inputs.moving_segmentation, inputs.moving)):
        if node is None:
            continue
        if node.GetSegmentation().GetNumberOfSegments() == 0:
            raise ValueError(f"The segmentation '{node.GetName()}' has no segments.")
        box = _segmentation_box(node, results)
        if box is None:
            raise ValueError(f"The segmentation '{node.GetName()}' is empty.")
        if box.overlap_with(_volume_box(volume, results)) == 0:
            raise ValueError(
                f"The segmentation '{node.GetName()}' does not overlap with the volume '{volume.GetName()}'; "
                "check that it belongs to this volume."
            )


def _check_landmarks(inputs: InputNodes) -> None:
    fixed, moving = inputs.fixed_landmarks, inputs.moving_landmarks
    if fixed is None and moving is None:
        return
    if fixed is None or moving is None:
        raise ValueError(
            f"The landmarks '{(fixed or moving).GetName()}' have no counterpart; choose landmarks in the "
            f"{'moving' if moving is None else 'fixed'} volume as well."
        )
    if fixed is moving:
        raise ValueError(
            f"'{fixed.GetName()}' is selected as both fixed and moving landmarks; choose two different lists."
        )
    labels = [point_labels(node) for node in (fixed, moving)]
    try:
        pairs = counterparts(*labels)
    except ValueError as error:
        raise ValueError(
            f"The landmarks '{fixed.GetName()}' and '{moving.GetName()}' do not correspond: {error}."
        ) from error
    if not pairs:
        raise ValueError(f"The landmarks '{fixed.GetName()}' have no defined points.")


def _check_parents(inputs: InputNodes, results: Transforms) -> None:
    """Raise ValueError if no result transform can be put between the moving nodes and the world."""
    fixed_nodes = [node for node in (inputs.fixed, inputs.segmentation, inputs.fixed_landmarks) if node is not None]
    for moving in (inputs.moving, inputs.moving_segmentation, inputs.moving_landmarks):
        for fixed in fixed_nodes if moving is not None else ():
            shared = shared_parent(moving, fixed, results)
            if shared is not None:
                raise ValueError(shared_parent_problem(moving, fixed, shared))


def _volume_box(node: slicer.vtkMRMLVolumeNode, results: Transforms) -> Box:
    matrix = array_to_local(node)
    points_ijk = _lattice([(-0.5, n - 0.5) for n in shape_kji(node)[::-1]])
    return _world_box(node, points_ijk @ matrix[:3, :3].T + matrix[:3, 3], results)


def _segmentation_box(node: slicer.vtkMRMLSegmentationNode, results: Transforms) -> Box | None:
    """None if no segment has any extent."""
    bounds = [1.0, -1.0] * 3
    node.GetSegmentation().GetBounds(bounds)
    if bounds[0] > bounds[1]:
        return None
    return _world_box(node, _lattice([bounds[0:2], bounds[2:4], bounds[4:6]]), results)


def _lattice(ranges: Collection[Collection[float]]) -> np.ndarray:
    """(N, 3) points spread over a box, corners included."""
    edges = [np.linspace(low, high, POINTS_PER_EDGE) for low, high in ranges]
    return np.stack(np.meshgrid(*edges, indexing="ij"), -1).reshape(-1, 3)


def _world_box(node: slicer.vtkMRMLTransformableNode, points_local: np.ndarray, results: Transforms) -> Box:
    points_ras_mm = transformed_points(general_to_world(transform_chain(node, results)), points_local)
    if not np.all(np.isfinite(points_ras_mm)):
        raise ValueError(f"A transform above '{node.GetName()}' contains values that are not finite (NaN or infinity).")
    return Box(points_ras_mm.min(0), points_ras_mm.max(0))


def _listed(texts: list[str]) -> str:
    """a, b and c."""
    return " and ".join(filter(None, [", ".join(texts[:-1]), texts[-1]]))
