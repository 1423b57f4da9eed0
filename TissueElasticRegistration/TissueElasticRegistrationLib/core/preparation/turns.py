"""Rotations that cover all of them about evenly, for scans whose patients lie in any way."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np


def turns() -> np.ndarray:
    """The rotations of a cube and of an icosahedron: no rotation is farther than 45 degrees from one of them.

    Those of the cube are how patients are turned (prone, on a side, feet first), the others fill the gaps.

    Returns:
        (72, 3, 3) rotation matrices, no rotation first.
    """
    return np.concatenate([_cube(), _icosahedron()])


def _cube() -> np.ndarray:
    """24 matrices of one 1 or -1 in each row and column."""
    signed = [np.diag(signs) @ np.eye(3)[list(order)] for order in permutations(range(3)) for signs in _signs(3)]
    return np.array([matrix for matrix in signed if np.linalg.det(matrix) > 0])


def _icosahedron() -> np.ndarray:
    """48 matrices, from unit icosians (quaternions); the other 12 are rotations of the cube as well."""
    golden = (1 + np.sqrt(5)) / 2
    even = [order for order in permutations(range(4)) if np.linalg.det(np.eye(4)[list(order)]) > 0]
    quaternions = []
    for signs in _signs(3):
        parts = 0.5 * np.array([0.0, signs[0] / golden, signs[1], signs[2] * golden])
        quaternions += [parts[list(order)] for order in even]
    # A quaternion and its negative are one rotation.
    positive = [q for q in quaternions if q[np.flatnonzero(np.abs(q) > 1e-9)[0]] > 0]
    return np.array([_matrix(q) for q in positive])


def _signs(count: int) -> list[tuple[int, ...]]:
    return list(product((1, -1), repeat=count))


def _matrix(quaternion: np.ndarray) -> np.ndarray:
    w, x, y, z = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
