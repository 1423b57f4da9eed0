"""Registration in one call each, on nodes, without any user interface: what `logic` offers in Slicer's console."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from reprlib import repr as shortened
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import slicer
import vtk

from ..core.data.limits import check_refine_steps
from ..core.data.progress import Job, Progress, Result, finish
from ..core.physics.tuning import checked_values
from .checks import input_problem
from .nodes import InputNodes, OutputNodes, require_in_scene, require_node
from .options import EstimationOptions, RegistrationOptions, Values
from .session import PairSession
from .transform_hierarchy import put_under
from .transforms import transform_chain, transformed_points
from .write.results import check_outputs

if TYPE_CHECKING:
    from ..core.data.result import RegistrationResult
    from ..core.estimation.estimate_result import Estimate
    from ..core.stiffness.shear_modulus_ratio import ShearModulusRatios

ProgressCallback = Callable[[Progress], None]
Kind = TypeVar("Kind")


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
    values = checked_values(values)
    if refine_steps is not None:
        check_refine_steps(refine_steps)
    session = _session(inputs, options)
    outputs = require_kind("outputs", OutputNodes() if outputs is None else outputs, OutputNodes)
    check_outputs(inputs, outputs)
    result = _finished(session.register(values, refine_steps), progress)
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
    values = checked_values(values)
    require_kind("estimation", estimation, EstimationOptions)
    return _finished(_session(inputs, options).estimate(values, estimation), progress)


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
    return _finished(_session(inputs, options).estimate_stiffness(), progress)


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
    values = checked_values(values)
    for name, node in require_kind("inputs", inputs, InputNodes)._asdict().items():
        if node is not None:
            require_node(node, name.replace("_", " "))
    require_in_scene(transform, "vtkMRMLTransformNode", "transform")
    ignored = (transform, *transform_chain(transform))
    session = PairSession(inputs, RegistrationOptions(initial="none"), ignored)
    return _finished(_measured(session, transform, values), progress)


def require_kind(name: str, value: Kind, kind: type[Kind]) -> Kind:
    """Check that a value is of the kind that is needed; by name, because a reload of the module makes new classes.

    Args:
        name: What messages call it.
        value: The value.
        kind: Class of the value.

    Returns:
        The value.

    Raises:
        ValueError: It is of another kind.
    """
    if type(value).__name__ != kind.__name__:
        raise ValueError(f"{name} must be {kind.__name__}(...), not {shortened(value)}.")
    return value


def _session(inputs: InputNodes, options: RegistrationOptions) -> PairSession:
    """A session for nodes that can be registered and then moved. Raises ValueError, naming the node, for others."""
    require_kind("options", options, RegistrationOptions)
    problem = input_problem(require_kind("inputs", inputs, InputNodes))
    if problem is not None:
        raise ValueError(problem)
    return PairSession(inputs, options)


def _finished(job: Job[Result], progress: ProgressCallback | None) -> Result:
    """The result of a job. Raises ValueError for a registration whose numbers overflow, as for other unusable input."""
    if progress is not None and not callable(progress):
        raise ValueError(f"progress must be a function, not {shortened(progress)}.")
    try:
        return finish(job, progress)
    except ArithmeticError as error:
        raise ValueError(str(error)) from error


def _measured(session: PairSession, transform: slicer.vtkMRMLTransformNode, values: Values) -> Job[RegistrationResult]:
    registrar = yield from session.prepared()
    points = registrar.working.geometry.voxel_centers_ras_mm()
    fixed_to_moving = vtk.vtkGeneralTransform()
    transform.GetTransformFromWorld(fixed_to_moving)
    mapped = transformed_points(fixed_to_moving, points.reshape(-1, 3)).reshape(points.shape)
    displacement_ras_mm = (mapped - points).astype(np.float32)
    return (yield from registrar.evaluate(displacement_ras_mm, session.parameters(values)))
