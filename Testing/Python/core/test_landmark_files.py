"""Landmarks from csv files."""

from __future__ import annotations

import numpy as np
import pytest
from oblique_data import sentence

from TissueElasticRegistrationLib.core.files.landmark_files import read_landmarks


def test_landmarks_are_read_in_any_column_order_and_turned_to_ras(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text(
        "\ufeffmoving_z, Name,fixed_x,fixed_y,fixed_z,moving_x,moving_y\n6,carina,1,2,3,4,5\n\n12,,7,8,9,10,11\n"
    )
    landmarks = read_landmarks(path)
    np.testing.assert_array_equal(landmarks.fixed_ras_mm, [[-1, -2, 3], [-7, -8, 9]])
    np.testing.assert_array_equal(landmarks.moving_ras_mm, [[-4, -5, 6], [-10, -11, 12]])
    assert landmarks.names == ("carina", "2")


HEADER = "fixed_x,fixed_y,fixed_z,moving_x,moving_y,moving_z\n"


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "columns"),
        (b"x,y,z\n1,2,3\n", "columns"),
        (HEADER.encode(), "no landmarks"),
        (HEADER.replace("moving_z", "fixed_z").encode() + b"1,2,3,4,5,6\n", "moving_z"),
        (HEADER.encode() + b"1,2,3,4,5\n", "moving_z"),
        (HEADER.encode() + b"1,2,a,4,5,6\n", "line 2: fixed_z is 'a'"),
        (HEADER.encode() + b"1,2,nan,4,5,6\n", "finite"),
        (b"\xff\xfe\x00\x81", "csv"),
        (b"\x1f\x8b\x08\x00\x9c", "csv"),
    ],
)
def test_unusable_landmark_file_is_refused(tmp_path, content, word):
    path = tmp_path / "points.csv"
    path.write_bytes(content)
    message = sentence(lambda: read_landmarks(path))
    assert str(path) in message and word in message


def test_missing_landmark_file_is_refused(tmp_path):
    assert "file not found" in sentence(lambda: read_landmarks(tmp_path / "points.csv"))
