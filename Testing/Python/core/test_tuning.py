"""From sliders and console values to parameters."""

from __future__ import annotations

import pytest

from TissueElasticRegistrationLib.core.data.tissues import Lame, Tissue, TissueParameters
from TissueElasticRegistrationLib.core.physics.parameter_scale import LogScale
from TissueElasticRegistrationLib.core.physics.tuning import by_id, scaled_together, with_values

SCALE = LogScale()
TISSUES = (Tissue(0, "background"), Tissue(3, "Liver", "Segment_7"), Tissue(5, "rib", "Segment_2"))


def test_all_tissues_are_scaled_by_their_own_factors():
    scaled = scaled_together({"a": Lame(1.0, 2.0), "b": Lame(0.5, 4.0)}, (), 1.0, -1.0, SCALE)
    assert scaled["a"].lam == pytest.approx(10) and scaled["a"].mu == pytest.approx(0.2)
    assert scaled["b"].lam == pytest.approx(5) and scaled["b"].mu == pytest.approx(0.4)


def test_locked_tissues_are_not_scaled():
    values = {"a": Lame(1.0, 2.0), "b": Lame(1.0, 2.0)}
    assert scaled_together(values, {"b"}, 1.0, 1.0, SCALE)["b"] == values["b"]


def test_scaling_stays_within_the_range_of_the_scale():
    scaled = scaled_together({"a": Lame(30.0, 0.05)}, (), 2.0, -2.0, SCALE)["a"]
    assert scaled == Lame(SCALE.highest, SCALE.lowest)


@pytest.mark.parametrize("key", ["Segment_7", "Liver", "liver"])
@pytest.mark.parametrize("value", [(3.0, 4.0), Lame(3.0, 4.0)])
def test_values_are_found_by_id_and_name(key, value):
    parameters = with_values(TissueParameters({3: Lame(1, 1), 5: Lame(9, 9)}), TISSUES, {key: value})
    assert parameters[3] == Lame(3.0, 4.0)
    assert parameters[5] == Lame(9, 9)


def test_unknown_tissues_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="'spleen'.*'Liver', 'rib'"):
        with_values(TissueParameters(), TISSUES, {"spleen": (1, 1)})


def test_unknown_tissues_can_be_ignored():
    parameters = with_values(TissueParameters(), TISSUES, {"spleen": (9, 9), "rib": (2, 3)}, ignore_unknown=True)
    assert parameters.by_label == {5: Lame(2, 3)}


def test_parameters_by_id_cover_every_tissue():
    parameters = TissueParameters({3: Lame(2, 3)}, default=Lame(7, 8))
    assert by_id(parameters, TISSUES) == {"0": Lame(7, 8), "Segment_7": Lame(2, 3), "Segment_2": Lame(7, 8)}
