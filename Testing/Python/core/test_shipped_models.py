"""The models that come with the module: complete, small, and they do what their cards say."""

import numpy as np
import pytest

from TissueElasticRegistrationLib.core.models.model_card import MODELS_FOLDER, list_cards
from TissueElasticRegistrationLib.core.models.model_pack import load_pack
from training.datasets.phantom_pairs import FIRST_TEST, phantom_pair
from training.evaluate import Model, accuracy, response
from training.phantoms.subject import TISSUE_NAMES
from training.validation import endpoint_error_mm

MAX_BYTES = 15_000_000
PACKS = [entry.folder for entry in list_cards(MODELS_FOLDER)]
MAPS = [folder for folder in PACKS if load_pack(folder).card.network.conditioning == "map"]
SPACING_MM = {2: 4.0, 3: 8.0}


def names(folder) -> str:
    return folder.name


@pytest.fixture(scope="module")
def phantoms():
    """One pair of each dimension that nothing was trained on, made when it is asked for."""
    made = {}

    def pair(dimension: int):
        if dimension not in made:
            made[dimension] = phantom_pair(dimension, FIRST_TEST + 3, SPACING_MM[dimension])
        return made[dimension]

    return pair


def test_models_for_any_tissues_come_with_the_module():
    assert {folder.name for folder in PACKS} == {"universal-2d", "universal-3d"}


@pytest.mark.parametrize("folder", PACKS, ids=names)
def test_pack_is_named_like_its_folder(folder):
    assert load_pack(folder).card.name == folder.name


def test_all_packs_together_are_small():
    assert sum(path.stat().st_size for folder in PACKS for path in folder.iterdir()) <= MAX_BYTES


@pytest.mark.parametrize("folder", PACKS, ids=names)
def test_network_alone_removes_half_of_the_displacement(folder, phantoms):
    model = Model(load_pack(folder))
    pair = phantoms(model.card.dimension)
    still = endpoint_error_mm(pair, 0 * model.displacement(pair, model.table()))
    scores = accuracy(model, pair)
    assert scores.epe_mm < 0.5 * still
    assert scores.folding_percent < 0.1


@pytest.mark.parametrize("label", TISSUE_NAMES, ids=TISSUE_NAMES.get)
@pytest.mark.parametrize("folder", MAPS, ids=names)
def test_shear_of_a_tissue_falls_along_its_mu(folder, label, phantoms, request):
    if (folder.name, TISSUE_NAMES[label]) == ("universal-3d", "bone"):
        reason = "known weakness: ribs are thinner than a voxel of the network, the ratio is 1.9"
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    model = Model(load_pack(folder))
    found = response(model, [phantoms(model.card.dimension)], label, parameter=1)
    assert found["ratio"] > 3
    assert found["falling_share"] >= 0.9
    assert np.isfinite(found["selectivity"])
