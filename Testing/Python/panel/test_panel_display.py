"""The section Display, used with the mouse: what the slice views show, and that they show the former picture again."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from host.event_loop import run_loop
from host.mouse import choose, click, drag
from host.qt_binding import QtCore, QtTest
from host.scene_builders import node_ids
from panel_case import add_phantom, phantom
from scipy.ndimage import map_coordinates

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.evaluation.metrics import jacobian_determinant_kji
from TissueElasticRegistrationLib.scene.display.views import current_layers
from TissueElasticRegistrationLib.scene.write.live_transform import show_displacement

LOWEST_HU, MAX_HU = -1000.0, 1000.0
GRAY_STEPS = 3.0  # rounding of the volumes, of the resampling and of the blending


@pytest.fixture
def registered(panel):
    """The phantom with its true deformation as result, chosen in the panel; only the volumes are in the views."""
    for node in panel.nodes[2:]:
        node.GetDisplayNode().SetVisibility(False)
    for volume in panel.nodes[:2]:
        volume.GetDisplayNode().SetAutoWindowLevel(False)
        volume.GetDisplayNode().SetWindowLevelMinMax(LOWEST_HU, MAX_HU)
    panel.result = show_displacement(panel.nodes, *true_displacement())
    panel.choose_inputs()
    drag(panel.ui.fadeSlider, 0.5)
    panel.rest()
    return panel


def true_displacement() -> tuple[np.ndarray, Geometry]:
    """In three equal layers, as the registration of a slice writes it."""
    matrix = phantom().fixed.geometry.ijk_to_ras.copy()
    matrix[:3, 3] -= matrix[:3, 2]
    displacement_ras_mm = np.repeat(phantom().displacement_ras_mm, 3, 0)
    return displacement_ras_mm, Geometry(displacement_ras_mm.shape[:3], matrix)


def sampled(array_kji: np.ndarray, points_ras_mm: np.ndarray) -> np.ndarray:
    """Linear interpolation in the phantom's slice, NaN within one voxel of the border."""
    geometry = phantom().fixed.geometry
    ijk = points_ras_mm @ np.linalg.inv(geometry.ijk_to_ras)[:3, :3].T + np.linalg.inv(geometry.ijk_to_ras)[:3, 3]
    inside = np.all((ijk[:, :2] > 1) & (ijk[:, :2] < np.array(array_kji.shape[2:0:-1]) - 2), -1)
    values = map_coordinates(array_kji[0].astype(float), [ijk[:, 1], ijk[:, 0]], order=1)
    return np.where(inside, values, np.nan)


def deformed(points_ras_mm: np.ndarray) -> np.ndarray:
    """Where the moving image shows what the fixed one shows at these points."""
    return points_ras_mm + np.stack(
        [sampled(phantom().displacement_ras_mm[..., n], points_ras_mm) for n in range(3)], -1
    )


def grays(array_kji: np.ndarray, points_ras_mm: np.ndarray) -> np.ndarray:
    """What a view should show of a volume at these points."""
    return 255 * np.clip((sampled(array_kji, points_ras_mm) - LOWEST_HU) / (MAX_HU - LOWEST_HU), 0, 1)


def assert_shows(panel, expected) -> None:
    """``expected`` of the points: gray values, NaN where anything goes."""
    points, colors = panel.probe()
    wanted = expected(points)
    known = np.isfinite(wanted)
    assert known.sum() > 500
    error = np.abs(colors[known] - wanted[known, None])
    assert error.max() <= GRAY_STEPS, (error.max(), error.mean())


def fade_to(panel, fraction: float) -> None:
    drag(panel.ui.fadeSlider, fraction)
    panel.rest()


def fixed_at(points):
    return grays(phantom().fixed.array_kji, points)


def moving_at(points):
    return grays(phantom().moving.array_kji, points)


def test_fade_goes_from_the_fixed_to_the_deformed_moving_volume(registered):
    fade_to(registered, 0.0)
    assert_shows(registered, fixed_at)
    fade_to(registered, 1.0)
    assert_shows(registered, lambda points: moving_at(deformed(points)))


def test_half_way_both_volumes_are_mixed(registered):
    fade_to(registered, 1.0)
    fade_to(registered, 0.5)
    part = registered.ui.fadeSlider.value / 100
    assert 0.4 < part < 0.6
    assert_shows(registered, lambda points: (1 - part) * fixed_at(points) + part * moving_at(deformed(points)))


def test_before_and_after(registered):
    fade_to(registered, 1.0)
    after = registered.pixels()
    click(registered.ui.deformedCheckBox)
    registered.rest()
    assert_shows(registered, moving_at)
    assert registered.transform is None
    click(registered.ui.deformedCheckBox)
    registered.rest()
    assert registered.transform is registered.result
    np.testing.assert_array_equal(registered.pixels(), after)


def test_difference_is_gray_where_both_are_equal(registered):
    fade_to(registered, 0.6)
    before, nodes = registered.pixels(), node_ids(slicer.mrmlScene)
    click(registered.ui.differenceCheckBox)
    registered.rest()
    assert_shows(registered, lambda points: 128 + (fixed_at(points) - moving_at(deformed(points))) / 2)
    click(registered.ui.differenceCheckBox)
    registered.rest()
    np.testing.assert_array_equal(registered.pixels(), before)
    assert node_ids(slicer.mrmlScene) == nodes


def test_jacobian_is_blue_where_space_shrinks_and_red_where_it_grows(registered):
    fade_to(registered, 1.0)
    before, nodes = registered.pixels(), node_ids(slicer.mrmlScene)
    click(registered.ui.jacobianCheckBox)
    registered.rest()
    points, colors = registered.probe()
    displacement_ras_mm, geometry = true_displacement()
    change = sampled(jacobian_determinant_kji(geometry.displacement_grid(displacement_ras_mm))[1:2], points) - 1
    redness = colors[:, 0] - colors[:, 2]
    assert (redness[change > 0.1] > 0).all()
    assert (redness[change < -0.1] < 0).all()
    assert min((change > 0.1).sum(), (change < -0.1).sum()) > 50
    click(registered.ui.jacobianCheckBox)
    registered.rest()
    np.testing.assert_array_equal(registered.pixels(), before)
    assert node_ids(slicer.mrmlScene) == nodes


def test_the_grid_is_drawn_over_the_slices(registered):
    fade_to(registered, 0.6)
    before, nodes = registered.pixels(), node_ids(slicer.mrmlScene)
    click(registered.ui.gridCheckBox)
    registered.rest()
    assert colorful(registered.pixels()) > 2000
    click(registered.ui.gridCheckBox)
    registered.rest()
    np.testing.assert_array_equal(registered.pixels(), before)
    assert node_ids(slicer.mrmlScene) - nodes == {registered.result.GetDisplayNodeID()}


def colorful(pixels: np.ndarray) -> int:
    """How many pixels are not gray."""
    return int((np.ptp(pixels.astype(int), axis=-1) > 40).sum())


def flickering(panel) -> list[np.ndarray]:
    """The different pictures that the view shows in one and a half seconds."""
    pictures: list[np.ndarray] = []

    def look() -> bool:
        if not pictures or (pictures[-1] != panel.pixels()).any():
            pictures.append(panel.pixels())
        return False

    run_loop(look, 1.6)
    return pictures


def test_flicker_shows_both_volumes_in_turn(registered):
    fade_to(registered, 0.3)
    before = registered.pixels()
    fade_to(registered, 0.0)
    only_fixed = registered.pixels()
    fade_to(registered, 1.0)
    only_moving = registered.pixels()
    fade_to(registered, 0.3)
    click(registered.ui.flickerButton)
    pictures = flickering(registered)
    assert len(pictures) >= 3
    for number, picture in enumerate(pictures[1:]):
        np.testing.assert_array_equal(picture, [only_moving, only_fixed][number % 2])
    click(registered.ui.flickerButton)
    registered.rest()
    np.testing.assert_array_equal(registered.pixels(), before)
    assert len(flickering(registered)) == 1


def test_flicker_has_a_key(registered):
    registered.window.activateWindow()
    registered.wait(lambda: registered.window.isActiveWindow, 2.0)
    QtTest.QTest.keyClick(registered.window, "F", QtCore.Qt.ControlModifier | QtCore.Qt.ShiftModifier)
    registered.wait(lambda: registered.ui.flickerButton.checked, 2.0)
    assert len(flickering(registered)) >= 3


def test_everything_at_once_can_be_switched_off_again(registered):
    fade_to(registered, 0.7)
    before, nodes = registered.pixels(), node_ids(slicer.mrmlScene)
    boxes = [getattr(registered.ui, f"{name}CheckBox") for name in ("difference", "jacobian", "grid")]
    for box in boxes:
        click(box)
        registered.rest()
    for box in boxes:
        click(box)
        registered.rest()
    np.testing.assert_array_equal(registered.pixels(), before)
    assert node_ids(slicer.mrmlScene) - nodes == {registered.result.GetDisplayNodeID()}


@pytest.mark.parametrize("name", ["difference", "jacobian"])
def test_the_users_own_layers_come_back(registered, name):
    slicer.util.setSliceViewerLayers(background=registered.nodes.moving, foreground=None)
    registered.rest()
    before, layers = registered.pixels(), current_layers(slicer.mrmlScene)
    box = getattr(registered.ui, f"{name}CheckBox")
    click(box)
    registered.rest()
    assert (registered.pixels() != before).any()
    click(box)
    registered.rest()
    assert current_layers(slicer.mrmlScene) == layers
    np.testing.assert_array_equal(registered.pixels(), before)


def test_the_users_own_layers_come_back_after_flickering(registered):
    slicer.util.setSliceViewerLayers(background=registered.nodes.moving, foreground=None)
    layers = current_layers(slicer.mrmlScene)
    click(registered.ui.flickerButton)
    assert len(flickering(registered)) >= 2
    click(registered.ui.flickerButton)
    assert current_layers(slicer.mrmlScene) == layers


def test_a_difference_ends_though_an_image_is_gone(registered):
    display = registered.nodes.fixed.GetDisplayNode()
    colors = display.GetColorNodeID()
    click(registered.ui.differenceCheckBox)
    registered.rest()
    assert display.GetColorNodeID() != colors
    slicer.mrmlScene.RemoveNode(registered.nodes.moving)
    registered.rest()
    click(registered.ui.differenceCheckBox)
    registered.rest()
    assert display.GetColorNodeID() == colors


def test_a_jacobian_is_shown_as_soon_as_there_is_one(panel):
    for node in panel.nodes[2:]:
        node.GetDisplayNode().SetVisibility(False)
    panel.choose_inputs()
    click(panel.ui.jacobianCheckBox)
    panel.rest()
    assert colorful(panel.pixels()) == 0
    panel.switch_live_on()
    assert colorful(panel.pixels()) > 500


def test_overlays_of_one_pair_go_when_another_is_chosen(registered):
    for name in ("grid", "jacobian"):
        click(getattr(registered.ui, f"{name}CheckBox"))
        registered.rest()
    assert colorful(registered.pixels()) > 2000
    other = add_phantom(slicer.mrmlScene, "other ", seed=6)
    for node in other[2:]:
        node.GetDisplayNode().SetVisibility(False)
    choose(registered.ui.fixedSelector, "other fixed")
    registered.rest()
    assert colorful(registered.pixels()) == 0


def test_layers_that_the_user_changes_meanwhile_stay(registered):
    click(registered.ui.differenceCheckBox)
    registered.rest()
    slicer.util.setSliceViewerLayers(background=registered.nodes.moving, foreground=None)
    click(registered.ui.differenceCheckBox)
    registered.rest()
    for layers in current_layers(slicer.mrmlScene).values():
        assert layers[:2] == (registered.nodes.moving.GetID(), None)


def test_a_fade_that_is_chosen_meanwhile_stays(registered):
    fade_to(registered, 0.9)
    expected = registered.pixels()
    fade_to(registered, 0.3)
    click(registered.ui.jacobianCheckBox)
    registered.rest()
    fade_to(registered, 0.9)
    click(registered.ui.jacobianCheckBox)
    registered.rest()
    np.testing.assert_array_equal(registered.pixels(), expected)
