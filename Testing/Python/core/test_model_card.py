"""Cards of models: listed, found and compared with a pair without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from networks import awake, model_card

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.data.tissues import BACKGROUND_ID, UNSEGMENTED_ID, Tissue
from TissueElasticRegistrationLib.core.models.model_card import DIRECT, list_cards, pack_folder, pack_state, read_card
from TissueElasticRegistrationLib.core.models.model_fit import fit_problem
from TissueElasticRegistrationLib.core.models.model_pack import save_pack
from TissueElasticRegistrationLib.core.models.network import NetworkConfig

MODULE = Path(__file__).resolve().parents[3] / "TissueElasticRegistration"
TINY = {"encoder": (4, 4), "decoder": (4, 4), "final": (4,), "hyper_widths": (4,)}
MAP_2D, MAP_3D, ADAPTIVE = NetworkConfig(2, **TINY), NetworkConfig(3, **TINY), NetworkConfig(2, "hyper", 6, **TINY)
ADAPTIVE_CARD = {"tissues": ("body", "lung", "bone"), "rest": ("Muscle",), "scale": "paper"}
TISSUES = (Tissue(0, "air", BACKGROUND_ID), Tissue(1, "Lung"), Tissue(2, "bone"), Tissue(3, "rest", UNSEGMENTED_ID))


@pytest.fixture
def folder(tmp_path) -> Path:
    save_pack(tmp_path / "b", awake(MAP_2D), model_card(MAP_2D, name="b"))
    save_pack(tmp_path / "a", awake(ADAPTIVE), model_card(ADAPTIVE, name="a", **ADAPTIVE_CARD))
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "card.json").write_text("{}")
    return tmp_path


def grid(shape_kji, spacing_kji_mm) -> Geometry:
    return Geometry(shape_kji, np.diag([*spacing_kji_mm[::-1], 1.0]))


SLICE, THICK = grid((1, 64, 48), (8.0, 2.0, 2.0)), grid((10, 64, 48), (8.0, 2.0, 2.0))
VOLUME = grid((40, 64, 48), (2.5, 2.0, 2.0))


def test_cards_are_listed_without_their_weights(folder):
    for place in ("a", "b"):
        (folder / place / "weights.pt").unlink()
    entries = list_cards(folder)
    assert [entry.card and entry.card.name for entry in entries] == ["a", "b", None]
    assert entries[2].problem == "Model pack 'c': card.json is not a valid model card."


def test_listing_and_comparing_needs_no_torch(folder):
    program = f"""
import sys; sys.path.insert(0, {str(MODULE)!r})
import numpy as np
from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.models.model_card import list_cards, pack_state
from TissueElasticRegistrationLib.core.models.model_fit import fit_problem
entries = list_cards({str(folder)!r})
print(pack_state({str(folder / "a")!r}) is not None, len(entries))
print(fit_problem(entries[1].card, Geometry((1, 64, 48), np.eye(4)), None, ()))
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "3", "None", "False"]


def test_a_path_is_a_folder_and_anything_else_a_name(folder):
    assert pack_folder(str(folder / "a")) == folder / "a"
    assert pack_folder("models\\mine") == Path("models\\mine")
    with pytest.raises(ValueError, match="Model 'b' not found"):
        pack_folder("b")


def test_the_state_of_a_pack_changes_with_its_files(folder):
    states = [pack_state(str(folder / "b"))]
    save_pack(folder / "b", awake(MAP_2D, seed=1), model_card(MAP_2D, name="b", version="1.1"))
    states.append(pack_state(str(folder / "b")))
    (folder / "b" / "weights.pt").unlink()
    states.append(pack_state(str(folder / "b")))
    assert len(set(states)) == 3 and states[2] is None
    assert pack_state(DIRECT) is None


@pytest.mark.parametrize(
    ("config", "fixed", "fits"),
    [
        (MAP_2D, SLICE, True),
        (MAP_2D, THICK, True),
        (MAP_2D, VOLUME, False),
        (MAP_3D, SLICE, False),
        (MAP_3D, THICK, True),
        (MAP_3D, VOLUME, True),
    ],
)
def test_a_model_fits_images_of_its_dimension_and_a_2d_one_thick_slices(config, fixed, fits):
    problem = fit_problem(model_card(config), fixed, None, TISSUES)
    assert (problem is None) == fits
    assert fits or "supports" in problem


def test_coarser_voxels_make_thick_slices_a_volume():
    card = model_card(MAP_2D)
    assert fit_problem(card, THICK, 2.0, TISSUES) is None
    assert "supports single slices" in fit_problem(card, THICK, 4.0, TISSUES)


def test_tissues_fit_by_name_and_what_has_no_segment_fits_always(folder):
    card = read_card(folder / "a")
    assert fit_problem(card, SLICE, None, (*TISSUES, Tissue(4, "muscle"))) is None
    problem = fit_problem(card, SLICE, None, (*TISSUES, Tissue(4, "spleen")))
    assert problem == "The model 'a' supports only the tissues body, lung, bone, not 'spleen'."
