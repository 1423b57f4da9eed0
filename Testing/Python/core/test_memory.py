"""How much memory is announced before a registration."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from synthetic_pairs import volume_pair

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.data.images import Image, ImagePair
from TissueElasticRegistrationLib.core.preparation.memory import memory_text, needed_memory_gb
from TissueElasticRegistrationLib.core.registration.registrar import Registrar


def enlarged(shape_kji: tuple[int, int, int]) -> ImagePair:
    """Two images that occupy hardly any memory while the test runs: one row that is seen as all rows."""
    row = np.arange(shape_kji[-1], dtype=np.int16)
    array_kji = np.broadcast_to(row, shape_kji)
    image = Image(array_kji, Geometry(shape_kji, np.eye(4)))
    return replace(volume_pair(), fixed=image, moving=image, moving_segmentation=None)


@pytest.mark.parametrize("shape_kji", [(600, 512, 512), (100, 100, 100)])
def test_the_estimate_is_near_what_was_measured(shape_kji):
    measured_gb = {(600, 512, 512): 4.24, (100, 100, 100): 1.69}[shape_kji]
    assert needed_memory_gb(enlarged(shape_kji)) == pytest.approx(measured_gb, rel=0.2)


def test_a_coarser_registration_needs_less():
    pair = enlarged((200, 200, 200))
    assert needed_memory_gb(pair, 4.0) < needed_memory_gb(pair) - 1


def test_only_large_registrations_say_what_they_need_and_say_it_first():
    assert memory_text(volume_pair()) == ""
    assert next(Registrar(volume_pair()).prepare()).text == "aligning"
    large = enlarged((400, 400, 400))
    job = Registrar(large).prepare()
    assert next(job).text == f"aligning, {memory_text(large)}"
    assert "GB of memory" in memory_text(large)
    job.close()
