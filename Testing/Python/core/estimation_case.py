"""What the tests of auto-estimate share: a small thorax slice and a registrar that is quick rather than good."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from unittest import mock

import torch
from synthetic_pairs import pair_of, prepared, quick_solver, slice_case

from TissueElasticRegistrationLib.core.data.images import ImagePair
from TissueElasticRegistrationLib.core.data.progress import finish
from TissueElasticRegistrationLib.core.data.tissues import TissueParameters
from TissueElasticRegistrationLib.core.estimation import grid_search as grid
from TissueElasticRegistrationLib.core.estimation.criteria.class_overlap import ClassOverlap
from TissueElasticRegistrationLib.core.estimation.estimate_result import Estimate
from TissueElasticRegistrationLib.core.registration.registrar import Registrar


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


@contextmanager
def grid_alone() -> Iterator[None]:
    """Inside, tissues take what suits each of them alone in the grid."""

    def per_tissue_taken(task, per_tissue):
        yield from ()
        return per_tissue, []

    with mock.patch.object(grid, "select_candidate", per_tissue_taken):
        yield


def one_by_one(registrar: Registrar, start: TissueParameters, *arguments, **options) -> Estimate:
    """What the tissues choose in the grid, each for itself."""
    with grid_alone():
        return finish(grid.estimate_by_grid(registrar, start, *arguments, **options))
