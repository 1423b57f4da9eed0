"""Names that segmentation tools and people give to segments find the start values of their tissue.

``segment_names.json`` has, for each tool, names by the preset that they should find; those under "" say nothing.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from TissueElasticRegistrationLib.core.data.tissues import Tissue
from TissueElasticRegistrationLib.core.physics import tissue_presets
from TissueElasticRegistrationLib.core.physics.tissue_presets import PRESETS, table_weight, understood

WORDS = json.loads(Path(tissue_presets.__file__).with_name("tissue_words.json").read_text(encoding="utf-8"))
NAMES = json.loads(Path(__file__).with_name("segment_names.json").read_text(encoding="utf-8"))
WEIGHTS = {preset.label: preset.weight for preset in PRESETS}
FIRST_RANKS = range(1, 7)  # of the words that the first versions knew


def names_of(tool: str, kind: str) -> list[str]:
    text = NAMES[tool].get(kind, "")
    return text.split("|") if "|" in text else text.split()


@pytest.mark.parametrize(("tool", "kind"), [(tool, kind) for tool in NAMES for kind in NAMES[tool]])
def test_names_find_the_start_values_of_their_tissue(tool, kind):
    found = {name: table_weight(name) if understood(Tissue(1, name)) else None for name in names_of(tool, kind)}
    expected = WEIGHTS.get(kind)
    assert found and {name: weight for name, weight in found.items() if weight != expected} == {}


@pytest.mark.parametrize(
    ("tool", "share"),
    [
        ("TotalSegmentator, CT", 1.0),
        ("TotalSegmentator, other tasks", 1.0),
        ("Slicer, general anatomy", 0.8),
        ("FreeSurfer, SynthSeg", 0.85),
        ("TG-263, RTSTRUCT", 0.9),
        ("German", 0.9),
        ("French", 0.9),
        ("Spanish", 0.9),
        ("Italian", 0.9),
    ],
)
def test_share_of_names_that_are_understood(tool, share):
    names = [name for kind in NAMES[tool] for name in names_of(tool, kind)]
    assert sum(understood(Tissue(1, name)) for name in names) >= share * len(names)


def test_words_known_from_the_first_decide_as_ever(monkeypatch):
    """Words that came later have ranks behind the first ones: no name that was understood has another start value."""
    names = [name for tool in NAMES for kind in NAMES[tool] for name in names_of(tool, kind)]
    now = {name: table_weight(name) for name in names}
    first = {word: entry for word, entry in tissue_presets.vocabulary().items() if entry.rank in FIRST_RANKS}
    monkeypatch.setattr(tissue_presets, "_VOCABULARY", first)
    then = {name: table_weight(name) for name in names if understood(Tissue(1, name))}
    assert len(then) > 300 and {name: (weight, now[name]) for name, weight in then.items() if weight != now[name]} == {}


def test_file_has_words_for_every_preset():
    assert list(WORDS["words"]) == [preset.label for preset in PRESETS]
    assert WORDS.keys() == {"words", "only_beside"}


def test_no_word_is_listed_twice():
    words = [
        word
        for ranks in WORDS["words"].values()
        for languages in ranks.values()
        for text in languages.values()
        for word in text.split()
    ]
    assert len(words) == len(set(words)) == len(tissue_presets.vocabulary()) > 800


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("RibLeft7", "Bone"),
        ("rib_left-7", "Bone"),
        ("RIPPEN", "Bone"),
        ("Schädel", "Bone"),
        ("Scha\u0308del", "Bone"),
        ("SCHAEDEL", "Bone"),
        ("Gefäß", "Soft tissue"),
        ("cœur", "Soft tissue"),
        ("frontal sinus", "Air"),
        ("venous sinus", "Soft tissue"),
        ("left renal pelvis", "Fluid"),
    ],
)
def test_spelling_does_not_matter(name, kind):
    assert understood(Tissue(1, name)) and table_weight(name) == WEIGHTS[kind]


@pytest.mark.parametrize("name", ["ribosome", "Bonesoft2", "lungfish", "Leberwurst", "carbone", "sinus", "vent", "DC"])
def test_parts_of_words_and_words_alone_that_need_another_are_not_understood(name):
    assert not understood(Tissue(1, name))
