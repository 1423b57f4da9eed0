"""Registration in one call each, on nodes, without any user interface: what `logic` offers in Slicer's console."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import slicer
import vtk

from ..core.data.progress import Job, Progress, finish
from .checks import input_problem
from .nodes import InputNodes, OutputNodes, require_in_scene
from .options import EstimationOptions, RegistrationOptions, Values
from .session import PairSession
from .transform_hierarchy import put_under
from .transforms import transform_chain, transformed_points

if TYPE_CHECKING:
    from ..core.data.result import RegistrationResult
    from ..core.estimation.estimate_result import Estimate
    from ..core.stiffness.shear_modulus_ratio import ShearModulusRatios

ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True, eq=False)
class ConsoleResult:
    """What `register` returns.

    Attributes:
        result: Deformation, warped images and measures as plain values.
        nodes: Where they are in the scene.
    """

    result: RegistrationResult
    nodes: OutputNodes


def register(
    inputs: InputNodes,
    values: Values,
    options: RegistrationOptions,
    outputs: OutputNodes | None = None,
    refine_steps: int | None = None,
    progress: ProgressCallback | None = None,
) -> ConsoleResult:
    """Register, write the results into the scene, put the moving volume under the transform.

    Args:
        inputs: The nodes of the pair.
        values: (λ, μ) by segment name or ID, on the scale of the model; all other tissues get their start values.
        options: How to register.
        outputs: Where to write; None for the nodes written last time for this pair, or new ones.
        refine_steps: As in `PairSession.register`.
        progress: Called with the `Progress` of every step.

    Raises:
        ValueError: With one sentence, before anything is written, if nodes, options, model or values cannot be used.
    """
    session = _session(inputs, options)
    result = finish(session.register(values, refine_steps), progress)
    nodes = session.write(result, outputs)
    put_under(inputs.moving, nodes.transform, inputs.fixed)
    return ConsoleResult(result, nodes)


def estimate(
    inputs: InputNodes,
    values: Values,
    options: RegistrationOptions,
    estimation: EstimationOptions,
    progress: ProgressCallback | None = None,
) -> Estimate:
    """The (λ, μ) of each tissue with which it fits best for this pair; nothing is written into the scene.

    Args:
        inputs: The nodes of the pair.
        values: Where the search starts, as in `register`.
        options: How to register.
        estimation: How to search.
        progress: Called with the `Progress` of every step.

    Raises:
        ValueError: As `register`, and if the pair lacks what the criterion needs.
    """
    return finish(_session(inputs, options).estimate(values, estimation), progress)


def estimate_stiffness(
    inputs: InputNodes, options: RegistrationOptions, progress: ProgressCallback | None = None
) -> ShearModulusRatios:
    """Experimental: ratios of the tissues' shear moduli from the deformation; nothing is written into the scene.

    Args:
        inputs: The nodes of the pair.
        options: How to register.
        progress: Called with the `Progress` of every step.

    Raises:
        ValueError: If nodes or options cannot be used, or the deformation does not show stiffness.
    """
    return finish(_session(inputs, options).estimate_stiffness(), progress)


def evaluate(
    inputs: InputNodes,
    transform: slicer.vtkMRMLTransformNode,
    values: Values,
    progress: ProgressCallback | None = None,
) -> RegistrationResult:
    """Measure any transform of the moving volume, also one that another module has made; nothing is written.

    Args:
        inputs: The nodes of the pair.
        transform: Maps moving to fixed (in Slicer: what the moving volume is put under). Its parent transforms count,
            those of the volumes as well.
        values: (λ, μ) by segment name or ID, for the elastic energy.
        progress: Called with the `Progress` of every step.

    Raises:
        ValueError: Naming the node, if something is missing.
    """
    require_in_scene(transform, "vtkMRMLTransformNode", "transform")
    ignored = (transform, *transform_chain(transform))
    session = PairSession(inputs, RegistrationOptions(initial="none"), ignored)
    return finish(_measured(session, transform, values), progress)


def _session(inputs: InputNodes, options: RegistrationOptions) -> PairSession:
    """A session for nodes that can be registered and then moved. Raises ValueError, naming the node, for others."""
    problem = input_problem(inputs)
    if problem is not None:
        raise ValueError(problem)
    return PairSession(inputs, options)


def _measured(session: PairSession, transform: slicer.vtkMRMLTransformNode, values: Values) -> Job[RegistrationResult]:
    registrar = yield from session.prepared()
    points = registrar.working.geometry.voxel_centers_ras_mm()
    fixed_to_moving = vtk.vtkGeneralTransform()
    transform.GetTransformFromWorld(fixed_to_moving)
    mapped = transformed_points(fixed_to_moving, points.reshape(-1, 3)).reshape(points.shape)
    displacement_ras_mm = (mapped - points).astype(np.float32)
    return (yield from registrar.evaluate(displacement_ras_mm, session.parameters(values)))
