"""The turns from which a rigid alignment may start."""

from __future__ import annotations

import numpy as np
from synthetic_pairs import rotation

from TissueElasticRegistrationLib.core.preparation.turns import turns


def test_turns_are_rotations_and_none_is_there_twice():
    found = turns()
    np.testing.assert_allclose(found @ found.transpose(0, 2, 1), np.broadcast_to(np.eye(3), found.shape), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(found), 1)
    assert len({tuple(np.round(turn.ravel(), 6) + 0.0) for turn in found}) == len(found) == 72
    np.testing.assert_array_equal(found[0], np.eye(3))


def test_prone_on_a_side_and_feet_first_are_among_them():
    for angles in ((90, 0, 0), (0, 180, 0), (0, 0, 270), (180, 0, 0), (90, 180, 0)):
        assert np.abs(turns() - rotation(*angles)).max((1, 2)).min() < 1e-9


def test_no_rotation_is_far_from_one_of_them():
    generator = np.random.default_rng(2)
    for _ in range(300):
        wanted = np.linalg.qr(generator.normal(size=(3, 3)))[0]
        wanted *= np.sign(np.linalg.det(wanted))
        angle = np.arccos(np.clip((np.einsum("nij,ij->n", turns(), wanted).max() - 1) / 2, -1, 1))
        assert np.degrees(angle) < 45
