"""Where nothing can be told of stiffness, nothing is: one plain sentence instead of a number."""

from __future__ import annotations

import numpy as np
import pytest
from estimation_case import registrar_of, thorax_slice
from scipy.ndimage import affine_transform

from TissueElasticRegistrationLib.core.data.images import Image, ImagePair, Segmentation
from TissueElasticRegistrationLib.core.data.progress import finish
from TissueElasticRegistrationLib.core.data.tissues import Tissue
from TissueElasticRegistrationLib.core.stiffness.identifiability import without_rigid_motion
from TissueElasticRegistrationLib.core.stiffness.shear_modulus_ratio import (
    estimate_shear_modulus_ratios,
    ratios_from_displacement,
)

SOFT, OTHER, AIR = Tissue(1, "soft"), Tissue(2, "organ"), Tissue(0, "background")
NO_DEFORMATION = "not larger than what image noise|does not deform|not enough deformed tissue"
NOISE_HU = 15


def estimate_from(moving_kji: np.ndarray, segmentation: Segmentation | None = None):
    """The shear modulus ratio of the thorax slice, registered with another image on its grid."""
    pair = thorax_slice()
    moving = Image(moving_kji.astype(np.float32), pair.fixed.geometry, "moving")
    registrar = registrar_of(ImagePair(pair.fixed, moving, segmentation or pair.fixed_segmentation), initial="none")
    return finish(estimate_shear_modulus_ratios(registrar))


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, NOISE_HU, thorax_slice().fixed.array_kji.shape)


def turned(degrees: float, shift_voxels: tuple[float, float]) -> np.ndarray:
    """The fixed slice, moved as a whole and sampled again."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    plane = thorax_slice().fixed.array_kji[0].astype(float)
    middle = (np.array(plane.shape) - 1) / 2
    return affine_transform(plane, turn, middle - turn @ (middle + shift_voxels), order=1, mode="nearest")[None]


def two_halves(shape: tuple[int, ...]) -> np.ndarray:
    labels = np.ones(shape, int)
    labels[: shape[0] // 2] = 2
    return labels


def rigid_motion(shape: tuple[int, ...], degrees: float) -> np.ndarray:
    """Displacement in voxels of a grid with equal spacing: turned in the plane of the first and last axis, shifted."""
    positions = np.moveaxis(np.indices(shape).astype(float), 0, -1)
    turn = np.eye(len(shape))
    angle = np.radians(degrees)
    turn[np.ix_((0, -1), (0, -1))] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return np.moveaxis(positions @ turn.T - positions, -1, 0) + 3.7


# -- displacements ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(30, 24), (14, 12, 10)])
@pytest.mark.parametrize("degrees", [0.0, 25.0])
def test_a_rigid_motion_tells_nothing(shape, degrees):
    with pytest.raises(ValueError, match=f"{NO_DEFORMATION}|not enough deformed tissue"):
        finish(
            ratios_from_displacement(
                rigid_motion(shape, degrees), (2.0,) * len(shape), two_halves(shape), (AIR, SOFT, OTHER)
            )
        )


def test_one_tissue_alone_has_nothing_to_be_compared_with():
    shape = (30, 24)
    bent = np.stack([0.05 * np.indices(shape)[1], 0.001 * np.indices(shape)[0] ** 2])
    with pytest.raises(ValueError, match="Only one tissue"):
        finish(ratios_from_displacement(bent, (2.0, 2.0), np.ones(shape, int), (AIR, SOFT)))


@pytest.mark.parametrize("dimension", [2, 3])
def test_only_what_is_not_rigid_is_left(dimension):
    generator = np.random.default_rng(dimension)
    positions = 30 * generator.standard_normal((40, dimension))
    turn = np.linalg.qr(generator.standard_normal((dimension, dimension)))[0]
    turn[:, 0] *= np.sign(np.linalg.det(turn))
    np.testing.assert_allclose(without_rigid_motion(positions, positions @ turn.T + 5 - positions), 0, atol=1e-9)
    stretched = without_rigid_motion(positions, 0.1 * positions)
    np.testing.assert_allclose(stretched, 0.1 * (positions - positions.mean(axis=0)), atol=1e-9)


# -- images ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "moving",
    [
        pytest.param(lambda: thorax_slice().fixed.array_kji, id="the same image"),
        pytest.param(lambda: thorax_slice().fixed.array_kji + noise(1), id="the same with other noise"),
        pytest.param(lambda: turned(0, (1.3, -2.2)) + noise(2), id="shifted"),
        pytest.param(lambda: turned(8, (0, 0)) + noise(3), id="turned"),
    ],
)
def test_images_of_the_same_shape_tell_nothing(moving):
    with pytest.raises(ValueError, match=NO_DEFORMATION):
        estimate_from(moving())


@pytest.mark.parametrize(
    "moving",
    [
        pytest.param(
            lambda: np.interp(
                thorax_slice().moving.array_kji, [-1000, -800, -100, 0, 60, 120, 700], [100, 0, 900, 200, 500, 450, 50]
            ),
            id="another modality",
        ),
        pytest.param(lambda: thorax_slice().moving.array_kji[:, ::-1], id="upside down"),
        pytest.param(lambda: 10 * noise(4), id="noise"),
    ],
)
def test_images_that_do_not_match_tell_nothing(moving):
    with pytest.raises(ValueError, match="do not match"):
        estimate_from(moving())


def test_an_image_with_inverted_contrast_is_no_other_modality():
    pair = thorax_slice()
    upright, inverted = (estimate_from(sign * pair.moving.array_kji) for sign in (1, -1))
    for one, other in zip(upright.per_tissue, inverted.per_tissue, strict=True):
        assert one.low <= other.mu <= one.high
