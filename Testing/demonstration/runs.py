"""One pair registered with several tables of λ and μ."""

from __future__ import annotations

from typing import NamedTuple

from TissueElasticRegistrationLib.commands.console_progress import ProgressLine
from TissueElasticRegistrationLib.core.data.images import ImagePair
from TissueElasticRegistrationLib.core.data.progress import Job, Result, finish
from TissueElasticRegistrationLib.core.data.result import RegistrationResult, TissueResult
from TissueElasticRegistrationLib.core.data.tissues import BACKGROUND_ID, UNSEGMENTED_ID, Lame, Tissue, TissueParameters
from TissueElasticRegistrationLib.core.physics.tissue_presets import SOFT
from TissueElasticRegistrationLib.core.registration.registrar import Registrar
from TissueElasticRegistrationLib.core.registration.threads import thread_count

UNIFORM, TABLE, ESTIMATE = "uniform", "table", "estimate"


class Run(NamedTuple):
    """One registration; ``name`` says where its λ and μ come from."""

    name: str
    result: RegistrationResult

    @property
    def seconds(self) -> float:
        """Of the optimization alone."""
        return self.result.seconds["register"]


class Runs(tuple[Run, ...]):
    """All registrations of the pair; the last one is what the panel has applied."""

    @property
    def applied(self) -> Run:
        return self[-1]

    def tissues(self) -> list[tuple[TissueResult, ...]]:
        """For every segmented tissue its results in all runs."""
        rows = zip(*(run.result.tissues for run in self), strict=True)
        return [row for row in rows if row[0].tissue.id not in (BACKGROUND_ID, UNSEGMENTED_ID)]


def prepared(pair: ImagePair, progress: ProgressLine) -> Registrar:
    """A registrar, ready to register, with the panel's number of threads."""
    registrar = Registrar(pair, threads=thread_count(pair.fixed.geometry.shape_kji, spare=1))
    _finish("prepare", registrar.prepare(), progress)
    return registrar


def registered(registrar: Registrar, name: str, parameters: TissueParameters, progress: ProgressLine) -> Run:
    """Register from nothing, and measure."""
    _finish(f"register, {name}", registrar.register(parameters), progress)
    return Run(name, _finish(f"measure, {name}", registrar.result(), progress))


def uniform_parameters(tissues: tuple[Tissue, ...]) -> TissueParameters:
    """No knowledge of tissues: everything, air included, is as stiff as soft tissue."""
    return TissueParameters({tissue.label: Lame(SOFT, SOFT) for tissue in tissues})


def _finish(stage: str, job: Job[Result], progress: ProgressLine) -> Result:
    return finish(job, lambda step: progress(stage, step.fraction, step.text))
