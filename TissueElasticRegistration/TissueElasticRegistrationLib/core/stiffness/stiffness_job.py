"""Shear modulus ratios for a prepared registrar: one weakly regularized registration, then the estimate from it."""

from __future__ import annotations

from functools import partial

from ..data.progress import Job, part_of
from ..data.tissues import Lame, Tissue, TissueParameters
from ..registration.direct_solver import DirectSolver
from ..registration.registrar import Registrar
from ..registration.threads import with_threads
from .image_information import image_pull
from .shear_modulus_ratio import ShearModulusRatios, shear_modulus_ratio_job

# The same for every tissue: other weights would put their own ratios into the answer.
WEAK = Lame(1.0, 1.0)
REGISTERED = 0.6  # part of the work


def estimate_shear_modulus_ratio(registrar: Registrar, reference: Tissue | None = None) -> Job[ShearModulusRatios]:
    """μ of every tissue of a prepared registrar relative to the ``reference`` (the largest soft tissue if None).

    May be dropped at any step; the registrar's own registration stays what it is. Both images must show the same
    contrast. Raises ValueError, at the first steps, if the registrar is not prepared or there is nothing to compare.
    """
    return with_threads(registrar.falling_back(lambda: _estimate(registrar, reference)), registrar.threads)


def _estimate(registrar: Registrar, reference: Tissue | None) -> Job[ShearModulusRatios]:
    pyramid = registrar.pyramid
    solve = DirectSolver().solve(pyramid, TissueParameters({}, default=WEAK))
    solution = yield from part_of(solve, 0.0, REGISTERED)
    pair = pyramid.pair
    job = shear_modulus_ratio_job(
        solution.displacement[0].double().numpy(),
        pair.spacing_mm,
        pair.labels[0, 0].numpy(),
        pair.tissues,
        images=partial(image_pull, pyramid),
        reference=reference,
    )
    return (yield from part_of(job, REGISTERED, 1.0))
