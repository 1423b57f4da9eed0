"""Model packs with synthetic networks, and image pairs for them, that the tests of the network as a solver share."""

from __future__ import annotations

from functools import cache

import numpy as np
from networks import awake, model_card
from synthetic_pairs import (
    CENTER_RAS_MM,
    TISSUES,
    intensities,
    labels,
    pair_of,
    quick_solver,
    slice_case,
    true_displacement_ras_mm,
)

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.data.images import Image, ImagePair, Segmentation
from TissueElasticRegistrationLib.core.models.model_pack import ModelPack
from TissueElasticRegistrationLib.core.models.network import NetworkConfig
from TissueElasticRegistrationLib.core.registration.network_solver import NetworkSolver

SMALL = {"encoder": (8, 8), "decoder": (8, 8), "final": (8, 8)}
MAP_2D = NetworkConfig(2, **SMALL)
MAP_3D = NetworkConfig(3, map_layer="tissue", pooled_input=True, **SMALL)


def pack_of(config: NetworkConfig, voxels: float = 0.5, **card) -> ModelPack:
    network = awake(config, voxels=voxels).requires_grad_(False)
    return ModelPack(model_card(config, **{"spacing_mm": (1.0, 12.0), **card}), network)


@cache
def slice_pair() -> ImagePair:
    return pair_of(slice_case())


def grid_of(axes: np.ndarray, shape_kji, spacing_kji_mm) -> Geometry:
    matrix = np.eye(4)
    matrix[:3, :3] = axes * np.asarray(spacing_kji_mm, float)[::-1]
    matrix[:3, 3] = CENTER_RAS_MM - matrix[:3, :3] @ ((np.array(shape_kji[::-1]) - 1) / 2)
    return Geometry(shape_kji, matrix)


def pair_on(grid: Geometry) -> ImagePair:
    """The anatomy of `synthetic_pairs` on one grid for both images."""
    points = grid.voxel_centers_ras_mm()
    mapped = points + true_displacement_ras_mm(points)
    return ImagePair(
        Image(intensities(mapped), grid, "fixed"),
        Image(intensities(points), grid, "moving"),
        Segmentation(labels(mapped), grid, TISSUES, "fixed segmentation"),
    )


def thick_slices() -> ImagePair:
    axes = np.array([[1, 0, 0], [0, -1, 0], [0, 0, 1]]).T
    return pair_on(grid_of(axes, (5, 40, 32), (12.0, 2.5, 2.5)))


def solver_with(pack: ModelPack) -> NetworkSolver:
    return NetworkSolver(pack, quick_solver())
