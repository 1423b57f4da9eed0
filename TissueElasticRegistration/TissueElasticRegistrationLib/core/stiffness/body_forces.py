"""The unknown forces that may have moved the body: smooth ones everywhere, and a constant one in every tissue."""

from __future__ import annotations

from itertools import product

import numpy as np

from .finite_elements import FiniteElementBody

SMOOTH, CONSTANT = 0, 1
NODES_APART = {2: 6, 3: 4}  # from one smooth force to the next


def unknown_forces(body: FiniteElementBody) -> tuple[np.ndarray, np.ndarray]:
    """The forces that may act on a body, each for a force density of 1.

    The constant ones are the weight of each tissue, in an unknown direction and with an unknown density.

    Args:
        body: The body, with F free unknowns.

    Returns:
        (F, M) forces on the free unknowns, and (M,) their groups, SMOOTH or CONSTANT.
    """
    volumes = body.node_volumes_mm[body.free]
    whole = volumes.sum(axis=1)
    positions = np.argwhere(body.free.reshape(body.shape)) / NODES_APART[body.dimension]
    columns, groups = [], []
    lowest, highest = np.floor(positions.min(axis=0)), np.ceil(positions.max(axis=0))
    for knot in product(*[np.arange(a, b + 1) for a, b in zip(lowest, highest, strict=True)]):
        share = np.prod(np.clip(1 - np.abs(positions - knot), 0, None), axis=1)
        if (share > 0).any():
            columns.append(share * whole)
            groups.append(SMOOTH)
    for part in volumes.T:
        columns.append(part)
        groups.append(CONSTANT)
    along = np.eye(body.dimension)
    forces = np.einsum("cn,de->ndce", np.array(columns), along).reshape(body.unknowns, -1)
    return forces, np.repeat(groups, body.dimension)


def length_mm(body: FiniteElementBody) -> float:
    """The length over which a smooth force changes."""
    return float(np.mean(body.size_mm)) * NODES_APART[body.dimension]
