"""Following the sliders, with the mouse: what moves in the views, when, and what stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import slicer
import slicer.util
from host.event_loop import run_loop
from host.mouse import click, drag, type_value
from host.scene_builders import count_events, node_ids
from panel_case import PanelCase, add_pair, pause
from synthetic_pairs import volume_pair

from TissueElasticRegistrationLib.core.data.progress import finish
from TissueElasticRegistrationLib.core.data.tissues import Lame
from TissueElasticRegistrationLib.core.physics.tuning import with_values
from TissueElasticRegistrationLib.core.registration.registrar import Registrar
from TissueElasticRegistrationLib.core.registration.threads import thread_count
from TissueElasticRegistrationLib.scene.display.views import current_layers
from TissueElasticRegistrationLib.scene.nodes import InputNodes
from TissueElasticRegistrationLib.scene.read import read_pair

SOFT, LIVER, BONE = "id_soft", "id_liver", "id_bone"


def displacement(panel: PanelCase) -> np.ndarray:
    """(K, J, I, 3) RAS mm: a copy of what the moving volume is under."""
    return slicer.util.arrayFromGridTransform(panel.transform).copy()


def followed(inputs: InputNodes, *all_values: Mapping[str, Lame]) -> list[np.ndarray]:
    """What a loop over `Registrar.live` shows last for each of these values in turn."""
    pair = read_pair(*inputs)
    registrar = Registrar(pair, threads=thread_count(pair.fixed.geometry.shape_kji, spare=1))
    finish(registrar.prepare())
    shown = []
    for values in all_values:
        parameters = with_values(registrar.table_parameters(), registrar.tissues, values)
        frames = [item for item in registrar.live(parameters) if hasattr(item, "displacement_ras_mm")]
        shown.append(frames[-1].displacement_ras_mm)
    return shown


def mm(displacement_ras_mm: np.ndarray) -> float:
    """Root mean square of the vectors' lengths."""
    return float(np.sqrt((displacement_ras_mm**2).sum(-1).mean()))


def drag_and_look(panel: PanelCase, slider, fraction: float, look: Callable[[], object]) -> list:
    """What ``look`` returns after each of five moves of a slider, before the button is released.

    After each move the panel gets time to show it, a second at most.
    """
    shown, seen = count_events(panel.transform, slicer.vtkMRMLTransformableNode.TransformModifiedEvent), []

    def between() -> None:
        before = len(shown)
        run_loop(lambda: len(shown) > before, 1.0)
        pause(0.02)
        seen.append(look())

    drag(slider, fraction, 5, between)
    return seen


def test_inputs_are_chosen_with_the_mouse(panel):
    panel.choose_inputs()
    chosen = [
        getattr(panel.parameters, name)
        for name in (
            "fixedVolume",
            "movingVolume",
            "segmentation",
            "movingSegmentation",
            "fixedLandmarks",
            "movingLandmarks",
        )
    ]
    assert chosen == list(panel.nodes)
    assert panel.ui.applyButton.enabled
    assert panel.ui.estimatePushButton.enabled
    assert panel.tissue(LIVER, "mu").visible


def test_choosing_inputs_computes_and_shows_nothing(panel):
    layers, nodes = current_layers(slicer.mrmlScene), node_ids(slicer.mrmlScene)
    panel.choose_inputs()
    assert panel.widget.panel.control.activity.value == "idle"
    assert current_layers(slicer.mrmlScene) == layers
    assert len(node_ids(slicer.mrmlScene) - nodes) <= 1  # the parameter node


def test_the_picture_changes_while_a_slider_is_dragged(panel):
    panel.choose_inputs()
    panel.switch_live_on()
    pictures = [panel.pixels(), *drag_and_look(panel, panel.tissue(SOFT, "mu"), 0.95, panel.pixels)]
    changes = sum((one != other).any() for one, other in zip(pictures, pictures[1:], strict=False))
    assert changes >= 3


def test_while_dragging_one_transform_is_rewritten_in_place(panel):
    panel.choose_inputs()
    panel.switch_live_on()
    nodes = node_ids(slicer.mrmlScene)

    def look():
        grid = panel.transform.GetTransformFromParent()
        return panel.transform, grid, grid.GetDisplacementGrid(), displacement(panel)

    seen = drag_and_look(panel, panel.tissue(SOFT, "mu"), 0.95, look)
    for part in range(3):
        assert len({id(what[part]) for what in seen}) == 1
    assert len({what[3].tobytes() for what in seen}) >= 3
    panel.rest()
    assert node_ids(slicer.mrmlScene) == nodes


def test_a_new_value_is_shown_as_a_loop_over_the_registrar_shows_it(panel):
    panel.choose_inputs()
    panel.switch_live_on()
    first = displacement(panel)
    type_value(panel.tissue(LIVER, "muBox"), "90")
    panel.rest()
    expected = followed(panel.nodes, {}, {"liver": Lame(float(panel.tissue(LIVER, "lambdaBox").text), 90.0)})
    np.testing.assert_array_equal(first, expected[0])
    np.testing.assert_array_equal(displacement(panel), expected[1])
    assert mm(expected[1] - expected[0]) > 0.5


def test_after_a_drag_the_newest_value_is_shown(panel):
    panel.choose_inputs()
    panel.switch_live_on()
    first = displacement(panel)
    drag(panel.tissue(SOFT, "mu"), 0.05)
    drag(panel.tissue(SOFT, "mu"), 0.95)
    panel.rest()
    weight = panel.stored_weights[1][SOFT]
    assert weight > 90
    expected = followed(panel.nodes, {}, {"soft": Lame(1.0, weight)})
    np.testing.assert_array_equal(displacement(panel), expected[1])
    assert mm(expected[1] - first) > 0.5
    assert panel.ui.liveStatusLabel.text.startswith("Up to date after ")


def test_live_off_stops(panel):
    panel.choose_inputs()
    panel.switch_live_on()
    type_value(panel.tissue(LIVER, "muBox"), "90")
    panel.wait(lambda: panel.activity == "live")
    click(panel.ui.liveCheckBox)
    panel.wait(lambda: panel.activity == "idle", 0.5)
    pause(0.1)
    left = displacement(panel)
    drag(panel.tissue(BONE, "mu"), 0.1)
    pause(0.3)
    np.testing.assert_array_equal(displacement(panel), left)
    assert not panel.ui.liveStatusLabel.visible
    assert not panel.parameters.live


def test_the_status_tells_the_progress_and_then_the_time(panel):
    panel.choose_inputs()
    click(panel.ui.liveCheckBox)
    panel.wait(lambda: panel.ui.liveStatusLabel.text.startswith("Registering: "))
    panel.rest()
    words = panel.ui.liveStatusLabel.text.split()
    assert words[:3] == ["Up", "to", "date"]
    assert 0 < float(words[4]) < 60


def test_live_shows_the_pair(panel):
    panel.choose_inputs()
    panel.switch_live_on()
    for layers in current_layers(slicer.mrmlScene).values():
        assert layers[:2] == (panel.nodes.fixed.GetID(), panel.nodes.moving.GetID())
        assert layers.foreground_opacity == 0.5


def test_sliders_leave_the_layers_to_the_user(panel):
    panel.choose_inputs()
    panel.switch_live_on()
    slicer.util.setSliceViewerLayers(background=panel.nodes.moving, foreground=None, label=None)
    layers = current_layers(slicer.mrmlScene)
    drag(panel.tissue(LIVER, "mu"), 0.95)
    panel.rest()
    drag(panel.ui.allMuSlider, 0.7)
    panel.rest()
    assert current_layers(slicer.mrmlScene) == layers


def test_before_stays_before_while_sliders_move(panel):
    panel.choose_inputs()
    panel.switch_live_on()
    click(panel.ui.deformedCheckBox)
    panel.rest()
    before = panel.pixels()
    drag(panel.tissue(LIVER, "mu"), 0.95)
    panel.rest()
    assert panel.transform is None
    np.testing.assert_array_equal(panel.pixels(), before)


def test_a_volume_is_shown_soon_and_then_better(panel):
    slicer.mrmlScene.Clear()
    panel.nodes = add_pair(slicer.mrmlScene, volume_pair())
    panel.choose_inputs()
    panel.switch_live_on()
    first, shown = displacement(panel), []
    tag = panel.transform.AddObserver(
        slicer.vtkMRMLTransformableNode.TransformModifiedEvent, lambda *_: shown.append(displacement(panel))
    )
    type_value(panel.tissue(SOFT, "muBox"), "90")
    panel.rest()
    panel.transform.RemoveObserver(tag)
    left = [mm(what - shown[-1]) for what in (first, *shown)]
    assert len(shown) >= 3
    assert left[0] > left[1] > left[-1]
    assert left[1] >= left[-2]  # the best of the last steps may be the one that is shown already
