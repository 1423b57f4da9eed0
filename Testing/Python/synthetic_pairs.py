"""Small image pairs with known deformation that the tests of the registrar and of the command line share.

The anatomy is a formula in mm, so both images are exact samples of it whatever their grids: nothing is interpolated.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cache

import numpy as np
import SimpleITK as sitk

from TissueElasticRegistrationLib.core.data.geometry import RAS_FROM_LPS, Geometry
from TissueElasticRegistrationLib.core.data.images import Image, ImagePair, Segmentation
from TissueElasticRegistrationLib.core.data.progress import finish
from TissueElasticRegistrationLib.core.data.result import RegistrationResult, TissueResult
from TissueElasticRegistrationLib.core.data.tissues import Tissue
from TissueElasticRegistrationLib.core.evaluation.metrics import map_points_ras_mm
from TissueElasticRegistrationLib.core.files.image_files import write_image, write_labels
from TissueElasticRegistrationLib.core.registration.direct_solver import DirectSolver
from TissueElasticRegistrationLib.core.registration.registrar import Registrar
from TissueElasticRegistrationLib.core.registration.solution import DirectSettings, Stage
from training.phantoms import PhantomCase, make_case

TISSUES = (Tissue(1, "soft"), Tissue(2, "lung"), Tissue(3, "bone"))
CENTER_RAS_MM = np.array([12.0, -30.0, 55.0])
# Three blobs of different size and sign that no flip or exchange of axes maps onto each other: place, width, height.
BLOBS = (((-14, 6, -9), 11, -0.9), ((15, -7, 5), 8, 0.7), ((2, 13, 12), 6, 0.5), ((-4, -15, -14), 7, -0.4))
SHIFT_MM = np.array([4.0, -6.0, 5.0])


def rotation(*angles_degrees: float) -> np.ndarray:
    """3x3 rotation about x, then y, then z."""
    turn = sitk.Euler3DTransform()
    turn.SetRotation(*np.radians(angles_degrees).tolist())
    return np.reshape(turn.GetMatrix(), (3, 3))


def grid(shape_kji, spacing_kji_mm, axes: np.ndarray) -> Geometry:
    """A grid about CENTER_RAS_MM with the columns of ``axes`` as voxel axes i, j, k."""
    matrix = np.eye(4)
    matrix[:3, :3] = axes * np.asarray(spacing_kji_mm, float)[::-1]
    matrix[:3, 3] = CENTER_RAS_MM - matrix[:3, :3] @ ((np.array(shape_kji[::-1]) - 1) / 2)
    return Geometry(shape_kji, matrix)


FIXED_GRID = grid((18, 30, 26), (4.5, 2.6, 3.0), rotation(20, -15, 30) @ np.diag([-1, 1, 1]))
MOVING_GRID = grid((24, 25, 32), (3.5, 3.1, 2.7), rotation(8, -5, 20))


def true_displacement_ras_mm(points_ras_mm: np.ndarray) -> np.ndarray:
    """A smooth bump: the middle is shifted by SHIFT_MM, the border stays."""
    square = np.sum((points_ras_mm - CENTER_RAS_MM) ** 2, -1, keepdims=True)
    return np.exp(-square / (2 * 20.0**2)) * SHIFT_MM


def intensities(points_ras_mm: np.ndarray) -> np.ndarray:
    """The moving anatomy: an ellipsoid with blobs and a fine texture, float32 in arbitrary units, above 0."""
    p = points_ras_mm - CENTER_RAS_MM
    value = 0.3 + _body(p)
    for place, width, height in BLOBS:
        value += height * np.exp(-np.sum((p - place) ** 2, -1) / (2 * width**2))
    texture = np.sin(p[..., 0] / 5 + 1) * np.cos(p[..., 1] / 6) * np.sin(p[..., 2] / 7 + 0.4)
    return (200 * (value + 0.35 * _body(p) * texture) + 100).astype(np.float32)


def labels(points_ras_mm: np.ndarray) -> np.ndarray:
    """Tissues of the moving anatomy: soft 1, lung 2 and bone 3 around the first two blobs."""
    p = points_ras_mm - CENTER_RAS_MM
    label = (_body(p) > 0.5).astype(np.uint8)
    for value, (place, width, _) in zip((2, 3), BLOBS, strict=False):
        label[np.sum((p - place) ** 2, -1) < width**2] = value
    return label


def _body(p: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp((np.linalg.norm(p / [33, 29, 31], axis=-1) - 1) * 12))


@cache
def volume_pair(strength: float = 1.0) -> ImagePair:
    """Oblique anisotropic 3D pair on two different grids, deformed by ``strength * true_displacement_ras_mm``."""
    at_fixed, at_moving = FIXED_GRID.voxel_centers_ras_mm(), MOVING_GRID.voxel_centers_ras_mm()
    mapped = at_fixed + strength * true_displacement_ras_mm(at_fixed)
    return ImagePair(
        Image(intensities(mapped), FIXED_GRID, "fixed"),
        Image(intensities(at_moving), MOVING_GRID, "moving"),
        Segmentation(labels(mapped), FIXED_GRID, TISSUES, "fixed segmentation"),
        Segmentation(labels(at_moving), MOVING_GRID, TISSUES, "moving segmentation"),
    )


@cache
def slice_case(seed: int = 5, spacing_mm: float = 8.0, oblique: bool = True) -> PhantomCase:
    """A single-slice phantom, small enough for a quick registration."""
    return make_case(2, seed, spacing_mm=spacing_mm, oblique=oblique)


@cache
def thorax_case(seed: int = 3) -> PhantomCase:
    """A coarse 3D phantom, turned in space."""
    return make_case(3, seed, spacing_mm=12, oblique=True)


def pair_of(case: PhantomCase) -> ImagePair:
    return ImagePair(case.fixed, case.moving, case.fixed_segmentation, case.moving_segmentation)


def slice_pair_stored_along(fixed_axis: int, moving_axis: int) -> ImagePair:
    """The pair of `slice_case`, each image with its slice axis as another axis of the array."""
    pair, changed = pair_of(slice_case()), {}
    for name in ("fixed", "moving", "fixed_segmentation", "moving_segmentation"):
        part = getattr(pair, name)
        field = "labels_kji" if "segmentation" in name else "array_kji"
        order = [1, 2]
        order.insert(moving_axis if "moving" in name else fixed_axis, 0)
        voxels = getattr(part, field).transpose(order)
        columns = [2 - source for source in reversed(order)]
        geometry = Geometry(voxels.shape, part.geometry.ijk_to_ras[:, [*columns, 3]])
        changed[name] = replace(part, **{field: voxels, "geometry": geometry})
    return replace(pair, **changed)


def quick_solver(*steps: int) -> DirectSolver:
    """A solver with few steps, for tests that do not ask how good the deformation is."""
    first, last = steps or (12, 6)
    return DirectSolver(settings=DirectSettings(stages=(Stage(2, first), Stage(1, last))))


def prepared(pair: ImagePair, **options) -> Registrar:
    options.setdefault("threads", 1)
    registrar = Registrar(pair, **options)
    finish(registrar.prepare())
    return registrar


def at_table_values(pair: ImagePair, job: str = "register", **options) -> Registrar:
    """A registrar for the caller alone that has finished ``job``, "register" or "live", with the table's parameters.

    Registered once for each pair and options, which must be the same objects for that.
    """
    return copy.deepcopy(_at_table_values(pair, job, **options))


@cache
def _at_table_values(pair: ImagePair, job: str, **options) -> Registrar:
    registrar = prepared(pair, **options)
    finish(getattr(registrar, job)(registrar.table_parameters()))
    return registrar


def registered(pair: ImagePair, **options) -> RegistrationResult:
    """Registered with the table's parameters."""
    registrar = prepared(pair, **options)
    finish(registrar.register(registrar.table_parameters()))
    return finish(registrar.result())


def displacement_at(result: RegistrationResult, points_ras_mm: np.ndarray) -> np.ndarray:
    """The displacement found at points (..., 3), RAS mm."""
    points = points_ras_mm.reshape(-1, 3)
    mapped = map_points_ras_mm(points, result.displacement_ras_mm, result.geometry)
    return (mapped - points).reshape(points_ras_mm.shape)


def displaced(image: Image, matrix_ras: np.ndarray) -> Image:
    """The same voxels elsewhere: every point of the image is moved by a 4x4 matrix in RAS mm."""
    return Image(
        image.array_kji, Geometry(image.geometry.shape_kji, matrix_ras @ image.geometry.ijk_to_ras), image.name
    )


def rigid_ras(shift_mm, angles_degrees, center_ras_mm=CENTER_RAS_MM) -> np.ndarray:
    """4x4 in RAS: turn about the center, then shift."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(*angles_degrees)
    matrix[:3, 3] = np.asarray(center_ras_mm) + shift_mm - matrix[:3, :3] @ center_ras_mm
    return matrix


def moved(points_ras_mm: np.ndarray, matrix_ras: np.ndarray) -> np.ndarray:
    """Points (..., 3) mapped by a 4x4 matrix."""
    return points_ras_mm @ matrix_ras[:3, :3].T + matrix_ras[:3, 3]


def rigid_lps_transform(matrix_ras: np.ndarray) -> sitk.AffineTransform:
    """A 4x4 matrix in RAS as ITK's transform."""
    matrix = RAS_FROM_LPS @ matrix_ras @ RAS_FROM_LPS
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(matrix[:3, :3].ravel().tolist())
    transform.SetTranslation(matrix[:3, 3].tolist())
    return transform


def write_pair(pair: ImagePair, folder) -> dict[str, str]:
    """The files of a pair as options of the command line."""
    write_image(pair.fixed, folder / "fixed.nii.gz")
    write_image(pair.moving, folder / "moving.nii.gz")
    write_labels(pair.fixed_segmentation, folder / "segmentation.nii.gz")
    write_labels(pair.moving_segmentation, folder / "moving_segmentation.nii.gz")
    return {
        "fixed": str(folder / "fixed.nii.gz"),
        "moving": str(folder / "moving.nii.gz"),
        "segmentation": str(folder / "segmentation.nii.gz"),
    }


def tissue_row(result: RegistrationResult, name: str) -> TissueResult:
    return next(row for row in result.tissues if row.tissue.name == name)
