"""Whether a deformation identifies stiffness at all: more than a rigid motion, more than the images' noise."""

from __future__ import annotations

import numpy as np

from .finite_elements import FiniteElementBody

# Of a voxel. Below, it is what interpolation does.
MIN_DEFORMATION_VOXELS = 0.01
# Of a voxel: no registration is better, however clear the images are.
REGISTRATION_ERROR_VOXELS = 0.05
# Mean square of the deformation in units of its own uncertainty. Measured: 8 to 18 for 2D phantoms, 1.2 for a 3D one of
# 8 mm, at most 0.11 for images that show the same shape, moved rigidly or not, or nothing at all.
MIN_SIGNAL = 0.3
# Of the correlation of fixed and warped image within the body. Measured: 0.98 for phantoms, 0.75 for another patient's
# image, 0.4 for one whose intensities are shuffled.
MIN_CORRELATION = 0.85


def require_deformation(
    body: FiniteElementBody, displacement_mm: np.ndarray, precision: np.ndarray | None, voxel_mm: float
) -> None:
    """Refuse a body whose inner nodes move like one rigid piece.

    Args:
        body: The body on its grid of nodes.
        displacement_mm: (nodes, D).
        precision: Fisher information of the images, (nodes, D, D) in 1/mm²; None if no noise is known.
        voxel_mm: Mean size of a voxel.

    Raises:
        ValueError: If there is no deformation, or none above the noise.
    """
    free = body.free
    rest = without_rigid_motion(body.positions_mm()[free], displacement_mm[free])
    if np.sqrt((rest**2).sum(axis=1).mean()) < MIN_DEFORMATION_VOXELS * voxel_mm:
        raise ValueError("The body does not deform; stiffness ratios cannot be estimated from a rigid motion.")
    if precision is None:
        return
    known = with_error(precision[free], REGISTRATION_ERROR_VOXELS * voxel_mm)[0]
    if np.einsum("na,nab,nb->", rest, known, rest) < MIN_SIGNAL * rest.size:
        raise ValueError("The deformation is not larger than what image noise alone would cause.")


def with_error(precision: np.ndarray, error_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Precisions after an independent error is added to a measurement.

    Args:
        precision: (N, D, D) in 1/mm².
        error_mm: Standard deviation of the error in every direction.

    Returns:
        The precisions with the error, and the (N, D, D) matrices that turn those without it into them.
    """
    values, vectors = np.linalg.eigh(precision)
    values = np.maximum(values, 0)
    kept = 1 / (1 + error_mm**2 * values)
    turned_back = np.swapaxes(vectors, 1, 2)
    return (vectors * (values * kept)[:, None, :]) @ turned_back, (vectors * kept[:, None, :]) @ turned_back


def require_match(correlation: float) -> None:
    """Refuse registered images that do not match.

    Args:
        correlation: Of the fixed and the warped image within the body.

    Raises:
        ValueError: If its absolute value is too small.
    """
    if not abs(correlation) >= MIN_CORRELATION:
        raise ValueError(
            "The registered images do not match: they have different contrasts, or the registration failed."
        )


def without_rigid_motion(positions_mm: np.ndarray, displacement_mm: np.ndarray) -> np.ndarray:
    """What is left of a displacement (N, D) of points (N, D) after the best rotation and translation."""
    before = positions_mm - positions_mm.mean(axis=0)
    after = positions_mm + displacement_mm
    after = after - after.mean(axis=0)
    left, _, right = np.linalg.svd(after.T @ before)
    turn = np.eye(len(left))
    turn[-1, -1] = np.sign(np.linalg.det(left @ right))
    return after - before @ (left @ turn @ right).T
