"""What the tests of auto-estimate share: a small thorax slice and a registrar that is quick rather than good."""

from __future__ import annotations

from functools import cache

import torch
from synthetic_pairs import pair_of, prepared, quick_solver, slice_case

from TissueElasticRegistrationLib.core.estimation.class_overlap import ClassOverlap
from TissueElasticRegistrationLib.core.images import ImagePair
from TissueElasticRegistrationLib.core.registrar import Registrar


@cache
def thorax_slice() -> ImagePair:
    return pair_of(slice_case())


@cache
def thorax_registrar() -> Registrar:
    return registrar_of(thorax_slice())


def registrar_of(pair: ImagePair, **options) -> Registrar:
    options.setdefault("solver", quick_solver())
    return prepared(pair, **options)


def overlap_of(registrar: Registrar) -> ClassOverlap:
    return ClassOverlap(registrar.pair, registrar.working, registrar.initial.transform, torch.device("cpu"))
