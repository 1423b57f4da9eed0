"""Where a voxel array lies in space; the only place where RAS (Slicer) and LPS (ITK, NIfTI via SimpleITK) meet.

Arrays are indexed k, j, i (slice, row, column). Matrices and points use i, j, k order as Slicer's IJKToRAS does.
A displacement exists in two forms, both "fixed point x corresponds to moving point x + d(x)":

- ``grid``: (3, K, J, I), channels ordered k, j, i along the array axes, in voxels of the grid (what solvers use);
- ``ras_mm``: (K, J, I, 3), channels ordered R, A, S, in mm (what leaves the core).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np

RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
PATIENT_VOXEL_MM = (0.25, 25.0)


def flip_ras_lps(vectors: np.ndarray) -> np.ndarray:
    """Points or vectors in mm from RAS to LPS or back (the same flip both ways).

    Args:
        vectors: (..., 3) in mm, RAS or LPS.

    Returns:
        (..., 3) of the same type, in the other frame.

    Example:
        >>> flip_ras_lps([1.0, 2.0, 3.0]).tolist()
        [-1.0, -2.0, 3.0]
    """
    return np.asarray(vectors) * np.array([-1.0, -1.0, 1.0], dtype=np.asarray(vectors).dtype)


@dataclass(frozen=True, eq=False)
class Geometry:
    """An immutable grid in space: array shape and the affine matrix from voxel indices to patient space.

    Attributes:
        shape_kji: Number of voxels along the axes k, j, i of the array (slice, row, column).
        ijk_to_ras: 4x4 matrix from voxel indices (i, j, k, 1) to RAS mm, float64 and read-only.

    Raises:
        ValueError: The shape has no voxels, the matrix is not a finite affine, or the axes are singular or not
            perpendicular (a sheared grid has no spacing to measure strain with).

    Example:
        Four slices of 3 mm, five rows of 2 mm, six columns of 1 mm:

        >>> geometry = Geometry((4, 5, 6), np.diag([1.0, 2.0, 3.0, 1.0]))
        >>> geometry.spacing_kji_mm.tolist()
        [3.0, 2.0, 1.0]
        >>> geometry.points_ras_mm([1, 1, 1]).tolist()
        [1.0, 2.0, 3.0]
        >>> geometry.origin_lps_mm.tolist() == [0, 0, 0]
        True
    """

    shape_kji: tuple[int, int, int]
    ijk_to_ras: np.ndarray

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape_kji)
        matrix = np.array(self.ijk_to_ras, dtype=np.float64)
        if len(shape) != 3 or min(shape) < 1:
            raise ValueError(f"The grid shape must have three positive sizes (k, j, i), not {shape}.")
        if matrix.shape != (4, 4) or not np.all(np.isfinite(matrix)) or not np.array_equal(matrix[3], [0, 0, 0, 1]):
            raise ValueError("The voxel-to-space matrix must be a finite 4x4 affine with last row 0 0 0 1.")
        spacing = np.linalg.norm(matrix[:3, :3], axis=0)
        if spacing.min() <= 0 or abs(np.linalg.det(matrix[:3, :3] / np.maximum(spacing, 1e-300))) < 0.5:
            raise ValueError("The direction matrix is singular: the voxel axes do not span space.")
        directions = matrix[:3, :3] / spacing
        skew = np.abs(directions.T @ directions - np.eye(3)).max()
        if skew > 1e-3:
            raise ValueError(f"The voxel axes are not perpendicular (skew {skew:.3f}, at most 0.001 is allowed).")
        matrix.setflags(write=False)
        object.__setattr__(self, "shape_kji", shape)
        object.__setattr__(self, "ijk_to_ras", matrix)

    @classmethod
    def from_lps(cls, shape_kji, origin_lps_mm, spacing_ijk_mm, direction_lps) -> Geometry:
        """A grid from ITK's description of it.

        Args:
            shape_kji: Number of voxels along k, j, i.
            origin_lps_mm: Center of voxel (0, 0, 0), (3,) in LPS mm.
            spacing_ijk_mm: Voxel sizes in mm in i, j, k order.
            direction_lps: 3x3 unit axes in LPS, columns i, j, k; nested or as nine numbers, row by row.

        Raises:
            ValueError: As for the class itself.
        """
        matrix = np.eye(4)
        matrix[:3, :3] = np.asarray(direction_lps, np.float64).reshape(3, 3) * np.asarray(spacing_ijk_mm, np.float64)
        matrix[:3, 3] = origin_lps_mm
        return cls(shape_kji, RAS_FROM_LPS @ matrix)

    @property
    def origin_lps_mm(self) -> np.ndarray:
        """Center of voxel (0, 0, 0) in LPS mm, as ITK wants it."""
        return flip_ras_lps(self.ijk_to_ras[:3, 3])

    @property
    def direction_lps(self) -> np.ndarray:
        """3x3 unit axes in LPS, columns i, j, k, as ITK wants it."""
        return (RAS_FROM_LPS[:3, :3] @ self.ijk_to_ras[:3, :3]) / self.spacing_ijk_mm

    @property
    def spacing_ijk_mm(self) -> np.ndarray:
        """Voxel sizes in mm, i, j, k order (matrix and ITK order)."""
        return np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0)

    @property
    def spacing_kji_mm(self) -> np.ndarray:
        """Voxel sizes in mm, k, j, i order (array order)."""
        return self.spacing_ijk_mm[::-1]

    @property
    def is_slice(self) -> bool:
        """Whether this is a single slice, stored along any axis."""
        return min(self.shape_kji) == 1

    @property
    def patient_mm(self) -> float:
        """What a length in mm that is meant for patients is multiplied with on this grid: 1, but a power of ten where
        the finest voxel is no patient's (micro-CT, or a header in another unit), as if it were 0.7 to 7 mm then.

        Example:
            >>> Geometry((4, 5, 6), np.diag([0.02, 0.02, 0.05, 1.0])).patient_mm
            0.01
        """
        finest = self.spacing_ijk_mm.min()
        if PATIENT_VOXEL_MM[0] <= finest <= PATIENT_VOXEL_MM[1]:
            return 1.0
        return float(f"1e{int(np.floor(np.log10(finest / 0.7 * (1 + 1e-6))))}")

    @property
    def ras_to_ijk(self) -> np.ndarray:
        """4x4 matrix from RAS mm to voxel indices (i, j, k, 1)."""
        return np.linalg.inv(self.ijk_to_ras)

    def agrees_with(self, other: Geometry, tolerance_mm: float = 1e-2) -> bool:
        """Whether both grids have the same shape and lie in the same place.

        Args:
            other: The grid to compare with.
            tolerance_mm: Largest distance allowed between corresponding corners, in patients (see `patient_mm`).
        """
        if self.shape_kji != other.shape_kji:
            return False
        return bool(np.abs(self.corners_ras_mm() - other.corners_ras_mm()).max() <= tolerance_mm * self.patient_mm)

    def distance_to(self, other: Geometry) -> tuple[float, float]:
        """How far the corner voxels of two grids, each with its own first and last indices, are apart.

        Args:
            other: The grid to compare with.

        Returns:
            The largest distance between centers, in mm, and the largest along an axis, in voxels of ``other``.
        """
        own, others = (
            np.stack(np.meshgrid(*[(0, n - 1) for n in grid.shape_kji[::-1]], indexing="ij"), -1).reshape(-1, 3)
            for grid in (self, other)
        )
        apart_mm = self.points_ras_mm(own) - other.points_ras_mm(others)
        apart_voxels = other.points_ijk(self.points_ras_mm(own)) - others
        return float(np.linalg.norm(apart_mm, axis=1).max()), float(np.abs(apart_voxels).max())

    def turn_like(self, other: Geometry) -> Turn:
        """The order and direction of this grid's axes in which they run along those of another, as well as they can.

        Args:
            other: The grid whose axes are wanted.
        """
        unit, other_unit = (grid.ijk_to_ras[:3, 2::-1] / grid.spacing_kji_mm for grid in (self, other))
        cosines = other_unit.T @ unit
        axes = max(permutations(range(3)), key=lambda order: np.abs(cosines[range(3), order]).sum())
        return Turn(axes, tuple(bool(cosines[n, axis] < 0) for n, axis in enumerate(axes)))

    def turned(self, turn: Turn) -> Geometry:
        """The same voxels with other axes.

        Args:
            turn: Which.
        """
        columns_kji, shape_kji = self.ijk_to_ras[:3, 2::-1], self.shape_kji
        matrix = self.ijk_to_ras.copy()
        for n, (axis, is_reversed) in enumerate(zip(turn.axes_kji, turn.reversed_kji, strict=True)):
            column = columns_kji[:, axis]
            matrix[:3, 2 - n] = -column if is_reversed else column
            if is_reversed:
                matrix[:3, 3] += column * (shape_kji[axis] - 1)
        return Geometry(tuple(shape_kji[axis] for axis in turn.axes_kji), matrix)

    def corners_ras_mm(self) -> np.ndarray:
        """(8, 3) RAS positions of the outer corners of the grid (voxel edges, not centers)."""
        edges = [(-0.5, n - 0.5) for n in self.shape_kji[::-1]]
        return self.points_ras_mm(np.stack(np.meshgrid(*edges, indexing="ij"), -1).reshape(-1, 3))

    def points_ras_mm(self, points_ijk: np.ndarray) -> np.ndarray:
        """Positions in space of points given in voxel indices.

        Args:
            points_ijk: (..., 3) voxel indices in i, j, k order; fractions and positions outside of the
                grid are allowed.

        Returns:
            (..., 3) in RAS mm.
        """
        return np.asarray(points_ijk) @ self.ijk_to_ras[:3, :3].T + self.ijk_to_ras[:3, 3]

    def points_ijk(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """Voxel indices of points in space, the inverse of `points_ras_mm`.

        Args:
            points_ras_mm: (..., 3) in RAS mm.

        Returns:
            (..., 3) voxel indices in i, j, k order, not rounded.

        Example:
            >>> Geometry((4, 5, 6), np.diag([1.0, 2.0, 4.0, 1.0])).points_ijk([1.0, 2.0, 6.0]).tolist()
            [1.0, 1.0, 1.5]
        """
        inverse = self.ras_to_ijk
        return np.asarray(points_ras_mm) @ inverse[:3, :3].T + inverse[:3, 3]

    def voxel_centers_ras_mm(self) -> np.ndarray:
        """(K, J, I, 3) RAS mm positions of all voxel centers."""
        indices = np.stack(np.meshgrid(*[np.arange(n) for n in self.shape_kji], indexing="ij"), -1)[..., ::-1]
        return self.points_ras_mm(indices)

    def spacing_along(self, other: Geometry) -> np.ndarray:
        """Voxel sizes in mm along those axes that are closest to the axes k, j, i of another grid.

        Args:
            other: A grid whose axes may have another order.

        Example:
            >>> sagittal = np.array([[0, 0, 3.0, 0], [1, 0, 0, 0], [0, 2, 0, 0], [0, 0, 0, 1]])
            >>> Geometry((4, 5, 6), sagittal).spacing_along(Geometry((4, 5, 6), np.eye(4))).tolist()
            [2.0, 1.0, 3.0]
        """
        cosines = np.abs(self.direction_lps.T @ other.direction_lps)
        return self.spacing_ijk_mm[cosines.argmax(axis=0)][::-1]

    def with_slice_axis_first(self) -> Geometry:
        """The same voxels with the axis across a single slice as k, the others in their order; a volume as it is.

        Example:
            >>> Geometry((5, 1, 6), np.diag([1.0, 2.0, 3.0, 1.0])).with_slice_axis_first().spacing_kji_mm.tolist()
            [2.0, 3.0, 1.0]
        """
        if not self.is_slice:
            return self
        axis = self.shape_kji.index(1)
        order = [axis, *(other for other in range(3) if other != axis)]
        columns = [2 - other for other in reversed(order)]
        return Geometry(tuple(self.shape_kji[n] for n in order), self.ijk_to_ras[:, [*columns, 3]])

    def resampled(self, spacing_kji_mm, shape_kji) -> Geometry:
        """A grid with the same axes and the same center, other voxel size and number of voxels.

        Args:
            spacing_kji_mm: New voxel sizes in mm in k, j, i order.
            shape_kji: New number of voxels in k, j, i order.

        Raises:
            ValueError: A size is not positive or the shape has no voxels.

        Example:
            >>> coarse = Geometry((4, 6, 8), np.eye(4)).resampled((2.0, 2.0, 2.0), (2, 3, 4))
            >>> coarse.spacing_kji_mm.tolist(), coarse.points_ras_mm([0, 0, 0]).tolist()
            ([2.0, 2.0, 2.0], [0.5, 0.5, 0.5])
        """
        spacing_ijk = np.asarray(spacing_kji_mm, np.float64)[::-1]
        shape = tuple(int(n) for n in shape_kji)
        matrix = np.eye(4)
        matrix[:3, :3] = self.ijk_to_ras[:3, :3] / self.spacing_ijk_mm * spacing_ijk
        center = self.points_ras_mm((np.array(self.shape_kji[::-1]) - 1) / 2)
        matrix[:3, 3] = center - matrix[:3, :3] @ ((np.array(shape[::-1]) - 1) / 2)
        return Geometry(shape, matrix)

    def padded(self, before_kji, after_kji) -> Geometry:
        """The same voxels with further ones in front of and behind each axis.

        Args:
            before_kji: Number of voxels to add before the first one along k, j, i.
            after_kji: Number of voxels to add behind the last one along k, j, i.

        Raises:
            ValueError: Negative numbers leave no voxels.

        Example:
            >>> wider = Geometry((4, 5, 6), np.eye(4)).padded((1, 0, 0), (1, 2, 3))
            >>> wider.shape_kji, wider.points_ras_mm([0, 0, 0]).tolist()
            ((6, 7, 9), [0.0, 0.0, -1.0])
        """
        before, after = np.asarray(before_kji, int), np.asarray(after_kji, int)
        matrix = self.ijk_to_ras.copy()
        matrix[:3, 3] = self.points_ras_mm(-before[::-1])
        return Geometry(tuple(np.array(self.shape_kji) + before + after), matrix)

    def displacement_ras_mm(self, displacement_grid: np.ndarray) -> np.ndarray:
        """A displacement in voxels of this grid as a displacement in mm, same direction of the mapping.

        Args:
            displacement_grid: (3, K, J, I) in voxels of this grid, channels k, j, i.

        Returns:
            (K, J, I, 3) float32 in RAS mm.

        Example:
            One voxel along k is one slice distance upwards:

            >>> one_slice = np.zeros((3, 1, 1, 1))
            >>> one_slice[0] = 1.0
            >>> Geometry((1, 1, 1), np.diag([1.0, 2.0, 3.0, 1.0])).displacement_ras_mm(one_slice).tolist()
            [[[[0.0, 0.0, 3.0]]]]
        """
        return np.stack(_mixed(self.ijk_to_ras[:3, :3], np.asarray(displacement_grid, np.float32)[::-1]), -1)

    def displacement_grid(self, displacement_ras_mm: np.ndarray) -> np.ndarray:
        """A displacement in mm as a displacement in voxels of this grid, the inverse of `displacement_ras_mm`.

        Args:
            displacement_ras_mm: (K, J, I, 3) in RAS mm.

        Returns:
            (3, K, J, I) float32 in voxels of this grid, channels k, j, i, same direction of the mapping.
        """
        components = np.moveaxis(np.asarray(displacement_ras_mm, np.float32), -1, 0)
        return np.stack(_mixed(self.ras_to_ijk[:3, :3], components)[::-1])


@dataclass(frozen=True)
class Turn:
    """Another order and direction of the axes of an array.

    Attributes:
        axes_kji: For each new axis, which of the old ones it is.
        reversed_kji: For each new axis, whether it runs the other way.
    """

    axes_kji: tuple[int, int, int]
    reversed_kji: tuple[bool, bool, bool]

    def applied_to(self, array_kji: np.ndarray) -> np.ndarray:
        """The array with the new axes.

        Args:
            array_kji: (K, J, I).
        """
        reverse = tuple(slice(None, None, -1 if is_reversed else 1) for is_reversed in self.reversed_kji)
        return np.ascontiguousarray(array_kji.transpose(self.axes_kji)[reverse])


def _mixed(matrix: np.ndarray, components: np.ndarray) -> list[np.ndarray]:
    """matrix @ components, one output component at a time.

    Written out because einsum and BLAS round differently for arrays at other addresses: equal runs must be equal.
    """
    matrix = matrix.astype(np.float32)
    return [row[0] * components[0] + row[1] * components[1] + row[2] * components[2] for row in matrix]


USUAL_AXES = Geometry((1, 1, 1), RAS_FROM_LPS)  # to the left, back and top, as most scanners store them
