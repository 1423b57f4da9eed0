"""Shear modulus ratios of tissues from a displacement: which ratios of their moduli put it into elastic equilibrium.

The weak form of equilibrium, with test functions inside the body that vanish at its rim, ties the moduli of all tissues
together. Plain least squares would make every tissue soft whose equations are noisy; here the forces and the noise are
integrated out instead (`load_evidence`), which has no such pull. The strain index is the prior, with heavy tails: it
decides where equilibrium tells nothing, and gives way where it does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..data.progress import Job, Progress, finish, part_of
from ..data.tissues import BACKGROUND_ID, UNSEGMENTED_ID, Tissue
from ..physics.tissue_presets import SOFT, start_weight
from .bfgs import minimize
from .body_forces import length_mm, unknown_forces
from .finite_elements import NO_TISSUE, Equilibrium
from .identifiability import at_best, require_deformation, require_match
from .image_information import ImagePull
from .marginal_likelihood import LoadEvidence, Measurement
from .strain_index import strain_index

# In the body.
MOST_NODES = {2: 2000, 3: 3500}
FIRST_NODES = {2: 2000, 3: 600}  # in the first of two passes
FEWEST_NODES = 4.0  # volume of a tissue in volumes around a node
# Width of the prior on log μ around the strain index: a Cauchy distribution.
STRAIN_INDEX_SCALE = 0.5
# The evidence counts as if there were this much less of everything: its errors are no white noise, but those of a
# coarse grid and a few simple forces, and it is far more certain than it is right.
TRUST = 0.1
# log λ/μ before anything is known: ν = 0.38, and two thirds of all between 0.27 and 0.45.
LOG_LAMBDA_OVER_MU, ITS_SD = 1.2, 1.0
SIZES_SD = 3.0  # of the logarithms of noise and forces: hardly a restriction
NOISE_OF_STRAIN = 0.1  # noise is first assumed to be this much of what the mean strain moves over one node
FORCE_OF_STRESS = 0.5  # forces are first assumed to change the stress by this much over their length
GRID_ERROR = 0.04  # of the distance between nodes: what coarse elements cannot follow
SUPPORTED_SD = 1.0  # of the logarithm, by the deformation alone
# Of the logarithm: what the estimate is wrong by however little noise there is. Set from 30 phantoms; on 120 others, 2D
# and not looked at before, the rms error of lung and liver was 0.73, and 98 % of the intervals held the truth.
MODEL_SD = 0.65
# A tissue with less of it than this share around nodes that lie in it entirely is a rim: it moves as its neighbors do.
LEAST_INNER_SHARE = 0.4
WHOLE = 0.99
STIFFEST_TOLD = 10.0  # beyond, strain is a tenth of the reference's: about the error of a registration's
EVALUATIONS, TOLERANCE = 40, 0.02
DIFFERENCE = 0.02  # of logarithms, for curvatures
Z_95 = 1.96

Images = Callable[[np.ndarray], ImagePull]  # what the images say about a displacement (D, *shape) in voxels


@dataclass(frozen=True)
class TissueModulusRatio:
    """μ of one tissue relative to the reference: estimate and 95 % interval; NaN where nothing can be said.

    supported: the deformation itself tells it. If not, ``reason`` says why in one sentence, and the value, if there is
    one, is hardly more than the strain index, which the interval includes; ``high`` is infinite if it is above 1,
    because a stiff tissue that is not seen well always seems softer. strain_index: log of the ratio by the strain
    index alone.
    lambda_over_mu: the ratio of its own moduli.
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
    """Every tissue but the background, in the order given. Ratios only: no registration can tell kPa.

    condition: ratio of the best to the worst known combination of log moduli, as standard deviations; infinite if one
    is not known at all. ``warnings``: one sentence each.
    """

    per_tissue: tuple[TissueModulusRatio, ...]
    reference: Tissue
    condition: float
    warnings: tuple[str, ...] = ()


def shear_modulus_ratio(
    displacement: np.ndarray,
    spacing_mm: Sequence[float],
    labels: np.ndarray,
    tissues: Sequence[Tissue],
    inside: np.ndarray | None = None,
    images: Images | None = None,
    reference: Tissue | None = None,
) -> ShearModulusRatios:
    """From a displacement (D, *shape) in voxels of its grid, D = 2 or 3, at best of a weakly regularized registration.

    labels: (*shape) values of ``tissues``. inside: where the displacement means something, everywhere if None; the
    background is never inside. images: tells what the images say about a displacement (`image_pull`); without, it is
    taken as a measurement with white noise. reference: the largest soft tissue if None.

    Raises ValueError, with one sentence, if there is nothing to compare: fewer than two tissues, no deformation, none
    above the noise, or images that do not match.
    """
    return finish(shear_modulus_ratio_job(displacement, spacing_mm, labels, tissues, inside, images, reference))


def shear_modulus_ratio_job(
    displacement: np.ndarray,
    spacing_mm: Sequence[float],
    labels: np.ndarray,
    tissues: Sequence[Tissue],
    inside: np.ndarray | None = None,
    images: Images | None = None,
    reference: Tissue | None = None,
) -> Job[ShearModulusRatios]:
    """The same, one evaluation at a time; may be dropped at any step.

    With images there are two passes: what they say is only known near the displacement that they are asked about, and
    the elastic body that explains it best is nearer to the truth than the registration.
    """
    yield Progress(0.0, "measuring strain")
    asked = [tissue for tissue in tissues if tissue.id != BACKGROUND_ID and tissue.label != 0]
    mask = np.isin(labels, [tissue.label for tissue in asked])
    if inside is not None:
        mask &= inside
    displacement, spacing_mm, labels, mask, images = _longest_first(displacement, spacing_mm, labels, mask, images)

    def problem(most_nodes: int) -> _Problem:
        return _Problem(displacement, spacing_mm, labels, asked, mask, images, reference, most_nodes)

    if images is None:
        only = problem(MOST_NODES[labels.ndim])
        found = yield from part_of(only.search(None), 0.0, 0.7)
        curvature = yield from part_of(only.curvature(found), 0.7, 1.0)
        return only.report(found, curvature, only.strain_index)
    try:
        first = problem(FIRST_NODES[labels.ndim])
    except ValueError:  # too coarse, perhaps; if that is not why, the same is raised again
        first = problem(MOST_NODES[labels.ndim])
    found = yield from part_of(first.search(None), 0.0, 0.3)
    displacement = displacement + first.correction(found)
    second = problem(MOST_NODES[labels.ndim])
    same = second.asks_like(first)
    found = yield from part_of(second.search(found if same else None), 0.3, 0.7)
    # In 3D the uncertainty is that of the coarse grid, which knows less: half of the time for an answer that is safe.
    judge = first if same and labels.ndim == 3 else second
    curvature = yield from part_of(judge.curvature(found), 0.7, 1.0)
    return second.report(found, curvature, first.strain_index)


def _longest_first(
    displacement: np.ndarray, spacing_mm: Sequence[float], labels: np.ndarray, inside: np.ndarray, images: Images | None
) -> tuple:
    """The same with the axes in the order of their length: fewest nodes across the first axis are solved fastest."""
    order = np.argsort([-n * size for n, size in zip(labels.shape, spacing_mm, strict=True)], kind="stable")
    back = np.argsort(order)

    def turned(values: np.ndarray, axes: np.ndarray) -> np.ndarray:
        spatial = values.ndim - len(axes)
        return values.transpose(*range(spatial), *(spatial + axes))

    def turned_images(turned_displacement: np.ndarray) -> ImagePull:
        pull = images(np.ascontiguousarray(turned(turned_displacement[back], back)))
        return replace(
            pull,
            precision=turned(pull.precision[order][:, order], order),
            pull=turned(pull.pull[order], order),
            valid=turned(pull.valid, order),
        )

    return (
        turned(displacement[order], order),
        [spacing_mm[axis] for axis in order],
        turned(labels, order),
        turned(inside, order),
        None if images is None else turned_images,
    )


class _Problem:
    """One question: who is asked, what is measured, how probable moduli are before and after."""

    def __init__(
        self,
        displacement: np.ndarray,
        spacing_mm: Sequence[float],
        labels: np.ndarray,
        asked: list[Tissue],
        inside: np.ndarray,
        images: Images | None,
        reference: Tissue | None,
        most_nodes: int,
    ) -> None:
        self._tissues = asked
        self._size_mm = np.asarray(spacing_mm, float).reshape(-1, *[1] * labels.ndim)
        displacement_mm = displacement * self._size_mm
        pull = None if images is None else images(displacement)
        if pull is not None:
            require_match(pull.correlation)
            inside = inside & pull.valid
        index = strain_index(displacement_mm, spacing_mm, labels, inside, [tissue.label for tissue in asked])
        factors = _block_factors(labels.shape, spacing_mm, most_nodes * inside.size / max(1, int(inside.sum())))
        numbers = np.full(labels.shape, NO_TISSUE)
        measured = [tissue for tissue in asked if np.isfinite(index[tissue.label])]
        for number, tissue in enumerate(measured):
            numbers[labels == tissue.label] = number
        self._body = None
        if measured:
            body = Equilibrium(numbers, inside, spacing_mm, factors)
            sizes = body.node_volumes_mm[body.free].sum(axis=0) / float(np.prod(body.size_mm))
            self._enough = {tissue.label: size >= FEWEST_NODES for tissue, size in zip(measured, sizes, strict=True)}
            self._inner = dict(zip([tissue.label for tissue in measured], _inner_shares(body), strict=True))
            self._body = body if body.free.any() else None
        self._measured = measured
        self.reference = reference or _largest_soft(measured, labels, inside)
        if self._body is None or self.reference not in measured or not self._enough[self.reference.label]:
            raise ValueError("There is not enough deformed tissue to compare stiffness.")
        if len(measured) < 2:
            raise ValueError("There is only one tissue that is large enough: stiffness is told relative to another.")
        count = len(measured)
        self._index = np.array([index[tissue.label] - index[self.reference.label] for tissue in measured])
        self._fixed = count + measured.index(self.reference)
        rms_strain = float(np.exp(-index[self.reference.label]))
        noise_mm = NOISE_OF_STRAIN * rms_strain * float(np.mean(self._body.size_mm))
        forces, groups = unknown_forces(self._body)
        nodes, voxel_mm = self._body.node_means(displacement_mm), float(np.mean(spacing_mm))
        if pull is None:
            require_deformation(self._body, nodes, None, voxel_mm)
            measurement = _white(nodes, noise_mm)
        else:
            measurement = _seen(self._body, nodes, pull, voxel_mm)
        self._measured_mm = nodes
        self._evidence = LoadEvidence(self._body, measurement, forces, groups)
        force = FORCE_OF_STRESS * rms_strain / length_mm(self._body)
        self._start = np.concatenate(
            [self._index + LOG_LAMBDA_OVER_MU, self._index, [0.0], np.full(self._evidence.group_count, np.log(force))]
        )
        self._free = np.ones(len(self._start), bool)
        self._free[self._fixed] = False
        self._free[2 * count] = images is None  # the images' noise is known

    def search(self, begin: np.ndarray | None) -> Job[np.ndarray]:
        """The most probable unknowns; ``begin``: those of the same question on another grid."""
        start = self._start if begin is None else begin
        return self._whole((yield from minimize(self._value, start[self._free], EVALUATIONS, TOLERANCE)))

    def asks_like(self, other: _Problem) -> bool:
        """Whether the unknowns are the same."""
        return self._measured == other._measured

    def correction(self, unknowns: np.ndarray) -> np.ndarray:
        """What the most probable displacement differs by from the one given, (D, *shape) in voxels."""
        self._evidence.value(unknowns)
        change_mm = self._evidence.displacement_mm - self._measured_mm
        return self._body.voxel_values(np.where(self._body.free[:, None], change_mm, 0.0)) / self._size_mm

    @property
    def strain_index(self) -> dict[int, float]:
        """By label, relative to the reference."""
        return {tissue.label: float(value) for tissue, value in zip(self._measured, self._index, strict=True)}

    def _whole(self, free: np.ndarray) -> np.ndarray:
        unknowns = self._start.copy()
        unknowns[self._free] = free
        return unknowns

    def _value(self, free: np.ndarray) -> tuple[float, np.ndarray]:
        unknowns = self._whole(free)
        if np.abs(unknowns - self._start).max() > 12:
            return np.inf, np.zeros(len(free))
        value, slope = self._evidence.value(unknowns)
        prior, prior_slope, _ = self._prior(unknowns)
        return TRUST * value + prior, (TRUST * slope + prior_slope)[self._free]

    def _prior(self, unknowns: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Negative logarithm, derivatives, and (never negative) curvatures."""
        count = len(self._index)
        off = (unknowns[count : 2 * count] - self._index) / STRAIN_INDEX_SCALE
        ratio = (unknowns[:count] - unknowns[count : 2 * count] - LOG_LAMBDA_OVER_MU) / ITS_SD
        sizes = (unknowns[2 * count :] - self._start[2 * count :]) / SIZES_SD
        value = np.log1p(off**2).sum() + 0.5 * (ratio @ ratio + sizes @ sizes)
        by_index = 2 * off / (1 + off**2) / STRAIN_INDEX_SCALE
        slope = np.concatenate([ratio / ITS_SD, by_index - ratio / ITS_SD, sizes / SIZES_SD])
        bend = np.zeros((len(unknowns), len(unknowns)))
        lam, mu = np.arange(count), count + np.arange(count)
        bend[lam, lam] = bend[mu, mu] = 1 / ITS_SD**2
        bend[lam, mu] = bend[mu, lam] = -1 / ITS_SD**2
        self_bend = bend.copy()
        self_bend[mu, mu] += 2 / (1 + off**2) / STRAIN_INDEX_SCALE**2
        rest = np.arange(2 * count, len(unknowns))
        bend[rest, rest] = self_bend[rest, rest] = 1 / SIZES_SD**2
        return float(value), slope, np.stack([bend, self_bend])

    def curvature(self, unknowns: np.ndarray) -> Job[np.ndarray]:
        """Second derivatives of the evidence alone, by the free unknowns."""
        free, rows = unknowns[self._free], []
        here = self._evidence.value(self._whole(free))[1][self._free]
        for number in range(len(free)):
            yield Progress(number / len(free), "estimating the uncertainty")
            moved = free.copy()
            moved[number] += DIFFERENCE
            rows.append(self._evidence.value(self._whole(moved))[1][self._free] - here)
        curvature = TRUST / DIFFERENCE * np.array(rows)
        values, vectors = np.linalg.eigh(0.5 * (curvature + curvature.T))
        return (vectors * np.maximum(values, 0)) @ vectors.T

    def report(self, unknowns: np.ndarray, curvature: np.ndarray, strain_index: dict[int, float]) -> ShearModulusRatios:
        """strain_index: what to report as such, by label, relative to the reference."""
        count = len(self._index)
        without_index, with_index = self._prior(unknowns)[2][:, self._free][:, :, self._free]
        stiffness = [place for place, number in enumerate(np.flatnonzero(self._free)) if count <= number < 2 * count]
        tiny = 1e-6 * np.eye(len(curvature))
        told = np.linalg.inv(curvature + without_index + tiny)[np.ix_(stiffness, stiffness)]
        spread = np.linalg.inv(curvature + with_index + tiny)[np.ix_(stiffness, stiffness)]
        told_sd, sd = np.full(count, 0.0), np.full(count, 0.0)
        others = [number for number in range(count) if count + number != self._fixed]
        told_sd[others], sd[others] = np.sqrt(np.diag(told)), np.sqrt(np.diag(spread) + MODEL_SD**2)
        rows = []
        for tissue in self._tissues:
            if tissue not in self._measured:
                rows.append(_nothing(tissue, "It has too few voxels, or does not deform at all."))
                continue
            number = self._measured.index(tissue)
            reason = self._reason(tissue, told_sd[number], unknowns[count + number])
            log_mu = unknowns[count + number]
            # What the deformation does not tell may as well be what the strain index says.
            ends = [log_mu, strain_index.get(tissue.label, log_mu)] if reason else [log_mu]
            low = float(np.exp(min(ends) - Z_95 * sd[number]))
            high = np.inf if reason and log_mu > 0 else float(np.exp(max(ends) + Z_95 * sd[number]))
            rows.append(
                TissueModulusRatio(
                    tissue,
                    float(np.exp(log_mu)),
                    low,
                    high,
                    not reason,
                    strain_index.get(tissue.label, float("nan")),
                    float(np.exp(unknowns[number] - log_mu)),
                    reason,
                )
            )
        return ShearModulusRatios(tuple(rows), self.reference, _condition(told))

    def _reason(self, tissue: Tissue, sd: float, log_mu: float) -> str:
        if tissue == self.reference:
            return ""
        if not self._enough[tissue.label]:
            return "It is too small for the grid of the estimate."
        if self._inner[tissue.label] < LEAST_INNER_SHARE:
            return "It is too thin for the grid of the estimate."
        if log_mu > np.log(STIFFEST_TOLD):
            return "It deforms too little to tell more than that it is stiff."
        if sd > SUPPORTED_SD:
            return "Its deformation is too small, against noise and unknown forces, to tell its stiffness."
        return ""


def _white(nodes: np.ndarray, noise_mm: float) -> Measurement:
    """A displacement (nodes, D) measured with the same noise everywhere."""
    count, dimension = nodes.shape
    precision = np.broadcast_to(np.eye(dimension) / noise_mm**2, (count, dimension, dimension))
    return Measurement(nodes, precision, np.zeros_like(nodes))


def _seen(body: Equilibrium, nodes: np.ndarray, images: ImagePull, voxel_mm: float) -> Measurement:
    """One that was seen in images; raises ValueError where they show no deformation."""
    count, dimension = nodes.shape
    voxels = float(np.prod(body.factors))
    flat = images.precision.reshape(dimension**2, *images.pull.shape[1:])
    precision = voxels * body.node_means(flat).reshape(count, dimension, dimension)
    require_deformation(body, nodes, precision, voxel_mm)
    # The grid errs too: no direction may count as known better than that.
    precision, kept = at_best(precision, GRID_ERROR * float(np.mean(body.size_mm)))
    return Measurement(nodes, precision, (kept @ (voxels * body.node_means(images.pull))[..., None])[..., 0])


def _inner_shares(body: Equilibrium) -> np.ndarray:
    """Share of every tissue that lies around nodes with nothing else around them."""
    volumes = body.node_volumes_mm
    whole = volumes >= WHOLE * float(np.prod(body.size_mm))
    return (volumes * whole).sum(axis=0) / np.maximum(volumes.sum(axis=0), 1e-12)


def _block_factors(shape: Sequence[int], spacing_mm: Sequence[float], most_nodes: float) -> tuple[int, ...]:
    """Voxels per node along each axis: about equally long in mm, and not too many nodes."""
    factors = [1] * len(shape)
    while np.prod([n // f for n, f in zip(shape, factors, strict=True)]) > most_nodes:
        sizes = [size * f if n // f > 3 else np.inf for size, f, n in zip(spacing_mm, factors, shape, strict=True)]
        # The last of equal ones: solving takes less time, the fewer nodes there are across the first axis.
        factors[len(sizes) - 1 - int(np.argmin(sizes[::-1]))] += 1
    return tuple(factors)


def _largest_soft(tissues: Sequence[Tissue], labels: np.ndarray, inside: np.ndarray) -> Tissue | None:
    """Of the tissues called soft, or of all if there is none, the one with most voxels."""
    soft = [tissue for tissue in tissues if tissue.id == UNSEGMENTED_ID or start_weight(tissue) == SOFT]
    sizes = {tissue: int((inside & (labels == tissue.label)).sum()) for tissue in soft or tissues}
    return max(sizes, key=sizes.get, default=None)


def _condition(covariance: np.ndarray) -> float:
    if not len(covariance):
        return 1.0
    spread = np.sqrt(np.maximum(np.linalg.eigvalsh(covariance), 0))
    return float(spread[-1] / spread[0]) if spread[0] > 0 else float("inf")


def _nothing(tissue: Tissue, reason: str) -> TissueModulusRatio:
    nan = float("nan")
    return TissueModulusRatio(tissue, nan, nan, nan, False, nan, nan, reason)
