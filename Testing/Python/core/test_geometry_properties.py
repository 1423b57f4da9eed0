"""What holds for every grid: any orientation, handedness, spacing and size, any storage order and file format."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("hypothesis", reason="needs the pip package hypothesis")
from hypothesis import given, settings
from hypothesis import strategies as st

from TissueElasticRegistrationLib.core.data.geometry import Geometry, flip_ras_lps
from TissueElasticRegistrationLib.core.data.images import Image
from TissueElasticRegistrationLib.core.files.image_files import read_image, write_image
from TissueElasticRegistrationLib.core.models.orientation import axis_order
from TissueElasticRegistrationLib.core.preparation.working_grid import working_grid

# The same examples each time, nothing stored: a failure is a failure everywhere.
settings.register_profile("files", max_examples=40, deadline=None, derandomize=True, database=None)
ANY_SHAPE = st.tuples(*[st.integers(1, 7)] * 3)
FORMATS = (".nii", ".nii.gz", ".nrrd", ".mha", ".mhd")


def quaternions():
    """Unit quaternions of any rotation, axis-aligned ones among them."""
    parts = st.tuples(*[st.floats(-1, 1)] * 4)
    return parts.filter(lambda q: np.linalg.norm(q) > 0.1).map(lambda q: np.array(q) / np.linalg.norm(q))


def rotated(w: float, x: float, y: float, z: float) -> np.ndarray:
    """The 3x3 rotation of a unit quaternion."""
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


@st.composite
def geometries(draw, shapes=ANY_SHAPE) -> Geometry:
    axes = rotated(*draw(quaternions()))[:, list(draw(st.permutations(range(3))))] * draw(
        st.tuples(*[st.sampled_from((1.0, -1.0))] * 3)
    )
    spacing_mm = [10.0 ** draw(st.floats(-1.5, 1.3)) for _ in range(3)]
    matrix = np.eye(4)
    matrix[:3, :3] = axes * spacing_mm
    matrix[:3, 3] = draw(st.tuples(*[st.floats(-1000, 1000)] * 3))
    return Geometry(draw(shapes), matrix)


def image_shapes():
    """Volumes, slices along any axis and thin stacks."""
    return st.tuples(*[st.integers(4, 7)] * 3).flatmap(
        lambda shape: st.tuples(st.integers(0, 2), st.sampled_from((1, 2, 3, 5))).map(
            lambda change: (*shape[: change[0]], change[1], *shape[change[0] + 1 :])
        )
    )


def values(shape) -> np.ndarray:
    """Different in every voxel."""
    return np.random.default_rng(1).permutation(np.prod(shape)).reshape(shape).astype(np.int16)


def tolerance_mm(geometry: Geometry) -> float:
    """Headers hold single precision: relative to the largest number that occurs."""
    return 3e-6 * (1 + np.abs(geometry.corners_ras_mm()).max())


@settings(settings.get_profile("files"))
@given(geometries())
def test_positions_and_indices_are_inverse(geometry):
    indices = np.random.default_rng(2).uniform(-9, 9, (5, 3))
    np.testing.assert_allclose(geometry.points_ijk(geometry.points_ras_mm(indices)), indices, atol=1e-6)


@settings(settings.get_profile("files"))
@given(geometries())
def test_itk_describes_every_grid(geometry):
    again = Geometry.from_lps(
        geometry.shape_kji, geometry.origin_lps_mm, geometry.spacing_ijk_mm, geometry.direction_lps
    )
    np.testing.assert_allclose(again.ijk_to_ras, geometry.ijk_to_ras, atol=1e-9)
    np.testing.assert_allclose(flip_ras_lps(flip_ras_lps(geometry.ijk_to_ras[:3, 3])), geometry.ijk_to_ras[:3, 3])


@settings(settings.get_profile("files"))
@given(geometries())
def test_displacement_in_mm_and_in_voxels_are_inverse(geometry):
    displacement = np.random.default_rng(3).normal(size=(3, *geometry.shape_kji)).astype(np.float32)
    again = geometry.displacement_grid(geometry.displacement_ras_mm(displacement))
    np.testing.assert_allclose(again, displacement, atol=1e-3)


@settings(settings.get_profile("files"))
@given(geometries(image_shapes()))
def test_slice_along_any_axis_keeps_every_voxel_in_its_place(geometry):
    first = geometry.with_slice_axis_first()
    assert first.is_slice == geometry.is_slice and (first.shape_kji[0] == 1 or not geometry.is_slice)
    axis = geometry.shape_kji.index(1) if geometry.is_slice else 0
    moved = np.moveaxis(geometry.voxel_centers_ras_mm(), axis, 0)
    np.testing.assert_allclose(first.voxel_centers_ras_mm(), moved, atol=1e-6)


@settings(settings.get_profile("files"))
@given(geometries(image_shapes()))
def test_working_grid_covers_the_image_and_slices_alone_become_slices(geometry):
    grid = working_grid(geometry)
    assert grid.is_slice == geometry.is_slice
    corners_ijk = grid.geometry.points_ijk(geometry.corners_ras_mm())
    assert corners_ijk.min() > -0.51 and np.all(corners_ijk.max(0) < np.array(grid.geometry.shape_kji[::-1]) - 0.49)


@settings(settings.get_profile("files"))
@given(geometries(st.tuples(*[st.integers(2, 5)] * 3)))
def test_arrays_turned_to_anatomical_axes_run_along_them(geometry):
    """The world coordinate along each turned axis increases, unless the axis is just between two."""
    ras = torch.tensor(np.moveaxis(geometry.voxel_centers_ras_mm(), -1, 0)[None])
    turned = axis_order(geometry, "SPL", 3).turned(ras)
    along = np.abs(geometry.ijk_to_ras[:3, :3] / geometry.spacing_ijk_mm)
    for axis, (component, sign) in enumerate(((2, 1), (1, -1), (0, -1))):
        if np.sort(along[component])[-1] > 0.9:
            assert (sign * torch.diff(turned[:, component], dim=axis + 1) > 0).all()


@settings(settings.get_profile("files"))
@given(geometries(image_shapes()), st.sampled_from(FORMATS))
def test_image_is_read_where_it_was_written_in_every_format(geometry, ending):
    image = Image(values(geometry.shape_kji), geometry)
    with tempfile.TemporaryDirectory() as folder:
        write_image(image, Path(folder) / f"image{ending}")
        again = read_image(Path(folder) / f"image{ending}")
    np.testing.assert_array_equal(again.array_kji, image.array_kji)
    assert np.abs(again.geometry.corners_ras_mm() - geometry.corners_ras_mm()).max() < tolerance_mm(geometry)


@settings(settings.get_profile("files"))
@given(geometries(image_shapes()), st.permutations(range(3)), st.tuples(*[st.booleans()] * 3), st.sampled_from(FORMATS))
def test_the_same_image_in_another_storage_order_has_every_value_at_the_same_place(geometry, order, flips, ending):
    """Axes exchanged and turned round; the value at each point in space stays."""
    array = values(geometry.shape_kji)
    stored = array.transpose(order)
    matrix = geometry.ijk_to_ras[:, [*(2 - order[2 - column] for column in range(3)), 3]].copy()
    for axis, is_flipped in enumerate(flips):
        if is_flipped:
            column = 2 - axis
            stored = np.flip(stored, axis)
            matrix[:3, 3] += matrix[:3, column] * (stored.shape[axis] - 1)
            matrix[:3, column] *= -1
    image = Image(np.ascontiguousarray(stored), Geometry(stored.shape, matrix))
    with tempfile.TemporaryDirectory() as folder:
        write_image(image, Path(folder) / f"image{ending}")
        again = read_image(Path(folder) / f"image{ending}")
    centers = geometry.voxel_centers_ras_mm().reshape(-1, 3)
    found_kji = np.rint(again.geometry.points_ijk(centers)).astype(int)[:, ::-1]
    np.testing.assert_array_equal(again.array_kji[tuple(found_kji.T)], array.ravel())
