"""Turning arrays to anatomical axes and vectors back."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from synthetic_pairs import rotation

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.models.orientation import AxisOrder, axis_order

SIGNS = (1, -1)
RAS = np.eye(3)
ORDERS = [(order, signs) for order in itertools.permutations(range(3)) for signs in itertools.product(SIGNS, repeat=3)]


def geometry(order, signs, angles=(0, 0, 0), shape=(4, 6, 8)) -> Geometry:
    """Axes i, j, k along the given RAS axes, turned a little."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(*angles) @ (RAS[:, order] * np.array(signs)) * [1.5, 2.0, 3.0]
    return Geometry(shape, matrix)


@pytest.mark.parametrize(("order", "signs"), ORDERS)
@pytest.mark.parametrize("angles", [(0, 0, 0), (12, -20, 15)])
def test_every_volume_is_turned_to_superior_posterior_left(order, signs, angles):
    grid = geometry(order, signs, angles)
    ras = torch.tensor(np.moveaxis(grid.voxel_centers_ras_mm() @ rotation(*angles), -1, 0)[None])
    turned = axis_order(grid, "SPL", 3).turned(ras)
    for axis, (component, sign) in enumerate(((2, 1), (1, -1), (0, -1))):
        steps = torch.diff(turned[:, component], dim=axis + 1)
        assert (sign * steps > 0).all()


@pytest.mark.parametrize(("order", "signs"), ORDERS)
def test_every_slice_is_turned_to_how_it_is_looked_at(order, signs):
    """Superior is up, or anterior in axial slices; the patient's right is left, or anterior in sagittal ones."""
    grid = geometry(order, signs, (5, 8, -6))
    ras = torch.tensor(np.moveaxis(grid.voxel_centers_ras_mm(), -1, 0))[:, :1].movedim(0, 1)
    turned = axis_order(grid, "radiological", 2).turned(ras)[0]
    down, right = {0: ((2, -1), (1, -1)), 1: ((2, -1), (0, -1)), 2: ((1, -1), (0, -1))}[order[2]]
    assert (down[1] * torch.diff(turned[down[0]], dim=0) > 0).all()
    assert (right[1] * torch.diff(turned[right[0]], dim=1) > 0).all()


@pytest.mark.parametrize("dimension", [2, 3])
def test_any_orientation_is_left_as_it_is(dimension):
    x = torch.rand(1, dimension, *(3, 4, 5)[:dimension])
    order = axis_order(geometry((1, 2, 0), (1, -1, -1)), "any", dimension)
    assert torch.equal(order.turned(x), x)
    assert torch.equal(order.vectors_back(x), x)


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("flipped", list(itertools.product((False, True), repeat=3)))
def test_vectors_come_back_to_where_and_whither_they_pointed(axes, flipped):
    """The gradient of a turned image, turned back, is the gradient of the image."""
    image = torch.rand(1, 1, 5, 6, 7, dtype=torch.float64)
    order = AxisOrder(axes, flipped)

    def gradient(x):
        return torch.stack(torch.gradient(x[:, 0], dim=(1, 2, 3)), 1)

    torch.testing.assert_close(order.vectors_back(gradient(order.turned(image))), gradient(image))
