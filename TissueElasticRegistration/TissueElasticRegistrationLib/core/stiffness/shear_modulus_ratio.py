"""Ratios of the tissues' shear moduli from a deformation: those that put it into elastic equilibrium. Experimental.

The weak form of equilibrium, with test functions inside the body that vanish at its rim, ties the moduli of all tissues
together. Plain least squares would make every tissue soft whose equations are noisy; here the forces and the noise are
integrated out instead (`marginal_likelihood`), which has no such bias. The strain index is the prior
(`modulus_posterior`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ..data.progress import Job, Progress, part_of
from ..data.tissues import BACKGROUND_ID, Lame, Tissue, TissueParameters
from ..registration.direct_solver import DirectSolver
from ..registration.registrar import Registrar
from ..registration.threads import with_threads
from .image_information import ImageInformation, image_information
from .modulus_posterior import Images, ModulusPosterior

# Of the registration that shows the deformation, the same for every tissue: other weights would put their own ratios
# into the result.
WEAK = Lame(1.0, 1.0)
REGISTERED = 0.6  # part of the work
MAX_NODES = {2: 2000, 3: 3500}  # in the body, by dimension
MAX_NODES_FIRST_PASS = {2: 2000, 3: 600}
Z_95 = 1.96


@dataclass(frozen=True)
class TissueModulusRatio:
    """μ of one tissue relative to the reference: estimate and 95 % interval; NaN where there is none.

    supported: whether the deformation itself determines it. If not, ``reason`` says why in one sentence, and the value,
    if there is one, is hardly more than the strain index, which the interval includes; ``high`` is infinite if it is
    above 1, because a stiff tissue that is not seen well always seems softer. strain_index: log of the ratio by the
    strain index alone. lambda_over_mu: λ/μ of the tissue itself.
    """

    tissue: Tissue
    mu: float
    low: float
    high: float
    supported: bool
    strain_index: float
    lambda_over_mu: float
    reason: str = ""


@dataclass(frozen=True)
class ShearModulusRatios:
    """Every tissue but the background, in the order given. Ratios only: no registration determines kPa.

    condition: ratio of the best to the worst known combination of log moduli, as standard deviations; infinite if one
    is not known at all. warnings: one sentence each.
    """

    per_tissue: tuple[TissueModulusRatio, ...]
    reference: Tissue
    condition: float
    warnings: tuple[str, ...] = ()


def estimate_shear_modulus_ratios(registrar: Registrar, reference: Tissue | None = None) -> Job[ShearModulusRatios]:
    """Estimate μ of every tissue relative to a reference: one weakly regularized registration, then the ratios from it.

    May be dropped at any step; the registrar's own registration stays what it is.

    Args:
        registrar: A prepared registrar; both images must show the same contrast.
        reference: The tissue whose μ is 1; None for the largest soft tissue.

    Yields:
        Progress after each step.

    Returns:
        The ratios.

    Raises:
        ValueError: At the first steps, if the registrar is not prepared, or as for `ratios_from_displacement`.
    """
    return with_threads(registrar.falling_back(lambda: _registered_ratios(registrar, reference)), registrar.threads)


def ratios_from_displacement(
    displacement: np.ndarray,
    spacing_mm: Sequence[float],
    labels: np.ndarray,
    tissues: Sequence[Tissue],
    inside: np.ndarray | None = None,
    images: Images | None = None,
    reference: Tissue | None = None,
) -> Job[ShearModulusRatios]:
    """Estimate the ratios from a displacement, at best of a weakly regularized registration.

    With images there are two passes: their information is only valid near the displacement it belongs to, and the
    elastic body that explains it best is nearer to the truth than the registration.

    Args:
        displacement: (D, *shape) in voxels of its grid, D = 2 or 3, fixed to moving.
        spacing_mm: Size of a voxel along each axis.
        labels: (*shape) labels of ``tissues``.
        tissues: All tissues; the background is left out.
        inside: (*shape), where the displacement is valid; everywhere if None.
        images: Gives the `ImageInformation` for a displacement; without, the displacement counts as measured with
            white noise.
        reference: The tissue whose μ is 1; None for the largest soft tissue.

    Yields:
        Progress after each evaluation; the job may be dropped at any step.

    Returns:
        The ratios.

    Raises:
        ValueError: If there is nothing to compare: fewer than two tissues, no deformation, none above the noise, or
            images that do not match.
    """
    yield Progress(0.0, "measuring strain")
    tissues = [tissue for tissue in tissues if tissue.id != BACKGROUND_ID and tissue.label != 0]
    mask = np.isin(labels, [tissue.label for tissue in tissues])
    if inside is not None:
        mask &= inside
    displacement, spacing_mm, labels, mask, images = _longest_first(displacement, spacing_mm, labels, mask, images)

    def posterior(max_nodes: int) -> ModulusPosterior:
        return ModulusPosterior(displacement, spacing_mm, labels, tissues, mask, images, reference, max_nodes)

    if images is None:
        only = posterior(MAX_NODES[labels.ndim])
        unknowns = yield from part_of(only.maximize(), 0.0, 0.7)
        curvature = yield from part_of(only.likelihood_curvature(unknowns), 0.7, 1.0)
        return _ratios(only, tissues, unknowns, curvature, only.strain_index)
    try:
        first = posterior(MAX_NODES_FIRST_PASS[labels.ndim])
    except ValueError:  # too coarse, perhaps; if that is not why, the same is raised again
        first = posterior(MAX_NODES[labels.ndim])
    unknowns = yield from part_of(first.maximize(), 0.0, 0.3)
    displacement = displacement + first.correction(unknowns)
    second = posterior(MAX_NODES[labels.ndim])
    has_same_unknowns = second.tissues == first.tissues
    unknowns = yield from part_of(second.maximize(unknowns if has_same_unknowns else None), 0.3, 0.7)
    # In 3D the uncertainty is that of the coarse grid, which is larger: half of the time, and on the safe side.
    coarse = first if has_same_unknowns and labels.ndim == 3 else second
    curvature = yield from part_of(coarse.likelihood_curvature(unknowns), 0.7, 1.0)
    return _ratios(second, tissues, unknowns, curvature, first.strain_index)


def _registered_ratios(registrar: Registrar, reference: Tissue | None) -> Job[ShearModulusRatios]:
    pyramid = registrar.pyramid
    solve = DirectSolver().solve(pyramid, TissueParameters({}, default=WEAK))
    solution = yield from part_of(solve, 0.0, REGISTERED)
    pair = pyramid.pair
    job = ratios_from_displacement(
        solution.displacement[0].double().numpy(),
        pair.spacing_mm,
        pair.labels[0, 0].numpy(),
        pair.tissues,
        images=partial(image_information, pyramid),
        reference=reference,
    )
    return (yield from part_of(job, REGISTERED, 1.0))


def _longest_first(
    displacement: np.ndarray, spacing_mm: Sequence[float], labels: np.ndarray, inside: np.ndarray, images: Images | None
) -> tuple:
    """The same with the axes in the order of their length: fewest nodes across the first axis are solved fastest."""
    order = np.argsort([-n * size for n, size in zip(labels.shape, spacing_mm, strict=True)], kind="stable")
    back = np.argsort(order)

    def turned(values: np.ndarray, axes: np.ndarray) -> np.ndarray:
        spatial = values.ndim - len(axes)
        return values.transpose(*range(spatial), *(spatial + axes))

    def turned_images(turned_displacement: np.ndarray) -> ImageInformation:
        found = images(np.ascontiguousarray(turned(turned_displacement[back], back)))
        return replace(
            found,
            fisher_information=turned(found.fisher_information[order][:, order], order),
            score=turned(found.score[order], order),
            valid=turned(found.valid, order),
        )

    return (
        turned(displacement[order], order),
        [spacing_mm[axis] for axis in order],
        turned(labels, order),
        turned(inside, order),
        None if images is None else turned_images,
    )


def _ratios(
    posterior: ModulusPosterior,
    tissues: Sequence[Tissue],
    unknowns: np.ndarray,
    curvature: np.ndarray,
    strain_index: dict[int, float],
) -> ShearModulusRatios:
    """The ratios of all ``tissues``; strain_index: what to report as such, by label, relative to the reference."""
    uncertainty, numbers = posterior.uncertainty(unknowns, curvature), {}
    for number, tissue in enumerate(posterior.tissues):
        log_lambda, log_mu = posterior.log_moduli(unknowns)[:, number]
        reason = posterior.unsupported_reason(tissue, log_mu, uncertainty.deformation_sd[number])
        # Where the deformation does not determine the ratio, it may as well be that of the strain index.
        ends = [log_mu, strain_index.get(tissue.label, log_mu)] if reason else [log_mu]
        half = Z_95 * uncertainty.sd[number]
        numbers[tissue] = TissueModulusRatio(
            tissue,
            mu=float(np.exp(log_mu)),
            low=float(np.exp(min(ends) - half)),
            high=np.inf if reason and log_mu > 0 else float(np.exp(max(ends) + half)),
            supported=not reason,
            strain_index=strain_index.get(tissue.label, float("nan")),
            lambda_over_mu=float(np.exp(log_lambda - log_mu)),
            reason=reason,
        )
    rows = tuple(numbers[tissue] if tissue in numbers else _unknown(tissue) for tissue in tissues)
    return ShearModulusRatios(rows, posterior.reference, uncertainty.condition)


def _unknown(tissue: Tissue) -> TissueModulusRatio:
    nan = float("nan")
    reason = "It has too few voxels or does not deform."
    return TissueModulusRatio(tissue, nan, nan, nan, False, nan, nan, reason)
