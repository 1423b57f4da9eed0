"""One image pair of the scene, read once and registered as often as wanted: what the panel and the console share.

Nodes are read when a session is made, in the main thread. torch is imported in the first step of its first job, which
may run in another thread: that takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TYPE_CHECKING

import slicer

from ..core.data.progress import Job, part_of
from ..core.data.tissues import find_tissue
from ..core.models.model_card import pack_state
from ..core.physics.tissue_presets import names_warning
from ..core.physics.tuning import with_values
from ..core.registration.loading import loading
from .input_fingerprint import state_of
from .nodes import InputNodes, OutputNodes
from .options import EVERY_SECOND, EstimationOptions, RegistrationOptions, Values
from .read import read_pair
from .write.results import write_results

if TYPE_CHECKING:
    from ..core.data.result import RegistrationResult
    from ..core.data.tissues import TissueParameters
    from ..core.estimation.estimate_result import Estimate
    from ..core.registration.registrar import Registrar
    from ..core.stiffness.shear_modulus_ratio import ShearModulusRatios


class PairSession:
    """The nodes of one pair and their `Registrar`. Raises ValueError, naming the node, if one cannot be used.

    ignored: parent transforms that do not count, besides the results of earlier registrations of the pair.
    """

    def __init__(
        self,
        inputs: InputNodes,
        options: RegistrationOptions | None = None,
        ignored: Collection[slicer.vtkMRMLTransformNode] = (),
    ) -> None:
        self.inputs = inputs
        self.options = options or RegistrationOptions()
        self._state = state_of(inputs)
        self._model_state = pack_state(self.options.model)
        self.pair = read_pair(*inputs, ignored=ignored)
        self._registrar: Registrar | None = None

    @property
    def registrar(self) -> Registrar | None:
        """None before the first step of the first job."""
        return self._registrar

    def fits(self, inputs: InputNodes, options: RegistrationOptions) -> bool:
        """Whether these are the nodes it was made from, unchanged since, and the same options with the same model."""
        return (
            self.inputs == inputs
            and self.options == options
            and self._state == state_of(inputs)
            and self._model_state == pack_state(options.model)
        )

    def release_nodes(self) -> None:
        """Hold no node any more. A job that is dropped ends in its own thread, where no node may be deleted."""
        self.inputs = None

    def live(self, values: Values | Callable[[], Values], jacobian: bool = False) -> Job[Values]:
        """`Registrar.live` with (λ, μ) by segment ID; tissues without a value take it from the table.

        values, here and below: weights on the scale of the model. Here also a function that says at any moment what
        they are, the same object as long as they do not change; it is called in the thread of the job. Returns the
        values that it has come to.
        """
        registrar = yield from self.prepared()
        known = known_parameters = None

        def wanted() -> TissueParameters:
            nonlocal known, known_parameters
            now = values() if callable(values) else values
            if now is not known:
                known, known_parameters = now, self.parameters(now, ignore_unknown=True)
            return known_parameters

        yield from registrar.live(wanted, jacobian)
        return known

    def register(
        self, values: Values, refine_steps: int | None = None, ignore_unknown: bool = False
    ) -> Job[RegistrationResult]:
        """Register from nothing and evaluate.

        refine_steps: further steps at full resolution; None: none for the direct solver, and as many as its answer is
        worth for a network. Raises ValueError for unknown tissues unless ``ignore_unknown``.
        """
        registrar = yield from part_of(self.prepared(), 0.0, 0.1)
        parameters = self.parameters(values, ignore_unknown)
        if refine_steps is None:
            refine_steps = registrar.solver.usual_refinement(registrar.working.dimension)
        refining = 0.15 if refine_steps else 0.0
        yield from part_of(registrar.register(parameters), 0.1, 0.85 - refining)
        if refine_steps:
            yield from part_of(registrar.refine(parameters, refine_steps), 0.85 - refining, 0.85)
        result = yield from part_of(registrar.result(), 0.85, 1.0)
        chosen = values if ignore_unknown else [find_tissue(registrar.tissues, key).id for key in values]
        of_names = names_warning(self.pair.fixed_segmentation.present_tissues, chosen)
        return replace(result, warnings=(*result.warnings, of_names)) if of_names else result

    def estimate(
        self, values: Values, options: EstimationOptions | None = None, ignore_unknown: bool = False
    ) -> Job[Estimate]:
        """The best (λ, μ) of each tissue for this pair.

        Args:
            values: Where the search starts.
            options: How to search; None for the defaults.
            ignore_unknown: Whether keys of ``values`` and of the options that fit no tissue are skipped; they are IDs
                only then.

        Raises:
            ValueError: For unknown tissues unless ``ignore_unknown``, and if the pair lacks what the criterion needs.
        """
        options = options or EstimationOptions()
        registrar = yield from part_of(self.prepared(), 0.0, 0.0)  # little of the whole
        from ..core.estimation.criteria.hold_out import HoldOut
        from ..core.estimation.estimate import estimate

        def labels(keys: Collection[str]) -> set[int]:
            if ignore_unknown:
                return {tissue.label for tissue in registrar.tissues if tissue.id in keys}
            return {find_tissue(registrar.tissues, key).label for key in keys}

        landmarks = options.hold_out_landmarks
        if landmarks == EVERY_SECOND:
            landmarks = () if self.pair.landmarks is None else self.pair.landmarks.every_second
        return (
            yield from estimate(
                registrar,
                self.parameters(values, ignore_unknown),
                options.method,
                labels(options.locked),
                options.points,
                options.criterion,
                HoldOut.of(labels(options.hold_out), landmarks),
            )
        )

    def estimate_stiffness(self) -> Job[ShearModulusRatios]:
        """Experimental: `core.stiffness.shear_modulus_ratio.estimate_shear_modulus_ratios` of this pair."""
        registrar = yield from part_of(self.prepared(), 0.0, 0.1)
        from ..core.stiffness.shear_modulus_ratio import estimate_shear_modulus_ratios

        return (yield from part_of(estimate_shear_modulus_ratios(registrar), 0.1, 1.0))

    def write(self, result: RegistrationResult, outputs: OutputNodes | None = None) -> OutputNodes:
        """The result into the scene, see `write.write_results`."""
        return write_results(self.inputs, result, outputs)

    def prepared(self) -> Job[Registrar]:
        """The registrar, ready to register; imports torch and loads the model the first time.

        Raises ValueError if the model cannot be used, or not for this pair.
        """
        if self._registrar is None:
            yield from part_of(loading(), 0.0, 0.0)
            from ..core.registration.registrar import Registrar
            from ..core.registration.solver import solver_for
            from ..core.registration.threads import thread_count

            options = self.options
            solver = solver_for(options.model)
            self._registrar = Registrar(
                self.pair,
                solver,
                initial=options.initial,
                finest_mm=options.finest_mm or None,
                device=options.device,
                threads=thread_count(self.pair.fixed.geometry.shape_kji, spare=1),  # one for the user interface
            )
        if not self._registrar.is_prepared:
            yield from self._registrar.prepare()
        return self._registrar

    def parameters(self, values: Values, ignore_unknown: bool = False) -> TissueParameters:
        """Values by segment ID or name, completed with start values, on the model's scale. Only after `prepared`."""
        registrar = self._registrar
        return with_values(registrar.table_parameters(), registrar.tissues, values, ignore_unknown)
