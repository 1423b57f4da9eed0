"""Tissues, their parameters, the two scales of the sliders and the table of start values."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from TissueElasticRegistrationLib.core.data.tissues import (
    BACKGROUND,
    UNSEGMENTED_ID,
    Lame,
    Tissue,
    TissueParameters,
    find_tissue,
    with_distinct_names,
)
from TissueElasticRegistrationLib.core.physics.parameter_scale import (
    SCALES,
    LogScale,
    PaperScale,
    SliderPositions,
    check_parameters,
    clipped,
    rescaled,
    with_equal_ratio,
)
from TissueElasticRegistrationLib.core.physics.tissue_presets import (
    AIR,
    BONE,
    FLUID,
    HEART_MUSCLE,
    LIVER,
    LUNG,
    NOTHING_UNDERSTOOD,
    PRESETS,
    SOFT,
    from_table,
    names_warning,
    soft_stiffness,
    start_weight,
    table_parameters,
    table_weight,
    understood,
    unknown_segments,
)

# ---- Lamé parameters ----------------------------------------------------------------------------


def test_poisson_ratio_and_stiffness_of_known_materials():
    assert Lame(1, 1).poisson_ratio == pytest.approx(0.25)
    assert Lame(0, 1).poisson_ratio == 0
    assert Lame(1, 0).poisson_ratio == pytest.approx(0.5)
    assert Lame(1, 1).stiffness == pytest.approx(2.5)
    assert Lame(0, 3).stiffness == pytest.approx(6)  # E = 2 μ for ν = 0


def test_stiffness_and_poisson_ratio_give_the_parameters_back():
    lame = Lame(3.7, 0.9)
    young, nu = lame.stiffness, lame.poisson_ratio
    assert young * nu / ((1 + nu) * (1 - 2 * nu)) == pytest.approx(lame.lam)
    assert young / (2 * (1 + nu)) == pytest.approx(lame.mu)


def test_no_stiffness_has_no_poisson_ratio():
    assert math.isnan(Lame(0, 0).poisson_ratio) and Lame(0, 0).stiffness == 0


@pytest.mark.parametrize(
    ("lam", "mu", "symbol"), [(-0.1, 1, "λ"), (1, -1e-9, "μ"), (math.nan, 1, "λ"), (1, math.inf, "μ")]
)
def test_impossible_parameters_are_refused(lam, mu, symbol):
    with pytest.raises(ValueError, match=symbol):
        Lame(lam, mu)


def test_maps_put_the_parameters_where_the_labels_are():
    parameters = TissueParameters({1: Lame(2, 3), 5: Lame(4, 6)}, default=Lame(7, 8))
    labels = torch.tensor([[0, 1, 5], [5, 2, 1]], dtype=torch.uint8)
    lam, mu = parameters.maps(labels)
    assert lam.tolist() == [[7, 2, 4], [4, 7, 2]] and mu.tolist() == [[8, 3, 6], [6, 8, 3]]
    assert lam.dtype == torch.float32 and lam.shape == labels.shape


def test_changing_one_tissue_leaves_the_original_alone():
    parameters = TissueParameters({1: Lame(2, 3)})
    changed = parameters.with_tissue(1, Lame(9, 9)).with_tissue(4, Lame(5, 5))
    assert (parameters[1], changed[1], changed[4], changed[2]) == (Lame(2, 3), Lame(9, 9), Lame(5, 5), Lame(1, 1))


def test_tissue_is_known_by_its_label_unless_it_has_an_id():
    assert Tissue(3, "bone").id == "3" and Tissue(3, "bone", "Segment_1").id == "Segment_1"


def test_tissue_is_found_by_id_or_name():
    tissues = (Tissue(1, "Left Lung", "Segment_1"), Tissue(2, "bone"))
    assert find_tissue(tissues, "Segment_1").label == 1
    assert find_tissue(tissues, "left LUNG").label == 1
    assert find_tissue(tissues, "2").label == 2


@pytest.mark.parametrize(
    ("key", "label"), [("a", 1), ("Left (Lung)", 1), ("left (b)", 2), ("LUNG  (l)", 3), ("Scha\u0308del", 4)]
)
def test_tissues_of_one_name_are_found_by_what_tells_them_apart(key, label):
    tissues = (Tissue(1, "Left", "a", "Lung"), Tissue(2, "Left", "b"), Tissue(3, "Lung (l)"), Tissue(4, "Schädel"))
    assert find_tissue(with_distinct_names(tissues), key).label == label


@pytest.mark.parametrize(
    ("described", "names"),
    [
        ([("lung", "x", "Lung"), ("bone", "y", "")], ["lung", "bone"]),
        ([("Left", "x", "Lung"), ("left", "y", "Rib")], ["Left (Lung)", "left (Rib)"]),
        ([("Left", "x", "Lung"), ("Left", "y", "Lung")], ["Left (x)", "Left (y)"]),
        ([("Left", "x", "Lung"), ("Left", "y", "")], ["Left (Lung)", "Left (y)"]),
        ([("Unsegmented", "x", ""), ("unsegmented", UNSEGMENTED_ID, "")], ["Unsegmented (x)", "unsegmented"]),
        ([("background", "x", ""), ("lung", "y", "")], ["background (x)", "lung"]),
        ([("background", "0", ""), ("lung", "y", "")], ["background", "lung"]),
    ],
)
def test_names_of_several_tissues_are_completed(described, names):
    tissues = with_distinct_names([Tissue(9, name, key, terminology) for name, key, terminology in described])
    assert [tissue.name for tissue in tissues] == names
    assert [tissue.segment_name for tissue in tissues] == [name for name, _, _ in described]


def test_unknown_tissue_is_refused_naming_the_known_ones():
    with pytest.raises(ValueError, match="'spleen'.*'lung', 'bone'"):
        find_tissue((Tissue(1, "lung"), Tissue(2, "bone")), "spleen")


# ---- scales -------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
def test_slider_and_weight_are_inverse(scale):
    for step in range(11):
        assert scale.slider(scale.weight(step / 10)) == pytest.approx(step / 10)
    assert (scale.weight(0), scale.weight(1)) == (pytest.approx(scale.lowest), pytest.approx(scale.highest))


def test_log_scale_spans_four_decades_in_equal_steps():
    scale = LogScale()
    assert scale.weight(0.425) == pytest.approx(1)
    assert scale.weight(0.75) / scale.weight(0.5) == pytest.approx(10)


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
@pytest.mark.parametrize("slider", [-0.01, 1.01, math.nan])
def test_slider_outside_of_its_range_is_refused(scale, slider):
    with pytest.raises(ValueError, match="0 to 1"):
        scale.weight(slider)


def test_weight_outside_of_the_range_is_clipped_on_the_slider():
    assert LogScale().slider(0) == 0 and LogScale().slider(1e9) == 1 and PaperScale().slider(3) == 1


def test_paper_scale_takes_the_similarity_weight_of_equation_1():
    lam, mu = torch.tensor([0.0, 0.25, 1.0]), torch.tensor([0.0, 0.5, 1.0])
    assert PaperScale().similarity_weight(lam, mu).tolist() == [2.0, 1.25, 0.0]
    assert LogScale().similarity_weight(lam, mu) == 1


def test_weights_survive_the_way_to_a_slider_and_back_in_what_is_computed_with():
    """Only the last bits of the double differ, which the maps of λ and μ do not have."""
    weights = np.concatenate([np.arange(0.02, 1, 0.001), np.arange(1, 199, 0.1), [preset.weight for preset in PRESETS]])
    positions = [SliderPositions.of(Lame(weight, 1.0), LogScale()) for weight in weights]
    back = [place.weights(LogScale()).lam for place in positions]
    np.testing.assert_allclose(back, weights, rtol=2e-15)
    np.testing.assert_array_equal(np.float32(back), np.float32(weights))


def test_parameters_keep_their_slider_positions_on_another_scale():
    log, paper = LogScale(), PaperScale()
    assert rescaled(Lame(log.weight(0.3), log.weight(0.8)), log, paper).mu == pytest.approx(0.8)
    assert rescaled(Lame(0.3, 0.8), paper, log).lam == pytest.approx(log.weight(0.3))


def test_parameters_out_of_range_are_refused_naming_the_tissue():
    with pytest.raises(ValueError, match="μ = 1.5 of tissue 'bone'.*0 to 1 .*paper"):
        check_parameters(TissueParameters({3: Lame(0.5, 1.5)}), PaperScale(), {3: "bone"})
    with pytest.raises(ValueError, match="λ = 0.001 of tissue '3'.*0.02 to 199.5"):
        check_parameters(TissueParameters({3: Lame(0.001, 1)}), LogScale(), {})


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
def test_ends_of_the_range_are_allowed(scale):
    ends = TissueParameters({1: Lame(scale.weight(0), scale.weight(1)), 2: Lame(scale.weight(1), scale.weight(0))})
    check_parameters(ends, scale, {})


def test_parameters_are_clipped_to_the_range():
    scale = LogScale()
    assert clipped(Lame(0, 1e9), scale) == Lame(scale.lowest, scale.highest)
    assert clipped(Lame(3.7, 0.9), scale) == Lame(3.7, 0.9)


@pytest.mark.parametrize("after", [Lame(8, 1), Lame(2, 4)], ids=["λ moved", "μ moved"])
def test_ratio_is_kept_when_one_weight_moves(after):
    assert with_equal_ratio(Lame(2, 1), after, LogScale()) == Lame(8, 4)


@pytest.mark.parametrize(
    ("after", "stops"),
    [
        (Lame(150, 20), Lame(50, 199.526)),
        (Lame(0.02, 20), Lame(0.02, 0.08)),
        (Lame(5, 1000), Lame(50, 199.526)),
        (Lame(5, 0.02), Lame(0.02, 0.08)),
    ],
)
def test_linked_weights_stop_where_the_first_reaches_the_end(after, stops):
    kept = with_equal_ratio(Lame(5, 20), after, LogScale())
    assert (kept.lam, kept.mu) == (pytest.approx(stops.lam, rel=0.01), pytest.approx(stops.mu, rel=0.01))
    assert kept.lam / kept.mu == pytest.approx(0.25)


def test_without_a_ratio_only_one_weight_moves():
    assert with_equal_ratio(Lame(0, 0.5), Lame(0.3, 0.5), PaperScale()) == Lame(0.3, 0.5)


# ---- table --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weight", "names"),
    [
        (
            BONE,
            "bone|Bones|BONE|rib_left_7|Ribs|vertebrae_L5|vertebrae_S1|vertebra|vertebral body|sacrum|"
            "hip_left|femur_right|humerus_left|scapula_left|clavicula_right|sternum|costal_cartilages|skull|"
            "pelvis|cortical bone|Left Femur|LeftFemur|femoral head|thoracic spine|skeleton",
        ),
        (
            LUNG,
            "lung|Lungs|left lung|lung_upper_lobe_left|lung_lower_lobe_right|right middle lobe|trachea|"
            "airways|LeftLung",
        ),
        (LIVER, "liver|Liver segment 4|left lobe of liver"),
        (HEART_MUSCLE, "heart_myocardium|LV myocardium|Myocardium"),
        (
            FLUID,
            "urinary_bladder|gallbladder|heart_atrium_left|heart_ventricle_right|LV cavity|lateral ventricle|"
            "blood pool|pleural effusion|CSF|renal pelvis",
        ),
        (AIR, "air|bowel gas|background|outside"),
        (
            SOFT,
            "soft|soft tissue|body|spleen|kidney_left|stomach|pancreas|adrenal_gland_right|esophagus|"
            "small_bowel|duodenum|colon|prostate|brain|heart|aorta|"
            "pulmonary_vein|inferior_vena_cava|portal_vein_and_splenic_vein|iliac_artery_left|femoral artery|"
            "spinal_cord|spinal cord|vertebral canal|intervertebral_discs|gluteus_maximus_left|"
            "autochthon_right|iliopsoas_left|thyroid_gland|thyroid lobe|temporal lobe|hippocampus|"
            "hippocampus left|lung tumor|lung_nodules|bladder wall|intercostal muscle|bone marrow|skin|"
            "fibrillin|chip|Segment_1|1|",
        ),
    ],
)
def test_table_knows_the_usual_names(weight, names):
    wrong = {name: table_weight(name) for name in names.split("|") if table_weight(name) != weight}
    assert not wrong


def test_terminology_speaks_where_the_name_says_nothing():
    assert table_weight("Segment_3", "Rib Left") == BONE
    assert table_weight("Segment_3", "") == SOFT


@pytest.mark.parametrize(
    "name",
    [
        "Segment_1",
        "segment 2",
        "SEGMENT_13",
        "Label 3",
        "Label_4",
        "region 1",
        "Region12",
        "1",
        "007",
        "",
        "jake",
        "tissue",
        "Tissue_2",
        "organ 5",
        "structure",
        "structure 12",
        "ROI_1",
        "Line-1",
        "BA44",
        "V1",
        "Unknown",
        "Head",
        "abdomen",
        "CouchSurface",
        "table",
        "côté gauche",
        "vertebraeless",
        "rippling",
        "Untitled",
        "left",
        "Segment_1_1",
    ],
)
def test_names_that_say_nothing_are_not_understood(name):
    assert not understood(Tissue(1, name)) and start_weight(Tissue(1, name)) == SOFT


@pytest.mark.parametrize(
    "name",
    [
        "lung",
        "BONE",
        "Segment_2 liver",
        "soft tissue",
        "spleen",
        "kidney_left",
        "Pancreas",
        "small_bowel",
        "brain",
        "heart",
        "aorta",
        "gray matter",
        "adrenal_gland_right",
        "connective_tissue",
        "Muscles",
        "left psoas",
        "background",
        "body",
    ],
)
def test_names_of_tissues_are_understood_also_where_they_start_at_1(name):
    assert understood(Tissue(1, name))


def test_terminology_is_understood_whatever_the_name():
    assert understood(Tissue(1, "Segment_1", terminology="Rib Left"))
    assert not understood(Tissue(1, "Segment_1", terminology="Region"))


def test_name_that_came_with_a_color_counts_for_nothing():
    tissue = Tissue(2, "bone", is_named=False)
    assert not understood(tissue) and start_weight(tissue) == SOFT
    assert table_parameters((tissue,), LogScale())[2] == Lame(SOFT, SOFT)


def test_terminology_counts_beside_a_name_that_came_with_a_color():
    assert start_weight(Tissue(2, "bone", terminology="Lung", is_named=False)) == LUNG


NAMELESS = (Tissue(1, "Segment_1"), Tissue(2, "Segment_2"))
OTHERS = (Tissue(0, "background"), Tissue(9, "unsegmented", UNSEGMENTED_ID))


def test_unknown_segments_are_those_that_are_not_understood():
    assert unknown_segments((*NAMELESS, Tissue(3, "liver"), *OTHERS)) == NAMELESS
    assert unknown_segments(OTHERS) == unknown_segments(()) == ()


@pytest.mark.parametrize(
    ("tissues", "chosen", "said"),
    [
        ((), (), ""),
        (OTHERS, (), ""),
        ((Tissue(3, "liver"), *OTHERS), (), ""),
        ((*NAMELESS, *OTHERS), (), NOTHING_UNDERSTOOD),
        ((*NAMELESS, *OTHERS), ("1",), NOTHING_UNDERSTOOD),
        ((*NAMELESS, *OTHERS), ("1", "2"), ""),
        ((*NAMELESS, Tissue(3, "liver")), (), "soft tissue: 'Segment_1', 'Segment_2'; "),
        ((*NAMELESS, Tissue(3, "liver")), ("1",), "soft tissue: 'Segment_2'; "),
    ],
)
def test_names_that_are_not_understood_are_said_unless_values_were_chosen(tissues, chosen, said):
    sentence = names_warning(tissues, chosen)
    assert said in sentence and bool(sentence) == bool(said)


def test_table_fills_in_the_background_as_air():
    parameters = table_parameters((Tissue(1, "lung"), Tissue(2, "bone")), LogScale())
    assert [parameters[label] for label in (BACKGROUND, 1, 2)] == [Lame(w, w) for w in (AIR, LUNG, BONE)]


def test_named_background_has_the_weight_of_its_name():
    assert table_parameters((Tissue(0, "soft tissue"),), LogScale())[0] == Lame(SOFT, SOFT)


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
def test_table_lies_in_the_range_of_every_scale_and_keeps_the_order(scale):
    tissues = tuple(Tissue(label, name) for label, name in enumerate(("air", "blood", "lung", "soft", "bone"), start=1))
    parameters = table_parameters(tissues, scale)
    check_parameters(parameters, scale, {})
    weights = [parameters[tissue.label].mu for tissue in tissues]
    assert weights == sorted(weights) and len(set(weights)) == len(weights)


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
def test_presets_lie_within_the_range_of_both_scales(scale):
    for weight in (preset.weight for preset in PRESETS):
        assert clipped(from_table(weight, scale), scale) == from_table(weight, scale)


def test_preset_is_what_the_table_gives_a_tissue_of_that_name():
    assert len(PRESETS) == 8
    for preset in PRESETS:
        name = "myocardium" if preset.label == "Heart muscle" else preset.label
        assert table_weight(name) == preset.weight, preset.label


def test_every_preset_is_offered_but_that_of_the_space_between_segments():
    assert [preset.label for preset in PRESETS if not preset.is_offered] == ["Unsegmented"]


def test_stiffness_counts_relative_to_the_soft_tissue_as_it_is_set():
    tissues = [("lung", Lame(0.5, 0.5)), ("Soft Tissue", Lame(4, 4)), ("soft", Lame(9, 9))]
    assert soft_stiffness(tissues, LogScale()) == pytest.approx(10)


def test_without_soft_tissue_stiffness_counts_relative_to_the_table():
    assert soft_stiffness([("lung", Lame(0.5, 0.5))], LogScale()) == pytest.approx(2.5)
    weight = PaperScale().weight(LogScale().slider(SOFT))
    assert soft_stiffness([], PaperScale()) == pytest.approx(2.5 * weight)
