"""The same pair registered with the tissue table and with a uniform one."""

from __future__ import annotations

from typing import NamedTuple

from TissueElasticRegistrationLib.core.images import ImagePair
from TissueElasticRegistrationLib.core.progress import Job, Result, finish
from TissueElasticRegistrationLib.core.registrar import Registrar
from TissueElasticRegistrationLib.core.result import RegistrationResult
from TissueElasticRegistrationLib.core.tissue_table import SOFT
from TissueElasticRegistrationLib.core.tissues import Lame, Tissue, TissueParameters
from TissueElasticRegistrationLib.progress_line import ProgressLine
from TissueElasticRegistrationLib.register_command import thread_count


class Run(NamedTuple):
    """One registration; ``name`` says which table it was made with."""

    name: str
    result: RegistrationResult
    seconds: float  # of the optimisation alone


class Runs(NamedTuple):
    """Both registrations."""

    tissue: Run
    uniform: Run


def register_twice(pair: ImagePair, progress: ProgressLine) -> Runs:
    """Prepare the pair once, then register it from nothing with each table."""
    registrar = Registrar(pair, threads=thread_count(pair))

    def run(stage: str, job: Job[Result]) -> Result:
        return finish(job, lambda step: progress(stage, step.fraction, step.text))

    run("prepare", registrar.prepare())
    runs, before = [], 0.0
    for name, parameters in (("tissue table", registrar.table_parameters()),
                             ("uniform table", uniform_parameters(registrar.tissues))):
        run(f"register, {name}", registrar.register(parameters))
        result = run(f"evaluate, {name}", registrar.result())
        runs.append(Run(name, result, result.seconds["register"] - before))
        before = result.seconds["register"]
    return Runs(*runs)


def uniform_parameters(tissues: tuple[Tissue, ...]) -> TissueParameters:
    """No knowledge of tissues: everything, air included, is as stiff as soft tissue."""
    return TissueParameters({tissue.label: Lame(SOFT, SOFT) for tissue in tissues})
