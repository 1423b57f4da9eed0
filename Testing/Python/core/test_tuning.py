"""From sliders and console values to parameters."""

from __future__ import annotations

import pytest

from TissueElasticRegistrationLib.core.data.tissues import Lame, Tissue, TissueParameters, with_distinct_names
from TissueElasticRegistrationLib.core.physics.parameter_scale import LogScale, PaperScale, SliderPositions
from TissueElasticRegistrationLib.core.physics.tuning import (
    by_id,
    moved_together,
    slider_shift,
    weights_at,
    with_values,
)

SCALE = LogScale()
TISSUES = (Tissue(0, "background"), Tissue(3, "Liver", "Segment_7"), Tissue(5, "rib", "Segment_2"))


def at(lam: float, mu: float) -> SliderPositions:
    return SliderPositions.of(Lame(lam, mu), SCALE)


def test_all_tissues_are_moved_by_their_own_factors():
    moved = moved_together({"a": at(1.0, 2.0), "b": at(0.5, 4.0)}, (), 1.0, -1.0)
    assert moved["a"] == pytest.approx(at(10.0, 0.2))
    assert moved["b"] == pytest.approx(at(5.0, 0.4))


def test_nothing_is_rounded_where_nothing_moves():
    positions = {"a": at(1.0, 2.0), "b": at(0.3, 77.7)}
    assert moved_together(positions, (), 0.0, 0.0) == positions


def test_locked_tissues_are_not_moved():
    positions = {"a": at(1.0, 2.0), "b": at(1.0, 2.0)}
    assert moved_together(positions, {"b"}, 1.0, 1.0)["b"] == positions["b"]


def test_moving_stops_at_the_ends_of_the_sliders():
    assert moved_together({"a": at(30.0, 0.05)}, (), 2.0, -2.0)["a"] == SliderPositions(1.0, 0.0)


def test_ten_times_the_weight_is_a_quarter_of_the_slider():
    assert slider_shift(1.0) == pytest.approx(SCALE.slider(10.0) - SCALE.slider(1.0))


def test_weights_are_those_of_the_scale_at_the_positions():
    positions = {"a": SliderPositions(0.3, 0.7), "b": SliderPositions(0.0, 1.0)}
    assert weights_at(positions, PaperScale()) == {"a": Lame(0.3, 0.7), "b": Lame(0.0, 1.0)}
    on_log = weights_at(positions, SCALE)
    assert on_log["a"] == Lame(10 ** (-1.7 + 4 * 0.3), 10 ** (-1.7 + 4 * 0.7))
    assert on_log["b"] == Lame(SCALE.lowest, SCALE.highest)


@pytest.mark.parametrize("key", ["Segment_7", "Liver", "liver"])
@pytest.mark.parametrize("value", [(3.0, 4.0), Lame(3.0, 4.0)])
def test_values_are_found_by_id_and_name(key, value):
    parameters = with_values(TissueParameters({3: Lame(1, 1), 5: Lame(9, 9)}), TISSUES, {key: value})
    assert parameters[3] == Lame(3.0, 4.0)
    assert parameters[5] == Lame(9, 9)


def test_unknown_tissues_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="'spleen'.*'Liver', 'rib'"):
        with_values(TissueParameters(), TISSUES, {"spleen": (1, 1)})


@pytest.mark.parametrize("key", ["Left", "Segment_2"])
def test_key_that_fits_two_tissues_is_refused(key):
    """A name that two segments have, and a name that is the ID of another one."""
    left = with_distinct_names((Tissue(1, "Left", "a", "Lung"), Tissue(2, "Left", "b")))
    crossed = (Tissue(3, "Segment_2", "Segment_1"), Tissue(4, "bone", "Segment_2"))
    with pytest.raises(ValueError, match=rf"^'{key}' fits several tissues, '.*'\); use an ID or a name"):
        with_values(TissueParameters(), (*left, *crossed), {key: (30, 30)})


def test_keys_are_ids_only_where_unknown_ones_are_ignored():
    crossed = (Tissue(3, "Segment_2", "Segment_1"), Tissue(4, "bone", "Segment_2"))
    parameters = with_values(TissueParameters(), crossed, {"Segment_2": (30, 30)}, ignore_unknown=True)
    assert parameters.by_label == {4: Lame(30, 30)}


def test_tissue_with_two_values_is_refused():
    with pytest.raises(ValueError, match="'liver' and 'Segment_7' are the same tissue"):
        with_values(TissueParameters(), TISSUES, {"liver": (1, 1), "Segment_7": (2, 2)})


def test_unknown_tissues_can_be_ignored():
    parameters = with_values(TissueParameters(), TISSUES, {"spleen": (9, 9), "Segment_2": (2, 3)}, ignore_unknown=True)
    assert parameters.by_label == {5: Lame(2, 3)}


def test_parameters_by_id_cover_every_tissue():
    parameters = TissueParameters({3: Lame(2, 3)}, default=Lame(7, 8))
    assert by_id(parameters, TISSUES) == {"0": Lame(7, 8), "Segment_7": Lame(2, 3), "Segment_2": Lame(7, 8)}
