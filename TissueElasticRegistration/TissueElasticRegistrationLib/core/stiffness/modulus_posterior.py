"""How probable the moduli of the tissues are for a displacement: marginal likelihood and prior, and their maximum.

The prior on log μ is a Cauchy distribution around the strain index: with its heavy tails it decides where equilibrium
does not, and gives way where it does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..data.progress import Job, Progress
from ..data.tissues import UNSEGMENTED_ID, Tissue
from ..physics.tissue_presets import SOFT, start_weight
from .bfgs import minimize
from .body_forces import length_mm, unknown_forces
from .finite_elements import NO_TISSUE, FiniteElementBody
from .identifiability import require_deformation, require_match, with_error
from .image_information import ImageInformation
from .marginal_likelihood import MarginalLikelihood, Measurement
from .strain_index import strain_index

MIN_TISSUE_NODES = 4.0  # volume of a tissue in volumes around a node
STRAIN_INDEX_SCALE = 0.5  # width of the prior on log μ around the strain index
# The exponent of the marginal likelihood (a tempered posterior): its errors are no white noise, but those of a coarse
# grid and a few simple forces, so without it the estimate would be far more certain than it is right.
LIKELIHOOD_EXPONENT = 0.1
# Prior of log λ/μ: ν = 0.38, and two thirds of all between 0.27 and 0.45.
LOG_LAMBDA_OVER_MU, LOG_LAMBDA_OVER_MU_SD = 1.2, 1.0
LOG_SIZE_SD = 3.0  # of the logarithms of noise and forces: hardly a restriction
NOISE_OF_STRAIN = 0.1  # noise is first assumed to be this much of what the mean strain moves over one node
FORCE_OF_STRESS = 0.5  # forces are first assumed to change the stress by this much over their length
GRID_ERROR = 0.04  # of the distance between nodes: what coarse elements cannot follow
MAX_SUPPORTED_SD = 1.0  # of log μ, by the deformation alone
# Of log μ: what the estimate is wrong by however little noise there is. Set from 30 phantoms; on 120 others, 2D and not
# looked at before, the rms error of lung and liver was 0.73, and 98 % of the intervals held the truth.
MODEL_SD = 0.65
# A tissue with less of it than this share around nodes that lie in it entirely is a rim: it moves as its neighbors do.
MIN_INNER_SHARE = 0.4
INNER_NODE_SHARE = 0.99
MAX_SUPPORTED_RATIO = 10.0  # beyond, strain is a tenth of the reference's: about the error of a registration's
MAX_LOG_CHANGE = 12.0  # of any unknown from where the search starts
EVALUATIONS, TOLERANCE = 40, 0.02
DIFFERENCE = 0.02  # of logarithms, for curvatures

Images = Callable[[np.ndarray], ImageInformation]  # for a displacement (D, *shape) in voxels


class Uncertainty(NamedTuple):
    """Standard deviations (T,) of log μ, 0 for the reference: by the deformation alone, and of the estimate.

    condition: ratio of the best to the worst known combination of log moduli, by the deformation alone.
    """

    deformation_sd: np.ndarray
    sd: np.ndarray
    condition: float


class ModulusPosterior:
    """The posterior of the moduli for one displacement on one grid of nodes.

    tissues: the T tissues whose moduli are estimated. reference: the one among them whose μ is 1. The unknowns are
    logarithms: λ of all tissues, μ of all tissues, size of the noise, size of each group of forces.
    """

    def __init__(
        self,
        displacement: np.ndarray,
        spacing_mm: Sequence[float],
        labels: np.ndarray,
        tissues: Sequence[Tissue],
        inside: np.ndarray,
        images: Images | None,
        reference: Tissue | None,
        max_nodes: int,
    ) -> None:
        """Arguments as for `ratios_from_displacement`, without the background; max_nodes: in the body."""
        self._size_mm = np.asarray(spacing_mm, float).reshape(-1, *[1] * labels.ndim)
        displacement_mm = displacement * self._size_mm
        information = None if images is None else images(displacement)
        if information is not None:
            require_match(information.correlation)
            inside = inside & information.valid
        index = strain_index(displacement_mm, spacing_mm, labels, inside, [tissue.label for tissue in tissues])
        factors = _block_factors(labels.shape, spacing_mm, max_nodes * inside.size / max(1, int(inside.sum())))
        self.tissues = [tissue for tissue in tissues if np.isfinite(index[tissue.label])]
        self._body = self._make_body(labels, inside, spacing_mm, factors) if self.tissues else None
        self.reference = reference or _largest_soft(self.tissues, labels, inside)
        if self._body is None or self.reference not in self.tissues or self._is_small[self.reference.label]:
            raise ValueError("There is not enough deformed tissue to compare stiffness.")
        if len(self.tissues) < 2:
            raise ValueError("Only one tissue is large enough, but stiffness ratios need at least two.")
        self._index = np.array([index[tissue.label] - index[self.reference.label] for tissue in self.tissues])
        rms_strain = float(np.exp(-index[self.reference.label]))
        noise_mm = NOISE_OF_STRAIN * rms_strain * float(np.mean(self._body.size_mm))
        nodes_mm, voxel_mm = self._body.node_means(displacement_mm), float(np.mean(spacing_mm))
        if information is None:
            require_deformation(self._body, nodes_mm, None, voxel_mm)
            measurement = _with_white_noise(nodes_mm, noise_mm)
        else:
            measurement = _seen_in_images(self._body, nodes_mm, information, voxel_mm)
        self._measured_mm = nodes_mm
        forces, groups = unknown_forces(self._body)
        self._likelihood = MarginalLikelihood(self._body, measurement, forces, groups)
        force = FORCE_OF_STRESS * rms_strain / length_mm(self._body)
        self._start = np.concatenate(
            [self._index + LOG_LAMBDA_OVER_MU, self._index, [0.0], np.full(self._likelihood.group_count, np.log(force))]
        )
        count = len(self.tissues)
        self._fixed = count + self.tissues.index(self.reference)
        self._free = np.ones(len(self._start), bool)
        self._free[self._fixed] = False
        self._free[2 * count] = images is None  # the images' noise is known

    def _make_body(
        self, labels: np.ndarray, inside: np.ndarray, spacing_mm: Sequence[float], factors: Sequence[int]
    ) -> FiniteElementBody | None:
        """The body of the tissues, None without a free node; notes which of them are small, and their inner shares."""
        numbers = np.full(labels.shape, NO_TISSUE)
        for number, tissue in enumerate(self.tissues):
            numbers[labels == tissue.label] = number
        body = FiniteElementBody(numbers, inside, spacing_mm, factors)
        sizes = body.node_volumes_mm[body.free].sum(axis=0) / float(np.prod(body.size_mm))
        tissue_labels = [tissue.label for tissue in self.tissues]
        self._is_small = dict(zip(tissue_labels, sizes < MIN_TISSUE_NODES, strict=True))
        self._inner_share = dict(zip(tissue_labels, _inner_shares(body), strict=True))
        return body if body.free.any() else None

    def maximize(self, start: np.ndarray | None = None) -> Job[np.ndarray]:
        """Find the most probable unknowns.

        Args:
            start: Where to begin: unknowns of a posterior with the same tissues; None for the strain index.

        Yields:
            Progress before each evaluation.

        Returns:
            All unknowns.
        """
        start = self._start if start is None else start
        return self._all((yield from minimize(self._value, start[self._free], EVALUATIONS, TOLERANCE)))

    def correction(self, unknowns: np.ndarray) -> np.ndarray:
        """The most probable displacement minus the one given, (D, *shape) in voxels."""
        self._likelihood.value(unknowns)
        change_mm = self._likelihood.displacement_mm - self._measured_mm
        return self._body.voxel_values(np.where(self._body.free[:, None], change_mm, 0.0)) / self._size_mm

    @property
    def strain_index(self) -> dict[int, float]:
        """By label, relative to the reference."""
        return {tissue.label: float(value) for tissue, value in zip(self.tissues, self._index, strict=True)}

    def log_moduli(self, unknowns: np.ndarray) -> np.ndarray:
        """(2, T): log λ and log μ."""
        return unknowns[: 2 * len(self.tissues)].reshape(2, -1)

    def likelihood_curvature(self, unknowns: np.ndarray) -> Job[np.ndarray]:
        """Second derivatives of the likelihood alone by the free unknowns, made positive semidefinite."""
        free, rows = unknowns[self._free], []
        here = self._likelihood.value(self._all(free))[1][self._free]
        for number in range(len(free)):
            yield Progress(number / len(free), "estimating the uncertainty")
            moved = free.copy()
            moved[number] += DIFFERENCE
            rows.append(self._likelihood.value(self._all(moved))[1][self._free] - here)
        curvature = LIKELIHOOD_EXPONENT / DIFFERENCE * np.array(rows)
        values, vectors = np.linalg.eigh(0.5 * (curvature + curvature.T))
        return (vectors * np.maximum(values, 0)) @ vectors.T

    def uncertainty(self, unknowns: np.ndarray, curvature: np.ndarray) -> Uncertainty:
        """Laplace approximation around ``unknowns``; curvature: as from `likelihood_curvature`."""
        count = len(self.tissues)
        without_index, with_index = self._prior(unknowns)[2][:, self._free][:, :, self._free]
        log_mu = [row for row, number in enumerate(np.flatnonzero(self._free)) if count <= number < 2 * count]
        tiny = 1e-6 * np.eye(len(curvature))
        by_deformation = np.linalg.inv(curvature + without_index + tiny)[np.ix_(log_mu, log_mu)]
        covariance = np.linalg.inv(curvature + with_index + tiny)[np.ix_(log_mu, log_mu)]
        deformation_sd, sd = np.full(count, 0.0), np.full(count, 0.0)
        others = [number for number in range(count) if count + number != self._fixed]
        deformation_sd[others] = np.sqrt(np.diag(by_deformation))
        sd[others] = np.sqrt(np.diag(covariance) + MODEL_SD**2)
        return Uncertainty(deformation_sd, sd, _condition(by_deformation))

    def unsupported_reason(self, tissue: Tissue, log_mu: float, deformation_sd: float) -> str:
        """Why the deformation does not support an estimate, in one sentence; "" where it does."""
        if tissue == self.reference:
            return ""
        if self._is_small[tissue.label]:
            return "It is too small for the grid of the estimate."
        if self._inner_share[tissue.label] < MIN_INNER_SHARE:
            return "It is too thin for the grid of the estimate."
        if log_mu > np.log(MAX_SUPPORTED_RATIO):
            return (
                f"It deforms too little for a number; the estimate exceeds {MAX_SUPPORTED_RATIO:g} times the reference."
            )
        if deformation_sd > MAX_SUPPORTED_SD:
            return (
                "Its deformation is too small, compared with image noise and unknown forces, to estimate its stiffness."
            )
        return ""

    def _all(self, free: np.ndarray) -> np.ndarray:
        unknowns = self._start.copy()
        unknowns[self._free] = free
        return unknowns

    def _value(self, free: np.ndarray) -> tuple[float, np.ndarray]:
        """Negative logarithm of the posterior and its gradient by the free unknowns."""
        unknowns = self._all(free)
        if np.abs(unknowns - self._start).max() > MAX_LOG_CHANGE:
            return np.inf, np.zeros(len(free))
        value, gradient = self._likelihood.value(unknowns)
        prior, prior_gradient, _ = self._prior(unknowns)
        return LIKELIHOOD_EXPONENT * value + prior, (LIKELIHOOD_EXPONENT * gradient + prior_gradient)[self._free]

    def _prior(self, unknowns: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Negative logarithm, gradient, and two matrices of curvatures (never negative): without and with the part of
        the strain index.
        """
        count = len(self._index)
        off = (unknowns[count : 2 * count] - self._index) / STRAIN_INDEX_SCALE
        ratio = (unknowns[:count] - unknowns[count : 2 * count] - LOG_LAMBDA_OVER_MU) / LOG_LAMBDA_OVER_MU_SD
        sizes = (unknowns[2 * count :] - self._start[2 * count :]) / LOG_SIZE_SD
        value = np.log1p(off**2).sum() + 0.5 * (ratio @ ratio + sizes @ sizes)
        by_index = 2 * off / (1 + off**2) / STRAIN_INDEX_SCALE
        gradient = np.concatenate(
            [ratio / LOG_LAMBDA_OVER_MU_SD, by_index - ratio / LOG_LAMBDA_OVER_MU_SD, sizes / LOG_SIZE_SD]
        )
        without_index = np.zeros((len(unknowns), len(unknowns)))
        lam, mu = np.arange(count), count + np.arange(count)
        without_index[lam, lam] = without_index[mu, mu] = 1 / LOG_LAMBDA_OVER_MU_SD**2
        without_index[lam, mu] = without_index[mu, lam] = -1 / LOG_LAMBDA_OVER_MU_SD**2
        rest = np.arange(2 * count, len(unknowns))
        without_index[rest, rest] = 1 / LOG_SIZE_SD**2
        with_index = without_index.copy()
        with_index[mu, mu] += 2 / (1 + off**2) / STRAIN_INDEX_SCALE**2
        return float(value), gradient, np.stack([without_index, with_index])


def _with_white_noise(nodes_mm: np.ndarray, noise_mm: float) -> Measurement:
    """A displacement (nodes, D) measured with the same noise everywhere."""
    count, dimension = nodes_mm.shape
    precision = np.broadcast_to(np.eye(dimension) / noise_mm**2, (count, dimension, dimension))
    return Measurement(nodes_mm, precision, np.zeros_like(nodes_mm))


def _seen_in_images(
    body: FiniteElementBody, nodes_mm: np.ndarray, images: ImageInformation, voxel_mm: float
) -> Measurement:
    """One that was registered from images; raises ValueError where they show no deformation."""
    count, dimension = nodes_mm.shape
    voxels = float(np.prod(body.factors))
    flat = images.fisher_information.reshape(dimension**2, *images.score.shape[1:])
    precision = voxels * body.node_means(flat).reshape(count, dimension, dimension)
    require_deformation(body, nodes_mm, precision, voxel_mm)
    # The grid errs too: no direction may count as known better than that.
    precision, kept = with_error(precision, GRID_ERROR * float(np.mean(body.size_mm)))
    return Measurement(nodes_mm, precision, (kept @ (voxels * body.node_means(images.score))[..., None])[..., 0])


def _inner_shares(body: FiniteElementBody) -> np.ndarray:
    """Share of every tissue that lies around nodes with nothing else around them."""
    volumes = body.node_volumes_mm
    inner = volumes >= INNER_NODE_SHARE * float(np.prod(body.size_mm))
    return (volumes * inner).sum(axis=0) / np.maximum(volumes.sum(axis=0), 1e-12)


def _block_factors(shape: Sequence[int], spacing_mm: Sequence[float], max_nodes: float) -> tuple[int, ...]:
    """Voxels per node along each axis: about equally long in mm, and not too many nodes."""
    factors = [1] * len(shape)
    while np.prod([n // f for n, f in zip(shape, factors, strict=True)]) > max_nodes:
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
