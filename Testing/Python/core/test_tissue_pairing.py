"""Which tissue of the moving segmentation is which of the fixed one, and what is said about those without one."""

from __future__ import annotations

import numpy as np
import pytest

from TissueElasticRegistrationLib.core.data.geometry import Geometry
from TissueElasticRegistrationLib.core.data.images import Image, ImagePair, Segmentation
from TissueElasticRegistrationLib.core.data.tissue_pairing import pair_tissues
from TissueElasticRegistrationLib.core.data.tissues import Tissue, with_distinct_names


def tissues(text: str) -> tuple[Tissue, ...]:
    """Tissues with labels 1, 2, ...; "name:id:terminology, ...", where id and terminology may be left out."""
    parts = [(*entry.strip().split(":"), "", "")[:3] for entry in text.split(",")]
    return with_distinct_names(
        [Tissue(label, name, key, terminology) for label, (name, key, terminology) in enumerate(parts, start=1)]
    )


@pytest.mark.parametrize(
    ("fixed", "moving", "pairs"),
    [
        pytest.param("lung, bone", "BONE, Lung", {1: 2, 2: 1}, id="names, whatever the case"),
        pytest.param("Lunge links", "lunge  LINKS", {1: 1}, id="names, whatever the spaces"),
        pytest.param("Schädel", "Scha\u0308del", {1: 1}, id="names, however the accent is encoded"),
        pytest.param("lung:Segment_1, bone:Segment_2", "bone:Segment_1, lung:Segment_2", {1: 2, 2: 1}, id="not by IDs"),
        pytest.param("lung:x, bone:y", "bone:x, lung:y", {1: 2, 2: 1}, id="a name before an ID"),
        pytest.param(
            "Left:Segment_1:Lung, Left:Segment_2:Rib, Right:Segment_3:Lung",
            "Left:Segment_1:Rib, Right:Segment_2:Lung, Left:Segment_3:Lung",
            {1: 2, 2: 3, 3: 1},
            id="terminology tells namesakes apart",
        ),
        pytest.param("Left:a, Left:b, bone:c", "Left:b, Left:a, bone:z", {1: 2, 2: 1, 3: 3}, id="so do IDs"),
        pytest.param("Left:Segment_1, Left:Segment_2", "Left:Segment_2, Left:Segment_1", {1: 2, 2: 1}, id="all IDs"),
        pytest.param("Left:a, Left:b", "Left:b", {1: 2}, id="one of two namesakes"),
        pytest.param("Left:Segment_1, Left:Segment_2", "Left:Segment_1", {}, id="not by half of automatic IDs"),
        pytest.param("Left:Segment_1:Lung, Left:Segment_2:Rib", "Left:Segment_1:Rib, Left:Segment_2:Rib", {}, id="no"),
        pytest.param("Left:a:Lung", "other:a:Rib", {}, id="not against the terminology"),
        pytest.param("liver:organ-5, bone:b", "Leber:organ-5, bone:b", {1: 1, 2: 2}, id="ID where names differ"),
        pytest.param("Segment_1::Rib, lung", "Rippe::Rib, lung", {1: 1, 2: 2}, id="terminology where names differ"),
        pytest.param("a::Rib, b::Rib", "c::Rib, d", {}, id="not by a terminology of two"),
        pytest.param("lung, bone, soft", "1, 2, 3", {1: 1, 2: 2, 3: 3}, id="labels where one side has numbers"),
        pytest.param("1, 2", "lung:Segment_1, bone:Segment_2", {1: 1, 2: 2}, id="the same the other way round"),
        pytest.param("lung, bone, liver", "1, 2", {1: 1, 2: 2}, id="labels of which one is missing"),
        pytest.param("lung, bone", "Lunge, Knochen", {}, id="not by labels where both have names"),
        pytest.param("lung, bone, soft", "lung, 2, 3", {1: 1}, id="not by half"),
    ],
)
def test_counterparts(fixed, moving, pairs):
    assert pair_tissues(tissues(fixed), tissues(moving)).counterparts == pairs


def test_labels_do_not_pair_where_each_side_has_other_ones():
    moving = (Tissue(10, "10"), Tissue(20, "20"))
    assert pair_tissues(tissues("lung, bone"), moving).counterparts == {}


@pytest.mark.parametrize(
    ("fixed", "moving", "said"),
    [
        ("lung, bone", "bone, lung", ()),
        ("lung, bone", "1, 2", ("equal label values", "'lung = 1', 'bone = 2'")),
        ("Segment_1::Rib", "Rippe::Rib", ("'Segment_1' is compared with 'Rippe' because the terminology is the same",)),
        ("liver:x", "Leber:x", ("'liver' is compared with 'Leber' because the ID is the same",)),
        ("Left:Segment_1, Left:Segment_2", "Left:Segment_3", ("segments called 'Left' are not compared",)),
    ],
)
def test_pairs_that_names_did_not_make_are_said(fixed, moving, said):
    notes = " ".join(pair_tissues(tissues(fixed), tissues(moving)).notes)
    assert bool(notes) == bool(said) and all(part in notes for part in said), notes


# ---- in a pair of images -------------------------------------------------------------------------

SHAPE = (4, 5, 6)


def segmentation(listed: tuple[Tissue, ...], labels: dict[int, int], notes: tuple[str, ...] = ()) -> Segmentation:
    """``labels``: slice -> label in it."""
    labels_kji = np.zeros(SHAPE, np.uint8)
    for k, label in labels.items():
        labels_kji[k, 1:4, 2:] = label
    return Segmentation(labels_kji, Geometry(SHAPE, np.eye(4)), listed, notes=notes)


def pair_of(fixed: Segmentation, moving: Segmentation | None) -> ImagePair:
    image = Image(np.arange(120.0).reshape(SHAPE), Geometry(SHAPE, np.eye(4)))
    return ImagePair(image, image, fixed, moving)


def test_moving_labels_become_those_of_their_counterparts():
    fixed = segmentation((Tissue(1, "Lung", "a"), Tissue(205, "bone", "b")), {0: 1, 1: 205})
    moving = segmentation((Tissue(1, "BONE", "x"), Tissue(3, "lung", "y"), Tissue(4, "tumor", "z")), {0: 3, 1: 1, 2: 4})
    matched = pair_of(fixed, moving).matched_moving_segmentation
    np.testing.assert_array_equal(matched.labels_kji[:3, 2, 3], [1, 205, 206])
    assert [(tissue.name, tissue.label) for tissue in matched.tissues] == [("BONE", 205), ("lung", 1), ("tumor", 206)]


def test_segmentation_with_the_same_labels_is_not_copied():
    fixed = segmentation(tissues("lung, bone"), {0: 1, 1: 2})
    assert pair_of(fixed, fixed).matched_moving_segmentation is fixed


@pytest.mark.parametrize(
    ("moving", "said"),
    [
        ({0: 1, 1: 2}, []),
        ({0: 1}, ["The moving segmentation has no counterpart of 'bone'"]),
        ({0: 1, 1: 2, 2: 3}, ["The fixed segmentation has no counterpart of 'tumor'"]),
    ],
)
def test_what_has_no_counterpart_is_listed(moving, said):
    """A tissue without a voxel is none: the moving segmentation names all three of them each time."""
    pair = pair_of(
        segmentation(tissues("lung, bone"), {0: 1, 1: 2}), segmentation(tissues("lung, bone, tumor"), moving)
    )
    assert [sentence[: len(part)] for sentence, part in zip(pair.segmentation_notes, said, strict=True)] == said


def test_long_lists_are_counted():
    names = ", ".join(f"organ{number}" for number in range(1, 13))
    labels_kji = np.arange(120, dtype=np.uint8).reshape(SHAPE) % 13
    many = Segmentation(labels_kji, Geometry(SHAPE, np.eye(4)), tissues(names))
    (note,) = pair_of(segmentation(tissues("organ1"), {0: 1}), many).segmentation_notes
    assert "'organ9' and 3 more, so" in note


def test_notes_of_both_segmentations_are_passed_on():
    fixed, moving = (segmentation(tissues("lung"), {0: 1}, notes=(note,)) for note in ("One.", "Two."))
    assert pair_of(fixed, moving).segmentation_notes == ("One.", "Two.")
    assert pair_of(fixed, None).segmentation_notes == ("One.",)
