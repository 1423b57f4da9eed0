"""Segments that overlap: what contains others gives way to them, and it is said."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from TissueElasticRegistrationLib.core.data.segment_layers import merge_segments
from TissueElasticRegistrationLib.core.data.tissues import Tissue

SHAPE = (5, 9, 11)


def block(*ranges) -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[tuple(slice(*one) for one in ranges)] = 7
    return mask


BODY = block((0, 5), (1, 9), (0, 10))
LUNG = block((1, 4), (2, 7), (1, 6))
TUMOR = block((2, 3), (3, 5), (2, 4))
BONE = block((0, 2), (7, 9), (6, 10))
MASKS = {"body": BODY, "lung": LUNG, "tumor": TUMOR, "bone": BONE}


def merged(names):
    result = merge_segments([(MASKS[name], 7) for name in names], SHAPE)
    return result, np.array(["", *names])[result.labels_kji]


@pytest.mark.parametrize("names", list(permutations(MASKS)), ids=", ".join)
def test_contents_stay_whatever_the_order(names):
    result, shown = merged(names)
    expected = np.full(SHAPE, "", "<U5")
    for name in ("body", "lung", "tumor", "bone"):
        expected[MASKS[name] > 0] = name
    np.testing.assert_array_equal(shown, expected)
    assert not result.covered


def test_segment_that_gives_way_is_named_with_what_it_contains():
    result, _ = merged(("lung", "bone", "body"))
    tissues = [Tissue(label, name) for label, name in enumerate(("lung", "bone", "body"), start=1)]
    assert result.notes(tissues) == ("'body' contains 'lung', 'bone' and is only what lies around.",)


def test_segment_that_is_listed_before_its_contents_needs_no_word():
    assert merged(("body", "lung", "tumor", "bone"))[0].notes(()) == ()


def test_contents_may_stick_out_a_little():
    body = BODY.copy()
    body[1, 2, 1:4] = 0  # 3 of 75 voxels of the lung
    result = merge_segments([(LUNG, 7), (body, 7)], SHAPE)
    np.testing.assert_array_equal(result.labels_kji == 1, LUNG > 0)


def test_of_segments_that_overlap_in_part_the_later_one_wins():
    other = block((1, 4), (2, 7), (4, 9))
    result = merge_segments([(LUNG, 7), (other, 7)], SHAPE)
    np.testing.assert_array_equal(result.labels_kji == 2, other > 0)
    assert not result.given_way


def test_of_equal_segments_the_later_one_wins_and_it_is_said():
    result = merge_segments([(LUNG, 7), (LUNG, 7)], SHAPE)
    np.testing.assert_array_equal(result.labels_kji == 2, LUNG > 0)
    names = [Tissue(1, "first"), Tissue(2, "second")]
    assert result.notes(names) == ("Segments that come later in the list cover all voxels of 'first'.",)


def test_segments_of_one_layer_and_empty_ones_keep_their_labels():
    layer = np.where(LUNG > 0, 3, 0) + np.where((BONE > 0) & (LUNG == 0), 5, 0)
    result = merge_segments([(layer, 5), None, (layer, 9), (layer, 3)], SHAPE)
    np.testing.assert_array_equal(result.labels_kji, np.array([0, 0, 0, 4, 0, 1])[layer])
    assert result.given_way == {} and result.covered == ()
