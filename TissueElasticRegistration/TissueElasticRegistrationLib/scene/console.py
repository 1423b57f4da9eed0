"""Registration in one call each, on nodes, without any user interface: what `logic` offers in Slicer's console."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import slicer
import vtk

from ..core.data.progress import Job, Progress, finish
from .checks import input_problem
from .nodes import InputNodes, OutputNodes, require_in_scene
from .session import EstimationOptions, PairSession, SessionOptions, Values
from .transform_hierarchy import put_under
from .transforms import transform_chain, transformed_points

if TYPE_CHECKING:
    from ..core.data.result import RegistrationResult
    from ..core.estimation.estimate_result import Estimate
    from ..core.stiffness.shear_modulus_ratio import ShearModulusRatios

Report = Callable[[Progress], None]


@dataclass(frozen=True, eq=False)
class Registered:
    """``result``: deformation, warped images and measures as plain values; ``nodes``: where they are in the scene."""

    result: RegistrationResult
    nodes: OutputNodes


def register(
    inputs: InputNodes,
    values: Values,
    options: SessionOptions,
    outputs: OutputNodes | None = None,
    refine_steps: int | None = None,
    report: Report | None = None,
) -> Registered:
    """Register, write the results into the scene, put the moving volume under the transform.

    values: (λ, μ) by segment name or ID, on the scale of the model; all other tissues get their start values.
    refine_steps: as in `PairSession.register`. Raises ValueError with one sentence, before anything is written, if
    nodes, options, model or values cannot be used.
    """
    session = _session(inputs, options)
    result = finish(session.register(values, refine_steps), report)
    nodes = session.write(result, outputs)
    put_under(inputs.moving, nodes.transform, inputs.fixed)
    return Registered(result, nodes)


def estimate(
    inputs: InputNodes,
    values: Values,
    options: SessionOptions,
    locked: Collection[str],
    search: EstimationOptions,
    report: Report | None = None,
) -> Estimate:
    """The (λ, μ) of each tissue with which it fits best for this pair; nothing is written into the scene.

    values: where the search starts, as in `register`. locked: segment names or IDs that keep them. Raises ValueError
    if the pair has not what the objective needs: without another one, a moving segmentation.
    """
    return finish(_session(inputs, options).estimate(values, frozenset(locked), search), report)


def estimate_stiffness(inputs: InputNodes, options: SessionOptions, report: Report | None = None) -> ShearModulusRatios:
    """Experimental: ratios of the tissues' shear moduli from the deformation; nothing is written into the scene.

    Raises ValueError if nodes or options cannot be used, or the deformation does not show stiffness.
    """
    return finish(_session(inputs, options).estimate_stiffness(), report)


def evaluate(
    inputs: InputNodes, transform: slicer.vtkMRMLTransformNode, values: Values, report: Report | None = None
) -> RegistrationResult:
    """Judge any transform of the moving volume, also one that another module has made; nothing is written.

    transform: maps moving to fixed (in Slicer: what the moving volume is put under). Its parent transforms count, those
    of the volumes as well. Raises ValueError, naming the node, if something is missing.
    """
    require_in_scene(transform, "vtkMRMLTransformNode", "transform")
    session = PairSession(inputs, SessionOptions(initial="none"), ignored=(transform, *transform_chain(transform)))
    return finish(_judged(session, transform, values), report)


def _session(inputs: InputNodes, options: SessionOptions) -> PairSession:
    """A session for nodes that can be registered and then moved. Raises ValueError, naming the node, for others."""
    problem = input_problem(inputs)
    if problem is not None:
        raise ValueError(problem)
    return PairSession(inputs, options)


def _judged(session: PairSession, transform: slicer.vtkMRMLTransformNode, values: Values) -> Job[RegistrationResult]:
    registrar = yield from session.prepared()
    points = registrar.working.geometry.voxel_centers_ras_mm()
    fixed_to_moving = vtk.vtkGeneralTransform()
    transform.GetTransformFromWorld(fixed_to_moving)
    mapped = transformed_points(fixed_to_moving, points.reshape(-1, 3)).reshape(points.shape)
    displacement_ras_mm = (mapped - points).astype(np.float32)
    return (yield from registrar.evaluate(displacement_ras_mm, session.parameters(values)))
